"""Debiasing baselines the paper compares with (Appendix D.2, Figure 9): IPL, ReSN and MACR.

Each stands in its authors' form and, where that differs, in the form of the PRISM authors' code.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from prismlib.hypersphere import check_pairs, is_first
from prismlib.losses import RankingLoss, bpr_loss
from prismlib.models import Backbone


def ipl_penalty(score: Tensor, item_id: Tensor, popularity: Tensor | None, b: float, released: bool = False) -> Tensor:
    r"""IPL's spread over items of what they get: :math:`\sqrt{\mathrm{Var}_i\, r_i}` (Liu et al. 2023).

    :math:`r_i = \sum_u \sigma(s(u, i)) / d_i^{2 - b}`, the sum over the positive interactions of i that are given:
    all of them, once an epoch, in the authors' procedure; those of the batch in the PRISM code.

    Args:
        score: dot products of positive pairs, ``(B,)``.
        item_id: their items, int64, ``(B,)``.
        popularity: training interactions of each item, ``(num_items,)``. None counts each item's pairs among those
            given, as the PRISM code does.
        b: published 1.826 ML-1M, 1.285 Gowalla, 1.552 Yelp2018, 1.446 AmazonBook.
        released: sum as the PRISM code does: it cuts the scores into runs of each item's count without first sorting
            them by item, so that most scores land on a wrong item.

    Raises:
        ValueError: an item in ``item_id`` of popularity 0. On a GPU, where looking would stall every step, the result
            is not finite instead.

    >>> popularity = torch.tensor([4, 1])
    >>> ipl_penalty(torch.tensor([0.0, 0.0]), torch.tensor([0, 1]), popularity, b=1.0)  # r = 0.5/4, 0.5/1
    tensor(0.2652)
    """
    if score.device.type != "cpu":  # counting the distinct items would stall every step of a GPU
        return _deviation(*_ratios(score, item_id, popularity, b, released, len(item_id)))
    items = item_id.unique()
    if popularity is not None and (popularity[items] == 0).any():
        raise ValueError("popularity is 0 for an item in item_id: count it on the interactions that are trained on")
    ratio, _ = _ratios(score, item_id, popularity, b, released, len(items))
    return ratio.std() if len(items) > 1 else score.sum() * 0


def _ratios(
    score: Tensor, item_id: Tensor, popularity: Tensor | None, b: float, released: bool, size: int
) -> tuple[Tensor, Tensor]:
    """Each distinct item's ratio, in the order of ids, in ``size`` places; and which of these are used."""
    ordered, order = item_id.sort(stable=True)
    by_place = F.pad((ordered[1:] != ordered[:-1]).cumsum(0), (1, 0))
    place = by_place if released else torch.empty_like(by_place).scatter_(0, order, by_place)
    counts = ordered.new_zeros(size).index_add_(0, by_place, torch.ones_like(ordered))
    used, degree = counts > 0, counts
    if popularity is not None:
        degree = popularity[ordered.new_zeros(size).scatter_(0, by_place, ordered)]
    total = score.new_zeros(size).index_add_(0, place, score.sigmoid())
    return total / torch.where(used, degree, 1).to(score.dtype) ** (2 - b), used


def _deviation(values: Tensor, used: Tensor) -> Tensor:
    """Standard deviation of the values that are used, in a fixed shape; 0, without a slope, where only one is."""
    number = used.sum()
    away = (values - (values * used).sum() / number) * used
    variance = away.square().sum() / (number - 1).clamp_min(1)
    one = number < 2
    return torch.where(one, 0.0, torch.where(one, 1.0, variance).sqrt())


def resn_penalty(user: Tensor, items: Tensor) -> Tensor:
    r"""ReSN's estimate of the score matrix's spectral norm along popularity: :math:`\|Y q\|^2` (Lin et al. 2024).

    :math:`Y = \sigma(U_B V^\top)` over all items, :math:`q = r / \|r\|`, :math:`r = Y^\top \mathbf{1}`, held constant.

    Args:
        user: embeddings of the batch's users, ``(B, d)``.
        items: the whole item table, ``(num_items, d)``.

    >>> resn_penalty(torch.zeros(2, 3), torch.zeros(4, 3))
    tensor(2.)
    """
    predicted = (user @ items.T).sigmoid()
    direction = F.normalize(predicted.detach().sum(0), dim=0)
    return (predicted @ direction).square().sum()


def resn_penalty_batch(user: Tensor, item: Tensor) -> Tensor:
    r"""ReSN as in the PRISM code: :math:`\|U V^\top V U^\top e\|^2 / \|V U^\top e\|^2` on the batch's rows, e = ones.

    The PRISM code takes each user and each item of the batch once. The value grows with the square of the number of
    rows, so a row that is repeated counts for more than one.

    Args:
        user: embeddings of the batch's distinct users, ``(m, d)``.
        item: embeddings of the batch's distinct items, positives and negatives together, ``(k, d)``.

    >>> resn_penalty_batch(torch.eye(2), torch.eye(2))
    tensor(1.)
    """
    listed = item @ user.sum(0)
    return (user @ (item.T @ listed)).square().sum() / listed.square().sum()


#: What IPL's penalty runs over, see :class:`IPL`.
IPL_FORMS = ("batch", "epoch", "released")
#: What IPL divides an item's sum by, see :class:`IPL`.
IPL_COUNTS = ("train", "batch")
#: How MACR's branches start, see :class:`MACR`.
MACR_STARTS = ("uniform", "normal")


class IPL(RankingLoss):
    """BPR plus ``c`` times :func:`ipl_penalty` (Liu et al. 2023; Appendix D.2).

    Args:
        popularity: training interactions of each item, ``(num_items,)``.
        c: weight of the penalty, >= 0.
        b: exponent, in [1, 2] as published.
        form: what the penalty runs over. ``"batch"``: the batch's pairs, added to its loss. ``"epoch"``: its authors'
            procedure, one step an epoch on all training pairs, BPR alone in between; they start from a model trained
            with BPR. ``"released"``: as the PRISM code, the batch's scores on wrong items, with the negatives' scores
            summed as well.
        counts: what an item's sum is divided by: its interactions in ``"train"``, as in the paper and in IPL's own
            code, or its pairs in the ``"batch"``, as in the PRISM code.

    >>> loss = IPL(torch.tensor([4, 1]), c=1.0, b=1.0)
    >>> loss(torch.zeros(2, 3), torch.zeros(2, 3), torch.zeros(2, 1, 3), item_id=torch.tensor([0, 1]))
    tensor(0.9583)
    """

    num_negatives = 1
    popularity: Tensor

    def __init__(self, popularity: Tensor, c: float, b: float, form: str = "batch", counts: str = "train") -> None:
        super().__init__()
        if not c >= 0:
            raise ValueError(f"c must be >= 0, got {c}")
        if form not in IPL_FORMS:
            raise ValueError(f"form must be one of {', '.join(IPL_FORMS)}, got {form!r}")
        if counts not in IPL_COUNTS:
            raise ValueError(f"counts must be one of {', '.join(IPL_COUNTS)}, got {counts!r}")
        if (popularity < 0).any():
            raise ValueError("popularity must be >= 0: the number of training interactions of each item")
        self.c, self.b, self.form, self.counts = c, b, form, counts
        self.register_buffer("popularity", popularity, persistent=False)

    def forward(self, user: Tensor, item: Tensor, negative: Tensor | None = None, **ids: Tensor) -> Tensor:
        negative = self.need(negative)
        loss = bpr_loss(user, item, negative)
        if self.form == "epoch":
            return loss
        if "item_id" not in ids:
            raise ValueError("IPL needs item_id, shape (B,): the sums run over each item's pairs")
        score, released = (user * item).sum(-1), self.form == "released"
        if released:
            score = score + (user * negative[:, 0]).sum(-1)
        popularity = self.popularity if self.counts == "train" else None
        return loss + self.c * ipl_penalty(score, ids["item_id"], popularity, self.b, released)

    def epoch_loss(self, model: Backbone, user_id: Tensor, item_id: Tensor) -> Tensor | None:
        if self.form != "epoch":
            return None
        user, item = model(user_id, item_id)
        return self.c * ipl_penalty((user * item).sum(-1), item_id, self.popularity, self.b)

    def extra_repr(self) -> str:
        return f"c={self.c}, b={self.b}, form={self.form!r}, counts={self.counts!r}"


class ReSN(RankingLoss):
    """BPR plus ``beta`` times ReSN's penalty (Lin et al. 2024; Appendix D.2).

    Args:
        beta: weight of the penalty, >= 0; 0.01 is published for ML-1M.
        items: gives the whole item table, e.g. ``lambda: model.embeddings()[1]``, for the authors'
            :func:`resn_penalty`; None is :func:`resn_penalty_batch`, the PRISM code's form, over the batch's distinct
            users and its distinct items, positives and negatives together.

    >>> one, other = torch.tensor([0, 1]), torch.tensor([[2], [2]])
    >>> ReSN(beta=1.0)(torch.eye(2), torch.eye(2), torch.zeros(2, 1, 2), user_id=one, item_id=one, negative_id=other)
    tensor(1.3133)
    """

    num_negatives = 1

    def __init__(self, beta: float, items: Callable[[], Tensor] | None = None) -> None:
        super().__init__()
        if not beta >= 0:
            raise ValueError(f"beta must be >= 0, got {beta}")
        self.beta, self.items = beta, items

    def forward(self, user: Tensor, item: Tensor, negative: Tensor | None = None, **ids: Tensor) -> Tensor:
        negative = self.need(negative)
        loss = bpr_loss(user, item, negative)
        if self.items is not None:
            return loss + self.beta * resn_penalty(user, self.items())
        if not ids.keys() >= {"user_id", "item_id", "negative_id"}:
            raise ValueError("ReSN needs user_id and item_id, shape (B,), and negative_id, shape (B, 1)")
        items, item_ids = torch.cat([item, negative[:, 0]]), torch.cat([ids["item_id"], ids["negative_id"][:, 0]])
        # rows of zeros add nothing to the penalty, so repeats are set to zero: the shape stays that of the batch
        once = [rows * is_first(row_ids)[:, None] for rows, row_ids in ((user, ids["user_id"]), (items, item_ids))]
        return loss + self.beta * resn_penalty_batch(*once)

    def extra_repr(self) -> str:
        return f"beta={self.beta}, {'batch' if self.items is None else 'all items'}"


class MACR(RankingLoss):
    r"""MACR: a cross entropy with separate branches for item and user popularity (Wei et al. 2021; Appendix D.2).

    With :math:`y_i = w_i \cdot \mathbf{i}` and :math:`y_u = w_u \cdot \mathbf{u}`, trained on
    :math:`s(u,i)\,\sigma(y_i)\,\sigma(y_u)`, plus ``alpha`` times the item branch and ``beta`` times the user branch;
    ranked by :math:`(s(u,i) - c)\,\sigma(y_i)\,\sigma(y_u)`, which takes the popularity path out.

    Args:
        dim: of the embeddings.
        alpha: weight of the item branch, >= 0; 1e-3 to 1e-2 as published, 1e-3 in the PRISM code.
        beta: weight of the user branch, >= 0; 1e-3 as published and in the PRISM code.
        c: what a score is lowered by in ranking; 40 in the authors' release (30 to 40 serve), 1 in the PRISM code.
        generator: draws the branches' starting values.
        start: the distribution of these, Xavier's ``"uniform"``, or ``"normal"`` as in the PRISM code.

    >>> loss = MACR(dim=2)
    >>> user, item = loss.rank_tables(torch.ones(1, 2), torch.ones(3, 2))
    >>> user.shape, item.shape
    (torch.Size([1, 3]), torch.Size([3, 3]))
    """

    num_negatives = 1

    def __init__(
        self,
        dim: int,
        alpha: float = 1e-2,
        beta: float = 1e-3,
        c: float = 40.0,
        generator: torch.Generator | None = None,
        start: str = "uniform",
    ) -> None:
        super().__init__()
        if start not in MACR_STARTS:
            raise ValueError(f"start must be one of {', '.join(MACR_STARTS)}, got {start!r}")
        if not min(alpha, beta) >= 0:
            raise ValueError(f"alpha and beta must be >= 0, got {alpha} and {beta}")
        self.alpha, self.beta, self.c = alpha, beta, c
        draw = nn.init.xavier_uniform_ if start == "uniform" else nn.init.xavier_normal_
        self.user_branch = nn.Parameter(draw(torch.empty(dim, 1), generator=generator))
        self.item_branch = nn.Parameter(draw(torch.empty(dim, 1), generator=generator))

    def forward(self, user: Tensor, item: Tensor, negative: Tensor | None = None, **ids: Tensor) -> Tensor:
        negative = self.need(negative)
        check_pairs(user, item, negative)
        listed = torch.stack([item, negative[:, 0]], dim=1)  # (B, 2, d)
        wanted = 1 - torch.arange(2, dtype=user.dtype, device=user.device).expand(len(user), 2)  # no copy from the host
        score = (listed @ user[:, :, None]).squeeze(-1)
        by_item = (listed @ self.item_branch).squeeze(-1)
        by_user = (user @ self.user_branch).expand(-1, 2)
        parts = (score * by_item.sigmoid() * by_user.sigmoid(), by_item, by_user)
        # the positive's and the negative's terms are added, as in the authors' code: twice the mean over both
        main, item_part, user_part = (2 * F.binary_cross_entropy_with_logits(x, wanted) for x in parts)
        return main + self.alpha * item_part + self.beta * user_part

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}, beta={self.beta}, c={self.c}"

    def rank_tables(self, user: Tensor, item: Tensor) -> tuple[Tensor, Tensor]:
        """One more dimension makes its rule a dot product; a user's own factor does not change their ranking."""
        weight = (item @ self.item_branch).sigmoid()
        return F.pad(user, (0, 1), value=1.0), torch.cat([weight * item, -self.c * weight], dim=1)
