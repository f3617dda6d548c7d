"""Ranking losses on the embeddings of a batch (Appendix B.4): pure functions, and thin modules on top.

Every module is called the same way, as :class:`RankingLoss` says.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def bpr_loss(user: Tensor, item: Tensor, negative: Tensor) -> Tensor:
    r"""Bayesian personalised ranking: the mean of :math:`-\log\sigma(s(u,i) - s(u,j))`, dot product (Equation 6).

    Args:
        user, item: embeddings of the positive pairs, ``(B, d)``.
        negative: embeddings of sampled items, ``(B, n, d)``.

    >>> u, i, j = torch.ones(1, 2), torch.ones(1, 2), torch.zeros(1, 1, 2)
    >>> bpr_loss(u, i, j)
    tensor(0.1269)
    """
    margin = (user * item).sum(-1, keepdim=True) - (negative * user[:, None]).sum(-1)
    return -F.logsigmoid(margin).mean()


def alignment(user: Tensor, item: Tensor) -> Tensor:
    r"""DirectAU's alignment: the mean of :math:`\|\hat u - \hat i\|^2` over positive pairs (Equation 8).

    Args:
        user, item: embeddings of the positive pairs, ``(B, d)``; they are normalised here.

    >>> alignment(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 5.0]]))
    tensor(2.)
    """
    return (F.normalize(user, dim=-1) - F.normalize(item, dim=-1)).square().sum(-1).mean()


def uniformity(rows: Tensor) -> Tensor:
    r"""DirectAU's uniformity: :math:`\log\,\mathrm{mean}_{x \ne y}\, e^{-2\|\hat x - \hat y\|^2}` (Equation 9).

    Value and gradient come out of one tiled pass over :math:`\hat X \hat X^\top`, in O(n) memory.

    Args:
        rows: embeddings, ``(n, d)``; they are normalised here.

    Returns:
        Scalar, <= 0. Zero when ``n < 2``: a single row has no pair to push apart.

    >>> uniformity(torch.tensor([[1.0, 0.0], [-3.0, 0.0]]))
    tensor(-8.)
    """
    if len(rows) < 2:
        return rows.sum() * 0
    value: Tensor = _Uniformity.apply(F.normalize(rows, dim=-1))  # type: ignore[no-untyped-call]
    return value


class _Uniformity(torch.autograd.Function):
    """log mean_{x != y} exp(4 x.y - 4) over unit rows, where ||x - y||^2 = 2 - 2 x.y.

    With E = exp(4 X X^T - 4) less its diagonal and Z = sum(E), the gradient is 8/Z E X: it needs the same E
    as the value, so both are made in the forward pass, tile by tile, each tile used for its mirror image too.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        n = len(x)
        tile = 512 if x.device.type == "cpu" else 8192  # 512 x 512 float32 = 1 MB: stays in a core's cache
        gradient = torch.zeros_like(x)
        total = x.new_zeros((), dtype=torch.float64)
        for a in range(0, n, tile):
            for b in range(a, n, tile):
                xa, xb = x[a : a + tile], x[b : b + tile]
                e = torch.mm(xa, xb.T).mul_(4).sub_(4).exp_()
                if a == b:
                    e.fill_diagonal_(0)
                else:
                    total += e.sum()
                    gradient[b : b + tile].addmm_(e.T, xa)
                total += e.sum()
                gradient[a : a + tile].addmm_(e, xb)
        ctx.save_for_backward(gradient.mul_(8 / total))
        return (total / (n * (n - 1))).log().to(x.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> Tensor:
        (gradient,) = ctx.saved_tensors
        return gradient * upstream


def distinct(rows: Tensor, ids: Tensor | None) -> Tensor:
    """One row for each id in a batch, ``(m, d)``; all rows where ``ids`` is None.

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


def directau_loss(
    user: Tensor, item: Tensor, gamma: float, user_id: Tensor | None = None, item_id: Tensor | None = None
) -> Tensor:
    r"""DirectAU: alignment + :math:`\gamma` (uniformity of users + uniformity of items) / 2 (Equations 8 and 9).

    Args:
        user, item: embeddings of the positive pairs, ``(B, d)``.
        gamma: weight of the uniformity.
        user_id, item_id: ids of the rows, ``(B,)``. With them uniformity runs over the batch's distinct rows, as
            the paper's code does; without, over all rows with repeats, as in the original DirectAU.

    >>> x = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    >>> directau_loss(x, x, gamma=0.5)
    tensor(-4.)
    """
    spread = uniformity(distinct(user, user_id)) + uniformity(distinct(item, item_id))
    return alignment(user, item) + gamma * spread / 2


class RankingLoss(nn.Module):
    """What training calls: a loss on the embeddings of a batch, with one signature for all.

    Attributes:
        num_negatives: negatives a positive that training is to draw.
    """

    num_negatives: int = 0

    def forward(
        self,
        user: Tensor,
        item: Tensor,
        negative: Tensor | None = None,
        user_id: Tensor | None = None,
        item_id: Tensor | None = None,
    ) -> Tensor:
        """Scalar loss of positive pairs.

        Args:
            user, item: embeddings of the pairs, ``(B, d)``.
            negative: embeddings of sampled items, ``(B, num_negatives, d)``.
            user_id, item_id: ids of the pairs, ``(B,)``, for losses that must know which rows are the same.
        """
        raise NotImplementedError


class BPR(RankingLoss):
    """:func:`bpr_loss` as a module. One negative a positive.

    >>> BPR()(torch.ones(1, 2), torch.ones(1, 2), torch.zeros(1, 1, 2))
    tensor(0.1269)
    """

    num_negatives = 1

    def forward(
        self,
        user: Tensor,
        item: Tensor,
        negative: Tensor | None = None,
        user_id: Tensor | None = None,
        item_id: Tensor | None = None,
    ) -> Tensor:
        if negative is None:
            raise ValueError("BPR needs negative: embeddings of sampled items, shape (B, 1, d)")
        return bpr_loss(user, item, negative)


class DirectAU(RankingLoss):
    """:func:`directau_loss` as a module. No negatives.

    Args:
        gamma: weight of the uniformity, > 0; the paper searches {0.2, 0.5, 1, 2, 5, 10}.

    >>> x = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    >>> DirectAU(gamma=0.5)(x, x)
    tensor(-4.)
    """

    num_negatives = 0

    def __init__(self, gamma: float = 1.0) -> None:
        super().__init__()
        if not gamma > 0:
            raise ValueError(f"gamma must be > 0, got {gamma}")
        self.gamma = gamma

    def forward(
        self,
        user: Tensor,
        item: Tensor,
        negative: Tensor | None = None,
        user_id: Tensor | None = None,
        item_id: Tensor | None = None,
    ) -> Tensor:
        return directau_loss(user, item, self.gamma, user_id, item_id)

    def extra_repr(self) -> str:
        return f"gamma={self.gamma}"
