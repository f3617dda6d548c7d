"""Is one method better than another? A paired bootstrap over users, and a tolerance from the spread over seeds.

Two things make a measured difference uncertain: which users happen to be in the test set, and which seed drew the split
and the starting values. :func:`paired_bootstrap` measures the first and :func:`seed_tolerance` the second. A verdict
needs both.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
PerUser = tuple[npt.NDArray[np.integer], npt.NDArray[np.floating]]  # user ids and their scores, each (n,)


@dataclass(frozen=True)
class Comparison:
    """The first method minus the second.

    Attributes:
        difference: the difference of the mean scores.
        low: lower end of its interval over users.
        high: upper end of its interval over users.
        tolerance: the largest difference that the spread over seeds explains; None where there is one seed.
        verdict: ``"better"``, ``"same"`` or ``"worse"``, of the first method.
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

    The difference is the mean over seeds of the mean over that seed's users. The verdict is better or worse only where
    the interval leaves out 0 and the difference exceeds ``tolerance``; otherwise it is the same.

    Args:
        first: for each seed the users and their scores under the first method, e.g. from :func:`per_user`. Users may
            stand in any order and may differ between seeds.
        second: the same under the second method, with the same users at each seed.
        generator: draws the users; the same state gives the same interval. See :func:`bootstrap_generator`.
        tolerance: the largest difference that the seeds alone explain, see :func:`seed_tolerance`; None: there is one
            seed, and it is not known.
        resamples: number of bootstrap samples.
        level: coverage of the interval.

    Raises:
        ValueError: the methods have no seed, or not equally many; they have different users at a seed, or a user
            twice; a score is not finite; ``level`` is not in (0, 1); ``resamples`` is below 100; ``tolerance`` is
            negative or NaN.

    >>> users = np.arange(100)
    >>> second = np.random.default_rng(0).random(100)
    >>> result = paired_bootstrap([(users, second + 0.1)], [(users, second)], np.random.default_rng(1))
    >>> f"{result.difference:.2f} [{result.low:.2f}, {result.high:.2f}] {result.verdict}"
    '0.10 [0.10, 0.10] better'
    """
    if not 0 < level < 1:
        raise ValueError(f"level must be in (0, 1), got {level}")
    if resamples < 100:
        raise ValueError(f"resamples must be >= 100, got {resamples}")
    if tolerance is not None and not tolerance >= 0:
        raise ValueError(f"tolerance must be >= 0, got {tolerance}")
    present, differences = _paired(first, second)
    difference = float((differences.sum(0) / present.sum(0)).mean())
    means = _resampled_means(present, differences, generator, resamples)
    tail = (1 - level) / 2
    low, high = (float(bound) for bound in np.quantile(means, (tail, 1 - tail)))
    return Comparison(difference, low, high, tolerance, _verdict(difference, low, high, tolerance))


def _resampled_means(
    present: FloatArray, differences: FloatArray, generator: np.random.Generator, resamples: int
) -> FloatArray:
    """The mean difference of each bootstrap sample, ``(resamples,)``."""
    users, means = len(present), []
    # a few million counts at a time: how often each sample draws each user, (samples, users)
    for samples in _chunks(resamples, max(1, 4_000_000 // users)):
        picks = generator.integers(users, size=(samples, users)) + users * np.arange(samples)[:, None]
        counts = np.bincount(picks.ravel(), minlength=samples * users).reshape(samples, users).astype(np.float64)
        # at least 1: where there are very few users, a sample may have drawn none of a seed's
        means.append((counts @ differences / np.maximum(counts @ present, 1)).mean(1))
    return np.concatenate(means)


def _verdict(difference: float, low: float, high: float, tolerance: float | None) -> str:
    if abs(difference) > (tolerance or 0.0):
        if low > 0:
            return "better"
        if high < 0:
            return "worse"
    return "same"


def bootstrap_generator(first: Iterable[str], second: Iterable[str]) -> np.random.Generator:
    """The generator that draws the users of one comparison, seeded by the ids of the compared runs.

    The same records therefore have the same interval on every page, whatever else changes in the code that planned
    them.

    Args:
        first: run ids of the first method's records, in the order of the seeds.
        second: run ids of the second method's records, in the same order.

    >>> draws = [int(bootstrap_generator(["a1"], [name]).integers(1000)) for name in ("b1", "b1", "b2")]
    >>> draws[0] == draws[1], draws[0] == draws[2]
    (True, False)
    """
    return np.random.default_rng(zlib.crc32(f"{' '.join(first)} - {' '.join(second)}".encode()))


def seed_tolerance(first: Sequence[float], second: Sequence[float], level: float = 0.95) -> float | None:
    """The largest mean difference that the spread over seeds alone explains; None for a single seed.

    It is half the width of Student's interval for the mean of the differences at each seed: ``t * s / sqrt(n)`` with
    ``n - 1`` degrees of freedom. Two runs of one seed share their split and their starting values. What a seed does to
    both methods alike therefore adds no uncertainty to their difference.

    Args:
        first: the first method's score at each seed.
        second: the second method's score at each seed, in the same order.
        level: coverage of the interval.

    Raises:
        ValueError: the methods do not have equally many scores, or ``level`` is not in (0, 1).

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
    """Quantile of Student's t distribution.

    The density is integrated numerically; in ``a``, where ``t = sqrt(v) tan(a)``, it is proportional to
    ``cos(a)^(v - 1)``.

    Args:
        probability: of a value below the quantile, in (0, 1).
        freedom: degrees of freedom ``v``.

    >>> f"{student_quantile(0.975, 4):.3f}"
    '2.776'
    """
    angle = np.linspace(-np.pi / 2, np.pi / 2, 200_001)
    density = np.cos(angle) ** (freedom - 1)
    mass = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    return float(np.sqrt(freedom) * np.tan(np.interp(probability, mass / mass[-1], angle)))


def per_user(
    scores: Mapping[str, npt.NDArray[np.floating]], similarity: str = "dot", group: int | None = None
) -> PerUser:
    """Each user's NDCG@20 from what :func:`prismbook.runs.records.load_scores` gives.

    Args:
        scores: user ids, and the parts of NDCG@20 by popularity group under ``"dot"`` and ``"cosine"``.
        similarity: ``"dot"`` or ``"cosine"``.
        group: the part of one popularity group: 0 popular, 1 neutral, 2 unpopular; None is the sum of all.

    Returns:
        User ids and their scores, each ``(users,)``.
    """
    parts = np.asarray(scores[similarity], np.float64)
    return np.asarray(scores["user"]), parts.sum(1) if group is None else parts[:, group]


def _paired(first: Sequence[PerUser], second: Sequence[PerUser]) -> tuple[FloatArray, FloatArray]:
    """Two matrices ``(users, seeds)``: 1 where the user is in the seed's test set, and the user's difference there."""
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
