"""A saved model comes back whole, and into no other model, graph, split or loss."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from prismlib import BPR, MF, LightGCN, NonLinearMF, RankingLoss, Split, random_split, synthetic
from prismlib.baselines import MACR
from prismlib.checkpoint import load, save

USERS, ITEMS = 200, 150


@pytest.fixture(scope="module")
def split() -> Split:
    return random_split(synthetic(USERS, ITEMS, 3000), 1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.pt"


def backbones(split: Split) -> dict[str, Any]:
    return {
        "MF": lambda: MF(USERS, ITEMS, 8),
        "NonLinearMF": lambda: NonLinearMF(USERS, ITEMS, 8),
        "LightGCN": lambda: LightGCN(USERS, ITEMS, split.train, 8),
    }


@pytest.mark.parametrize("name", ["MF", "NonLinearMF", "LightGCN"])
def test_a_model_comes_back_bit_for_bit(name: str, split: Split, path: Path) -> None:
    model, again = (backbones(split)[name]() for _ in range(2))
    save(path, model, split)
    load(path, again, split)
    assert all(torch.equal(one, other) for one, other in zip(model.embeddings(), again.embeddings(), strict=True))
    assert [file.name for file in path.parent.iterdir()] == ["model.pt"]


def test_a_criterion_with_parameters_comes_back_too(split: Split, path: Path) -> None:
    save(path, MF(USERS, ITEMS, 8), split, criterion := MACR(8))
    load(path, MF(USERS, ITEMS, 8), split, again := MACR(8))
    assert torch.equal(criterion.item_branch, again.item_branch)


DIFFERENT: list[tuple[str, Any, str]] = [
    ("class", lambda s: MF(USERS, ITEMS, 8), "class is LightGCN there, and MF here"),
    ("users", lambda s: LightGCN(USERS + 1, ITEMS, s.train, 8), "num_users is 200 there, and 201 here"),
    ("items", lambda s: LightGCN(USERS, ITEMS + 1, s.train, 8), "num_items is 150 there, and 151 here"),
    ("dim", lambda s: LightGCN(USERS, ITEMS, s.train, 9), "dim is 8 there, and 9 here"),
    ("depth", lambda s: LightGCN(USERS, ITEMS, s.train, 8, depth=2), "depth is 3 there, and 2 here"),
    ("graph", lambda s: LightGCN(USERS, ITEMS, s.validation, 8), "graph is [0-9a-f]{64} there, and [0-9a-f]{64} here"),
]


@pytest.mark.parametrize(("what", "make", "message"), DIFFERENT, ids=[case[0] for case in DIFFERENT])
def test_another_model_is_refused_and_left_as_it_is(
    what: str, make: Any, message: str, split: Split, path: Path
) -> None:
    save(path, LightGCN(USERS, ITEMS, split.train, 8), split)
    other = make(split)
    before = other.item.weight.detach().clone()
    with pytest.raises(ValueError, match=f"model.pt is of another model: {message}") as caught:
        load(path, other, split)
    assert "\n" not in str(caught.value)
    assert torch.equal(other.item.weight, before)


def test_pytorch_alone_would_read_it_into_another_model(split: Split) -> None:
    """Why the identity is stored."""
    state = LightGCN(USERS, ITEMS, split.train, 8).state_dict()
    MF(USERS, ITEMS, 8).load_state_dict(state)
    LightGCN(USERS, ITEMS, split.validation, 8).load_state_dict(state)


def test_another_split_is_refused(split: Split, path: Path) -> None:
    other = random_split(split.dataset, 2)
    save(path, MF(USERS, ITEMS, 8), split)
    for given, shown in ((other, other.split_hash), (None, "None")):
        with pytest.raises(ValueError, match=f"split is {split.split_hash} there, and {shown} here"):
            load(path, MF(USERS, ITEMS, 8), given)


@pytest.mark.parametrize(
    ("saved", "given", "message"),
    [
        (MACR(8, c=40.0), MACR(8, c=1.0), r"criterion is MACR\(.*c=40.0.*\) there, and MACR\(.*c=1.0"),
        (MACR(8), BPR(), r"criterion is MACR\(.*\) there, and BPR\(\) here"),
        (MACR(8), None, r"criterion is MACR\(.*\) there, and None here"),
        (None, MACR(8), r"criterion is None there, and MACR"),
    ],
)
def test_another_criterion_is_refused(
    saved: RankingLoss | None, given: RankingLoss | None, message: str, split: Split, path: Path
) -> None:
    save(path, MF(USERS, ITEMS, 8), split, saved)
    with pytest.raises(ValueError, match=message):
        load(path, MF(USERS, ITEMS, 8), split, given)


def test_another_shape_of_layers_is_refused(split: Split, path: Path) -> None:
    save(path, NonLinearMF(USERS, ITEMS, 8, relu=False), split)
    with pytest.raises(ValueError, match=r"parameters is .*user_mlp.1.weight 8 x 8.* there, and"):
        load(path, NonLinearMF(USERS, ITEMS, 8), split)


def test_files_that_are_none_of_ours(split: Split, path: Path) -> None:
    model = MF(USERS, ITEMS, 8)
    with pytest.raises(FileNotFoundError):
        load(path, model, split)
    save(path, model, split)
    whole = path.read_bytes()
    contents = [b"", b"text", whole[:-100], whole[: len(whole) // 2]]
    torch.save(model.state_dict(), path)
    contents.append(path.read_bytes())
    torch.save({"form": Path}, path)  # a class, which weights_only refuses to make
    contents.append(path.read_bytes())
    for content in contents:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"model.pt is not a whole file of prismlib.checkpoint.save"):
            load(path, model, split)


def test_a_model_without_the_tables_is_refused(path: Path) -> None:
    with pytest.raises(ValueError, match=r"model has no table 'user', an nn.Embedding, got Linear"):
        save(path, torch.nn.Linear(2, 2), None)  # type: ignore[arg-type]


def test_what_is_no_split_is_refused(split: Split, path: Path) -> None:
    with pytest.raises(ValueError, match="split must be a Split or None, got Interactions"):
        save(path, MF(USERS, ITEMS, 8), split.train)  # type: ignore[arg-type]


def test_a_write_that_fails_leaves_the_old_file(split: Split, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(path, MF(USERS, ITEMS, 8), split)
    before = path.read_bytes()

    def fail(content: object, file: Any) -> None:
        file.write(b"half")
        raise OSError("no space")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match="no space"):
        save(path, MF(USERS, ITEMS, 8), split)
    assert path.read_bytes() == before and len(list(path.parent.iterdir())) == 1
