"""`compare`: two lists of recommendations, user by user, against independent computations and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch

from prismbook.runs.records import load_scores
from prismbook.tables.significance import compared_users
from prismlib import FullRanking, Interactions, popularity_groups, prism_, random_split, recommend, synthetic
from prismlib.comparison import PARTS, compare
from prismlib.metrics import recall

RESULTS = Path(__file__).parents[1] / "results"
SPLIT = random_split(synthetic(400, 300, 12_000), 123)
NUM_USERS, NUM_ITEMS = SPLIT.dataset.num_users, SPLIT.dataset.num_items
D = SPLIT.item_popularity
TEST = FullRanking(SPLIT.test, [SPLIT.train, SPLIT.validation], popularity_groups(D), NUM_USERS)


def tables(seed: int, prism: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    user, item = (torch.randn(n, 8, generator=generator) for n in (NUM_USERS, NUM_ITEMS))
    if prism:  # all users look one way, so that the lengths decide what is listed
        user, item = user.abs(), item.abs()
        prism_(item, D)
    return user, item


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


BEFORE, AFTER = (TEST.lists(*tables(1, prism=prism))["dot"] for prism in (False, True))
FOUND = compare(BEFORE, AFTER, SPLIT.test, D, generator=seeded(), users=TEST.users)


def test_the_means_are_those_of_the_full_ranking_and_the_parts_sum_to_the_whole() -> None:
    for lists, side in ((BEFORE, "before"), (AFTER, "after")):
        parts = TEST.ndcg_by_group(lists).double().mean(0)
        of_recall = recall(TEST.hits(lists), TEST.count, TEST.group(lists)).double().mean(0)
        for changes, expected in ((FOUND.ndcg, parts), (FOUND.recall, of_recall)):
            values = torch.tensor([getattr(changes[part], side) for part in PARTS], dtype=torch.float64)
            assert torch.allclose(values[1:], expected, atol=1e-9)
            assert values[0] == pytest.approx(float(expected.sum()), abs=1e-9)
    assert FOUND.users == len(TEST.users) and FOUND.k == 20
    assert FOUND.ndcg["popular"].difference > 0.02  # the second lists are popular items


def test_the_interval_is_that_of_the_books_rules_over_users() -> None:
    """Closed form against bootstrap: the same centre, and ends within a tenth of the width."""
    users = TEST.users.numpy()
    both = [TEST.ndcg_by_group(lists).double().numpy() for lists in (AFTER, BEFORE)]
    for column, part in enumerate(PARTS):
        values = [scores.sum(1) if column == 0 else scores[:, column - 1] for scores in both]
        expected = compared_users([(users, values[0])], [(users, values[1])])
        found = FOUND.ndcg[part]
        assert found.difference == pytest.approx(expected.mean, abs=1e-9)
        width = expected.high - expected.low
        assert abs(found.low - expected.low) < 0.1 * width and abs(found.high - expected.high) < 0.1 * width


def test_the_interval_of_a_stored_pair_is_the_one_of_the_books_rules() -> None:
    """MovieLens1M, DirectAU without decay and with PRISM: each user's stored score is made into a list's place."""
    names = ("mf-directau-f8d8a61697b6", "mf-directau-9c7b05ac6a8b")
    scores = [load_scores(RESULTS / "movielens1m" / f"{name}.json") for name in names]
    before, after = (each["dot"].sum(1).astype(np.float64) for each in scores if each is not None)
    users = scores[0]["user"] if scores[0] is not None else np.array([])
    expected = compared_users([(users, after)], [(users, before)])
    from prismlib.comparison import _interval

    low, high = _interval(torch.from_numpy(after - before)[:, None], 4000, seeded())
    width = expected.high - expected.low
    assert expected.low > 0  # PRISM is better than nothing, by far
    assert abs(low[0] - expected.low) < 0.05 * width and abs(high[0] - expected.high) < 0.05 * width


def test_the_order_of_users_and_users_without_a_test_change_nothing() -> None:
    shuffled = torch.randperm(len(TEST.users), generator=seeded(5))
    again = compare(
        BEFORE[shuffled], AFTER[shuffled], SPLIT.test, D, generator=seeded(), users=TEST.users[shuffled].tolist()
    )
    everyone = [recommend(tables(1, prism=p), range(NUM_USERS), [SPLIT.train, SPLIT.validation]) for p in (False, True)]
    whole = compare(*everyone, SPLIT.test, D, generator=seeded())
    for other in (again, whole):
        assert other.users == FOUND.users
        for part in PARTS:
            assert other.ndcg[part].difference == pytest.approx(FOUND.ndcg[part].difference, abs=1e-12)
            assert other.recall[part].before == pytest.approx(FOUND.recall[part].before, abs=1e-12)


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta")
def test_a_matrix_of_held_out_interactions_counts_as_the_interactions() -> None:
    pairs = SPLIT.test
    twice = Interactions(np.tile(pairs.user, 2), np.tile(pairs.item, 2))
    matrix = scipy.sparse.coo_matrix((np.zeros(len(pairs.user)), (pairs.user, pairs.item)), (NUM_USERS, NUM_ITEMS))
    csr = matrix.tocsr()
    as_torch = torch.sparse_csr_tensor(
        csr.indptr, csr.indices, torch.ones(len(csr.indices)), csr.shape, check_invariants=True
    )
    for held_out in (twice, csr, as_torch):
        assert compare(BEFORE, AFTER, held_out, D, generator=seeded(), users=TEST.users) == FOUND


def test_a_shorter_k_is_the_metric_at_that_length() -> None:
    found = compare(BEFORE.numpy(), AFTER[:, :5], SPLIT.test, D, generator=seeded(), users=TEST.users, k=5)
    assert found.ndcg["all"].before == pytest.approx(float(TEST.ndcg_by_group(BEFORE[:, :5]).double().sum(1).mean()))
    assert found.k == 5 and "NDCG@5" in str(found)


def test_the_same_lists_have_no_difference_and_other_seeds_other_ends() -> None:
    same = compare(BEFORE, BEFORE, SPLIT.test, D, generator=seeded(), users=TEST.users)
    assert all((change.low, change.difference, change.high) == (0, 0, 0) for change in same.ndcg.values())
    assert not same.ndcg["all"].is_clear and FOUND.ndcg["all"].is_clear
    again = compare(BEFORE, AFTER, SPLIT.test, D, generator=seeded(), users=TEST.users)
    other = compare(BEFORE, AFTER, SPLIT.test, D, generator=seeded(7), users=TEST.users)
    assert again == FOUND and other.ndcg["all"].low != FOUND.ndcg["all"].low


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """Hits at rank 1 by chance, of a half before and after: 95 of 100 intervals hold zero, give or take."""
    held_out, covered = Interactions(np.arange(60), np.zeros(60, int)), 0
    for seed in range(100):
        lists = torch.rand(2, 60, 1, generator=seeded(seed)).gt(0.5).long()
        change = compare(*lists, held_out, [3, 2], generator=seeded(seed), k=1, draws=200).ndcg["all"]
        covered += change.low <= 0 <= change.high
    assert 86 <= covered <= 100


def test_it_prints_as_a_table() -> None:
    lines = str(FOUND).splitlines()
    assert len(lines) == 1 + 2 * len(PARTS) and lines[0].startswith(f"{FOUND.users} users")
    change = FOUND.ndcg["all"]
    assert f"{change.difference:+.4f} [{change.low:+.4f}, {change.high:+.4f}]" in lines[1]
    assert max(map(len, lines)) <= 72


GOOD: dict[str, Any] = {
    "before": torch.tensor([[0, 1], [1, 2]]),
    "after": torch.tensor([[2, 1], [0, -1]]),
    "held_out": Interactions([0, 1], [1, 2]),
    "popularity": [5, 3, 1],
    "generator": seeded(),
    "k": 2,
}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"before": [[0.5, 1.5], [1.0, 2.0]]}, "before is float32, but must be integers"),
        ({"before": {"dot": BEFORE}}, "before must be a tensor of integers, got dict"),
        ({"after": [0, 1]}, r"after must have shape \(users, K\), got \(2,\)"),
        ({"after": [[0, 3], [1, 2]]}, r"after must be ids in \[0, 3\), which popularity has, or -1; got 3"),
        ({"after": [[1, 1], [1, 2]]}, "after names item 1 twice in one list"),
        ({"after": [[0, 1]]}, "before and after must have the same users, got 2 and 1 lists"),
        ({"k": 3}, r"k must lie in \[1, 2\], the length of the lists of before, got 3"),
        ({"k": 0}, "k must be >= 1, got 0"),
        ({"draws": 10}, "draws must be >= 100, got 10"),
        ({"users": [4]}, "users must have 2 entries, one per list, got 1"),
        ({"users": [4, 4]}, "users has user 4 twice: a user must have one list before and one after"),
        ({"users": [4, 5]}, "held_out has no interaction of these users: there is nothing to find"),
        ({"held_out": Interactions([0, 2], [1, 2])}, "held_out has user 2, but the lists are of users 0 to 1: name"),
        ({"held_out": Interactions([0], [3])}, r"held_out.item must lie in \[0, 3\)"),
        ({"held_out": [(0, 1)]}, r"held_out must be Interactions or a CSR matrix \(.tocsr\(\) makes one\), got list"),
        ({"popularity": [5, -3, 1]}, "popularity must be finite and >= 0"),
        ({"generator": 0}, r"generator must be a torch.Generator of the CPU: torch.Generator\(\).manual_seed\(0\)"),
    ],
)
def test_bad_input_is_refused_in_one_line(changed: dict[str, Any], message: str) -> None:
    compare(**GOOD)
    with pytest.raises(ValueError, match=message) as caught:
        compare(**GOOD | changed)
    assert "\n" not in str(caught.value)
