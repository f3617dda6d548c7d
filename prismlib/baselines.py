"""Debiasing baselines that the paper compares with (Appendix D.2, Figure 9): IPL, ReSN and MACR.

Each is given in its authors' form and, where that differs, in the form of the PRISM authors' code.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from prismlib._checks import as_ids, at_least_float32, check_count, check_number, check_rows
from prismlib._columns import Column, popularity_column
from prismlib.hypersphere import check_pairs, distinct, is_first
from prismlib.losses import RankingLoss, bpr_loss
from prismlib.models import Backbone


def ipl_penalty(score: Tensor, item_id: Tensor, popularity: Tensor, b: float, released: bool = False) -> Tensor:
    r"""IPL's spread over items of what each item receives: :math:`\sqrt{\mathrm{Var}_i\, r_i}` (Liu et al. 2023).

    The ratio :math:`r_i = \sum_u \sigma(s(u, i)) / d_i^{2 - b}` sums over the positive interactions of i that are
    given. In the authors' procedure these are all of them, once per epoch; in the PRISM code, those of the batch.

    Args:
        score: dot products of the positive pairs, floating point, ``(B,)``. The PRISM code appends those of the
            negative pairs.
        item_id: the items of these pairs, any integer dtype, ``(B,)``.
        popularity: training interactions of each item, ``(num_items,)``.
        b: exponent, finite. Published: 1.826 ML-1M, 1.285 Gowalla, 1.552 Yelp2018, 1.446 AmazonBook.
        released: True sums as the PRISM code does. It cuts the scores into runs of each item's count without first
            sorting them by item, so that most scores land on a wrong item. An item of popularity 0, which can only be
            a negative, then counts as one of popularity 1.

    Raises:
        ValueError: ``score`` is not a floating-point tensor with one number per pair, ``item_id`` has another shape
            or is not integers, ``b`` is not finite, or an item has popularity 0 or no popularity. On a GPU, where
            looking at values would stall every step, an item of popularity 0 gives a result that is not finite instead.

    >>> popularity = torch.tensor([4, 1])
    >>> ipl_penalty(torch.tensor([0.0, 0.0]), torch.tensor([0, 1]), popularity, b=1.0)  # r = 0.5/4, 0.5/1
    tensor(0.2652)
    """
    check_number("b", b, -float("inf"))
    check_rows("score", score)
    score = at_least_float32(score)
    item_id = as_ids("item_id", item_id, (score.numel(),))
    if score.device.type != "cpu":  # counting the distinct items would stall every step of a GPU
        return _deviation(*_ratios(score, item_id, popularity, b, released, len(item_id)))
    items = item_id.unique()
    if len(items) and int(items[-1]) >= len(popularity):
        raise ValueError(f"popularity has {len(popularity)} entries, item_id names item {int(items[-1])}")
    if not released and (popularity[items] == 0).any():
        raise ValueError("popularity is 0 for an item in item_id: count it on the interactions that are trained on")
    if len(items) < 2:
        return score.sum() * 0
    return _ratios(score, item_id, popularity, b, released, len(items))[0].std()


def _ratios(
    score: Tensor, item_id: Tensor, popularity: Tensor, b: float, released: bool, size: int
) -> tuple[Tensor, Tensor]:
    """Each distinct item's ratio, in the order of ids, in ``size`` places; and which of these are used."""
    ordered, order = item_id.sort(stable=True)
    by_place = F.pad((ordered[1:] != ordered[:-1]).cumsum(0), (1, 0))
    place = by_place if released else torch.empty_like(by_place).scatter_(0, order, by_place)
    used = ordered.new_zeros(size).index_add_(0, by_place, torch.ones_like(ordered)) > 0
    degree = popularity[ordered.new_zeros(size).scatter_(0, by_place, ordered)]
    if released:
        degree = degree.clamp_min(1)
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
        user: embeddings of the batch's distinct users, ``(m, d)``.
        items: the whole item table, ``(num_items, d)``.

    Raises:
        ValueError: an argument is not a floating-point tensor or not 2-D, or the embeddings have different lengths.

    >>> resn_penalty(torch.zeros(2, 3), torch.zeros(4, 3))
    tensor(2.)
    """
    user, items = _tables(user=user, items=items)
    with torch.autocast(user.device.type, enabled=False):  # which would take products in half precision
        predicted = (user @ items.T).sigmoid()
        direction = F.normalize(predicted.detach().sum(0), dim=0, eps=torch.finfo(predicted.dtype).tiny)
        return (predicted @ direction).square().sum()


def _tables(**tables: Tensor) -> list[Tensor]:
    """Two tables in float32 at least whose rows have one length, or an error that names the wrong one."""
    for name, rows in tables.items():
        check_rows(name, rows)
        if rows.dim() != 2:
            raise ValueError(f"{name} must have shape (n, d), got {tuple(rows.shape)}")
    lengths = {name: rows.shape[1] for name, rows in tables.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"the rows must have one length d, got {lengths}")
    return [at_least_float32(rows) for rows in tables.values()]


def resn_penalty_batch(user: Tensor, item: Tensor) -> Tensor:
    r"""ReSN as in the PRISM code: :math:`\|U V^\top V U^\top e\|^2 / \|V U^\top e\|^2` on the batch's rows, e = ones.

    The PRISM code takes each user and each item of the batch once. The value grows with the square of the number of
    rows, so a row that is repeated counts for more than one.

    Args:
        user: embeddings of the batch's distinct users, ``(m, d)``.
        item: embeddings of the batch's distinct items, positives and negatives together, ``(k, d)``.

    Returns:
        Scalar; zero where every score of the batch is.

    Raises:
        ValueError: an argument is not a floating-point tensor or not 2-D, or the embeddings have different lengths.

    >>> resn_penalty_batch(torch.eye(2), torch.eye(2))
    tensor(1.)
    """
    user, item = _tables(user=user, item=item)
    with torch.autocast(user.device.type, enabled=False):  # which would take products in half precision
        listed = item @ user.sum(0)
        length = listed.square().sum().clamp_min(torch.finfo(listed.dtype).tiny)
        return (user @ (item.T @ listed)).square().sum() / length


#: What IPL's penalty runs over, see :class:`IPL`.
IPL_FORMS = ("batch", "epoch", "released")
#: How MACR's branches start, see :class:`MACR`.
MACR_STARTS = ("uniform", "normal")


class IPL(RankingLoss):
    """BPR plus ``c`` times :func:`ipl_penalty` (Liu et al. 2023; Appendix D.2).

    Args:
        popularity: training interactions of each item, shape ``(num_items,)``, real numbers >= 0; see
            ``prismlib._columns.popularity_column``.
        c: weight of the penalty, >= 0 and finite.
        b: exponent, finite; in [1, 2] as published.
        form: what the penalty runs over. ``"batch"``: the pairs of the batch, added to its loss. ``"epoch"``: the
            procedure of IPL's authors, which takes one step per epoch on all training pairs and trains with BPR alone
            in between; they start from a model trained with BPR. ``"released"``: the positive and the negative pairs
            of the batch, with most scores on wrong items, as the PRISM code.

    Raises:
        ValueError: an argument is out of range, or ``popularity`` is not one count per item.

    >>> loss = IPL(torch.tensor([4, 1]), c=1.0, b=1.0)
    >>> loss(torch.zeros(2, 3), torch.zeros(2, 3), torch.zeros(2, 1, 3), item_id=torch.tensor([0, 1]))
    tensor(0.9583)
    """

    num_negatives = 1
    capturable = True
    popularity: Tensor

    def __init__(self, popularity: Column, c: float, b: float, form: str = "batch") -> None:
        super().__init__()
        check_number("c", c, inclusive=True)
        check_number("b", b, -float("inf"))
        if form not in IPL_FORMS:
            raise ValueError(f"form must be one of {', '.join(IPL_FORMS)}, got {form!r}")
        self.c, self.b, self.form = c, b, form
        self.register_buffer("popularity", popularity_column("popularity", popularity), persistent=False)

    def forward(self, user: Tensor, item: Tensor, negative: Tensor | None = None, **ids: Tensor) -> Tensor:
        negative = self.require_negatives(negative)
        loss = bpr_loss(user, item, negative)
        if self.form == "epoch":
            return loss
        if "item_id" not in ids:
            raise ValueError("IPL needs item_id, shape (B,): the sums run over each item's pairs")
        user, item, negative = at_least_float32(user), at_least_float32(item), at_least_float32(negative)
        score, item_id, released = (user * item).sum(-1), ids["item_id"], self.form == "released"
        if released:
            if "negative_id" not in ids:
                raise ValueError("IPL as released needs negative_id, shape (B, 1): its sums take the negatives too")
            score = torch.cat([score, (user * negative[:, 0]).sum(-1)])
            item_id = torch.cat([item_id, ids["negative_id"][:, 0]])
        return loss + self.c * ipl_penalty(score, item_id, self.popularity, self.b, released)

    def epoch_loss(self, model: Backbone, user_id: Tensor, item_id: Tensor) -> Tensor | None:
        if self.form != "epoch":
            return None
        user, item = (at_least_float32(rows) for rows in model(user_id, item_id))
        return self.c * ipl_penalty((user * item).sum(-1), item_id, self.popularity, self.b)

    def extra_repr(self) -> str:
        return f"c={self.c}, b={self.b}, form={self.form!r}"


class ReSN(RankingLoss):
    """BPR plus ``beta`` times ReSN's penalty (Lin et al. 2024; Appendix D.2).

    Args:
        beta: weight of the penalty, >= 0 and finite; 0.01 is published for ML-1M.
        items: a function that returns the whole item table, e.g. ``lambda: model.embeddings()[1]``, for the penalty of
            ReSN's authors, :func:`resn_penalty`, over the distinct users of the batch. Where it is None, the penalty
            is the PRISM code's, :func:`resn_penalty_batch`, over the distinct users of the batch and its distinct
            items, positives and negatives together.

    Raises:
        ValueError: ``beta`` is out of range.

    >>> one, other = torch.tensor([0, 1]), torch.tensor([[2], [2]])
    >>> ReSN(beta=1.0)(torch.eye(2), torch.eye(2), torch.zeros(2, 1, 2), user_id=one, item_id=one, negative_id=other)
    tensor(1.3133)
    """

    num_negatives = 1
    capturable = True

    def __init__(self, beta: float, items: Callable[[], Tensor] | None = None) -> None:
        super().__init__()
        check_number("beta", beta, inclusive=True)
        self.beta, self.items = beta, items
        self.capturable = items is None  # else a step takes as many rows as the batch has distinct users

    def forward(self, user: Tensor, item: Tensor, negative: Tensor | None = None, **ids: Tensor) -> Tensor:
        negative = self.require_negatives(negative)
        loss = bpr_loss(user, item, negative)
        if not ids.keys() >= {"user_id", "item_id", "negative_id"}:
            raise ValueError("ReSN needs user_id and item_id, shape (B,), and negative_id, shape (B, 1)")
        user_id, item_id = (as_ids(name, ids[name], user.shape[:1]) for name in ("user_id", "item_id"))
        if self.items is not None:
            return loss + self.beta * resn_penalty(distinct(user, user_id), self.items())
        negative_id = as_ids("negative_id", ids["negative_id"], negative.shape[:2])
        items, item_ids = torch.cat([item, negative[:, 0]]), torch.cat([item_id, negative_id[:, 0]])
        # rows of zeros add nothing to the penalty, so repeats are set to zero: the shape stays that of the batch
        once = [rows * is_first(row_ids)[:, None] for rows, row_ids in ((user, user_id), (items, item_ids))]
        return loss + self.beta * resn_penalty_batch(*once)

    def extra_repr(self) -> str:
        return f"beta={self.beta}, {'batch' if self.items is None else 'all items'}"


class MACR(RankingLoss):
    r"""MACR: a cross entropy with separate branches for item and user popularity (Wei et al. 2021; Appendix D.2).

    With :math:`y_i = w_i \cdot \mathbf{i}` and :math:`y_u = w_u \cdot \mathbf{u}`, trained on
    :math:`s(u,i)\,\sigma(y_i)\,\sigma(y_u)`, plus ``alpha`` times the item branch and ``beta`` times the user branch;
    ranked by :math:`(s(u,i) - c)\,\sigma(y_i)\,\sigma(y_u)`, which takes the popularity path out.

    Args:
        dim: length of an embedding.
        alpha: weight of the item branch, >= 0; 1e-3 to 1e-2 as published, 1e-3 in the PRISM code.
        beta: weight of the user branch, >= 0; 1e-3 as published and in the PRISM code.
        c: the number that is subtracted from a score in ranking, finite; 40 in the authors' release, which says that
            30 to 40 serve, and 1 in the PRISM code.
        generator: source of the branches' starting values; None draws them from PyTorch's global generator.
        start: the distribution of these values, Xavier's ``"uniform"``, or ``"normal"`` as in the PRISM code.

    Raises:
        ValueError: an argument is out of range.

    >>> loss = MACR(dim=2)
    >>> user, item = loss.rank_tables(torch.ones(1, 2), torch.ones(3, 2))
    >>> user.shape, item.shape
    (torch.Size([1, 3]), torch.Size([3, 3]))
    """

    num_negatives = 1
    capturable = True

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
        check_count("dim", dim)
        check_number("alpha", alpha, inclusive=True)
        check_number("beta", beta, inclusive=True)
        check_number("c", c, -float("inf"))
        self.alpha, self.beta, self.c, self.start = alpha, beta, c, start
        draw = nn.init.xavier_uniform_ if start == "uniform" else nn.init.xavier_normal_
        self.user_branch = nn.Parameter(draw(torch.empty(dim, 1), generator=generator))
        self.item_branch = nn.Parameter(draw(torch.empty(dim, 1), generator=generator))

    def forward(self, user: Tensor, item: Tensor, negative: Tensor | None = None, **ids: Tensor) -> Tensor:
        negative = self.require_negatives(negative)
        check_pairs(user, item, negative)
        if user.shape[1] != len(self.user_branch):
            raise ValueError(
                f"user and item must have {len(self.user_branch)} dimensions as MACR has, got {user.shape[1]}"
            )
        dtype = torch.promote_types(at_least_float32(user).dtype, self.user_branch.dtype)
        user, item, negative = user.to(dtype), item.to(dtype), negative.to(dtype)
        user_branch, item_branch = self.user_branch.to(dtype), self.item_branch.to(dtype)
        listed = torch.stack([item, negative[:, 0]], dim=1)  # (B, 2, d)
        wanted = 1 - torch.arange(2, dtype=user.dtype, device=user.device).expand(len(user), 2)  # no copy from the host
        with torch.autocast(user.device.type, enabled=False):  # which would take products in half precision
            score = (listed @ user[:, :, None]).squeeze(-1)
            by_item = (listed @ item_branch).squeeze(-1)
            by_user = (user @ user_branch).expand(-1, 2)
        parts = (score * by_item.sigmoid() * by_user.sigmoid(), by_item, by_user)
        # the positive's and the negative's terms are added, as in the authors' code: twice the mean over both
        main, item_part, user_part = (2 * F.binary_cross_entropy_with_logits(x, wanted) for x in parts)
        return main + self.alpha * item_part + self.beta * user_part

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}, beta={self.beta}, c={self.c}, start={self.start!r}"

    def rank_tables(self, user: Tensor, item: Tensor) -> tuple[Tensor, Tensor]:
        """One more dimension makes MACR's rule a dot product. A user's factor does not change the user's ranking."""
        if item.shape[1] != len(self.item_branch):
            raise ValueError(f"MACR has dim {len(self.item_branch)}, the item table {item.shape[1]}: give MACR its dim")
        item = item.to(torch.promote_types(at_least_float32(item).dtype, self.item_branch.dtype))
        user = user.to(item.dtype)
        weight = (item @ self.item_branch.to(item.dtype)).sigmoid()
        return F.pad(user, (0, 1), value=1.0), torch.cat([weight * item, -self.c * weight], dim=1)
