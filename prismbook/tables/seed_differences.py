"""The difference of two settings, seed by seed, from tables of runs: as a share of the second's mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from prismbook.runs.records import load_scores
from prismbook.tables.rules import Difference, cut_off, never_learned, relative
from prismbook.tables.significance import PerUser, bootstrap_generator, paired_bootstrap, per_user, per_user_ratio

#: Measures that every test user has a part in; their difference has an interval over users.
_OF_USERS = {"ndcg": per_user, "ratio": per_user_ratio}


def usable(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs that decide something: made, not collapsed and not cut off.

    Args:
        runs: a table of :func:`prismbook.tables.analysis.tidy`.
    """
    decides = [
        pd.notna(run["run"]) and not cut_off(run["stopped_by"], run["epochs"]) and not _collapsed(run)
        for run in _rows(runs)
    ]
    return runs[pd.Series(decides, index=runs.index, dtype=bool)]


def setbacks(runs: pd.DataFrame) -> str:
    """How many runs of a setting collapsed or were cut off, as text; empty where none.

    Args:
        runs: the runs of one setting, one per seed, a table of :func:`prismbook.tables.analysis.tidy`.
    """
    finished = runs[runs["run"].notna()]
    collapsed = sum(_collapsed(run) for run in _rows(finished))
    cut = len(finished) - collapsed - len(usable(finished))
    parts = [f"{word} at {n} of {len(finished)} seeds" for word, n in (("collapsed", collapsed), ("cut off", cut)) if n]
    return " and ".join(parts)


def _rows(runs: pd.DataFrame) -> list[Any]:
    return runs.to_dict("records")


def _collapsed(run: Any) -> bool:
    return never_learned(run["best_epoch"], run["stopped_by"], run["largest_norm"])


def difference(first: pd.DataFrame, second: pd.DataFrame, measure: str) -> Difference | None:
    """The first setting minus the second, over the seeds at which both decide something; None where there are none.

    The interval over users is that of :func:`~prismbook.tables.significance.paired_bootstrap`, for NDCG@20 and for the
    unpopular / popular ratio. Other measures, and runs whose users' scores are not stored, have none.

    Args:
        first: runs of one setting, a table of :func:`prismbook.tables.analysis.measured`.
        second: runs of the other.
        measure: a column of the tables, e.g. ``"ndcg"``.
    """
    ours, theirs = (usable(runs).drop_duplicates("seed").set_index("seed") for runs in (first, second))
    seeds = [seed for seed in ours.index if seed in theirs.index]
    if not seeds:
        return None
    ours, theirs = ours.loc[seeds], theirs.loc[seeds]
    return relative(list(ours[measure]), list(theirs[measure]), _users_interval(ours, theirs, measure))


def _users_interval(first: pd.DataFrame, second: pd.DataFrame, measure: str) -> tuple[float, float] | None:
    ours, theirs = (_scores(runs, measure) for runs in (first, second))
    if ours is None or theirs is None:
        return None
    found = paired_bootstrap(ours, theirs, bootstrap_generator(first["run"], second["run"]))
    return found.low, found.high


def _scores(runs: pd.DataFrame, measure: str) -> Sequence[PerUser] | None:
    """Each seed's users and scores; None where the measure is not one of users, or the scores of a run are missing."""
    if measure not in _OF_USERS or "path" not in runs:
        return None
    stored: list[Any] = [load_scores(path) for path in runs["path"]]
    return None if any(scores is None for scores in stored) else [_OF_USERS[measure](scores) for scores in stored]
