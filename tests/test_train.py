"""The training step against Adam worked by hand; early stopping; the same seed, the same bits."""

import math

import numpy as np
import pytest
import torch

from prismlib import (
    BPR,
    MF,
    DirectAU,
    FullRanking,
    Interactions,
    RankingLoss,
    Split,
    fit,
    popularity_groups,
    random_split,
    synthetic,
    train_step,
)
from prismlib.debias import MACR


@pytest.fixture(scope="module")
def split() -> Split:
    return random_split(synthetic(200, 100, 4000), seed=1)


def ranking(split: Split) -> FullRanking:
    groups = popularity_groups(torch.from_numpy(split.item_popularity))
    return FullRanking(split.validation, [split.train], groups, split.dataset.num_users)


def mf(split: Split, seed: int = 0) -> MF:
    return MF(split.dataset.num_users, split.dataset.num_items, 8, torch.Generator().manual_seed(seed))


class PullUp(RankingLoss):
    """A loss with gradient -1 on every coordinate of the batch's users and 0 elsewhere."""

    def forward(self, user, item, negative=None, **ids):  # type: ignore[no-untyped-def]
        return -user.sum() + 0 * item.sum()


def test_weight_decay_is_adams_on_every_row_of_both_tables() -> None:
    model, lr, decay = MF(3, 2, 1), 0.1, 0.5
    with torch.no_grad():
        model.user.weight.copy_(torch.tensor([[2.0], [3.0], [0.0]]))
        model.item.weight.copy_(torch.tensor([[-1.0], [4.0]]))
    optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=decay, fused=True)
    generator = torch.Generator().manual_seed(0)

    # by hand: gradient = loss + decay * w, coupled, before the moments; rows out of the batch have decay alone
    value = {"in": 2.0, "out": 3.0, "item": 4.0}
    first, second = dict.fromkeys(value, 0.0), dict.fromkeys(value, 0.0)
    for step in (1, 2, 3):
        train_step(model, PullUp(), optimizer, torch.tensor([0]), torch.tensor([0]), 2, generator)
        for row, loss_gradient in (("in", -1.0), ("out", 0.0), ("item", 0.0)):
            gradient = loss_gradient + decay * value[row]
            first[row] = 0.9 * first[row] + 0.1 * gradient
            second[row] = 0.999 * second[row] + 0.001 * gradient**2
            value[row] -= lr * (first[row] / (1 - 0.9**step)) / (math.sqrt(second[row] / (1 - 0.999**step)) + 1e-8)
    assert model.user.weight.flatten().tolist() == pytest.approx([value["in"], value["out"], 0.0], rel=1e-5)
    assert model.item.weight[1].item() == pytest.approx(value["item"], rel=1e-5)


@pytest.mark.parametrize(
    ("scope", "expected"), [("table", [True, True]), ("batch", [True, False]), ("decoupled", [True, True])]
)
def test_what_each_decay_scope_acts_on(split: Split, scope: str, expected: list[bool]) -> None:
    """One epoch of one batch of two pairs: does decay change the rows in the batch, and those out of it?"""
    two = Interactions(np.array([3, 4], np.int32), np.array([7, 8], np.int32))

    def train(decay: float) -> torch.Tensor:
        model = mf(split)
        fit(model, DirectAU(), two, ranking(split), weight_decay=decay, decay_scope=scope, max_epochs=1)
        return model.user.weight.detach()

    # strong: Adam's first step has the size of lr, whatever the gradient's, and only its sign can change
    moved = (train(0.0) - train(1e3)).abs().amax(1) > 1e-6
    inside = torch.isin(torch.arange(len(moved)), torch.tensor([3, 4]))
    assert [bool(moved[inside].all()), bool(moved[~inside].any())] == expected


def test_batch_decay_is_coupled_and_counts_a_repeated_row_once() -> None:
    model, lr, decay = MF(3, 2, 1), 0.1, 0.5
    with torch.no_grad():
        model.user.weight.copy_(torch.tensor([[2.0], [3.0], [1.0]]))
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    pairs = torch.tensor([0, 0]), torch.tensor([1, 1])
    train_step(model, PullUp(), optimizer, *pairs, 2, torch.Generator(), batch_decay=decay)
    assert model.user.weight.flatten().tolist() == pytest.approx([2 - lr * (-2 + decay * 2), 3, 1])


def test_decoupled_decay_is_adamws() -> None:
    model = MF(3, 2, 1)
    start = model.user.weight.detach().clone()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.5, fused=True)
    train_step(model, PullUp(), optimizer, torch.tensor([0]), torch.tensor([0]), 2, torch.Generator())
    assert model.user.weight[1].item() == pytest.approx(start[1].item() * (1 - 0.1 * 0.5))
    assert model.user.weight[0].item() == pytest.approx(start[0].item() * (1 - 0.1 * 0.5) + 0.1, rel=1e-5)


@pytest.mark.parametrize("criterion", [BPR(), DirectAU(1.0)])
def test_same_seed_same_bits_other_seed_other_bits(split: Split, criterion: RankingLoss) -> None:
    def train(seed: int) -> MF:
        model = mf(split)
        fit(model, criterion, split.train, ranking(split), batch_size=500, max_epochs=3, seed=seed)
        return model

    one, two, other = train(5), train(5), train(6)
    assert torch.equal(one.user.weight, two.user.weight) and torch.equal(one.item.weight, two.item.weight)
    assert not torch.equal(one.item.weight, other.item.weight)


def test_training_learns_and_restores_the_best_epoch(split: Split) -> None:
    model, validation = mf(split), ranking(split)
    untrained = validation(*model.embeddings())["dot"]["ndcg"]
    history = fit(model, BPR(), split.train, validation, lr=0.03, batch_size=500, max_epochs=200, patience=3)
    assert history.stopped_by == "patience"
    assert len(history.loss) == history.best_epoch + 1 + 3
    assert max(history.validation_dot) == history.validation_dot[history.best_epoch] > 2 * untrained
    assert validation(*model.embeddings())["dot"]["ndcg"] == history.validation_dot[history.best_epoch]
    assert history.loss[-1] < history.loss[0]


def test_the_best_epochs_loss_parameters_are_restored_too(split: Split) -> None:
    model, validation = mf(split), ranking(split)
    criterion = MACR(8, generator=torch.Generator().manual_seed(0))
    history = fit(model, criterion, split.train, validation, lr=0.03, batch_size=500, max_epochs=200, patience=3)
    with torch.no_grad():
        again = validation(*criterion.rank_tables(*model.embeddings()))["dot"]["ndcg"]
    assert again == history.validation_dot[history.best_epoch] > history.validation_dot[-1]


def test_every_interaction_is_used_once_an_epoch(split: Split) -> None:
    seen = []

    class Spy(BPR):
        def forward(self, user, item, negative=None, **ids):  # type: ignore[no-untyped-def]
            seen.append((ids["user_id"], ids["item_id"]))
            assert negative.shape == (len(user), 1, 8)
            return super().forward(user, item, negative)

    fit(mf(split), Spy(), split.train, ranking(split), batch_size=700, max_epochs=2)
    n = len(split.train.user)
    first, second = (torch.cat([u * 100 + i for u, i in seen[part]]) for part in (slice(0, 5), slice(5, 10)))
    expected = np.sort(split.train.user.astype(np.int64) * 100 + split.train.item)
    assert len(first) == n and torch.equal(first.sort().values, torch.from_numpy(expected))
    assert torch.equal(second.sort().values, first.sort().values) and not torch.equal(first, second)


def orders(split: Split, **switches: object) -> list[list[tuple[int, int, int]]]:
    """The (user, item, negative) triples of each of two epochs, in the order of training."""
    seen: list[tuple[int, int, int]] = []

    class Spy(BPR):
        def forward(self, user, item, negative=None, **ids):  # type: ignore[no-untyped-def]
            drawn = torch.cdist(negative[:, 0], model.item.weight).argmin(1)
            seen.extend(zip(ids["user_id"].tolist(), ids["item_id"].tolist(), drawn.tolist(), strict=True))
            return super().forward(user, item, negative)

    model = mf(split)
    fit(model, Spy(), split.train, ranking(split), batch_size=300, max_epochs=2, **switches)  # type: ignore[arg-type]
    n = len(split.train.user)
    return [seen[:n], seen[n:]]


def test_without_reshuffling_every_epoch_has_the_same_batches(split: Split) -> None:
    first, second = ([triple[:2] for triple in epoch] for epoch in orders(split, reshuffle=False))
    assert first == second
    first, second = ([triple[:2] for triple in epoch] for epoch in orders(split))
    assert first != second


def test_negatives_of_the_batch_are_items_of_the_batch(split: Split) -> None:
    for negatives, expected in (("batch", True), ("all", False)):
        epoch = orders(split, negatives=negatives)[0]
        blocks = [epoch[start : start + 300] for start in range(0, len(epoch), 300)]
        inside = [{item for _, item, _ in block} >= {negative for *_, negative in block} for block in blocks]
        assert all(inside) == expected


def test_on_epoch_can_stop(split: Split) -> None:
    history = fit(mf(split), BPR(), split.train, ranking(split), on_epoch=lambda h: len(h.loss) == 2)
    assert (len(history.loss), history.stopped_by) == (2, "on_epoch")


def test_an_unknown_decay_scope_is_refused(split: Split) -> None:
    with pytest.raises(ValueError, match="decay_scope must be one of table, batch, decoupled, got 'rows'"):
        fit(mf(split), BPR(), split.train, ranking(split), decay_scope="rows")


def test_unknown_negatives_are_refused(split: Split) -> None:
    with pytest.raises(ValueError, match="negatives must be one of all, batch, got 'hard'"):
        fit(mf(split), BPR(), split.train, ranking(split), negatives="hard")


def test_a_loss_that_is_not_finite_is_reported(split: Split) -> None:
    model = mf(split)
    with torch.no_grad():
        model.user.weight[0, 0] = torch.nan
    with pytest.raises(FloatingPointError, match="epoch 0: lower lr"):
        fit(model, BPR(), split.train, ranking(split))
