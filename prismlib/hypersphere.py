"""Alignment and uniformity on the unit hypersphere, the parts of DirectAU and MAWU (Appendix B.4.3 and B.4.4)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


def check_pairs(user: Tensor, item: Tensor, negative: Tensor | None = None) -> None:
    """Raise a ValueError unless ``user`` and ``item`` are ``(B, d)``, ``negative`` ``(B, n, d)``, B and n >= 1.

    >>> check_pairs(torch.ones(2, 3), torch.ones(2, 3), torch.ones(2, 1, 3))
    """
    if user.dim() != 2 or user.shape != item.shape:
        raise ValueError(f"user and item must both have shape (B, d), got {tuple(user.shape)} and {tuple(item.shape)}")
    if len(user) == 0:
        raise ValueError("user and item are empty: a loss needs at least one pair, B >= 1")
    if negative is not None:
        wanted = (len(user), max(1, negative.shape[1] if negative.dim() == 3 else 1), user.shape[1])
        if negative.shape != wanted:
            raise ValueError(
                f"negative must have shape (B, n, d) = ({wanted[0]}, n >= 1, {wanted[2]}), got {tuple(negative.shape)}"
            )


def unit(rows: Tensor, name: str = "rows") -> Tensor:
    """Rows divided by their norms, in float32 at least.

    Args:
        rows: embeddings, ``(..., d)``.
        name: what an error calls them.

    Raises:
        ValueError: a row is zero. On a GPU, where looking would stall every step, a zero row stays zero instead.

    >>> unit(torch.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    rows = rows.to(torch.promote_types(rows.dtype, torch.float32))  # half precision is too coarse for angles
    result: Tensor = _Unit.apply(rows, name)  # type: ignore[no-untyped-call]
    return result


class _Unit(torch.autograd.Function):
    """rows / norms, with the gradient (g - (g . y) y) / norm: a third of the passes that autograd makes of it."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, name: str) -> Tensor:
        norm = torch.linalg.vector_norm(rows, dim=-1, keepdim=True)
        if rows.device.type == "cpu" and not torch.compiler.is_compiling() and bool((norm == 0).any()):
            raise ValueError(f"{name} has a zero row: a zero vector has no direction; rows must be nonzero")
        inverse = norm.clamp_min_(1e-12).reciprocal_()
        unit_rows = rows * inverse
        ctx.save_for_backward(unit_rows, inverse)
        return unit_rows

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None]:
        unit_rows, inverse = ctx.saved_tensors
        # autocast, under which backward may run, would take vecdot in half precision and leave a part along the row
        with torch.autocast(upstream.device.type, enabled=False):
            along = torch.linalg.vecdot(upstream, unit_rows).unsqueeze(-1)
            return torch.addcmul(upstream, unit_rows, along, value=-1).mul_(inverse), None


def alignment(user: Tensor, item: Tensor) -> Tensor:
    r"""DirectAU's alignment: the mean of :math:`\|\hat u - \hat i\|^2` over positive pairs (Equation 8).

    Args:
        user, item: embeddings of the positive pairs, ``(B, d)``; they are normalised here.

    >>> alignment(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 5.0]]))
    tensor(2.)
    """
    check_pairs(user, item)
    return (unit(user, "user") - unit(item, "item")).square().sum(-1).mean()


def margin_alignment(user: Tensor, item: Tensor, margin: Tensor) -> Tensor:
    r"""MAWU's alignment: the mean of :math:`-\cos(\theta_{ui} + m_{ui})`, the sum clamped to [0, pi] (Equation 10).

    Args:
        user, item: embeddings of the positive pairs, ``(B, d)``.
        margin: :math:`m_{ui}` in radians, ``(B,)``.

    >>> margin_alignment(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]]), torch.tensor([torch.pi / 2]))
    tensor(1.)
    """
    check_pairs(user, item)
    if margin.shape != user.shape[:1]:  # (B, 1) would broadcast to every pair of users and items
        raise ValueError(f"margin must have shape ({len(user)},), one a pair, got {tuple(margin.shape)}")
    # arccos has no finite slope at -1 and 1
    cosine = (unit(user, "user") * unit(item, "item")).sum(-1).clamp(-1 + 1e-7, 1 - 1e-7)
    return -(cosine.arccos() + margin).clamp(0, torch.pi).cos().mean()


def uniformity(rows: Tensor, ids: Tensor | None = None) -> Tensor:
    r"""DirectAU's uniformity: :math:`\log\,\mathrm{mean}_{x \ne y}\, e^{-2\|\hat x - \hat y\|^2}` (Equation 9).

    Value and gradient come out of one tiled pass over :math:`\hat X \hat X^\top`, in O(n) memory. Under
    :func:`torch.autocast` the pass is a fused self-attention in half precision with float32 sums; by default it is in
    the precision of the rows.

    Args:
        rows: embeddings, ``(n, d)``; they are normalised here.
        ids: which rows are the same, ``(n,)``: each id counts once, as in the released code. None: every row counts, as
            in the original DirectAU (Wang et al. 2022).

    Returns:
        Scalar, <= 0, float32 or float64. Zero where fewer than two rows count, as a single row has none to push apart.

    >>> uniformity(torch.tensor([[1.0, 0.0], [-3.0, 0.0]]))
    tensor(-8.)
    >>> uniformity(torch.tensor([[1.0, 0.0], [1.0, 0.0], [-3.0, 0.0]]), ids=torch.tensor([4, 4, 2]))
    tensor(-8.)
    """
    return _uniformity_of(*_counted(rows, ids))


def _uniformity_of(x: Tensor, count: int | Tensor) -> Tensor:
    if len(x) < 2:
        return x.sum() * 0
    device = x.device.type
    half = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
    with torch.autocast(device, enabled=False):  # its in-place products take one dtype
        value: Tensor = _Uniformity.apply(x, count, half)  # type: ignore[no-untyped-call]
    return value


def _counted(rows: Tensor, ids: Tensor | None) -> tuple[Tensor, int | Tensor]:
    """The unit rows that uniformity is over, and their number."""
    if ids is not None and ids.shape != rows.shape[:1]:
        raise ValueError(f"ids must have shape ({len(rows)},), one a row, got {tuple(ids.shape)}")
    if ids is not None and rows.device.type != "cpu":
        return _first_of_each(rows, ids)
    x = unit(distinct(rows, ids))
    return x, len(x)


def _first_of_each(rows: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    """The same in a fixed shape: repeats become zero rows, and the number stays on the device."""
    first = is_first(ids)
    return unit(rows) * first[:, None], first.sum()


def is_first(ids: Tensor) -> Tensor:
    """Which entries are the first of their id, bool, ``(n,)``.

    The shape is fixed: a GPU that must tell how many distinct ids there are keeps the host waiting at every step.

    Args:
        ids: which rows are the same, ``(n,)``.

    >>> is_first(torch.tensor([4, 4, 2]))
    tensor([ True, False,  True])
    """
    ordered, order = ids.sort(stable=True)
    new = torch.ones_like(ordered, dtype=torch.bool)
    new[1:] = ordered[1:] != ordered[:-1]
    return torch.empty_like(new).scatter_(0, order, new)


class _Uniformity(torch.autograd.Function):
    """log mean_{x != y} exp(4 x.y - 4) over the unit rows of x: ||x - y||^2 = 2 - 2 x.y. Zero rows do not count.

    With E = exp(4 X X^T) less its diagonal and Z = sum(E), the gradient is 8/Z E X: it needs the same E as the value,
    so both are made in the forward pass. Each zero row adds 1 to Z with every other row, and nothing to E X.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, count: int | Tensor, half: torch.dtype) -> Tensor:
        total, gradient = _tiled(x) if half == x.dtype or x.dtype == torch.float64 else _attention(x, half)
        n, c = len(x), torch.as_tensor(count, dtype=torch.float64, device=x.device)
        total, pairs = total - (n * (n - 1) - c * (c - 1)), c * (c - 1)
        alone = pairs == 0
        ctx.save_for_backward(gradient.mul_(torch.where(alone, 0.0, 8 / total)))
        return torch.where(alone, 0.0, (total / pairs).log() - 4).to(x.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * upstream, None, None


def _tiled(x: Tensor) -> tuple[Tensor, Tensor]:
    """Sum of E, in float64, and E X; strip by strip of the upper half, each used for its mirror image too."""
    n = len(x)
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
    return total, product


def _attention(x: Tensor, half: torch.dtype) -> tuple[Tensor, Tensor]:
    """Sum of E, in float64, and E X, by self-attention: its rows are E X over row sums, its log-sum-exp those sums."""
    attend = torch.ops.aten._scaled_dot_product_flash_attention
    if x.device.type == "cpu":
        attend = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    rounded = x.to(half)
    same = F.pad(rounded, (0, -x.shape[1] % 8))[None, None]  # a GPU's kernel takes multiples of 8
    average, logsum = attend(same, same, same, scale=4.0)[:2]
    sums, rounded = logsum.flatten().exp(), rounded.to(x.dtype)
    diagonal = (4 * rounded.square().sum(1)).exp()
    product = average[0, 0, :, : x.shape[1]].to(x.dtype) * sums[:, None] - diagonal[:, None] * rounded
    return (sums - diagonal).sum(dtype=torch.float64), product


def uniformity_released(rows: Tensor, ids: Tensor | None = None) -> Tensor:
    r"""MAWU's uniformity as its authors released it (Appendix B.4.4 has :func:`uniformity`).

    Half of the cosine matrix and its diagonal count as zero cosines.

    The mean then runs over all :math:`n^2` entries, n(n + 1)/2 of which are the constant :math:`e^{-4}`.

    Args:
        rows, ids: as in :func:`uniformity`.

    >>> round(uniformity_released(torch.tensor([[1.0, 0.0], [1.0, 0.0]])).item(), 3)
    -1.333
    """
    x, n = _counted(rows, ids)
    pairs = _uniformity_of(x, n).exp() * (n * (n - 1) / 2)
    return ((pairs + n * (n + 1) / 2 * math.exp(-4)) / n**2).log()


def distinct(rows: Tensor, ids: Tensor | None) -> Tensor:
    """One row for each id in a batch, ``(m, d)``; all rows where ``ids`` is None.

    The released code takes uniformity over these; the original DirectAU over all rows (Wang et al. 2022).

    >>> distinct(torch.tensor([[1.0], [2.0], [1.0]]), torch.tensor([7, 3, 7]))
    tensor([[2.],
            [1.]])
    """
    if ids is None:
        return rows
    values, inverse = ids.unique(return_inverse=True)
    position = torch.arange(len(ids), device=ids.device)
    first = torch.full_like(values, len(ids)).scatter_reduce_(0, inverse, position, "amin")
    return rows.index_select(0, first)
