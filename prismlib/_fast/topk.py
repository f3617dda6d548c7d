"""The best columns of each row of scores, found by the maxima of tiles of columns.

The k best scores of a row lie in the k tiles with the largest maxima, so only those tiles are searched. Where the items
of a tile have nearly one norm, the maxima of the dot products bound those of the cosines: one pass over the scores then
gives both rankings.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from prismlib._checks import check_table

#: Columns per tile.
TILE = 64
#: Tiles that are searched besides where the maxima are known as upper bounds.
EXTRA_TILES = 4
#: The largest ratio of the norms in a tile for which the upper bound is taken.
MAX_NORM_RATIO = 1.02
#: The tiles whose own maxima are taken where a GPU would wait to be told which ratios are larger: those of the largest.
WIDEST = 32
#: Scores that are found besides the k best and the next one where nobody looks for ties at the last place.
SPARE = 4


class TiledColumns:
    """The columns of a score matrix in tiles of :data:`TILE` items whose norms are next to each other.

    Args:
        inverse_norm: one divided by each item's norm, floating point, > 0 and finite, shape ``(num_items,)``.
        interleaved: True for tiles whose columns lie apart, so that the maxima of neighbouring tiles are read from
            neighbouring columns, as a GPU wants it. False for tiles of neighbouring columns, as a CPU wants it.

    Attributes:
        column: the column of each item, int64, ``(num_items,)``.
        item: the item of each column, int64, ``(C,)``, where C is a multiple of :data:`TILE`.
        unused: the columns without an item, whose scores must be -inf; ``item`` is 0 there.
        factor: ``inverse_norm`` of each column's item, ``(C,)``.

    >>> columns = TiledColumns(torch.tensor([0.5, 0.25, 1.0]))
    >>> columns.column, columns.item[:3], len(columns.item)
    (tensor([1, 0, 2]), tensor([1, 0, 2]), 64)
    """

    def __init__(self, inverse_norm: Tensor, interleaved: bool = False) -> None:
        inverse, order = inverse_norm.sort(stable=True)
        tiles = -(-len(order) // TILE)
        place = torch.arange(tiles * TILE, device=order.device)  # tile by tile
        if interleaved:
            place = place.view(TILE, tiles).T.flatten()
        used, self.unused = place[: len(order)], place[len(order) :]
        self.interleaved = interleaved
        self.column = torch.empty_like(order).scatter_(0, order, used)
        self.item = torch.zeros_like(place).scatter_(0, used, order)
        by_tile = torch.cat([inverse, inverse[-1:].expand(len(self.unused))])
        self.factor = torch.empty_like(by_tile).scatter_(0, place, by_tile)
        self._factors = by_tile.view(tiles, TILE)
        self._smallest, self._largest = self._factors[:, 0], self._factors[:, -1]
        if interleaved:
            self._wide = (self._largest / self._smallest).topk(min(WIDEST, tiles), sorted=False).indices
        else:
            self._wide = (self._largest > MAX_NORM_RATIO * self._smallest).nonzero().flatten()

    def tiles(self, scores: Tensor) -> Tensor:
        """A view of scores by tile.

        Args:
            scores: shape ``(..., C)``.

        Returns:
            Shape ``(..., C / TILE, TILE)``.
        """
        if self.interleaved:
            return scores.unflatten(-1, (TILE, -1)).transpose(-1, -2)
        return scores.unflatten(-1, (-1, TILE))

    def bounds(self, scores: Tensor, highest: Tensor) -> Tensor:
        """Upper bounds of the largest product of a score and its factor in each tile, shape ``(rows, tiles)``.

        They hold for the products as they are rounded, since rounding keeps the order of numbers. Where the norms of a
        tile differ too much for its bound to be of use, the largest product itself stands in its place: in the layout
        of a GPU in a fixed number of tiles, so that nothing waits for their number.

        Args:
            scores: as for :meth:`top`.
            highest: as for :meth:`top`.
        """
        bounds = highest * torch.where(highest > 0, self._largest, self._smallest)
        if len(self._wide):
            products = self.tiles(scores).index_select(1, self._wide) * self._factors[self._wide]
            bounds.index_copy_(1, self._wide, products.amax(2))
        return bounds

    def top(self, scores: Tensor, highest: Tensor, k: int, scaled: bool = False) -> Tensor:
        """Items of the k largest scores of each row, best first; equal scores by item, lower first.

        Args:
            scores: ``(rows, C)``, contiguous; -inf for an item that is not ranked, and in the unused columns.
            highest: the largest score of each tile, ``self.tiles(scores).amax(2)``.
            k: number of items to return, in [1, num_items].
            scaled: rank by the product of each score and its column's factor.

        Returns:
            int64, ``(rows, k)``; -1 in place of an item whose score is -inf.
        """
        if not scaled:
            best, column, _ = self._search(scores, highest, k)
        else:
            best, column, known = self._search(scores, self.bounds(scores, highest), k, scaled=True)
            loose = (~known).nonzero().flatten()
            if len(loose):  # the bounds left it open: the maxima themselves decide
                exact = scores[loose] * self.factor
                best[loose], column[loose], _ = self._search(exact, self.tiles(exact).amax(2), k)
        items = self.item[column]
        # topk orders equal scores as it likes, and the next best tells whether the last place is contested
        tied = (best[:, 1:] == best[:, :-1]).any(1).nonzero().flatten()
        if len(tied):
            by_item = scores[tied] * self.factor if scaled else scores[tied]
            items[tied] = best_in_order(by_item.index_select(1, self.column), best[tied])
        return items[:, :k].masked_fill_(best[:, :k] == -torch.inf, -1)

    def unseen(self, scores: Tensor, highest: Tensor, k: int, scaled: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """What :meth:`top` looks for, without a look at any value, for which a GPU would wait.

        Args:
            scores: as for :meth:`top`.
            highest: as for :meth:`top`.
            k: as for :meth:`top`.
            scaled: as for :meth:`top`.

        Returns:
            The best scores of each row, best first, and their items, each of shape ``(rows, >= k)``; and whether
            the k best might be others, bool, ``(rows,)``. :func:`in_order` makes lists of the first two.
        """
        bounds = self.bounds(scores, highest) if scaled else highest
        best, column, known = self._search(scores, bounds, k, scaled, 1 + SPARE)
        doubtful = ~known if scaled else torch.zeros_like(known)
        if best.shape[1] == k + 1 + SPARE:  # else every item is among them
            # scores that equal the last place's may go on beyond what was found
            doubtful |= (best[:, k - 1] == best[:, -1]) & (best[:, -1] > -torch.inf)
        return best, self.item[column], doubtful

    def _search(
        self, scores: Tensor, bounds: Tensor, k: int, scaled: bool = False, more: int = 1
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The k + more best scores in the tiles of the largest bounds, their columns; whether the k best are there."""
        number, searched = bounds.shape[1], k + more + EXTRA_TILES if scaled else k + more
        if number <= searched:
            best, column = (scores * self.factor if scaled else scores).topk(min(k + more, len(self.column)))
            return best, column, torch.ones(len(best), dtype=torch.bool, device=best.device)
        bound, tile = bounds.topk(searched, sorted=False)
        if self.interleaved:
            tiled = self.tiles(scores).gather(1, tile[:, :, None].expand(-1, -1, TILE))
        else:  # each tile is a row of memory
            first = torch.arange(0, len(tile) * number, number, device=tile.device)
            tiled = scores.view(-1, TILE).index_select(0, (tile + first[:, None]).flatten()).view(*tile.shape, TILE)
        if scaled:
            tiled.mul_(self._factors.index_select(0, tile.flatten()).view_as(tiled))
        best, place = tiled.flatten(1).topk(k + more)
        tile, place = tile.gather(1, place // TILE), place % TILE
        column = place * number + tile if self.interleaved else tile * TILE + place
        lowest = bound.amin(1)  # where it is -inf, all that is ranked lies in the tiles that were searched
        return best, column, (best[:, k - 1] > lowest) | (lowest == -torch.inf)


def in_order(best: Tensor, items: Tensor, k: int) -> Tensor:
    """Items in the order of their scores, equal scores by item, lower first; no value is looked at.

    Args:
        best: scores, floating point, ``(rows, m)``, m >= k.
        items: int64, ``(rows, m)``.
        k: number of items to return.

    Returns:
        int64, ``(rows, k)``; -1 in place of an item whose score is -inf.

    >>> in_order(torch.tensor([[2.0, 2.0, -torch.inf]]), torch.tensor([[7, 5, 0]]), 3)
    tensor([[ 5,  7, -1]])
    """
    items, order = items.sort(dim=1)
    best, order = best.gather(1, order).sort(dim=1, descending=True, stable=True)
    return items.gather(1, order[:, :k]).masked_fill_(best[:, :k] == -torch.inf, -1)


def top_k(scores: Tensor, k: int) -> Tensor:
    """Columns of the k largest scores of each row, best first; equal scores by column, lower first.

    It is 2 to 3 times faster than topk over the whole row, and exact.

    Args:
        scores: floating point, shape ``(rows, columns)``. Other numbers of columns than multiples of TILE cost a copy.
        k: number of columns to return, in [1, columns].

    Returns:
        int64, shape ``(rows, k)``; -1 in place of a column whose score is -inf.

    Raises:
        ValueError: scores that are not floating point or not 2-D; ``k`` outside [1, columns].

    >>> top_k(torch.tensor([[0.5, 0.9, 0.5, -torch.inf]]), 4)
    tensor([[ 1,  0,  2, -1]])
    """
    check_table("scores", scores)
    if not 1 <= k <= scores.shape[1]:
        raise ValueError(f"k must lie in [1, {scores.shape[1]}], the number of columns, got {k}")
    columns = TiledColumns(scores.new_ones(scores.shape[1]))
    if len(columns.unused):
        scores = F.pad(scores, (0, len(columns.unused)), value=-torch.inf)
    scores = scores.contiguous()
    return columns.top(scores, columns.tiles(scores).amax(2), k)


def best_in_order(scores: Tensor, best: Tensor) -> Tensor:
    """The columns of the largest scores of each row, best first; equal scores by column, lower first.

    It is what a stable sort of whole rows gives, and several times faster: the scores are compared with the last of the
    best, and only the best are sorted. A model whose rows have shrunk to nothing has equal scores everywhere.

    Args:
        scores: ``(rows, columns)``, without NaN.
        best: the k largest of each row, in descending order, ``(rows, k)``.

    Returns:
        int64, ``(rows, k)``.

    >>> best_in_order(torch.tensor([[1.0, 3.0, 1.0, 3.0, 1.0]]), torch.tensor([[3.0, 3.0, 1.0, 1.0]])).tolist()
    [[1, 3, 0, 2]]
    """
    last, k = best[:, -1:], best.shape[1]
    above, level = scores > last, scores == last
    wanted = k - above.sum(dim=1, keepdim=True)
    taken = above | (level & (level.cumsum(dim=1, dtype=torch.int32) <= wanted))
    column = taken.nonzero()[:, 1].view(-1, k)
    return column.gather(1, scores.gather(1, column).sort(dim=1, descending=True, stable=True).indices)
