"""The runs that the figures of the RQ4 page show, chosen from all its runs, and a sentence on early ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from prismbook.runs.records import Record
from prismbook.tables.analysis import best
from prismbook.tables.endings import EARLY
from prismbook.tables.labels import setting


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
    """Which runs ended within their first 20 epochs, with validation NDCG@20 at the first and at the best epoch.

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
            notes.append(f"{name} (validation {curve[0]:.4f} at epoch 0, {best_epoch})")
    if not notes:
        return f"No run on this page ended within its first {EARLY} epochs."
    return f"Ended within their first {EARLY} epochs, so look twice: {', '.join(notes)}."


def trade(runs: pd.DataFrame) -> str:
    """What the smallest strength costs and brings against the largest, in Markdown; empty without two strengths.

    Args:
        runs: one row per run, from :func:`prismbook.tables.analysis.tidy`.
    """
    prism = runs[(runs["init"] == "prism") & runs["run"].notna()].sort_values("alpha")
    if prism["alpha"].nunique() < 2:
        return ""
    weak, strong = prism.iloc[0], prism.iloc[-1]
    return (
        f"From alpha {strong.alpha:g} to {weak.alpha:g} the unpopular / popular ratio goes from {strong.ratio:.3f} to"
        f" {weak.ratio:.3f}, and NDCG@20 from {strong.ndcg:.4f} to {weak.ndcg:.4f}"
        f" ({100 * (weak.ndcg / strong.ndcg - 1):+.1f} %)."
    )
