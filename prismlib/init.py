"""PRISM: Popularity-awaRe Initialisation Strategy for embedding Magnitudes (Section 4.2, Equation 4)."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from prismlib._checks import check_fraction, check_table, check_values
from prismlib._columns import Column, popularity_column
from prismlib._memory import check_writes_to_table
from prismlib._rows import is_moderate, peaks

#: A table is scaled in blocks of its rows: one for every so many entries, or for this share of it, if that is more.
_BLOCK, _SHARE = 2**17, 1 / 256


def prism_norm(popularity: Column, alpha: float = 1.0) -> Tensor:
    r"""The norm PRISM gives a row: :math:`\alpha \log(d + 2) + (1 - \alpha)`, natural logarithm (Equation 4).

    Args:
        popularity: ``d``, training interactions of each row, shape ``(n,)``, real numbers >= 0: a tensor, a NumPy
            array, a list, or a column of pandas, polars or pyarrow; see ``prismlib._columns.popularity_column``.
        alpha: strength in [0, 1]; 1 encodes log popularity fully, 0 gives unit rows.

    Returns:
        Norms, shape ``(n,)``, floating point; positive also for cold rows (``d = 0``).

    Raises:
        ValueError: ``alpha`` is not a number in [0, 1]; ``popularity`` not 1-D, negative, not finite, or labelled in an
            order that is not that of the rows.

    >>> prism_norm(torch.tensor([0, 6]), alpha=0.5)
    tensor([0.8466, 1.5397])
    """
    alpha = check_fraction("alpha", alpha)
    values = popularity_column("popularity", popularity)
    return _norms(values if values.is_floating_point() else values.to(torch.get_default_dtype()), alpha)


def prism(weight: Tensor, popularity: Column, alpha: float = 1.0) -> Tensor:
    """Return ``weight`` with each row scaled to its PRISM norm; directions are kept (Equation 4).

    Args:
        weight: rows drawn by any initialiser, shape ``(n, d)``, float16, bfloat16, float32 or float64. It may be a
            DTensor, as FSDP2 makes of a table; ``popularity`` then has the counts of all rows, the same on every rank.
        popularity: training interactions of each row, shape ``(n,)``, see :func:`prism_norm`.
        alpha: strength in [0, 1], see :func:`prism_norm`.

    Returns:
        The scaled rows, shape ``(n, d)``, of the dtype of ``weight``.

    Raises:
        ValueError: as :func:`prism_norm`; ``weight`` of another dtype, sparse, not 2-D, or on the meta device; lengths
            differ; a row that is zero or not finite (a zero vector has no direction to keep); a DTensor of one row that
            is sharded by rows. With a DTensor, whatever is wrong on one rank is an error on every rank.

    >>> prism(torch.tensor([[3.0, 4.0]]), torch.tensor([6]))
    tensor([[1.2477, 1.6636]])
    """
    values = _agreed(weight, popularity, alpha)
    _check_directions(_is_bad(weight.detach()))
    return _scaled(weight, values, alpha)


def prism_(weight: Tensor, popularity: Column, alpha: float = 1.0) -> Tensor:
    """Scale the rows of ``weight`` to their PRISM norms in place, in the manner of :mod:`torch.nn.init`.

    Call it once after the usual initialiser, on the user and on the item table, each with its own
    training popularity; then train without weight decay (Section 4.2). ``nn.Embedding(..., max_norm=...)`` shortens
    rows to that norm whenever they are looked up, and so would undo PRISM: leave ``max_norm`` out.

    The table is scaled in blocks of its rows, to the same numbers as by :func:`prism`: beside it, less than a tenth of
    its memory is needed. All rows are checked before the first is written to. Only a DTensor that is sharded by rows
    and by columns is scaled in one piece.

    A copy is refused, since writing to it would change no table. It is told from a table by its memory: rows picked by
    ids, another dtype, a table that is computed at each use, and rows of a DTensor that is sharded by rows, which
    slicing and ``full_tensor()`` copy. Where nothing requires a gradient, PyTorch keeps no record of what a tensor was
    computed from. Such a copy is refused where nothing else holds it and the result of the call is not used, which
    Python up to 3.13 can tell. A tensor without a gradient that you hold in a variable is scaled as it is, whatever it
    is a copy of; but ``full_tensor()`` is refused there too.

    Args:
        weight: a table, or a view of its rows such as ``weight[:n]``, shape ``(n, d)``, see :func:`prism`.
        popularity: training interactions of each row, shape ``(n,)``, see :func:`prism_norm`.
        alpha: strength in [0, 1], see :func:`prism_norm`.

    Returns:
        ``weight``, the same tensor.

    Raises:
        ValueError: as :func:`prism`; ``weight`` is a copy, see above, has rows that share memory with each other, or
            was made under :func:`torch.inference_mode`.

    >>> table = torch.nn.Embedding(3, 64)
    >>> _ = torch.nn.init.xavier_uniform_(table.weight)
    >>> _ = prism_(table.weight, popularity=torch.tensor([0, 6, 998]))
    >>> table.weight.norm(dim=1)
    tensor([0.6931, 2.0794, 6.9078], grad_fn=<LinalgVectorNormBackward0>)
    """
    held, caller = sys.getrefcount(weight), sys._getframe().f_back
    with torch.no_grad():
        values = _agreed(weight, popularity, alpha, lambda: check_writes_to_table("weight", weight, held, caller))
        size = max(1, int(max(_BLOCK, weight.numel() * _SHARE)) // weight.shape[1])
        blocks = _blocks(weight, values, size)
        _check_directions(_of_all_ranks(torch.cat([_is_bad(block) for block, _ in blocks]), weight))
        for block, of_block in blocks:
            block.copy_(_scaled(block, of_block, alpha))
    return weight


def _norms(values: Tensor, alpha: float) -> Tensor:
    return alpha * torch.log(values + 2) + (1 - alpha)


def _scaled(rows: Tensor, values: Tensor, alpha: float) -> Tensor:
    """Rows with the norms of their counts, in float32 at least: integers and half precision are too coarse."""
    precise = torch.promote_types(rows.dtype, torch.float32)
    target = _replicated(_norms(values.to(precise), alpha), rows)
    scaled = rows.to(precise)
    peak = peaks(scaled)
    scaled = scaled / torch.where(is_moderate(peak), 1, peak)  # the square of 1e-25 would be zero
    norm = torch.linalg.vector_norm(scaled, dim=1, keepdim=True)
    return (scaled / norm * target[:, None]).to(rows.dtype)


def _is_bad(rows: Tensor) -> Any:
    """Whether each row has no direction, bool, shape ``(n,)``, of a DTensor's rows on all ranks."""
    peak = peaks(rows)
    bad: Any = ~torch.isfinite(peak) | (peak == 0)
    return (bad.full_tensor() if _is_sharded(bad) else bad).flatten()


def _check_directions(bad: Tensor) -> None:
    if bad.any():
        row = int(bad.nonzero()[0])
        raise ValueError(f"row {row} of weight is zero or not finite: it has no direction; initialise it first")


def _agreed(weight: Tensor, popularity: Any, alpha: float, check: Callable[[], None] | None = None) -> Tensor:
    """The counts on the weight's device, once every argument is right; with a DTensor, on every rank.

    What is wrong on one rank is an error on every rank, so that none waits for the others.
    """
    if not _is_sharded(weight):
        return _checked(weight, popularity, alpha, check)
    check_values("weight", weight)  # by which the ranks could exchange nothing
    spread = _is_sharded(popularity)
    if len(set(_gathered(int(spread), weight))) > 1:
        raise ValueError("popularity is a DTensor on some ranks only: each needs the counts of all rows")
    popularity = popularity.full_tensor() if spread else popularity
    values, error, checksum = torch.empty(0), None, -1
    try:
        values = _checked(weight, popularity, alpha, check)
        checksum = _checksum(values, weight.dtype, alpha)
    except Exception as problem:  # a rank that raised any error at once would leave the others waiting
        error = problem
    checksums = _gathered(checksum, weight)
    if error is not None:
        raise error
    if -1 in checksums:
        raise ValueError("weight, popularity or alpha is refused on another rank, whose error says why")
    if len(set(checksums)) > 1:
        raise ValueError(
            "popularity or alpha differs between ranks: each needs the counts of all rows and interactions"
        )
    return values


def _checked(weight: Any, popularity: Column, alpha: float, check: Callable[[], None] | None) -> Tensor:
    check_table("weight", weight)
    check_values("weight", weight)
    values = popularity_column("popularity", popularity, len(weight))
    check_fraction("alpha", alpha)
    if _is_sharded(weight):
        if any(placement.is_partial() for placement in weight.placements):
            raise ValueError("weight is a DTensor of partial sums, which have no norms: redistribute it first")
        for dimension, name in enumerate(("row", "column")):
            ranks = [weight.device_mesh.size(i) for i, p in enumerate(weight.placements) if p.is_shard(dimension)]
            if weight.shape[dimension] == 1 and max(ranks, default=1) > 1:
                raise ValueError(f"weight has one {name}, and is sharded by {name}s: call prism_ before sharding it")
    if check is not None:
        check()
    return values.to(weight.device)


def _is_sharded(tensor: Any) -> bool:
    """Whether something is a DTensor, without importing what makes one."""
    return hasattr(tensor, "full_tensor")


def _sharded_dimensions(weight: Any) -> set[int]:
    return {placement.dim for placement in weight.placements if not placement.is_replicate()}


def _gathered(number: int, weight: Any) -> list[int]:
    """A number of each rank of a DTensor's mesh."""
    from torch.distributed.tensor import DTensor, Shard

    local = torch.tensor([number], device=weight.device)
    numbers: list[int] = (
        DTensor.from_local(local, weight.device_mesh, [Shard(0)] * weight.device_mesh.ndim).full_tensor().tolist()
    )
    return numbers


def _checksum(values: Tensor, dtype: torch.dtype, alpha: float) -> int:
    """Of the norms, so that counts of two dtypes are the same."""
    checksum = 0
    for block in values.split(_BLOCK):
        norms = _norms(block.to(torch.promote_types(dtype, torch.float32)), alpha)
        checksum = zlib.crc32(norms.cpu().numpy().data, checksum)
    return checksum


def _replicated(target: Tensor, rows: Any) -> Any:
    """The targets as a DTensor where the rows are one."""
    if not _is_sharded(rows):
        return target
    from torch.distributed.tensor import DTensor, Replicate

    mesh = rows.device_mesh
    return DTensor.from_local(target, mesh, [Replicate()] * mesh.ndim, run_check=False)


def _by_rows(weight: Any) -> list[Any]:
    """How a vector with one entry per row is placed where the rows are."""
    from torch.distributed.tensor import Replicate

    return [placement if placement.is_shard(0) else Replicate() for placement in weight.placements]


def _blocks(weight: Any, values: Tensor, size: int) -> list[tuple[Tensor, Tensor]]:
    """Views of a table's rows, and their counts, in blocks of so many rows; of a DTensor, rows of this rank.

    A slice of a DTensor that is sharded by rows is a copy, but a rank's own rows are a plain tensor.
    """
    if _is_sharded(weight):
        dimensions = _sharded_dimensions(weight)
        if dimensions == {0, 1}:
            return [(weight, values)]
        if dimensions == {0}:
            values = _replicated(values, weight).redistribute(weight.device_mesh, _by_rows(weight)).to_local()
            weight = weight.to_local()
    return list(zip(weight.split(size), values.split(size), strict=True))


def _of_all_ranks(bad: Tensor, weight: Any) -> Tensor:
    """The entries of every rank's rows, where each rank has its own."""
    if not _is_sharded(weight) or _sharded_dimensions(weight) != {0}:
        return bad
    from torch.distributed.tensor import DTensor

    placements = _by_rows(weight)
    whole = DTensor.from_local(
        bad, weight.device_mesh, placements, run_check=False, shape=weight.shape[:1], stride=(1,)
    )
    return whole.full_tensor()
