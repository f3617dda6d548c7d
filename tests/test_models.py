"""Backbones: LightGCN against PyTorch Geometric's, the perceptron against hand-written layers, shapes and seeds."""

import os

import numpy as np
import pytest
import torch

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
    with pytest.raises(ValueError, match="must be >= 1, got 0, 2, 64"):
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
