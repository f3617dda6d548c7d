"""PRISM against rows worked by hand, and its errors."""

import math

import numpy as np
import pytest
import torch

from prismlib import popularity_groups, prism, prism_, prism_norm


def test_hand_worked_rows() -> None:
    weight = torch.tensor([[3.0, 4.0], [0.0, -2.0], [5.0, 12.0]], dtype=torch.float64)
    scaled = prism(weight, torch.tensor([0, 5, 98]), alpha=0.25)
    norms = [0.25 * math.log(2) + 0.75, 0.25 * math.log(7) + 0.75, 0.25 * math.log(100) + 0.75]
    directions = [[0.6, 0.8], [0.0, -1.0], [5 / 13, 12 / 13]]
    expected = torch.tensor(
        [[n * x for x in row] for n, row in zip(norms, directions, strict=True)], dtype=torch.float64
    )
    torch.testing.assert_close(scaled, expected, rtol=1e-6, atol=0)


def test_alpha_zero_gives_unit_rows_and_alpha_one_log_popularity() -> None:
    weight, popularity = torch.randn(50, 8, generator=torch.Generator().manual_seed(0)), torch.arange(50)
    torch.testing.assert_close(prism(weight, popularity, 0).norm(dim=1), torch.ones(50))
    torch.testing.assert_close(prism(weight, popularity, 1).norm(dim=1), torch.log(popularity + 2.0))


def test_in_place_on_an_embedding_and_on_a_slice_of_a_larger_table() -> None:
    table = torch.nn.Embedding(6, 4)
    before = table.weight.detach().clone()
    assert prism_(table.weight, torch.arange(6)) is table.weight
    assert table.weight.requires_grad and table.weight.grad_fn is None
    torch.testing.assert_close(torch.cosine_similarity(table.weight, before), torch.ones(6))
    prism_(table.weight[2:4], torch.tensor([100, 200]))
    expected = prism_norm(torch.tensor([0, 1, 100, 200, 4, 5]))
    torch.testing.assert_close(table.weight.detach().norm(dim=1), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_keeps_the_dtype(dtype: torch.dtype) -> None:
    weight = torch.ones(3, 4, dtype=dtype)
    assert prism(weight, torch.tensor([1, 2, 3])).dtype == dtype


@pytest.mark.parametrize(
    ("weight", "popularity", "alpha", "message"),
    [
        (torch.ones(2, 2), torch.ones(2), 1.5, "alpha must lie in"),
        (torch.ones(2, 2), torch.ones(2), float("nan"), "alpha must lie in"),
        (torch.ones(2, 2), torch.ones(3), 1, "popularity has 3 entries for 2 rows"),
        (torch.ones(2, 2), torch.ones(2, 1), 1, "popularity must be 1-D"),
        (torch.ones(2, 2), torch.tensor([1, -1]), 1, "popularity must be finite and >= 0"),
        (torch.ones(2, 2), torch.tensor([1, math.nan]), 1, "popularity must be finite and >= 0"),
        (torch.ones(2), torch.ones(2), 1, "weight must be 2-D"),
        (torch.tensor([[1.0, 0.0], [0.0, 0.0]]), torch.ones(2), 1, "row 1 of weight is zero"),
        (torch.tensor([[math.inf, 0.0], [1.0, 0.0]]), torch.ones(2), 1, "row 0 of weight is zero or not finite"),
    ],
)
def test_bad_input(weight: torch.Tensor, popularity: torch.Tensor, alpha: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        prism_(weight, popularity, alpha)


def test_counts_may_be_a_numpy_array() -> None:
    counts = np.array([0, 6, 3], np.int32)
    weight = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(prism_(weight.clone(), counts), prism_(weight.clone(), torch.from_numpy(counts)))
    assert torch.equal(popularity_groups(counts), popularity_groups(torch.from_numpy(counts)))
