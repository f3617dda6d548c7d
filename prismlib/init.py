"""PRISM: Popularity-awaRe Initialisation Strategy for embedding Magnitudes (Section 4.2, Equation 4)."""

from __future__ import annotations

import zlib
from typing import Any

import torch
from torch import Tensor

from prismlib._checks import check_table
from prismlib._columns import Column, counts
from prismlib._rows import is_moderate, peaks


def prism_norm(popularity: Column, alpha: float = 1.0) -> Tensor:
    r"""The norm PRISM gives a row: :math:`\alpha \log(d + 2) + (1 - \alpha)`, natural logarithm (Equation 4).

    Args:
        popularity: ``d``, training interactions of each row, shape ``(n,)``, real numbers >= 0: a tensor, a NumPy
            array, a list, or a column of pandas, polars or pyarrow; see ``prismlib._columns.counts``.
        alpha: strength in [0, 1]; 1 encodes log popularity fully, 0 gives unit rows.

    Returns:
        Norms, shape ``(n,)``, floating point; positive also for cold rows (``d = 0``).

    Raises:
        ValueError: ``alpha`` outside [0, 1]; ``popularity`` not 1-D, negative, not finite, or labelled in an order that
            is not that of the rows.

    >>> prism_norm(torch.tensor([0, 6]), alpha=0.5)
    tensor([0.8466, 1.5397])
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must lie in [0, 1], got {alpha}")
    values = counts("popularity", popularity)
    values = values if values.is_floating_point() else values.to(torch.get_default_dtype())
    return alpha * torch.log(values + 2) + (1 - alpha)


def prism(weight: Tensor, popularity: Column, alpha: float = 1.0) -> Tensor:
    """Return ``weight`` with each row scaled to its PRISM norm; directions are kept (Equation 4).

    Args:
        weight: rows drawn by any initialiser, shape ``(n, d)``, floating point. It may be a DTensor, as FSDP2 makes of
            a table; ``popularity`` then has the counts of all rows, the same on every rank.
        popularity: training interactions of each row, shape ``(n,)``, see :func:`prism_norm`.
        alpha: strength in [0, 1], see :func:`prism_norm`.

    Returns:
        The scaled rows, shape ``(n, d)``, of the dtype of ``weight``.

    Raises:
        ValueError: as :func:`prism_norm`; ``weight`` not floating point or not 2-D; lengths differ; a row that is zero
            or not finite (a zero vector has no direction to keep). With a DTensor, what is wrong on one rank is an
            error on every rank.

    >>> prism(torch.tensor([[3.0, 4.0]]), torch.tensor([6]))
    tensor([[1.2477, 1.6636]])
    """
    target = _targets(weight, popularity, alpha)
    rows = weight.to(target.dtype)
    peak = peaks(rows)
    bad = ~torch.isfinite(peak) | (peak == 0)
    bad = bad.full_tensor() if hasattr(bad, "full_tensor") else bad  # of the rows of every rank
    if bad.any():
        row = int(bad.flatten().nonzero()[0])
        raise ValueError(f"row {row} of weight is zero or not finite: it has no direction; initialise it first")
    rows = rows / torch.where(is_moderate(peak), 1, peak)  # the square of 1e-25 would be zero
    norm = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    return (rows / norm * target[:, None]).to(weight.dtype)


@torch.no_grad()
def prism_(weight: Tensor, popularity: Column, alpha: float = 1.0) -> Tensor:
    """Scale the rows of ``weight`` to their PRISM norms in place, in the manner of :mod:`torch.nn.init`.

    Call it once after the usual initialiser, on the user and on the item table, each with its own
    training popularity; then train without weight decay (Section 4.2). ``nn.Embedding(..., max_norm=...)`` shortens
    rows to that norm whenever they are looked up, and so would undo PRISM: leave ``max_norm`` out.

    Args:
        weight: a table, or a view of its rows such as ``weight[:n]``, shape ``(n, d)``, see :func:`prism`.
        popularity: training interactions of each row, shape ``(n,)``, see :func:`prism_norm`.
        alpha: strength in [0, 1], see :func:`prism_norm`.

    Returns:
        ``weight``, the same tensor.

    Raises:
        ValueError: as :func:`prism`; ``weight`` is computed from other tensors, as with ``weight_norm``, pruning or
            ``weight[[1, 2]]``. Under ``torch.no_grad()`` a computed tensor cannot be told from a table.

    >>> table = torch.nn.Embedding(3, 64)
    >>> _ = torch.nn.init.xavier_uniform_(table.weight)
    >>> _ = prism_(table.weight, popularity=torch.tensor([0, 6, 998]))
    >>> table.weight.norm(dim=1)
    tensor([0.6931, 2.0794, 6.9078], grad_fn=<LinalgVectorNormBackward0>)
    """
    check_table("weight", weight)
    source = weight._base if weight._is_view() else weight
    if source is not None and not source.is_leaf:
        raise ValueError(
            "weight is computed from other tensors, so that writing to it would change no table: call prism_ before "
            "weight_norm, spectral_norm or pruning; and on a slice, weight[a:b], since rows picked by ids are a copy"
        )
    return weight.copy_(prism(weight, popularity, alpha))


def _targets(weight: Tensor, popularity: Column, alpha: float) -> Tensor:
    """The norm of each row, in the precision of the weight, and in float32 at least.

    Integer counts would give float32's precision, half ones a coarser one.
    """
    sharded = hasattr(weight, "device_mesh")
    error, target = None, torch.zeros(0)
    try:
        check_table("weight", weight)
        values = counts("popularity", popularity, len(weight))
        precise = torch.promote_types(weight.dtype, torch.float32)
        target = prism_norm(values.to(weight.device, precise), alpha)
    except ValueError as problem:
        if not sharded:
            raise
        error = problem
    return _replicated(target, weight, error) if sharded else target


def _replicated(target: Tensor, weight: Any, error: ValueError | None) -> Tensor:
    """The targets on every rank of a DTensor's mesh, or an error on every rank, so that none waits for the others."""
    from torch.distributed.tensor import DTensor, Replicate, Shard

    mesh = weight.device_mesh
    checksum = -1 if error else zlib.crc32(target.cpu().numpy().tobytes())
    local = torch.tensor([checksum], device=weight.device)
    checksums = DTensor.from_local(local, mesh, [Shard(0)] * mesh.ndim).full_tensor()
    if error is not None:
        raise error
    if (checksums == -1).any():
        raise ValueError("weight, popularity or alpha is refused on another rank, whose error says why")
    if (checksums != checksum).any():
        raise ValueError(
            "popularity or alpha differs between ranks: each needs the counts of all rows and interactions"
        )
    return DTensor.from_local(target, mesh, [Replicate()] * mesh.ndim, run_check=False)
