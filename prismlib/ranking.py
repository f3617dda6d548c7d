"""Full ranking: every item scored for every user with held-out items, in blocks, on the device (Appendix B.2)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from prismlib.data import Interactions
from prismlib.metrics import GROUPS, ndcg, report
from prismlib.models import check_ids

TILE = 64  # scores compared at once when looking for the top k


def block_size(num_items: int, device: torch.device) -> int:
    """Users scored at once: so few that their scores stay in a CPU's cache, so many that a GPU is busy.

    >>> [block_size(items, torch.device("cpu")) for items in (3_706, 40_981)]  # MovieLens1M, Gowalla: 4 MB, 21 MB
    [256, 128]
    """
    if device.type == "cpu":
        return min(256, max(128, 1_000_000 // num_items))
    return max(256, 100_000_000 // num_items)


class FullRanking:
    """NDCG@K of embeddings on held-out interactions, over the full ranking of all items not masked.

    The index arrays are prepared once and stay on ``device``; each call ranks by dot product and by cosine
    from one matrix product.

    Args:
        held_out: the interactions to find, int ids; a pair counts once, and users without any are not ranked.
        masked: interactions that cannot be recommended: training, and for the test also validation.
        groups: popularity group of each item (:func:`prismlib.metrics.popularity_groups`), ``(num_items,)``.
        num_users: number of rows in the user table.
        k: length of the ranked lists.
        drop_last_user: leave out the last user with held-out items, as the released code does.
        device: where the embeddings will be.

    Raises:
        ValueError: nothing held out, no user left, an id that is no row of its table, ``k`` not in [1, num_items], or
            an interaction both held out and masked.

    >>> import numpy as np
    >>> pair = lambda u, i: Interactions(np.array(u), np.array(i))
    >>> evaluate = FullRanking(pair([0], [2]), [pair([0], [0])], torch.tensor([0, 1, 2]), num_users=1, k=2)
    >>> score = evaluate(torch.tensor([[1.0]]), torch.tensor([[9.0], [3.0], [2.0]]))
    >>> {name: round(value, 4) for name, value in score["dot"].items()}
    {'ndcg': 0.6309, 'popular': 0.0, 'neutral': 0.0, 'unpopular': 0.6309}
    """

    def __init__(
        self,
        held_out: Interactions,
        masked: Iterable[Interactions] | Interactions,
        groups: Tensor,
        num_users: int,
        k: int = 20,
        drop_last_user: bool = False,
        device: torch.device | str = "cpu",
    ) -> None:
        self.num_users, self.num_items, self.k = num_users, len(groups), k
        if len(held_out.user) == 0:
            raise ValueError("held_out is empty: there is nothing to evaluate; check the split")
        if not 1 <= k <= self.num_items:
            raise ValueError(f"k must lie in [1, {self.num_items}], the number of items, got {k}")
        relevant = self._keys("held_out", [held_out])
        hidden = self._keys("masked", [masked] if isinstance(masked, Interactions) else masked)
        if torch.isin(relevant, hidden).any():
            raise ValueError("held_out and masked share interactions: a masked item could never be found")
        count = torch.bincount(relevant // self.num_items, minlength=num_users)
        users = count.nonzero().flatten()
        if drop_last_user:
            users = users[:-1]
        if len(users) == 0:
            raise ValueError("drop_last_user leaves no user to rank: only one has held-out items")
        # hidden is sorted by user: the pairs of the users [a, b) are one slice, edges[a] to edges[b]
        edges = torch.searchsorted(hidden, torch.arange(num_users + 1) * self.num_items)

        self.users = users.to(device)
        self.count = count[users].to(device)
        self.relevant = relevant.to(device)
        self.hidden = hidden.to(device)
        self.groups = groups.to(device)
        self.edges = edges.tolist()
        self._size = block_size(self.num_items, self.users.device)
        self._blocks = [(int(block[0]), int(block[-1]) + 1) for block in users.split(self._size)]

    @torch.no_grad()
    def __call__(self, user: Tensor, item: Tensor) -> dict[str, dict[str, float]]:
        """Mean NDCG@K and its three parts, as ``{"dot": {"ndcg": ..., "popular": ...}, "cosine": {...}}``."""
        return {by: mean_score(parts) for by, parts in self.per_user(user, item).items()}

    @torch.no_grad()
    def per_user(self, user: Tensor, item: Tensor) -> dict[str, Tensor]:
        """The three parts of each ranked user's NDCG@K, by dot product and by cosine.

        Args:
            user, item: embedding tables, ``(num_users, d)`` and ``(num_items, d)``.

        Returns:
            ``{"dot": parts, "cosine": parts}``, each float32 of shape ``(len(self.users), 3)``.
        """
        return {by: self.parts(items) for by, items in self.lists(user, item).items()}

    @torch.no_grad()
    def lists(self, user: Tensor, item: Tensor) -> dict[str, Tensor]:
        """The K best items of each ranked user, best first, by dot product and by cosine.

        Equal scores are ordered by item id, lower first, always.

        Args:
            user, item: embedding tables, ``(num_users, d)`` and ``(num_items, d)``.

        Returns:
            ``{"dot": items, "cosine": items}``, each int64 of shape ``(len(self.users), k)``; -1 where a user has
            fewer than k items left to recommend.

        Raises:
            ValueError: a table with other rows than there are users or items, or with rows that are not finite.
        """
        for name, table, rows in (("user", user, self.num_users), ("item", item, self.num_items)):
            if table.dim() != 2 or len(table) != rows:
                raise ValueError(f"{name} must have shape ({rows}, d), got {tuple(table.shape)}")
            if not torch.isfinite(table).all():
                raise ValueError(f"{name} has rows that are not finite: they cannot be ranked")
        lists: dict[str, list[Tensor]] = {"dot": [], "cosine": []}
        # a user's own norm does not change their ranking: cosine is the dot product with unit items
        # in float64: decay shrinks an item that no batch holds below 1e-20, whose square float32 rounds to zero
        norm = torch.linalg.vector_norm(item, dim=1, dtype=torch.float64).clamp_min(torch.finfo(item.dtype).tiny)
        inverse_norm = (1 / norm).to(item.dtype)
        # columns are padded to whole runs of TILE; what stands beyond the last item never ranks
        buffer = user.new_full((self._size, -(-self.num_items // TILE) * TILE), -torch.inf)
        for users, (low, high) in zip(self.users.split(self._size), self._blocks, strict=True):
            block = buffer[: len(users)]
            scores = torch.mm(user[users], item.T, out=block[:, : self.num_items])
            hidden = self.hidden[self.edges[low] : self.edges[high]]
            owner = hidden // self.num_items
            row = torch.searchsorted(users, owner)
            ranked = users[row.clamp(max=len(users) - 1)] == owner  # users without held-out items lie between
            flat = row * block.shape[1] + hidden % self.num_items
            block.view(-1).index_fill_(0, flat[ranked], -torch.inf)
            lists["dot"].append(top_k(block, self.k))
            scores.mul_(inverse_norm)
            lists["cosine"].append(top_k(block, self.k))
        return {by: torch.cat(blocks) for by, blocks in lists.items()}

    def parts(self, items: Tensor) -> Tensor:
        """The three parts of each user's NDCG for given lists ``(len(self.users), K)``, in the same order."""
        return ndcg(self.hits(items), self.count, self.group(items))

    def report(self, items: Tensor, popularity: Tensor, ks: Iterable[int]) -> dict[str, dict[str, Any]]:
        """Every metric at every K of given lists, see :func:`prismlib.metrics.report`."""
        if len(popularity) != self.num_items:
            raise ValueError(f"popularity must have {self.num_items} entries, one an item, got {len(popularity)}")
        return report(items, self.hits(items), self.count, self.group(items), popularity.to(items.device), ks)

    def hits(self, items: Tensor) -> Tensor:
        """Whether each listed item is one of its user's held-out items: bool, ``(len(self.users), k)``."""
        key = self.users[:, None] * self.num_items + items
        position = torch.searchsorted(self.relevant, key).clamp_(max=len(self.relevant) - 1)
        return (items >= 0) & (self.relevant[position] == key)

    def group(self, items: Tensor) -> Tensor:
        """Popularity group of each listed item: int64, ``(len(self.users), k)``; that of no item means nothing."""
        return self.groups[items.clamp_min(0)]

    def _keys(self, name: str, parts: Iterable[Interactions]) -> Tensor:
        """Each distinct pair as one int64, user * num_items + item, sorted."""
        keys = [torch.empty(0, dtype=torch.long)]
        for part in parts:
            user, item = (torch.as_tensor(ids).long() for ids in part)
            check_ids(f"{name}.user", user, self.num_users)
            check_ids(f"{name}.item", item, self.num_items)
            keys.append(user * self.num_items + item)
        return torch.cat(keys).unique()


def mean_score(parts: Tensor) -> dict[str, float]:
    """Mean over users of a metric's parts, ``(users, 3)``: ``{"ndcg": ..., "popular": ..., ...}``.

    >>> mean_score(torch.tensor([[0.5, 0.0, 0.25], [0.0, 0.0, 0.25]]))
    {'ndcg': 0.5, 'popular': 0.25, 'neutral': 0.0, 'unpopular': 0.25}
    """
    mean = parts.mean(0)
    return dict(zip(("ndcg", *GROUPS), [float(mean.sum()), *mean.tolist()], strict=True))


def top_k(scores: Tensor, k: int) -> Tensor:
    """Columns of the k largest scores of each row, best first; equal scores by column, lower first; -1 for -inf.

    The k best lie in the k runs of TILE columns with the largest maxima, so only those are searched:
    2 to 3 times faster than topk over the whole row, and exact.

    Args:
        scores: shape ``(rows, m * TILE)``, contiguous.

    >>> scores = torch.zeros(1, 128).index_fill_(1, torch.tensor([70, 90]), 1.0)
    >>> top_k(scores, 3)
    tensor([[70, 90,  0]])
    """
    runs = scores.unflatten(1, (-1, TILE))
    if runs.shape[1] <= k + 1:
        best, column = scores.topk(min(k + 1, scores.shape[1]))
    else:
        run = runs.amax(2).topk(k + 1, sorted=False).indices
        best, place = runs.gather(1, run[:, :, None].expand(-1, -1, TILE)).flatten(1).topk(k + 1)
        column = run.gather(1, place // TILE) * TILE + place % TILE
    # topk orders equal scores as it likes, and the next best tells whether the last place is contested
    tied = (best[:, 1:] == best[:, :-1]).any(1).nonzero().flatten()
    if len(tied):
        column[tied] = scores[tied].sort(dim=1, descending=True, stable=True).indices[:, : column.shape[1]]
    return column[:, :k].masked_fill_(best[:, :k] == -torch.inf, -1)
