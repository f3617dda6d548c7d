"""Ranking metrics of top-K lists, overall and stratified by item popularity (Section 3.1 and Appendix B.2).

The accuracy metrics share one form: ``hit`` says for each rank of each user's list whether the item is one of the
user's held-out items. The first columns of ``hit`` give the metric at a smaller K. With ``group`` each metric returns
its parts by popularity group instead; the parts always sum to the whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from prismlib._checks import as_ids, check_count, check_values, check_whole
from prismlib._columns import Column, ids, popularity_column

#: The popularity groups, in the order of every stratified result.
GROUPS = ("popular", "neutral", "unpopular")


def popularity_groups(popularity: Column) -> Tensor:
    """Group of each item: 0 popular (top 5 % of items), 1 neutral (next 15 %), 2 unpopular (the rest) (Appendix A.1).

    Both cuts are rounded up; equal popularity is ordered by item id, lower first.

    Args:
        popularity: interactions of each item, shape ``(num_items,)``, real numbers >= 0: a tensor, a NumPy array, a
            list, or a column of pandas, polars or pyarrow; see ``prismlib._columns.popularity_column``.

    Returns:
        int64, shape ``(num_items,)``; an index into :data:`GROUPS`.

    Raises:
        ValueError: no items; a count that is negative or not finite; labels in another order than the items.

    >>> popularity_groups(torch.tensor([1, 9, 3, 4, 5, 2, 7, 6, 8, 0]))
    tensor([2, 0, 2, 2, 2, 2, 2, 2, 1, 2])
    """
    values = popularity_column("popularity", popularity)
    n = len(values)
    if n == 0:
        raise ValueError("popularity is empty: there is no item to group")
    order = values.sort(descending=True, stable=True).indices
    groups = torch.full((n,), 2, device=values.device)
    groups[order[: -(-n // 5)]] = 1  # ceil(n / 5), in integers: 0.2 * n need not be exact
    groups[order[: -(-n // 20)]] = 0
    return groups


def dcg_discount(k: int, device: torch.device | str | None = None) -> Tensor:
    r"""The gain of a hit at ranks 1 to k: :math:`1/\log_2(\mathrm{rank} + 1)` (Equation 5).

    Args:
        k: length of the list, >= 1.
        device: where the result is made.

    Returns:
        float32, shape ``(k,)``.

    Raises:
        ValueError: ``k`` is not a whole number or < 1.

    >>> dcg_discount(3)
    tensor([1.0000, 0.6309, 0.5000])
    """
    check_count("k", k)
    return 1 / torch.log2(torch.arange(2, k + 2, device=device, dtype=torch.float32))


def ndcg(hit: Tensor, num_relevant: Tensor, group: Tensor | None = None) -> Tensor:
    """NDCG@K of each user, as a whole or as one part for each popularity group; the parts sum to the whole.

    Gains are binary; the ideal list holds min(K, number of held-out items) hits (Equation 5). A group's part counts
    the hits on that group's items alone, over the same ideal (Appendix B.2).

    Args:
        hit: whether the item at each rank is a held-out item of the user, bool, shape ``(users, K)``, best rank first.
        num_relevant: number of held-out items of each user, integers >= 1, shape ``(users,)``.
        group: popularity group of the item at each rank, integers, shape ``(users, K)``; None: the metric as a whole.

    Returns:
        float32, shape ``(users,)`` without ``group``; ``(users, 3)``, in the order of :data:`GROUPS`, with it.

    Raises:
        ValueError: a user without held-out items, who has no NDCG; more hits than held-out items, as where a list names
            an item twice; other dtypes or shapes than these.

    >>> hit = torch.tensor([[True, False, True]])
    >>> ndcg(hit, torch.tensor([2]))
    tensor([0.9197])
    >>> ndcg(hit, torch.tensor([2]), group=torch.tensor([[0, 0, 2]]))
    tensor([[0.6131, 0.0000, 0.3066]])
    """
    return ndcg_of_hits(hit, *_checked(hit, num_relevant, group))


def ndcg_of_hits(hit: Tensor, num_relevant: Tensor, group: Tensor | None = None) -> Tensor:
    """NDCG@K as :func:`ndcg` gives it, of hits that need no check, as those of a ranking's own lists.

    Args:
        hit: as for :func:`ndcg`.
        num_relevant: as for :func:`ndcg`, int64.
        group: as for :func:`ndcg`, int64.

    Returns:
        As :func:`ndcg`.

    >>> ndcg_of_hits(torch.tensor([[True, False, True]]), torch.tensor([2]))
    tensor([0.9197])
    """
    discount = dcg_discount(hit.shape[1], hit.device)
    ideal = discount.cumsum(0)[num_relevant.clamp(max=hit.shape[1]) - 1]
    return _by_group(hit * discount / ideal[:, None], group)


def recall(hit: Tensor, num_relevant: Tensor, group: Tensor | None = None) -> Tensor:
    """Recall@K of each user: hits / number of held-out items. Not in the paper.

    Args:
        hit: as for :func:`ndcg`.
        num_relevant: as for :func:`ndcg`.
        group: as for :func:`ndcg`.

    Returns:
        As :func:`ndcg`.

    Raises:
        ValueError: as :func:`ndcg`.

    >>> recall(torch.tensor([[True, False, True]]), torch.tensor([4]))
    tensor([0.5000])
    """
    num_relevant, group = _checked(hit, num_relevant, group)
    return _by_group(hit / num_relevant[:, None], group)


def hit_rate(hit: Tensor, num_relevant: Tensor, group: Tensor | None = None) -> Tensor:
    """Hit rate@K of each user: 1 if the list has a hit, else 0. The part of the first hit's group is the whole.

    Not in the paper; Deshpande and Karypis 2004.

    Args:
        hit: as for :func:`ndcg`.
        num_relevant: as for :func:`ndcg`.
        group: as for :func:`ndcg`.

    Returns:
        As :func:`ndcg`.

    Raises:
        ValueError: as :func:`ndcg`.

    >>> hit_rate(torch.tensor([[False, True, True], [False, False, False]]), torch.tensor([2, 2]))
    tensor([1., 0.])
    """
    num_relevant, group = _checked(hit, num_relevant, group)
    return _by_group(_first(hit).float(), group)


def mrr(hit: Tensor, num_relevant: Tensor, group: Tensor | None = None) -> Tensor:
    """Reciprocal rank@K of each user: 1 / rank of the first hit, 0 without a hit.

    The part of the first hit's group is the whole. Not in the paper; the mean over users is the mean reciprocal rank of
    Voorhees 1999.

    Args:
        hit: as for :func:`ndcg`.
        num_relevant: as for :func:`ndcg`.
        group: as for :func:`ndcg`.

    Returns:
        As :func:`ndcg`.

    Raises:
        ValueError: as :func:`ndcg`.

    >>> mrr(torch.tensor([[False, True, True], [False, False, False]]), torch.tensor([2, 2]))
    tensor([0.5000, 0.0000])
    """
    num_relevant, group = _checked(hit, num_relevant, group)
    return _by_group(_first(hit) / torch.arange(1, hit.shape[1] + 1, device=hit.device), group)


def tail_ratio(parts: Tensor) -> float | None:
    """Unpopular over popular: the mean of the unpopular items' part divided by the mean of the popular items' part.

    With :func:`ndcg` at K = 20 this is the first axis of Figure 9 (Section 5.2.2, Appendix D.2).

    Args:
        parts: a metric's parts by popularity group, shape ``(users, 3)``, e.g. of :func:`ndcg`.

    Returns:
        The ratio, rounded to six digits after the point; None where the popular items' part is 0.

    Raises:
        ValueError: ``parts`` has another shape, or no user.

    >>> tail_ratio(torch.tensor([[0.4, 0.1, 0.1], [0.4, 0.0, 0.0]]))
    0.125
    """
    if parts.dim() != 2 or parts.shape[1] != len(GROUPS) or len(parts) == 0:
        raise ValueError(f"parts must have shape (users, {len(GROUPS)}), users >= 1, got {tuple(parts.shape)}")
    popular, unpopular = parts[:, 0].double().mean(), parts[:, 2].double().mean()
    return round(float(unpopular / popular), 6) if popular > 0 else None


def coverage(items: Tensor, num_items: int) -> Tensor:
    """Share of all items that are in at least one list. Not in the paper; Ge et al. 2010.

    Args:
        items: recommended item ids, integers, any shape; -1 stands for no item. The last of two or more dimensions is
            that of a list, which has each item once; in one dimension ids of several lists may stand.
        num_items: number of all items; every id is below it.

    Returns:
        Scalar in [0, 1], float32.

    Raises:
        ValueError: ids that are not integers, or outside [-1, num_items); a list that names an item twice;
            ``num_items`` is not a whole number or < 1.

    >>> coverage(torch.tensor([[0, 1], [1, -1]]), num_items=4)
    tensor(0.5000)
    """
    return _coverage(_times_recommended(items, num_items))


def gini(items: Tensor, num_items: int) -> Tensor:
    """Gini coefficient of how often items are recommended.

    It is 0 where all items are recommended equally often, and near 1 where few items have nearly all places.
    Not in the paper; for recommendations, Fleder and Hosanagar 2009.

    Args:
        items: as for :func:`coverage`.
        num_items: as for :func:`coverage`.

    Returns:
        Scalar in [0, 1), float32.

    Raises:
        ValueError: as :func:`coverage`; no item in any list.

    >>> gini(torch.tensor([[0, 1], [2, 3]]), num_items=4), gini(torch.tensor([[0], [0]]), num_items=4)
    (tensor(0.), tensor(0.7500))
    """
    return _gini(_times_recommended(items, num_items))


def average_popularity(items: Tensor, popularity: Column) -> Tensor:
    """Average recommendation popularity: the mean over users of the mean training popularity of their list.

    A user whose list is empty does not count. Not in the paper; Yin et al. 2012.

    Args:
        items: recommended item ids, integers, shape ``(users, K)``; -1 stands for no item.
        popularity: training interactions of each item, shape ``(num_items,)``, see :func:`popularity_groups`.

    Returns:
        Scalar, float32; 0 where all lists are empty.

    Raises:
        ValueError: ids that are not integers, not in two dimensions, or without a count; a list that names an item
            twice; counts as :func:`popularity_groups`.

    >>> average_popularity(torch.tensor([[0, 1], [1, -1]]), torch.tensor([10, 4]))
    tensor(5.5000)
    """
    items = as_ids("items", items)
    count = popularity_column("popularity", popularity).to(items.device)
    items = check_lists(items, len(count), "which popularity has")
    if items.dim() != 2:
        raise ValueError(f"items must have shape (users, K), got {tuple(items.shape)}")
    return _average_popularity(items, count)


def all_metrics(
    items: Tensor, hit: Tensor, num_relevant: Tensor, group: Tensor, popularity: Column, ks: Iterable[int]
) -> dict[str, dict[str, Any]]:
    """Every metric at every K, from one set of ranked lists.

    Args:
        items: ranked lists, integers, shape ``(users, K)``, best first; -1 stands for no item.
        hit: whether each listed item is a held-out item of its user, as for :func:`ndcg`.
        num_relevant: number of held-out items of each user, as for :func:`ndcg`.
        group: popularity group of each listed item, as for :func:`ndcg`.
        popularity: training interactions of each item, shape ``(num_items,)``, see :func:`popularity_groups`.
        ks: lengths at which the lists are cut, each in [1, K].

    Returns:
        ``{"20": {...}}``, one entry per length. An entry has ``ndcg``, ``recall``, ``hit_rate`` and ``mrr`` as lists of
        four means over users, all items first and then the parts in the order of :data:`GROUPS`;
        ``unpopular_over_popular`` of the NDCG, see :func:`tail_ratio`; ``coverage``, ``gini`` and
        ``average_popularity`` of the lists.

    Raises:
        ValueError: a length that is not a whole number in [1, K]; arguments that one of the metrics refuses.

    >>> hit = torch.tensor([[True, False]])
    >>> lists = torch.tensor([[1, 0]])
    >>> result = all_metrics(lists, hit, torch.tensor([1]), torch.tensor([[0, 2]]), torch.tensor([4, 9]), ks=[1, 2])
    >>> result["2"]["mrr"], result["1"]["average_popularity"]
    ([1.0, 1.0, 0.0, 0.0], 9.0)
    """
    items = as_ids("items", items)
    popularity = popularity_column("popularity", popularity).to(items.device)
    items = check_lists(items, len(popularity), "which popularity has")
    _checked(hit, num_relevant, group)
    if items.shape != hit.shape:
        raise ValueError(f"items must have the shape of hit, {tuple(hit.shape)}, got {tuple(items.shape)}")
    result = {}
    for k in ks:
        check_whole("ks", k)
        if not 1 <= k <= items.shape[1]:
            raise ValueError(f"ks must lie in [1, {items.shape[1]}], the length of the lists, got {k}")
        cut: dict[str, Any] = {}
        for metric in (ndcg, recall, hit_rate, mrr):
            parts = metric(hit[:, :k], num_relevant, group[:, :k])
            mean = parts.double().mean(0)
            cut[metric.__name__] = [float(mean.sum()), *mean.tolist()]
            if metric is ndcg:
                cut["unpopular_over_popular"] = tail_ratio(parts)
        count = _count(items[:, :k], len(popularity))
        cut |= {"coverage": float(_coverage(count)), "gini": float(_gini(count))}
        cut["average_popularity"] = float(_average_popularity(items[:, :k], popularity))
        result[str(k)] = cut
    return result


def _checked(hit: Tensor, num_relevant: Tensor, group: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """The number of held-out items, and the groups, as int64; a ValueError where the three do not fit together."""
    if not isinstance(hit, Tensor):
        raise ValueError(f"hit must be a bool tensor of shape (users, K), got {type(hit).__name__}")
    if hit.dtype != torch.bool or hit.dim() != 2 or hit.shape[1] == 0:
        raise ValueError(f"hit must be bool, of shape (users, K), K >= 1, got {hit.dtype}, {tuple(hit.shape)}")
    num_relevant = ids("num_relevant", num_relevant)
    if len(num_relevant) != len(hit):
        raise ValueError(f"num_relevant must have shape ({len(hit)},), one per user, got {tuple(num_relevant.shape)}")
    if (num_relevant < 1).any():
        raise ValueError("num_relevant must be >= 1: leave out users without held-out items, they have no score")
    if (hit.sum(1) > num_relevant).any():
        raise ValueError("hit has more hits than num_relevant says a user has: a list may name each item once")
    if group is not None:
        group = as_ids("group", group)
        if group.shape != hit.shape:
            raise ValueError(f"group must have the shape of hit, {tuple(hit.shape)}, got {tuple(group.shape)}")
    return num_relevant, group


def _by_group(gain: Tensor, group: Tensor | None) -> Tensor:
    """Sums of gains over the ranks: one number per user, or one per user and group."""
    if group is None:
        return gain.sum(1)
    return torch.stack([(gain * (group == index)).sum(1) for index in range(len(GROUPS))], dim=1)


def _first(hit: Tensor) -> Tensor:
    """Only the first hit of each list, ``(users, K)`` bool."""
    return hit & (hit.cumsum(1) == 1)


def check_lists(items: Tensor, num_items: int, source: str, name: str = "items") -> Tensor:
    """Lists of item ids as int64, in which each item stands once.

    Args:
        items: item ids, integers, any shape; -1 stands for no item, and may be there often. The last of two or more
            dimensions is that of a list.
        num_items: number of all items; every id is below it.
        source: what an error says of this number.
        name: what an error calls the lists.

    Returns:
        int64, of the shape of ``items``.

    Raises:
        ValueError: ids that are not integers, an id that is not an item, or a list that names an item twice.

    >>> check_lists(torch.tensor([[2, 0, -1, -1]]), 3, "the items")
    tensor([[ 2,  0, -1, -1]])
    >>> check_lists(torch.tensor([[2, 0, 2, -1]]), 3, "the items")
    Traceback (most recent call last):
    ValueError: items names item 2 twice in one list: a list has each item once
    """
    items = as_ids(name, items)
    check_values(name, items)
    if items.numel() == 0:
        return items
    low, high = int(items.min()), int(items.max())
    if low < -1 or high >= num_items:
        wrong = low if low < -1 else high
        raise ValueError(f"{name} must be ids in [0, {num_items}), {source}, or -1; got {wrong}")
    if items.dim() > 1:
        ordered = items.sort(-1).values
        twice = (ordered[..., 1:] == ordered[..., :-1]) & (ordered[..., 1:] >= 0)
        if twice.any():
            raise ValueError(
                f"{name} names item {int(ordered[..., 1:][twice][0])} twice in one list: a list has each item once"
            )
    return items


def _times_recommended(items: Tensor, num_items: int) -> Tensor:
    """How often each item is in checked lists."""
    check_count("num_items", num_items)
    return _count(check_lists(items, num_items, "which num_items says"), num_items)


def _count(items: Tensor, num_items: int) -> Tensor:
    return torch.bincount(items[items >= 0], minlength=num_items)


def _coverage(count: Tensor) -> Tensor:
    return (count > 0).float().mean()


def _gini(count: Tensor) -> Tensor:
    if count.sum() == 0:
        raise ValueError("items holds no item: the Gini coefficient of nothing is not defined")
    n, count = len(count), count.double().sort().values
    rank = torch.arange(1, n + 1, device=count.device)
    return (((2 * rank - n - 1) * count).sum() / (n * count.sum())).float()


def _average_popularity(items: Tensor, count: Tensor) -> Tensor:
    real = items >= 0
    length = real.sum(1)
    listed = (count[items.clamp_min(0)] * real).sum(1) / length.clamp_min(1)
    return listed.float().sum() / (length > 0).sum().clamp_min(1)
