"""How sure is a difference? A paired bootstrap over users, and Student's interval over seeds.

Two things make a measured difference uncertain: which users happen to be in the test set, and which seed drew the split
and the starting values. :func:`paired_bootstrap` measures the first and :func:`seed_half_width` the second.
:mod:`prismbook.tables.rules` makes a word of both.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

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
        by_seed: the difference of the mean scores at each seed.
        baseline: the mean score of the second method.
    """

    difference: float
    low: float
    high: float
    by_seed: tuple[float, ...]
    baseline: float


def paired_bootstrap(
    first: Sequence[PerUser],
    second: Sequence[PerUser],
    generator: np.random.Generator,
    resamples: int = 2000,
    level: float = 0.95,
) -> Comparison:
    """Compare two methods on the same users, by a percentile bootstrap that draws users with all their seeds.

    The difference is the mean over seeds of the mean over that seed's users.

    Args:
        first: for each seed the users and their scores under the first method, e.g. from :func:`per_user`. Users may
            stand in any order and may differ between seeds.
        second: the same under the second method, with the same users at each seed.
        generator: draws the users; the same state gives the same interval. See :func:`bootstrap_generator`.
        resamples: number of bootstrap samples.
        level: coverage of the interval.

    Raises:
        ValueError: the methods have no seed, or not equally many; they have different users at a seed, or a user
            twice; a score is not finite; ``level`` is not in (0, 1); or ``resamples`` is below 100.

    >>> users = np.arange(100)
    >>> second = np.random.default_rng(0).random(100)
    >>> result = paired_bootstrap([(users, second + 0.1)], [(users, second)], np.random.default_rng(1))
    >>> f"{result.difference:.2f} [{result.low:.2f}, {result.high:.2f}]"
    '0.10 [0.10, 0.10]'
    """
    if not 0 < level < 1:
        raise ValueError(f"level must be in (0, 1), got {level}")
    if resamples < 100:
        raise ValueError(f"resamples must be >= 100, got {resamples}")
    present, differences = _paired(first, second)
    by_seed = differences.sum(0) / present.sum(0)
    means = _resampled_means(present, differences, generator, resamples)
    tail = (1 - level) / 2
    low, high = (float(bound) for bound in np.quantile(means, (tail, 1 - tail)))
    baseline = float(np.mean([values.astype(np.float64).mean() for _, values in second]))
    return Comparison(float(by_seed.mean()), low, high, tuple(by_seed.tolist()), baseline)


def _resampled_means(
    present: FloatArray, differences: FloatArray, generator: np.random.Generator, resamples: int
) -> FloatArray:
    """The mean difference of each bootstrap sample, ``(resamples,)``."""
    users, seeds = differences.shape
    if seeds == 1:  # every user is present: the mean of the differences that are drawn is enough, and a third faster
        one, drawn, means = np.ascontiguousarray(differences[:, 0]), np.empty(users), np.empty(resamples)
        for sample in range(resamples):
            np.take(one, generator.integers(users, size=users), out=drawn, mode="clip")
            means[sample] = drawn.mean()
        return means
    columns = np.hstack([differences, present])
    sums = np.empty((resamples, 2 * seeds))
    for sample in range(resamples):  # one at a time: how often each user is drawn then stays in the processor's cache
        counts = np.bincount(generator.integers(users, size=users), minlength=users)
        sums[sample] = counts.astype(np.float64) @ columns
    # at least 1: where there are very few users, a sample may have drawn none of a seed's
    by_seed: FloatArray = sums[:, :seeds] / np.maximum(sums[:, seeds:], 1)
    return by_seed.mean(1)


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


#: The comparisons of this process, by their runs and scores: a page may ask for the same one many times.
_COMPARISONS: dict[bytes, Comparison] = {}


def compared(
    first: Sequence[PerUser], second: Sequence[PerUser], first_ids: Sequence[str], second_ids: Sequence[str]
) -> Comparison:
    """The :func:`paired_bootstrap` of stored runs, by the :func:`bootstrap_generator` of their ids, each drawn once.

    Args:
        first: for each seed the users and their scores under the first method.
        second: the same under the second method.
        first_ids: run ids of the first method's records, in the order of the seeds.
        second_ids: run ids of the second method's records, in the same order.

    Raises:
        ValueError: two runs at one seed have other test users; the message has their ids, which their files' names
            end in. Else as :func:`paired_bootstrap`.
    """
    for ours, theirs, our_id, their_id in zip(first, second, first_ids, second_ids, strict=True):
        if not np.array_equal(np.sort(ours[0]), np.sort(theirs[0])):
            raise ValueError(
                f"the users in the .npz files of the runs {our_id} and {their_id} must be the same, and are not:"
                " `prismbook records list` says which file is damaged"
            )
    digest = hashlib.blake2b(f"{' '.join(first_ids)} - {' '.join(second_ids)}".encode())
    for values in (array for method in (first, second) for one_seed in method for array in one_seed):
        digest.update(np.ascontiguousarray(values).tobytes())
    key = digest.digest()
    if key not in _COMPARISONS:
        _COMPARISONS[key] = paired_bootstrap(first, second, bootstrap_generator(first_ids, second_ids))
    return _COMPARISONS[key]


def seed_half_width(values: Sequence[float], level: float = 0.95) -> float | None:
    """Half the width of Student's interval for the mean of one value per seed; None for a single seed.

    It is ``t * s / sqrt(n)`` with ``n - 1`` degrees of freedom. The values are differences of two methods. Two runs of
    one seed share their split and their starting values. What a seed does to both methods alike therefore adds no
    uncertainty to their difference.

    Args:
        values: one per seed.
        level: coverage of the interval.

    Raises:
        ValueError: ``level`` is not in (0, 1).

    >>> f"{seed_half_width([0.002, 0.002, 0.003]):.5f}"
    '0.00143'
    """
    if not 0 < level < 1:
        raise ValueError(f"level must be in (0, 1), got {level}")
    n = len(values)
    if n < 2:
        return None
    return float(student_quantile((1 + level) / 2, n - 1) * np.std(values, ddof=1) / np.sqrt(n))


@lru_cache
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


def per_user_gap(scores: Mapping[str, npt.NDArray[np.floating]]) -> PerUser:
    """Each user's popular minus unpopular part of NDCG@20, whose mean over users is the gap of a run.

    Args:
        scores: as :func:`per_user` takes them.

    >>> scores = {"user": np.arange(2), "dot": np.array([[0.5, 0.0, 0.25], [1.5, 0.0, 0.25]])}
    >>> per_user_gap(scores)[1].tolist()
    [0.25, 1.25]
    """
    users, popular = per_user(scores, group=0)
    return users, popular - per_user(scores, group=2)[1]


def per_user_ratio(scores: Mapping[str, npt.NDArray[np.floating]]) -> PerUser:
    """Each user's share in the unpopular / popular ratio, linearised: the mean over users is the ratio of the means.

    With the ratio r of the mean unpopular part to the mean popular part P, a user's value is r + (unpopular - r *
    popular) / P. To first order, drawing other users changes the ratio as it changes the mean of these values.

    Args:
        scores: as :func:`per_user` takes them.

    >>> scores = {"user": np.arange(2), "dot": np.array([[0.5, 0.0, 0.25], [1.5, 0.0, 0.25]])}
    >>> float(per_user_ratio(scores)[1].mean())
    0.25
    """
    users, popular = per_user(scores, group=0)
    unpopular = per_user(scores, group=2)[1]
    ratio = unpopular.mean() / popular.mean()
    return users, ratio + (unpopular - ratio * popular) / popular.mean()


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
