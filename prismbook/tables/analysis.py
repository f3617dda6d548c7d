"""From run records to tables: one row a run, means over seeds, and how runs ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from prismbook.plan.config import RunConfig
from prismbook.runs.records import Record, load_record, stored_path
from prismbook.tables.labels import BACKBONE_NAMES, LOSS_NAMES, TITLES, cell, setting
from prismlib.metrics import GROUPS

SETTINGS = ["backbone", "loss", "init", "alpha", "weight_decay", "decay_scope", "seed"]
MEASURES = ["ndcg", *GROUPS, "ratio", "cosine", "norm_correlation"]


def tidy(configs: Iterable[RunConfig], records: Iterable[Record | None]) -> pd.DataFrame:
    """One row a run: its main settings, test NDCG@20 by dot product, its parts, and where it came from.

    Runs without a record keep their row, with missing values: what was not run is shown as not run.
    ``loss_parameters``: the loss's own, as text; ``ratio`` is unpopular over popular NDCG@20, ``norm_correlation``
    that of item norms with log popularity, ``curve`` validation NDCG@20 by dot product after each epoch,
    ``validation`` its best;
    ``device`` is its class, ``"cpu"`` or ``"cuda"``, and ``hardware`` its name.
    """
    rows = []
    for config, record in zip(configs, records, strict=True):
        row = {name: getattr(config, name) for name in SETTINGS} | {
            "loss": LOSS_NAMES[config.loss],
            "backbone": BACKBONE_NAMES[config.backbone],
            "loss_parameters": ", ".join(f"{name} {value:g}" for name, value in config.loss_parameters.items()),
        }
        if record is not None:
            item_norms, seconds, made = record["norms"]["item"], record["seconds"], record["environment"]
            row |= {name: record["test"]["dot"][name] for name in ("ndcg", *GROUPS)} | {
                "cosine": record["test"]["cosine"]["ndcg"],
                "validation": max(record["history"]["validation_dot"]),
                "curve": record["history"]["validation_dot"],
                "norm_correlation": item_norms["pearson_log"],
                "largest_norm": max(b["mean"] for b in item_norms["bins"]),
                "best_epoch": record["best_epoch"],
                "epochs": len(record["history"]["loss"]),
                "stopped_by": record["stopped_by"],
                "seconds": seconds["train"] + seconds["evaluate"],
                "run": record["id"],
                "content": record["data"]["content_hash"][:12],
                "device": record["config"]["device"],
                "hardware": made["device"],
                "commit": _short(made["commit"]),
            }
        rows.append(row)
    outcome = ["ndcg", *GROUPS, "cosine", "validation", "curve", "norm_correlation", "largest_norm"]
    origin = ["best_epoch", "epochs", "stopped_by", "seconds", "run", "content", "device", "hardware", "commit"]
    table = pd.DataFrame(rows, columns=[*SETTINGS, *outcome, *origin, "loss_parameters"])
    table.insert(len(SETTINGS) + 4, "ratio", table["unpopular"] / table["popular"].where(table["popular"] > 0))
    return table


def _short(commit: str | None) -> str:
    return "" if commit is None else commit[:8] + "+" * commit.endswith("+")


def over_seeds(runs: pd.DataFrame, by: Sequence[str] = ("loss", "weight_decay")) -> pd.DataFrame:
    """Mean and standard deviation over seeds, one row a combination of ``by``, in the order of the runs."""
    return runs.groupby(list(by), sort=False, dropna=False)[MEASURES].agg(["mean", "std"])


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """The means of :func:`over_seeds` as a reader wants them: three decimals, decays as 1e-06, no NaN."""
    means = pd.DataFrame(table.xs("mean", axis=1, level=1))
    if "weight_decay" in means.index.names:
        means = means.rename(index="{:g}".format, level="weight_decay")
    means.index.names = [TITLES.get(str(name), name) for name in means.index.names]
    return means.rename(columns=TITLES).map(cell)


def curves(runs: pd.DataFrame, losses: Sequence[str] | None = None) -> pd.DataFrame:
    """Means over seeds at the weight decays at which every loss was run, one column a (measure, loss)."""
    chosen = runs if losses is None else runs[runs["loss"].isin(losses)]
    if chosen.empty:
        return pd.DataFrame()
    means = over_seeds(chosen).xs("mean", axis=1, level=1)
    wide = pd.DataFrame(means[["ndcg", "popular", "unpopular"]].unstack("loss", sort=False))
    return wide.dropna().sort_index()


def epochs_to(curve: Sequence[float], share: float = 0.95) -> int:
    """The first epoch at which a validation curve reaches a share of its maximum.

    >>> epochs_to([0.1, 0.5, 0.96, 1.0])
    2
    """
    values = np.asarray(curve)
    return int(np.argmax(values >= share * values.max()))


def best(runs: pd.DataFrame) -> Any:
    """The run that validation NDCG@20 chooses, a row of the table.

    Raises:
        ValueError: none of them was run.
    """
    if runs["validation"].isna().all():
        raise ValueError("none of these runs is made: there is nothing to choose from")
    return runs.iloc[int(np.nanargmax(runs["validation"]))]


def best_of_each(runs: pd.DataFrame) -> pd.DataFrame:
    """Of each loss and start the run that validation chooses; a loss without any keeps one row, not run."""
    groups = [own for _, own in runs.groupby(["loss", "init"], sort=False)]
    chosen = [own.iloc[0] if own["validation"].isna().all() else best(own) for own in groups]
    return pd.DataFrame(chosen, columns=runs.columns).infer_objects()


def first_seed(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs at the first seed of the table, at which settings are chosen."""
    return runs[runs["seed"].isin(runs["seed"].iloc[:1])]


def seed_by_seed(runs: pd.DataFrame, first: Any, second: Any) -> tuple[Any, Any]:
    """Two runs of a table seed by seed: those like each, but for the seed, at the seeds that both were run at."""
    found = []
    for run in (first, second):
        same = runs["run"].notna()
        for name in [*SETTINGS, "loss_parameters"]:
            if name != "seed":
                same &= (runs[name] == run[name]) | (runs[name].isna() & pd.isna(run[name]))
        found.append(runs[same].set_index("seed"))
    seeds = found[0].index.intersection(found[1].index)
    return found[0].loc[seeds], found[1].loc[seeds]


def notes(runs: pd.DataFrame) -> str:
    """In Markdown, what to know beside a table: how its runs ended, on what, and the losses' own parameters."""

    def named(chosen: pd.DataFrame) -> str:
        return "; ".join(f"{run.loss} at {setting(run)} (epoch {run.epochs:.0f})" for run in chosen.itertuples())

    ran = runs[runs["run"].notna()]
    cut, short = ran[ran["stopped_by"] == "max_epochs"], ran[ran["epochs"] <= 20]
    lines = [
        f"{len(ran)} of {len(runs)} runs are made; {(ran['stopped_by'] == 'patience').sum()} ended by early stopping."
    ]
    on_gpu = ran[ran["device"] == "cuda"]
    if 0 < len(on_gpu) < len(ran):
        lines.append(f"{len(on_gpu)} of them on a GPU, the others on a CPU; the provenance says which.")
    if len(cut):
        lines.append(f"Cut off by the epoch limit, so their NDCG may still have been rising: {named(cut)}.")
    if len(short):
        lines.append(f"Ended within 20 epochs, where early stopping can be premature: {named(short)}.")
    gone = ran[collapsed(ran)]
    if len(gone):
        lines.append(f"Collapsed, decay outweighed the loss and all item rows shrank to nothing: {named(gone)}.")
    own = (runs["loss"] + " " + runs["loss_parameters"])[runs["loss_parameters"] != ""].unique()
    if len(own):
        lines.append(f"The losses' own parameters, not tuned on this page: {'; '.join(own)}.")
    return " ".join(lines)


def collapsed(runs: pd.DataFrame) -> pd.Series:
    """Which runs of :func:`tidy` ended with no item row longer than 0.001: decay outweighed the loss.

    >>> collapsed(pd.DataFrame({"largest_norm": [1e-9, 0.4]})).tolist()
    [True, False]
    """
    return runs["largest_norm"] < 1e-3


def measured(results: Path, found: Iterable[RunConfig]) -> pd.DataFrame:
    """The runs of some configurations as a table, trained or not."""
    unique = list(dict.fromkeys(found))
    return tidy(unique, [load_record(stored_path(results, config)) for config in unique])
