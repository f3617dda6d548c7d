"""The paired differences of users, and their interval, which a bootstrap would give."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from prismbook.tables.significance import (
    PerUser,
    compared_users,
    per_user,
    per_user_ratio,
)


def scores(values: np.ndarray) -> list[PerUser]:
    """One seed's users and scores for each column."""
    return [(np.arange(len(values)), column) for column in values.T]


def bootstrap(first: list[PerUser], second: list[PerUser], resamples: int = 4000) -> tuple[float, float]:
    """The percentile interval of a bootstrap that draws users with all their seeds, as the book had it before."""
    everyone = np.unique(np.concatenate([ids for ids, _ in first]))
    present, difference = np.zeros((2, len(everyone), len(first)))
    for seed, ((ids, ours), (_, theirs)) in enumerate(zip(first, second, strict=True)):
        rows = np.searchsorted(everyone, ids)
        present[rows, seed], difference[rows, seed] = 1, ours - theirs
    rng = np.random.default_rng(0)
    means = []
    for _ in range(resamples):
        count = np.bincount(rng.integers(len(everyone), size=len(everyone)), minlength=len(everyone))
        means.append(((count @ difference) / (count @ present)).mean())
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


@pytest.mark.parametrize("seeds", [1, 3])
def test_the_interval_is_that_of_the_bootstrap(seeds: int) -> None:
    rng = np.random.default_rng(3)
    first, second = [], []
    for _ in range(seeds):  # skewed as NDCG is; a tenth of the users is missing at each seed, as in a split of its own
        users = np.sort(rng.choice(600, 540, replace=False))
        base = rng.exponential(0.1, 600)[users]
        first.append((users, base + rng.exponential(0.02, 540)))
        second.append((users, base))
    found, (low, high) = compared_users(first, second), bootstrap(first, second)
    width = high - low
    assert found.low == pytest.approx(low, abs=0.05 * width) and found.high == pytest.approx(high, abs=0.05 * width)


def test_a_normal_sample_has_the_interval_of_the_textbook() -> None:
    values = np.random.default_rng(0).normal(0.02, 0.1, (2000, 1))
    comparison = compared_users(scores(values), scores(0 * values))
    half = 1.96 * values.std() / np.sqrt(2000)
    assert comparison.mean == pytest.approx(values.mean())
    assert (comparison.low, comparison.high) == pytest.approx((values.mean() - half, values.mean() + half))
    assert comparison.low > 0 and comparison.baseline == 0


def test_it_is_paired() -> None:
    rng = np.random.default_rng(0)
    base = rng.random((300, 1))  # users differ much more than the methods
    comparison = compared_users(scores(base + 0.01 + rng.normal(0, 0.01, (300, 1))), scores(base))
    assert comparison.low > 0 and comparison.high - comparison.low < 0.005
    unpaired = compared_users(scores(rng.permutation(base + 0.01)), scores(base))
    assert unpaired.low < 0 < unpaired.high


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng, covered = np.random.default_rng(7), 0
    for _ in range(300):
        # skewed as NDCG is; a user's seeds resemble each other, so drawing (user, seed) pairs would be too narrow
        values = rng.exponential(0.1, (150, 1)) - 0.1 + rng.normal(0, 0.02, (150, 3))
        comparison = compared_users(scores(values + 0.05), scores(np.full((150, 3), 0.05)))
        covered += comparison.low <= 0 <= comparison.high
    assert 0.91 <= covered / 300 <= 0.98


def test_a_comparison_keeps_its_seeds_and_its_baseline() -> None:
    base = np.random.default_rng(0).random((500, 2))
    comparison = compared_users(scores(base + np.array([0.01, 0.03])), scores(base))
    assert comparison.by_seed == pytest.approx((0.01, 0.03)) and comparison.mean == pytest.approx(0.02)
    assert comparison.baseline == pytest.approx(base.mean())


def test_the_mean_of_a_ratio_per_user_is_the_ratio_of_the_means() -> None:
    rng = np.random.default_rng(0)
    stored = {"user": np.arange(4000), "dot": rng.exponential([0.2, 0.1, 0.05], (4000, 3))}
    popular, _, unpopular = stored["dot"].T
    values = per_user_ratio(stored)[1]
    assert values.mean() == pytest.approx(unpopular.mean() / popular.mean())
    # and its spread is that of the ratio over samples of users
    draws = [rng.integers(4000, size=4000) for _ in range(400)]
    ratios = [unpopular[draw].mean() / popular[draw].mean() for draw in draws]
    assert values.std() / 4000**0.5 == pytest.approx(np.std(ratios), rel=0.15)


def test_users_are_matched_by_id_and_seeds_may_have_other_users() -> None:
    first = [(np.array([7, 1, 3]), np.array([0.7, 0.1, 0.3])), (np.array([1, 9]), np.array([0.5, 0.9]))]
    second = [(np.array([1, 3, 7]), np.array([0.0, 0.0, 0.0])), (np.array([9, 1]), np.array([0.9, 0.5]))]
    assert compared_users(first, second).mean == pytest.approx((1.1 / 3 + 0) / 2)


def test_scores_as_records_keep_them() -> None:
    stored = {"user": np.array([4, 2]), "dot": np.array([[0.1, 0.2, 0.3], [0, 0, 0.5]]), "cosine": np.ones((2, 3))}
    assert per_user(stored)[1] == pytest.approx([0.6, 0.5])
    assert per_user(stored, group=2)[1] == pytest.approx([0.3, 0.5])
    assert per_user(stored, similarity="cosine")[1] == pytest.approx([3, 3])


ONE = [(np.array([0, 1]), np.array([0.1, 0.2]))]


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ([], [], "the same seeds, 1 or more, got 0 and 0"),
        (ONE, ONE * 2, "the same seeds, 1 or more, got 1 and 2"),
        (ONE, [(np.array([0, 2]), np.array([0.1, 0.2]))], "the same users; at seed 0 they differ"),
        ([(np.array([0, 0]), np.zeros(2))], [(np.array([0, 0]), np.zeros(2))], "each user once"),
        (ONE, [(np.array([0, 1]), np.array([0.1, np.nan]))], "finite scores"),
    ],
)
def test_bad_input(first: Any, second: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compared_users(first, second)


def test_any_integers_are_users() -> None:
    users = np.array([3, -1, 0])
    found = compared_users([(users, np.array([0.5, 0.4, 0.3]))], [(users, np.array([0.4, 0.1, 0.3]))])
    assert found.mean == pytest.approx(0.4 / 3)
