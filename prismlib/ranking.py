"""Full ranking: every item is scored for every user with held-out items, in blocks, on the device (Appendix B.2)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from prismlib._checks import check_count, check_ids, check_table, check_values, check_whole
from prismlib._columns import Column, ids, popularity_column
from prismlib._fast.topk import TiledColumns, in_order
from prismlib._rows import is_moderate, peaks, power_of_two
from prismlib.data import Interactions, as_pairs
from prismlib.metrics import GROUPS, all_metrics, check_lists, ndcg_of_hits


def block_size(num_items: int, device: torch.device) -> int:
    """Number of users scored at once: few enough for their scores to stay in a CPU's cache, many enough for a GPU.

    Args:
        num_items: number of items, each of which is scored for each user.
        device: where the scores are computed.

    >>> [block_size(items, torch.device("cpu")) for items in (3_706, 40_981)]  # MovieLens1M, Gowalla: 4 MB, 21 MB
    [256, 128]
    """
    if device.type == "cpu":
        return min(256, max(128, 1_000_000 // num_items))
    return max(256, 100_000_000 // num_items)


class FullRanking:
    """NDCG@K of embeddings on held-out interactions, over the full ranking of all items not masked.

    The index arrays are prepared once and stay on ``device``; each call ranks by dot product and by cosine
    from one matrix product. On a GPU a call waits once, for its result.

    Args:
        held_out: the interactions to find; a pair counts once, and users without any are not ranked.
        masked: interactions that cannot be recommended: those of the training, and for the test also those of the
            validation; one :class:`~prismlib.data.Interactions` or several.
        groups: popularity group of each item, integers in [0, 3), shape ``(num_items,)``, see
            :func:`prismlib.metrics.popularity_groups`.
        num_users: number of rows of the user table.
        k: length of the ranked lists, in [1, num_items].
        drop_last_user: leave out the last user with held-out items, as the released code does.
        device: where the embeddings will be.

    Attributes:
        users: the users that are ranked, int64, ascending.
        count: number of held-out items of each of them, int64.

    Raises:
        ValueError: nothing held out, no user left, an id that is not a row of its table, an unknown group, ``k`` not a
            whole number in [1, num_items], ``masked`` that is not interactions, or an interaction held out and masked.

    >>> held_out, masked = Interactions([0], [2]), Interactions([0], [0])
    >>> evaluate = FullRanking(held_out, masked, torch.tensor([0, 1, 2]), num_users=1, k=2)
    >>> score = evaluate(torch.tensor([[1.0]]), torch.tensor([[9.0], [3.0], [2.0]]))
    >>> {name: round(value, 4) for name, value in score["dot"].items()}
    {'ndcg': 0.6309, 'popular': 0.0, 'neutral': 0.0, 'unpopular': 0.6309}
    """

    def __init__(
        self,
        held_out: Interactions,
        masked: Iterable[Interactions] | Interactions,
        groups: Column,
        num_users: int,
        k: int = 20,
        drop_last_user: bool = False,
        device: torch.device | str = "cpu",
    ) -> None:
        group = _checked_groups(groups)
        check_count("num_users", num_users)
        check_whole("k", k)
        self.num_users, self.num_items, self.k = num_users, len(group), k
        relevant = self._keys("held_out", [held_out])
        if len(relevant) == 0:
            raise ValueError("held_out is empty: there is nothing to evaluate; check the split")
        if not 1 <= k <= self.num_items:
            raise ValueError(f"k must lie in [1, {self.num_items}], the number of items, got {k}")
        hidden = self._hidden(masked, relevant)
        users, count = self._ranked_users(relevant, drop_last_user)

        self.users, self.count = users.to(device), count.to(device)
        self.relevant, self.groups = relevant.to(device), group.to(device)
        self._size = block_size(self.num_items, self.users.device)
        blocks = self._masked_by_block(users, hidden)
        self._blocks = [(row.to(device), masked_item.to(device)) for row, masked_item in blocks]
        # what is not ordinary is found as the work goes on; a GPU goes on without, and is asked at the end
        self._looks = self.users.device.type != "cuda"

    def _hidden(self, masked: Iterable[Interactions] | Interactions, relevant: Tensor) -> Tensor:
        """The keys of the masked pairs, none of which is held out."""
        if isinstance(masked, Interactions) or not isinstance(masked, Iterable):
            masked = [masked]
        hidden = self._keys("masked", masked)
        if torch.isin(relevant, hidden).any():
            raise ValueError("held_out and masked share interactions: a masked item could never be found")
        return hidden

    def _ranked_users(self, relevant: Tensor, drop_last_user: bool) -> tuple[Tensor, Tensor]:
        """The users that have held-out items, ascending, and the number of these items of each."""
        users, count = (relevant // self.num_items).unique(return_counts=True)
        if drop_last_user:
            users, count = users[:-1], count[:-1]
        if len(users) == 0:
            raise ValueError("drop_last_user leaves no user to rank: only one has held-out items")
        return users, count

    def _masked_by_block(self, users: Tensor, hidden: Tensor) -> list[tuple[Tensor, Tensor]]:
        """The masked pairs of the users of each block, as the user's place in the block and the item."""
        # hidden is sorted by user: the pairs of the users [a, b) are one slice, edges[a] to edges[b]
        edges = torch.searchsorted(hidden, torch.arange(self.num_users + 1) * self.num_items)
        blocks = []
        for block in users.split(self._size):
            pairs = hidden[edges[block[0]] : edges[block[-1] + 1]]
            owner, masked_item = pairs // self.num_items, pairs % self.num_items
            row = torch.searchsorted(block, owner)
            is_ranked = block[row] == owner  # users without held-out items lie between
            blocks.append((row[is_ranked], masked_item[is_ranked]))
        return blocks

    @torch.no_grad()
    def __call__(self, user: Tensor, item: Tensor, cosine: bool = True) -> dict[str, dict[str, float]]:
        """Mean NDCG@K over users and its three parts, by dot product and by cosine.

        Args:
            user: user embeddings, as for :meth:`lists`.
            item: item embeddings, as for :meth:`lists`.
            cosine: False leaves the ranking by cosine out, as for :meth:`lists`.

        Returns:
            ``{"dot": {"ndcg": ..., "popular": ..., "neutral": ..., "unpopular": ...}, "cosine": {...}}``.

        Raises:
            ValueError: as :meth:`lists`.
        """
        for looks in (self._looks, True):
            found, doubts = self._ranked(user, item, cosine, looks)
            means = [_means(self._parts(items)) for items in found.values()]
            told = torch.cat([*means, doubts]).tolist()  # all that a GPU is asked for
            if not any(told[4 * len(found) :]):
                break
        return {score: _named(told[4 * place : 4 * place + 4]) for place, score in enumerate(found)}

    @torch.no_grad()
    def per_user(self, user: Tensor, item: Tensor, cosine: bool = True) -> dict[str, Tensor]:
        """The three parts of each ranked user's NDCG@K, by dot product and by cosine.

        Args:
            user: user embeddings, as for :meth:`lists`.
            item: item embeddings, as for :meth:`lists`.
            cosine: False leaves the ranking by cosine out, as for :meth:`lists`.

        Returns:
            ``{"dot": parts, "cosine": parts}``, each float32 of shape ``(len(self.users), 3)``.

        Raises:
            ValueError: as :meth:`lists`.
        """
        # the ranking's own lists need no check, which would cost a sort and make a GPU wait
        return {score: self._parts(items) for score, items in self.lists(user, item, cosine).items()}

    @torch.no_grad()
    def lists(self, user: Tensor, item: Tensor, cosine: bool = True) -> dict[str, Tensor]:
        """The K best items of each ranked user, best first, by dot product and by cosine.

        Equal scores are always ordered by item id, lower first. A factor common to all rows of a table changes no list.

        Args:
            user: user embeddings, floating point, shape ``(num_users, d)``.
            item: item embeddings, floating point, shape ``(num_items, d)``.
            cosine: False leaves the ranking by cosine out, and with it most of the search for the best scores.

        Returns:
            ``{"dot": items, "cosine": items}``, each int64 of shape ``(len(self.users), k)``; -1 where a user has
            fewer than k items left to recommend.

        Raises:
            ValueError: a table that is not floating point, has another number of rows than there are users or items, or
                has rows that are not finite; tables of two dimensions d.
        """
        found, doubts = self._ranked(user, item, cosine, self._looks)
        return self._ranked(user, item, cosine, looks=True)[0] if doubts.any() else found

    def _ranked(self, user: Tensor, item: Tensor, cosine: bool, looks: bool) -> tuple[dict[str, Tensor], Tensor]:
        """The lists, and doubts of them, of which any makes it necessary to look; there is none where this looks."""
        for name, table, rows in (("user", user, self.num_users), ("item", item, self.num_items)):
            check_table(name, table, rows)
            check_values(name, table)
            if looks and not torch.isfinite(table).all():
                raise ValueError(f"{name} has rows that are not finite: they cannot be ranked")
        if user.shape[1] != item.shape[1]:
            raise ValueError(f"user and item must have one dimension d, got {user.shape[1]} and {item.shape[1]}")
        user, item, finite = _moderate(user, item, looks)
        # a user's own norm does not change their ranking: cosine is the dot product with unit items
        # in float64: decay shrinks an item that is in no batch below 1e-20, whose square float32 rounds to zero
        norm = torch.linalg.vector_norm(item, dim=1, dtype=torch.float64).clamp_min(torch.finfo(item.dtype).tiny)
        columns = TiledColumns((1 / norm).to(item.dtype), interleaved=not self._looks)
        table = item[columns.item].T.contiguous()
        buffer = user.new_empty(self._size, table.shape[1])
        best: dict[str, list[Tensor]] = {"dot": [], "cosine": []} if cosine else {"dot": []}
        lists: dict[str, list[Tensor]] = {score: [] for score in best}
        doubts: list[Tensor] = []
        for users, (row, masked_item) in zip(self.users.split(self._size), self._blocks, strict=True):
            scores = torch.mm(user[users], table, out=buffer[: len(users)])
            scores.view(-1).index_fill_(0, row * scores.shape[1] + columns.column[masked_item], -torch.inf)
            scores.index_fill_(1, columns.unused, -torch.inf)
            highest = columns.tiles(scores).amax(2)
            for score in lists:
                if looks:
                    lists[score].append(columns.top(scores, highest, self.k, scaled=score == "cosine"))
                    continue
                of_block = columns.unseen(scores, highest, self.k, scaled=score == "cosine")
                for kept, part in zip((best[score], lists[score], doubts), of_block, strict=True):
                    kept.append(part)
        found = {score: torch.cat(blocks) for score, blocks in lists.items()}
        if looks:
            return found, user.new_zeros(0, dtype=torch.float32)
        found = {score: in_order(torch.cat(best[score]), items, self.k) for score, items in found.items()}
        return found, torch.stack([torch.cat(doubts).any(), ~finite]).to(torch.float32)

    def ndcg_by_group(self, items: Tensor) -> Tensor:
        """The three parts of each ranked user's NDCG for given lists.

        Args:
            items: item ids, integers, shape ``(len(self.users), K)``, best first, in the order of ``users``; -1 stands
                for no item.

        Returns:
            float32, shape ``(len(self.users), 3)``.

        Raises:
            ValueError: lists of other users, ids that are not items, or a list that names an item twice.
        """
        return self._parts(self._checked(items))

    def all_metrics(self, items: Tensor, popularity: Column, ks: Iterable[int]) -> dict[str, dict[str, Any]]:
        """Every metric at every K of given lists, see :func:`prismlib.metrics.all_metrics`.

        Args:
            items: as for :meth:`ndcg_by_group`.
            popularity: training interactions of each item, shape ``(num_items,)``.
            ks: lengths at which the lists are cut, each in [1, K].

        Returns:
            As :func:`prismlib.metrics.all_metrics`.

        Raises:
            ValueError: as :meth:`ndcg_by_group` and :func:`prismlib.metrics.all_metrics`.
        """
        items = self._checked(items)
        count = popularity_column("popularity", popularity, self.num_items).to(items.device)
        return all_metrics(items, self._hits(items), self.count, self._group(items), count, ks)

    def hits(self, items: Tensor) -> Tensor:
        """Whether each listed item is a held-out item of its user: bool, shape ``(len(self.users), K)``.

        Args:
            items: as for :meth:`ndcg_by_group`.

        Raises:
            ValueError: as :meth:`ndcg_by_group`.
        """
        return self._hits(self._checked(items))

    def group(self, items: Tensor) -> Tensor:
        """Popularity group of each listed item: int64, shape ``(len(self.users), K)``; that of no item means nothing.

        Args:
            items: as for :meth:`ndcg_by_group`.

        Raises:
            ValueError: as :meth:`ndcg_by_group`.
        """
        return self._group(self._checked(items))

    def _parts(self, items: Tensor) -> Tensor:
        return ndcg_of_hits(self._hits(items), self.count, self._group(items))

    def _hits(self, items: Tensor) -> Tensor:
        key = self.users[:, None] * self.num_items + items
        position = torch.searchsorted(self.relevant, key).clamp_(max=len(self.relevant) - 1)
        return (items >= 0) & (self.relevant[position] == key)

    def _group(self, items: Tensor) -> Tensor:
        return self.groups[items.clamp_min(0)]

    def _checked(self, items: Tensor) -> Tensor:
        """Lists of the ranked users as int64, each of whose items is there once."""
        items = check_lists(items, self.num_items, "the items")
        if items.dim() != 2 or len(items) != len(self.users) or items.shape[1] == 0:
            raise ValueError(
                f"items must have shape ({len(self.users)}, K), one list per ranked user, got {tuple(items.shape)}"
            )
        return items

    def _keys(self, name: str, parts: Iterable[Interactions]) -> Tensor:
        """Each distinct pair as one int64, user * num_items + item, sorted."""
        keys = [torch.empty(0, dtype=torch.long)]
        for part in parts:
            user, item = as_pairs(name, part)
            check_ids(f"{name}.user", user, self.num_users)
            check_ids(f"{name}.item", item, self.num_items)
            keys.append(user * self.num_items + item)
        return torch.cat(keys).unique()


def mean_score(parts: Tensor) -> dict[str, float]:
    """Mean over users of the NDCG's parts, and their sum.

    Args:
        parts: the parts by popularity group, shape ``(users, 3)``, e.g. of :meth:`FullRanking.per_user`.

    Returns:
        ``{"ndcg": ..., "popular": ..., "neutral": ..., "unpopular": ...}``.

    >>> mean_score(torch.tensor([[0.5, 0.0, 0.25], [0.0, 0.0, 0.25]]))
    {'ndcg': 0.5, 'popular': 0.25, 'neutral': 0.0, 'unpopular': 0.25}
    """
    return _named(_means(parts).tolist())


def _means(parts: Tensor) -> Tensor:
    """The NDCG and its three parts, means over users, ``(4,)``."""
    mean = parts.mean(0)
    return torch.cat([mean.sum(0, keepdim=True), mean])


def _named(means: list[float]) -> dict[str, float]:
    return dict(zip(("ndcg", *GROUPS), means, strict=True))


def _checked_groups(groups: Column) -> Tensor:
    """The popularity group of each item as int64."""
    group = ids("groups", groups)
    if len(group) and not 0 <= int(group.min()) <= int(group.max()) < len(GROUPS):
        raise ValueError(f"groups must lie in [0, {len(GROUPS)}), the popularity groups, got {group.unique().tolist()}")
    return group


def _moderate(user: Tensor, item: Tensor, looks: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Both tables in one precision, float32 at least, in a range in which their products exist; whether all is finite.

    Where a row of either is outside of it, each user's row is multiplied by a power of two, and all items by one. That
    changes no order of scores, and no bit of a float's significand. Without a look at it both are multiplied by 1
    where no row is.
    """
    precise = torch.promote_types(torch.promote_types(user.dtype, item.dtype), torch.float32)
    user, item = user.to(precise), item.to(precise)
    tops = peaks(user), peaks(item)
    both = torch.cat(tops)
    plain, finite = (is_moderate(both) | (both == 0)).all(), torch.isfinite(both).all()
    if looks and plain:
        return user, item, finite
    # the largest products are d * 2 ** 112, and those of float32's smallest normal number are above 2 ** -78
    of_user, of_item = (torch.where(plain, 1, power_of_two(peak)) for peak in (tops[0], tops[1].max()))
    user_scale, item_scale = torch.where(plain, 1, 2.0**50), torch.where(plain, 1, 2.0**60)
    return user / of_user * user_scale, item / of_item * item_scale, finite
