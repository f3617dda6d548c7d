"""Row-sparse Adam with its missed moves made up for trains what Adam trains."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from prismlib import (
    BPR,
    MF,
    SSM,
    FullRanking,
    NonLinearMF,
    RankingLoss,
    Split,
    fit,
    popularity_groups,
    prism_,
    random_split,
    synthetic,
)
from prismlib._row_adam import RowAdam


@pytest.fixture(scope="module")
def split() -> Split:
    return random_split(synthetic(600, 500, 20_000), 1)


def ranking(split: Split) -> FullRanking:
    groups = popularity_groups(split.item_popularity)
    return FullRanking(split.validation, split.train, groups, split.dataset.num_users)


@pytest.mark.parametrize("lr", [1e-3, 5e-2])
def test_a_table_follows_adam_from_the_first_step(lr: float) -> None:
    draw = torch.Generator().manual_seed(0)
    start, aim = torch.randn(200, 8, generator=draw), torch.randn(200, 8, generator=draw)
    tables = [nn.Embedding.from_pretrained(start.clone(), freeze=False, sparse=sparse) for sparse in (False, True)]
    optimizers = [torch.optim.Adam(tables[0].parameters(), lr=lr), RowAdam([tables[1]], lr)]
    lazy = nn.Embedding.from_pretrained(start.clone(), freeze=False, sparse=True)
    third = torch.optim.SparseAdam(lazy.parameters(), lr=lr)
    for step in range(400):
        # few rows a step, some of them only early, so that gaps are short and long
        rows = torch.randint(200 if step % 50 == 0 else 40, (6,), generator=draw)
        for table, optimizer in ((tables[0], optimizers[0]), (tables[1], optimizers[1]), (lazy, third)):
            optimizer.zero_grad()
            (table(rows) - aim[rows]).square().sum().backward()
            optimizer.step()
    optimizers[1].flush()
    dense, sparse = (table.weight.detach() for table in tables)
    moved = (dense - start).abs().max()
    assert (sparse - dense).abs().max() < 1e-4 * moved
    assert (lazy.weight.detach() - dense).abs().max() > 0.05 * moved  # without the missed moves it is another optimiser
    untouched = (dense == start).all(1)
    assert torch.equal(sparse[untouched], start[untouched])


def test_rows_named_twice_and_tables_shared() -> None:
    table = nn.Embedding(5, 3, sparse=True)
    optimizer = RowAdam([table, table], 0.1)
    assert len(optimizer.states) == 1
    start = table.weight.detach().clone()
    dense = nn.Embedding.from_pretrained(start.clone(), freeze=False)
    adam = torch.optim.Adam(dense.parameters(), lr=0.1)
    for rows in ([1, 1, 2], [0], [0], [1, 1, 1], [4, 2]):
        for one, stepper in ((table, optimizer), (dense, adam)):
            stepper.zero_grad()
            (one(torch.tensor(rows)) ** 2).sum().backward()
            stepper.step()
    optimizer.flush()
    torch.testing.assert_close(table.weight, dense.weight)


# a perceptron multiplies the difference that rounding makes
@pytest.mark.parametrize(
    ("backbone", "criterion", "within"),
    [(MF, SSM(num_negatives=4), 5e-4), (MF, BPR(), 5e-4), (NonLinearMF, BPR(), 5e-3)],
)
def test_a_training_follows_adams(backbone: type[MF], criterion: RankingLoss, within: float, split: Split) -> None:
    curves, tables = [], []
    for optimizer in ("adam", "row_adam"):
        sparse = optimizer == "row_adam"
        model = backbone(600, 500, 16, generator=torch.Generator().manual_seed(0), sparse=sparse)
        prism_(model.item.weight, split.item_popularity)
        history = fit(
            model, criterion, split.train, ranking(split), optimizer=optimizer, lr=1e-2, batch_size=256, max_epochs=2
        )
        curves.append(torch.tensor(history.validation_dot))
        tables.append(model.item.weight.detach())
    assert (curves[0] - curves[1]).abs().max() < within
    assert curves[0].max() > 0.02
    assert (tables[0] - tables[1]).norm() < 20 * within * tables[0].norm()


def test_it_needs_sparse_tables() -> None:
    with pytest.raises(ValueError, match=r"optimizer='row_adam' needs tables with sparse gradients"):
        RowAdam([MF(3, 4, 2)], 0.1)


def test_a_hook_ends_with_its_optimizer() -> None:
    table = nn.Embedding(3, 2, sparse=True)
    optimizer = RowAdam([table], 0.1)
    table(torch.tensor([1])).sum().backward()
    optimizer.step()
    optimizer.steps += 5
    del optimizer
    before = table.weight.detach().clone()
    table(torch.tensor([1]))
    assert torch.equal(table.weight, before)
