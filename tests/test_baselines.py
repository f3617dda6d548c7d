"""Debiasing baselines against loops written from their formulas, on cases small enough to check by hand."""

import math
import statistics

import pytest
import torch

from prismlib import MF, FullRanking, Interactions, fit, popularity_groups, random_split, synthetic
from prismlib.baselines import (
    IPL,
    MACR,
    MACR_STARTS,
    ReSN,
    _deviation,
    _ratios,
    ipl_penalty,
    resn_penalty,
    resn_penalty_batch,
)
from prismlib.losses import bpr_loss


def rows(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


SCORE = torch.tensor([1.0, -2.0, 0.5, 3.0, 0.0], dtype=torch.float64)
ITEM, POPULARITY, B = torch.tensor([2, 0, 2, 1, 0]), torch.tensor([5, 2, 9]), 1.285


def test_ipl_as_released_puts_scores_on_wrong_items() -> None:
    # counts 2, 1, 2 of items 0, 1, 2 cut the scores as they come
    sums = {0: sigmoid(1) + sigmoid(-2), 1: sigmoid(0.5), 2: sigmoid(3) + sigmoid(0)}
    ratios = [sums[i] / POPULARITY[i].item() ** (2 - B) for i in range(3)]
    assert ipl_penalty(SCORE, ITEM, POPULARITY, B, released=True).item() == pytest.approx(statistics.stdev(ratios))
    order = ITEM.argsort(stable=True)
    sorted_first = ipl_penalty(SCORE[order], ITEM[order], POPULARITY, B, released=True)
    torch.testing.assert_close(sorted_first, ipl_penalty(SCORE, ITEM, POPULARITY, B))


@pytest.mark.parametrize("released", [False, True])
@pytest.mark.parametrize("item", [ITEM, torch.tensor([1, 1, 1, 1, 1]), torch.tensor([2, 1, 2, 1, 2])])
def test_ipl_in_the_shape_of_the_batch_as_on_a_gpu(item: torch.Tensor, released: bool) -> None:
    here, there = (SCORE.clone().requires_grad_() for _ in range(2))
    expected = ipl_penalty(here, item, POPULARITY, B, released)
    deviation = _deviation(*_ratios(there, item, POPULARITY, B, released, len(item)))
    torch.testing.assert_close(deviation, expected)
    torch.testing.assert_close(*(torch.autograd.grad(x, s)[0] for x, s in ((deviation, there), (expected, here))))


def test_ipl_adds_its_penalty_to_bpr() -> None:
    u, i, j = rows(5, 3, seed=0), rows(5, 3, seed=1), rows(5, 1, 3, seed=2)
    score, other = (u * i).sum(1), (u * j[:, 0]).sum(1)
    expected = bpr_loss(u, i, j) + 0.7 * ipl_penalty(score, ITEM, POPULARITY, B)
    torch.testing.assert_close(IPL(POPULARITY, 0.7, B)(u, i, j, item_id=ITEM), expected)
    # as released: positives and negatives are ten values, cut by the counts of their items together
    negative_id = torch.tensor([1, 1, 3, 0, 2])
    listed, popularity = torch.cat([ITEM, negative_id]), torch.cat([POPULARITY, torch.tensor([0])])
    penalty = ipl_penalty(torch.cat([score, other]), listed, popularity, B, released=True)
    loss = IPL(popularity, 0.7, B, "released")(u, i, j, item_id=ITEM, negative_id=negative_id[:, None])
    torch.testing.assert_close(loss, bpr_loss(u, i, j) + 0.7 * penalty)
    # items 0, 1, 2, 3 are listed 3, 3, 3, 1 times; a negative that nobody trains on counts as one of popularity 1
    values, degrees = torch.cat([score, other]).sigmoid(), [5, 2, 9, 1]
    sums = [part.sum().item() for part in values.split([3, 3, 3, 1])]
    ratios = [total / degree ** (2 - B) for total, degree in zip(sums, degrees, strict=True)]
    assert penalty.item() == pytest.approx(statistics.stdev(ratios))


def test_ipl_in_its_authors_form_steps_once_an_epoch_on_all_pairs() -> None:
    split = random_split(synthetic(60, 50, 700), seed=3)
    popularity = torch.from_numpy(split.item_popularity)
    user, item = (torch.as_tensor(ids).long() for ids in split.train)

    def train(c: float) -> MF:
        model = MF(60, 50, 4, generator=torch.Generator().manual_seed(0))
        ranking = FullRanking(split.validation, [split.train], popularity_groups(popularity), 60)
        fit(model, IPL(popularity, c, B, "epoch"), split.train, ranking, optimizer="sgd", lr=0.5, max_epochs=1)
        return model

    # one epoch of plain SGD on one batch, then the gradient of the penalty where that ended
    without, with_penalty = train(0.0), train(2.0)
    score = (without.user.weight[user] * without.item.weight[item]).sum(1)
    ipl_penalty(score, item, popularity, B).backward()
    expected = without.item.weight.detach() - 0.5 * 2.0 * without.item.weight.grad
    torch.testing.assert_close(with_penalty.item.weight.detach(), expected)
    assert not torch.equal(without.item.weight, with_penalty.item.weight)


def test_resn_of_a_batch_is_bounded_by_the_spectral_norm_that_it_estimates() -> None:
    u, i = rows(4, 3, seed=0), rows(4, 3, seed=1)
    assert 0 < resn_penalty_batch(u, i) <= torch.linalg.matrix_norm(u @ i.T, 2) ** 2 * (1 + 1e-12)


def test_resn_holds_its_direction_constant() -> None:
    u, v = rows(4, 3, seed=0).requires_grad_(), rows(6, 3, seed=1)
    (gradient,) = torch.autograd.grad(resn_penalty(u, v), u)
    y = (u @ v.T).sigmoid()
    q = torch.nn.functional.normalize(y.sum(0), dim=0).detach()
    torch.testing.assert_close(gradient, torch.autograd.grad((y @ q).square().sum(), u)[0])


def test_resn_adds_its_penalty_to_bpr() -> None:
    u, i, j, table = rows(5, 3, seed=0), rows(5, 3, seed=1), rows(5, 1, 3, seed=2), rows(7, 3, seed=3)
    ids = {"user_id": torch.arange(5), "item_id": torch.arange(5), "negative_id": torch.arange(5, 10)[:, None]}
    expected = bpr_loss(u, i, j) + 0.3 * resn_penalty_batch(u, torch.cat([i, j[:, 0]]))
    torch.testing.assert_close(ReSN(0.3)(u, i, j, **ids), expected)
    expected = bpr_loss(u, i, j) + 0.3 * resn_penalty(u, table)
    torch.testing.assert_close(ReSN(0.3, lambda: table)(u, i, j, **ids), expected)


def test_resn_takes_each_row_of_the_batch_once() -> None:
    users, items = rows(50, 8, seed=0), rows(70, 8, seed=1)
    draw = torch.Generator().manual_seed(2)
    user_id, item_id, negative_id = (torch.randint(size, (200,), generator=draw) for size in (50, 70, 70))
    ids = {"user_id": user_id, "item_id": item_id, "negative_id": negative_id[:, None]}
    u, i, j = users[user_id], items[item_id], items[negative_id][:, None]
    listed = torch.cat([item_id, negative_id]).unique()
    once = resn_penalty_batch(users[user_id.unique()], items[listed])
    torch.testing.assert_close(ReSN(1.0)(u, i, j, **ids), bpr_loss(u, i, j) + once)
    # pairs with repeats give several times as much, and the more the larger the batch
    assert resn_penalty_batch(u, i) > 5 * once
    # a second copy of the batch adds no row
    twice = {name: torch.cat([column, column]) for name, column in ids.items()}
    again = ReSN(1.0)(*(torch.cat([part, part]) for part in (u, i, j)), **twice)
    torch.testing.assert_close(again, bpr_loss(u, i, j) + once)
    # so do the users in the form of ReSN's authors
    once = resn_penalty(users[user_id.unique()], items)
    torch.testing.assert_close(ReSN(1.0, lambda: items)(u, i, j, **ids), bpr_loss(u, i, j) + once)


def test_macr_can_start_xavier_normal() -> None:
    drawn = {start: MACR(4000, generator=torch.Generator().manual_seed(0), start=start) for start in MACR_STARTS}
    spread = math.sqrt(2 / 4001)
    for start, loss in drawn.items():
        assert loss.item_branch.std().item() == pytest.approx(spread, rel=0.05), start
    # a uniform draw has a largest value, a normal one goes on
    largest = {start: loss.item_branch.abs().max().item() / spread for start, loss in drawn.items()}
    assert largest["uniform"] <= math.sqrt(3) < 3 < largest["normal"]


@pytest.mark.parametrize("c", [1.0, 40.0])
def test_macr_ranks_by_its_own_rule(c: float) -> None:
    users, items = rows(6, 4, seed=0), rows(30, 4, seed=1)
    loss = MACR(4, c=c).double()
    y_u, y_i = (users @ loss.user_branch).sigmoid(), (items @ loss.item_branch).sigmoid()
    expected = ((users @ items.T - c) * y_i.T * y_u).topk(5).indices
    first = torch.arange(6)
    held_out = Interactions(first.numpy(), expected[:, 2].numpy())
    ranking = FullRanking(held_out, [], popularity_groups(torch.ones(30)), 6, k=5)
    with torch.no_grad():
        assert torch.equal(ranking.lists(*loss.rank_tables(users, items))["dot"], expected)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: IPL(POPULARITY, -1, 1), "c must be >= 0"),
        (lambda: IPL(POPULARITY, 1, 1, "all"), "form must be one of batch, epoch, released"),
        (lambda: IPL(POPULARITY, math.nan, 1), "c must be >= 0"),
        (lambda: MACR(2, start="zero"), "start must be one of uniform, normal"),
        (lambda: ReSN(1)(torch.ones(1, 2), torch.ones(1, 2), torch.ones(1, 1, 2)), "ReSN needs user_id and item_id"),
        (lambda: IPL(-POPULARITY, 1, 1), "popularity must be finite and >= 0"),
        (
            lambda: ipl_penalty(torch.ones(2), torch.tensor([0, 1]), torch.tensor([1, 0]), B),
            "popularity is 0 for an item in item_id",
        ),
        (lambda: ReSN(-1), "beta must be >= 0"),
        (lambda: MACR(2, alpha=-1), "alpha must be >= 0, got -1"),
        (lambda: IPL(POPULARITY, 1, 1)(torch.ones(1, 2), torch.ones(1, 2)), "IPL needs negative"),
        (lambda: ReSN(1)(torch.ones(1, 2), torch.ones(1, 2)), "ReSN needs negative"),
        (lambda: MACR(2)(torch.ones(1, 2), torch.ones(1, 2)), "MACR needs negative"),
    ],
)
def test_bad_input(make, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("number", [math.nan, math.inf, "1"])
def test_numbers_that_are_none_are_refused(number: object) -> None:
    for call in (
        lambda: IPL(POPULARITY, number, 1),
        lambda: IPL(POPULARITY, 1, number),
        lambda: ReSN(number),
        lambda: MACR(2, alpha=number),
        lambda: MACR(2, beta=number),
        lambda: MACR(2, c=number),
        lambda: ipl_penalty(SCORE, ITEM, POPULARITY, number),
    ):
        with pytest.raises(ValueError, match=r"^(c|b|alpha|beta) must be"):
            call()


def test_ids_and_tables_that_do_not_fit_are_refused() -> None:
    u, j = torch.ones(3, 2), torch.ones(3, 1, 2)
    ids = {"user_id": torch.arange(3), "item_id": torch.arange(3), "negative_id": torch.arange(3)[:, None]}
    for call, message in (
        (lambda: ipl_penalty(SCORE, ITEM[:3], POPULARITY, B), r"item_id must have shape \(5,\), got \(3,\)"),
        (lambda: ipl_penalty(SCORE, ITEM / 1, POPULARITY, B), "item_id is float32, but must be integers"),
        (lambda: ipl_penalty(SCORE, ITEM, POPULARITY[:2], B), "popularity has 2 entries, item_id names item 2"),
        (lambda: ReSN(1)(u, u, j, **ids | {"negative_id": j}), "negative_id is float32, but must be integers"),
        (lambda: ReSN(1)(u, u, j, **ids | {"user_id": torch.arange(2)}), r"user_id must have shape"),
        (lambda: resn_penalty(u, torch.ones(4, 3)), "the rows must have one length d"),
        (lambda: resn_penalty_batch(u[0], u), r"user must have shape \(n, d\)"),
        (lambda: MACR(3)(u, u, j), "must have 3 dimensions as MACR has, got 2"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_resn_of_scores_that_vanish_is_zero() -> None:
    for scale in (0.0, 1e-12):
        u = (torch.eye(3) * scale).requires_grad_()
        penalty = resn_penalty_batch(u, torch.eye(3) * scale)
        penalty.backward()
        assert penalty == 0 and not u.grad.any()


def test_ipl_and_resn_take_ids_of_every_integer_dtype() -> None:
    u, i, j = rows(5, 3, seed=0), rows(5, 3, seed=1), rows(5, 1, 3, seed=2)
    ids = {"user_id": torch.tensor([0, 0, 1, 2, 1]), "item_id": ITEM, "negative_id": ITEM[:, None]}
    for dtype in (torch.int32, torch.int16, torch.uint8):
        small = {name: column.to(dtype) for name, column in ids.items()}
        for loss in (IPL(POPULARITY, 1.0, B), ReSN(0.1)):
            assert torch.equal(loss(u, i, j, **small), loss(u, i, j, **ids))
