"""Uniformity of unit rows, its value and its gradient out of one pass over the cosines, in O(n) memory."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from prismlib._checks import as_ids
from prismlib._fast import kernels, trial
from prismlib._fast.unit import unit_of


def sums(x: Tensor, is_counted: Tensor | None, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    r"""The sums that uniformity and its gradient are made of, over the rows that count.

    With :math:`E_{ij} = e^{4 x_i \cdot x_j}` where rows i and j count and :math:`i \ne j`, and 0 elsewhere, they are
    :math:`\sum_{ij} E_{ij}` and :math:`E X`. A GPU with Triton takes one kernel, half precision a fused self-attention,
    and all else strips of the cosines.

    Args:
        x: unit rows, float32 or float64, ``(n, d)``, n >= 2.
        is_counted: which rows count, bool, ``(n,)``; None counts all.
        dtype: what the products are computed in: the dtype of ``x``, or the half precision of autocast.

    Returns:
        The sum, float64, scalar; and the product, of the shape and dtype of ``x``.

    >>> total, product = sums(torch.eye(2), None, torch.float32)
    >>> total, product.tolist()
    (tensor(2., dtype=torch.float64), [[0.0, 1.0], [1.0, 0.0]])
    """
    precision = kernel_precision(x, dtype)
    if trial.can_run(kernels.uniformity_sums, x, precision):
        return kernels.uniformity_sums(x, is_counted, precision)
    if dtype == x.dtype or x.dtype == torch.float64:
        return tiled_sums(x, is_counted)
    return attention_sums(x, is_counted, dtype)


def kernel_precision(x: Tensor, dtype: torch.dtype) -> str:
    """What PyTorch's setting for float32 products means for the kernels; tf32 is as coarse as float16.

    Args:
        x: the rows.
        dtype: as for :func:`sums`; autocast's half precision is float16's here.

    >>> kernel_precision(torch.ones(1, 1), torch.float32)
    'pairs'
    """
    exact = dtype == x.dtype and torch.get_float32_matmul_precision() == "highest"
    return "pairs" if exact else "float16"


def product_dtype(x: Tensor) -> torch.dtype:
    """What products of rows are computed in: their dtype, or what autocast takes for it.

    Args:
        x: the rows.
    """
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype


def tiled_sums(x: Tensor, is_counted: Tensor | None) -> tuple[Tensor, Tensor]:
    """:func:`sums` strip by strip of the upper half of the cosines, each used for its mirror image too.

    Args:
        x: as for :func:`sums`.
        is_counted: as for :func:`sums`.
    """
    n = len(x)
    x = _masked(x, is_counted)
    # 512 x 4096 float32 = 8 MB: a strip stays in cache, and is long enough for both products to run at full speed
    height, width = (512, 4096) if x.device.type == "cpu" else (8192, 8192)
    twice = 2 * x  # (2x).(2y) = 4 x.y: saves a pass over E
    strip = x.new_empty(min(height, n) * min(width, n))  # one for all: fresh memory costs as much as the product
    product = torch.zeros_like(x)
    total = x.new_zeros((), dtype=torch.float64)
    for a in range(0, n, height):
        rows = x[a : a + height]
        m = len(rows)
        for b in range(a, n, width):
            columns = x[b : b + width]
            e = strip[: m * len(columns)].view(m, len(columns))
            torch.mm(twice[a : a + m], twice[b : b + width].T, out=e).exp_()
            mirrored = e
            if a == b:  # the square on the diagonal is its own mirror image
                square, mirrored = e[:, :m], e[:, m:]
                square.diagonal().zero_()
                total += square.sum()
            product[a : a + m].addmm_(e, columns)
            product[b + len(columns) - mirrored.shape[1] : b + len(columns)].addmm_(mirrored.T, rows)
            total += 2 * mirrored.sum()
    return _without_others(total, product, is_counted)


def attention_sums(x: Tensor, is_counted: Tensor | None, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """:func:`sums` by self-attention: its rows are E X over row sums, its log-sum-exp those sums.

    Args:
        x: as for :func:`sums`.
        is_counted: as for :func:`sums`.
        dtype: a half precision.
    """
    attend = torch.ops.aten._scaled_dot_product_flash_attention
    if x.device.type == "cpu":
        attend = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    x = _masked(x, is_counted)
    rounded = x.to(dtype)
    same = F.pad(rounded, (0, -x.shape[1] % 8))[None, None]  # a GPU's kernel takes multiples of 8
    average, logsum = attend(same, same, same, scale=4.0)[:2]
    row_sums, rounded = logsum.flatten().exp(), rounded.to(x.dtype)
    diagonal = (4 * rounded.square().sum(1)).exp()
    product = average[0, 0, :, : x.shape[1]].to(x.dtype) * row_sums[:, None] - diagonal[:, None] * rounded
    return _without_others((row_sums - diagonal).sum(dtype=torch.float64), product, is_counted)


def _masked(x: Tensor, is_counted: Tensor | None) -> Tensor:
    """Rows that do not count become zero rows."""
    return x if is_counted is None else x * is_counted[:, None]


def _without_others(total: Tensor, product: Tensor, is_counted: Tensor | None) -> tuple[Tensor, Tensor]:
    """Take out what zero rows leave: each adds 1 to the sum with every other row, and nothing to their products."""
    if is_counted is None:
        return total, product
    n, c = len(product), is_counted.sum(dtype=torch.float64)
    return total - (n * (n - 1) - c * (c - 1)), product * is_counted[:, None]


def uniformity_of(x: Tensor, is_counted: Tensor | None) -> Tensor:
    """Uniformity of the unit rows that count, zero where they are fewer than two; differentiable twice.

    Args:
        x: unit rows, float32 or float64, ``(n, d)``.
        is_counted: which rows count, bool, ``(n,)``; None counts all.

    >>> uniformity_of(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]), None)
    tensor(-8.)
    """
    if len(x) < 2:
        return x.sum() * 0
    dtype = product_dtype(x)
    with torch.autocast(x.device.type, enabled=False):  # its in-place products take one dtype
        value: Tensor = _Uniformity.apply(x, is_counted, dtype)  # type: ignore[no-untyped-call]
    return value


class _Uniformity(torch.autograd.Function):
    """log mean_{x != y} exp(4 x.y - 4) over the unit rows of x that count: ||x - y||^2 = 2 - 2 x.y.

    With E = exp(4 X X^T) less its diagonal and Z = sum(E), the gradient is 8/Z E X: it needs the same E as the value,
    so both are made in the forward pass.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, is_counted: Tensor | None, dtype: torch.dtype) -> Tensor:
        ctx.is_counted = is_counted
        total, gradient = sums(x, is_counted, dtype)
        c = _number(x, is_counted)
        pairs = c * (c - 1)
        alone = pairs == 0
        ctx.save_for_backward(x, gradient.mul_(torch.where(alone, 0.0, 8 / total)))
        return torch.where(alone, 0.0, (total / pairs).log() - 4).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None]:
        x, gradient = ctx.saved_tensors
        if torch.is_grad_enabled():  # the gradient is to be differentiated again
            gradient = _differentiable_gradient(x, ctx.is_counted)
        return gradient * upstream, None, None


def _number(x: Tensor, is_counted: Tensor | None) -> Tensor:
    """How many rows count, float64."""
    if is_counted is None:
        return x.new_full((), len(x), dtype=torch.float64)
    return is_counted.sum(dtype=torch.float64)


def _differentiable_gradient(x: Tensor, is_counted: Tensor | None) -> Tensor:
    """The gradient by operations that autograd differentiates, in O(n^2) memory."""
    n, c = len(x), _number(x, is_counted).to(x.dtype)
    mask = 1 if is_counted is None else is_counted[:, None]
    x = x * mask
    e = (4 * x @ x.T).exp()
    e = e - e.diagonal().diag_embed()
    total = e.sum() - (n * (n - 1) - c * (c - 1))
    return torch.where(c * (c - 1) == 0, 0.0, 8 / total) * (e @ x) * mask


def is_first(ids: Tensor) -> Tensor:
    """Which entries are the first of their id, bool, ``(n,)``.

    The shape is fixed: a GPU that must tell how many distinct ids there are keeps the host waiting at every step.

    Args:
        ids: which rows are the same, any integer dtype, ``(n,)``.

    >>> is_first(torch.tensor([4, 4, 2]))
    tensor([ True, False,  True])
    """
    ids = as_ids("ids", ids)
    if trial.can_run(kernels.first_of_each, ids):
        return kernels.first_of_each(ids)
    ordered, order = ids.sort(stable=True)
    new = torch.ones_like(ordered, dtype=torch.bool)
    new[1:] = ordered[1:] != ordered[:-1]
    return torch.empty_like(new).scatter_(0, order, new)


def pair_terms(
    user: Tensor, item: Tensor, user_id: Tensor | None, item_id: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor] | None:
    """Alignment, cosines and both uniformities of a batch by the kernels that make them together; None without these.

    Args:
        user: embeddings of the users of the positive pairs, ``(B, d)``.
        item: embeddings of their items, ``(B, d)``.
        user_id: which users are the same, int64, ``(B,)``; None where every row counts.
        item_id: which items are the same; None where ``user_id`` is None.
    """
    if len(user) < 2 or item.dtype != user.dtype or (user_id is None) != (item_id is None):
        return None
    precision = kernel_precision(user, product_dtype(user))
    if not trial.can_run(kernels.pair_terms, user, precision):
        return None
    found: tuple[Tensor, Tensor, Tensor, Tensor] = _PairTerms.apply(user, item, user_id, item_id, precision)  # type: ignore[no-untyped-call]
    return found


class _PairTerms(torch.autograd.Function):
    """:func:`prismlib._fast.kernels.pair_terms`, differentiable twice."""

    @staticmethod
    def forward(
        ctx: Any, user: Tensor, item: Tensor, user_id: Tensor | None, item_id: Tensor | None, precision: str
    ) -> tuple[Tensor, ...]:
        terms = kernels.pair_terms(user, item, user_id, item_id, precision)
        ctx.save_for_backward(user, item, *terms.saved)
        ctx.ids = user_id, item_id
        ctx.set_materialize_grads(False)
        return terms.alignment, terms.cosine, terms.first, terms.second

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor | None) -> tuple[Tensor | None, ...]:
        user, item, *saved = ctx.saved_tensors
        if not torch.is_grad_enabled():
            return *kernels.pair_gradients((saved[0], saved[1], saved[2], saved[3]), *upstream), None, None, None
        # the gradients are to be differentiated again: by operations that autograd knows
        terms = _differentiable_terms(user, item, *ctx.ids)
        given = [(term, weight) for term, weight in zip(terms, upstream, strict=True) if weight is not None]
        outputs, weights = zip(*given, strict=True)
        gradients = torch.autograd.grad(outputs, (user, item), weights, create_graph=True, allow_unused=True)
        return *gradients, None, None, None


def _differentiable_terms(
    user: Tensor, item: Tensor, user_id: Tensor | None, item_id: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    x, y = unit_of(user, "user"), unit_of(item, "item")
    counted = (None if ids is None else is_first(ids) for ids in (user_id, item_id))
    first, second = (uniformity_of(rows, of_rows) for rows, of_rows in zip((x, y), counted, strict=True))
    return (x - y).square().sum(-1).mean(), (x * y).sum(-1), first, second
