"""Alignment and uniformity on the unit hypersphere, the parts of DirectAU and MAWU (Appendix B.4.3 and B.4.4)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from prismlib._checks import as_ids, at_least_float32, check_rows
from prismlib._fast.uniformity import is_first, pair_terms, uniformity_of
from prismlib._fast.unit import unit_of

__all__ = [
    "alignment",
    "alignment_and_uniformities",
    "check_pairs",
    "distinct",
    "is_first",
    "margin_alignment",
    "margin_alignment_and_uniformities",
    "uniformity",
    "uniformity_released",
    "unit",
]


def check_pairs(user: Tensor, item: Tensor, negative: Tensor | None = None) -> None:
    """Raise an error unless the rows of a batch fit each other.

    Args:
        user: embeddings of the users of the positive pairs, floating point, ``(B, d)``, B >= 1.
        item: embeddings of their items, ``(B, d)``.
        negative: embeddings of sampled items, ``(B, n, d)``, n >= 1; None where the loss has none.

    Raises:
        ValueError: an argument is not a floating-point tensor or has another shape. Nothing is broadcast.

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
        ValueError: ``rows`` is not a floating-point tensor, or a row is zero or below the smallest normal number; the
            error names the row. On a GPU, where looking would stall every step, a zero row stays zero instead.

    >>> unit(torch.tensor([[3.0, 4.0], [3e-30, 4e-30]]))
    tensor([[0.6000, 0.8000],
            [0.6000, 0.8000]])
    """
    check_rows(name, rows)
    return unit_of(at_least_float32(rows), name)


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
    return _with_margin((unit(user, "user") * unit(item, "item")).sum(-1), margin)


def _with_margin(cosine: Tensor, margin: Tensor) -> Tensor:
    # arccos has no finite slope at -1 and 1
    angle = cosine.clamp(-1 + 1e-7, 1 - 1e-7).arccos()
    return -(angle + margin).clamp(0, torch.pi).cos().mean()


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
        ValueError: as :func:`unit`; or ``rows`` or ``ids`` has another shape, or ``ids`` are not integers.

    >>> uniformity(torch.tensor([[1.0, 0.0], [-3.0, 0.0]]))
    tensor(-8.)
    >>> uniformity(torch.tensor([[1.0, 0.0], [1.0, 0.0], [-3.0, 0.0]]), ids=torch.tensor([4, 4, 2]))
    tensor(-8.)
    """
    return uniformity_of(*_unit_and_counted(rows, ids))


def _unit_and_counted(rows: Tensor, ids: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Unit rows, and which of them uniformity is over; None for all."""
    check_rows("rows", rows)
    if rows.dim() != 2:
        raise ValueError(f"rows must have shape (n, d), got {tuple(rows.shape)}")
    if ids is not None:
        ids = as_ids("ids", ids, (len(rows),))
    if ids is not None and rows.device.type != "cpu":
        return _fixed_shape(rows, ids)
    return unit(distinct(rows, ids)), None


def _fixed_shape(rows: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    """The same in a fixed shape: repeats are there and do not count, and their number stays on the device."""
    return unit(rows), is_first(ids)


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
    x, is_counted = _unit_and_counted(rows, ids)
    n = len(x) if is_counted is None else is_counted.sum()
    pairs = uniformity_of(x, is_counted).exp() * (n * (n - 1) / 2)
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


def alignment_and_uniformities(
    user: Tensor, item: Tensor, user_id: Tensor | None = None, item_id: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """:func:`alignment` and the :func:`uniformity` of users and of items, for which a GPU normalises each row once.

    Args:
        user: embeddings of the users of the positive pairs, ``(B, d)``.
        item: embeddings of their items, ``(B, d)``.
        user_id: which users are the same, any integer dtype, ``(B,)``; None counts every row.
        item_id: which items are the same, used in the same way.

    Raises:
        ValueError: as :func:`alignment` and :func:`uniformity`.

    >>> x = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    >>> alignment_and_uniformities(x, x)
    (tensor(0.), tensor(-8.), tensor(-8.))
    """
    terms = _pair_terms(user, item, user_id, item_id)
    if terms is not None:
        return terms[0], terms[2], terms[3]
    uniformities = uniformity(user, user_id), uniformity(item, item_id)
    return alignment(user, item), *uniformities


def margin_alignment_and_uniformities(
    user: Tensor, item: Tensor, margin: Tensor, user_id: Tensor | None = None, item_id: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """:func:`margin_alignment` and the :func:`uniformity` of users and of items, each row normalised once on a GPU.

    Args:
        user: embeddings of the users of the positive pairs, ``(B, d)``.
        item: embeddings of their items, ``(B, d)``.
        margin: the angle that is added for each pair, in radians, ``(B,)``.
        user_id: which users are the same, any integer dtype, ``(B,)``; None counts every row.
        item_id: which items are the same, used in the same way.

    Raises:
        ValueError: as :func:`margin_alignment` and :func:`uniformity`.

    >>> x = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    >>> [round(float(value), 3) for value in margin_alignment_and_uniformities(x, x, torch.zeros(2))]
    [-1.0, -8.0, -8.0]
    """
    check_pairs(user, item)
    check_rows("margin", margin)
    terms = _pair_terms(user, item, user_id, item_id) if margin.shape == user.shape[:1] else None
    if terms is not None:
        return _with_margin(terms[1], margin), terms[2], terms[3]
    return margin_alignment(user, item, margin), uniformity(user, user_id), uniformity(item, item_id)


def _pair_terms(
    user: Tensor, item: Tensor, user_id: Tensor | None, item_id: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor] | None:
    """What a GPU's kernels make together; None elsewhere."""
    check_pairs(user, item)
    if user.device.type == "cpu":
        return None
    if user_id is not None:
        user_id = as_ids("user_id", user_id, (len(user),))
    if item_id is not None:
        item_id = as_ids("item_id", item_id, (len(item),))
    return pair_terms(at_least_float32(user), at_least_float32(item), user_id, item_id)
