"""Datasets in memory: validation, the split, the synthetic data and their hashes."""

import copy
import errno
import math
import os
import pickle
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prismlib import Dataset, Interactions, Split, random_split, synthetic
from prismlib.files import open_atomically, write_atomically


def dataset(user: list[int], item: list[int], users: int = 3, items: int = 3) -> Dataset:
    return Dataset("toy", np.array(user, np.int32), np.array(item, np.int32), users, items)


@pytest.mark.parametrize(
    ("user", "item", "message"),
    [
        ([], [], "non-empty"),
        ([0, 1], [0], "one length"),
        ([0, 3], [0, 0], r"user ids must lie in \[0, 3\)"),
        ([0, 1], [-1, 0], r"item ids must lie in \[0, 3\)"),
        ([1, 0], [0, 0], "sorted by user"),
        ([0, 0], [1, 1], "each pair once"),
    ],
)
def test_bad_interactions(user: list[int], item: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataset(user, item)


def test_too_few_interactions_to_split() -> None:
    with pytest.raises(ValueError, match="too few"):
        random_split(dataset([0, 1], [0, 1]), 0)


def test_the_split_is_80_10_10_disjoint_and_complete() -> None:
    data = synthetic(200, 100, 2505)
    split = random_split(data, 123)
    parts = (split.train, split.validation, split.test)
    assert [len(part.user) for part in parts] == [2005, 250, 250]
    keys = np.concatenate([part.user.astype(int) * 100 + part.item for part in parts])
    assert np.array_equal(np.sort(keys), data.user.astype(int) * 100 + data.item)
    assert split.item_popularity.sum() == split.user_popularity.sum() == 2005


def test_hashes_are_pinned_so_every_machine_has_the_same_data_and_split() -> None:
    split = random_split(synthetic(), 123)
    assert split.dataset.content_hash.startswith("ddaff49c94ea")
    assert split.split_hash.startswith("e9e16c6c0ef1")
    assert random_split(synthetic(), 246).split_hash != split.split_hash
    assert synthetic(seed=1).content_hash != split.dataset.content_hash


def test_popularity_drives_the_synthetic_interactions() -> None:
    def top_share(popularity: float) -> float:
        counts = np.sort(np.bincount(synthetic(popularity=popularity).item, minlength=500))
        return counts[-75:].sum() / counts.sum()

    assert top_share(0) < top_share(0.5) < top_share(1.0) < top_share(2.0)


@pytest.mark.parametrize(
    "bad",
    [
        {"popularity": -1},
        {"popularity": math.nan},
        {"popularity": math.inf},
        {"num_interactions": 100},
        {"num_items": 10},
    ],
)
def test_bad_synthetic_parameters(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must"):
        synthetic(**bad)


# Columns that do not fit


@pytest.mark.parametrize(
    ("user", "item", "message"),
    [
        ([0, 1, 2], [0, 1], "user and item must be of one length, got 3 and 2"),
        ([0, 1, 2], [0], "user and item must be of one length, got 3 and 1"),
        (np.zeros((2, 1), int), [0, 1], r"user must be 1-D, got shape \(2, 1\)"),
        ([0, 2**31], [0, 1], r"user must hold row numbers below 2\*\*31, got 0 to 2147483648"),
        (np.array([0.0, 1.0]), [0, 1], "user is float64, but must be integers"),
        (np.array([False, True]), [0, 1], "user is bool"),
    ],
)
def test_pairs_that_are_none(user: Any, item: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Interactions(user, item)
    with pytest.raises(ValueError, match=f"toy: {message}"):
        Dataset("toy", user, item, 3, 3)


def test_pairs_are_checked_however_they_are_made() -> None:
    pairs = Interactions([0, 1], [2, 3])
    assert pickle.loads(pickle.dumps(pairs)).item.tolist() == copy.deepcopy(pairs).item.tolist() == [2, 3]
    assert pairs._replace(item=[4, 5]).item.tolist() == [4, 5]
    with pytest.raises(ValueError, match="of one length"):
        pairs._replace(item=[4])


def test_a_splits_parts_are_interactions_of_its_dataset() -> None:
    data, part = dataset([0, 1], [0, 1]), Interactions([0], [0])
    assert Split(data, 0, ([0], [0]), part, part).train.user.dtype == np.int32
    for train, message in (
        (([0, 1], [0]), "train: user and item must be of one length"),
        (Interactions([3], [0]), r"train: user ids must lie in \[0, 3\), found 3 to 3"),
        (Interactions([0], [-1]), r"train: item ids must lie in \[0, 3\), found -1 to -1"),
    ):
        with pytest.raises(ValueError, match=message):
            Split(data, 0, train, part, part)


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
@pytest.mark.parametrize("replace", [True, False])
def test_a_written_file_has_the_permissions_that_the_umask_leaves(
    tmp_path: Path, mask: int, mode: int, replace: bool
) -> None:
    before = os.umask(mask)
    try:
        write_atomically(tmp_path / "note", b"text", replace)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "note").stat().st_mode) == mode
    assert [path.name for path in tmp_path.iterdir()] == ["note"]


def test_a_full_disk_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "note"
    path.write_bytes(b"before")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=f"No space left on device: '{path}'"):
        write_atomically(path, b"text")
    with pytest.raises(OSError, match=f"No space left on device: '{path}'"), open_atomically(path) as file:
        file.write(b"text")
    with pytest.raises(ConnectionResetError, match=r"^from elsewhere$"), open_atomically(path):
        raise ConnectionResetError("from elsewhere")  # not of the file
    assert path.read_bytes() == b"before" and [each.name for each in tmp_path.iterdir()] == ["note"]


@pytest.mark.parametrize("seed", [None, 1.0, True, "1", -1])
def test_a_seed_is_a_whole_number(seed: object) -> None:
    """None would draw other interactions at each call."""
    for call in (lambda: random_split(synthetic(200, 100, 2500), seed), lambda: synthetic(seed=seed)):
        with pytest.raises(ValueError, match="seed must be"):
            call()


@pytest.mark.parametrize("sizes", [(2000.0, 1500), (2000, "1500"), (None, 1500), (True, 1500)])
def test_sizes_are_whole_numbers(sizes: tuple[object, object]) -> None:
    with pytest.raises(ValueError, match=r"num_(users|items) must be a whole number, got"):
        synthetic(*sizes)
    with pytest.raises(ValueError, match=r"toy: num_(users|items) must be a whole number, got"):
        Dataset("toy", np.array([0]), np.array([0]), *sizes)
