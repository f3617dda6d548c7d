"""What an index does to a PRISM model's lists: recall against exact top-20, and NDCG@20 on MovieLens1M's test part.

    make bench-serving      # with PRISM_DATA set where MovieLens1M is not at hand

It runs in an environment of its own, .recipes/serving, and writes benchmarks/serving.json, and for
the book benchmarks/serving_*.csv. The model is MF with DirectAU and PRISM, 15 epochs, seed 1; for lengths at scoring
it is the same without PRISM. The other parts measure time: of a million generated items, and of `recommend` for one
user at the sizes of two datasets. What an index misses is told beside what it misses, with the same settings, of the
same directions with one length. Times are CPU time of the process, which other work on the machine inflates less than
the time of a clock; how many times as long the clock says that all of it took is stored beside them.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import faiss
import hnswlib
import numpy as np
import torch

from prismbook.runs.machine import environment
from prismlib import (
    MF,
    DirectAU,
    FullRanking,
    Interactions,
    fit,
    popularity_groups,
    prism_,
    prism_norm,
    random_split,
    recommend,
)
from prismlib.data import Split
from prismlib.datasets import CARDS, load
from prismlib.lengths import EXPONENTS, choose_exponent, popularity_power, with_lengths

K, DIM, FETCHED = 20, 64, 500
Array = np.ndarray
#: The parts that measure time; the others may be run while the machine has other work.
TIMED = ("single", "million")
#: Decimals that the book shows of a column; what is a word or a whole number has none.
DECIMALS = {"recall": 4, "recall_unit": 4, "ndcg": 4, "full": 3, "build_s": 1, "cpu_ms": 3} | dict.fromkeys(
    ("csr_ms", "pairs_ms", "product_ms"), 2
)
#: What the book calls the columns.
HEADS = {
    "b": "b of d^b",
    "index": "index",
    "recall": "recall@20",
    "recall_unit": "recall@20, one length",
    "ndcg": "NDCG@20",
    "full": "full lists",
    "items": "items",
    "build_s": "built in CPU s",
    "cpu_ms": "CPU ms a user",
    "sizes_of": "sizes of",
    "csr_ms": "seen as CSR: CPU ms",
    "pairs_ms": "seen as interactions: CPU ms",
    "product_ms": "the product alone: CPU ms",
}


def unit(rows: Array) -> Array:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def hnsw(items: Array, metric: int, ef: int, links: int = 32, build: int = 200) -> Any:
    index = faiss.IndexHNSWFlat(items.shape[1], links, metric)
    index.hnsw.efConstruction = build
    index.add(items)
    index.hnsw.efSearch = ef
    return index


def ivf(items: Array, lists: int, probes: int) -> Any:
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(items.shape[1]), items.shape[1], lists, faiss.METRIC_INNER_PRODUCT)
    index.train(items)
    index.add(items)
    index.nprobe = probes
    return index


def flat(items: Array, kind: Any = faiss.IndexFlatIP) -> Any:
    index = kind(items.shape[1])
    index.add(items)
    return index


def of_hnswlib(items: Array, space: str, users: Array) -> Array:
    index = hnswlib.Index(space, items.shape[1])
    index.init_index(len(items), ef_construction=200, M=32, random_seed=1)
    index.add_items(items, num_threads=1)
    index.set_ef(FETCHED)
    return index.knn_query(users, FETCHED, num_threads=1)[0].astype(np.int64)


def without_seen(found: Array, seen: Array) -> Array:
    """The first K of each fetched list that its user has not seen; -1 where the list runs out."""
    keep = (found >= 0) & ~seen[np.arange(len(found))[:, None], found.clip(0)]
    place = np.where(keep, keep.cumsum(1) - 1, K)
    lists = np.full((len(found), K + 1), -1, np.int64)
    row, column = np.nonzero(place < K)
    lists[row, place[row, column]] = found[row, column]
    return lists[:, :K]


def of_bitmaps(items: Array, users: Array, seen: Array) -> Array:
    """faiss's own selection of each user's unseen items, one search a user."""
    index = flat(items)
    lists = np.full((len(users), K), -1, np.int64)
    for row, user in enumerate(users):
        chosen = faiss.IDSelectorBitmap(np.packbits(~seen[row], bitorder="little"))
        lists[row] = index.search(user[None], K, params=faiss.SearchParameters(sel=chosen))[1][0]
    return lists


def training(prism: bool) -> tuple[MF, Split, FullRanking, FullRanking]:
    """A model of a few epochs on MovieLens1M with its split, and the rankings of its validation and its test part."""
    data = load("movielens1m")
    split = random_split(data, 123)
    groups = popularity_groups(split.item_popularity)
    model = MF(data.num_users, data.num_items, DIM, torch.Generator().manual_seed(1))
    if prism:
        prism_(model.user.weight, split.user_popularity)
        prism_(model.item.weight, split.item_popularity)
    validation = FullRanking(split.validation, split.train, groups, data.num_users)
    fit(model, DirectAU(gamma=1.0), split.train, validation, lr=1e-2, max_epochs=15, seed=1)
    return model, split, validation, FullRanking(split.test, [split.train, split.validation], groups, data.num_users)


def seen_by(test: FullRanking, split: Split) -> Array:
    """Whether each user of the test has seen each item."""
    seen = np.zeros((split.dataset.num_users, split.dataset.num_items), bool)
    for part in (split.train, split.validation):
        seen[part.user, part.item] = True
    return seen[test.users.numpy()]


def share_found(lists: Array, exact: Array) -> float:
    """The share of the exact lists that is in these lists, over all users."""
    common = [len(np.intersect1d(ours[ours >= 0], best)) for ours, best in zip(lists, exact, strict=True)]
    return round(float(np.mean(common)) / K, 4)


def scored(ways: dict[str, Callable[[], Array]], exact: Array, test: FullRanking) -> list[dict[str, Any]]:
    """Each way of serving, with its recall of the exact lists and its NDCG."""
    rows = []
    for name, way in ways.items():
        lists = way()
        score = float(test.ndcg_by_group(torch.from_numpy(lists)).sum(1).mean())
        full = float((lists >= 0).all(1).mean())
        rows.append(
            {"index": name, "recall": share_found(lists, exact), "ndcg": round(score, 4), "full": round(full, 3)}
        )
        print(rows[-1], flush=True)
    return rows


def quality() -> list[dict[str, Any]]:
    """Each way of serving a PRISM model, with its recall of the exact lists and its NDCG."""
    model, split, _, test = training(prism=True)
    parts = [split.train, split.validation]
    every, items = (table.detach().numpy() for table in model.embeddings())
    users = every[test.users.numpy()]
    seen = seen_by(test, split)
    exact = recommend(model, test.users, parts).items.numpy()
    radius = np.linalg.norm(items, axis=1).max()
    longer = np.c_[items, np.sqrt(np.maximum(radius**2 - (items**2).sum(1), 0))].astype("f4")
    zero = np.zeros((len(users), 1), "f4")

    def fetched(index: Any, number: int = FETCHED, by: Array = users) -> Callable[[], Array]:
        return lambda: without_seen(index.search(by, number)[1], seen)

    def by_length(rows: Array) -> dict[str, Callable[[], Array]]:
        """The indexes that may miss items of these rows for their lengths."""
        inner = faiss.METRIC_INNER_PRODUCT
        return {
            "faiss IndexFlatIP": fetched(flat(rows)),
            **{f"faiss HNSW, inner product, ef {n}": fetched(hnsw(rows, inner, n)) for n in (64, 512)},
            **{f"faiss IVF60, inner product, nprobe {n}": fetched(ivf(rows, 60, n)) for n in (4, 16, 60)},
            "hnswlib ip, ef 500": lambda: without_seen(of_hnswlib(rows, "ip", users), seen),
        }

    own = by_length(items)
    ways: dict[str, Callable[[], Array]] = {
        "exact: recommend": lambda: exact,
        "exact by cosine: recommend(cosine=True)": lambda: recommend(
            model, test.users, parts, cosine=True
        ).items.numpy(),
        "faiss IndexFlatIP": own["faiss IndexFlatIP"],
        "faiss IndexFlatIP, normalised items": fetched(flat(unit(items))),
        "faiss IndexFlatL2 on the raw rows": fetched(flat(items, faiss.IndexFlatL2)),
        **{name: way for name, way in own.items() if "HNSW" in name},
        "faiss HNSW, inner product, ef 512, normalised items": fetched(
            hnsw(unit(items), faiss.METRIC_INNER_PRODUCT, 512)
        ),
        "faiss HNSW, L2 with one more dimension, ef 512": fetched(
            hnsw(longer, faiss.METRIC_L2, 512), by=np.c_[users, zero]
        ),
        **{name: way for name, way in own.items() if "IVF" in name},
        "hnswlib ip, ef 500": own["hnswlib ip, ef 500"],
        "hnswlib cosine, ef 500": lambda: without_seen(of_hnswlib(items, "cosine", users), seen),
        "faiss IndexFlatIP, only 50 fetched": fetched(flat(items), 50),
        "faiss IndexFlatIP, a bitmap of each user's unseen items": lambda: of_bitmaps(items, users, seen),
    }
    by_cosine = recommend(model, test.users, parts, cosine=True).items.numpy()
    at_one_length = {"exact: recommend": lambda: by_cosine} | by_length(unit(items))
    of_unit = {name: share_found(way(), by_cosine) for name, way in at_one_length.items()}
    rows = scored(ways, exact, test)
    return [
        {"index": row["index"], "recall": row["recall"], "recall_unit": of_unit.get(row["index"])} | row for row in rows
    ]


def at_scoring() -> list[dict[str, Any]]:
    """Indexes of rows with lengths d ** b in place of PRISM's: b 0, a fourth, and as validation chooses it."""
    model, split, validation, test = training(prism=False)
    parts = [split.train, split.validation]
    user, item = (table.detach() for table in model.embeddings())
    chosen = choose_exponent(user, item, split.item_popularity, validation, (*EXPONENTS, 7 / 12, 2 / 3, 5 / 6, 1.0))
    users, seen = user.numpy()[test.users.numpy()], seen_by(test, split)
    rows = []
    for b in dict.fromkeys((0.0, 0.25, chosen)):
        length = popularity_power(split.item_popularity, b)
        items = with_lengths(item, length).numpy()
        exact = recommend((user, item), test.users, parts, length=length).items.numpy()
        indexes = {
            "HNSW, inner product, ef 512": hnsw(items, faiss.METRIC_INNER_PRODUCT, 512),
            **{f"IVF60, inner product, nprobe {n}": ivf(items, 60, n) for n in (4, 16)},
        }
        ways: dict[str, Callable[[], Array]] = {"exact: recommend(length=...)": lambda lists=exact: lists}
        for name, index in indexes.items():
            ways[f"faiss {name}"] = lambda made=index: without_seen(made.search(users, FETCHED)[1], seen)
        rows += [{"b": f"{b:.2f}"} | row for row in scored(ways, exact, test)]
    return rows


def generated(items_number: int, users_number: int) -> tuple[Array, Array, Array, Array]:
    """Users and items in clusters on the sphere, the lengths that PRISM starts these items with, and their clusters."""
    draw = np.random.default_rng(1)
    centres = draw.standard_normal((2000, DIM), dtype=np.float32)
    clusters = draw.integers(2000, size=items_number)
    items = centres[clusters]
    items += 0.7 * draw.standard_normal(items.shape, dtype=np.float32)
    popularity = torch.from_numpy(1e6 / np.arange(10, items_number + 10))
    items = unit(items)
    users = unit(
        centres[draw.integers(2000, size=users_number)] + 0.7 * draw.standard_normal((users_number, DIM))
    ).astype("f4")
    return users, items, prism_norm(popularity).float().numpy(), clusters


def by_probing(items: Array) -> Iterator[tuple[str, Any, float]]:
    """Indexes of many items that look at a part of them: name, index, and the CPU seconds that building it took."""
    for name, make, knobs in (
        ("IVF1024", lambda: ivf(items, 1024, 1), (4, 16, 64)),
        ("HNSW", lambda: hnsw(items, faiss.METRIC_INNER_PRODUCT, 64, links=16, build=40), (64, 256)),
    ):
        start = time.process_time()
        index = make()
        built = time.process_time() - start
        for knob in knobs:
            if name == "HNSW":
                index.hnsw.efSearch = knob
            else:
                index.nprobe = knob
            yield f"faiss {name}, inner product, {'ef' if name == 'HNSW' else 'nprobe'} {knob}", index, built


def of_one_length(items_number: int, users_number: int = 200) -> list[dict[str, Any]]:
    """Recall of the same indexes at many generated items where all rows have one length; no time is measured.

    The first row has the number of clusters that an exact list is of, on average over users, with PRISM's lengths too.
    """
    users, items, lengths, clusters = generated(items_number, users_number)

    def exact_lists(rows: Array) -> Array:
        return recommend((torch.from_numpy(users), torch.from_numpy(rows)), range(users_number)).items.numpy()

    def clusters_in(lists: Array) -> float:
        return round(float(np.mean([len(np.unique(row)) for row in clusters[lists]])), 1)

    exact = exact_lists(items)
    row: dict[str, Any] = {"index": "exact: recommend", "items": items_number, "recall": share_found(exact, exact)}
    rows = [
        row | {"clusters": clusters_in(exact), "clusters_prism": clusters_in(exact_lists(items * lengths[:, None]))}
    ]
    for name, index, _ in (("faiss IndexFlatIP", flat(items), 0.0), *by_probing(items)):
        rows.append({"index": name, "items": items_number, "recall": share_found(index.search(users, K)[1], exact)})
        print(rows[-1], flush=True)
    return rows


def million(items_number: int, users_number: int = 200) -> list[dict[str, Any]]:
    """Time and recall at many generated items, with lengths as PRISM starts them."""
    users, items, lengths, _ = generated(items_number, users_number)
    items = items * lengths[:, None]
    tables = torch.from_numpy(users), torch.from_numpy(items)
    exact = recommend(tables, range(users_number)).items.numpy()
    rows = []

    def add(name: str, search: Callable[[], Array], built: float = 0.0) -> None:
        search()
        cpu = time.process_time()  # which other work on the machine inflates less than the time of a clock
        lists = search()
        cpu = time.process_time() - cpu
        recall = share_found(lists, exact)
        row = {"index": name, "items": items_number, "recall": recall, "build_s": round(built, 1)}
        rows.append(row | {"cpu_ms": round(cpu / users_number * 1e3, 3)})
        print(rows[-1], flush=True)

    add("exact: recommend", lambda: recommend(tables, range(users_number)).items.numpy())
    index = flat(items)
    add("faiss IndexFlatIP", lambda: index.search(users, K)[1])
    for name, index, built in by_probing(items):
        add(name, lambda made=index: made.search(users, K)[1], built)
    return rows


def single(repeats: int = 40) -> list[dict[str, Any]]:
    """CPU time of `recommend` for one user at a dataset's sizes, and of the product of eight users with all items.

    Each is the least of so many, which other work on the machine inflates least.
    Fewer than eight rows are multiplied by other code, with other last bits, so a list needs that product.
    """
    rows = []
    for name, shown in (("movielens1m", "MovieLens1M"), ("gowalla", "Gowalla")):
        card, draw = CARDS[name], torch.Generator().manual_seed(1)
        tables = tuple(torch.randn(size, DIM, generator=draw) for size in (card.users, card.items))
        user, item = (torch.randint(size, (card.interactions,), generator=draw) for size in (card.users, card.items))
        pairs = Interactions(user, item)
        counts = user.bincount(minlength=card.users)
        pointers = torch.cat([torch.zeros(1, dtype=torch.int64), counts.cumsum(0)])
        ones = torch.ones(len(item), dtype=torch.bool)
        columns = item[user.argsort(stable=True)]
        matrix = torch.sparse_csr_tensor(
            pointers, columns, ones, (card.users, card.items), check_invariants=False
        )  # a pair that was drawn twice would be refused
        eight, product = tables[0][:8], torch.empty(8, card.items)
        ways: dict[str, Callable[[int], Any]] = {
            "csr_ms": lambda user, t=tables, seen=matrix: recommend(t, [user], seen),
            "pairs_ms": lambda user, t=tables, seen=pairs: recommend(t, [user], seen),
            "product_ms": lambda _, t=tables, e=eight, out=product: torch.mm(e, t[1].T, out=out),
        }
        row: dict[str, Any] = {"sizes_of": shown, "items": card.items}
        for what, way in ways.items():
            times = []
            for user in range(repeats):
                start = time.process_time()
                way(user)
                times.append(time.process_time() - start)
            row[what] = round(1e3 * min(times), 2)
        rows.append(row)
        print(row, flush=True)
    return rows


def shown(name: str, value: Any) -> str:
    """A value as the book shows it: a column's numbers have the same decimals; None is an empty cell."""
    return "" if value is None else f"{value:.{DECIMALS[name]}f}" if name in DECIMALS else str(value)


def as_csv(rows: list[dict[str, Any]]) -> str:
    """The rows as the book shows them."""
    lines = [",".join(f'"{HEADS[name]}"' for name in rows[0])]
    lines += [",".join(f'"{shown(name, value)}"' for name, value in row.items()) for row in rows]
    return "\n".join(lines) + "\n"


def with_one_length(stored: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of a million items, each with the recall of its index where all rows have one length."""
    of_unit = {row["index"]: row["recall"] for row in stored.get("million_unit", ())}
    heads = ("index", "items", "recall")
    return [
        {name: row[name] for name in heads} | {"recall_unit": of_unit.get(row["index"])} | row
        for row in stored["million"]
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument(
        "--part",
        choices=["quality", "lengths", "single", "million", "million_unit"],
        help="measure one part, and keep the others",
    )
    parser.add_argument("--items", type=int, default=1_000_000, help="number of generated items")
    options = parser.parse_args()
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    stored = json.loads(options.output.read_text()) if options.output.exists() else {}
    stored["versions"] = {name: version(name) for name in ("faiss-cpu", "hnswlib", "torch", "numpy")}
    for name, measure in (
        ("quality", quality),
        ("lengths", at_scoring),
        ("single", single),
        ("million", lambda: million(options.items)),
        ("million_unit", lambda: of_one_length(options.items)),
    ):
        if options.part in (None, name):
            clock, cpu = time.perf_counter(), time.process_time()
            stored[name] = measure()
            ratio = (time.perf_counter() - clock) / (time.process_time() - cpu)
            machine: dict[str, Any] = {
                "date": date.today().isoformat(),
                "environment": environment(torch.device("cpu")),
            }
            if name in TIMED:
                machine["clock_to_cpu"] = round(ratio, 1)
            stored.setdefault("measured", {})[name] = machine
            options.output.write_text(json.dumps(stored, indent=1) + "\n")
    for name in ("quality", "lengths", "single", "million"):
        if name in stored:
            rows = with_one_length(stored) if name == "million" else stored[name]
            options.output.with_name(f"serving_{name}.csv").write_text(as_csv(rows))


if __name__ == "__main__":
    main()
