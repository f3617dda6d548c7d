"""What every backbone with every loss must do. A new one is accepted by being listed here."""

import contextlib
import copy
import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from prismlib import (
    BPR,
    MAWU,
    MF,
    SSM,
    Backbone,
    DirectAU,
    FullRanking,
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
from prismlib.baselines import IPL, MACR, ReSN
from prismlib.losses import ScoreLoss
from prismlib.optim import DECAY_SCOPES

USERS, ITEMS, DIM = 60, 50, 8
SPLIT = random_split(synthetic(USERS, ITEMS, 700), seed=3)
POPULARITY = torch.from_numpy(SPLIT.item_popularity)

BACKBONES: dict[str, Callable[[torch.Generator], Backbone]] = {
    "MF": lambda g: MF(USERS, ITEMS, DIM, generator=g),
    "NonLinearMF": lambda g: NonLinearMF(USERS, ITEMS, DIM, generator=g),
    "LightGCN": lambda g: LightGCN(USERS, ITEMS, SPLIT.train, DIM, generator=g),
}
LOSSES: dict[str, Callable[[torch.Generator], RankingLoss]] = {
    "BPR": lambda g: BPR(),
    "SSM": lambda g: SSM(num_negatives=4),
    "DirectAU": lambda g: DirectAU(gamma=2.0),
    "MAWU": lambda g: MAWU(USERS, ITEMS, 0.8, 0.6, generator=g),
    "IPL": lambda g: IPL(POPULARITY, c=1.0, b=1.5),
    "ReSN": lambda g: ReSN(beta=0.01),
    "MACR": lambda g: MACR(DIM, generator=g),
}
ANGLE_BASED = {"SSM", "DirectAU", "MAWU"}  # Definition 2.1

each = pytest.mark.parametrize(("backbone", "loss"), list(itertools.product(BACKBONES, LOSSES)))


def build(backbone: str, loss: str) -> tuple[Backbone, RankingLoss]:
    g = torch.Generator().manual_seed(0)
    return BACKBONES[backbone](g), LOSSES[loss](g)


def batch(size: int = 200) -> tuple[Tensor, Tensor, Tensor]:
    """Training pairs, each user and item several times, and five negatives a pair."""
    user, item = (torch.as_tensor(ids).long()[:size] for ids in SPLIT.train)
    return user, item, torch.randint(ITEMS, (len(user), 5), generator=torch.Generator().manual_seed(1))


def value(model: Backbone, criterion: RankingLoss, user: Tensor, item: Tensor, negative: Tensor) -> Tensor:
    negative = negative[:, : criterion.num_negatives]
    rows, listed = model(user, torch.cat([item[:, None], negative], dim=1))
    return criterion(rows, listed[:, 0], listed[:, 1:], user_id=user, item_id=item, negative_id=negative)


@each
@pytest.mark.parametrize("size", [1, 2, 200])
def test_loss_and_gradients_are_finite(backbone: str, loss: str, size: int) -> None:
    model, criterion = build(backbone, loss)
    result = value(model, criterion, *batch(size))
    assert result.shape == () and torch.isfinite(result)
    result.backward()
    for name, parameter in [*model.named_parameters(), *criterion.named_parameters()]:
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
    if size > 1:
        assert model.user.weight.grad.abs().sum() > 0 and model.item.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("loss", ["SSM", "BPR"])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_training_steps_scores_give_the_same_loss_and_gradients(backbone: str, loss: str) -> None:
    """Losses of scores never see gathered rows in training: the way there must not matter."""
    model, criterion = (module.double() for module in build(backbone, loss))
    assert isinstance(criterion, ScoreLoss)
    user, item, negative = batch()
    listed = torch.cat([item[:, None], negative[:, : criterion.num_negatives]], dim=1)
    gathered = value(model, criterion, user, item, negative)
    scored = criterion.from_scores(model.score(user, listed, criterion.cosine))
    torch.testing.assert_close(scored, gathered)
    expected, gradients = (torch.autograd.grad(x, list(model.parameters())) for x in (gathered, scored))
    torch.testing.assert_close(gradients, expected)


@each
def test_a_batch_of_one_pair_many_times_is_finite(backbone: str, loss: str) -> None:
    model, criterion = build(backbone, loss)
    user, item, negative = (x[:1].repeat(7, *[1] * (x.dim() - 1)) for x in batch())
    result = value(model, criterion, user, item, negative)
    result.backward()
    assert torch.isfinite(result) and torch.isfinite(model.item.weight.grad).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_only_losses_that_are_not_angle_based_see_lengths(loss: str) -> None:
    model, criterion = (module.double() for module in build("MF", loss))
    before = value(model, criterion, *batch())
    with torch.no_grad():
        for table in (model.user.weight, model.item.weight):
            table.mul_(torch.rand(len(table), 1, dtype=torch.float64) + 0.5)
    after = value(model, criterion, *batch())
    assert torch.isclose(before, after, rtol=1e-10, atol=0) == (loss in ANGLE_BASED)


@each
def test_renaming_users_and_items_changes_nothing(backbone: str, loss: str) -> None:
    model, criterion = (module.double() for module in build(backbone, loss))
    g = torch.Generator().manual_seed(5)
    users, items = torch.randperm(USERS, generator=g), torch.randperm(ITEMS, generator=g)  # old id -> new id
    renamed, renamed_loss = copy.deepcopy(model), copy.deepcopy(criterion)
    tables = [(renamed.user.weight, users), (renamed.item.weight, items)]
    if loss == "MAWU":
        tables += [(renamed_loss.user_margin, users), (renamed_loss.item_margin, items)]
    if loss == "IPL":
        renamed_loss.popularity = torch.empty_like(POPULARITY).scatter_(0, items, POPULARITY)
    with torch.no_grad():
        for table, new in tables:
            table[new] = table.clone()
        if backbone == "LightGCN":
            edges = Interactions(users[SPLIT.train.user].numpy(), items[SPLIT.train.item].numpy())
            graph = LightGCN(USERS, ITEMS, edges, DIM).double()
            renamed.to_user, renamed.to_item = graph.to_user, graph.to_item
    user, item, negative = batch()
    before = value(model, criterion, user, item, negative)
    after = value(renamed, renamed_loss, users[user], items[item], items[negative])
    torch.testing.assert_close(before, after, rtol=1e-10, atol=1e-12)


@each
def test_gradients_are_those_of_finite_differences(backbone: str, loss: str) -> None:
    model, criterion = (module.double() for module in build(backbone, loss))
    if loss == "MAWU":
        criterion.project_()
    pairs = batch(6)
    # gradcheck moves the parameters in place; fast: along a random direction rather than one entry after the other
    parameters = (*model.parameters(), *criterion.parameters())
    assert gradcheck(lambda *_: value(model, criterion, *pairs), parameters, atol=1e-8, fast_mode=True)


# DirectAU, MAWU and IPL find the batch's distinct ids, whose number is data: a graph breaks there
WHOLE_GRAPH = set(LOSSES) - {"DirectAU", "MAWU", "IPL"}


# two warnings that tracing gives itself and hides, unless warnings are errors
@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")
@pytest.mark.filterwarnings("ignore:.*Function'> should not be instantiated:DeprecationWarning")
@pytest.mark.parametrize("loss", LOSSES)
def test_a_compiled_loss_is_the_eager_one(loss: str) -> None:
    torch.compiler.reset()
    model, criterion = build("MF", loss)
    user, item, negative = batch()
    rows, listed = model(user, torch.cat([item[:, None], negative[:, : criterion.num_negatives]], dim=1))
    embeddings = [x.detach().clone().requires_grad_() for x in (rows, listed[:, 0], listed[:, 1:])]
    if not criterion.num_negatives:
        embeddings.pop()
    leaves = [*embeddings, *criterion.parameters()]
    results = []
    for module in (criterion, torch.compile(criterion, backend="aot_eager", fullgraph=loss in WHOLE_GRAPH)):
        result = module(*embeddings, user_id=user, item_id=item, negative_id=negative[:, : criterion.num_negatives])
        results.append((result, *torch.autograd.grad(result, leaves)))
    for eager, compiled in zip(*results, strict=True):
        torch.testing.assert_close(compiled, eager, rtol=1e-6, atol=1e-7)  # compiled code takes norms in float64


@each
@pytest.mark.parametrize("inside", ["loss", "step"])  # of autocast: backward as well
def test_autocast_to_bfloat16_stays_close(backbone: str, loss: str, inside: str) -> None:
    """Loss within 0.01 or 1 % of float32's; the whole gradient within 10 %. Half a unit of bfloat16 is 0.2 %."""
    results = []
    for enabled in (False, True):
        model, criterion = build(backbone, loss)
        parameters = [*model.parameters(), *criterion.parameters()]
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            if inside == "loss":
                result = value(model, criterion, *batch())
            else:
                user, item, _ = batch()
                optimizer, g = torch.optim.SGD(parameters, lr=1.0), torch.Generator().manual_seed(2)
                result = train_step(model, criterion, optimizer, user, item, ITEMS, g)
        if inside == "loss":
            result.backward()
        assert all(p.grad.dtype == torch.float32 for p in parameters)
        results.append((result.detach().float(), torch.cat([p.grad.flatten() for p in parameters])))
    (single, gradient), (half, half_gradient) = results
    assert torch.isfinite(half) and torch.isfinite(half_gradient).all()
    torch.testing.assert_close(half, single, rtol=0.01, atol=0.01)
    assert (half_gradient - gradient).norm() < 0.1 * gradient.norm()


@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_scores_under_autocast_are_near_float32s(backbone: str, cosine: bool) -> None:
    """Scores within 1 %; the gradient within 20 %, since a ReLU whose input is near zero may change sides."""
    model = build(backbone, "SSM")[0]
    user, item, negative = batch()
    results = []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            scores = model.score(user, torch.cat([item[:, None], negative], dim=1), cosine)
        assert scores.dtype == torch.float32
        results.append((scores.detach(), torch.autograd.grad(scores.square().sum(), model.user.weight)[0]))
    for single, half, tolerance in zip(*results, (0.01, 0.2), strict=True):
        assert (half - single).norm() < tolerance * single.norm()


# LightGCN multiplies sparse matrices, which have no form without data
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("backbone", ["MF", "NonLinearMF"])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_a_step_on_a_gpu_keeps_no_host_waiting(
    backbone: str, loss: str, decay: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tensors of the device "meta" have shapes and no values: a step that looks at a value raises an error there.

    So does one whose shapes depend on values. A GPU would have to finish all its work first, at every step.
    """
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda device: False)  # meta has none
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())
    model, criterion = (module.to("meta") for module in build(backbone, loss))
    optimizer = torch.optim.SGD([*model.parameters(), *criterion.parameters()], lr=1.0)
    user, item = (ids.to("meta") for ids in batch()[:2])
    generator: Any = None  # meta has none either
    result = train_step(model, criterion, optimizer, user, item, ITEMS, generator, batch_decay=decay)
    assert result.shape == () and result.is_meta


def ranking(split: Split) -> FullRanking:
    groups = popularity_groups(torch.from_numpy(split.item_popularity))
    return FullRanking(split.validation, [split.train], groups, USERS)


@each
@pytest.mark.parametrize("scope", DECAY_SCOPES)
def test_same_seed_same_bits_and_decay_takes_effect(backbone: str, loss: str, scope: str) -> None:
    def train(decay: float) -> dict[str, Tensor]:
        model, criterion = build(backbone, loss)
        fit(
            model,
            criterion,
            SPLIT.train,
            ranking(SPLIT),
            lr=0.01,
            weight_decay=decay,
            decay_scope=scope,
            batch_size=100,
            max_epochs=2,
        )
        return model.state_dict() | {f"loss.{k}": v for k, v in criterion.state_dict().items()}

    one, two, other = train(0.1), train(0.1), train(0.0)
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["user.weight"], other["user.weight"])


@each
def test_save_and_load(backbone: str, loss: str, tmp_path) -> None:  # type: ignore[no-untyped-def]
    model, criterion = build(backbone, loss)
    with torch.no_grad():
        for parameter in [*model.parameters(), *criterion.parameters()]:
            parameter.mul_(0.5)
    torch.save([model.state_dict(), criterion.state_dict()], tmp_path / "both.pt")
    fresh_model, fresh_criterion = build(backbone, loss)
    for module, state in zip(
        (fresh_model, fresh_criterion), torch.load(tmp_path / "both.pt", weights_only=True), strict=True
    ):
        module.load_state_dict(state)
    assert torch.equal(value(fresh_model, fresh_criterion, *batch()), value(model, criterion, *batch()))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@each
def test_the_gpu_computes_the_same(backbone: str, loss: str) -> None:
    model, criterion = build(backbone, loss)
    here = value(model, criterion, *batch())
    here.backward()
    there_model, there_criterion = build(backbone, loss)
    there = value(there_model.cuda(), there_criterion.cuda(), *(x.cuda() for x in batch()))
    there.backward()
    torch.testing.assert_close(there.cpu(), here, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(there_model.item.weight.grad.cpu(), model.item.weight.grad, rtol=1e-4, atol=1e-6)
