"""What the pages "PRISM in your own model" and "Add your own dataset" promise."""

from __future__ import annotations

import json
import re
import resource
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import jupytext
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from prismbook.claims.statements import Statement
from prismbook.pages import page as pages_page
from prismbook.pages import question
from prismbook.plan.config import RunConfig
from prismbook.runs.attempts import get_records
from prismbook.runs.splits import load_split
from prismbook.runs.sweep_commands import parser
from prismlib import datasets, prism_, prism_norm, random_split, synthetic
from prismlib.data import Dataset, dataset_from_pairs
from prismlib.datasets import load, save

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"

# PRISM in your own model

pyg = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # PyTorch Geometric uses what PyTorch deprecates


@pytest.fixture(scope="module")
def page() -> list[dict[str, Any]]:
    """The page's names after each of its code cells, as far as the graph model."""
    threads = torch.get_num_threads()
    names: dict[str, Any] = {}
    after = []
    for cell in jupytext.read(NOTEBOOKS / "use_prism.py").cells:
        if cell.cell_type == "code":
            exec(cell.source, names)
            if "parameters" in cell.metadata.get("tags", ()):
                names["epochs"] = 4  # enough for what is tested; the page itself is run whole with the notebooks
            after.append(dict(names))
            if "train_graph" in names:
                break
    torch.set_num_threads(threads)
    return after


@pyg
def test_the_plain_model_learns_and_keeps_the_norms_it_was_given(page: list[dict[str, Any]]) -> None:
    rows = next(names["rows"] for names in page if "prism_model" in names)
    for start in ("Xavier", "PRISM"):
        assert rows[start, "after"]["ndcg"] > 3 * rows[start, "before training"]["ndcg"]
    assert rows["PRISM", "before training"]["norm ~ log d"] == pytest.approx(1)
    assert rows["PRISM", "after"]["norm ~ log d"] > 0.9
    assert abs(rows["Xavier", "after"]["norm ~ log d"]) < 0.2
    # "the shift from unpopular to popular"
    with_it, without = rows["PRISM", "after"], rows["Xavier", "after"]
    assert with_it["popular"] > without["popular"] and with_it["unpopular"] < without["unpopular"]


@pyg
def test_squared_norms_grow_by_about_the_same_amount(page: list[dict[str, Any]]) -> None:
    names = page[-1]
    norm = names["prism_model"]["item"].weight.detach().norm(dim=1)
    start = prism_norm(names["item_popularity"])
    growth = norm**2 - start**2
    low, middle, high = growth.quantile(torch.tensor([0.25, 0.5, 0.75])).tolist()
    assert 0 < high - low < 0.25 * middle
    # the rule of the page foretells each trained row better than its starting norm, or that by one factor, would
    foretold = (start**2 + middle).sqrt()
    factor = (norm / start).median()
    assert (foretold / norm - 1).abs().mean() < 0.5 * (factor * start / norm - 1).abs().mean()


@pyg
def test_lightgcn_writes_popularity_by_itself_and_its_own_loss_does_not_gain_by_prism(
    page: list[dict[str, Any]],
) -> None:
    rows = next(names["rows"] for names in page if "train_graph" in names)
    for loss in ("recommendation_loss", "softmax of cosines"):
        assert rows[loss, "Xavier"]["NDCG@20"] > 0.1
        assert rows[loss, "Xavier"]["after the graph"] > 0.5
    with_it, without = (rows["recommendation_loss", start]["NDCG@20"] for start in ("PRISM", "Xavier"))
    assert with_it < without


def copied() -> Any:
    """The function that the page gives to copy."""
    first = jupytext.read(NOTEBOOKS / "use_prism.ipynb").cells[0].source
    [code] = re.findall(r"```python\n(import torch\n.*?)```", first, re.DOTALL)
    assert "six lines" in first and len([line for line in code.splitlines() if line.strip()]) == 6
    names: dict[str, Any] = {}
    exec(code, names)
    return names["prism_"]


@pytest.mark.parametrize("alpha", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_function_to_copy_is_the_library(alpha: float, dtype: torch.dtype) -> None:
    weight = torch.randn(500, 16, dtype=dtype, generator=torch.Generator().manual_seed(1))
    popularity = torch.arange(500) ** 2
    ours = torch.nn.Parameter(weight.clone())
    assert copied()(ours, popularity, alpha) is ours and ours.is_leaf  # in place, also of what is trained
    assert torch.allclose(ours, prism_(weight.clone(), popularity, alpha), rtol=1e-6, atol=0)
    assert torch.allclose(ours.norm(dim=1), prism_norm(popularity.to(dtype), alpha), rtol=1e-6)


@pyg
def test_slices_of_a_pyg_table_get_their_norms_in_place_and_are_trained() -> None:
    from torch_geometric.nn import LightGCN

    users, items = 7, 5
    model = LightGCN(users + items, embedding_dim=8, num_layers=2)
    weight = model.embedding.weight
    before = weight.detach().clone()
    counts = torch.arange(users), torch.arange(items) * 10
    prism_(weight[:users], counts[0], alpha=0.5)
    assert torch.equal(weight[users:], before[users:])  # the other half is untouched
    prism_(weight[users:], counts[1])
    assert torch.allclose(weight[:users].norm(dim=1), prism_norm(counts[0], 0.5))
    assert torch.allclose(weight[users:].norm(dim=1), prism_norm(counts[1]))
    assert torch.allclose(torch.nn.functional.cosine_similarity(weight, before), torch.ones(users + items))
    assert model.embedding.weight is weight and weight.is_leaf and weight.grad_fn is None
    node = torch.tensor([[0, users], [users, 0]])
    model(node, torch.tensor([[0], [users]])).sum().backward()
    assert weight.grad.shape == weight.shape and weight.grad.abs().sum() > 0


def test_a_selection_of_rows_by_ids_is_refused_as_the_page_says() -> None:
    table = torch.nn.Embedding(4, 8)
    before = table.weight.detach().clone()
    with pytest.raises(ValueError, match="rows picked by ids are a copy"):
        prism_(table.weight[torch.tensor([0, 2])], torch.tensor([5, 6]))
    assert torch.equal(table.weight, before)


# A dataset from pairs

WHO = st.one_of(st.integers(-(2**70), 2**70), st.integers(0, 9))
PAIRS = st.lists(st.tuples(WHO, st.text(max_size=3)), min_size=1, max_size=40)


@given(PAIRS, st.randoms(use_true_random=False))
def test_pairs_come_back_whatever_their_ids_and_order(pairs: list[tuple[int, str]], random: Any) -> None:
    data, user_ids, item_ids = dataset_from_pairs("toy", *zip(*pairs, strict=True))
    back = list(zip(user_ids[data.user], item_ids[data.item], strict=True))
    assert set(back) == set(pairs) and len(back) == len(set(pairs))
    assert list(user_ids) == sorted({user for user, _ in pairs})  # each id is used, and once
    assert list(item_ids) == sorted({item for _, item in pairs})
    shuffled = pairs + pairs[:3]
    random.shuffle(shuffled)
    again, *_ = dataset_from_pairs("toy", *zip(*shuffled, strict=True))
    assert again.content_hash == data.content_hash


@pytest.mark.parametrize(
    "column",
    [
        lambda ids: np.array(ids, np.uint64),
        lambda ids: np.array([f"{n}" for n in ids]),
        lambda ids: [f"{n}" for n in ids],
        lambda ids: torch.tensor(ids),
        lambda ids: pd.Series(ids),
        lambda ids: pd.Series(ids, dtype="Int64"),
        lambda ids: pd.Series([f"{n}" for n in ids]),
        lambda ids: pd.Series([f"{n}" for n in ids], dtype="category"),
        lambda ids: pd.Series([f"{n}" for n in ids], index=range(7, 7 + len(ids))),
    ],
)
def test_columns_of_every_make_give_the_same_dataset(column: Any) -> None:
    users, items = [5, 3, 5, 3], [8, 8, 9, 8]
    data, user_ids, item_ids = dataset_from_pairs("toy", column(users), column(items))
    assert (data.user.tolist(), data.item.tolist()) == ([0, 1, 1], [0, 0, 1])
    assert [int(x) for x in user_ids] == [3, 5] and [int(x) for x in item_ids] == [8, 9]
    assert np.searchsorted(user_ids, user_ids[[1, 0]]).tolist() == [1, 0]


def test_ids_that_run_from_0_without_gaps_are_kept() -> None:
    pairs = synthetic(600, 500, 20_000)
    data, user_ids, item_ids = dataset_from_pairs("again", pairs.user, pairs.item, synthetic=True)
    assert data.content_hash == pairs.content_hash and data.synthetic
    assert np.array_equal(user_ids, np.arange(600)) and np.array_equal(item_ids, np.arange(500))
    assert not dataset_from_pairs("real", pairs.user, pairs.item)[0].synthetic


NAN = float("nan")


@pytest.mark.parametrize(
    ("user", "item", "message"),
    [
        ([], [], "shop: user and item must be non-empty and of one length, got 0 and 0"),
        (pd.Series([], dtype=object), pd.Series([], dtype=object), "non-empty"),
        (pd.Series([], dtype=float), pd.Series([], dtype=float), "non-empty"),
        ([1, 2], [1], "of one length, got 2 and 1"),
        ([1, None], [1, 1], "shop: user 1 is None, but ids must be all whole numbers or all text, none missing"),
        (["a", NAN], [1, 1], "user 1 is nan, but ids"),
        ([NAN, "a"], [1, 1], "user 0 is nan, but ids"),
        ([1, 1], pd.Series([1, None]), "shop: item is float64, but ids .*where an id is missing, pandas makes"),
        ([1, 1], pd.Series([1, None], dtype="Int64"), "item is float64, but ids"),
        ([1, 1], pd.Series(["a", None]), "item 1 is nan, but ids"),
        ([1, 1], pd.Series(["a", None], dtype="category"), "item 1 is nan, but ids"),
        ([1, "1"], [1, 1], "user 1 is '1', but ids"),
        (["1", 1], [1, 1], "user 1 is 1, but ids"),
        ([1, True], [1, 1], "user 1 is True, but ids"),
        ([1.0, 2.0], [1, 1], "user 0 is 1.0, but ids"),
        (np.array([True, False]), [1, 1], "user is bool, but ids"),
        (np.array(["2020-01-01"], "M8[D]"), [1], r"user is datetime64\[D\], but ids"),
        (np.zeros((2, 2), int), [1, 1], r"user must be 1-D, got shape \(2, 2\)"),
        ("ab", [1, 1], r"user must be 1-D"),
    ],
)
def test_ids_of_no_clear_meaning_are_refused(user: Any, item: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataset_from_pairs("shop", user, item)


# A dataset of one's own by its name


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PRISM_DATA", str(tmp_path))
    return tmp_path


def toy(name: str, last: int = 5) -> Dataset:
    """Twelve pairs; the last items have none of them."""
    user, item = np.divmod(np.arange(12, dtype=np.int32), 3)
    item[-1] = last
    return Dataset(name, user, item, 4, 9, synthetic=True)


def test_what_is_saved_is_loaded(folder: Path) -> None:
    data = toy("own-loaded")
    card = save(data, "a test", citation="nobody")
    back = load("own-loaded")
    assert (back.name, back.num_users, back.num_items, back.synthetic) == ("own-loaded", 4, 9, True)
    assert back.content_hash == data.content_hash == card.content_hash == datasets.content_hash("own-loaded")
    assert datasets.identity_card("own-loaded") == card
    assert card.split_hash == random_split(data, 123).split_hash
    assert (card.source, card.terms, card.citation) == ("a test", "Private.", "nobody")
    assert datasets.known() == [*datasets.CARDS, "own-loaded"]
    assert save(data, "a better word for it").source == load_card(folder, "own-loaded")["source"]


def load_card(folder: Path, name: str) -> dict[str, Any]:
    return json.loads((folder / f"{name}.card.json").read_text())


def test_runs_and_sweeps_take_the_name(folder: Path) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["status", "rq1", "--dataset", "own-trained"])
    pairs = synthetic(200, 150, 3000)
    data, *_ = dataset_from_pairs("own-trained", pairs.user, pairs.item)
    save(data, "a test")
    assert parser().parse_args(["status", "rq1", "--dataset", "own-trained"]).dataset == "own-trained"
    config = RunConfig("own-trained", "bpr", dim=4, max_epochs=1, device="cpu")
    [record] = get_records([config], folder / "results", progress=False)
    assert record is not None and record["data"]["content_hash"] == data.content_hash
    assert get_records([config], folder / "results", train=False) == [record]


@pytest.mark.parametrize("generated", [True, False])
def test_pages_ask_the_card_whether_data_are_generated(folder: Path, generated: bool) -> None:
    save(replace(toy("own-shown"), synthetic=generated), "a test")
    text = question.judged(["C2"], {"own-shown": {"C2": [Statement("a", True)]}})
    assert "C2 on own-shown: on this page's runs alone, no verdict" in text and "ledger" not in text
    line = pages_page.about("own-shown")
    if generated:
        assert "synthetic data" in line and "real" not in line
    else:
        assert "real interactions" in line and "synthetic" not in line


def test_a_name_given_anew_in_one_process(folder: Path) -> None:
    save(toy("own-anew"), "a test")
    first = load_split("own-anew", 123)
    assert load_split("own-anew", 123) is first
    for path in folder.iterdir():
        path.unlink()
    save(toy("own-anew", last=6), "a test")
    assert load_split("own-anew", 123).dataset.content_hash == toy("own-anew", last=6).content_hash


def test_a_full_disk_leaves_what_was_kept(folder: Path) -> None:
    save(toy("own-full"), "a test")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limit[1]))  # a write past 100 bytes fails, as on a full disk
    try:
        for name in ("own-full", "own-new"):
            with pytest.raises(OSError, match="File too large"):
                save(toy(name), "a test")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, old)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert load("own-full").content_hash == toy("own-full").content_hash


@pytest.mark.parametrize("length", [1, 100])
def test_a_name_may_have_a_hundred_characters(folder: Path, length: int) -> None:
    save(toy(length * "n"), "a test")
    assert len(load(length * "n")) == 12


@pytest.mark.parametrize("name", [101 * "n", 250 * "n", 5000 * "n"])
def test_a_name_that_is_too_long_for_a_file(folder: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"cannot name a dataset of your own: .*, at most 100 of them"):
        save(toy(name), "a test")
    with pytest.raises(ValueError, match="unknown dataset"):
        load(name)
    assert not list(folder.iterdir())


@pytest.mark.parametrize("name", ["gowalla", "synthetic", "Shop", "my shop", "../shop", "", "shop.v2", "-shop"])
def test_names_that_are_taken_or_unsafe(folder: Path, name: str) -> None:
    with pytest.raises(ValueError, match="cannot name a dataset of your own"):
        save(toy(name), "a test")
    assert not list(folder.iterdir())


def test_a_name_stands_for_one_set_of_interactions(folder: Path) -> None:
    save(toy("own-kept"), "a test")
    with pytest.raises(ValueError, match="keeps own-kept with other interactions: choose another name"):
        save(toy("own-kept", last=6), "a test")
    assert load("own-kept").content_hash == toy("own-kept").content_hash


def test_no_folder_to_keep_it_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for value in ("", str(tmp_path / "missing")):
        monkeypatch.setenv("PRISM_DATA", value)
        with pytest.raises(ValueError, match="set the environment variable PRISM_DATA"):
            save(toy("own-lost"), "a test")
        with pytest.raises(ValueError, match=r"unknown dataset 'own-lost'; known: synthetic, .*; `save` keeps"):
            load("own-lost")


def test_a_name_cannot_lead_out_of_the_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(toy("own-inside"), "a test")
    (folder / "sub").mkdir()
    monkeypatch.setenv("PRISM_DATA", str(folder / "sub"))
    with pytest.raises(ValueError, match="unknown dataset"):
        load("../own-inside")


@pytest.mark.parametrize("card", ["", "[]", "{}", '{"name": "own-damaged"}', "\x00"])
def test_damaged_card(folder: Path, card: str) -> None:
    save(toy("own-damaged"), "a test")
    (folder / "own-damaged.card.json").write_text(card)
    with pytest.raises(ValueError, match=r"own-damaged.card.json: not a dataset's card .*save the dataset again"):
        load("own-damaged")


def test_card_of_another_dataset(folder: Path) -> None:
    save(toy("own-one"), "a test")
    (folder / "own-one.card.json").rename(folder / "own-two.card.json")
    with pytest.raises(ValueError, match="not the card of own-two"):
        load("own-two")


def test_pairs_that_are_not_those_of_the_card(folder: Path) -> None:
    save(toy("own-changed"), "a test")
    path = folder / "own-changed.npz"
    other = toy("own-changed", last=6)
    np.savez(path, user=other.user, item=other.item)
    with pytest.raises(ValueError, match=r"own-changed.npz: not its card's interactions: expected hash \w+; got"):
        load("own-changed")
    path.write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"not an \.npz, or truncated"):
        load("own-changed")
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"own-changed\.npz is gone, though its card is there"):
        load("own-changed")


def test_too_few_interactions_to_ever_be_split_are_not_kept(folder: Path) -> None:
    data, *_ = dataset_from_pairs("own-small", [1, 2], [1, 2])
    with pytest.raises(ValueError, match="too few"):
        save(data, "a test")
    assert not list(folder.iterdir())
