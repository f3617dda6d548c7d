"""Both rankings from the maxima of tiles against a sort of all scores, in the layouts of a CPU and of a GPU."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from prismlib import FullRanking, popularity_groups, random_split, ranking, synthetic
from prismlib._fast import topk
from prismlib._fast.topk import EXTRA_TILES, MAX_NORM_RATIO, SPARE, TILE, TiledColumns, in_order

ITEMS, ROWS = 40 * TILE + 7, 50


def g(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def laid(columns: TiledColumns, by_item: Tensor) -> Tensor:
    """Scores in the order of the columns."""
    scores = by_item[:, columns.item]
    scores[:, columns.unused] = -torch.inf
    return scores


def sorted_top(by_item: Tensor, k: int) -> Tensor:
    best = by_item.sort(dim=1, descending=True, stable=True)
    return best.indices[:, :k].masked_fill(best.values[:, :k] == -torch.inf, -1)


SCORES = {
    "normal": lambda: torch.randn(ROWS, ITEMS, generator=g()),
    "equal ones among them": lambda: torch.randint(-30, 30, (ROWS, ITEMS), generator=g()).float(),
    "all negative": lambda: -torch.rand(ROWS, ITEMS, generator=g()) - 1,
    "few are ranked": lambda: torch.randn(ROWS, ITEMS, generator=g()).masked_fill_(
        torch.rand(ROWS, ITEMS, generator=g(1)) < 0.997, -torch.inf
    ),
    "none is ranked": lambda: torch.full((ROWS, ITEMS), -torch.inf),
    "zero": lambda: torch.zeros(ROWS, ITEMS),
}
FACTORS = {
    "one norm": lambda: torch.ones(ITEMS),
    "norms near each other": lambda: 1 + torch.rand(ITEMS, generator=g(2)),
    "norms of many decades": lambda: 10 ** (20 * torch.rand(ITEMS, generator=g(2))),
    "most of one norm": lambda: torch.where(torch.rand(ITEMS, generator=g(2)) < 0.1, 1e20, 1.0),
}


@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize("k", [1, 5, 20, 39, ITEMS])
@pytest.mark.parametrize("factors", FACTORS)
@pytest.mark.parametrize("scores", SCORES)
def test_both_rankings_are_a_stable_sort_of_all_scores(scores: str, factors: str, k: int, interleaved: bool) -> None:
    by_item, factor = SCORES[scores](), FACTORS[factors]()
    columns = TiledColumns(factor, interleaved)
    rows = laid(columns, by_item)
    highest = columns.tiles(rows).amax(2)
    assert torch.equal(columns.top(rows, highest, k), sorted_top(by_item, k))
    assert torch.equal(columns.top(rows, highest, k, scaled=True), sorted_top(by_item * factor, k))


@pytest.mark.parametrize("k", [1, 20, ITEMS - SPARE, ITEMS])
@pytest.mark.parametrize("factors", FACTORS)
@pytest.mark.parametrize("scores", SCORES)
def test_without_a_look_rows_are_right_or_in_doubt(scores: str, factors: str, k: int) -> None:
    by_item, factor = SCORES[scores](), FACTORS[factors]()
    columns = TiledColumns(factor, interleaved=True)
    rows = laid(columns, by_item)
    for scaled, ranked in ((False, by_item), (True, by_item * factor)):
        best, items, doubtful = columns.unseen(rows, columns.tiles(rows).amax(2), k, scaled)
        right = (in_order(best, items, k) == sorted_top(ranked, k)).all(1)
        assert (right | doubtful).all()
        if scores == "zero" and k <= 20:
            assert doubtful.all()  # nobody can tell which of the equal ones are the first
        elif scores in ("normal", "none is ranked") and not (scaled and factors == "most of one norm"):
            assert not doubtful.any()


@pytest.mark.parametrize("interleaved", [False, True])
def test_each_item_has_one_column_and_tiles_have_near_norms(interleaved: bool) -> None:
    factor = FACTORS["norms near each other"]()
    columns = TiledColumns(factor, interleaved)
    assert torch.equal(columns.item[columns.column], torch.arange(ITEMS))
    assert sorted([*columns.column.tolist(), *columns.unused.tolist()]) == list(range(41 * TILE))
    assert torch.equal(columns.factor[columns.column], factor)
    by_tile = columns.tiles(columns.factor)
    assert torch.equal(by_tile.flatten()[:ITEMS], factor.sort().values)
    assert by_tile.shape == (41, TILE) and columns.tiles(torch.zeros(3, 41 * TILE)).shape == (3, 41, TILE)
    lowest = torch.zeros(41 * TILE).index_fill_(0, columns.unused, 1)
    assert columns.tiles(lowest)[:-1].sum() == 0  # only the last tile has unused columns


@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize("size", [1e-44, 1e-38, 1e-20, 1.0, 1e17])
def test_bounds_hold_for_rounded_products_and_are_the_products_where_norms_differ(
    size: float, interleaved: bool
) -> None:
    factor = torch.cat([FACTORS["norms near each other"]()[:2000], FACTORS["norms of many decades"]()[2000:]])
    columns = TiledColumns(factor, interleaved)
    for by_item in (SCORES["normal"](), SCORES["all negative"](), SCORES["few are ranked"]()):
        rows = laid(columns, size * by_item)
        highest = columns.tiles(rows).amax(2)
        bounds, products = columns.bounds(rows, highest), columns.tiles(rows * columns.factor).amax(2)
        assert (bounds >= products).all()
        wide = columns.tiles(columns.factor).amax(1) > MAX_NORM_RATIO * columns.tiles(columns.factor).amin(1)
        assert wide.any() and not wide.all() and torch.equal(bounds[:, wide], products[:, wide])


@pytest.mark.parametrize("interleaved", [False, True])
def test_rows_that_the_bounds_leave_open_are_decided_by_the_maxima(
    interleaved: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cosines that lie nearer to each other than the norms of a tile do."""
    monkeypatch.setattr(topk, "WIDEST", 2)
    factor = 1 + 0.01 * torch.rand(ITEMS, generator=g(3))
    by_item = (1 + 1e-4 * torch.rand(ROWS, ITEMS, generator=g(4))) / factor
    columns, searched = TiledColumns(factor, interleaved), []
    search = TiledColumns._search

    def watched(self: TiledColumns, scores: Tensor, *rest: object, **how: object) -> tuple[Tensor, Tensor, Tensor]:
        searched.append(len(scores))
        return search(self, scores, *rest, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(TiledColumns, "_search", watched)
    rows = laid(columns, by_item)
    found = columns.top(rows, columns.tiles(rows).amax(2), 20, scaled=True)
    assert torch.equal(found, sorted_top(by_item * factor, 20))
    assert columns.unseen(rows, columns.tiles(rows).amax(2), 20, scaled=True)[2].sum() > ROWS / 2
    searched.pop()
    assert searched[0] == ROWS and searched[1] > ROWS / 2 and len(searched) == 2


@pytest.mark.parametrize("items", [200, (21 + EXTRA_TILES + 1) * TILE])  # fewer tiles than are searched, and more
def test_the_layout_of_a_gpu_gives_the_lists_of_a_cpu(items: int, monkeypatch: pytest.MonkeyPatch) -> None:
    split = random_split(synthetic(100, items, 3000), seed=0)
    groups = popularity_groups(torch.from_numpy(split.item_popularity))
    user, item = torch.randn(100, 8, generator=g()), torch.randn(items, 8, generator=g(1))
    item[::3] *= 1e-3
    lists = FullRanking(split.validation, [split.train], groups, num_users=100).lists(user, item)
    monkeypatch.setattr(ranking, "TiledColumns", lambda inverse, interleaved: TiledColumns(inverse, interleaved=True))
    evaluate = FullRanking(split.validation, [split.train], groups, num_users=100)
    found = evaluate.lists(user, item)
    assert all(torch.equal(lists[by], found[by]) for by in ("dot", "cosine"))
    assert all(torch.equal(evaluate.hits(lists[by]), evaluate.hits(found[by])) for by in ("dot", "cosine"))
    hidden = torch.zeros(100, items, dtype=torch.bool)
    hidden[split.train.user, split.train.item] = True
    for by, table in (("dot", item), ("cosine", item / item.norm(dim=1, keepdim=True))):
        scores = (user.double() @ table.double().T).masked_fill(hidden, -torch.inf)[evaluate.users]
        assert torch.equal(found[by], sorted_top(scores, 20))
