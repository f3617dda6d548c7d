"""NDCG@K, overall and stratified by item popularity (Section 3.1 and Appendix B.2)."""

from __future__ import annotations

import torch
from torch import Tensor

GROUPS = ("popular", "neutral", "unpopular")


def popularity_groups(popularity: Tensor) -> Tensor:
    """Group of each item: 0 popular (top 5 % of items), 1 neutral (next 15 %), 2 unpopular (the rest).

    Both cuts are rounded up; equal popularity is ordered by item id, lower first.

    Args:
        popularity: interactions of each item, shape ``(num_items,)``.

    Returns:
        int64, shape ``(num_items,)``; an index into :data:`GROUPS`.

    >>> popularity_groups(torch.tensor([1, 9, 3, 4, 5, 2, 7, 6, 8, 0]))
    tensor([2, 0, 2, 2, 2, 2, 2, 2, 1, 2])
    """
    if popularity.dim() != 1 or len(popularity) == 0:
        raise ValueError(f"popularity must be 1-D and non-empty, got shape {tuple(popularity.shape)}")
    n = len(popularity)
    order = popularity.sort(descending=True, stable=True).indices
    groups = torch.full((n,), 2, device=popularity.device)
    groups[order[: -(-n // 5)]] = 1  # ceil(n / 5), in integers: 0.2 * n need not be exact
    groups[order[: -(-n // 20)]] = 0
    return groups


def dcg_discount(k: int, device: torch.device | str | None = None) -> Tensor:
    r"""The gain of a hit at ranks 1 to k: :math:`1/\log_2(\mathrm{rank} + 1)`, float32, shape ``(k,)``.

    >>> dcg_discount(3)
    tensor([1.0000, 0.6309, 0.5000])
    """
    if k < 1:
        raise ValueError(f"k must be >= 1, got {k}")
    return 1 / torch.log2(torch.arange(2, k + 2, device=device, dtype=torch.float32))


def ndcg(hit: Tensor, num_relevant: Tensor, group: Tensor | None = None) -> Tensor:
    """NDCG@K of each user, as a whole or as one part for each popularity group; the parts sum to the whole.

    Gains are binary; the ideal list holds min(K, number of held-out items) hits. A group's part counts the
    hits on that group's items alone, over the same ideal (Appendix B.2).

    Args:
        hit: is the item at each rank a held-out item of the user? bool, shape ``(users, K)``, best rank first.
        num_relevant: held-out items of each user, int64 >= 1, shape ``(users,)``.
        group: popularity group of the item at each rank, int64, shape ``(users, K)``.

    Returns:
        float32: shape ``(users,)`` without ``group``; ``(users, 3)``, in the order of :data:`GROUPS`, with it.

    Raises:
        ValueError: a user without held-out items has no NDCG.

    >>> hit = torch.tensor([[True, False, True]])
    >>> ndcg(hit, torch.tensor([2]))
    tensor([0.9197])
    >>> ndcg(hit, torch.tensor([2]), group=torch.tensor([[0, 0, 2]]))
    tensor([[0.6131, 0.0000, 0.3066]])
    """
    if (num_relevant < 1).any():
        raise ValueError("num_relevant must be >= 1: leave out users without held-out items, they have no NDCG")
    k = hit.shape[1]
    discount = dcg_discount(k, hit.device)
    ideal = discount.cumsum(0)[num_relevant.clamp(max=k) - 1]
    gain = hit * discount
    if group is None:
        return gain.sum(1) / ideal
    parts = [(gain * (group == index)).sum(1) for index in range(len(GROUPS))]
    return torch.stack(parts, dim=1) / ideal[:, None]
