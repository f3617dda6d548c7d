"""A statement on the difference of two settings, which the rules make a word of."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from prismbook.claims.statements import Statement, from_judgement, in_words, share_and_seeds
from prismbook.runs.patience import LONG
from prismbook.tables.labels import setting
from prismbook.tables.rules import Rules, judge
from prismbook.tables.seed_differences import common, difference, setbacks

#: The words for a score that is above another, below it, or as good.
SCORE_WORDS = ("better", "worse", "equivalent")


def compared(
    text: str,
    first: pd.DataFrame,
    second: pd.DataFrame,
    measure: str,
    holds: Sequence[str],
    rules: Rules,
    words: tuple[str, str, str] = SCORE_WORDS,
    keys: Sequence[str] = ("seed",),
) -> Statement:
    """Whether one setting is above or below another, or as good, over the seeds at which both decide something.

    The statement is left open where there is no such seed, and says what ended the runs. It names those of the compared
    runs that were waited for with more patience.

    Args:
        text: the sentence with its numbers.
        first: runs of one setting, a table of :func:`prismbook.tables.analysis.measured`.
        second: runs of the other.
        measure: what is compared, as :func:`~prismbook.tables.seed_differences.difference` takes it.
        holds: the rules' words with which the sentence holds.
        rules: the margin, and whether one seed gives a word.
        words: the measure's own words for better, worse and equivalent.
        keys: the columns in which the compared runs agree.
    """
    ours, theirs = first.reset_index(), second.reset_index()
    found = difference(ours, theirs, measure, keys)
    if found is None:
        why = f"undecided: {_why(ours, theirs)}{waited(ours, theirs)}"
        return Statement(f"{text}; {why}", None, undecided=True)
    judgement = judge(found, rules)
    said = f"{share_and_seeds(found)}: {in_words(judgement, *words)}{waited(*common(ours, theirs, keys))}"
    return from_judgement(f"{text} ({said})", judgement, holds, found)


def _why(first: pd.DataFrame, second: pd.DataFrame) -> str:
    """What kept the runs of two settings from deciding anything."""
    sides = [
        f"{runs.iloc[0].loss} with {setting(runs.iloc[0])} {ended}"
        for runs in (first, second)
        if (ended := setbacks(runs))
    ]
    return ", ".join(dict.fromkeys(sides)) or "no seed in common"


def waited(*sides: pd.DataFrame) -> str:
    """The runs that were waited for with more patience, as the end of a sentence; empty where none was.

    Args:
        sides: the compared runs, tables of :func:`prismbook.tables.analysis.measured`.
    """
    twins = [run for runs in sides for run in runs[runs["instead_of"].notna()].itertuples()]
    names = dict.fromkeys(f"{run.loss} with {setting(run)}, seed {run.seed}" for run in twins)
    return f"; waited for with patience {LONG}: {' and '.join(names)}" if names else ""
