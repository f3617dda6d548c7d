"""Datasets in memory: validation, the split, the synthetic data and their hashes."""

import numpy as np
import pytest

from prismlib import Dataset, random_split, synthetic


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
    assert split.dataset.content_hash.startswith("e4e621531e05")
    assert split.split_hash.startswith("f8025a4c28e7")
    assert random_split(synthetic(), 246).split_hash != split.split_hash
    assert synthetic(seed=1).content_hash != split.dataset.content_hash


def test_popularity_drives_the_synthetic_interactions() -> None:
    def top_share(popularity: float) -> float:
        counts = np.sort(np.bincount(synthetic(popularity=popularity).item, minlength=1500))
        return counts[-75:].sum() / counts.sum()

    assert top_share(0) < top_share(0.5) < top_share(1.0) < top_share(2.0)


@pytest.mark.parametrize("bad", [{"popularity": -1}, {"num_interactions": 100}, {"num_items": 10}])
def test_bad_synthetic_parameters(bad: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must"):
        synthetic(**bad)
