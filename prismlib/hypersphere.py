"""Alignment and uniformity on the unit hypersphere, the parts of DirectAU and MAWU (Appendix B.4.3 and B.4.4)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from prismlib._checks import as_ids, at_least_float32, check_rows
from prismlib._fast import kernels

#: From this norm on, the squares of a row's entries keep their digits in float32.
SHORT = 1e-12


def check_pairs(user: Tensor, item: Tensor, negative: Tensor | None = None) -> None:
    """Raise an error unless the rows of a batch fit each other.

    Args:
        user: embeddings of the users of the positive pairs, floating point, ``(B, d)``, B >= 1.
        item: embeddings of their items, ``(B, d)``.
        negative: embeddings of sampled items, ``(B, n, d)``, n >= 1; None where the loss has none.

    Raises:
        ValueError: an argument is no floating-point tensor or has another shape. Nothing is broadcast.

    >>> check_pairs(torch.ones(2, 3), torch.ones(2, 3), torch.ones(2, 1, 3))
    """
    check_rows("user", user)
    check_rows("item", item)
    if user.dim() != 2 or user.shape != item.shape:
        raise ValueError(f"user and item must both have shape (B, d), got {tuple(user.shape)} and {tuple(item.shape)}")
    if len(user) == 0:
        raise ValueError("user and item are empty: a loss needs at least one pair, B >= 1")
    if negative is not None:
        check_rows("negative", negative)
        wanted = (len(user), max(1, negative.shape[1] if negative.dim() == 3 else 1), user.shape[1])
        if negative.shape != wanted:
            raise ValueError(
                f"negative must have shape (B, n, d) = ({wanted[0]}, n >= 1, {wanted[2]}), got {tuple(negative.shape)}"
            )


def unit(rows: Tensor, name: str = "rows") -> Tensor:
    """Rows divided by their norms, in float32 at least.

    The result does not depend on the rows' lengths, from the largest number of the dtype down to its smallest normal
    number, 1.2e-38 in float32. On a GPU this holds for float32; float64 rows must have norms of 1e-154 to 1e154 there.

    Args:
        rows: embeddings, floating point, ``(..., d)``.
        name: what an error calls them.

    Raises:
        ValueError: ``rows`` is no floating-point tensor, or a row is zero or below the smallest normal number; the
            error names the row. On a GPU, where looking would stall every step, a zero row stays zero instead.

    >>> unit(torch.tensor([[3.0, 4.0], [3e-30, 4e-30]]))
    tensor([[0.6000, 0.8000],
            [0.6000, 0.8000]])
    """
    check_rows(name, rows)
    result: Tensor = _Unit.apply(at_least_float32(rows), name)[0]  # type: ignore[no-untyped-call]
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
    """Unit rows and inverse norms, also where the squares of a row's entries are no numbers of the dtype."""
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


def alignment(user: Tensor, item: Tensor) -> Tensor:
    r"""DirectAU's alignment: the mean of :math:`\|\hat u - \hat i\|^2` over positive pairs (Equation 8).

    Args:
        user: embeddings of the users of the positive pairs, ``(B, d)``; they are normalised here.
        item: embeddings of their items, ``(B, d)``; they are normalised here.

    Raises:
        ValueError: as :func:`check_pairs` and :func:`unit`.

    >>> alignment(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 5.0]]))
    tensor(2.)
    """
    check_pairs(user, item)
    return (unit(user, "user") - unit(item, "item")).square().sum(-1).mean()


def margin_alignment(user: Tensor, item: Tensor, margin: Tensor) -> Tensor:
    r"""MAWU's alignment: the mean of :math:`-\cos(\theta_{ui} + m_{ui})`, the sum clamped to [0, pi] (Equation 10).

    Args:
        user: embeddings of the users of the positive pairs, ``(B, d)``; they are normalised here.
        item: embeddings of their items, ``(B, d)``; they are normalised here.
        margin: :math:`m_{ui}`, the angle that is added for each pair, in radians, ``(B,)``.

    Raises:
        ValueError: as :func:`check_pairs` and :func:`unit`; or ``margin`` has another shape.

    >>> margin_alignment(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]]), torch.tensor([torch.pi / 2]))
    tensor(1.)
    """
    check_pairs(user, item)
    check_rows("margin", margin)
    if margin.shape != user.shape[:1]:  # (B, 1) would broadcast to every pair of users and items
        raise ValueError(f"margin must have shape ({len(user)},), one per pair, got {tuple(margin.shape)}")
    # arccos has no finite slope at -1 and 1
    cosine = (unit(user, "user") * unit(item, "item")).sum(-1).clamp(-1 + 1e-7, 1 - 1e-7)
    return -(cosine.arccos() + margin).clamp(0, torch.pi).cos().mean()


def uniformity(rows: Tensor, ids: Tensor | None = None) -> Tensor:
    r"""DirectAU's uniformity: :math:`\log\,\mathrm{mean}_{x \ne y}\, e^{-2\|\hat x - \hat y\|^2}` (Equation 9).

    Value and gradient come out of one tiled pass over :math:`\hat X \hat X^\top`, in O(n) memory. Under
    :func:`torch.autocast` the pass is a fused self-attention in half precision with float32 sums; by default it is in
    the precision of the rows. On a GPU with Triton the pass is one kernel, ``prismlib._fast.kernels.uniformity_sums``,
    whose products follow :func:`torch.set_float32_matmul_precision`: as exact as float32 unless that is lowered.

    Args:
        rows: embeddings, floating point, ``(n, d)``; they are normalised here.
        ids: which rows are the same, any integer dtype, ``(n,)``. Each id counts once, as in the released code. Where
            it is None, every row counts, as in the original DirectAU (Wang et al. 2022).

    Returns:
        Scalar, <= 0, float32 or float64. It is zero where fewer than two rows count, since a single row has no other
        row to be pushed from.

    Raises:
        ValueError: as :func:`unit`; or ``rows`` or ``ids`` has another shape, or ``ids`` are no integers.

    >>> uniformity(torch.tensor([[1.0, 0.0], [-3.0, 0.0]]))
    tensor(-8.)
    >>> uniformity(torch.tensor([[1.0, 0.0], [1.0, 0.0], [-3.0, 0.0]]), ids=torch.tensor([4, 4, 2]))
    tensor(-8.)
    """
    return _uniformity_of(*_counted(rows, ids))


def _uniformity_of(x: Tensor, counts: Tensor | None) -> Tensor:
    if len(x) < 2:
        return x.sum() * 0
    device = x.device.type
    half = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
    with torch.autocast(device, enabled=False):  # its in-place products take one dtype
        if counts is not None and not kernels.can_run(kernels.uniformity_sums, x):
            x = x * counts[:, None]  # rows that do not count become zero rows
        value: Tensor = _Uniformity.apply(x, counts, half)  # type: ignore[no-untyped-call]
    return value


def _counted(rows: Tensor, ids: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Unit rows, and which of them uniformity is over; None for all."""
    check_rows("rows", rows)
    if rows.dim() != 2:
        raise ValueError(f"rows must have shape (n, d), got {tuple(rows.shape)}")
    if ids is not None:
        ids = as_ids("ids", ids, (len(rows),))
    if ids is not None and rows.device.type != "cpu":
        return _first_of_each(rows, ids)
    return unit(distinct(rows, ids)), None


def _first_of_each(rows: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    """The same in a fixed shape: repeats are there and do not count, and their number stays on the device."""
    return unit(rows), is_first(ids)


def _number(x: Tensor, counts: Tensor | None) -> Tensor:
    """How many rows count, float64."""
    return x.new_full((), len(x), dtype=torch.float64) if counts is None else counts.sum(dtype=torch.float64)


def is_first(ids: Tensor) -> Tensor:
    """Which entries are the first of their id, bool, ``(n,)``.

    The shape is fixed: a GPU that must tell how many distinct ids there are keeps the host waiting at every step.

    Args:
        ids: which rows are the same, any integer dtype, ``(n,)``.

    >>> is_first(torch.tensor([4, 4, 2]))
    tensor([ True, False,  True])
    """
    ids = as_ids("ids", ids)
    if kernels.can_run(kernels.first_of_each, ids):
        return kernels.first_of_each(ids)
    ordered, order = ids.sort(stable=True)
    new = torch.ones_like(ordered, dtype=torch.bool)
    new[1:] = ordered[1:] != ordered[:-1]
    return torch.empty_like(new).scatter_(0, order, new)


class _Uniformity(torch.autograd.Function):
    """log mean_{x != y} exp(4 x.y - 4) over the unit rows of x that count: ||x - y||^2 = 2 - 2 x.y.

    With E = exp(4 X X^T) less its diagonal and Z = sum(E), the gradient is 8/Z E X: it needs the same E as the value,
    so both are made in the forward pass. Without the kernel, rows that do not count are zero rows: each adds 1 to Z
    with every other row, and nothing to E X.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, counts: Tensor | None, half: torch.dtype) -> Tensor:
        ctx.counts = counts
        n, c = len(x), _number(x, counts)
        pairs = c * (c - 1)
        if kernels.can_run(kernels.uniformity_sums, x):
            total, gradient = kernels.uniformity_sums(x, counts, _kernel_precision(x, half))
        else:
            total, gradient = _tiled(x) if half == x.dtype or x.dtype == torch.float64 else _attention(x, half)
            total = total - (n * (n - 1) - pairs)
        alone = pairs == 0
        ctx.save_for_backward(x, gradient.mul_(torch.where(alone, 0.0, 8 / total)))
        return torch.where(alone, 0.0, (total / pairs).log() - 4).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None]:
        x, gradient = ctx.saved_tensors
        if torch.is_grad_enabled():  # the gradient is to be differentiated again
            gradient = _uniformity_gradient(x, ctx.counts)
        return gradient * upstream, None, None


def _kernel_precision(x: Tensor, half: torch.dtype) -> str:
    """What PyTorch's setting for float32 products means for the kernel; autocast's half precision is float16's here."""
    setting = torch.get_float32_matmul_precision() if half == x.dtype else "medium"
    return {"highest": "tf32x3", "high": "tf32", "medium": "float16"}[setting]


def _uniformity_gradient(x: Tensor, counts: Tensor | None) -> Tensor:
    """The gradient by operations that autograd differentiates, in O(n^2) memory."""
    n, c = len(x), _number(x, counts).to(x.dtype)
    mask = 1 if counts is None else counts[:, None]
    x = x * mask
    e = (4 * x @ x.T).exp()
    e = e - e.diagonal().diag_embed()
    total = e.sum() - (n * (n - 1) - c * (c - 1))
    return torch.where(c * (c - 1) == 0, 0.0, 8 / total) * (e @ x) * mask


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

    Half of the cosine matrix and its diagonal count as zero cosines. The mean then runs over all :math:`n^2` entries,
    n(n + 1)/2 of which are the constant :math:`e^{-4}`.

    Args:
        rows: embeddings, floating point, ``(n, d)``; they are normalised here.
        ids: which rows are the same, ``(n,)``, as in :func:`uniformity`.

    Raises:
        ValueError: as :func:`uniformity`.

    >>> round(uniformity_released(torch.tensor([[1.0, 0.0], [1.0, 0.0]])).item(), 3)
    -1.333
    """
    x, counts = _counted(rows, ids)
    n = len(x) if counts is None else counts.sum()
    pairs = _uniformity_of(x, counts).exp() * (n * (n - 1) / 2)
    return ((pairs + n * (n + 1) / 2 * math.exp(-4)) / n**2).log()


def distinct(rows: Tensor, ids: Tensor | None) -> Tensor:
    """The first row of each id in a batch, in the order of the ids.

    The released code takes uniformity over these rows; the original DirectAU takes it over all rows (Wang et al. 2022).

    Args:
        rows: embeddings, ``(n, d)``.
        ids: which rows are the same, any integer dtype, ``(n,)``. Where it is None, all rows are returned.

    Returns:
        ``(m, d)`` for m distinct ids.

    Raises:
        ValueError: ``ids`` has another shape, or holds no integers.

    >>> distinct(torch.tensor([[1.0], [2.0], [1.0]]), torch.tensor([7, 3, 7]))
    tensor([[2.],
            [1.]])
    """
    if ids is None:
        return rows
    values, inverse = as_ids("ids", ids, (len(rows),)).unique(return_inverse=True)
    position = torch.arange(len(inverse), device=inverse.device)
    first = torch.full_like(values, len(inverse)).scatter_reduce_(0, inverse, position, "amin")
    return rows.index_select(0, first)
