"""The training step against Adam worked by hand; early stopping; the same seed, the same bits."""

import contextlib
import math

import numpy as np
import pytest
import torch

from prismlib import (
    BPR,
    MAWU,
    MF,
    SSM,
    DirectAU,
    FullRanking,
    History,
    Interactions,
    LightGCN,
    NonLinearMF,
    RankingLoss,
    Split,
    fit,
    popularity_groups,
    random_split,
    synthetic,
    train_step,
)
from prismlib._device import training_bytes
from prismlib.baselines import IPL, MACR, ReSN
from prismlib.optim import RowWiseAdagrad, make_optimizer


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
    model = MF(3, 2, 1, torch.Generator().manual_seed(0))
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


def test_bfloat16_is_for_the_steps_alone_and_close_to_float32(split: Split) -> None:
    scores = {}
    for precision in ("float32", "bfloat16"):
        model = mf(split)
        history = fit(
            model, DirectAU(), split.train, ranking(split), lr=0.01, batch_size=500, max_epochs=3, precision=precision
        )
        assert all(p.dtype == torch.float32 for p in model.parameters())
        scores[precision] = history.validation_dot
    assert scores["bfloat16"] != scores["float32"]
    assert scores["bfloat16"] == pytest.approx(scores["float32"], abs=0.01)


def test_on_epoch_can_stop(split: Split) -> None:
    history = fit(mf(split), BPR(), split.train, ranking(split), on_epoch=lambda h: len(h.loss) == 2)
    assert (len(history.loss), history.stopped_by) == (2, "on_epoch")


def test_sgd_is_the_theorys_update(split: Split) -> None:
    two = Interactions(np.array([3], np.int32), np.array([7], np.int32))
    model, lr, decay = mf(split), 0.1, 0.5
    user, item = (table.detach().double().clone() for table in model.embeddings())
    fit(model, DirectAU(), two, ranking(split), lr=lr, weight_decay=decay, optimizer="sgd", max_epochs=1)
    u, i = user[3], item[7]  # alignment's gradient is twice the cosine's; a single row has no uniformity
    pull = 2 / i.norm() * (u / u.norm() - torch.cosine_similarity(u, i, 0) * i / i.norm())
    torch.testing.assert_close(model.item.weight[7].double(), (1 - lr * decay) * i + lr * pull, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(model.item.weight[8].double(), (1 - lr * decay) * item[8], rtol=1e-5, atol=1e-7)


def test_sparse_adam_leaves_rows_out_of_the_batch_alone_and_makes_adams_first_step(split: Split) -> None:
    two = Interactions(np.array([3, 4, 3], np.int32), np.array([7, 8, 8], np.int32))

    def train(optimizer: str) -> tuple[torch.Tensor, torch.Tensor]:
        model = MF(200, 100, 8, torch.Generator().manual_seed(0), sparse=optimizer == "sparse_adam")
        start = model.item.weight.detach().clone()
        fit(model, DirectAU(), two, ranking(split), optimizer=optimizer, max_epochs=1, lr=0.1)
        return start, model.item.weight.detach()

    (start, sparse), (_, dense) = train("sparse_adam"), train("adam")
    torch.testing.assert_close(sparse, dense)
    assert torch.equal((sparse != start).any(1).nonzero().flatten(), torch.tensor([7, 8]))


def test_sparse_adam_trains_the_dense_parameters_too(split: Split) -> None:
    model = NonLinearMF(200, 100, 8, generator=torch.Generator().manual_seed(0), sparse=True)
    criterion = MAWU(200, 100, generator=torch.Generator().manual_seed(1))
    before = {name: value.clone() for name, value in [*model.named_parameters(), *criterion.named_parameters()]}
    fit(model, criterion, split.train, ranking(split), optimizer="sparse_adam", batch_size=500, max_epochs=1)
    for name, value in [*model.named_parameters(), *criterion.named_parameters()]:
        assert not torch.equal(value, before[name]), name


NO_ROWS = Interactions(np.array([], np.int32), np.array([], np.int32))


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"decay_scope": "rows"}, "decay_scope must be one of table, batch, decoupled, got 'rows'"),
        ({"negatives": "hard"}, "negatives must be one of all, batch, got 'hard'"),
        ({"precision": "tf32"}, "precision must be one of float32, bfloat16, got 'tf32'"),
        (
            {"optimizer": "adagrad"},
            "optimizer must be one of adam, sgd, sgd_momentum, rowwise_adagrad, sparse_adam, row_adam, got 'adagrad'",
        ),
        ({"optimizer": "sparse_adam"}, r"optimizer='sparse_adam' needs tables with sparse gradients: MF\(..., sparse"),
        ({"optimizer": "sgd", "decay_scope": "decoupled"}, "decay_scope must be table or batch for optimizer='sgd'"),
        ({"lr": 0.0}, "lr must be > 0, got 0.0"),
        ({"lr": math.nan}, "lr must be > 0, got nan"),
        ({"weight_decay": -1e-6}, "weight_decay must be >= 0, got -1e-06"),
        ({"batch_size": 0}, "batch_size must be >= 1, got 0"),
        ({"max_epochs": 0}, "max_epochs must be >= 1, got 0"),
        ({"patience": 0}, "patience must be >= 1, got 0"),
        ({"train": NO_ROWS}, "train is empty"),
        (
            {"train": Interactions(np.array([200]), np.array([0]))},
            r"train.user must lie in \[0, 200\), the table.s rows",
        ),
        (
            {"train": Interactions(np.array([0]), np.array([-1]))},
            r"train.item must lie in \[0, 100\), the table.s rows",
        ),
        ({"train": (np.arange(9), np.arange(9))}, r"train must be Interactions, got tuple: Interactions\(user, item\)"),
        ({"lr": math.inf}, "lr must be finite, got inf"),
        ({"weight_decay": math.inf}, "weight_decay must be finite, got inf"),
        ({"lr": "0.1"}, "lr must be > 0, got '0.1'"),
        ({"batch_size": 2.5}, "batch_size must be a whole number, got 2.5"),
        ({"max_epochs": True}, "max_epochs must be a whole number, got True"),
        ({"seed": 1.5}, "seed must be a whole number, got 1.5"),
        ({"model": MF(200, 100, 8).requires_grad_(False)}, "have nothing to train: requires_grad is False everywhere"),
        ({"criterion": SSM(num_negatives=101)}, "num_negatives must be <= 100, the number of items, got 101"),
        ({"model": MF(200, 99, 8)}, "validation ranks 100 items, the model has 99"),
        ({"model": MF(201, 100, 8)}, "validation ranks 200 users, the model has 201"),
        ({"criterion": MACR(8).to("meta")}, "criterion.user_branch is on meta, the model on cpu"),
        ({"criterion": IPL(torch.ones(100), 1.0, 1.0).to("meta")}, "criterion.popularity is on meta, the model on cpu"),
    ],
)
def test_bad_input_is_refused_before_training(split: Split, argument: dict[str, object], message: str) -> None:
    def never(_: object) -> None:
        raise AssertionError("an epoch was trained")

    arguments = {"model": mf(split), "criterion": BPR(), "train": split.train, "validation": ranking(split)}
    with pytest.raises(ValueError, match=message):
        fit(**{**arguments, "on_epoch": never, **argument})  # type: ignore[arg-type]


def test_a_ranking_on_another_device_is_refused_before_training(split: Split) -> None:
    validation = ranking(split)
    validation.users = validation.users.to("meta")
    with pytest.raises(ValueError, match="validation is on meta, the model on cpu: all must be on one device"):
        fit(mf(split), BPR(), split.train, validation)


def test_a_step_refuses_unknown_negatives() -> None:
    model = MF(3, 2, 1)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(ValueError, match="negatives must be one of all, batch, got 'hard'"):
        train_step(model, BPR(), sgd, torch.tensor([0]), torch.tensor([0]), 2, torch.Generator(), negatives="hard")


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "sparse_adam"])
def test_parameters_that_model_and_loss_share_are_stepped_once(split: Split, optimizer: str) -> None:
    def train(share: bool) -> torch.Tensor:
        model = MF(200, 100, 8, torch.Generator().manual_seed(0), sparse=optimizer == "sparse_adam")
        criterion = BPR()
        if share:
            criterion.table = model.item
        fit(model, criterion, split.train, ranking(split), optimizer=optimizer, lr=0.01, max_epochs=1)
        return model.item.weight.detach()

    assert torch.equal(train(share=True), train(share=False))


def test_other_combinations_of_optimisers_are_refused() -> None:
    with pytest.raises(ValueError, match="weight_decay must be 0 for optimizer='sparse_adam'"):
        make_optimizer("sparse_adam", [MF(2, 2, 2, sparse=True)], 1e-3, 1e-6)
    with pytest.raises(
        ValueError, match=r"optimizer must be one of .*, rowwise_adagrad for a model with sparse=True, got 'adam'"
    ):
        make_optimizer("adam", [MF(2, 2, 2, sparse=True)], 1e-3)
    for name in ("sgd", "rowwise_adagrad"):
        with pytest.raises(ValueError, match="weight_decay must be 0 for a model with sparse=True, got 1e-06"):
            make_optimizer(name, [MF(2, 2, 2, sparse=True)], 1e-3, 1e-6)


def test_starting_values_that_are_not_finite_are_refused(split: Split) -> None:
    model = mf(split)
    with torch.no_grad():
        model.user.weight[0, 0] = torch.nan
    with pytest.raises(ValueError, match=r"model\.user has rows that are not finite"):
        fit(model, BPR(), split.train, ranking(split))


def test_a_loss_that_is_not_finite_is_reported(split: Split) -> None:
    with pytest.raises(FloatingPointError, match="epoch 1: lower lr"):
        fit(mf(split), BPR(), split.train, ranking(split), lr=1e30)


def test_embeddings_that_are_not_finite_are_reported(split: Split) -> None:
    """The last step of an epoch can spoil the tables without any loss that shows it."""

    class Burst(BPR):
        def epoch_loss(self, model, user_id, item_id):  # type: ignore[no-untyped-def]
            with torch.no_grad():
                model.item.weight[0] = torch.nan
            return None

    with pytest.raises(FloatingPointError, match="embeddings became inf or nan in epoch 0: lower lr"):
        fit(mf(split), Burst(), split.train, ranking(split))


@pytest.mark.parametrize("stop", [False, True])  # by an error
@pytest.mark.parametrize("given", [False, True])
def test_training_mode_is_for_the_steps_and_the_callers_modes_come_back(split: Split, given: bool, stop: bool) -> None:
    seen = []

    class WithDropout(MF):
        def __init__(self) -> None:
            super().__init__(200, 100, 8, torch.Generator().manual_seed(0))
            self.dropout = torch.nn.Dropout(0.5)

        def forward(self, user_id, item_id):  # type: ignore[no-untyped-def]
            seen.append(("step", self.dropout.training))
            user, item = super().forward(user_id, item_id)
            return self.dropout(user), item

        def embeddings(self):  # type: ignore[no-untyped-def]
            seen.append(("tables", self.dropout.training))
            return self.dropout(self.user.weight), self.item.weight

    class Spy(BPR):
        def forward(self, *rows, **ids):  # type: ignore[no-untyped-def]
            seen.append(("step", self.training))
            return super().forward(*rows, **ids)

        def rank_tables(self, user, item):  # type: ignore[no-untyped-def]
            seen.append(("tables", self.training))
            return user, item

    def on_epoch(history: History) -> None:
        if stop and len(history.loss) == 2:
            raise KeyboardInterrupt

    model, criterion = WithDropout().train(given), Spy().train(not given)
    with pytest.raises(KeyboardInterrupt) if stop else contextlib.nullcontext():
        fit(model, criterion, split.train, ranking(split), batch_size=4000, max_epochs=2, on_epoch=on_epoch)
    assert seen == 2 * [("step", True), ("step", True), ("tables", False), ("tables", False)]
    assert [model.training, model.dropout.training, criterion.training] == [given, given, not given]


def test_too_little_memory_is_said_before_training(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prismlib._device.free_bytes", lambda device: 10_000)
    with pytest.raises(MemoryError, match=r"needs about 0.0 GB on cpu, where 0.0 GB are free: lower batch_size"):
        fit(mf(split), BPR(), split.train, ranking(split))
    monkeypatch.setattr("prismlib._device.free_bytes", lambda device: None)  # a system that does not say
    fit(mf(split), BPR(), split.train, ranking(split), max_epochs=1)


def test_the_memory_estimate_bounds_what_the_tables_take_and_grows_with_the_batch(split: Split) -> None:
    model, loss = mf(split), SSM(num_negatives=10)
    tables = 4 * 8 * (200 + 100)
    small, large = (training_bytes(model, loss, 3200, size) for size in (100, 1000))
    assert small > 5 * tables  # weights, gradients, two moments, the best epoch's copy
    assert large - small == 4 * 900 * 12 * 8 * 4


@pytest.mark.parametrize("scope", ["batch", "table"])
@pytest.mark.parametrize("frozen", ["user", "item"])
def test_a_frozen_table_stays_and_the_other_one_trains(split: Split, scope: str, frozen: str) -> None:
    model = mf(split)
    getattr(model, frozen).weight.requires_grad_(False)
    before = {name: table.clone() for name, table in model.state_dict().items()}
    fit(model, BPR(), split.train, ranking(split), weight_decay=0.1, decay_scope=scope, max_epochs=1)
    for name, table in model.state_dict().items():
        assert torch.equal(table, before[name]) == name.startswith(frozen)


def test_decay_of_the_batchs_rows_refuses_sparse_gradients() -> None:
    model = MF(3, 2, 1, sparse=True)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    pairs = torch.tensor([0]), torch.tensor([0])
    with pytest.raises(ValueError, match="needs dense gradients: make the model with sparse=False"):
        train_step(model, BPR(), sgd, *pairs, 2, torch.Generator(), batch_decay=0.1)


@pytest.mark.parametrize(
    ("user", "item", "message"),
    [
        (torch.arange(3), torch.arange(2), r"item_id must have shape \(3,\), got \(2,\)"),
        (torch.arange(3), torch.arange(3)[:, None], r"item_id must have shape \(3,\), got \(3, 1\)"),
        (torch.arange(3)[:, None], torch.arange(3), r"user_id must have shape \(B,\), got \(3, 1\)"),
        (torch.arange(3) / 1, torch.arange(3), "user_id is float32, but must be integers"),
        (torch.arange(3), torch.arange(3) > 1, "item_id is bool, but must be integers"),
    ],
)
def test_a_step_refuses_columns_that_do_not_fit(user: torch.Tensor, item: torch.Tensor, message: str) -> None:
    model = MF(3, 3, 2)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(ValueError, match=message):
        train_step(model, BPR(), sgd, user, item, 3, torch.Generator())


@pytest.mark.parametrize("criterion", [BPR(), SSM(num_negatives=2), DirectAU()])
@pytest.mark.parametrize("dtype", [torch.int32, torch.int16, torch.uint8])
def test_ids_of_every_integer_dtype_train_alike(criterion: RankingLoss, dtype: torch.dtype) -> None:
    tables = []
    for cast in (torch.int64, dtype):
        model = MF(5, 6, 4, torch.Generator().manual_seed(0))
        sgd = torch.optim.SGD(model.parameters(), lr=0.1)
        pairs = torch.tensor([0, 3, 3]).to(cast), torch.tensor([5, 1, 2]).to(cast)
        train_step(model, criterion, sgd, *pairs, 6, torch.Generator().manual_seed(1), batch_decay=0.1)
        tables.append(model.item.weight)
    assert torch.equal(*tables)


def test_small_changes_of_a_loss_are_seen_in_bfloat16(split: Split) -> None:
    losses = {}
    for precision in ("float32", "bfloat16"):
        model = NonLinearMF(200, 100, 8, generator=torch.Generator().manual_seed(0))
        history = fit(
            model, BPR(), split.train, ranking(split), lr=1e-5, batch_size=500, max_epochs=3, precision=precision
        )
        losses[precision] = history.loss
    assert len(set(losses["bfloat16"])) == 3
    # half a unit of bfloat16 at 0.69 is 0.002
    assert losses["bfloat16"] == pytest.approx(losses["float32"], abs=2e-4)


def test_training_under_another_default_dtype(split: Split) -> None:
    torch.set_default_dtype(torch.float64)
    try:
        for model in (mf(split), NonLinearMF(200, 100, 8), LightGCN(200, 100, split.train, 8)):
            for criterion in (BPR(), SSM(), DirectAU(), MAWU(200, 100), MACR(8), ReSN(0.01)):
                history = fit(model, criterion, split.train, ranking(split), batch_size=1000, max_epochs=1)
                assert math.isfinite(history.loss[0])
                assert all(table.dtype == torch.float64 for table in model.embeddings())
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("kind", [SSM, BPR])
def test_a_subclass_with_a_forward_of_its_own_is_trained_by_it(kind: type[SSM] | type[BPR]) -> None:
    class Shifted(kind):  # type: ignore[valid-type, misc]
        def forward(self, user, item, negative=None, **ids):  # type: ignore[no-untyped-def]
            return super().forward(user, item, negative) + 100

    class ByScores(Shifted):
        def from_scores(self, scores: torch.Tensor) -> torch.Tensor:
            return scores.sum() * 0

    pairs = torch.tensor([0, 1]), torch.tensor([2, 0])
    for device in ("cpu", "cuda"):
        assert not Shifted().uses_scores(torch.device(device)) and not ByScores().uses_scores(torch.device(device))
    assert kind().uses_scores(torch.device("cuda"))
    model = MF(2, 3, dim=4, generator=torch.Generator().manual_seed(0))
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    assert train_step(model, Shifted(), sgd, *pairs, num_items=3, generator=torch.Generator()) > 100
    # its forward, of the scores that its own from_scores makes a loss of
    assert train_step(model, ByScores(), sgd, *pairs, num_items=3, generator=torch.Generator()) == 100


def test_row_wise_adagrad_is_its_formula() -> None:
    table, bias = torch.nn.Parameter(torch.randn(5, 3)), torch.nn.Parameter(torch.randn(3))
    optimizer = RowWiseAdagrad([table, bias], lr=0.1, weight_decay=0.01)
    rows, entries = table.detach().double().clone(), bias.detach().double().clone()
    row_sum, entry_sum = torch.zeros(5, 1).double(), torch.zeros(3).double()
    for step in range(4):
        gradients = torch.randn(5, 3, generator=torch.Generator().manual_seed(step)), torch.randn(3)
        gradients[0][step] = 0  # a row that is not in the batch decays all the same
        table.grad, bias.grad = gradients
        optimizer.step()
        of_rows, of_entries = gradients[0].double() + 0.01 * rows, gradients[1].double() + 0.01 * entries
        row_sum += (of_rows**2).mean(1, keepdim=True)
        entry_sum += of_entries**2
        rows -= 0.1 * of_rows / (row_sum.sqrt() + 1e-8)
        entries -= 0.1 * of_entries / (entry_sum.sqrt() + 1e-8)
    assert torch.allclose(table.double(), rows, atol=1e-6) and torch.allclose(bias.double(), entries, atol=1e-6)


@pytest.mark.parametrize("name", ["sgd", "rowwise_adagrad"])
def test_sparse_gradients_train_the_same_and_write_the_rows_of_the_batch_alone(name: str, split: Split) -> None:
    tables = []
    for sparse in (False, True):
        model = NonLinearMF(200, 100, 8, generator=torch.Generator().manual_seed(0), sparse=sparse)
        fit(model, BPR(), split.train, ranking(split), optimizer=name, lr=0.5, batch_size=256, max_epochs=3)
        tables.append([parameter.detach() for parameter in model.parameters()])
    for dense, of_rows in zip(*tables, strict=True):
        # Adagrad divides by small roots, and sums of another order then differ by more than their last bits
        torch.testing.assert_close(of_rows, dense, rtol=1e-3, atol=3e-4 if name == "rowwise_adagrad" else 1e-5)
    table = torch.nn.Embedding(4, 3, sparse=True)
    before = table.weight.detach().clone()
    optimizer = make_optimizer(name, [table], lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        table(torch.tensor([2, 0, 2])).sum().backward()
        optimizer.step()
    assert (table.weight != before).any(1).tolist() == [True, False, True, False]


def test_row_wise_adagrad_does_not_decay_a_table_by_sparse_gradients() -> None:
    table = torch.nn.Embedding(4, 3, sparse=True)
    optimizer = RowWiseAdagrad(table.parameters(), weight_decay=0.1)
    table(torch.tensor([2])).sum().backward()
    with pytest.raises(ValueError, match=r"weight_decay must be 0 where a gradient is sparse, got 0\.1"):
        optimizer.step()


@pytest.mark.parametrize("name", ["sgd", "sgd_momentum", "rowwise_adagrad"])
def test_only_adam_has_a_decoupled_decay(name: str) -> None:
    with pytest.raises(ValueError, match="decay_scope must be table or batch"):
        make_optimizer(name, [torch.nn.Embedding(3, 2)], lr=0.1, weight_decay=0.1, decay_scope="decoupled")


def test_momentum_carries_a_row_on_that_has_no_gradient() -> None:
    table = torch.nn.Embedding(2, 1)
    optimizer = make_optimizer("sgd_momentum", [table], lr=0.1)
    for gradient in ([[1.0], [0.0]], [[0.0], [0.0]]):
        before = table.weight.detach().clone()
        table.weight.grad = torch.tensor(gradient)
        optimizer.step()
    assert torch.allclose(before - table.weight, torch.tensor([[0.09], [0.0]]))
