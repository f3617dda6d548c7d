"""Splits: the random one of a dataset and a seed, and splits of your own, e.g. by time or leave-one-out."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from prismbook.plan.config import RunConfig
from prismlib import datasets
from prismlib.data import Dataset, Interactions, Split, random_split

#: The name of the split that a run takes where none is given. No other split may have it.
RANDOM = "random"


def load_split(dataset: str, seed: int) -> Split:
    """The random split of a dataset by its name; the last few are kept in memory.

    Args:
        dataset: a name that :func:`prismlib.datasets.load` knows.
    """
    return _load_split(dataset, datasets.content_hash(dataset), seed)


@lru_cache(maxsize=4)
def _load_split(dataset: str, content_hash: str, seed: int) -> Split:  # by hash: a name may be saved anew
    return _random_split(datasets.load(dataset), seed)


@lru_cache(maxsize=4)
def _random_split(dataset: Dataset, seed: int) -> Split:
    return random_split(dataset, seed)


def check_split(config: RunConfig, split: Split) -> None:
    """Raise a ValueError where a split is not of the configuration's dataset and seed.

    Args:
        split: the split that it shall be trained and tested on.
    """
    if (split.dataset.name, split.seed) != (config.dataset, config.split_seed):
        raise ValueError(
            f"the configuration asks for dataset {config.dataset!r} with split_seed={config.split_seed}, not for this "
            f"split, which is of dataset {split.dataset.name!r} with seed {split.seed}"
        )


@lru_cache(maxsize=4)
def ordered(split: Split) -> Split:
    """The split with its parts in an order that the pairs and the seed alone decide.

    Training depends on the order of the interactions. Two splits of the same pairs are one split by their hash, so
    they must train alike. A split with the pairs of the random one is the random one.

    Args:
        split: a random split, or one of your own.

    Returns:
        A split whose name is :data:`RANDOM` exactly where it has the pairs of ``random_split(dataset, seed)``.

    Raises:
        ValueError: a pair that is not the dataset's or stands twice, or a split of your own that is named "random".
    """
    with suppress(ValueError):  # too few interactions for a random split
        random = _random_split(split.dataset, split.seed)
        if split.split_hash == random.split_hash:
            if not _same_order(split, random):
                return random
            return split if split.name == RANDOM else replace(split, name=RANDOM)
    if split.name == RANDOM:
        raise ValueError("this split is not the random split of its dataset and seed: give it another name than random")
    data, parts = split.dataset, (split.train, split.validation, split.test)
    keys = [_keys(part, data) for part in parts]
    together = np.concatenate(keys)
    if not np.isin(together, _keys(Interactions(data.user, data.item), data)).all():
        raise ValueError(f"the split {split.name!r} has a pair that is not one of {data.name}'s")
    if len(np.unique(together)) < len(together):
        raise ValueError(f"the split {split.name!r} has a pair twice: each pair belongs to one part, once")
    train, validation, test = (_in_order_of(split.seed, np.sort(part), data.num_items) for part in keys)
    return Split(data, split.seed, train, validation, test, split.name)


def _same_order(first: Split, second: Split) -> bool:
    pairs = zip(
        (first.train, first.validation, first.test), (second.train, second.validation, second.test), strict=True
    )
    return all(np.array_equal(one.user, other.user) and np.array_equal(one.item, other.item) for one, other in pairs)


def _keys(part: Interactions, data: Dataset) -> npt.NDArray[np.int64]:
    """One number per pair; -1 for an item that the dataset does not have."""
    user, item = np.asarray(part.user, np.int64), np.asarray(part.item, np.int64)
    return np.where((item >= 0) & (item < data.num_items), user * data.num_items + item, -1)


def _in_order_of(seed: int, keys: npt.NDArray[np.int64], num_items: int) -> Interactions:
    """The pairs in an order drawn as :func:`prismlib.data.random_split` draws its own."""
    order = np.argsort(np.random.PCG64(seed).random_raw(len(keys)), kind="stable")
    user, item = np.divmod(keys[order], num_items)
    return Interactions(user.astype(np.int32), item.astype(np.int32))
