"""Uniformity in one Triton kernel, for a GPU: value and gradient in one pass over the cosines, none of which is stored.

Triton comes with PyTorch for CUDA. It is imported when the kernel is first asked for; without it
:mod:`prismlib.hypersphere` has the same sums as a few matrix products.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

#: The factors of the kernel's products are rounded to this. ``"tf32x3"`` is as exact as float32, ``"tf32"`` and
#: ``"float16"`` are faster and coarser. Sums are float32. A unit row and E, which is at most 55, fit float16's range;
#: bfloat16 takes as long and rounds eight times as coarsely.
KERNEL_PRECISIONS = ("tf32x3", "tf32", "float16")
#: The widest rows whose tiles fit a multiprocessor.
MAX_DIM = 256

# Triton's language; _compiled imports it. Triton looks it up among the globals of the kernel's function.
tl: Any = None


def _sums_kernel(  # type: ignore[no-untyped-def]
    x_ptr,
    counts_ptr,
    product_ptr,
    total_ptr,
    n,
    d,
    PADDED: tl.constexpr,
    HEIGHT: tl.constexpr,
    WIDTH: tl.constexpr,
    PARTS: tl.constexpr,
    PRECISION: tl.constexpr,
    HALF: tl.constexpr,
):
    """One block of HEIGHT rows against one of PARTS ranges of columns, WIDTH columns at a time."""
    block, part = tl.program_id(0), tl.program_id(1)
    row, along = block * HEIGHT + tl.arange(0, HEIGHT), tl.arange(0, PADDED)
    row_counts = tl.load(counts_ptr + row, mask=row < n, other=0) != 0
    rows = tl.load(x_ptr + row[:, None] * d + along[None, :], mask=(row[:, None] < n) & (along[None, :] < d), other=0.0)
    if HALF:
        rows = rows.to(tl.float16)
    product = tl.zeros((HEIGHT, PADDED), dtype=tl.float32)
    total = tl.zeros((HEIGHT,), dtype=tl.float32)
    per_part = tl.cdiv(tl.cdiv(n, WIDTH), PARTS) * WIDTH
    first = part * per_part
    for start in range(first, tl.minimum(first + per_part, n), WIDTH):
        column = start + tl.arange(0, WIDTH)
        column_counts = tl.load(counts_ptr + column, mask=column < n, other=0) != 0
        columns = tl.load(
            x_ptr + column[:, None] * d + along[None, :], mask=(column[:, None] < n) & (along[None, :] < d), other=0.0
        )
        if HALF:
            columns = columns.to(tl.float16)
        cosine = tl.dot(rows, tl.trans(columns), input_precision=PRECISION)
        # cosines are at most 1 and exp(4) is 55: no maximum has to be taken out
        counted = row_counts[:, None] & column_counts[None, :] & (row[:, None] != column[None, :])
        e = tl.where(counted, tl.exp(4.0 * cosine), 0.0)
        total += tl.sum(e, 1)
        if HALF:
            product += tl.dot(e.to(tl.float16), columns)
        else:
            product += tl.dot(e, columns, input_precision=PRECISION)
    offset = part * n + row
    tl.store(
        product_ptr + offset[:, None] * d + along[None, :],
        product,
        mask=(row[:, None] < n) & (along[None, :] < d),
    )
    tl.store(total_ptr + offset, total, mask=row < n)


@cache
def _compiled() -> Any:
    global tl
    import triton  # type: ignore[import-not-found,import-untyped,unused-ignore]
    import triton.language as tl  # type: ignore[import-not-found,import-untyped,unused-ignore]

    return triton.jit(_sums_kernel)


def can_run(x: Tensor) -> bool:
    """Whether :func:`uniformity_sums` runs on a tensor as it is.

    It needs float32 rows of at most :data:`MAX_DIM` dimensions on an NVIDIA GPU of compute capability 8.0 or later,
    and Triton.

    Args:
        x: the rows, ``(n, d)``.

    >>> can_run(torch.ones(3, 2))
    False
    """
    return (
        x.device.type == "cuda" and x.dtype == torch.float32 and x.shape[1] <= MAX_DIM and _device_can(x.device.index)
    )


@cache
def _device_can(index: int) -> bool:
    has_triton = find_spec("triton") is not None and torch.version.cuda is not None
    return has_triton and torch.cuda.get_device_capability(index) >= (8, 0)


def uniformity_sums(
    x: Tensor, counts: Tensor | None = None, precision: str = "tf32x3", processors: int | None = None
) -> tuple[Tensor, Tensor]:
    r"""The sums that uniformity and its gradient are made of, over the rows that count.

    With :math:`E_{ij} = e^{4 x_i \cdot x_j}` where rows i and j count and :math:`i \ne j`, and 0 elsewhere, they are
    :math:`\sum_{ij} E_{ij}` and :math:`E X`. The result does not depend on the order in which the GPU's blocks end.

    Args:
        x: unit rows, float32, ``(n, d)``, n >= 1 and d <= :data:`MAX_DIM`.
        counts: which rows count, bool, ``(n,)``; None counts all.
        precision: one of :data:`KERNEL_PRECISIONS`.
        processors: multiprocessors to spread the work over; None takes the number that the GPU has.

    Returns:
        The sum, float64, scalar; and the product, float32, ``(n, d)``.

    Raises:
        ValueError: an argument that is not as described.
        ModuleNotFoundError: Triton is not installed.
    """
    if x.dim() != 2 or x.dtype != torch.float32 or not 1 <= x.shape[1] <= MAX_DIM or len(x) == 0:
        raise ValueError(
            f"x must be float32 with shape (n >= 1, d <= {MAX_DIM}), got {x.dtype} with shape {tuple(x.shape)}"
        )
    if counts is not None and (counts.shape != x.shape[:1] or counts.dtype != torch.bool):
        raise ValueError(
            f"counts must be bool with shape ({len(x)},), got {counts.dtype} with shape {tuple(counts.shape)}"
        )
    if precision not in KERNEL_PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(KERNEL_PRECISIONS)}, got {precision!r}")
    kernel = _compiled()
    n, d = x.shape
    x = x.contiguous()
    counted = x.new_ones(n, dtype=torch.int8) if counts is None else counts.contiguous().view(torch.int8)
    padded = max(16, 1 << (d - 1).bit_length())  # tiles are powers of two, of 16 at least
    height, width, warps = (128, 64, 8) if padded <= 64 else (64, 32, 8) if padded == 128 else (32, 32, 4)
    blocks = -(-n // height)
    if processors is None:
        processors = torch.cuda.get_device_properties(x.device).multi_processor_count if x.is_cuda else 1
    parts = max(1, min(8, processors // blocks))
    product, total = x.new_empty(parts, n, d), x.new_empty(parts, n)
    half = precision == "float16"
    with torch.cuda.device_of(x):  # Triton launches on the current one
        kernel[(blocks, parts)](
            x,
            counted,
            product,
            total,
            n,
            d,
            PADDED=padded,
            HEIGHT=height,
            WIDTH=width,
            PARTS=parts,
            PRECISION="tf32" if half else precision,
            HALF=half,
            num_warps=warps,
            num_stages=2,
        )
    return total.sum(dtype=torch.float64), product.sum(0)
