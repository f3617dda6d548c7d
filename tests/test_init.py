"""PRISM against rows worked by hand, and its errors."""

import math
import socket
from collections.abc import Callable, Sequence
from datetime import timedelta

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import Replicate, Shard, distribute_tensor, init_device_mesh
from torch.nn.utils import parametrizations, prune

from prismlib import prism, prism_, prism_norm


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
        (torch.ones(2, 2), torch.ones(3), 1, "popularity must have 2 entries, one per row of the table, got 3"),
        (torch.ones(2, 2), torch.ones(2, 1), 1, "popularity must be 1-D"),
        (torch.ones(2, 2), torch.tensor([1, -1]), 1, "popularity must be finite and >= 0"),
        (torch.ones(2, 2), torch.tensor([1, math.nan]), 1, "popularity must be finite and >= 0"),
        (torch.ones(2), torch.ones(2), 1, "weight must be 2-D"),
        (torch.ones(2, 0), torch.ones(2), 1, "weight must be 2-D"),
        (
            torch.ones(2, 2, dtype=torch.long),
            torch.ones(2),
            1,
            "weight must be a floating-point tensor, got torch.int64",
        ),
        ([[1.0, 2.0]], torch.ones(1), 1, "weight must be a floating-point tensor, got list"),
        (torch.tensor([[1.0, math.nan]]), torch.ones(1), 1, "row 0 of weight is zero or not finite"),
        (torch.tensor([[1.0, 0.0], [0.0, 0.0]]), torch.ones(2), 1, "row 1 of weight is zero"),
        (torch.tensor([[math.inf, 0.0], [1.0, 0.0]]), torch.ones(2), 1, "row 0 of weight is zero or not finite"),
    ],
)
def test_bad_input(weight: torch.Tensor, popularity: torch.Tensor, alpha: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        prism_(weight, popularity, alpha)


# Tables that are computed, and views


def pruned() -> nn.Module:
    return prune.l1_unstructured(nn.Embedding(4, 3), "weight", 0.5)


COMPUTED: dict[str, Callable[[], Tensor]] = {
    "weight_norm": lambda: parametrizations.weight_norm(nn.Embedding(4, 3), dim=0).weight,
    "spectral_norm": lambda: parametrizations.spectral_norm(nn.Embedding(4, 3)).weight,
    "orthogonal": lambda: parametrizations.orthogonal(nn.Linear(3, 4)).weight,
    "pruning": lambda: pruned().weight,
    "rows by ids": lambda: nn.Embedding(4, 3).weight[[0, 2, 1, 3]],
    "another dtype": lambda: nn.Embedding(4, 3).weight.double(),
    "a product": lambda: 2 * nn.Embedding(4, 3).weight,
    "a slice of a product": lambda: (2 * nn.Embedding(6, 3).weight)[1:5],
}


@pytest.mark.parametrize("table", COMPUTED.values(), ids=COMPUTED)
def test_a_computed_table_is_refused(table: Callable[[], Tensor]) -> None:
    with pytest.raises(
        ValueError, match="weight is computed from other tensors, so that writing to it would change no"
    ):
        prism_(table(), [1, 2, 3, 4])


VIEWS: dict[str, Callable[[Tensor], Sequence[Tensor]]] = {
    "slices": lambda weight: (weight[:2], weight[2:]),
    "split": lambda weight: weight.split(2),
    "chunk": lambda weight: weight.chunk(2),
    "narrow": lambda weight: (weight.narrow(0, 0, 2), weight.narrow(0, 2, 2)),
    "reshaped": lambda weight: weight.view(2, 2, 3).unbind(0),
    "data": lambda weight: weight.data.split(2),
    "detached": lambda weight: weight.detach().split(2),
}


@pytest.mark.parametrize("views", VIEWS.values(), ids=VIEWS)
def test_views_write_to_the_table(views: Callable[[Tensor], Sequence[Tensor]]) -> None:
    weight = nn.Embedding(4, 3).weight
    for part, counts in zip(views(weight), ([5, 6], [7, 8]), strict=True):
        prism_(part, counts)
    torch.testing.assert_close(weight.detach().norm(dim=1), prism_norm([5, 6, 7, 8]))
    assert weight.is_leaf


# Rows that are very short or very long


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("extreme", ["short", "long"])
def test_rows_at_the_ends_of_the_floats_range_keep_their_directions(dtype: torch.dtype, extreme: str) -> None:
    info = torch.finfo(dtype)
    length = info.smallest_normal * 4 if extreme == "short" else info.max / 4
    directions = torch.tensor([[0.6, -0.8], [1.0, 0.0], [0.5, 0.5]], dtype=torch.float64)
    weight = directions * torch.tensor([[1.0], [length], [length]], dtype=torch.float64)
    scaled = prism(weight.to(dtype), [3, 4, 5]).double()
    torch.testing.assert_close(
        scaled.norm(dim=1), prism_norm(torch.tensor([3.0, 4.0, 5.0]).double()), rtol=4 * info.eps, atol=0
    )
    cosine = torch.cosine_similarity(scaled, directions)
    torch.testing.assert_close(cosine, torch.ones_like(cosine), rtol=info.eps, atol=0)


def test_a_row_of_1e_30_is_neither_zero_nor_infinite() -> None:
    torch.testing.assert_close(prism(torch.full((1, 4), 1e-30), [6]).norm(), torch.tensor(math.log(8)))


# DTensor


def on_two_ranks(rank: int, port: int) -> None:
    """What each rank checks; a rank that would wait for ever for the other runs into a timeout."""
    torch.set_num_threads(1)
    store = dist.TCPStore("127.0.0.1", port, 2, is_master=rank == 0)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=2, timeout=timedelta(seconds=60))
    try:
        mesh = init_device_mesh("cpu", (2,))
        whole = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
        whole[1] *= 1e-30
        counts = np.array([0, 6, 3, 200, 9])
        expected = prism(whole, counts)
        for placement in (Shard(0), Shard(1), Replicate()):
            table = nn.Parameter(distribute_tensor(whole, mesh, [placement]))
            assert prism_(table, counts) is table
            torch.testing.assert_close(table.full_tensor().detach(), expected)
        # shards that are plain tensors: rows one by one are right, columns one by one are sqrt(2) times too long
        rows = nn.Parameter(distribute_tensor(whole, mesh, [Shard(0)]))
        prism_(rows.to_local(), counts[:3] if rank == 0 else counts[3:])
        torch.testing.assert_close(rows.full_tensor().detach(), expected)
        columns = nn.Parameter(distribute_tensor(whole, mesh, [Shard(1)]))
        prism_(columns.to_local(), counts)
        torch.testing.assert_close(columns.full_tensor().detach().norm(dim=1), math.sqrt(2) * expected.norm(dim=1))
        # what is wrong, on one rank or on both, is an error on both
        zero = whole.clone()
        zero[4] = 0  # in the second rank's rows
        wrong_here = np.where(rank == 1, -1, counts)
        for weight, given, message in (
            (whole, counts[:3], "popularity must have 5 entries"),
            (whole, wrong_here, "finite and >= 0" if rank == 1 else "on another rank"),
            (whole, counts + rank, "popularity or alpha differs between ranks"),
            (zero, counts, "row 4 of weight is zero"),
        ):
            for placement in (Shard(0), Shard(1)):
                table = nn.Parameter(distribute_tensor(weight, mesh, [placement]))
                with pytest.raises(ValueError, match=message):
                    prism_(table, given)
    finally:
        dist.destroy_process_group()


@pytest.mark.skipif(not dist.is_available(), reason="PyTorch without torch.distributed")
def test_a_sharded_table_gets_its_norms_and_errors_on_every_rank() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(on_two_ranks, (port,), nprocs=2)
