"""What the page on serving says is in the tables that the benchmark stored."""

from __future__ import annotations

import csv
import json
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from prismlib import MF, prism_, random_split, recommend, synthetic
from prismlib.datasets import CARDS
from prismlib.lengths import EXPONENTS, popularity_power

ROOT = Path(__file__).parents[1]
STORED = json.loads((ROOT / "benchmarks/serving.json").read_text())
PAGE = (ROOT / "book/serving.md").read_text()


def rows(part: str, word: str) -> list[dict[str, float]]:
    found = [row for row in STORED[part] if word in row["index"]]
    assert found, word
    return found


def of_a_million() -> list[dict[str, Any]]:
    """The rows of a million items with the recall of their indexes where all rows have one length."""
    of_one_length = {row["index"]: row["recall"] for row in STORED["million_unit"]}
    assert {row["items"] for row in STORED["million_unit"]} == {row["items"] for row in STORED["million"]}
    first = ("index", "items", "recall")
    return [
        {name: row[name] for name in first} | {"recall_unit": of_one_length.get(row["index"])} | row
        for row in STORED["million"]
    ]


@pytest.mark.parametrize("part", ["quality", "lengths", "single", "million"])
def test_the_table_of_the_page_is_what_was_measured(part: str) -> None:
    with (ROOT / f"benchmarks/serving_{part}.csv").open(newline="") as file:
        heads, *shown = csv.reader(file)
    stored = of_a_million() if part == "million" else STORED[part]
    assert {len(row) for row in shown} == {len(row) for row in stored} == {len(heads)}
    for column, values in zip(
        zip(*shown, strict=True), zip(*(row.values() for row in stored), strict=True), strict=True
    ):
        cells = list(zip(column, values, strict=True))
        numbers = [(cell, value) for cell, value in cells if isinstance(value, float)]
        assert all(float(cell) == value for cell, value in numbers)
        assert len({len(cell.partition(".")[2]) for cell, _ in numbers}) <= 1  # digits are alike
        assert all(
            cell == ("" if value is None else str(value)) for cell, value in cells if (cell, value) not in numbers
        )
    directive = PAGE.partition(f"../benchmarks/serving_{part}.csv")[2].partition("```")[0]
    assert len(re.findall(r"\d+", directive.partition(":widths:")[2])) == len(heads)


def test_what_the_page_says_of_indexes() -> None:
    [exact] = rows("quality", "exact: recommend")
    [cosine] = rows("quality", "cosine: recommend")
    [flat, normalised, fifty, bitmap] = rows("quality", "IndexFlatIP")
    assert flat["recall"] > 0.999 and flat["ndcg"] == exact["ndcg"] == bitmap["ndcg"] and bitmap["recall"] > 0.999
    # "the exact answer to another question"
    for row in (normalised, *rows("quality", "hnswlib cosine"), *rows("quality", "512, normalised")):
        assert row["ndcg"] == pytest.approx(cosine["ndcg"], abs=5e-4) and row["ndcg"] < 0.8 * exact["ndcg"]
    [raw] = rows("quality", "L2 on the raw rows")
    assert raw["recall"] < 0.1 and raw["ndcg"] < 0.1 * exact["ndcg"]
    [longer] = rows("quality", "one more dimension")
    assert longer["recall"] > 0.95
    assert fifty["full"] < 0.8 and fifty["ndcg"] < exact["ndcg"]
    probes = rows("quality", "IVF60")
    assert [row["recall"] for row in probes] == sorted(row["recall"] for row in probes)
    # "loses NDCG more slowly than recall"
    assert probes[0]["ndcg"] / exact["ndcg"] > probes[0]["recall"] + 0.05


def test_what_the_page_says_of_lengths_at_scoring() -> None:
    zero, fourth, chosen = sorted({row["b"] for row in STORED["lengths"]})
    of = {b: [row for row in STORED["lengths"] if row["b"] == b] for b in (zero, fourth, chosen)}
    assert zero == "0.00" and fourth == "0.25" < chosen
    # "Validation chose 0.67 from a wider grid": by the grid that choose_exponent has by default it cannot be chosen
    assert f"a fourth, and {chosen}. Validation chose {chosen} from a wider grid" in PAGE
    [grid] = re.findall(r"validation, (\(\*EXPONENTS, .*?\))\)", (ROOT / "benchmarks/serving.py").read_text())
    assert f"`exponents={grid}`" in PAGE and max(EXPONENTS) == 1 / 2 and "`EXPONENTS`, ends at 1/2" in PAGE
    for (exact, graph, few, more), narrower in ((of[zero], None), (of[fourth], of[zero]), (of[chosen], of[fourth])):
        assert "exact" in exact["index"] and exact["recall"] == 1
        # "the graph index finds the exact lists here"
        assert "HNSW" in graph["index"] and graph["recall"] > 0.999 and graph["ndcg"] == exact["ndcg"]
        assert few["recall"] < more["recall"] < 0.95
        # "the wider lengths spread, the more an index that probes few lists misses"
        assert narrower is None or (few["recall"] < narrower[2]["recall"] and more["recall"] < narrower[3]["recall"])
    [prism] = rows("quality", "exact: recommend")
    # "with a fourth or 0.67, NDCG@20 is higher than in the table above"
    assert [each[0]["ndcg"] > prism["ndcg"] for each in of.values()] == [False, True, True]
    assert f"With a fourth or {chosen}, NDCG@20 is higher" in PAGE


def test_what_the_page_says_of_rows_of_one_length() -> None:
    both = [row for row in STORED["quality"] if row["recall_unit"] is not None]
    assert {"HNSW", "IVF60"} <= {row["index"].split()[1].strip(",") for row in both} and len(both) >= 7
    [bound] = re.findall(r"It differs from recall by less than ([\d.]+),", PAGE)
    assert 0.005 < max(abs(row["recall"] - row["recall_unit"]) for row in both) < float(bound)
    # "here lengths cost recall, of IVF the most"
    [exact, flat, *probing] = of_a_million()
    assert exact["recall_unit"] == flat["recall_unit"] == 1
    lost = {row["index"]: row["recall_unit"] - row["recall"] for row in probing}
    assert min(lost.values()) > 0.01
    assert max(lost, key=lambda index: lost[index]).startswith("faiss IVF")
    assert all(row["recall_unit"] > 0.99 for row in probing if "IVF" in row["index"])
    clusters = STORED["million_unit"][0]
    assert clusters["clusters"] == 1 and f"of {clusters['clusters_prism']:.0f} clusters on average" in PAGE


def test_the_share_that_is_fetched_is_that_of_the_catalogue() -> None:
    text = (ROOT / "benchmarks/serving.py").read_text()
    [fetched] = map(int, re.findall(r"K, DIM, FETCHED = 20, 64, (\d+)", text))
    items = CARDS["movielens1m"].items
    assert f"**{fetched} items are {fetched / items:.0%} of these {items:,}.**" in PAGE.replace(" %", "%")
    assert f"it fetches {fetched / items:.0%} of all" in PAGE.replace(" %", "%")
    assert f"20 items are fetched and no more: {20 / rows('million', 'exact')[0]['items']:.3%}" in PAGE.replace(
        " %", "%"
    )


def test_what_is_measured_at_a_million_items() -> None:
    assert {row["items"] for row in STORED["million"]} == {1_000_000}
    [exact] = rows("million", "exact: recommend")
    assert exact["recall"] == 1.0
    graph, lists = rows("million", "HNSW"), rows("million", "IVF")
    assert all(0 < row["cpu_ms"] < exact["cpu_ms"] / 3 for row in (*graph, *lists))
    # "finds more of the exact lists in less time, and takes longer to build. Neither finds all"
    for row, other in zip(graph, lists[1:], strict=True):
        assert other["recall"] < row["recall"] < 0.99 and row["cpu_ms"] < other["cpu_ms"]
        assert row["build_s"] > other["build_s"]
    # "the machine had other work while the times of a million items were measured"
    assert STORED["measured"]["single"]["clock_to_cpu"] < 1.5 < STORED["measured"]["million"]["clock_to_cpu"]


def test_what_the_page_says_of_one_user() -> None:
    small, large = STORED["single"]
    assert (small["sizes_of"], large["sizes_of"]) == ("MovieLens1M", "Gowalla")
    assert all(row["csr_ms"] < row["pairs_ms"] / 2 for row in (small, large))
    # "more than half of the time is the product"; "the product is little"
    assert large["product_ms"] > 0.5 * large["csr_ms"] and small["product_ms"] < 0.2 * small["csr_ms"]


class ExactIndex:
    """What the page uses of faiss's graph index, with an exact search, and one -1, as faiss fills short lists with."""

    def __init__(self, dim: int, links: int, metric: str) -> None:
        assert metric == "by inner product"
        self.rows = np.empty((0, dim), np.float32)
        self.hnsw = SimpleNamespace(efSearch=16)

    def add(self, rows: np.ndarray) -> None:
        self.rows = np.concatenate([self.rows, rows])

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        assert self.hnsw.efSearch >= k
        scores = queries @ self.rows.T
        best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(scores, best, 1), np.insert(best, 0, -1, axis=1)


def test_the_pages_index_finds_what_recommend_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    if not find_spec("faiss"):
        stub = SimpleNamespace(IndexHNSWFlat=ExactIndex, METRIC_INNER_PRODUCT="by inner product")
        monkeypatch.setitem(sys.modules, "faiss", stub)
    [code] = [block for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "import faiss" in block]
    split = random_split(synthetic(), seed=1)
    model = MF(split.dataset.num_users, split.dataset.num_items, 16, torch.Generator().manual_seed(1))
    prism_(model.item.weight, split.item_popularity)
    users = list(range(0, split.dataset.num_users, 7))
    pairs = list(zip(split.train.user.tolist(), split.train.item.tolist(), strict=True))
    seen = {user: {item for other, item in pairs if other == user} for user in users}
    names: dict[str, Any] = {"model": model, "users": users, "seen": seen}
    exec(code, names)
    exact = recommend(model, users, split.train, k=20).items.tolist()
    shared = [len(set(found) & set(best)) for found, best in zip(names["lists"], exact, strict=True)]
    assert sum(shared) > 0.99 * 20 * len(users)
    # the rows for lengths at scoring give the lists that recommend gives with these lengths
    [lengths] = [block for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "with_lengths" in block]
    names |= {"popularity": torch.as_tensor(split.item_popularity), "b": 0.25}
    exec(lengths, names)
    put_on = recommend((model.user.weight.detach(), torch.from_numpy(names["items"])), users, split.train, k=20)
    asked = recommend(model, users, split.train, k=20, length=popularity_power(names["popularity"], 0.25))
    assert (put_on.items == asked.items).double().mean() > 0.999 and not torch.equal(asked.items, torch.tensor(exact))
    # of a table in half precision too, and, which needs a GPU to try, of one on a GPU
    model.bfloat16()
    exec(code, names)
    exec(lengths, names)
    assert names["vectors"].dtype == names["items"].dtype == np.float32
    assert code.count(".cpu().float().numpy()") + lengths.count(".cpu().float().numpy()") == 2
    assert code.count(".numpy()") + lengths.count(".numpy()") == 2
