"""The tables of the page on reproduction: hours, energy, versions, and the same run on two processors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from prismbook.plan.config import RunConfig
from prismbook.plan.experiments import PAPER_DATASETS
from prismbook.runs.records import Record
from prismbook.tables.labels import dataset_name, trained
from prismbook.tables.spreads import spread
from prismbook.text import listed_names, plural

HOURS = ["training, h", "evaluation, h", "CPU time, h"]


def costs(records: Iterable[Record]) -> pd.DataFrame:
    """One row per run on real data: its dataset, device, epochs, hours, kilojoules and versions.

    Runs on synthetic data are left out: the build of the book makes them, and their hours depend on that build.

    Args:
        records: run records.
    """
    rows = [
        {
            "dataset": record["config"]["dataset"],
            "kind": record["config"]["device"],
            # old records say "1 threads"
            "device": record["environment"]["device"].replace(", 1 threads", ", 1 thread"),
            "runs": 1,
            "epochs": len(record["history"]["loss"]),
            "training, h": record["seconds"]["train"] / 3600,
            "evaluation, h": record["seconds"]["evaluate"] / 3600,
            "CPU time, h": record["seconds"].get("cpu", float("nan")) / 3600,
            "kJ": float("nan") if (joules := own_joules(record)) is None else joules / 1e3,
            "PyTorch": record["environment"]["torch"],
            "Python": record["environment"]["python"],
        }
        for record in records
        if not record["data"]["synthetic"]
    ]
    return pd.DataFrame(rows)


def own_joules(record: Record) -> float | None:
    """The energy of a run in joules; None where it was not counted, or where the counter counted other runs too.

    Args:
        record: a run record.

    >>> own_joules({"environment": {"device": "NVIDIA H200, shared by 16 runs"}, "joules": 84890.0}) is None
    True
    >>> own_joules({"environment": {"device": "NVIDIA H200"}, "joules": 84890.0})
    84890.0
    """
    shared = ", shared by " in record["environment"]["device"]
    return None if shared else record.get("joules")


def sums(runs: pd.DataFrame) -> pd.DataFrame:
    """Sums of runs, epochs and hours per dataset and device, then over all datasets.

    Args:
        runs: one row per run, from :func:`costs`, with at least one row.
    """
    columns = ["runs", "epochs", *HOURS]
    parts = runs.groupby(["dataset", "kind", "device"])[columns].sum()
    total = runs.groupby("kind")[columns].sum()
    total.index = pd.MultiIndex.from_tuples([("all", kind, "") for kind in total.index], names=parts.index.names)
    return pd.concat([parts, total]).round(2).reset_index().set_index("dataset")


def beside_the_paper(runs: pd.DataFrame) -> str:
    """How many of the runs are on the paper's datasets, as the start page counts them, and where the others are.

    Args:
        runs: one row per run, from :func:`costs`, with at least one row.

    >>> beside_the_paper(pd.DataFrame({"dataset": ["gowalla", "gowalla", "movielens1m-all"]}))
    "Of the 3 runs, 2 are on the paper's datasets; the start page counts these. 1 is on MovieLens1M (all ratings)."
    """
    others = runs["dataset"][~runs["dataset"].isin(PAPER_DATASETS)].value_counts()
    if others.empty:
        return f"All {plural(len(runs), 'run')} are on the paper's datasets."
    each = listed_names([f"{number} {_is(number)} on {dataset_name(str(name))}" for name, number in others.items()])
    count = len(runs) - int(others.sum())
    return (
        f"Of the {plural(len(runs), 'run')}, {count} {_is(count)} on the paper's datasets; the start page counts these."
        f" {each}."
    )


def _is(number: int) -> str:
    return "is" if number == 1 else "are"


def energy(runs: pd.DataFrame) -> list[str]:
    """One line of Markdown per device: the energy of its runs, and how many of them report their energy.

    Where none does, on no device, one line says why.

    Args:
        runs: one row per run, from :func:`costs`.
    """
    if len(runs) and runs["kJ"].isna().all():
        return ["No energy is given: no stored run read the counter of a GPU that it had to itself."]
    lines = []
    for device, part in runs.groupby("device") if len(runs) else ():
        known = part["kJ"].dropna()
        if len(known):
            reported = f"{known.sum():,.1f} kJ over the {len(known)} of {len(part)} runs that report it"
        else:
            reported = f"not reported by any of its {len(part)} runs"
        lines.append(f"- {device}: {reported}")
    return lines


def versions(runs: pd.DataFrame) -> pd.DataFrame:
    """The number of runs per device and versions.

    Args:
        runs: one row per run, from :func:`costs`, with at least one row.
    """
    return runs.groupby(["device", "PyTorch", "Python"])[["runs"]].sum().reset_index().set_index("device")


def on_two_processors(records: Iterable[Record]) -> list[dict[str, Any]]:
    """One row per configuration that was run on several processors: how far their validation scores differ.

    Scores are compared epoch by epoch. Configurations may differ in the class of device and in the limit of epochs,
    since the limit changes nothing before it is reached. Runs that differ in how they are evaluated alone give one row.

    Args:
        records: run records. Records of generated data are left out.
    """
    by_config: dict[RunConfig, dict[str, Record]] = {}
    for record in records:
        if not record["data"]["synthetic"]:
            config = replace(RunConfig(**record["config"]), max_epochs=1000, device="cpu")
            processor = record["environment"]["device"].split(",")[0]
            by_config.setdefault(config, {}).setdefault(processor, record)
    rows: list[dict[str, Any]] = []
    for config, by_processor in by_config.items():
        if len(by_processor) > 1:
            curves = [record["history"]["validation_dot"] for record in by_processor.values()]
            shared = min(map(len, curves))
            gaps = [max(scores) - min(scores) for scores in zip(*curves, strict=False)]
            largest, last = max(gaps), curves[0][shared - 1]
            row = {
                "dataset": dataset_name(config.dataset),
                "run": trained(config),
                "processors": " and ".join(by_processor),
                "epochs that all ran": shared,
                "validation NDCG@20 then": f"{last:.5f}",
                "largest difference": f"{largest:.5f}",
                "share of it": f"{largest / last:.2%}",
            }
            rows += [row] if row not in rows else []
    return rows


def beside_seeds(rows: Iterable[dict[str, Any]], results: Path | str | None = None) -> str:
    """The largest differences between processors beside the spread over seeds, a sentence for each.

    Args:
        rows: of :func:`on_two_processors`.
        results: folder of the records; None is the one of :func:`~prismbook.runs.records.default_results`.

    >>> beside_seeds([{"processors": "AMD EPYC and NVIDIA H200", "share of it": "0.90%"}], "no folder")
    'A CPU and a GPU differ by at most 0.90% of the score.'
    """
    kinds: dict[str, list[float]] = {}
    for row in rows:
        kind = "A CPU and a GPU" if "NVIDIA" in row["processors"] else "Two CPUs"
        kinds.setdefault(kind, []).append(float(row["share of it"].rstrip("%")))
    sentences = [f"{kind} differ by at most {max(shares):.2f}% of the score." for kind, shares in kinds.items()]
    known = spread("ndcg", results=results)
    if known is not None:
        sentences.append(f"Seeds move the difference of two settings by {known.value:.2%} of the score.")
    return " ".join(sentences)
