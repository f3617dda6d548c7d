"""Captured steps: on a CPU a graph is a plain call, and everything around it must give the bits of the plain loop."""

from __future__ import annotations

import contextlib
import itertools
import logging
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from prismlib import (
    BPR,
    MAWU,
    MF,
    SSM,
    Backbone,
    DirectAU,
    FullRanking,
    LightGCN,
    NonLinearMF,
    RankingLoss,
    fit,
    popularity_groups,
    random_split,
    synthetic,
    train_step,
)
from prismlib._capture import GRAPHS, WARM_UP, CapturedSteps, Graph, cuda_graph, why_not
from prismlib._device import flushed_denormals
from prismlib.baselines import IPL, MACR, ReSN
from prismlib.optim import RowSparseAdam, make_optimizer
from prismlib.train import update

USERS, ITEMS, DIM, SIZE, EPOCHS = 60, 50, 8, 100, 3
SPLIT = random_split(synthetic(USERS, ITEMS, 700), seed=3)
PAIRS = tuple(torch.as_tensor(ids).long() for ids in SPLIT.train)
POPULARITY = torch.from_numpy(SPLIT.item_popularity)
RANKING = FullRanking(SPLIT.validation, [SPLIT.train], popularity_groups(POPULARITY), USERS)

BACKBONES: dict[str, Callable[[torch.Generator, bool], Backbone]] = {
    "MF": lambda g, sparse: MF(USERS, ITEMS, DIM, g, sparse),
    "NonLinearMF": lambda g, sparse: NonLinearMF(USERS, ITEMS, DIM, generator=g, sparse=sparse),
    "LightGCN": lambda g, sparse: LightGCN(USERS, ITEMS, SPLIT.train, DIM, generator=g),
}
LOSSES: dict[str, Callable[[torch.Generator], RankingLoss]] = {
    "BPR": lambda g: BPR(),
    "SSM": lambda g: SSM(num_negatives=4),
    "DirectAU": lambda g: DirectAU(gamma=2.0),
    "MAWU": lambda g: MAWU(USERS, ITEMS, 0.8, 0.6, generator=g),
    "IPL": lambda g: IPL(POPULARITY, c=1.0, b=1.5),
    "IPL epoch": lambda g: IPL(POPULARITY, c=1.0, b=1.5, form="epoch"),
    "ReSN": lambda g: ReSN(beta=0.01),
    "MACR": lambda g: MACR(DIM, generator=g),
}
#: Optimiser, scope of decay, decay.
OPTIMIZERS = [
    ("adam", "table", 0.1),
    ("adam", "batch", 0.1),
    ("adam", "decoupled", 0.1),
    ("sgd", "table", 0.1),
    ("sgd", "batch", 0.1),
    ("sparse_adam", "table", 0.0),
]


class PlainCalls:
    """In place of a CUDA graph: nothing runs at the capture, and each replay is a call."""

    def __init__(self, body: Callable[[], None], generator: torch.Generator) -> None:
        self.body, self.replays = body, 0

    def replay(self) -> None:
        self.replays += 1
        self.body()


def build(backbone: str, loss: str, sparse: bool = False) -> nn.ModuleList:
    g = torch.Generator().manual_seed(0)
    return nn.ModuleList([BACKBONES[backbone](g, sparse), LOSSES[loss](g)])


Trained = tuple[list[float], list[float], dict[str, Tensor]]


def plain(backbone: str, loss: str, optimizer: str, scope: str, decay: float, **options: Any) -> Trained:
    """Training written out, an order per epoch, a step per batch: losses, validation, the best epoch's parameters."""
    modules = build(backbone, loss, optimizer == "sparse_adam")
    model, criterion = modules
    stepper = make_optimizer(optimizer, modules, 0.01, decay, scope)
    generator, losses, validation, best = torch.Generator().manual_seed(0), [], [], {}
    order = torch.randperm(len(PAIRS[0]), generator=generator)
    with flushed_denormals():
        for epoch in range(EPOCHS):
            if epoch and options.get("reshuffle", True):
                order = torch.randperm(len(PAIRS[0]), generator=generator)
            total = torch.zeros(())
            for chosen in order.split(SIZE):
                user, item = PAIRS[0][chosen], PAIRS[1][chosen]
                batch_decay = decay if scope == "batch" else 0.0
                rest = batch_decay, options.get("negatives", "all")
                total += train_step(model, criterion, stepper, user, item, ITEMS, generator, *rest) * len(user)
            whole = criterion.epoch_loss(model, *PAIRS)
            if whole is not None:
                update(criterion, stepper, whole)
            losses.append(float(total) / len(PAIRS[0]))
            with torch.no_grad():
                validation.append(RANKING(*criterion.rank_tables(*model.embeddings()))["dot"]["ndcg"])
            if validation[-1] > max(validation[:-1], default=-1.0):
                best = {name: value.clone() for name, value in modules.state_dict().items()}
    return losses, validation, best


def fitted(backbone: str, loss: str, optimizer: str, scope: str, decay: float, **options: Any) -> Trained:
    modules = build(backbone, loss, optimizer == "sparse_adam")
    fixed: dict[str, Any] = {"lr": 0.01, "batch_size": SIZE, "max_epochs": EPOCHS}
    own = {"optimizer": optimizer, "decay_scope": scope, "weight_decay": decay}
    history = fit(modules[0], modules[1], SPLIT.train, RANKING, **fixed, **own, **options)
    return history.loss, history.validation_dot, modules.state_dict()


def same(one: Trained, other: Trained) -> bool:
    """Whether two trainings gave the same bits."""
    same_tables = one[2].keys() == other[2].keys() and all(torch.equal(one[2][name], other[2][name]) for name in one[2])
    return one[:2] == other[:2] and same_tables


#: Each loss with each optimiser, and each other backbone with each optimiser and each loss.
CASES = [
    *(("MF", loss, *how) for loss, how in itertools.product(LOSSES, OPTIMIZERS)),
    *(("NonLinearMF", "SSM", *how) for how in OPTIMIZERS),
    *(("LightGCN", "SSM", *how) for how in OPTIMIZERS if how[0] != "sparse_adam"),  # which is refused
    *((backbone, loss, *OPTIMIZERS[0]) for backbone in ("NonLinearMF", "LightGCN") for loss in LOSSES if loss != "SSM"),
]


@pytest.mark.parametrize(("backbone", "loss", "optimizer", "scope", "decay"), CASES)
def test_fit_is_the_plain_loop_bit_for_bit_captured_or_not(
    backbone: str, loss: str, optimizer: str, scope: str, decay: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = backbone, loss, optimizer, scope, decay
    expected = plain(*case)
    eager = fitted(*case)
    captured: list[PlainCalls] = []
    monkeypatch.setitem(GRAPHS, "cpu", lambda *given: captured.append(PlainCalls(*given)) or captured[-1])  # type: ignore[func-returns-value]
    found = fitted(*case)
    assert same(expected, eager) and same(expected, found)
    if optimizer == "sparse_adam":
        assert not captured
    else:  # all whole batches but the first few, which warm up, and of none of the last, shorter ones
        whole = EPOCHS * (len(PAIRS[0]) // SIZE)
        assert [graph.replays for graph in captured] == [whole - WARM_UP] and len(PAIRS[0]) % SIZE


@pytest.mark.parametrize("options", [{"reshuffle": False}, {"negatives": "batch"}, {"reshuffle": True}])
@pytest.mark.parametrize("loss", ["BPR", "SSM"])
def test_other_options_too(loss: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    case = "MF", loss, "adam", "table", 0.0
    expected = plain(*case, **options)
    monkeypatch.setitem(GRAPHS, "cpu", PlainCalls)
    assert same(fitted(*case, **options), expected)


def test_bfloat16_too(monkeypatch: pytest.MonkeyPatch) -> None:
    case = "MF", "DirectAU", "adam", "table", 0.0
    eager = fitted(*case, precision="bfloat16")
    monkeypatch.setitem(GRAPHS, "cpu", PlainCalls)
    captured = fitted(*case, precision="bfloat16")
    assert eager[0] == captured[0] != fitted(*case)[0]


@pytest.mark.parametrize("size", [40, 100, 280, 559, 560, 561, 10**9])
def test_batches_of_every_size(size: int) -> None:
    """560 pairs: a last batch that is whole, shorter or the only one; capture in the first epoch or in a later one."""
    n = len(PAIRS[0])
    assert n == 560
    seen: dict[bool, list[list[Tensor]]] = {}
    for captured in (False, True):
        lengths: list[list[Tensor]] = []

        def step(user: Tensor, item: Tensor, generator: torch.Generator, lengths: Any = lengths) -> Tensor:
            lengths.append([user.clone(), item.clone(), torch.randint(9, (3,), generator=generator)])
            return item.float().mean()

        source = torch.Generator().manual_seed(4)
        steps = CapturedSteps(step, (PAIRS[0], PAIRS[1]), size, source, PlainCalls if captured else None)
        totals = [steps.epoch(torch.randperm(n, generator=source)) for _ in range(5)]
        assert all(float(total) == pytest.approx(float(PAIRS[1].sum())) for total in totals)
        for epoch in range(5):
            of_epoch = lengths[epoch * -(-n // size) : (epoch + 1) * -(-n // size)]
            pairs = sorted(zip(*(torch.cat([given[k] for given in of_epoch]).tolist() for k in (0, 1)), strict=True))
            assert pairs == sorted(zip(*(ids.tolist() for ids in PAIRS), strict=True))  # each pair once
        seen[captured] = lengths
    assert all(torch.equal(a, b) for x, y in zip(*seen.values(), strict=True) for a, b in zip(x, y, strict=True))


def test_a_capture_that_fails_goes_on_step_by_step_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(body: Callable[[], None], generator: torch.Generator) -> Graph:
        torch.randint(9, (3,), generator=generator)  # what a capture draws must not count
        raise RuntimeError("operation not permitted when stream is capturing\nand much more")

    case = "MF", "BPR", "adam", "table", 0.1
    expected = plain(*case)
    monkeypatch.setitem(GRAPHS, "cpu", broken)
    with caplog.at_level(logging.WARNING, "prismlib"):
        found = fitted(*case)
    assert same(found, expected)
    assert caplog.messages == [
        "training steps run one by one: their capture failed, operation not permitted when stream is capturing"
    ]


class OwnLoss(BPR):
    """A loss whose Python may do anything; what BPR says of itself does not count for it."""


class OwnCapturableLoss(BPR):
    """A loss of a user's own that says that it can be captured."""

    capturable = True

    def from_scores(self, scores: Tensor) -> Tensor:
        return super().from_scores(scores) + 0.1 * scores.square().mean()


class Tower(nn.Module):
    """A part of a user's own that says nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(DIM, DIM)

    def forward(self, rows: Tensor) -> Tensor:
        return self.linear(rows)


class CapturableTower(Tower):
    capturable = True


class TwoTowers(Backbone):
    """A backbone of a user's own that says that it can be captured."""

    capturable = True

    def __init__(self, tower: type[Tower]) -> None:
        super().__init__()
        self.user, self.item, self.tower = nn.Embedding(USERS, DIM), nn.Embedding(ITEMS, DIM), tower()

    def forward(self, user_id: Tensor, item_id: Tensor) -> tuple[Tensor, Tensor]:
        return self.tower(self.user(user_id)), self.item(item_id)

    def embeddings(self) -> tuple[Tensor, Tensor]:
        return self.tower(self.user.weight), self.item.weight


class SilentTowers(TwoTowers):
    """What its parent says does not count for it."""


def test_what_is_not_captured_and_why(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    model, sparse = MF(USERS, ITEMS, DIM), MF(USERS, ITEMS, DIM, sparse=True)
    sgd = torch.optim.SGD(model.parameters())
    assert why_not(model, BPR(), sgd, "all") is None
    assert "sparse_adam" in str(why_not(sparse, BPR(), RowSparseAdam([sparse], 0.1), "all"))
    assert "sparse=True" in str(why_not(sparse, BPR(), torch.optim.SGD(sparse.parameters()), "all"))
    assert "negatives='batch'" in str(why_not(model, BPR(), sgd, "batch"))
    assert "OwnLoss does not say that it is capturable" in str(why_not(model, OwnLoss(), sgd, "all"))
    all_items = ReSN(0.1, lambda: model.item.weight)
    assert why_not(model, all_items, sgd, "all") == "ReSN(beta=0.1, all items) says that it is not capturable"
    assert why_not(model, ReSN(0.1), sgd, "all") is None
    monkeypatch.setitem(GRAPHS, "cpu", PlainCalls)
    with caplog.at_level(logging.INFO, "prismlib"):
        fitted("MF", "BPR", "adam", "table", 0.0, negatives="batch")
    assert caplog.messages == [
        "training steps run one by one: negatives='batch' counts the distinct items of each batch on the host"
    ]


def test_every_backbone_and_loss_of_prismlib_says_for_itself_that_it_is_capturable() -> None:
    sgd = torch.optim.SGD([nn.Parameter(torch.ones(1))])
    for backbone, loss in itertools.product(BACKBONES, LOSSES):
        model, criterion = build(backbone, loss)
        assert why_not(model, criterion, sgd, "all") is None


@pytest.mark.parametrize(
    ("backbone", "loss", "silent"),
    [
        (lambda: MF(USERS, ITEMS, DIM), OwnCapturableLoss, None),
        (lambda: TwoTowers(CapturableTower), BPR, None),
        (lambda: TwoTowers(CapturableTower), OwnCapturableLoss, None),
        (lambda: MF(USERS, ITEMS, DIM), OwnLoss, "OwnLoss"),
        (lambda: TwoTowers(Tower), BPR, "Tower"),
        (lambda: SilentTowers(CapturableTower), BPR, "SilentTowers"),
    ],
)
def test_what_a_user_wrote_is_captured_where_it_says_so(
    backbone: Callable[[], Backbone],
    loss: type[RankingLoss],
    silent: str | None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    captured: list[PlainCalls] = []

    def capture(*given: Any) -> PlainCalls:
        captured.append(PlainCalls(*given))
        return captured[-1]

    def trained() -> list[float]:
        torch.manual_seed(0)
        return fit(backbone(), loss(), SPLIT.train, RANKING, batch_size=SIZE, max_epochs=EPOCHS).loss

    plain_losses = trained()
    monkeypatch.setitem(GRAPHS, "cpu", capture)
    with caplog.at_level(logging.INFO, "prismlib"):
        assert trained() == plain_losses
    assert bool(captured) == (silent is None) and all(graph.replays for graph in captured)
    said = f"training steps run one by one: {silent} does not say that it is capturable"
    assert [message.partition(",")[0] for message in caplog.messages] == ([] if silent is None else [said])


def test_capture_can_be_switched_off_and_is_not_for_a_cpu(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def forbidden(body: Callable[[], None], generator: torch.Generator) -> Graph:
        raise AssertionError("captured")

    case = "MF", "BPR", "adam", "table", 0.0
    with caplog.at_level(logging.INFO, "prismlib"):
        assert set(GRAPHS) == {"cuda"} and fitted(*case)  # a CPU's steps are plain, and nothing is to be said of it
        monkeypatch.setitem(GRAPHS, "cpu", forbidden)
        assert same(fitted(*case, capture=False), plain(*case))
    assert not caplog.messages


def test_a_loss_that_becomes_nan_is_found_in_its_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(GRAPHS, "cpu", PlainCalls)
    modules = build("MF", "BPR")
    with pytest.raises(FloatingPointError, match="in epoch 0: lower lr"):
        fit(modules[0], modules[1], SPLIT.train, RANKING, lr=1e30, optimizer="sgd", batch_size=10, max_epochs=2)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("backbone", ["MF", "NonLinearMF"])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_what_is_captured_keeps_no_host_waiting(
    backbone: str, loss: str, decay: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The body of a graph on the device "meta", whose tensors have no values to look at or to take a shape from."""
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda device: False)  # meta has none
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())
    modules = build(backbone, loss).to("meta")
    sgd = torch.optim.SGD(modules.parameters(), lr=1.0)

    def step(user: Tensor, item: Tensor, generator: torch.Generator) -> Tensor:
        missing: Any = None  # meta has no generator
        return train_step(modules[0], modules[1], sgd, user, item, ITEMS, missing, batch_decay=decay)

    pairs = PAIRS[0].to("meta"), PAIRS[1].to("meta")
    steps = CapturedSteps(step, pairs, SIZE, torch.Generator(), None)
    steps._body()
    assert steps.total.is_meta and steps.start.is_meta


def test_the_cause_of_a_failed_capture_is_told_whatever_its_kind(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What breaks off a capture comes first, and then what the end of the capture makes of it."""

    def broken(body: Callable[[], None], generator: torch.Generator) -> Graph:
        try:
            raise AttributeError("register_generator_state is gone")
        finally:
            raise UserWarning("operation failed due to a previous error during capture\nand more")

    monkeypatch.setitem(GRAPHS, "cpu", broken)
    with caplog.at_level(logging.WARNING, "prismlib"):
        assert fitted("MF", "BPR", "adam", "table", 0.1)[0] == plain("MF", "BPR", "adam", "table", 0.1)[0]
    assert caplog.messages == [
        "training steps run one by one: their capture failed, register_generator_state is gone;"
        " then operation failed due to a previous error during capture"
    ]


@pytest.mark.parametrize("change", ["freeze", "replace", "nothing"])
def test_parameters_that_change_between_epochs_are_captured_anew(change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    captures: list[PlainCalls] = []
    monkeypatch.setitem(GRAPHS, "cpu", lambda *given: captures.append(PlainCalls(*given)) or captures[-1])  # type: ignore[func-returns-value]
    modules = build("MF", "BPR")

    def on_epoch(history: Any) -> None:
        if len(history.loss) == 1 and change == "freeze":
            modules[0].item.weight.requires_grad_(False)
        if len(history.loss) == 1 and change == "replace":
            modules[0].item.weight = nn.Parameter(modules[0].item.weight.detach().clone())

    fit(modules[0], modules[1], SPLIT.train, RANKING, batch_size=SIZE, max_epochs=3, on_epoch=on_epoch)
    assert len(captures) == (1 if change == "nothing" else 2)


class Recorded:
    """Stands in for a context manager of :mod:`torch.cuda`, and notes when it is entered and left."""

    def __init__(self, events: list[str], name: str) -> None:
        self.events, self.name = events, name

    def __enter__(self) -> None:
        self.events.append(f"in {self.name}")

    def __exit__(self, *error: object) -> None:
        self.events.append(f"out {self.name}")


@pytest.mark.parametrize(("version", "registered"), [("2.5.0", True), ("2.13.1+cu130", True), ("2.14.1", False)])
@pytest.mark.parametrize("breaks", [False, True])
def test_a_capture_is_of_the_models_gpu_and_leaves_the_stream_as_it_was(
    version: str, registered: bool, breaks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is called, in its order; the model is on cuda:1 while cuda:0 is current."""
    events: list[str] = []

    class OfCuda1:
        device = torch.device("cuda", 1)

    class FakeGraph:
        def register_generator_state(self, generator: object) -> None:
            events.append("registered")

    def graph(graph: object, stream: object, capture_error_mode: str) -> Recorded:
        return Recorded(events, f"graph on {stream}, {capture_error_mode}")

    monkeypatch.setattr(torch, "__version__", version)
    monkeypatch.setattr(torch.cuda, "device", lambda device: Recorded(events, str(device)))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: f"the caller's of {device}")
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: f"a side stream of {device}")
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: Recorded(events, stream))
    monkeypatch.setattr(torch.cuda, "CUDAGraph", FakeGraph)
    monkeypatch.setattr(torch.cuda, "graph", graph)

    def body() -> None:
        events.append("body")
        if breaks:
            raise RuntimeError("broken off")

    generator: Any = OfCuda1()
    with pytest.raises(RuntimeError, match="broken off") if breaks else contextlib.nullcontext():
        cuda_graph(body, generator)
    around = ["cuda:1", "the caller's of cuda:1", "graph on a side stream of cuda:1, thread_local"]
    entered, left = [f"in {name}" for name in around], [f"out {name}" for name in reversed(around)]
    assert events == [*entered[:2], *["registered"] * registered, entered[2], "body", *left]
