"""Is one method better than another? A paired bootstrap over users, and a tolerance from the spread over seeds.

Two things make a measured difference uncertain: which users happen to be in the test set, and which seed drew the split
and the starting values. The bootstrap measures the first, :func:`seed_tolerance` the second; a verdict needs both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
PerUser = tuple[npt.NDArray[np.integer], npt.NDArray[np.floating]]  # user ids and their scores, each (n,)


@dataclass(frozen=True)
class Comparison:
    """First minus second: the difference of mean scores, its interval, and what follows.

    ``verdict`` is ``"better"``, ``"same"`` or ``"worse"``, said of the first; ``tolerance`` is None where unknown.
    """

    difference: float
    low: float
    high: float
    tolerance: float | None
    verdict: str


def paired_bootstrap(
    first: Sequence[PerUser],
    second: Sequence[PerUser],
    generator: np.random.Generator,
    tolerance: float | None = None,
    resamples: int = 2000,
    level: float = 0.95,
) -> Comparison:
    """Compare two methods on the same users, by a percentile bootstrap that draws users with all their seeds.

    The difference is the mean over seeds of the mean over that seed's users. It counts as better or worse only where
    the interval leaves out 0 and the difference exceeds ``tolerance``; else as the same.

    Args:
        first, second: for each seed the users and their scores, e.g. from :func:`per_user`; users may stand in any
            order and differ between seeds, but not between the two methods.
        generator: draws the users; the same state gives the same interval.
        tolerance: what the seeds alone make of a difference, see :func:`seed_tolerance`; None: unknown, one seed.

    Raises:
        ValueError: no seed or not as many in both; other users, or one twice; a score that is not finite; ``level``
            not in (0, 1); fewer than 100 resamples; a negative tolerance.

    >>> users = np.arange(100)
    >>> second = np.random.default_rng(0).random(100)
    >>> found = paired_bootstrap([(users, second + 0.1)], [(users, second)], np.random.default_rng(1))
    >>> f"{found.difference:.2f} [{found.low:.2f}, {found.high:.2f}] {found.verdict}"
    '0.10 [0.10, 0.10] better'
    """
    if not 0 < level < 1:
        raise ValueError(f"level must be in (0, 1), got {level}")
    if resamples < 100:
        raise ValueError(f"resamples must be >= 100, got {resamples}")
    if tolerance is not None and not tolerance >= 0:
        raise ValueError(f"tolerance must be >= 0, got {tolerance}")
    present, difference = _paired(first, second)
    users = len(present)
    observed = float((difference.sum(0) / present.sum(0)).mean())

    # how often each user is drawn, (resamples, users), a few million numbers at a time
    drawn = []
    for count in _chunks(resamples, max(1, 4_000_000 // users)):
        picks = generator.integers(users, size=(count, users)) + users * np.arange(count)[:, None]
        times = np.bincount(picks.ravel(), minlength=count * users).reshape(count, users).astype(np.float64)
        # at least 1: among very few users a resample may have none of a seed
        drawn.append((times @ difference / np.maximum(times @ present, 1)).mean(1))
    tail = (1 - level) / 2
    low, high = (float(bound) for bound in np.quantile(np.concatenate(drawn), (tail, 1 - tail)))
    beyond = abs(observed) > (tolerance or 0.0)
    verdict = "better" if beyond and low > 0 else "worse" if beyond and high < 0 else "same"
    return Comparison(observed, low, high, tolerance, verdict)


def seed_tolerance(first: Sequence[float], second: Sequence[float], level: float = 0.95) -> float | None:
    """The largest mean difference that the spread over seeds alone explains; None for a single seed.

    Half the width of Student's interval for the mean of the differences, seed by seed: ``t * s / sqrt(n)`` with
    ``n - 1`` degrees of freedom. Runs of one seed share their split and what they start from, so what a seed does to
    both methods alike is no uncertainty of their difference.

    Args:
        first, second: each method's score at each seed, in the same order.

    Raises:
        ValueError: not as many of both; ``level`` not in (0, 1).

    >>> f"{seed_tolerance([0.101, 0.100, 0.102], [0.099, 0.098, 0.099]):.5f}"
    '0.00143'
    """
    if len(first) != len(second):
        raise ValueError(f"first and second must have the same seeds, got {len(first)} and {len(second)} scores")
    if not 0 < level < 1:
        raise ValueError(f"level must be in (0, 1), got {level}")
    n = len(first)
    if n < 2:
        return None
    spread = np.std(np.subtract(first, second), ddof=1)
    return float(student_quantile((1 + level) / 2, n - 1) * spread / np.sqrt(n))


def student_quantile(probability: float, freedom: int) -> float:
    """Quantile of Student's t, by integrating its density, which in t = sqrt(v) tan(a) is cos(a)^(v - 1).

    >>> f"{student_quantile(0.975, 4):.3f}"
    '2.776'
    """
    angle = np.linspace(-np.pi / 2, np.pi / 2, 200_001)
    density = np.cos(angle) ** (freedom - 1)
    mass = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    return float(np.sqrt(freedom) * np.tan(np.interp(probability, mass / mass[-1], angle)))


def per_user(scores: Mapping[str, npt.NDArray[np.floating]], by: str = "dot", group: int | None = None) -> PerUser:
    """Each user's NDCG@20 from what :func:`prismbook.runs.records.load_scores` gives.

    Args:
        by: ``"dot"`` or ``"cosine"``.
        group: the part of one popularity group: 0 popular, 1 neutral, 2 unpopular; None is all.
    """
    parts = np.asarray(scores[by], np.float64)
    return np.asarray(scores["user"]), parts.sum(1) if group is None else parts[:, group]


def _paired(first: Sequence[PerUser], second: Sequence[PerUser]) -> tuple[FloatArray, FloatArray]:
    """Over all users and seeds, ``(users, seeds)``: 1 where the user is in the seed's test set, and the difference."""
    if len(first) != len(second) or not first:
        raise ValueError(f"first and second must have the same seeds, 1 or more, got {len(first)} and {len(second)}")
    everyone = np.unique(np.concatenate([ids for ids, _ in first]))
    present, difference = np.zeros((2, len(everyone), len(first)))
    for seed, ((ids, scores), (other_ids, others)) in enumerate(zip(first, second, strict=True)):
        order, other_order = np.argsort(ids), np.argsort(other_ids)
        if not np.array_equal(ids[order], other_ids[other_order]):
            raise ValueError(f"first and second must have the same users; at seed {seed} they differ")
        if len(ids) == 0 or len(np.unique(ids)) < len(ids):
            raise ValueError(f"first and second must have each user once, and at least one; not so at seed {seed}")
        rows = np.searchsorted(everyone, ids[order])
        present[rows, seed] = 1
        difference[rows, seed] = scores[order].astype(np.float64) - others[other_order]
    if not np.isfinite(difference).all():
        raise ValueError("first and second must have finite scores")
    return present, difference


def _chunks(total: int, size: int) -> list[int]:
    return [min(size, total - start) for start in range(0, total, size)]
