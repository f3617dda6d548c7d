"""A statement on the difference of two settings, which the rules make a word of."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from prismbook.claims.statements import Statement, from_judgement, in_words, left_open_with, percent_and_seeds
from prismbook.runs.patience import LONG
from prismbook.tables.labels import setting
from prismbook.tables.rules import Difference, Rules, judge
from prismbook.tables.seed_differences import common, dips, relative_difference, setbacks

#: The words that leave a threshold open. The interval includes it, or the value is within the margin of it.
AT_THE_LINE = ("equivalent", "not better", "not worse")
#: The words for a score that is above another, below it, or as good.
SCORE_WORDS = ("better", "worse", "equivalent")


def statement_on(
    text: str,
    first: pd.DataFrame,
    second: pd.DataFrame,
    measure: str,
    holds: Sequence[str],
    rules: Rules,
    words: tuple[str, str, str] = SCORE_WORDS,
    role: str = "core",
    about: str = "",
) -> Statement:
    """Whether one setting is above or below another, or as good, over the seeds at which both decide something.

    The statement is left open where there is no such seed, and says what ended the runs. It names those of the compared
    runs that were repeated with more patience, and those that may have ended in a dip.

    Args:
        text: the sentence with its numbers.
        first: runs of one setting, a table of :func:`prismbook.tables.analysis.measured`.
        second: runs of the other.
        measure: what is compared, as :func:`~prismbook.tables.seed_differences.relative_difference` takes it.
        holds: the rules' words with which the sentence holds.
        rules: the margin, and whether one seed gives a word.
        words: the measure's own words for better, worse and equivalent.
        role: what the statement is to its claim.
        about: what it is about, in a word or two.
    """
    ours, theirs = first.reset_index(), second.reset_index()
    difference = relative_difference(ours, theirs, measure)
    if difference is None:
        why = f"undecided: {_why(ours, theirs)}{more_patience(ours, theirs)}"
        return Statement(f"{text}; {why}", None, undecided=True, role=role, about=about)
    sides = common(ours, theirs, ["seed"])
    remark = f"{more_patience(*sides)}{in_dips(*sides) if measure != 'best_epoch' else ''}"
    return judged(text, difference, holds, rules, words, role, about, remark)


def judged(
    text: str,
    difference: Difference,
    holds: Sequence[str],
    rules: Rules,
    words: tuple[str, str, str] = SCORE_WORDS,
    role: str = "core",
    about: str = "",
    remark: str = "",
    threshold: bool = False,
) -> Statement:
    """A statement on a difference, with its number, interval, seeds and word.

    Args:
        text: the sentence.
        difference: the difference.
        holds: the rules' words with which the sentence holds.
        rules: the margin, and whether one seed gives a word.
        words: the measure's own words for better, worse and equivalent.
        role: what the statement is to its claim.
        about: what it is about, in a word or two.
        remark: what stands behind the word.
        threshold: whether the difference is from a threshold, such as half of a variance. Then only a direction
            decides: what lies at the line, or has it in its interval, is open.
    """
    judgement = judge(difference, rules)
    said = f"{percent_and_seeds(difference)}: {in_words(judgement, *words)}"
    if difference.in_dip and " in a dip" not in f"{text}{remark}":
        remark += "; perhaps in a dip: a run behind it was at its best early"
    statement = from_judgement(f"{text} ({said}){remark}", judgement, holds, difference, role, about)
    return left_open_with(statement, AT_THE_LINE, rules) if threshold else statement


def minus(first: Difference, second: Difference, measure: str = "") -> Difference:
    """The difference of two differences, whose errors add as the errors of independent numbers do.

    Where a side has seeds that were left out, the result has each of them against each value of the other side.

    Args:
        first: a difference, not in logs.
        second: what is subtracted.
        measure: the measure of the result; empty: the measure of the first.
    """
    seeds = min(len(first.by_seed), len(second.by_seed))
    error = float(np.hypot(first.standard_error, second.standard_error)) * seeds**0.5
    if len(first.by_seed) == len(second.by_seed):
        by_seed = tuple(a - b for a, b in zip(first.by_seed, second.by_seed, strict=True))
    else:
        by_seed = (first.centre - second.centre,) * seeds
    runs = tuple(dict.fromkeys((*first.runs, *second.runs)))
    left_out: tuple[float, ...] = ()
    if first.left_out or second.left_out:
        sides = [each.left_out or (each.centre,) for each in (first, second)]
        left_out = tuple(a - b for a, b in product(*sides))
    in_dip = first.in_dip or second.in_dip
    return Difference(by_seed, None, measure or first.measure, error, runs, left_out, in_dip)


def times(difference: Difference, factor: float, measure: str) -> Difference:
    """A difference on another scale, with its error.

    Args:
        difference: a difference, not in logs.
        factor: what it is multiplied by.
        measure: the measure of the result.
    """
    error = abs(factor) * difference.standard_error * len(difference.by_seed) ** 0.5
    by_seed, left_out = (
        tuple(factor * value for value in values) for values in (difference.by_seed, difference.left_out)
    )
    return Difference(by_seed, None, measure, error, difference.runs, left_out, difference.in_dip)


def means(first: Any, second: Any, measure: str, spec: str = ".4f") -> str:
    """The means of two settings over the seeds that are compared, as text; over those that both have where none is.

    Args:
        first: runs of one setting.
        second: runs of the other.
        measure: a column of the tables.
        spec: the format of the numbers.
    """
    first, second = first.reset_index(), second.reset_index()
    compared = common(first, second, ["seed"])
    if len(compared[0]):
        first, second = compared
    elif both := set(first["seed"][first["run"].notna()]) & set(second["seed"][second["run"].notna()]):
        first, second = (runs[runs["seed"].isin(both)] for runs in (first, second))
    return f"{first[measure].mean():{spec}} against {second[measure].mean():{spec}}"


def _why(first: pd.DataFrame, second: pd.DataFrame) -> str:
    """What kept the runs of two settings from deciding anything."""
    sides = [
        f"{runs.iloc[0].loss} with {setting(runs.iloc[0])} {ended}"
        for runs in (first, second)
        if len(runs) and (ended := setbacks(runs))
    ]
    return ", ".join(dict.fromkeys(sides)) or "no seed in common, or a ratio of 0"


def in_dips(*sides: pd.DataFrame) -> str:
    """The runs that may have ended in a dip and still count, as the end of a sentence; empty where there is none.

    Args:
        sides: the compared runs, tables of :func:`prismbook.tables.analysis.measured`.
    """
    early = [
        f"{run.loss} with {setting(run)}, seed {run.seed}, at epoch {run.best_epoch:.0f}"
        for runs in map(dips, sides)
        if len(runs)  # rows of an empty table take as long as those of a full one
        for run in runs.itertuples()
    ]
    return f"; perhaps in a dip, since at its best so early: {' and '.join(dict.fromkeys(early))}" if early else ""


def more_patience(*sides: pd.DataFrame) -> str:
    """The runs that were repeated with more patience, as the end of a sentence; empty where none was.

    Args:
        sides: the compared runs, tables of :func:`prismbook.tables.analysis.measured`.
    """
    repeated = [runs[known] for runs in sides if (known := runs["instead_of"].notna()).any()]
    patient = [run for runs in repeated for run in runs.itertuples()]
    names = dict.fromkeys(f"{run.loss} with {setting(run)}, seed {run.seed}" for run in patient)
    return f"; repeated with patience {LONG}: {' and '.join(names)}" if names else ""
