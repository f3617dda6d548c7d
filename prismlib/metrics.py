"""Ranking metrics of top-K lists, overall and stratified by item popularity (Section 3.1 and Appendix B.2).

The accuracy metrics share one form: ``hit`` says for each rank of each user's list whether the item is one of the
user's held-out items, and cutting its columns gives smaller K. With ``group`` each returns its parts by popularity
group instead, which always sum to the whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

#: The popularity groups, in the order of all that is stratified.
GROUPS = ("popular", "neutral", "unpopular")


def popularity_groups(popularity: Tensor) -> Tensor:
    """Group of each item: 0 popular (top 5 % of items), 1 neutral (next 15 %), 2 unpopular (the rest) (Appendix A.1).

    Both cuts are rounded up; equal popularity is ordered by item id, lower first.

    Args:
        popularity: interactions of each item, shape ``(num_items,)``; a NumPy array too.

    Returns:
        int64, shape ``(num_items,)``; an index into :data:`GROUPS`.

    >>> popularity_groups(torch.tensor([1, 9, 3, 4, 5, 2, 7, 6, 8, 0]))
    tensor([2, 0, 2, 2, 2, 2, 2, 2, 1, 2])
    """
    popularity = torch.as_tensor(popularity)
    if popularity.dim() != 1 or len(popularity) == 0:
        raise ValueError(f"popularity must be 1-D and non-empty, got shape {tuple(popularity.shape)}")
    if not (popularity >= 0).all():
        raise ValueError("popularity must be >= 0: the number of interactions of each item")
    n = len(popularity)
    order = popularity.sort(descending=True, stable=True).indices
    groups = torch.full((n,), 2, device=popularity.device)
    groups[order[: -(-n // 5)]] = 1  # ceil(n / 5), in integers: 0.2 * n need not be exact
    groups[order[: -(-n // 20)]] = 0
    return groups


def dcg_discount(k: int, device: torch.device | str | None = None) -> Tensor:
    r"""The gain of a hit at ranks 1 to k: :math:`1/\log_2(\mathrm{rank} + 1)`, float32, shape ``(k,)`` (Equation 5).

    >>> dcg_discount(3)
    tensor([1.0000, 0.6309, 0.5000])
    """
    if k < 1:
        raise ValueError(f"k must be >= 1, got {k}")
    return 1 / torch.log2(torch.arange(2, k + 2, device=device, dtype=torch.float32))


def ndcg(hit: Tensor, num_relevant: Tensor, group: Tensor | None = None) -> Tensor:
    """NDCG@K of each user, as a whole or as one part for each popularity group; the parts sum to the whole.

    Gains are binary; the ideal list holds min(K, number of held-out items) hits (Equation 5). A group's part counts
    the hits on that group's items alone, over the same ideal (Appendix B.2).

    Args:
        hit: is the item at each rank a held-out item of the user? bool, shape ``(users, K)``, best rank first.
        num_relevant: held-out items of each user, int64 >= 1, shape ``(users,)``.
        group: popularity group of the item at each rank, int64, shape ``(users, K)``.

    Returns:
        float32, shape ``(users,)`` without ``group``; ``(users, 3)``, in the order of :data:`GROUPS`, with it.

    Raises:
        ValueError: a user without held-out items has no NDCG.

    >>> hit = torch.tensor([[True, False, True]])
    >>> ndcg(hit, torch.tensor([2]))
    tensor([0.9197])
    >>> ndcg(hit, torch.tensor([2]), group=torch.tensor([[0, 0, 2]]))
    tensor([[0.6131, 0.0000, 0.3066]])
    """
    _check_relevant(num_relevant)
    discount = dcg_discount(hit.shape[1], hit.device)
    ideal = discount.cumsum(0)[num_relevant.clamp(max=hit.shape[1]) - 1]
    return _by_group(hit * discount / ideal[:, None], group)


def recall(hit: Tensor, num_relevant: Tensor, group: Tensor | None = None) -> Tensor:
    """Recall@K of each user: hits / number of held-out items. Arguments as :func:`ndcg`. Not in the paper.

    >>> recall(torch.tensor([[True, False, True]]), torch.tensor([4]))
    tensor([0.5000])
    """
    _check_relevant(num_relevant)
    return _by_group(hit / num_relevant[:, None], group)


def hit_rate(hit: Tensor, num_relevant: Tensor, group: Tensor | None = None) -> Tensor:
    """Hit rate@K of each user: 1 if the list has a hit; its part by group is that of the first hit.

    Not in the paper; Deshpande and Karypis 2004.

    >>> hit_rate(torch.tensor([[False, True, True], [False, False, False]]), torch.tensor([2, 2]))
    tensor([1., 0.])
    """
    _check_relevant(num_relevant)
    return _by_group(_first(hit).float(), group)


def mrr(hit: Tensor, num_relevant: Tensor, group: Tensor | None = None) -> Tensor:
    """Reciprocal rank@K of each user: 1 / rank of the first hit, 0 without; its part by group is that of the first hit.

    Not in the paper; its mean over users is the mean reciprocal rank of Voorhees 1999.

    >>> mrr(torch.tensor([[False, True, True], [False, False, False]]), torch.tensor([2, 2]))
    tensor([0.5000, 0.0000])
    """
    _check_relevant(num_relevant)
    return _by_group(_first(hit) / torch.arange(1, hit.shape[1] + 1, device=hit.device), group)


def tail_ratio(parts: Tensor) -> float | None:
    """Unpopular over popular: the mean of the last group's part divided by the first's; None where that is 0.

    With :func:`ndcg` at K = 20 it is the first axis of Figure 9 (Section 5.2.2, Appendix D.2).

    Args:
        parts: a metric's parts by popularity group, ``(users, 3)``, e.g. of :func:`ndcg`.

    >>> tail_ratio(torch.tensor([[0.4, 0.1, 0.1], [0.4, 0.0, 0.0]]))
    0.125
    """
    popular, unpopular = parts[:, 0].double().mean(), parts[:, 2].double().mean()
    return round(float(unpopular / popular), 6) if popular > 0 else None


def coverage(items: Tensor, num_items: int) -> Tensor:
    """Share of all items that are in at least one list. Not in the paper; Ge et al. 2010.

    Args:
        items: recommended item ids, int64, any shape; -1 stands for no item.

    >>> coverage(torch.tensor([[0, 1], [1, -1]]), num_items=4)
    tensor(0.5000)
    """
    return (_counts(items, num_items) > 0).float().mean()


def gini(items: Tensor, num_items: int) -> Tensor:
    """Gini coefficient of how often items are recommended: 0 all equally often, towards 1 a few always.

    Not in the paper; of recommendations, Fleder and Hosanagar 2009.

    >>> gini(torch.tensor([[0, 1], [2, 3]]), num_items=4), gini(torch.tensor([[0], [0]]), num_items=4)
    (tensor(0.), tensor(0.7500))
    """
    count = _counts(items, num_items).double().sort().values
    if count.sum() == 0:
        raise ValueError("items holds no item: the Gini coefficient of nothing is not defined")
    rank = torch.arange(1, num_items + 1, device=count.device)
    return (((2 * rank - num_items - 1) * count).sum() / (num_items * count.sum())).float()


def average_popularity(items: Tensor, popularity: Tensor) -> Tensor:
    """Average recommendation popularity: the mean over users of the mean training popularity of their list.

    A user whose list is empty does not count; 0 where all are.

    Not in the paper; Yin et al. 2012.

    Args:
        items: recommended item ids, int64, ``(users, K)``; -1 stands for no item.
        popularity: training interactions of each item, ``(num_items,)``.

    >>> average_popularity(torch.tensor([[0, 1], [1, -1]]), torch.tensor([10, 4]))
    tensor(5.5000)
    """
    _check_ids(items, len(popularity), "popularity has")
    real = items >= 0
    length = real.sum(1)
    listed = (popularity[items.clamp_min(0)] * real).sum(1) / length.clamp_min(1)
    return listed.float().sum() / (length > 0).sum().clamp_min(1)


def report(
    items: Tensor, hit: Tensor, num_relevant: Tensor, group: Tensor, popularity: Tensor, ks: Iterable[int]
) -> dict[str, dict[str, Any]]:
    """Every metric at every K, from one set of ranked lists.

    Args:
        items: ranked lists, int64, ``(users, K)``, best first; -1 stands for no item.
        hit, num_relevant, group: of these lists, as for :func:`ndcg`.
        popularity: training interactions of each item, ``(num_items,)``.
        ks: lengths at which the lists are cut, each in [1, K].

    Returns:
        ``{"20": {...}}``, one entry a K. It has ``ndcg``, ``recall``, ``hit_rate`` and ``mrr`` as lists of four means
        over users, all items first and then the parts in the order of :data:`GROUPS`; ``unpopular_over_popular`` of the
        NDCG, see :func:`tail_ratio`; ``coverage``, ``gini`` and ``average_popularity`` of the lists.

    >>> hit = torch.tensor([[True, False]])
    >>> lists = torch.tensor([[1, 0]])
    >>> result = report(lists, hit, torch.tensor([1]), torch.tensor([[0, 2]]), torch.tensor([4, 9]), ks=[1, 2])
    >>> result["2"]["mrr"], result["1"]["average_popularity"]
    ([1.0, 1.0, 0.0, 0.0], 9.0)
    """
    result = {}
    for k in ks:
        if not 1 <= k <= items.shape[1]:
            raise ValueError(f"ks must lie in [1, {items.shape[1]}], the length of the lists, got {k}")
        cut: dict[str, Any] = {}
        for metric in (ndcg, recall, hit_rate, mrr):
            parts = metric(hit[:, :k], num_relevant, group[:, :k])
            mean = parts.double().mean(0)
            cut[metric.__name__] = [float(mean.sum()), *mean.tolist()]
            if metric is ndcg:
                cut["unpopular_over_popular"] = tail_ratio(parts)
        for of_lists in (coverage, gini):
            cut[of_lists.__name__] = float(of_lists(items[:, :k], len(popularity)))
        cut["average_popularity"] = float(average_popularity(items[:, :k], popularity))
        result[str(k)] = cut
    return result


def _check_relevant(num_relevant: Tensor) -> None:
    if (num_relevant < 1).any():
        raise ValueError("num_relevant must be >= 1: leave out users without held-out items, they have no score")


def _by_group(gain: Tensor, group: Tensor | None) -> Tensor:
    """Sum gains over the ranks: to one number a user, or one a user and group."""
    if group is None:
        return gain.sum(1)
    return torch.stack([(gain * (group == index)).sum(1) for index in range(len(GROUPS))], dim=1)


def _first(hit: Tensor) -> Tensor:
    """Only the first hit of each list, ``(users, K)`` bool."""
    return hit & (hit.cumsum(1) == 1)


def _check_ids(items: Tensor, num_items: int, who: str) -> None:
    if items.numel() and int(items.max()) >= num_items:
        raise ValueError(f"items must be ids in [0, {num_items}), which {who}, or -1; got {int(items.max())}")


def _counts(items: Tensor, num_items: int) -> Tensor:
    _check_ids(items, num_items, "num_items says")
    return torch.bincount(items[items >= 0], minlength=num_items)
