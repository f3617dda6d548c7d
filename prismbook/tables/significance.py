"""How sure is a difference? The paired differences of users, with the interval of a bootstrap.

Two things make a measured difference uncertain: which users happen to be in the test set, and which seed drew the split
and the starting values. :func:`compared_users` measures the first, :mod:`prismbook.tables.spreads` the second, over all
stored pairs. :mod:`prismbook.tables.rules` makes a word of both.
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
    """The first method minus the second.

    Attributes:
        mean: the difference of the mean scores.
        low: lower end of its interval over users.
        high: upper end of its interval over users.
        by_seed: the difference of the mean scores at each seed.
        baseline: the mean score of the second method.
    """

    mean: float
    low: float
    high: float
    by_seed: tuple[float, ...]
    baseline: float


def compared_users(
    first: Sequence[PerUser], second: Sequence[PerUser], run_ids: tuple[Sequence[str], Sequence[str]] | None = None
) -> Comparison:
    """Compare two methods on the same users, with the 95 % interval over users who are drawn with all their seeds.

    The difference is the mean over seeds of the mean over that seed's users. Its standard error is in closed form: the
    root of the sum of squares of what each user adds to it. A bootstrap that draws users with all their seeds has the
    same interval, which a test shows.

    Args:
        first: for each seed the users and their scores under the first method, e.g. from :func:`per_user`. Users may
            stand in any order and may differ between seeds.
        second: the same under the second method, with the same users at each seed.
        run_ids: for each method the ids of its runs, in the order of the seeds; an error then names the runs.

    Raises:
        ValueError: the methods have no seed, or not equally many; they have different users at a seed, or a user
            twice; or a score is not finite. Where the ids are known, the message on different users has the ids of the
            two runs, which their files' names end in.

    >>> users = np.arange(100)
    >>> second = np.random.default_rng(0).random(100)
    >>> result = compared_users([(users, second + 0.1)], [(users, second)])
    >>> f"{result.mean:.2f} [{result.low:.2f}, {result.high:.2f}]"
    '0.10 [0.10, 0.10]'
    """
    for ours, theirs, *ids in zip(first, second, *(run_ids or ()), strict=False):
        if ids and not np.array_equal(np.sort(ours[0]), np.sort(theirs[0])):
            raise ValueError(
                f"the users in the .npz files of the runs {ids[0]} and {ids[1]} must be the same, and are not:"
                " `prismbook records list` says which file is damaged"
            )
    present, differences = _paired(first, second)
    counts = present.sum(0)
    by_seed = differences.sum(0) / counts
    added = (present * (differences - by_seed) / counts).mean(1)  # by each user, to the mean over seeds
    mean, half = float(by_seed.mean()), 1.96 * float(np.sqrt((added**2).sum()))
    baseline = float(np.mean([values.astype(np.float64).mean() for _, values in second]))
    return Comparison(mean, mean - half, mean + half, tuple(by_seed.tolist()), baseline)


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
    everyone = np.sort(np.concatenate([ids for ids, _ in first]))  # np.unique hashes, which is slower
    everyone = everyone[np.diff(everyone, prepend=everyone[:1] - 1) != 0]
    present, difference = np.zeros((2, len(everyone), len(first)))
    for seed, ((ids, scores), (other_ids, others)) in enumerate(zip(first, second, strict=True)):
        order, other_order = np.argsort(ids), np.argsort(other_ids)
        if not np.array_equal(ids[order], other_ids[other_order]):
            raise ValueError(f"first and second must have the same users; at seed {seed} they differ")
        if len(ids) == 0 or (np.diff(ids[order]) == 0).any():
            raise ValueError(f"first and second must have each user once, and at least one; not so at seed {seed}")
        rows = np.searchsorted(everyone, ids[order])
        present[rows, seed] = 1
        difference[rows, seed] = scores[order].astype(np.float64) - others[other_order]
    if not np.isfinite(difference).all():
        raise ValueError("first and second must have finite scores")
    return present, difference
