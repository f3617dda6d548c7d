"""The rules by which a measured difference becomes a word: better, worse, equivalent, or what it is not.

Each rule is one function, and is the same for every claim:

- :class:`Difference`: its 95 % interval is over users and seeds, and is what a page shows.
- :func:`has_direction`: better or worse where that interval leaves out zero, and the difference exceeds the margin.
- :func:`is_equivalent`: equivalent where that interval lies within the margin.
- :func:`leaves_out`: not better, or not worse, where the interval ends within the margin on that side.
- :func:`judge`: one of these words, else undecided; provisional within 2.8 standard errors. Where seeds were left out,
  a word stands only if it may be theirs too, and is provisional. So is one that rests on a run in a dip.
- :func:`contains`: whether the paper's figure lies in the interval, and the interval says which way it goes.

The rules on single runs are in :mod:`prismbook.tables.endings`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from prismbook.tables.significance import Comparison
from prismbook.tables.spreads import spread

#: The words for a comparison, each with what may be true of it. Collapsed is a word for methods, the others are words
#: for differences.
MAY_BE = {
    "better": {"better"},
    "worse": {"worse"},
    "equivalent": {"equivalent"},
    "not better": {"worse", "equivalent"},
    "not worse": {"equivalent", "better"},
    "undecided": {"worse", "equivalent", "better"},
    "collapsed": {"worse", "equivalent", "better"},
}
#: Standard errors on either side of a 95 % interval.
WIDTH = 1.96
#: Beyond so many standard errors a word is firm; one in 200 differences that are none is as large.
FIRM = 2.8

Interval = tuple[float, float]


@dataclass(frozen=True)
class Measure:
    """What is compared, and from which size on a difference of it counts.

    Attributes:
        title: its name in a sentence.
        margin: the largest difference that counts as equivalent.
        why: the reason for the margin.
        log: whether differences are taken in logs, as for what differs by factors.
        plain: whether differences are plain numbers, and not shares of a mean.
    """

    title: str
    margin: float
    why: str
    log: bool = False
    plain: bool = False


#: The measures with their margins. Those in logs are the logs of factors.
MEASURES = {
    "ndcg": Measure("NDCG@20", 0.025, "2.5 % of the baseline: what papers report as a gain is rarely less"),
    "gap": Measure("gap, popular minus unpopular", 0.025, "2.5 % of NDCG@20, of which the gap is a part"),
    "cell": Measure("change less the paper's", 0.05, "twice that of NDCG@20: theirs and ours may each be off by it"),
    "gain": Measure("share of what decay gains", 0.20, "a fifth of the gain of decay: what is left is like none"),
    "ratio": Measure("unpopular / popular ratio", float(np.log(1.10)), "10 %: seeds move it by most of that", True),
    "correlation": Measure("correlation", 0.05, "0.05: more than seeds move a correlation by", plain=True),
    "epochs": Measure("epochs to the best one", float(np.log(1.25)), "25 %: validation is flat near its best", True),
}
#: The columns of a table of runs that are measures under another name.
COLUMNS = {"best_epoch": "epochs", "norm_correlation": "correlation"}
#: The margin of NDCG@20, the measure of most claims.
MARGIN = MEASURES["ndcg"].margin


@dataclass(frozen=True)
class Rules:
    """What a verdict takes for granted. The ledger uses the defaults.

    Attributes:
        margin: the margin of NDCG@20. Those of the other measures go up and down with it.
        one_seed: whether a single seed gives a word; False: it gives none.
        case: the protocol or the setting whose statements alone count; empty: the statements of all.
    """

    margin: float = MARGIN
    one_seed: bool = True
    case: str = ""

    def margin_of(self, measure: str) -> float:
        """The margin of a measure.

        Args:
            measure: a name of :data:`MEASURES`.

        >>> Rules().margin_of("correlation"), Rules(margin=MARGIN / 2).margin_of("correlation")
        (0.05, 0.025)
        """
        return MEASURES[measure].margin * (self.margin / MARGIN)


#: The rules of the ledger.
RULES = Rules()


@dataclass(frozen=True)
class Difference:
    """A difference of two methods, the first minus the second, as a share of the second method's mean.

    For a ratio or a number of epochs it is the log of a factor, for a correlation it is plain.

    Attributes:
        by_seed: the difference at each seed.
        users: its 95 % interval over users, of the mean over seeds; None where the measure is not one of users, such as
            a number of epochs, or where the users' scores were not kept.
        measure: a name of :data:`MEASURES`.
        seed_error: the standard deviation over seeds; None is the pooled one of the measure, of stored records.
        runs: ids of the compared runs; empty where they are not told.
        left_out: the difference at each seed that was run and decides nothing, as a run of it was cut off. Where there
            is one, the seeds that are left were chosen by how their runs ended.
        in_dip: whether a compared run may have ended in a dip, and was not repeated with more patience.
    """

    by_seed: tuple[float, ...]
    users: Interval | None = None
    measure: str = "ndcg"
    seed_error: float | None = None
    runs: tuple[str, ...] = field(default=(), compare=False, repr=False)
    left_out: tuple[float, ...] = field(default=(), repr=False)
    in_dip: bool = field(default=False, repr=False)

    @property
    def centre(self) -> float:
        """The mean over seeds, in logs where the measure is taken in logs."""
        return float(np.mean(self.by_seed))

    @property
    def seed_spread(self) -> float:
        """The standard deviation over seeds, infinite where none is known."""
        if self.seed_error is not None:
            return self.seed_error
        known = spread(self.measure)
        return np.inf if known is None else known.value

    @property
    def standard_error(self) -> float:
        """The standard error over users and seeds, infinite where no spread over seeds is known."""
        users = 0.0 if self.users is None else (self.users[1] - self.users[0]) / (2 * WIDTH)
        return float(np.hypot(self.seed_spread / len(self.by_seed) ** 0.5, users))

    def reach(self, width: float = WIDTH) -> Interval:
        """The interval of so many standard errors, in logs where the measure is taken in logs.

        Args:
            width: number of standard errors on either side.
        """
        half = width * self.standard_error
        return self.centre - half, self.centre + half

    @property
    def mean(self) -> float:
        """The mean over seeds as it is shown; of a measure in logs it is a relative change."""
        return self._shown(self.centre)

    @property
    def interval(self) -> Interval:
        """The 95 % interval over users and seeds as it is shown, which decides the word."""
        low, high = self.reach()
        return self._shown(low), self._shown(high)

    @property
    def seeds_left_out(self) -> tuple[float, ...]:
        """The difference at each seed that was left out, as it is shown."""
        return tuple(self._shown(value) for value in self.left_out)

    def _shown(self, value: float) -> float:
        return float(np.expm1(value)) if MEASURES[self.measure].log else value


@dataclass(frozen=True)
class Judgement:
    """A word for a difference.

    Attributes:
        word: one of :data:`MAY_BE`.
        provisional: whether it holds within 2.8 standard errors, and not beyond.
        firm: the word that still holds at 2.8 standard errors, where it is another one. Where the word rests on a run
            in a dip, or on what is left where seeds were left out, nothing is firm.
    """

    word: str
    provisional: bool = False
    firm: str = "undecided"

    def __str__(self) -> str:
        return f"{self.word} (provisional)" if self.provisional else self.word


def relative(
    first: Sequence[float],
    second: Sequence[float],
    users: Interval | None = None,
    base: float | None = None,
    measure: str = "ndcg",
    seed_error: float | None = None,
) -> Difference:
    """The relative difference of two methods.

    Args:
        first: the first method's score at each seed.
        second: the second method's, in the same order.
        users: the 95 % interval over users of the mean difference, in the unit of the scores.
        base: what the difference is a share of; None is the second method's mean. A score that may be 0 or below, such
            as the gap between popular and unpopular items, needs another base.
        measure: a name of :data:`MEASURES` that is not taken in logs.
        seed_error: the standard deviation over seeds, as a share; None is the pooled one of the measure.

    Raises:
        ValueError: the methods do not have equally many scores, or none; or the base is not above 0.

    >>> relative([0.75], [0.5], (0.125, 0.375))
    Difference(by_seed=(0.5,), users=(0.25, 0.75), measure='ndcg', seed_error=None)
    """
    if len(first) != len(second) or not first:
        raise ValueError(f"first and second must have the same seeds, 1 or more, got {len(first)} and {len(second)}")
    if base is None:
        base = float(np.mean(second))
    if not base > 0:
        raise ValueError(f"second must have a mean above 0, got {base}")
    by_seed = tuple(float(value) for value in np.subtract(first, second) / base)
    return Difference(by_seed, None if users is None else (users[0] / base, users[1] / base), measure, seed_error)


def as_share(comparison: Comparison) -> Difference:
    """The relative difference of a comparison of users' NDCG@20.

    Args:
        comparison: the first method minus the second.
    """
    base = comparison.baseline
    by_seed = tuple(value / base for value in comparison.by_seed)
    return Difference(by_seed, (comparison.low / base, comparison.high / base))


def judge(difference: Difference, rules: Rules = RULES) -> Judgement:
    """The word for a difference, by the rules for direction, for equivalence and for what is left out.

    Args:
        difference: of the first method from the second.
        rules: the margin, and whether one seed gives a word.

    >>> sure, small = Difference((0.05,) * 3, seed_error=0.01), Difference((0.001,) * 3, seed_error=0.015)
    >>> str(judge(sure)), str(judge(small)), str(judge(Difference((0.03,), seed_error=0.015)))
    ('better', 'equivalent (provisional)', 'better (provisional)')
    """
    if len(difference.by_seed) == 1 and not rules.one_seed:
        return Judgement("undecided")
    margin = rules.margin_of(difference.measure)
    found = _by_the_interval(difference, margin)
    if difference.in_dip and found.word != "undecided":
        found = Judgement(found.word, True)
    if not difference.left_out or found.word == "undecided":
        return found
    stands = all(word_of_value(value, margin) in MAY_BE[found.word] for value in difference.left_out)
    return Judgement(found.word, True) if stands else Judgement("undecided")


def word_of_value(value: float, margin: float) -> str:
    """The word for a difference whose error is 0.

    Args:
        value: the difference, in logs where the measure is taken in logs.
        margin: the largest difference that counts as equivalent.

    >>> word_of_value(-0.5, MARGIN), word_of_value(0.01, MARGIN)
    ('worse', 'equivalent')
    """
    return "equivalent" if abs(value) <= margin else "better" if value > 0 else "worse"


def _by_the_interval(difference: Difference, margin: float) -> Judgement:
    """The word that the interval gives."""
    word, firm = (_word_at(difference, margin, width) for width in (WIDTH, FIRM))
    return Judgement(word) if word == firm else Judgement(word, True, firm)


def _word_at(difference: Difference, margin: float, width: float) -> str:
    """The word that the interval of some standard errors on either side gives."""
    if has_direction(difference, margin, width):
        return "better" if difference.centre > 0 else "worse"
    if is_equivalent(difference, margin, width):
        return "equivalent"
    return next(
        (word for word in ("not better", "not worse") if leaves_out(difference, word, margin, width)), "undecided"
    )


def has_direction(difference: Difference, margin: float = MARGIN, width: float = WIDTH) -> bool:
    """The rule for direction: the interval leaves out zero, and the mean exceeds the margin.

    Args:
        difference: of the first method from the second.
        margin: the largest difference that counts as equivalent.
        width: number of standard errors on either side.
    """
    low, high = difference.reach(width)
    return not low <= 0 <= high and abs(difference.centre) > margin


def is_equivalent(difference: Difference, margin: float = MARGIN, width: float = WIDTH) -> bool:
    """The rule for equivalence: the whole interval lies within the margin.

    Args:
        difference: of the first method from the second.
        margin: the largest difference that counts as equivalent.
        width: number of standard errors on either side.
    """
    low, high = difference.reach(width)
    return -margin <= low and high <= margin


def leaves_out(difference: Difference, word: str, margin: float = MARGIN, width: float = WIDTH) -> bool:
    """The rule for what is not: the interval leaves out every difference beyond the margin on one side.

    Args:
        difference: of the first method from the second.
        word: ``"not better"`` or ``"not worse"``.
        margin: the largest difference that counts as equivalent.
        width: number of standard errors on either side.
    """
    low, high = difference.reach(width)
    return high < margin if word == "not better" else low > -margin


def contains(difference: Difference, figure: float) -> bool | None:
    """Whether a figure lies in the interval; None where the interval is too wide to say: it holds zero as well.

    Args:
        difference: as measured here.
        figure: the paper's, as a difference is shown, not 0.

    >>> wide, narrow = Difference((-0.6,), seed_error=0.5), Difference((-0.4,), seed_error=0.05)
    >>> contains(wide, -0.38), contains(narrow, -0.38), contains(narrow, 0.38)
    (None, True, False)
    """
    low, high = difference.interval
    if not low <= figure <= high:
        return False
    return None if low <= 0 <= high else True
