"""Backbones: LightGCN against PyTorch Geometric's, the perceptron against hand-written layers, shapes and seeds."""

import os

import numpy as np
import pytest
import torch
from torch.autograd import gradgradcheck

from prismlib import MF, Backbone, Interactions, LightGCN, NonLinearMF, Split, datasets, random_split, synthetic


@pytest.fixture(scope="module")
def split() -> Split:
    return random_split(synthetic(300, 200, 6000), seed=1)


def build(name: str, train: Interactions, seed: int = 0) -> Backbone:
    g = torch.Generator().manual_seed(seed)
    if name == "lightgcn":
        return LightGCN(300, 200, train, dim=16, generator=g)
    return {"mf": MF, "mlp": NonLinearMF}[name](300, 200, dim=16, generator=g)


@pytest.mark.parametrize("name", ["mf", "mlp", "lightgcn"])
def test_a_batch_is_rows_of_the_tables(name: str, split: Split) -> None:
    model = build(name, split.train)
    user_id, item_id = torch.tensor([5, 0, 5]), torch.tensor([[1, 2], [3, 3], [199, 0]])
    user, item = model(user_id, item_id)
    tables = model.embeddings()
    torch.testing.assert_close(user, tables[0][user_id])
    torch.testing.assert_close(item, tables[1][item_id])
    (user.sum() + item.sum()).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize("name", ["mf", "mlp", "lightgcn"])
def test_the_generator_is_the_only_source_of_randomness(name: str, split: Split) -> None:
    torch.manual_seed(1)
    one = build(name, split.train).state_dict()
    torch.manual_seed(2)
    two = build(name, split.train).state_dict()
    other = build(name, split.train, seed=9).state_dict()
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert not any(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.skipif("PRISM_DATA" not in os.environ, reason="PRISM_DATA names no folder with Gowalla")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_lightgcn_is_pygs_on_gowalla() -> None:
    from torch_geometric.nn.models import LightGCN as Reference

    split = random_split(datasets.load("gowalla"), seed=123)
    users, items = split.dataset.num_users, split.dataset.num_items
    model = LightGCN(users, items, split.train, generator=torch.Generator().manual_seed(0))
    reference = Reference(users + items, 64, num_layers=3)
    user, item = (torch.as_tensor(ids).long() for ids in split.train)
    edges = torch.stack([torch.cat([user, item + users]), torch.cat([item + users, user])])
    with torch.no_grad():
        reference.embedding.weight.copy_(torch.cat([model.user.weight, model.item.weight]))
        theirs, ours = reference.get_embedding(edges), torch.cat(model.embeddings())
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("depth", [1, 3])
def test_lightgcn_is_pygs_in_value_and_gradient(depth: int, split: Split) -> None:
    from torch_geometric.nn.models import LightGCN as Reference

    model = LightGCN(300, 200, split.train, dim=16, depth=depth, generator=torch.Generator().manual_seed(0))
    reference = Reference(500, 16, num_layers=depth)
    with torch.no_grad():
        reference.embedding.weight.copy_(torch.cat([model.user.weight, model.item.weight]))
    user, item = (torch.as_tensor(ids).long() for ids in split.train)
    edges = torch.stack([torch.cat([user, item + 300]), torch.cat([item + 300, user])])
    theirs, ours = reference.get_embedding(edges), torch.cat(model.embeddings())
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    weight = torch.randn(500, 16, generator=torch.Generator().manual_seed(1))
    (ours * weight).sum().backward()
    (theirs * weight).sum().backward()
    gradient = torch.cat([model.user.weight.grad, model.item.weight.grad])
    torch.testing.assert_close(gradient, reference.embedding.weight.grad, rtol=1e-5, atol=1e-5)


def test_the_relu_can_be_left_out() -> None:
    g = torch.Generator().manual_seed(0)
    bent = NonLinearMF(3, 4, dim=5, generator=g)
    straight = NonLinearMF(3, 4, dim=5, relu=False, generator=torch.Generator().manual_seed(0))
    first, second = (layer for layer in bent.user_mlp if isinstance(layer, torch.nn.Linear))
    hidden = bent.user.weight @ first.weight.T + first.bias
    torch.testing.assert_close(bent.embeddings()[0], hidden.clamp_min(0) @ second.weight.T + second.bias)
    torch.testing.assert_close(straight.embeddings()[0], hidden @ second.weight.T + second.bias)


def test_bad_input(split: Split) -> None:
    with pytest.raises(ValueError, match="num_users must be >= 1, got 0"):
        MF(0, 2)
    with pytest.raises(ValueError, match="depth must be >= 1"):
        LightGCN(300, 200, split.train, depth=0)
    for users, items, message in (
        ([0, 3], [0, 1], r"train\.user must lie in \[0, 3\), the table's rows, got 0 to 3"),
        ([0, 1], [2, 1], r"train\.item must lie in \[0, 2\), the table's rows, got 1 to 2"),
        ([-1, 1], [0, 1], r"train\.user must lie in \[0, 3\), the table's rows, got -1 to 1"),
    ):
        with pytest.raises(ValueError, match=message):
            LightGCN(3, 2, Interactions(np.array(users, np.int32), np.array(items, np.int32)), dim=4)


@pytest.mark.parametrize("name", ["mf", "mlp", "lightgcn"])
def test_ids_are_whole_numbers_of_any_integer_dtype(name: str, split: Split) -> None:
    model = build(name, split.train)
    user_id, item_id = torch.tensor([5, 0, 5]), torch.tensor([[1, 2], [3, 3], [99, 0]])
    for dtype in (torch.uint8, torch.int16, torch.int32):
        small = user_id.to(dtype), item_id.to(dtype)
        for ours, expected in zip(model(*small), model(user_id, item_id), strict=True):
            assert torch.equal(ours, expected)
        assert torch.equal(model.score(*small, cosine=True), model.score(user_id, item_id, cosine=True))
    for wrong in (user_id / 1, user_id > 1):
        for call in (lambda wrong=wrong: model(wrong, item_id), lambda wrong=wrong: model.score(wrong, item_id)):
            with pytest.raises(ValueError, match="but must be integers"):
                call()
    for users, items in ((user_id[:1], item_id), (user_id[:, None], item_id), (user_id, item_id[0])):
        with pytest.raises(ValueError, match=r"user_id and item_id must have shapes \(B,\) and \(B, L\)"):
            model.score(users, items)


def test_lightgcn_refuses_edges_whose_columns_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"train must be Interactions, got tuple: Interactions\(user, item\)"):
        LightGCN(3, 2, (np.array([0]), np.array([0, 1])), dim=4)  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", ["mf", "mlp", "lightgcn"])
def test_tables_of_every_dtype(name: str, dtype: torch.dtype, split: Split) -> None:
    expected = build(name, split.train).embeddings()
    tables = build(name, split.train).to(dtype).embeddings()
    for ours, reference in zip(tables, expected, strict=True):
        torch.testing.assert_close(ours.double(), reference.double(), rtol=0.03, atol=0.03)


def test_lightgcn_under_default_float64_is_exact(split: Split) -> None:
    torch.set_default_dtype(torch.float64)
    try:
        model = build("lightgcn", split.train)
    finally:
        torch.set_default_dtype(torch.float32)
    user, item = model.user.weight, model.item.weight
    adjacency = torch.zeros(300, 200, dtype=torch.float64)
    adjacency[split.train.user, split.train.item] = 1
    degree_user, degree_item = adjacency.sum(1).clamp_min(1), adjacency.sum(0).clamp_min(1)
    adjacency = adjacency / (degree_user[:, None] * degree_item).sqrt()
    users, items = [user], [item]
    for _ in range(3):
        users, items = [*users, adjacency @ items[-1]], [*items, adjacency.T @ users[-1]]
    torch.testing.assert_close(model.embeddings()[0], torch.stack(users).mean(0), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["mf", "mlp", "lightgcn"])
def test_second_derivatives_of_scores_and_tables(name: str) -> None:
    train = Interactions(np.array([0, 1, 1]), np.array([1, 0, 2]))
    models = {"mf": MF, "mlp": NonLinearMF}
    g = torch.Generator().manual_seed(0)  # some starts leave no ReLU of so small a perceptron active
    dim = 4
    model = LightGCN(2, 3, train, dim, 2, g) if name == "lightgcn" else models[name](2, 3, dim, generator=g)
    model = model.double()
    user_id, item_id = torch.tensor([0, 1]), torch.tensor([[2, 1], [2, 2]])

    def squares(*_: torch.Tensor) -> torch.Tensor:
        return model.score(user_id, item_id).square().sum()

    assert gradgradcheck(squares, tuple(model.parameters()), atol=1e-6, fast_mode=True)
    gradient = torch.autograd.grad(squares(), model.user.weight, create_graph=True)[0]
    assert torch.autograd.grad(gradient.sum(), model.item.weight)[0].abs().sum() > 0


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 3), (0,), (2, 0), (1, 2, 3)])
def test_ids_of_any_shape_give_their_rows(shape: tuple[int, ...], sparse: bool) -> None:
    ids = torch.randint(5, shape, generator=torch.Generator().manual_seed(0))
    train = Interactions([0, 1], [2, 4])
    models = [MF(6, 5, 4, sparse=sparse), NonLinearMF(6, 5, 4, sparse=sparse)]
    for model in [*models, LightGCN(6, 5, train, 4)]:
        user, item = model(ids, ids)
        assert user.shape == item.shape == (*shape, 4)
        for rows, table in zip((user, item), model.embeddings(), strict=True):
            torch.testing.assert_close(rows, table[ids])
        (user.sum() + item.sum()).backward()
        gradient = model.item.weight.grad
        assert gradient is not None and gradient.shape == (5, 4)
