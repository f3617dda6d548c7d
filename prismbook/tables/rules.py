"""The rules by which measured numbers become a word: better, worse, equivalent, undecided or collapsed.

Each rule is one function, and is the same for every claim:

- :func:`judge`: a difference is better or worse by the rule for direction, equivalent by the rule for equivalence, and
  undecided otherwise. One seed gives a provisional word.
- :func:`cut_off`: a run that was cut off, or that stopped before it had begun to learn, decides nothing.
- :func:`never_learned`: a run that collapsed has no score that could be averaged.
- :func:`edges`: a value at the edge of what was searched is not tuned.
- :func:`contains`: whether the paper's figure lies in an interval measured here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from prismbook.tables.significance import Comparison, seed_half_width

#: Differences of at most this share of the baseline count as equivalent.
MARGIN = 0.025
#: A run that ends within so many epochs may not have begun to learn.
EARLY = 20
#: The words for a comparison. Collapsed is a word for methods, the others are words for differences.
WORDS = ("better", "worse", "equivalent", "undecided", "collapsed")

Interval = tuple[float, float]


@dataclass(frozen=True)
class Rules:
    """What a verdict takes for granted. The ledger uses the defaults.

    Attributes:
        margin: the largest share of the baseline that counts as equivalent.
        one_seed: whether a single seed gives a provisional word; False: it gives none.
        case: the protocol or the setting whose statements alone count; empty: those of all.
    """

    margin: float = MARGIN
    one_seed: bool = True
    case: str = ""


#: The rules of the ledger.
RULES = Rules()


@dataclass(frozen=True)
class Difference:
    """A relative difference: the first method minus the second, as a share of the second method's mean.

    Attributes:
        by_seed: the relative difference at each seed.
        users: the 95 % interval over users of the mean over seeds; None where the measure is not one of users, such as
            a number of epochs, or where the users' scores were not kept.
    """

    by_seed: tuple[float, ...]
    users: Interval | None = None

    @property
    def mean(self) -> float:
        """The mean over seeds."""
        return float(np.mean(self.by_seed))

    @property
    def interval(self) -> Interval:
        """The 95 % interval over users and seeds, which reaches as far as the wider of the two at each end.

        Over users it is that of the bootstrap, over seeds Student's. With one seed it is the users' alone.
        """
        low, high = self.users or (self.mean, self.mean)
        half = seed_half_width(self.by_seed) or 0.0
        return min(low, self.mean - half), max(high, self.mean + half)


@dataclass(frozen=True)
class Judgement:
    """A word for a difference.

    Attributes:
        word: one of :data:`WORDS`.
        provisional: whether it rests on a single seed.
    """

    word: str
    provisional: bool = False

    def __str__(self) -> str:
        return f"{self.word} (provisional: one seed)" if self.provisional else self.word


def relative(
    first: Sequence[float], second: Sequence[float], users: Interval | None = None, base: float | None = None
) -> Difference:
    """The relative difference of two methods.

    Args:
        first: the first method's score at each seed.
        second: the second method's, in the same order.
        users: the 95 % interval over users of the mean difference, in the unit of the scores.
        base: what the difference is a share of; None is the second method's mean. A score that may be 0 or below, such
            as the gap between popular and unpopular items, needs another base.

    Raises:
        ValueError: the methods do not have equally many scores, or none; or the base is not above 0.

    >>> relative([0.75], [0.5], (0.125, 0.375))
    Difference(by_seed=(0.5,), users=(0.25, 0.75))
    """
    if len(first) != len(second) or not first:
        raise ValueError(f"first and second must have the same seeds, 1 or more, got {len(first)} and {len(second)}")
    if base is None:
        base = float(np.mean(second))
    if not base > 0:
        raise ValueError(f"second must have a mean above 0, got {base}")
    by_seed = tuple(float(value) for value in np.subtract(first, second) / base)
    return Difference(by_seed, None if users is None else (users[0] / base, users[1] / base))


def as_share(comparison: Comparison) -> Difference:
    """The relative difference of a comparison of users' scores.

    Args:
        comparison: the first method minus the second.
    """
    base = comparison.baseline
    by_seed = tuple(value / base for value in comparison.by_seed)
    return Difference(by_seed, (comparison.low / base, comparison.high / base))


def judge(difference: Difference, rules: Rules = RULES) -> Judgement:
    """The word for a difference, by the rules for direction and for equivalence.

    Args:
        difference: of the first method from the second.
        rules: the margin, and whether one seed gives a word.

    >>> str(judge(Difference((0.05, 0.06, 0.04), (0.03, 0.07)))), str(judge(Difference((0.001,), (-0.01, 0.012))))
    ('better', 'equivalent (provisional: one seed)')
    """
    provisional = len(difference.by_seed) == 1
    if provisional and not rules.one_seed:
        return Judgement("undecided")
    if has_direction(difference, rules.margin):
        return Judgement("better" if difference.mean > 0 else "worse", provisional)
    if is_equivalent(difference, rules.margin):
        return Judgement("equivalent", provisional)
    return Judgement("undecided")


def has_direction(difference: Difference, margin: float = MARGIN) -> bool:
    """The rule for direction: better or worse.

    All seeds agree in sign, the users' interval over all seeds leaves out zero, and the mean exceeds the margin.

    Args:
        difference: of the first method from the second.
        margin: the largest share of the baseline that counts as equivalent.
    """
    signs = set(np.sign(difference.by_seed))
    users_agree = difference.users is None or not difference.users[0] <= 0 <= difference.users[1]
    return len(signs) == 1 and users_agree and abs(difference.mean) > margin


def is_equivalent(difference: Difference, margin: float = MARGIN) -> bool:
    """The rule for equivalence: the whole interval over users and seeds lies within the margin.

    A measure without an interval of its own, at one seed, is never equivalent.

    Args:
        difference: of the first method from the second.
        margin: the largest share of the baseline that counts as equivalent.
    """
    if difference.users is None and len(difference.by_seed) == 1:
        return False
    low, high = difference.interval
    return -margin <= low and high <= margin


def contains(difference: Difference, figure: float) -> bool:
    """Whether a figure lies in the interval over users and seeds.

    Args:
        difference: as measured here.
        figure: the paper's, a share of the baseline.
    """
    low, high = difference.interval
    return low <= figure <= high


def cut_off(stopped_by: str, epochs: int) -> bool:
    """Whether a run decides nothing: the limit of epochs ended it, or it ended within its first :data:`EARLY` epochs.

    Args:
        stopped_by: ``"patience"`` or ``"max_epochs"``.
        epochs: number of epochs trained.

    >>> cut_off("patience", 16), cut_off("patience", 31), cut_off("max_epochs", 1000)
    (True, False, True)
    """
    return stopped_by == "max_epochs" or epochs <= EARLY


def never_learned(best_epoch: int, stopped_by: str, largest_norm: float) -> bool:
    """Whether a run collapsed: early stopping found no epoch better than the start, or all item rows shrank to nothing.

    Args:
        best_epoch: the epoch with the highest validation score; 0 is the start.
        stopped_by: ``"patience"`` or ``"max_epochs"``.
        largest_norm: the largest mean item norm of a popularity bin.

    >>> never_learned(0, "patience", 0.98), never_learned(12, "patience", 1e-9), never_learned(12, "patience", 0.3)
    (True, True, False)
    """
    return (best_epoch == 0 and stopped_by == "patience") or largest_norm < 1e-3


def edges(chosen: Mapping[str, float], searched: Mapping[str, Sequence[float]]) -> list[str]:
    """The chosen values that are at the edge of what was searched, as text.

    Nothing lies below 0. A chosen 0 is therefore no edge.

    Args:
        chosen: the chosen value of each parameter.
        searched: the values that were searched of each; of one with a single value nothing was searched.

    >>> edges({"weight_decay": 1e-4, "gamma": 1.0}, {"weight_decay": [0.0, 1e-6, 1e-4], "gamma": [0.5, 1.0, 2.0]})
    ['weight_decay 0.0001']
    """
    found = []
    for name, values in searched.items():
        value, distinct = chosen[name], sorted(set(values))
        if len(distinct) > 1 and (value == distinct[-1] or (value == distinct[0] and value != 0)):
            found.append(f"{name} {value:g}")
    return found
