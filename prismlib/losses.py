"""Ranking losses on the embeddings of a batch (Appendix B.4): pure functions, and thin modules on top.

Every module is called in the same way, which :class:`RankingLoss` describes. Losses are computed in float32 at least:
embeddings in half precision, which a perceptron gives under :func:`torch.autocast`, are converted first.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from prismlib import hypersphere
from prismlib._checks import as_ids, at_least_float32, check_count, check_number
from prismlib.hypersphere import (
    alignment_and_uniformities,
    check_pairs,
    margin_alignment,
    margin_alignment_and_uniformities,
    unit,
)
from prismlib.models import Backbone


def bpr_loss(user: Tensor, item: Tensor, negative: Tensor) -> Tensor:
    r"""Bayesian personalised ranking: the mean of :math:`-\log\sigma(s(u,i) - s(u,j))`, dot product (Equation 6).

    Args:
        user: embeddings of the users of the positive pairs, floating point, ``(B, d)``.
        item: embeddings of their items, ``(B, d)``.
        negative: embeddings of sampled items, ``(B, n, d)``.

    Raises:
        ValueError: an argument is not a floating-point tensor or has another shape.

    >>> u, i, j = torch.ones(1, 2), torch.ones(1, 2), torch.zeros(1, 1, 2)
    >>> bpr_loss(u, i, j)
    tensor(0.1269)
    """
    return _logistic(_listed_scores(user, item, negative))


def ssm_loss(user: Tensor, item: Tensor, negative: Tensor, tau: float = 0.2) -> Tensor:
    r"""Sampled softmax (Equation 7).

    The mean of :math:`-\log\bigl(e^{s(u,i)/\tau} / (e^{s(u,i)/\tau} + \sum_j e^{s(u,j)/\tau})\bigr)`.

    Args:
        user: embeddings of the users of the positive pairs, floating point, ``(B, d)``. The score s is the cosine.
        item: embeddings of their items, ``(B, d)``.
        negative: embeddings of sampled items, ``(B, n, d)``.
        tau: temperature, > 0 and finite.

    Raises:
        ValueError: an argument is not a floating-point tensor or has another shape, a row is zero, or ``tau`` is out of
            range.

    >>> x = torch.tensor([[1.0, 0.0]])
    >>> ssm_loss(x, x, -x[:, None], tau=1.0)
    tensor(0.1269)
    """
    check_number("tau", tau)
    return _softmax(_listed_scores(user, item, negative, cosine=True), tau)


def _listed_scores(user: Tensor, item: Tensor, negative: Tensor, cosine: bool = False) -> Tensor:
    """Scores of each user with the positive item, in the first column, and with the sampled ones."""
    check_pairs(user, item, negative)
    if cosine:
        user, item, negative = unit(user, "user"), unit(item, "item"), unit(negative, "negative")
    else:
        user, item, negative = at_least_float32(user), at_least_float32(item), at_least_float32(negative)
    positive = (user * item).sum(-1, keepdim=True)
    if cosine:
        with torch.autocast(user.device.type, enabled=False):  # which would take the product in half precision
            sampled = (negative @ user[:, :, None]).squeeze(-1)
    else:  # mostly one negative, for which this is faster
        sampled = (negative * user[:, None]).sum(-1)
    return torch.cat([positive, sampled], dim=1)


def _logistic(scores: Tensor) -> Tensor:
    """Equation 6 of scores, the positive item's in the first column."""
    return -F.logsigmoid(scores[:, :1] - scores[:, 1:]).mean()


def _softmax(scores: Tensor, tau: float) -> Tensor:
    """Equation 7 of scores, the positive item's in the first column."""
    scores = scores / tau
    return (scores.logsumexp(1) - scores[:, 0]).mean()


def directau_loss(
    user: Tensor, item: Tensor, gamma: float, user_id: Tensor | None = None, item_id: Tensor | None = None
) -> Tensor:
    r"""DirectAU: alignment + :math:`\gamma` (uniformity of users + uniformity of items) / 2 (Equations 8 and 9).

    Args:
        user: embeddings of the users of the positive pairs, floating point, ``(B, d)``.
        item: embeddings of their items, ``(B, d)``.
        gamma: weight of the uniformity, > 0 and finite.
        user_id: ids of the users, any integer dtype, ``(B,)``. With them, uniformity runs over the distinct users of
            the batch, as in the paper's code. Without them, it runs over all rows, as in the original DirectAU.
        item_id: ids of the items, any integer dtype, ``(B,)``, used in the same way.

    Raises:
        ValueError: an argument is not a floating-point tensor or has another shape, a row is zero,
            ``gamma`` is out of range, or ids are not integers.

    >>> x = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    >>> directau_loss(x, x, gamma=0.5)
    tensor(-4.)
    """
    check_number("gamma", gamma)
    align, of_users, of_items = alignment_and_uniformities(user, item, user_id, item_id)
    return align + gamma * (of_users + of_items) / 2


def mawu_loss(
    user: Tensor,
    item: Tensor,
    margin: Tensor,
    gamma_user: float,
    gamma_item: float,
    user_id: Tensor | None = None,
    item_id: Tensor | None = None,
    uniformity: Callable[[Tensor, Tensor | None], Tensor] = hypersphere.uniformity,
) -> Tensor:
    r"""MAWU: margin-aware alignment + :math:`\gamma_u`, :math:`\gamma_i` times the uniformities (Appendix B.4.4).

    Args:
        user: embeddings of the users of the positive pairs, floating point, ``(B, d)``.
        item: embeddings of their items, ``(B, d)``.
        margin: the angle that is added for each pair, in radians, ``(B,)``. :class:`MAWU` learns it.
        gamma_user: weight of the users' uniformity, >= 0 and finite.
        gamma_item: weight of the items' uniformity, >= 0 and finite.
        user_id: ids of the users, any integer dtype, ``(B,)``, for uniformity over distinct users; None takes all rows.
        item_id: ids of the items, any integer dtype, ``(B,)``, for uniformity over distinct items.
        uniformity: :func:`~prismlib.hypersphere.uniformity` or :func:`~prismlib.hypersphere.uniformity_released`.

    Raises:
        ValueError: an argument is not a floating-point tensor or has another shape, a row is zero,
            a weight is out of range, or ids are not integers.

    >>> x = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    >>> mawu_loss(x, x, torch.tensor([0.0, 0.0]), gamma_user=0.5, gamma_item=0.25)
    tensor(-7.)
    """
    check_number("gamma_user", gamma_user, inclusive=True)
    check_number("gamma_item", gamma_item, inclusive=True)
    if uniformity is hypersphere.uniformity:
        align, of_users, of_items = margin_alignment_and_uniformities(user, item, margin, user_id, item_id)
        return align + gamma_user * of_users + gamma_item * of_items
    align = margin_alignment(user, item, margin)
    return align + gamma_user * uniformity(user, user_id) + gamma_item * uniformity(item, item_id)


class RankingLoss(nn.Module):
    r"""What training calls: a loss on the embeddings of a batch, with one signature for all.

    It is the :math:`\mathcal{L}_\mathrm{rank}` of Equation 1; angle-based where the lengths of the embeddings do not
    change it (Definition 2.1).

    Attributes:
        num_negatives: the number of negatives per positive pair that training draws.
        capturable: whether a GPU's training may capture the steps in a CUDA graph. True says that ``forward`` decides
            nothing in Python that changes from step to step, and does not look at values of tensors. A class says so
            for itself: a subclass that does not say it again is not captured.

    >>> class Hinge(RankingLoss):
    ...     num_negatives = 1
    ...     capturable = True
    ...
    ...     def forward(self, user, item, negative=None, **ids):
    ...         return (1 - (user * (item - self.require_negatives(negative)[:, 0])).sum(-1)).clamp_min(0).mean()
    >>> Hinge()(torch.ones(1, 2), torch.ones(1, 2), torch.ones(1, 1, 2))
    tensor(1.)
    """

    num_negatives: int = 0
    capturable: bool = False

    def forward(self, user: Tensor, item: Tensor, negative: Tensor | None = None, **ids: Tensor) -> Tensor:
        """Scalar loss of positive pairs.

        Args:
            user: embeddings of the users of the positive pairs, ``(B, d)``.
            item: embeddings of their items, ``(B, d)``.
            negative: embeddings of sampled items, ``(B, num_negatives, d)``; None for a loss without negatives.
            ids: ``user_id`` and ``item_id``, ``(B,)``, and where negatives are drawn ``negative_id``,
                ``(B, num_negatives)``, for losses that must know which rows are the same. Training gives int64.
        """
        raise NotImplementedError

    def require_negatives(self, negative: Tensor | None) -> Tensor:
        """The negatives of a loss that cannot do without them.

        Args:
            negative: what :meth:`forward` was given.

        Raises:
            ValueError: ``negative`` is None.
        """
        if negative is None:
            shape = f"(B, {self.num_negatives}, d)"
            raise ValueError(f"{type(self).__name__} needs negative: embeddings of sampled items, shape {shape}")
        return negative

    def rank_tables(self, user: Tensor, item: Tensor) -> tuple[Tensor, Tensor]:
        """The tables that are ranked by dot product. A loss with its own ranking rule rewrites them.

        Args:
            user: embeddings of all users, ``(num_users, d)``.
            item: embeddings of all items, ``(num_items, d)``.
        """
        return user, item

    def epoch_loss(self, model: Backbone, user_id: Tensor, item_id: Tensor) -> Tensor | None:
        """A loss on all training pairs at once, for one more update after each epoch; None for no update.

        Args:
            model: the model in training.
            user_id: users of all training pairs, int64, ``(n,)``.
            item_id: their items, int64, ``(n,)``.
        """
        return None

    @torch.no_grad()
    def project_(self) -> None:
        """Put constrained parameters back into their range. Training calls it after each update."""


class ScoreLoss(RankingLoss):
    """A loss of the scores of listed items. A subclass defines :meth:`from_scores`, and no ``forward``.

    Training computes the scores without gathering a row for each item where that is faster. The module
    ``prismlib._fast.scores`` says how.

    Attributes:
        cosine: True where the scores are cosines, False where they are dot products.

    >>> class Hardest(ScoreLoss):
    ...     num_negatives = 5
    ...
    ...     def from_scores(self, scores):
    ...         return (1 - scores[:, 0] + scores[:, 1:].amax(1)).clamp_min(0).mean()
    >>> Hardest().from_scores(torch.tensor([[2.0, 0.5, 1.5]]))
    tensor(0.5000)
    """

    cosine: bool = False

    def from_scores(self, scores: Tensor) -> Tensor:
        """Scalar loss of scores.

        Args:
            scores: ``(B, 1 + num_negatives)``; the first column is the positive item's.
        """
        raise NotImplementedError

    def forward(self, user: Tensor, item: Tensor, negative: Tensor | None = None, **ids: Tensor) -> Tensor:
        return self.from_scores(_listed_scores(user, item, self.require_negatives(negative), self.cosine))

    def uses_scores(self, device: torch.device) -> bool:
        """Whether training computes the loss from scores.

        Otherwise it gathers rows and calls :meth:`~prismlib.losses.RankingLoss.forward`, as it does for a subclass
        with a ``forward`` of its own. With one negative per pair, a CPU gathers the rows faster than it finds which of
        them are the same.

        Args:
            device: where the scores would be computed.

        >>> class Shrunk(SSM):
        ...     def forward(self, user, item, negative=None, **ids):
        ...         return super().forward(user, item, negative) + 0.1 * user.square().mean()
        >>> cpu = torch.device("cpu")
        >>> SSM().uses_scores(cpu), Shrunk().uses_scores(cpu), BPR().uses_scores(cpu)
        (True, False, False)
        """
        faster_from_rows = device.type == "cpu" and self.num_negatives == 1
        return type(self).forward is ScoreLoss.forward and not faster_from_rows


class BPR(ScoreLoss):
    """:func:`bpr_loss` as a module (Equation 6). It takes one negative per positive pair.

    >>> BPR()(torch.ones(1, 2), torch.ones(1, 2), torch.zeros(1, 1, 2))
    tensor(0.1269)
    """

    num_negatives = 1
    capturable = True

    def from_scores(self, scores: Tensor) -> Tensor:
        return _logistic(scores)


class DirectAU(RankingLoss):
    """:func:`directau_loss` as a module (Equations 8 and 9). It takes no negatives.

    Args:
        gamma: weight of the uniformity, > 0 and finite; the paper searches {0.2, 0.5, 1, 2, 5, 10}.

    Raises:
        ValueError: ``gamma`` is out of range.

    >>> x = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    >>> DirectAU(gamma=0.5)(x, x)
    tensor(-4.)
    """

    capturable = True

    def __init__(self, gamma: float = 1.0) -> None:
        super().__init__()
        check_number("gamma", gamma)
        self.gamma = gamma

    def forward(self, user: Tensor, item: Tensor, negative: Tensor | None = None, **ids: Tensor) -> Tensor:
        return directau_loss(user, item, self.gamma, ids.get("user_id"), ids.get("item_id"))

    def extra_repr(self) -> str:
        return f"gamma={self.gamma}"


class SSM(ScoreLoss):
    """:func:`ssm_loss` as a module (Equation 7).

    Args:
        tau: temperature, > 0 and finite.
        num_negatives: the number of sampled items per positive pair: 10 in the paper, 20 in its released script.

    Raises:
        ValueError: an argument is out of range.

    >>> x = torch.tensor([[1.0, 0.0]])
    >>> SSM(tau=1.0)(x, x, -x[:, None])
    tensor(0.1269)
    """

    cosine = True
    capturable = True

    def __init__(self, tau: float = 0.2, num_negatives: int = 10) -> None:
        super().__init__()
        check_number("tau", tau)
        check_count("num_negatives", num_negatives)
        self.tau, self.num_negatives = tau, num_negatives

    def from_scores(self, scores: Tensor) -> Tensor:
        return _softmax(scores, self.tau)

    def extra_repr(self) -> str:
        return f"tau={self.tau}, num_negatives={self.num_negatives}"


class MAWU(RankingLoss):
    r"""Margin-aware alignment and weighted uniformity, with learned margins (Equation 10, Appendix B.4.4).

    Each user and each item has one scalar M. The margin of a pair is :math:`m_{ui} = 1 - \sigma(M_u + M_i)`. The
    scalars start Xavier-uniform, are trained with the tables (and decay with them) and are clamped to [0, 1] after each
    step, so that margins lie in [0.119, 0.5] radians.

    Args:
        num_users: number of users, >= 1.
        num_items: number of items, >= 1.
        gamma_user: weight of the users' uniformity, >= 0; published for MF: Gowalla 2.6, Yelp2018 0.8.
        gamma_item: weight of the items' uniformity, >= 0; published for MF: Gowalla 1.4, Yelp2018 0.6.
        uniformity: :func:`~prismlib.hypersphere.uniformity`, or for what the authors' code computes
            :func:`~prismlib.hypersphere.uniformity_released`.
        generator: source of the starting values; None draws them from PyTorch's global generator.

    Raises:
        ValueError: an argument is out of range.

    >>> loss = MAWU(num_users=3, num_items=4)
    >>> x = torch.nn.functional.normalize(torch.eye(3))
    >>> loss(x, x, user_id=torch.arange(3), item_id=torch.arange(3)).shape
    torch.Size([])
    """

    capturable = True

    def __init__(
        self,
        num_users: int,
        num_items: int,
        gamma_user: float = 1.0,
        gamma_item: float = 1.0,
        uniformity: Callable[[Tensor, Tensor | None], Tensor] = hypersphere.uniformity,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        check_count("num_users", num_users)
        check_count("num_items", num_items)
        check_number("gamma_user", gamma_user, inclusive=True)
        check_number("gamma_item", gamma_item, inclusive=True)
        self.gamma_user, self.gamma_item, self.uniformity = gamma_user, gamma_item, uniformity
        self.user_margin = nn.Parameter(nn.init.xavier_uniform_(torch.empty(num_users, 1), generator=generator))
        self.item_margin = nn.Parameter(nn.init.xavier_uniform_(torch.empty(num_items, 1), generator=generator))

    def forward(self, user: Tensor, item: Tensor, negative: Tensor | None = None, **ids: Tensor) -> Tensor:
        if not {"user_id", "item_id"} <= ids.keys():
            raise ValueError("MAWU needs user_id and item_id, shape (B,): each has a margin of its own")
        user_id, item_id = (as_ids(name, ids[name], user.shape[:1]) for name in ("user_id", "item_id"))
        sum_of_both = self.user_margin.index_select(0, user_id) + self.item_margin.index_select(0, item_id)
        margin = 1 - torch.sigmoid(sum_of_both.squeeze(1))
        return mawu_loss(user, item, margin, self.gamma_user, self.gamma_item, user_id, item_id, self.uniformity)

    @torch.no_grad()
    def project_(self) -> None:
        self.user_margin.clamp_(0, 1)
        self.item_margin.clamp_(0, 1)

    def extra_repr(self) -> str:
        return f"gamma_user={self.gamma_user}, gamma_item={self.gamma_item}, uniformity={self.uniformity.__name__}"
