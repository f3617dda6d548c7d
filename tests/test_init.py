"""PRISM against rows worked by hand, and its errors."""

import math
import multiprocessing
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import Replicate, Shard, distribute_tensor, init_device_mesh
from torch.nn.utils import parametrizations, prune

from prismlib import init, prism, prism_, prism_norm
from prismlib._memory import _references_of_a_temporary


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
        (torch.ones(2, 2), torch.ones(2), "1", r"alpha must lie in \[0, 1\], got '1'"),
        (torch.ones(2, 2), torch.ones(2), None, r"alpha must lie in \[0, 1\], got None"),
        (torch.ones(2, 2), torch.ones(2), True, r"alpha must lie in \[0, 1\], got True"),
        (torch.ones(2, 2).to_sparse(), torch.ones(2), 1, "weight must be dense, got torch.sparse_coo"),
        (torch.ones(2, 2, device="meta"), torch.ones(2), 1, "weight is on the meta device, which keeps no values"),
        (torch.ones(2, 2), torch.ones(2, device="meta"), 1, "popularity is on the meta device"),
        (torch.ones(2, 2), torch.ones(2).to_sparse(), 1, "popularity must be dense, got torch.sparse_coo"),
        (torch.ones(2, 2), torch.ones(2).to(torch.float8_e5m2), 1, "popularity must be float16, .* got float8_e5m2"),
        (torch.ones(2, 2).to(torch.float8_e4m3fn), torch.ones(2), 1, "weight must be float16, .* got float8_e4m3fn"),
    ],
)
def test_bad_input(weight: Tensor, popularity: Tensor, alpha: Any, message: str) -> None:
    for call in (prism_, prism):
        with pytest.raises(ValueError, match=message) as error:
            call(weight, popularity, alpha)
        assert "\n" not in str(error.value)


def test_prism_norm_refuses_what_prism_refuses() -> None:
    for alpha in ("1", None, True, torch.tensor(0.5), 1 + 1e-9):
        with pytest.raises(ValueError, match=r"alpha must lie in \[0, 1\], got"):
            prism_norm([1, 2], alpha)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [0.0, math.nan, math.inf])
def test_a_row_without_direction_in_the_last_block_leaves_the_first_as_it_is(
    wrong: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(init, "_BLOCK", 8)
    weight = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    weight[49] = wrong
    before = weight.clone()
    with pytest.raises(ValueError, match="row 49 of weight is zero or not finite"):
        prism_(weight, torch.arange(50))
    assert torch.equal(weight.nan_to_num(7, 8), before.nan_to_num(7, 8))


def whole(dtype: torch.dtype, rows: int, columns: int) -> Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(0)).to(dtype)


FORMS: dict[str, Callable[[Tensor], Tensor]] = {
    "a table": lambda table: table,
    "columns": lambda table: torch.cat([table, table], 1)[:, 1 : 1 + table.shape[1]],
    "every second row": lambda table: torch.cat([table, table], 1).view(-1, table.shape[1])[::2],
    "transposed": lambda table: table.T.contiguous().T,
}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("columns", [1, 3, 64, 65])
def test_blocks_of_rows_give_the_bits_of_the_whole(
    form: Callable[[Tensor], Tensor], dtype: torch.dtype, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(init, "_BLOCK", 9 * columns)
    monkeypatch.setattr(init, "_SHARE", 0)
    table = form(whole(dtype, 101, columns))
    table.masked_fill_(table == 0, 1)
    table[7] *= torch.finfo(dtype).smallest_normal * 16
    expected = prism(table, torch.arange(101) ** 2, 0.3)
    assert torch.equal(prism_(table, torch.arange(101) ** 2, 0.3), expected)


PEAK = """
import sys, torch
from prismlib import prism_
def memory(kind):  # KiB
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(kind))
rows, columns, dtype = int(sys.argv[1]), int(sys.argv[2]), getattr(torch, sys.argv[3])
prism_(torch.nn.Embedding(9, columns, dtype=dtype).weight, torch.arange(9))  # what PyTorch loads at first use
table, counts = torch.nn.Embedding(rows, columns, dtype=dtype).weight, torch.arange(rows)
before = memory("VmRSS")
open("/proc/self/clear_refs", "w").write("5")  # the peak starts anew
prism_(table, counts)
print((memory("VmHWM") - before) * 1024 / (table.numel() * table.itemsize))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak of a process's memory is read from /proc")
@pytest.mark.parametrize(("rows", "columns", "dtype"), [(400_000, 64, "float32"), (300_000, 128, "bfloat16")])
def test_a_tenth_of_the_table_is_enough_memory_beside_it(rows: int, columns: int, dtype: str) -> None:
    command = [sys.executable, "-c", PEAK, str(rows), str(columns), dtype]
    try:
        tables = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    except subprocess.CalledProcessError as error:
        if "clear_refs" in error.stderr:
            pytest.skip("/proc/self/clear_refs cannot be written to here")
        raise
    assert 0 <= tables < 0.1


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


class Old(nn.Module):
    """A table that pruning, or the older weight_norm, computes before each call of the module."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        table = nn.Embedding(4, 3).requires_grad_(False)
        if kind == "pruned":
            prune.l1_unstructured(table, "weight", 0.5)
        else:
            with pytest.warns(FutureWarning):
                nn.utils.weight_norm(table)
            table.requires_grad_(False)(torch.tensor([0]))
        self.table = table


def frozen(parametrise: Callable[..., nn.Module]) -> nn.Module:
    return parametrise(nn.Embedding(4, 3)).requires_grad_(False)


FROZEN = nn.Embedding.from_pretrained(torch.randn(6, 3, generator=torch.Generator().manual_seed(0)))
#: Copies of a table that requires no gradient: PyTorch keeps no record of what they were computed from.
FROZEN_COPIES: dict[str, Callable[[], Tensor]] = {
    "rows by ids": lambda: FROZEN.weight[[1, 2, 3, 5]],
    "rows by a mask": lambda: FROZEN.weight[torch.arange(6) > 1],
    "rows by index_select": lambda: FROZEN.weight.index_select(0, torch.arange(4)),
    "a slice of rows by ids": lambda: FROZEN.weight[[1, 2, 3, 4, 5]][:4],
    "data by ids": lambda: nn.Embedding(6, 3).weight.data[[0, 1, 2, 3]],
    "detached, by ids": lambda: nn.Embedding(6, 3).weight.detach()[[0, 1, 2, 3]],
    "half": lambda: FROZEN.weight[:4].half(),
    "another dtype": lambda: FROZEN.weight[:4].to(torch.float64),
    "joined": lambda: torch.cat([FROZEN.weight[:2], FROZEN.weight[4:]]),
    "cloned": lambda: FROZEN.weight[:4].clone(),
    "weight_norm": lambda: frozen(partial(parametrizations.weight_norm, dim=0)).weight,
    "spectral_norm": lambda: frozen(parametrizations.spectral_norm).weight,
    "pruned": lambda: prune.l1_unstructured(nn.Embedding(4, 3).requires_grad_(False), "weight", 0.5).weight,
}


#: Python 3.14 counts no reference of a variable to an argument.
counted = pytest.mark.skipif(_references_of_a_temporary() == 0, reason="Python counts a variable's references alike")


@counted
@pytest.mark.parametrize("make", FROZEN_COPIES.values(), ids=FROZEN_COPIES)
def test_a_copy_without_a_gradient_that_nothing_holds_is_refused(make: Callable[[], Tensor]) -> None:
    before = FROZEN.weight.clone()
    with pytest.raises(
        ValueError, match=r"^weight is (a copy that nothing else holds|computed from), .*change no table"
    ):
        prism_(make(), [1, 2, 3, 4])
    with pytest.raises(ValueError, match="change no table"), torch.no_grad():
        prism_(weight=make(), popularity=[1, 2, 3, 4])
    assert torch.equal(FROZEN.weight, before)


@counted
@pytest.mark.parametrize("make", COMPUTED.values(), ids=COMPUTED)
def test_a_computed_table_is_refused_under_no_grad_too(make: Callable[[], Tensor]) -> None:
    with torch.no_grad(), pytest.raises(ValueError, match="would change no table"):
        prism_(make(), [1, 2, 3, 4])


@pytest.mark.parametrize("kind", ["pruned", "weight_norm"])
def test_an_attribute_that_is_computed_at_each_use_is_refused(kind: str) -> None:
    module = Old(kind)
    weight = module.table.weight
    assert type(weight) is Tensor and not weight.requires_grad
    original = {"pruned": "weight_orig", "weight_norm": "weight_v"}[kind]
    with pytest.raises(ValueError, match=f"weight is computed from {original}: call prism_ before weight_norm"):
        prism_(weight, [1, 2, 3, 4])


def test_what_is_no_copy_is_scaled() -> None:
    """Whatever somebody else can see, and whatever the caller holds or uses."""
    counts, norms = [5, 6, 7, 8], prism_norm([5, 6, 7, 8])

    def check(weight: Any) -> None:
        torch.testing.assert_close(torch.as_tensor(weight).detach().norm(dim=1), norms)

    held = torch.randn(4, 3)
    prism_(held, counts)
    check(held)
    table = nn.Embedding.from_pretrained(torch.randn(4, 3))
    prism_(table.weight, counts)
    check(table.weight)
    larger = torch.randn(6, 3)
    prism_(larger[1:5], counts)  # a view of what is held
    check(larger[1:5])
    module = nn.Module()
    module.register_buffer("table", torch.randn(4, 3))
    prism_(module.table, counts)
    check(module.table)
    module.plain = torch.randn(12).view(4, 3)
    prism_(module.plain, counts)
    check(module.plain)
    array = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    prism_(torch.from_numpy(array), counts)  # NumPy holds the memory
    check(array)
    weight = nn.Embedding(4, 3).weight
    prism_(weight.data, counts)
    check(weight)
    leaf = torch.randn(4, 3, requires_grad=True)
    prism_(leaf, counts)
    check(leaf)
    check(prism_(torch.randn(4, 3), counts))  # the result is used
    assert nn.Parameter(prism_(nn.init.normal_(torch.empty(4, 3)), counts)).shape == (4, 3)


@pytest.mark.parametrize(
    "weight",
    [
        torch.arange(1.0, 11).unfold(0, 3, 1),
        torch.ones(1, 3).expand(4, 3),
        torch.ones(4, 1).expand(4, 3),
        torch.ones(20).as_strided((4, 3), (2, 1)),
        torch.ones(20).as_strided((4, 4), (2, 3)),
    ],
)
def test_rows_that_share_memory_are_refused(weight: Tensor) -> None:
    before = weight.clone()
    with pytest.raises(ValueError, match="weight has rows that share memory with each other"):
        prism_(weight, torch.arange(len(weight)))
    assert torch.equal(weight, before)


@pytest.mark.parametrize(("size", "stride"), [((4, 3), (3, 1)), ((2, 3), (3, 2)), ((2, 2), (2, 3)), ((1, 1), (0, 0))])
def test_rows_that_only_lie_between_each_other_are_scaled(size: tuple[int, int], stride: tuple[int, int]) -> None:
    weight = torch.arange(1.0, 21).as_strided(size, stride)
    places = torch.arange(20).as_strided(size, stride)
    assert len(places.unique()) == places.numel()
    expected = prism(weight, range(size[0]))
    assert torch.equal(prism_(weight, range(size[0])), expected)


def test_a_table_made_under_inference_mode_is_refused_outside_of_it() -> None:
    with torch.inference_mode():
        weight = nn.Embedding(3, 2).weight
        prism_(weight, [1, 2, 3])
    with pytest.raises(ValueError, match=r"weight was made under torch\.inference_mode\(\)"):
        prism_(weight, [1, 2, 3])


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


class Unreadable:
    """A column whose reading fails in its own way."""

    def __array__(self, *_: Any, **__: Any) -> None:
        raise RuntimeError("it cannot be read")


def check_copies(whole: Tensor, mesh: Any) -> None:
    """What a table that is sharded by rows gives: its own rows are written through, copies are refused."""
    counts = torch.arange(len(whole))
    refused: dict[str, Callable[[Any], Tensor]] = {
        "full_tensor": lambda table: table.full_tensor(),
        "a slice of full_tensor": lambda table: table.full_tensor()[1:],
        "split of full_tensor": lambda table: table.full_tensor().split(3)[0],
        "a slice": lambda table: table[1:],
        "the first rows": lambda table: table[:3],
        "split": lambda table: table.split(2)[0],
        "chunk": lambda table: table.chunk(2)[1],
        "narrow": lambda table: table.narrow(0, 1, 2),
        "detach": lambda table: table.detach()[1:],
        "data": lambda table: table.data[1:],
        "redistribute": lambda table: table.redistribute(mesh, [Replicate()]),
        "half": lambda table: table.half(),
    }
    for copies in refused.values():
        for requires_grad in (True, False):
            for enabled in (True, False):
                table = nn.Parameter(distribute_tensor(whole.clone(), mesh, [Shard(0)]), requires_grad=requires_grad)
                with torch.set_grad_enabled(enabled), pytest.raises(ValueError, match="would change no table"):
                    prism_(copies(table), counts[: len(copies(table))])
                assert torch.equal(table.full_tensor(), whole)
    # held in a variable, as long as autograd knows what it was computed from
    table = nn.Parameter(distribute_tensor(whole.clone(), mesh, [Shard(0)]))
    gathered, part = table.full_tensor(), table.split(2)[0]
    for weight in (gathered, gathered.split(3)[0], part):
        with pytest.raises(ValueError, match="weight is a copy of rows of a sharded table, so that writing to it"):
            prism_(weight, counts[: len(weight)])
    for requires_grad in (True, False):
        table = nn.Parameter(distribute_tensor(whole.clone(), mesh, [Shard(0)]), requires_grad=requires_grad)
        with torch.no_grad():
            gathered = table.full_tensor()
            rows = table.data.full_tensor()[1:]
        for weight in (gathered, rows):
            with pytest.raises(ValueError, match=r"as full_tensor\(\) of a sharded table is, so that writing"):
                prism_(weight, counts[: len(weight)])
            prism_(weight.clone(), counts[: len(weight)]).norm()
    own = torch.randn(20).view(5, 4)
    prism_(own, counts)
    torch.testing.assert_close(own.norm(dim=1), prism_norm(counts))
    # where the whole is on every rank, or each rank has some columns of every row, slices write to the table
    expected = prism(whole[1:], counts[1:])
    for placement in (Shard(1), Replicate()):
        for requires_grad in (True, False):
            table = nn.Parameter(distribute_tensor(whole.clone(), mesh, [placement]), requires_grad=requires_grad)
            prism_(table[1:], counts[1:])
            torch.testing.assert_close(table.full_tensor().detach(), torch.cat([whole[:1], expected]))
    for local in (lambda table: table.to_local(), lambda table: table.data.to_local(), lambda table: table[:]):
        table = nn.Parameter(distribute_tensor(whole.clone(), mesh, [Shard(0)]))
        rows = len(local(table))
        prism_(local(table), counts[:rows])
        assert not torch.equal(table.full_tensor(), whole)


def on_two_ranks(rank: int, meeting: str) -> None:
    """What each rank checks; a rank that would wait for ever for the other runs into a timeout."""
    torch.set_num_threads(1)
    store = dist.FileStore(meeting, 2)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=2, timeout=timedelta(seconds=60))
    try:
        mesh = init_device_mesh("cpu", (2,))
        whole = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
        whole[1] *= 1e-30
        counts = np.array([0, 6, 3, 200, 9])
        expected = prism(whole, counts)
        for placement in (Shard(0), Shard(1), Replicate()):
            table = nn.Parameter(distribute_tensor(whole.clone(), mesh, [placement]))
            assert prism_(table, counts) is table
            torch.testing.assert_close(table.full_tensor().detach(), expected)
        # shards that are plain tensors: rows one by one are right, columns one by one are sqrt(2) times too long
        rows = nn.Parameter(distribute_tensor(whole.clone(), mesh, [Shard(0)]))
        prism_(rows.to_local(), counts[:3] if rank == 0 else counts[3:])
        torch.testing.assert_close(rows.full_tensor().detach(), expected)
        columns = nn.Parameter(distribute_tensor(whole.clone(), mesh, [Shard(1)]))
        prism_(columns.to_local(), counts)
        torch.testing.assert_close(columns.full_tensor().detach().norm(dim=1), math.sqrt(2) * expected.norm(dim=1))
        # in blocks the bits are those of the whole
        init._BLOCK, init._SHARE = 4, 0
        for placement in (Shard(0), Shard(1), Replicate()):
            table = distribute_tensor(whole.clone(), mesh, [placement])
            result = prism(table, counts).full_tensor()
            assert torch.equal(prism_(nn.Parameter(table), counts).full_tensor(), result)
            assert placement == Shard(1) or torch.equal(result, expected)
        # counts may be a DTensor too
        table = nn.Parameter(distribute_tensor(whole.clone(), mesh, [Shard(0)]))
        prism_(table, distribute_tensor(torch.from_numpy(counts), mesh, [Shard(0)]))
        torch.testing.assert_close(table.full_tensor().detach(), expected)
        check_copies(whole, mesh)
        # what is wrong, on one rank or on both, is an error on both
        zero = whole.clone()
        zero[4] = 0  # in the second rank's rows
        wrong_here = np.where(rank == 1, -1, counts)
        sparse, coarse = torch.from_numpy(counts).to_sparse(), torch.from_numpy(counts).to(torch.float8_e5m2)
        spread = distribute_tensor(torch.from_numpy(counts), mesh, [Replicate()])
        other = "on another rank"
        for weight, given, alpha, message in (
            (whole, counts[:3], 1, "popularity must have 5 entries"),
            (whole, wrong_here, 1, "finite and >= 0" if rank == 1 else other),
            (whole, counts + rank, 1, "popularity or alpha differs between ranks"),
            (whole, counts, 1 - rank / 2, "popularity or alpha differs between ranks"),
            (whole, counts, "1" if rank else 1.0, "alpha must lie" if rank else other),
            (whole, counts, None if rank else 1.0, "alpha must lie" if rank else other),
            (whole, sparse if rank else counts, 1, "must be dense" if rank else other),
            (whole, counts if rank else coarse, 1, other if rank else "must be float16"),
            (whole, None if rank else counts, 1, "must be 1-D" if rank else other),
            (whole, Unreadable() if rank else counts, 1, "cannot be read" if rank else other),
            (whole, spread if rank else counts, 1, "popularity is a DTensor on some ranks only"),
            (zero, counts, 1, "row 4 of weight is zero"),
            (whole[:1], counts[:1], 1, "weight has one row, and is sharded by rows"),
            (whole[:, :1].clone(), counts, 1, "weight has one column, and is sharded by columns"),
        ):
            for placement in (Shard(0), Shard(1)):
                if weight.shape[1 - placement.dim] == 1:  # a table of one row may be sharded by columns
                    continue
                for call in (prism_, prism):
                    table = nn.Parameter(distribute_tensor(weight.clone(), mesh, [placement]))
                    with pytest.raises((ValueError, RuntimeError), match=message) as raised:
                        call(table, given, alpha)  # type: ignore[arg-type]
                    assert raised.type is (RuntimeError if message == "cannot be read" else ValueError)
                    assert torch.equal(table.full_tensor(), weight)
    finally:
        dist.destroy_process_group()


@pytest.mark.skipif(not dist.is_available(), reason="PyTorch without torch.distributed")
def test_a_sharded_table_gets_its_norms_and_errors_on_every_rank(tmp_path: Path) -> None:
    multiprocessing.set_forkserver_preload(["torch.distributed.tensor", "prismlib"])  # once, and not on each rank
    given = (str(tmp_path / "meeting"),)
    torch.multiprocessing.start_processes(on_two_ranks, given, nprocs=2, start_method="forkserver")
