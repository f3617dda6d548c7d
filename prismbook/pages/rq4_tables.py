"""The runs of the page of RQ4, its tables with every cell as text, and its sentences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from prismbook.plan.config import RunConfig, at_seed
from prismbook.plan.experiments import grid_configs
from prismbook.runs.records import Record
from prismbook.tables.analysis import best, epochs_to
from prismbook.tables.endings import EARLY
from prismbook.tables.labels import TITLES, cell, dataset_name, setting
from prismbook.tables.rules import MARGIN
from prismbook.text import listed_names


def configs(dataset: str, alphas: Iterable[float], decays: Sequence[float] | None, **own: Any) -> list[RunConfig]:
    """The runs of the page on a dataset: PRISM at each strength without decay, then Xavier's start with each decay.

    Args:
        dataset: the dataset's name.
        alphas: strengths of PRISM.
        decays: weight decays; None is the project's grid for the dataset.
        own: what all runs have, as arguments of :func:`prismbook.plan.grid.grid_configs`.
    """
    prism = [grid_configs(dataset, weight_decays=0.0, init="prism", alpha=alpha, **own) for alpha in alphas]
    return [config for part in prism for config in part] + grid_configs(dataset, weight_decays=decays, **own)


def at_rates(dataset: str, tuned: Any, rates: Iterable[float], **own: Any) -> list[RunConfig]:
    """PRISM at full strength and tuned decay, each at every learning rate.

    Args:
        dataset: the dataset's name.
        tuned: the run of :func:`tuned_decay`; None leaves decay out.
        rates: learning rates.
        own: as in :func:`configs`.
    """
    settings: list[dict[str, Any]] = [{"weight_decays": 0.0, "init": "prism", "alpha": 1.0}]
    settings += [] if tuned is None else [{"weight_decays": tuned.weight_decay}]
    return [
        config for each in settings for rate in rates for config in grid_configs(dataset, **own | {"lr": rate}, **each)
    ]


def rates(runs: Mapping[str, pd.DataFrame], rates: Sequence[float]) -> pd.DataFrame:
    """How soon runs learn at each learning rate: a row per dataset, setting and rate.

    Args:
        runs: for each dataset, by its name, the table of the runs of :func:`at_rates`, in their order.
        rates: the learning rates, in the order of the runs.
    """
    rows = []
    for dataset, table in runs.items():
        for place, (_, run) in enumerate(table.iterrows()):
            half = epochs_to(run["curve"], share=0.5) if isinstance(run["curve"], list) else None
            rows.append(
                {
                    "dataset": dataset_name(dataset),
                    "trained": setting(run),
                    "learning rate": f"{rates[place % len(rates)]:g}",
                    "half of its best at epoch": cell(half, ".0f"),
                    "best epoch": cell(run["best_epoch"], ".0f"),
                    "test NDCG@20": cell(run["ndcg"]),
                }
            )
    return pd.DataFrame(rows).set_index(["dataset", "trained", "learning rate"])


def further(configs: Sequence[RunConfig], runs: pd.DataFrame, seeds: Sequence[int]) -> list[RunConfig]:
    """The strength of PRISM and the decay that validation chooses at the first seed, at the other seeds.

    Args:
        configs: the runs of :func:`configs`.
        runs: their table.
        seeds: all seeds, the one that chooses first.
    """
    candidates = (runs[runs["init"] == "prism"], with_decay(runs))
    picked = [configs[int(best(part).name)] for part in candidates if part["run"].notna().any()]
    return [at_seed(config, seed, seed) for seed in seeds[1:] for config in picked]


def numbers(runs: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """What validation chose, PRISM's strength and decay: a row per dataset and setting, means over the seeds.

    Args:
        runs: for each dataset, by its name, a table of all its runs, the first seed's first.
    """
    rows = []
    for dataset, table in runs.items():
        first = table[table["seed"] == table["seed"].iloc[0]]
        for part in (first[first["init"] == "prism"], with_decay(first)):
            if part["run"].notna().any():
                chosen = best(part)
                same = table[
                    (table["init"] == chosen["init"])
                    & (table["alpha"].fillna(-1) == (-1 if pd.isna(chosen["alpha"]) else chosen["alpha"]))
                ]
                same = same[(same["weight_decay"] == chosen["weight_decay"]) & same["run"].notna()]
                rows.append(
                    {
                        "dataset": dataset_name(dataset),
                        "chosen": setting(chosen),
                        "seeds": str(len(same)),
                        "best epoch": cell(same["best_epoch"].mean(), ".0f"),
                        "test NDCG@20": cell(same["ndcg"].mean(), ".4f"),
                        "unpopular / popular": cell(same["ratio"].mean()),
                    }
                )
    columns = ["dataset", "chosen", "seeds", "best epoch", "test NDCG@20", "unpopular / popular"]
    return pd.DataFrame(rows, columns=columns).set_index(["dataset", "chosen"])


def every_run(runs: pd.DataFrame) -> pd.DataFrame:
    """One row per run, as text: its setting and seed, its scores by popularity, and its best epoch.

    Args:
        runs: one row per run, from :func:`prismbook.tables.analysis.tidy`.
    """
    named = runs.assign(trained=[setting(run) for run in runs.itertuples()])
    scores = named[["ndcg", "popular", "neutral", "unpopular", "ratio"]].map(cell)
    text = scores.assign(best_epoch=[cell(epoch, ".0f") for epoch in named["best_epoch"]]).rename(columns=TITLES)
    return text.set_index([named["trained"], named["seed"]])


def tuned_decay(runs: pd.DataFrame) -> Any:
    """The run with weight decay that validation chooses; None where no such run was made.

    Args:
        runs: one row per run, from :func:`prismbook.tables.analysis.tidy`.
    """
    decayed = with_decay(runs)
    return None if decayed["validation"].isna().all() else best(decayed)


def with_decay(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs from Xavier's start with weight decay above zero.

    Args:
        runs: one row per run, from :func:`prismbook.tables.analysis.tidy`.
    """
    return runs[(runs["init"] == "xavier") & (runs["weight_decay"] > 0)]


def by_setting(runs: pd.DataFrame, records: Iterable[Record | None]) -> dict[str, Record]:
    """The records of the runs that were made, by the setting that each run was trained with.

    Args:
        runs: one row per run, from :func:`prismbook.tables.analysis.tidy`.
        records: one record per run, in the same order; None for a run that was not made.
    """
    names = [setting(run) for run in runs.itertuples()]
    return {name: record for name, record in zip(names, records, strict=True) if record is not None}


def prism_and_tuned(runs: pd.DataFrame, records: Iterable[Record | None]) -> dict[str, Record]:
    """The records of Figure 4: PRISM at each strength, then tuned weight decay.

    Args:
        runs: one row per run, from :func:`prismbook.tables.analysis.tidy`.
        records: one record per run, in the same order; None for a run that was not made.
    """
    by_name = by_setting(runs, records)
    names = [setting(run) for run in runs[runs["init"] == "prism"].itertuples()]
    tuned = tuned_decay(runs)
    if tuned is not None:
        names.append(setting(tuned))
    return {name: by_name[name] for name in names if name in by_name}


def ended_early(records: Mapping[str, Record]) -> str:
    """A list of the runs that ended within their first 20 epochs, with validation NDCG@20 at the start and at the best.

    Args:
        records: the records by the setting that each run was trained with.

    >>> ended_early({})
    ''
    """
    if not records:
        return ""
    notes = []
    for name, record in records.items():
        curve = record["history"]["validation_dot"]
        if len(record["history"]["loss"]) <= EARLY:
            best_epoch = f"best {max(curve):.4f} at epoch {record['best_epoch']}"
            ended = f"- Look twice at {name}, which ended within its first {EARLY} epochs"
            notes.append(f"{ended}: validation {curve[0]:.4f} at epoch 0, {best_epoch}.")
    if not notes:
        return f"No run on this page ended within its first {EARLY} epochs."
    return "\n".join(notes)


def trade(runs: pd.DataFrame) -> str:
    """At which strengths NDCG@20 is near its best, and what the ratio does there, in Markdown; empty without two.

    Near is within the margin of the rules. The weakest strength that was run is told too, where it is not near.

    Args:
        runs: one row per run, from :func:`prismbook.tables.analysis.tidy`.
    """
    prism = runs[(runs["init"] == "prism") & runs["run"].notna()].sort_values("alpha")
    if prism["alpha"].nunique() < 2:
        return ""
    top, weak = prism["ndcg"].max(), prism.iloc[0]
    near = prism[prism["ndcg"] >= (1 - MARGIN) * top]
    strengths = listed_names([f"{alpha:g}" for alpha in near["alpha"]])
    text = f"PRISM's test NDCG@20 is within {100 * MARGIN:g} % of its own best, {top:.4f}, at alpha {strengths}"
    if len(near) > 1:
        text += f"; the unpopular / popular ratio goes there from {near.iloc[-1].ratio:.3f} to {near.iloc[0].ratio:.3f}"
    if weak["alpha"] not in set(near["alpha"]):
        below = f"{100 * (1 - weak.ndcg / top):.1f} % below that"
        text += f". At alpha {weak.alpha:g} it is {below}, at a ratio of {weak.ratio:.3f}"
    return f"{text}."
