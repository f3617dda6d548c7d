"""Ranking losses on the embeddings of a batch (Appendix B.4): pure functions, and thin modules on top.

Every module is called the same way, as :class:`RankingLoss` says.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from prismlib.hypersphere import alignment, check_pairs, margin_alignment, uniformity, unit
from prismlib.models import Backbone


def bpr_loss(user: Tensor, item: Tensor, negative: Tensor) -> Tensor:
    r"""Bayesian personalised ranking: the mean of :math:`-\log\sigma(s(u,i) - s(u,j))`, dot product (Equation 6).

    Args:
        user, item: embeddings of the positive pairs, ``(B, d)``.
        negative: embeddings of sampled items, ``(B, n, d)``.

    >>> u, i, j = torch.ones(1, 2), torch.ones(1, 2), torch.zeros(1, 1, 2)
    >>> bpr_loss(u, i, j)
    tensor(0.1269)
    """
    check_pairs(user, item, negative)
    margin = (user * item).sum(-1, keepdim=True) - (negative * user[:, None]).sum(-1)
    return -F.logsigmoid(margin).mean()


def ssm_loss(user: Tensor, item: Tensor, negative: Tensor, tau: float = 0.2) -> Tensor:
    r"""Sampled softmax (Equation 7).

    The mean of :math:`-\log\bigl(e^{s(u,i)/\tau} / (e^{s(u,i)/\tau} + \sum_j e^{s(u,j)/\tau})\bigr)`.

    Args:
        user, item: embeddings of the positive pairs, ``(B, d)``; s is their cosine.
        negative: embeddings of sampled items, ``(B, n, d)``.
        tau: temperature, > 0.

    >>> x = torch.tensor([[1.0, 0.0]])
    >>> ssm_loss(x, x, -x[:, None], tau=1.0)
    tensor(0.1269)
    """
    check_pairs(user, item, negative)
    user, item, negative = unit(user, "user"), unit(item, "item"), unit(negative, "negative")
    positive = (user * item).sum(-1, keepdim=True)
    return _softmax(torch.cat([positive, (negative @ user[:, :, None]).squeeze(-1)], dim=1), tau)


def _softmax(scores: Tensor, tau: float) -> Tensor:
    scores = scores / tau
    return (scores.logsumexp(1) - scores[:, 0]).mean()


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
    spread = uniformity(user, user_id) + uniformity(item, item_id)
    return alignment(user, item) + gamma * spread / 2


def mawu_loss(
    user: Tensor,
    item: Tensor,
    margin: Tensor,
    gamma_user: float,
    gamma_item: float,
    user_id: Tensor | None = None,
    item_id: Tensor | None = None,
    spread: Callable[[Tensor, Tensor | None], Tensor] = uniformity,
) -> Tensor:
    r"""MAWU: margin-aware alignment + :math:`\gamma_u`, :math:`\gamma_i` times the uniformities (Appendix B.4.4).

    Args:
        user, item: embeddings of the positive pairs, ``(B, d)``.
        margin: angle added to each pair's, in radians, ``(B,)``; learned in :class:`MAWU`.
        gamma_user, gamma_item: weights of the two uniformities.
        user_id, item_id: ids of the rows, ``(B,)``, for uniformity over distinct rows, as in :func:`directau_loss`.
        spread: :func:`~prismlib.hypersphere.uniformity` or :func:`~prismlib.hypersphere.uniformity_released`.

    >>> x = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    >>> mawu_loss(x, x, torch.tensor([0.0, 0.0]), gamma_user=0.5, gamma_item=0.25)
    tensor(-7.)
    """
    align = margin_alignment(user, item, margin)
    return align + gamma_user * spread(user, user_id) + gamma_item * spread(item, item_id)


class RankingLoss(nn.Module):
    r"""What training calls: a loss on the embeddings of a batch, with one signature for all.

    It is the :math:`\mathcal{L}_\mathrm{rank}` of Equation 1; angle-based where the lengths of the embeddings do not
    change it (Definition 2.1).

    Attributes:
        num_negatives: negatives a positive that training is to draw.

    >>> class Hinge(RankingLoss):
    ...     num_negatives = 1
    ...
    ...     def forward(self, user, item, negative=None, **ids):
    ...         return (1 - (user * (item - self.need(negative)[:, 0])).sum(-1)).clamp_min(0).mean()
    >>> Hinge()(torch.ones(1, 2), torch.ones(1, 2), torch.ones(1, 1, 2))
    tensor(1.)
    """

    num_negatives: int = 0

    def forward(self, user: Tensor, item: Tensor, negative: Tensor | None = None, **ids: Tensor) -> Tensor:
        """Scalar loss of positive pairs.

        Args:
            user, item: embeddings of the pairs, ``(B, d)``.
            negative: embeddings of sampled items, ``(B, num_negatives, d)``.
            ids: ``user_id`` and ``item_id``, ``(B,)``, and where negatives are drawn ``negative_id``,
                ``(B, num_negatives)``, for losses that must know which rows are the same.
        """
        raise NotImplementedError

    def need(self, negative: Tensor | None) -> Tensor:
        """The negatives, or a ValueError that says what is missing."""
        if negative is None:
            shape = f"(B, {self.num_negatives}, d)"
            raise ValueError(f"{type(self).__name__} needs negative: embeddings of sampled items, shape {shape}")
        return negative

    def rank_tables(self, user: Tensor, item: Tensor) -> tuple[Tensor, Tensor]:
        """The tables to rank by dot product; a loss with a ranking rule of its own rewrites them."""
        return user, item

    def epoch_loss(self, model: Backbone, user_id: Tensor, item_id: Tensor) -> Tensor | None:
        """A loss on all training pairs at once, for one more update after each epoch; None for none."""
        return None

    @torch.no_grad()
    def project_(self) -> None:
        """Called after each update: a loss with constrained parameters puts them back into their range."""


class ScoreLoss(RankingLoss):
    """A loss of many scores a user: training computes them without gathering a row for each.

    See :mod:`prismlib.scores`.

    Attributes:
        cosine: whether scores are cosines, or dot products.

    >>> class Hardest(ScoreLoss):
    ...     num_negatives = 5
    ...
    ...     def of_scores(self, scores):
    ...         return (1 - scores[:, 0] + scores[:, 1:].amax(1)).clamp_min(0).mean()
    >>> Hardest().of_scores(torch.tensor([[2.0, 0.5, 1.5]]))
    tensor(0.5000)
    """

    cosine: bool = False

    def of_scores(self, scores: Tensor) -> Tensor:
        """Scalar loss of ``(B, 1 + num_negatives)`` scores, the positive item's first."""
        raise NotImplementedError


class BPR(RankingLoss):
    """:func:`bpr_loss` as a module (Equation 6). One negative a positive.

    >>> BPR()(torch.ones(1, 2), torch.ones(1, 2), torch.zeros(1, 1, 2))
    tensor(0.1269)
    """

    num_negatives = 1

    def forward(self, user: Tensor, item: Tensor, negative: Tensor | None = None, **ids: Tensor) -> Tensor:
        return bpr_loss(user, item, self.need(negative))


class DirectAU(RankingLoss):
    """:func:`directau_loss` as a module (Equations 8 and 9). No negatives.

    Args:
        gamma: weight of the uniformity, > 0; the paper searches {0.2, 0.5, 1, 2, 5, 10}.

    >>> x = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    >>> DirectAU(gamma=0.5)(x, x)
    tensor(-4.)
    """

    def __init__(self, gamma: float = 1.0) -> None:
        super().__init__()
        if not gamma > 0:
            raise ValueError(f"gamma must be > 0, got {gamma}")
        self.gamma = gamma

    def forward(self, user: Tensor, item: Tensor, negative: Tensor | None = None, **ids: Tensor) -> Tensor:
        return directau_loss(user, item, self.gamma, ids.get("user_id"), ids.get("item_id"))

    def extra_repr(self) -> str:
        return f"gamma={self.gamma}"


class SSM(ScoreLoss):
    """:func:`ssm_loss` as a module (Equation 7).

    Args:
        tau: temperature, > 0.
        num_negatives: sampled items a positive: 10 in the paper, 20 in its released script.

    >>> x = torch.tensor([[1.0, 0.0]])
    >>> SSM(tau=1.0)(x, x, -x[:, None])
    tensor(0.1269)
    """

    cosine = True

    def __init__(self, tau: float = 0.2, num_negatives: int = 10) -> None:
        super().__init__()
        if not tau > 0:
            raise ValueError(f"tau must be > 0, got {tau}")
        if num_negatives < 1:
            raise ValueError(f"num_negatives must be >= 1, got {num_negatives}")
        self.tau, self.num_negatives = tau, num_negatives

    def forward(self, user: Tensor, item: Tensor, negative: Tensor | None = None, **ids: Tensor) -> Tensor:
        return ssm_loss(user, item, self.need(negative), self.tau)

    def of_scores(self, scores: Tensor) -> Tensor:
        return _softmax(scores, self.tau)

    def extra_repr(self) -> str:
        return f"tau={self.tau}, num_negatives={self.num_negatives}"


class MAWU(RankingLoss):
    r"""Margin-aware alignment and weighted uniformity, with learned margins (Equation 10, Appendix B.4.4).

    A user and an item have one scalar each, M; their pair's margin is
    :math:`m_{ui} = 1 - \sigma(M_u + M_i)`. M starts Xavier-uniform, is trained with the tables (and decays with them)
    and is clamped to [0, 1] after each step, so margins lie in [0.119, 0.5] radians.

    Args:
        num_users, num_items: table sizes.
        gamma_user, gamma_item: weights of the two uniformities, >= 0; published for MF: Gowalla 2.6 and 1.4,
            Yelp2018 0.8 and 0.6.
        spread: :func:`~prismlib.hypersphere.uniformity`, or
            :func:`~prismlib.hypersphere.uniformity_released` for what the authors' code computes.
        generator: of the starting values.

    >>> loss = MAWU(num_users=3, num_items=4)
    >>> x = torch.nn.functional.normalize(torch.eye(3))
    >>> loss(x, x, user_id=torch.arange(3), item_id=torch.arange(3)).shape
    torch.Size([])
    """

    def __init__(
        self,
        num_users: int,
        num_items: int,
        gamma_user: float = 1.0,
        gamma_item: float = 1.0,
        spread: Callable[[Tensor, Tensor | None], Tensor] = uniformity,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if not min(gamma_user, gamma_item) >= 0:
            raise ValueError(f"gamma_user and gamma_item must be >= 0, got {gamma_user} and {gamma_item}")
        self.gamma_user, self.gamma_item, self.spread = gamma_user, gamma_item, spread
        self.user_margin = nn.Parameter(nn.init.xavier_uniform_(torch.empty(num_users, 1), generator=generator))
        self.item_margin = nn.Parameter(nn.init.xavier_uniform_(torch.empty(num_items, 1), generator=generator))

    def forward(self, user: Tensor, item: Tensor, negative: Tensor | None = None, **ids: Tensor) -> Tensor:
        if not {"user_id", "item_id"} <= ids.keys():
            raise ValueError("MAWU needs user_id and item_id, shape (B,): each has a margin of its own")
        user_id, item_id = ids["user_id"], ids["item_id"]
        sum_of_both = self.user_margin.index_select(0, user_id) + self.item_margin.index_select(0, item_id)
        margin = 1 - torch.sigmoid(sum_of_both.squeeze(1))
        return mawu_loss(user, item, margin, self.gamma_user, self.gamma_item, user_id, item_id, self.spread)

    @torch.no_grad()
    def project_(self) -> None:
        self.user_margin.clamp_(0, 1)
        self.item_margin.clamp_(0, 1)

    def extra_repr(self) -> str:
        return f"gamma_user={self.gamma_user}, gamma_item={self.gamma_item}, spread={self.spread.__name__}"
