"""Rows divided by their norms, whatever the norms are, and the gradient of that in one pass."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from prismlib._fast import kernels, trial

#: From this norm on, the squares of a row's entries keep their digits in float32.
SHORT = 1e-12


def unit_of(rows: Tensor, name: str) -> Tensor:
    """Rows divided by their norms, differentiable twice; :func:`prismlib.hypersphere.unit` describes it.

    Args:
        rows: float32 or float64, ``(..., d)``.
        name: what an error calls them.

    Raises:
        ValueError: as that function.

    >>> unit_of(torch.tensor([3.0, 4.0]), "rows")
    tensor([0.6000, 0.8000])
    """
    result: Tensor = _Unit.apply(rows, name)[0]  # type: ignore[no-untyped-call]
    return result


class _Unit(torch.autograd.Function):
    """rows / norms, with the gradient (g - (g . y) y) / norm: a third of the passes that autograd makes of it.

    The inverse norms are a second output, so that the gradient is a function of outputs alone. Autograd can then
    differentiate the gradient too.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, name: str) -> tuple[Tensor, Tensor]:
        unit_rows, inverse = _normalised(rows, name)
        ctx.save_for_backward(unit_rows, inverse)
        ctx.set_materialize_grads(False)
        return unit_rows, inverse

    @staticmethod
    def backward(ctx: Any, upstream: Tensor | None, upstream_inverse: Tensor | None) -> tuple[Tensor | None, None]:
        unit_rows, inverse = ctx.saved_tensors
        gradient = None
        by_kernel = upstream_inverse is None and not torch.is_grad_enabled()
        if upstream is not None and by_kernel and trial.can_run(kernels.unit_rows, unit_rows):
            return kernels.unit_gradient(upstream, unit_rows, inverse), None
        if upstream is not None:
            # autocast, under which backward may run, would take vecdot in half precision and leave a part along the row
            with torch.autocast(upstream.device.type, enabled=False):
                along = torch.linalg.vecdot(upstream, unit_rows).unsqueeze(-1)
                gradient = torch.addcmul(upstream, unit_rows, along, value=-1).mul_(inverse)
        if upstream_inverse is not None:  # in a second derivative alone
            shrunk = -upstream_inverse * inverse.square() * unit_rows
            gradient = shrunk if gradient is None else gradient + shrunk
        return gradient, None


def _normalised(rows: Tensor, name: str) -> tuple[Tensor, Tensor]:
    """Unit rows and inverse norms, also where the squares of a row's entries are not numbers of the dtype."""
    if trial.can_run(kernels.unit_rows, rows):
        return kernels.unit_rows(rows)
    may_read_values = rows.device.type == "cpu" and not torch.compiler.is_compiling()
    if not may_read_values and rows.dtype == torch.float32:  # float64 holds the squares of all float32 numbers
        norm = torch.linalg.vector_norm(rows, dim=-1, keepdim=True, dtype=torch.float64)
        inverse = norm.clamp_min_(torch.finfo(rows.dtype).tiny).reciprocal_().to(rows.dtype)
        return rows * inverse, inverse
    norm = torch.linalg.vector_norm(rows, dim=-1, keepdim=True)
    if may_read_values and norm.numel():
        shortest, longest = norm.aminmax()
        if not (shortest >= SHORT and longest < torch.inf):
            return _rescaled(rows, norm, name)
    inverse = norm.clamp_min_(torch.finfo(rows.dtype).tiny).reciprocal_()
    return rows * inverse, inverse


def _rescaled(rows: Tensor, norm: Tensor, name: str) -> tuple[Tensor, Tensor]:
    """The same for rows of any length: the rows that are out of the ordinary are divided by their largest entry."""
    peak = rows.abs().amax(-1, keepdim=True)
    lost = (peak < torch.finfo(rows.dtype).tiny).nonzero()
    if len(lost):
        row = tuple(lost[0].tolist())[:-1]
        index = row[0] if len(row) == 1 else row
        if peak[row] == 0:
            raise ValueError(f"{name} has a zero row at index {index}: a zero vector has no direction")
        raise ValueError(
            f"{name} has a row at index {index} that is not zero but below {torch.finfo(rows.dtype).tiny:.1e}:"
            f" {rows.dtype} holds too few of its digits for a direction"
        )
    scale = torch.where((norm >= SHORT) & norm.isfinite(), 1.0, peak)
    scaled = rows / scale
    inverse = torch.linalg.vector_norm(scaled, dim=-1, keepdim=True).reciprocal_()
    return scaled * inverse, inverse / scale
