"""Triton kernels for a GPU: each does in one pass what PyTorch's operations do in many.

:func:`uniformity_sums` makes value and gradient of uniformity in one pass over the cosines, none of which is stored.
:func:`first_of_each` finds the distinct ids of a batch without a sort. :func:`listed_scores` multiplies users with the
items that are listed for them without writing an embedding for each listed item. :func:`sparse_product` multiplies a
sparse matrix with a table without the passes that a general library adds.

Triton comes with PyTorch for CUDA. It is imported when a kernel is first asked for. Before a kernel is used on a GPU,
it must give there what PyTorch's operations give on a small example, see :func:`can_run`. Where Triton is missing or
the example fails, the modules that call these functions do the same by PyTorch's operations.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
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
#: The most ids that :func:`first_of_each` compares with each other; from there on a sort is the faster way.
MAX_COMPARED = 2**15

log = logging.getLogger(__name__)

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


def _first_kernel(  # type: ignore[no-untyped-def]
    id_ptr, first_ptr, n, HEIGHT: tl.constexpr, WIDTH: tl.constexpr
):
    """One block of HEIGHT ids against all ids before each of them, WIDTH at a time."""
    block = tl.program_id(0)
    place = block * HEIGHT + tl.arange(0, HEIGHT)
    own = tl.load(id_ptr + place, mask=place < n, other=0)
    repeated = tl.zeros((HEIGHT,), dtype=tl.int32)
    for start in range(0, tl.minimum(block * HEIGHT + HEIGHT, n), WIDTH):
        before = start + tl.arange(0, WIDTH)
        other = tl.load(id_ptr + before, mask=before < n, other=0)
        same = (own[:, None] == other[None, :]) & (before[None, :] < place[:, None])
        repeated = tl.maximum(repeated, tl.max(same.to(tl.int32), 1))
    tl.store(first_ptr + place, (repeated == 0).to(tl.int8), mask=place < n)


def _scores_kernel(  # type: ignore[no-untyped-def]
    user_ptr, item_ptr, id_ptr, score_ptr, n, listed, d, PADDED: tl.constexpr, HEIGHT: tl.constexpr
):
    """The scores of a block of HEIGHT users with the items that are listed for them, one item of each at a time."""
    row, along = tl.program_id(0) * HEIGHT + tl.arange(0, HEIGHT), tl.arange(0, PADDED)
    inside = (row[:, None] < n) & (along[None, :] < d)
    users = tl.load(user_ptr + row[:, None] * d + along[None, :], mask=inside, other=0.0)
    for place in range(0, listed):
        ids = tl.load(id_ptr + row * listed + place, mask=row < n, other=0)
        items = tl.load(item_ptr + ids[:, None] * d + along[None, :], mask=inside, other=0.0)
        tl.store(score_ptr + row * listed + place, tl.sum(users * items, 1), mask=row < n)


def _gradients_kernel(  # type: ignore[no-untyped-def]
    user_ptr,
    item_ptr,
    id_ptr,
    weight_ptr,
    user_gradient_ptr,
    item_gradient_ptr,
    n,
    listed,
    d,
    PADDED: tl.constexpr,
    HEIGHT: tl.constexpr,
):
    """Both gradients of the same block; users that list one item add to its gradient one after the other."""
    row, along = tl.program_id(0) * HEIGHT + tl.arange(0, HEIGHT), tl.arange(0, PADDED)
    inside = (row[:, None] < n) & (along[None, :] < d)
    users = tl.load(user_ptr + row[:, None] * d + along[None, :], mask=inside, other=0.0)
    total = tl.zeros((HEIGHT, PADDED), dtype=user_ptr.dtype.element_ty)
    for place in range(0, listed):
        ids = tl.load(id_ptr + row * listed + place, mask=row < n, other=0)
        weight = tl.load(weight_ptr + row * listed + place, mask=row < n, other=0.0)
        at_item = ids[:, None] * d + along[None, :]
        total += weight[:, None] * tl.load(item_ptr + at_item, mask=inside, other=0.0)
        tl.atomic_add(item_gradient_ptr + at_item, weight[:, None] * users, mask=inside)
    tl.store(user_gradient_ptr + row[:, None] * d + along[None, :], total, mask=inside)


def _product_kernel(  # type: ignore[no-untyped-def]
    pointer_ptr, column_ptr, value_ptr, x_ptr, product_ptr, d, PADDED: tl.constexpr, WIDTH: tl.constexpr
):
    """One row of the product: the weighted sum of the rows of x that its entries name, WIDTH entries at a time."""
    row, along = tl.program_id(0), tl.arange(0, PADDED)
    first, last = tl.load(pointer_ptr + row), tl.load(pointer_ptr + row + 1)
    total = tl.zeros((PADDED,), dtype=x_ptr.dtype.element_ty)
    for start in range(first, last, WIDTH):
        entry = start + tl.arange(0, WIDTH)
        column = tl.load(column_ptr + entry, mask=entry < last, other=0).to(tl.int64)
        value = tl.load(value_ptr + entry, mask=entry < last, other=0.0)
        inside = (entry[:, None] < last) & (along[None, :] < d)
        rows = tl.load(x_ptr + column[:, None] * d + along[None, :], mask=inside, other=0.0)
        total += tl.sum(value[:, None] * rows, 0)
    tl.store(product_ptr + row.to(tl.int64) * d + along, total, mask=along < d)


@cache
def _compiled(kernel: Callable[..., None]) -> Any:
    global tl
    import triton  # type: ignore[import-not-found,import-untyped,unused-ignore]
    import triton.language as tl  # type: ignore[import-not-found,import-untyped,unused-ignore]

    return triton.jit(kernel)


def _padded(d: int) -> int:
    """The width of tiles of rows of d dimensions: a power of two, of 16 at least."""
    return max(16, 1 << (d - 1).bit_length())


def can_run(function: Callable[..., Any], x: Tensor) -> bool:
    """Whether a function of this module runs on a tensor as it is, pays, and is right on the tensor's GPU.

    It needs Triton and an NVIDIA GPU of compute capability 8.0 or later. Rows must be float32 and have at most
    :data:`MAX_DIM` dimensions; of ids there must be at most :data:`MAX_COMPARED`. Once per process, GPU and width, the
    function is tried on a small example. If it fails or differs from PyTorch's operations, the log says so, and the
    function is not used.

    Args:
        function: :func:`uniformity_sums`, :func:`first_of_each`, :func:`listed_scores` or :func:`sparse_product`.
        x: what it would work on: rows, ``(n, d)``, or for :func:`first_of_each` ids, ``(n,)``.

    >>> can_run(uniformity_sums, torch.ones(3, 2))
    False
    """
    if x.device.type != "cuda" or not _device_can(x.device.index):
        return False
    if function is first_of_each:
        return 0 < len(x) <= MAX_COMPARED and _is_right(function, x.device, 1)
    return x.dtype == torch.float32 and x.shape[1] <= MAX_DIM and _is_right(function, x.device, _padded(x.shape[1]))


@cache
def _device_can(index: int) -> bool:
    has_triton = find_spec("triton") is not None and torch.version.cuda is not None
    return has_triton and torch.cuda.get_device_capability(index) >= (8, 0)


@cache
def _is_right(function: Callable[..., Any], device: torch.device, d: int) -> bool:
    """Whether a function gives on a small example what PyTorch's operations give; the log says why not."""
    try:
        with torch.inference_mode(False), torch.enable_grad():
            results, expected = _EXAMPLES[function](device, d)
        errors = [
            float((result.double() - value).norm() / value.norm())
            for result, value in zip(results, expected, strict=True)
        ]
        if all(error < 1e-4 for error in errors):  # which a nan is not
            return True
        reason = f"relative to PyTorch's operations its errors are {', '.join(f'{error:.1g}' for error in errors)}"
    except Exception as error:  # a compiler fails in many ways, and none of them may end a training
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
    log.warning("the kernel of %s is not used: %s", function.__name__, reason)
    return False


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
    kernel = _compiled(_sums_kernel)
    n, d = x.shape
    x = x.contiguous()
    counted = x.new_ones(n, dtype=torch.int8) if counts is None else counts.contiguous().view(torch.int8)
    padded = _padded(d)
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


def first_of_each(ids: Tensor) -> Tensor:
    """Which entries are the first of their id, by comparing each with all before it; bool, ``(n,)``.

    Args:
        ids: which rows are the same, any integer dtype, ``(n,)``, n >= 1.

    Raises:
        ValueError: ``ids`` is not as described.
        ModuleNotFoundError: Triton is not installed.
    """
    if ids.dim() != 1 or ids.is_floating_point() or len(ids) == 0:
        raise ValueError(f"ids must be integers with shape (n >= 1,), got {ids.dtype} with shape {tuple(ids.shape)}")
    first = torch.empty(len(ids), dtype=torch.int8, device=ids.device)
    height = 32
    with torch.cuda.device_of(ids):
        _compiled(_first_kernel)[(-(-len(ids) // height),)](ids.contiguous(), first, len(ids), HEIGHT=height, WIDTH=128)
    return first.view(torch.bool)


def listed_scores(user: Tensor, item: Tensor, item_id: Tensor) -> Tensor:
    """Dot products of each user with the items that are listed for this user; differentiable.

    Args:
        user: embeddings of the users, one row per list, floating point, ``(B, d)``, B >= 1 and d <= :data:`MAX_DIM`.
        item: embeddings of all items, of the same dtype, ``(num_items, d)``.
        item_id: the items listed for each user, int64, ``(B, L)``, L >= 1. They are not looked at: an id that is no row
            of ``item`` is undefined behaviour.

    Returns:
        ``(B, L)``, of the dtype of the rows.

    Raises:
        ValueError: an argument is not as described.
        ModuleNotFoundError: Triton is not installed.
    """
    if user.dim() != 2 or item.dim() != 2 or not 1 <= user.shape[1] == item.shape[1] <= MAX_DIM:
        raise ValueError(
            f"user and item must have shapes (B, d) and (num_items, d), d <= {MAX_DIM},"
            f" got {tuple(user.shape)} and {tuple(item.shape)}"
        )
    if not user.is_floating_point() or user.dtype != item.dtype:
        raise ValueError(f"user and item must have one floating-point dtype, got {user.dtype} and {item.dtype}")
    if item_id.dtype != torch.int64 or item_id.dim() != 2 or len(item_id) != len(user) or item_id.numel() == 0:
        raise ValueError(
            f"item_id must be int64 with shape ({len(user)}, L >= 1),"
            f" got {item_id.dtype} with shape {tuple(item_id.shape)}"
        )
    scores: Tensor = _ListedScores.apply(user, item, item_id)  # type: ignore[no-untyped-call]
    return scores


class _ListedScores(torch.autograd.Function):
    """s = u . v where v is listed for u; with weights w from above, gradients sum_v w v and sum_u w u."""

    @staticmethod
    def forward(ctx: Any, user: Tensor, item: Tensor, item_id: Tensor) -> Tensor:
        user, item, item_id = user.contiguous(), item.contiguous(), item_id.contiguous()
        ctx.save_for_backward(user, item, item_id)
        scores = user.new_empty(item_id.shape)
        _launch(_scores_kernel, user, item, item_id, scores)
        return scores

    @staticmethod
    def backward(ctx: Any, weight: Tensor) -> tuple[Tensor, Tensor, None]:
        user, item, item_id = ctx.saved_tensors
        if torch.is_grad_enabled():  # the gradients are to be differentiated again: by operations that autograd knows
            from_items = (weight[:, :, None] * item[item_id]).sum(1)
            from_users = (weight[:, :, None] * user[:, None]).flatten(0, 1)
            return from_items, torch.zeros_like(item).index_add(0, item_id.flatten(), from_users), None
        gradients = torch.empty_like(user), torch.zeros_like(item)
        _launch(_gradients_kernel, user, item, item_id, weight.contiguous(), *gradients)
        return *gradients, None


def _launch(kernel: Callable[..., None], user: Tensor, item: Tensor, item_id: Tensor, *others: Tensor) -> None:
    """Run a kernel over blocks of users."""
    (n, d), listed, padded = user.shape, item_id.shape[1], _padded(user.shape[1])
    height = max(4, 2048 // padded)
    with torch.cuda.device_of(user):
        _compiled(kernel)[(-(-n // height),)](
            user, item, item_id, *others, n, listed, d, PADDED=padded, HEIGHT=height, num_warps=4
        )


def sparse_product(pointers: Tensor, columns: Tensor, values: Tensor, x: Tensor) -> Tensor:
    """The product of a sparse matrix with a table. It has no gradient of its own.

    Args:
        pointers: where each row of the matrix begins in ``columns``, and the end of the last row; int32 or int64,
            ``(rows + 1,)``, rows >= 1.
        columns: the column of each entry, of the same dtype, ``(entries,)``. They are not looked at: a column that is
            no row of ``x`` is undefined behaviour.
        values: the entries, of the dtype of ``x``, ``(entries,)``.
        x: the table, floating point, ``(m, d)``, d <= :data:`MAX_DIM`.

    Returns:
        ``(rows, d)``, of the dtype of ``x``. Each row is summed in the order of its entries.

    Raises:
        ValueError: an argument is not as described.
        ModuleNotFoundError: Triton is not installed.
    """
    if x.dim() != 2 or not 1 <= x.shape[1] <= MAX_DIM or not x.is_floating_point() or values.dtype != x.dtype:
        raise ValueError(
            f"x and values must have one floating-point dtype, and x the shape (m, d <= {MAX_DIM}),"
            f" got {x.dtype} and {values.dtype}, and shape {tuple(x.shape)}"
        )
    if pointers.dim() != 1 or len(pointers) < 2 or columns.dim() != 1 or columns.shape != values.shape:
        raise ValueError(
            f"pointers, columns and values must have shapes (rows + 1 >= 2,), (entries,) and (entries,),"
            f" got {tuple(pointers.shape)}, {tuple(columns.shape)} and {tuple(values.shape)}"
        )
    if pointers.dtype not in (torch.int32, torch.int64) or columns.dtype != pointers.dtype:
        raise ValueError(
            f"pointers and columns must both be int32 or both int64, got {pointers.dtype} and {columns.dtype}"
        )
    d = x.shape[1]
    product = x.new_empty(len(pointers) - 1, d)
    with torch.cuda.device_of(x):
        _compiled(_product_kernel)[(len(product),)](
            pointers.contiguous(),
            columns.contiguous(),
            values.contiguous(),
            x.contiguous(),
            product,
            d,
            PADDED=_padded(d),
            WIDTH=16,
            num_warps=2,
        )
    return product


#: Results of a function on an example, and what PyTorch's operations give for it in float64.
_Example = Callable[[torch.device, int], tuple[list[Tensor], list[Tensor]]]


def _arange(n: int, device: torch.device) -> Tensor:
    return torch.arange(n, dtype=torch.float32, device=device)  # whatever PyTorch's default dtype is


def _example_rows(n: int, d: int, device: torch.device) -> Tensor:
    """Unit rows without a draw: a trial must not move any generator."""
    return torch.nn.functional.normalize(_arange(n * d, device).sin().view(n, d) + 0.1, dim=1)


def _sums_example(device: torch.device, d: int) -> tuple[list[Tensor], list[Tensor]]:
    x, counts = _example_rows(70, d, device), torch.arange(70, device=device) % 3 > 0
    wide = x.double()
    e = (4 * wide @ wide.T).exp() * counts[:, None] * counts * (1 - torch.eye(70, device=device))
    return list(uniformity_sums(x, counts)), [e.sum(), e @ wide]


def _first_example(device: torch.device, d: int) -> tuple[list[Tensor], list[Tensor]]:
    place = torch.arange(200, device=device)
    return [first_of_each(place * 7 % 150)], [(place < 150).double()]


def _scores_example(device: torch.device, d: int) -> tuple[list[Tensor], list[Tensor]]:
    ids = torch.arange(120, device=device).view(40, 3) * 7 % 31
    both = []
    for wide in (False, True):
        rows = [_example_rows(n, d, device) for n in (40, 31)]
        user, item = ((x.double() if wide else x).requires_grad_() for x in rows)
        scores = (user[:, None] * item[ids]).sum(-1) if wide else listed_scores(user, item, ids)
        both.append([scores, *torch.autograd.grad(scores.square().sum(), (user, item))])
    return both[0], both[1]


def _product_example(device: torch.device, d: int) -> tuple[list[Tensor], list[Tensor]]:
    matrix = _arange(30 * 50, device).cos().view(30, 50)
    matrix = matrix * (matrix > 0.2) * (torch.arange(30, device=device) % 4 > 0)[:, None]  # with empty rows
    entries, x = matrix.nonzero(), _example_rows(50, d, device)
    pointers = torch.searchsorted(entries[:, 0].contiguous(), torch.arange(31, device=device)).int()
    return [sparse_product(pointers, entries[:, 1].int(), matrix[matrix != 0], x)], [matrix.double() @ x.double()]


_EXAMPLES: dict[Callable[..., Any], _Example] = {
    uniformity_sums: _sums_example,
    first_of_each: _first_example,
    listed_scores: _scores_example,
    sparse_product: _product_example,
}
