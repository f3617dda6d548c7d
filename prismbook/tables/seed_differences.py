"""The difference of two settings, seed by seed, from tables of runs: as a share of the second's mean."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from prismbook.runs.patience import EARLY_BEST
from prismbook.runs.records import load_scores
from prismbook.tables.endings import cut_off, never_learned
from prismbook.tables.rules import COLUMNS, MEASURES, Difference, relative
from prismbook.tables.significance import PerUser, compared_users, per_user, per_user_gap, per_user_ratio
from prismbook.tables.spreads import spread

#: Measures that every test user has a part in; their difference has an interval over users.
_OF_USERS = {"ndcg": per_user, "ratio": per_user_ratio, "gap": per_user_gap}


def usable(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs that decide something: made, not collapsed, not cut off, and not in a dip from a start by chance.

    Args:
        runs: a table of :func:`prismbook.tables.analysis.tidy`.
    """
    decides = [
        pd.notna(run["run"]) and not cut_off(run["stopped_by"], run["epochs"]) and not _never_learned(run)
        for run in _rows(runs)
    ]
    return runs if all(decides) else runs[pd.Series(decides, index=runs.index, dtype=bool)]


def setbacks(runs: pd.DataFrame, unit: str = "seed") -> str:
    """How many runs collapsed, were cut off, or ended at a start by chance, as text; empty where none.

    Args:
        runs: a table of :func:`prismbook.tables.analysis.tidy`, e.g. the runs of one setting, one per seed.
        unit: what one run stands for: ``"seed"`` where the runs are of one setting.
    """
    finished = runs[runs["run"].notna()]
    gone, dips = len(collapsed_runs(finished)), int((finished["by_chance"] == True).sum())  # noqa: E712 (may be missing)
    cut = len(finished) - gone - dips - len(usable(finished))
    numbers = (("collapsed", gone), ("cut off", cut), ("at a start by chance, not repeated with more patience,", dips))
    return " and ".join(f"{word} at {n} of {len(finished)} {unit}s" for word, n in numbers if n)


def collapsed_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs that collapsed, by :func:`~prismbook.tables.endings.never_learned`, unless the start was by chance.

    Args:
        runs: a table of :func:`prismbook.tables.analysis.tidy`.
    """
    gone = [pd.notna(run["run"]) and _never_learned(run) and not run["by_chance"] for run in _rows(runs)]
    return runs[pd.Series(gone, index=runs.index, dtype=bool)]


def dips(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs that may have ended in a dip, and that no run with more patience stands for.

    Args:
        runs: a table of :func:`prismbook.tables.analysis.tidy`.
    """
    columns = (runs[name].tolist() for name in ("best_epoch", "stopped_by", "instead_of"))
    early = [
        best < EARLY_BEST and stopped_by == "patience" and pd.isna(instead_of)
        for best, stopped_by, instead_of in zip(*columns, strict=True)
    ]
    return runs[pd.Series(early, index=runs.index, dtype=bool)]


def _rows(runs: pd.DataFrame) -> list[Any]:
    """The rows as dicts; to_dict takes several times as long, and every comparison asks."""
    names = ("run", "best_epoch", "epochs", "stopped_by", "largest_norm", "by_chance")
    return [dict(zip(names, row, strict=True)) for row in zip(*(runs[name].tolist() for name in names), strict=True)]


def _never_learned(run: Any) -> bool:
    return never_learned(run["best_epoch"], run["stopped_by"], run["largest_norm"])


def gap(runs: pd.DataFrame) -> pd.Series:
    """Popular minus unpopular items' part of NDCG@20 of each run.

    Args:
        runs: a table of :func:`prismbook.tables.analysis.tidy`.
    """
    return runs["popular"] - runs["unpopular"]


def relative_difference(
    first: pd.DataFrame, second: pd.DataFrame, measure: str, keys: Sequence[str] = ("seed",)
) -> Difference | None:
    """The first setting minus the second, over the seeds at which both decide something; None where there are none.

    The interval over users is taken from :func:`~prismbook.tables.significance.compared_users`, for NDCG@20, for the
    unpopular / popular ratio, and for the gap between popular and unpopular items. Other measures, and runs whose
    users' scores are not stored, have none. The gap, which may be 0, is a share of the second setting's NDCG@20. Ratios
    and numbers of epochs are compared in logs; where a ratio is 0 or missing, there is no difference.

    Args:
        first: runs of one setting, a table of :func:`prismbook.tables.analysis.measured`.
        second: runs of the other.
        measure: a column of the tables, e.g. ``"ndcg"``, or ``"gap"``.
        keys: the columns in which the compared runs agree. With ``("seed", "weight_decay")`` the settings may have
            several decays each, and are compared by their means over the decays that they share.
    """
    names = list(keys)
    ours, theirs = (runs.set_index(names) for runs in common(first, second, keys))
    difference = None if ours.empty else _relative(ours, theirs, measure)
    if difference is None:
        return None
    left_out = _left_out(first, second, measure, set(ours.index)) if names == ["seed"] else ()
    # numbers of epochs are compared as the paper's patience ended the runs
    in_dip = measure != "best_epoch" and not (dips(ours).empty and dips(theirs).empty)
    return replace(difference, runs=(*ours["run"], *theirs["run"]), left_out=left_out, in_dip=in_dip)


def _left_out(first: pd.DataFrame, second: pd.DataFrame, measure: str, decided: set[int]) -> tuple[float, ...]:
    """The difference at each seed at which both settings were run and one of them decides nothing.

    Args:
        decided: the seeds at which both decide something.
    """
    of_first, of_second = (dict.fromkeys(runs["seed"][runs["run"].notna()]) for runs in (first, second))
    seeds = [seed for seed in of_first if seed in of_second and seed not in decided]
    if not seeds:
        return ()
    ours, theirs = (runs[runs["run"].notna()].drop_duplicates("seed").set_index("seed") for runs in (first, second))
    each = [_relative(ours.loc[[seed]], theirs.loc[[seed]], measure) for seed in seeds]
    return tuple(one.centre for one in each if one is not None)


def _relative(ours: pd.DataFrame, theirs: pd.DataFrame, measure: str) -> Difference | None:
    """The difference of two settings at the same seeds, by which both are indexed; None where a ratio is 0."""
    kind = COLUMNS.get(measure, measure)
    first_scores, second_scores = (
        np.array(_by_seed(runs, gap(runs) if measure == "gap" else runs[measure]), float) for runs in (ours, theirs)
    )
    known = spread(kind, across=set(ours["loss"]) != set(theirs["loss"]))
    error = np.inf if known is None else known.value
    if kind == "correlation":
        return Difference(tuple((first_scores - second_scores).tolist()), None, kind, error)
    if MEASURES[kind].log:
        if kind == "epochs":  # they are numbered from 0, and compared is how many it took
            first_scores, second_scores = first_scores + 1, second_scores + 1
        if not (np.nanmin(first_scores) > 0 and np.nanmin(second_scores) > 0):
            return None  # a ratio of 0, or none
        logs = tuple(np.log(first_scores / second_scores).tolist())
        return Difference(logs, _users_interval(ours, theirs, measure, relative_to_own=True), kind, error)
    base = float(_by_seed(theirs, theirs["ndcg"]).mean()) if measure == "gap" else None
    users = _users_interval(ours, theirs, measure)
    return relative(first_scores.tolist(), second_scores.tolist(), users, base, kind, error)


def common(first: pd.DataFrame, second: pd.DataFrame, keys: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The runs of two settings that are compared: those that decide something, at the seeds that both have.

    Args:
        first: runs of one setting, a table of :func:`prismbook.tables.analysis.tidy`.
        second: runs of the other.
        keys: the columns in which the compared runs agree.
    """
    ours, theirs = usable(first), usable(second)
    places = [_first_places(runs, keys) for runs in (ours, theirs)]
    shared = [key for key in places[0] if key in places[1]]
    ours, theirs = (
        runs.iloc[[place[key] for key in shared]].reset_index(drop=True)
        for runs, place in zip((ours, theirs), places, strict=True)
    )
    return ours, theirs


def _first_places(runs: pd.DataFrame, keys: Sequence[str]) -> dict[tuple[Any, ...], int]:
    """The place of the first row with each combination of some columns' values."""
    places: dict[tuple[Any, ...], int] = {}
    for place, key in enumerate(zip(*(runs[name].tolist() for name in keys), strict=True)):
        places.setdefault(key, place)
    return places


def _by_seed(runs: pd.DataFrame, values: pd.Series) -> pd.Series:
    """The mean of some values at each seed, in the order of the seeds."""
    if runs.index.nlevels == 1 and runs.index.is_unique:  # grouping takes half of a comparison's time
        return values
    return values.groupby(runs.index.get_level_values("seed"), sort=False).mean()


def _users_interval(
    first: pd.DataFrame, second: pd.DataFrame, measure: str, relative_to_own: bool = False
) -> tuple[float, float] | None:
    """The interval over users; None where the measure is not one of users, or the scores of a run are missing.

    Relative to its own mean, a user's score is what it adds to the log of that mean.
    """
    if measure not in _OF_USERS or "path" not in first or "path" not in second:
        return None
    ours, theirs = (_scores(runs["path"], measure, relative_to_own) for runs in (first, second))
    if ours is None or theirs is None:
        return None
    comparison = compared_users(ours, theirs, (list(first["run"]), list(second["run"])))
    return comparison.low, comparison.high


def _scores(paths: Iterable[Path], measure: str, relative_to_own: bool) -> Sequence[PerUser] | None:
    """Each run's users and scores; None where the scores of a run are not stored."""
    runs = []
    for path in paths:
        scores = load_scores(path)
        if scores is None:
            return None
        users, values = _OF_USERS[measure](scores)
        runs.append((users, values / values.mean() if relative_to_own else values))
    return runs
