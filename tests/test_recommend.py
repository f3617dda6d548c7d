"""Recommendations for any users are the lists of the full ranking, whatever the batch; bad input is one clear error."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch

from prismlib import (
    MF,
    FullRanking,
    Interactions,
    LightGCN,
    NonLinearMF,
    Split,
    popularity_groups,
    prism_,
    random_split,
    recommend,
    synthetic,
)
from prismlib.baselines import MACR

USERS, ITEMS, DIM = 600, 500, 32


@pytest.fixture(scope="module")
def split() -> Split:
    return random_split(synthetic(USERS, ITEMS, 20_000), 1)


@pytest.fixture(scope="module")
def ranking(split: Split) -> FullRanking:
    return FullRanking(split.test, [split.train, split.validation], popularity_groups(split.item_popularity), USERS)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(3)


BACKBONES: dict[str, Any] = {
    "MF": lambda split: MF(USERS, ITEMS, DIM, seeded()),
    "NonLinearMF": lambda split: NonLinearMF(USERS, ITEMS, DIM, generator=seeded()),
    "LightGCN": lambda split: LightGCN(USERS, ITEMS, split.train, DIM, generator=seeded()),
}


@pytest.mark.parametrize("name", BACKBONES)
def test_lists_are_those_of_the_full_ranking(name: str, split: Split, ranking: FullRanking) -> None:
    model = BACKBONES[name](split)
    prism_(model.item.weight, split.item_popularity)
    expected = ranking.lists(*model.embeddings())
    seen = [split.train, split.validation]
    for cosine, by in ((False, "dot"), (True, "cosine")):
        got = recommend(model, ranking.users, seen, 20, cosine=cosine)
        assert torch.equal(got.items, expected[by])
        assert (got.scores.diff(dim=1) <= 1e-7).all() and torch.isfinite(got.scores).all()
    assert not torch.equal(expected["dot"], expected["cosine"])


def test_macr_ranks_by_the_rule_of_its_criterion(split: Split, ranking: FullRanking) -> None:
    model, criterion = MF(USERS, ITEMS, DIM, seeded()), MACR(DIM, generator=seeded())
    seen = [split.train, split.validation]
    expected = ranking.lists(*criterion.rank_tables(*model.embeddings()))["dot"]
    assert torch.equal(recommend(model, ranking.users, seen, criterion=criterion).items, expected)
    assert not torch.equal(recommend(model, ranking.users, seen).items, expected)


def test_a_list_depends_neither_on_the_batch_nor_on_the_order_nor_on_repeats(split: Split) -> None:
    model = NonLinearMF(USERS, ITEMS, DIM, generator=seeded())
    for cosine in (False, True):
        every = recommend(model, torch.arange(USERS), split.train, 50, cosine=cosine)
        for users in ([5], [5, 3, 5], list(range(9, 0, -1)), [599] * 300):
            some = recommend(model, users, split.train, 50, cosine=cosine)
            assert torch.equal(some.items, every.items[users])
            assert torch.equal(some.scores, every.scores[users])


def test_a_pair_of_tables_stands_for_a_model(split: Split) -> None:
    model = LightGCN(USERS, ITEMS, split.train, DIM)
    by_model, by_tables = (recommend(m, [4, 1], split.train) for m in (model, model.embeddings()))
    assert torch.equal(by_model.items, by_tables.items) and torch.equal(by_model.scores, by_tables.scores)


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support")
def test_what_is_seen_in_every_form(split: Split) -> None:
    model, users = MF(USERS, ITEMS, DIM), torch.arange(USERS)
    ones = np.ones(len(split.train.user))
    matrix = scipy.sparse.csr_array((ones, split.train), shape=(USERS, ITEMS))
    parts = (matrix.indptr, matrix.indices, matrix.data)
    pairs = torch.sparse_csr_tensor(*parts, size=matrix.shape, check_invariants=True)
    expected = recommend(model, users, split.train, ITEMS)
    # as many as the user has not seen, and then none
    assert torch.equal((expected.items >= 0).sum(1), ITEMS - torch.as_tensor(split.user_popularity))
    assert torch.equal(expected.items < 0, expected.scores == -torch.inf)
    hidden = torch.zeros(USERS, ITEMS + 1, dtype=torch.bool)
    hidden[torch.from_numpy(split.train.user).long(), torch.from_numpy(split.train.item).long()] = True
    assert not hidden.gather(1, torch.where(expected.items < 0, ITEMS, expected.items)).any()
    for seen in (matrix, pairs, [matrix, matrix], scipy.sparse.csr_matrix(matrix)):
        assert torch.equal(recommend(model, users, seen, ITEMS).items, expected.items)
    both = recommend(model, users, [split.train, split.validation], ITEMS).items
    assert torch.equal(recommend(model, users, [matrix, split.validation], ITEMS).items, both)
    assert not torch.equal(both, expected.items)
    empty = Interactions([], [])
    assert torch.equal(recommend(model, users, empty, 3).items, recommend(model, users, None, 3).items)


@pytest.mark.parametrize("users", [[0], list(range(50))])
def test_equal_scores_are_ordered_by_item(users: list[int]) -> None:
    user, item = torch.ones(50, 4), torch.zeros(200, 4)
    assert recommend((user, item), users, Interactions([0], [1]), 4).items[0].tolist() == [0, 2, 3, 4]
    item[7] = 1.0
    assert recommend((user, item), users, None, 3).items[0].tolist() == [7, 0, 1]


def test_only_the_items_that_may_be_recommended(split: Split) -> None:
    model, allowed = MF(USERS, ITEMS, DIM), [7, 3, 499]
    for users in ([2], list(range(20))):
        got = recommend(model, users, k=5, items=allowed)
        assert (got.items[:, 3:] == -1).all()
        assert all(set(row.tolist()) == set(allowed) for row in got.items[:, :3])


def test_lengths_at_scoring_are_those_of_rows_that_have_them(split: Split, ranking: FullRanking) -> None:
    model, length = MF(USERS, ITEMS, DIM, seeded()), torch.as_tensor(split.item_popularity).double() ** 0.3
    user, item = model.embeddings()
    written = item / item.norm(dim=1, keepdim=True) * length[:, None].float()
    got = recommend(model, range(USERS), split.train, 20, length=length)
    expected = recommend((user, written), range(USERS), split.train, 20)
    assert (got.items == expected.items).float().mean() > 0.999  # rounding may change places
    torch.testing.assert_close(got.scores, expected.scores)
    assert not torch.equal(got.items, recommend(model, range(USERS), split.train, 20).items)
    # all of one length: the ranking by cosine, bit for bit
    by_angle = recommend(model, range(USERS), split.train, 20, cosine=True)
    assert torch.equal(recommend(model, range(USERS), split.train, 20, length=np.ones(ITEMS)).items, by_angle.items)


def test_scores_are_products_and_cosines() -> None:
    user, item = torch.randn(40, 8, generator=seeded()), torch.randn(70, 8, generator=seeded())
    for users in ([3], list(range(40))):
        by_dot, by_cosine = recommend((user, item), users, k=70), recommend((user, item), users, k=70, cosine=True)
        torch.testing.assert_close(by_dot.scores, (user @ item.T)[users].gather(1, by_dot.items))
        cosines = torch.nn.functional.cosine_similarity(user[:, None], item, dim=2)
        torch.testing.assert_close(by_cosine.scores, cosines[users].gather(1, by_cosine.items))


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_rows_whose_products_float32_cannot_hold_are_ranked_too(scale: float, split: Split) -> None:
    user, item = (torch.randn(n, 8, generator=seeded()) for n in (USERS, ITEMS))
    plain, far = (recommend((user * s, item * s), range(20), split.train) for s in (1.0, scale))
    assert torch.equal(plain.items, far.items)
    wanted = (plain.scores.double() * scale * scale).float()
    torch.testing.assert_close(far.scores, wanted, rtol=1e-4, atol=0)


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e-3, 1.0, 1e15, 1e30])
@pytest.mark.parametrize("short", [0.0, 1e-38, 1.0, 1e25])
def test_a_few_users_get_the_lists_that_many_get_whatever_the_range(scale: float, short: float, split: Split) -> None:
    """The products of a few say themselves whether float32 holds them; of many, the tables are looked at."""
    user, item = (torch.randn(n, 8, generator=seeded()) for n in (USERS, ITEMS))
    user, item = user * scale, item * scale
    item[7] = torch.nn.functional.normalize(item[7], dim=0) * short
    many = recommend((user, item), range(USERS), split.train, 30)
    for users in ([3], [9, 2, 5]):
        few = recommend((user, item), users, split.train, 30)
        assert torch.equal(few.items, many.items[users])
        torch.testing.assert_close(few.scores, many.scores[users])


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("place", ["user", "item"])
def test_one_bad_number_is_found_for_one_user_too(bad: float, place: str) -> None:
    user, item = (torch.randn(n, 8, generator=seeded()) for n in (20, 30))
    (user if place == "user" else item)[4, 3] = bad
    with pytest.raises(ValueError, match=f"the embeddings of the {place}s are not finite"):
        recommend((user, item), [4], k=3)


def test_a_row_of_zeros_is_ranked_with_any_length() -> None:
    item = torch.tensor([[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])  # a padding row
    got = recommend((torch.ones(1, 2), item), [0], k=3, length=[1e30, 2.0, 2.0])
    assert got.items.tolist() == [[1, 0, 2]] and got.scores.tolist() == [[2.0, 0.0, -2.0]]


def test_modes_come_back_and_nothing_is_trained(split: Split) -> None:
    model = NonLinearMF(USERS, ITEMS, DIM)
    model.train()
    model.user_mlp.eval()
    got = recommend(model, [0])
    assert model.training and model.item_mlp.training and not model.user_mlp.training
    assert not got.scores.requires_grad


def test_half_precision_is_ranked_in_float32(split: Split) -> None:
    user, item = (torch.randn(n, 8, generator=seeded()).half() for n in (USERS, ITEMS))
    got = recommend((user, item), range(9))
    assert got.scores.dtype == torch.float32
    assert torch.equal(got.items, recommend((user.float(), item.float()), range(9)).items)


def test_no_users_have_no_lists() -> None:
    got = recommend(MF(3, 5, 2), [], k=4)
    assert got.items.shape == got.scores.shape == (0, 4) and got.items.dtype == torch.int64


def test_one_user_of_a_csr_matrix_costs_no_more_than_the_product(split: Split) -> None:
    """On an idle core of 2024, 0.6 ms with MovieLens1M's sizes; the bound leaves room for a loaded one."""
    user, item = (torch.randn(n, 64, generator=seeded()) for n in (6040, 3706))
    pairs = [torch.randint(n, (900_000,), generator=seeded()).numpy() for n in (6040, 3706)]
    matrix = scipy.sparse.csr_array((np.ones(900_000, np.float32), pairs), shape=(6040, 3706))
    interactions = Interactions(*pairs)
    best = {}
    for name, seen in (("csr", matrix), ("pairs", interactions)):
        times = []
        for trial in range(20):
            start = time.process_time()
            recommend((user, item), [trial], seen)
            times.append(time.process_time() - start)
        best[name] = min(times)
    assert best["csr"] < 0.005
    assert best["csr"] < best["pairs"] / 2


GOOD = {"users": [0], "seen": None, "k": 5}
BAD: list[tuple[dict[str, Any], str]] = [
    ({"users": [600]}, r"users must lie in \[0, 600\), the table's rows, got 600 to 600"),
    ({"users": [-1]}, r"users must lie in \[0, 600\)"),
    ({"users": [0.5]}, "users is float64, but must be integers"),
    ({"users": ["a"]}, "users must hold numbers"),
    ({"users": [True]}, "users is bool"),
    ({"users": 3}, "users must be 1-D, got one value"),
    ({"k": 0}, "k must be >= 1, got 0"),
    ({"k": 2.5}, "k must be a whole number, got 2.5"),
    ({"k": 501}, r"k must lie in \[1, 500\], the number of items, got 501"),
    ({"seen": "train"}, "seen must be Interactions, a CSR matrix .* got str"),
    ({"seen": 3}, "seen must be Interactions, .* got int"),
    ({"seen": np.zeros((600, 500))}, "seen must be Interactions, .* got ndarray"),
    ({"seen": scipy.sparse.coo_array((600, 500))}, r"\(.tocsr\(\) makes one\) .* got a coo matrix"),
    ({"seen": scipy.sparse.csr_array((5, 500))}, r"seen must have shape \(600, 500\), .* got \(5, 500\)"),
    ({"seen": Interactions([0], [500])}, r"seen.item must lie in \[0, 500\)"),
    ({"seen": Interactions([600], [0])}, r"seen.user must lie in \[0, 600\)"),
    ({"items": [500]}, r"items must lie in \[0, 500\)"),
    ({"items": [0.5]}, "items is float64"),
    ({"length": [1.0]}, "length must have 500 entries, one per row of the table, got 1"),
    ({"length": np.full(500, -1.0)}, "length must be finite and >= 0$"),
    ({"length": np.full(500, np.nan)}, "length must be finite and >= 0"),
    ({"length": ["a"] * 500}, "length must hold numbers"),
    ({"length": np.ones(500) * 1j}, "length must hold numbers, none missing, got complex128"),
    ({"length": pd.Series(np.ones(500), index=range(499, -1, -1))}, "length is labelled, and its labels are not"),
    ({"length": np.ones(500), "cosine": True}, "length must be None with cosine=True"),
    ({"length": np.ones(500), "criterion": MACR(4)}, "length must be None with MACR"),
    ({"criterion": "macr"}, "criterion must be a loss of prismlib or None, got str"),
    ({"criterion": MACR(5)}, "MACR has dim 5, the item table 4: give MACR its dim"),
]


@pytest.mark.parametrize(("bad", "message"), BAD, ids=lambda value: str(value)[:40])
def test_bad_input_is_one_clear_line(bad: dict[str, Any], message: str) -> None:
    model = MF(USERS, ITEMS, 4)
    with pytest.raises(ValueError, match=message) as caught:
        recommend(model, **(GOOD | bad))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (torch.ones(3, 2), "model must be a Backbone or the pair"),
        (torch.nn.Linear(2, 2), "model must be a Backbone or the pair"),
        ((torch.ones(3, 2), torch.ones(4, 3)), r"one dimension d, .* got \(3, 2\) on cpu and \(4, 3\) on cpu"),
        ((torch.ones(3, 2), torch.ones(4)), "the item table must be 2-D"),
        ((torch.ones(3, 2, dtype=torch.int64), torch.ones(4, 2)), "the user table must be a floating-point tensor"),
        ((torch.ones(3, 2), torch.ones(5, 2) / 0), "the embeddings of the items are not finite"),
        ((torch.ones(3, 2) * torch.nan, torch.ones(5, 2)), "the embeddings of the users are not finite"),
        (MF(3, 5, 2).to("meta"), "the user table is on the meta device"),
    ],
)
def test_what_is_no_model_is_one_clear_line(model: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        recommend(model, [0], k=2)
