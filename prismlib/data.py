"""Interaction data in memory: a dataset, made from your own pairs or generated, and its 80/10/10 split.

Reading datasets by name, from files or the network, is in :mod:`prismlib.datasets`.
Everything here is NumPy, integer where it can be, and the same bits on every machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from prismlib._checks import check_count, check_number
from prismlib._columns import Column, check_aligned, ids, keys

IntArray = npt.NDArray[np.int32]


class _Pairs(NamedTuple):
    user: IntArray
    item: IntArray


class Interactions(_Pairs):
    """Observed (user, item) pairs: two int32 arrays of shape ``(n,)``.

    Args:
        user: the user of each pair, integers of any dtype, shape ``(n,)``: an array, a tensor, a list, or a column of
            pandas, polars or pyarrow.
        item: the item of each pair, likewise.

    Raises:
        ValueError: columns of two lengths or with two sets of labels, not 1-D, or with ids that are not integers.

    >>> pairs = Interactions([0, 0, 1], [2, 5, 2])
    >>> len(pairs.user)
    3
    """

    __slots__ = ()

    def __new__(cls, user: Column, item: Column) -> Self:
        check_aligned(user, item)
        columns = [_int32(name, column) for name, column in (("user", user), ("item", item))]
        if len(columns[0]) != len(columns[1]):
            raise ValueError(f"user and item must be of one length, got {len(columns[0])} and {len(columns[1])}")
        return super().__new__(cls, *columns)

    @classmethod
    def _make(cls, iterable: Iterable[Any]) -> Self:  # type: ignore[override]  # _replace makes new pairs by it
        return cls(*iterable)


def as_pairs(name: str, pairs: object) -> tuple[Tensor, Tensor]:
    """The users and the items of interactions as tensors of int64.

    Args:
        name: what an error calls the interactions.
        pairs: the :class:`Interactions`, which have columns of one length.

    Returns:
        Users and items, each of shape ``(n,)``, on the CPU.

    Raises:
        ValueError: ``pairs`` are not :class:`Interactions`.

    >>> as_pairs("train", Interactions([0, 1], [2, 2]))
    (tensor([0, 1]), tensor([2, 2]))
    """
    if not isinstance(pairs, Interactions):
        raise ValueError(f"{name} must be Interactions, got {type(pairs).__name__}: Interactions(user, item)")
    return torch.from_numpy(pairs.user).long(), torch.from_numpy(pairs.item).long()


@dataclass(frozen=True, eq=False)
class Dataset:
    """Implicit-feedback interactions of one dataset, sorted by user, then item, without repeats.

    Attributes:
        name: the name under which it is loaded, e.g. ``"gowalla"``.
        user: the user of each interaction, int32, shape ``(n,)``, ids from 0.
        item: the item of each interaction, int32, shape ``(n,)``, ids from 0.
        num_users: number of rows of the user table; every user's id is below it.
        num_items: number of rows of the item table; every item's id is below it.
        synthetic: True for generated data, so that no page can present it as the paper's.

    Raises:
        ValueError: sizes that are not whole numbers, no interactions, columns that are not :class:`Interactions`, ids
            out of range, not sorted, or a pair twice.

    >>> toy = Dataset("toy", np.array([0, 0, 1], np.int32), np.array([0, 2, 1], np.int32), 2, 3)
    >>> len(toy), f"{toy.density:.2f}"
    (3, '0.50')
    """

    name: str
    user: IntArray
    item: IntArray
    num_users: int
    num_items: int
    synthetic: bool = False

    def __post_init__(self) -> None:
        for name, size in (("num_users", self.num_users), ("num_items", self.num_items)):
            check_count(f"{self.name}: {name}", size)
        pairs = _checked(self.name, (self.user, self.item), self.num_users, self.num_items)
        if len(pairs.user) == 0:
            raise ValueError(f"{self.name}: user and item must be non-empty")
        for field, column in pairs._asdict().items():
            object.__setattr__(self, field, column)  # the way to set a field of a frozen dataclass
        if np.any(np.diff(self.user.astype(np.int64) * self.num_items + self.item) <= 0):
            raise ValueError(f"{self.name}: interactions must be sorted by user, then item, each pair once")

    def __len__(self) -> int:
        return len(self.user)

    @property
    def density(self) -> float:
        """Interactions / (users * items), the paper's Table 2."""
        return len(self) / (self.num_users * self.num_items)

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of the table sizes and all pairs, equal for equal interactions, whatever file they came from."""
        return _digest(self.num_users, self.num_items, Interactions(self.user, self.item))


@dataclass(frozen=True, eq=False)
class Split:
    """Train, validation and test interactions of a dataset.

    Attributes:
        dataset: what was split.
        seed: the seed of the random split; of a split of your own, any number that its runs name as ``split_seed``.
        train: training interactions.
        validation: interactions that stop training and choose configurations.
        test: interactions that nothing is chosen by.
        name: ``"random"`` for :func:`random_split`; for a split of your own what it is, e.g. ``"temporal"``.

    Raises:
        ValueError: a part that is not :class:`Interactions`, or whose ids are not rows of the dataset's tables.

    >>> split = random_split(synthetic(200, 100, 2500), seed=123)
    >>> len(split.train.user), int(split.item_popularity.sum())
    (2000, 2000)
    """

    dataset: Dataset
    seed: int
    train: Interactions
    validation: Interactions
    test: Interactions
    name: str = "custom"

    def __post_init__(self) -> None:
        for field in ("train", "validation", "test"):
            part = _checked(field, getattr(self, field), self.dataset.num_users, self.dataset.num_items)
            object.__setattr__(self, field, part)  # the way to set a field of a frozen dataclass

    @cached_property
    def split_hash(self) -> str:
        """SHA-256 of the three parts, each sorted by user, then item."""
        parts = (_sorted(part) for part in (self.train, self.validation, self.test))
        return _digest(self.dataset.num_users, self.dataset.num_items, *parts)

    @cached_property
    def user_popularity(self) -> npt.NDArray[np.int64]:
        """Training interactions of each user, ``d_u``, int64, shape ``(num_users,)``."""
        return np.bincount(self.train.user, minlength=self.dataset.num_users)

    @cached_property
    def item_popularity(self) -> npt.NDArray[np.int64]:
        """Training interactions of each item, ``d_i``, int64, shape ``(num_items,)``."""
        return np.bincount(self.train.item, minlength=self.dataset.num_items)


def random_split(dataset: Dataset, seed: int) -> Split:
    """Split interactions at random into 80 % train, 10 % validation, 10 % test (Appendix B.1).

    The order is that of raw PCG64 words, whose stream NumPy guarantees never to change, so
    the same seed gives the same split on every machine and with every NumPy version.

    Args:
        dataset: the interactions to split, at least 10.
        seed: an integer >= 0; the only source of randomness.

    Raises:
        ValueError: fewer than 10 interactions, or a seed that is not a whole number >= 0.

    >>> split = random_split(synthetic(), seed=123)
    >>> len(split.train.user), len(split.validation.user), len(split.test.user)
    (14400, 1800, 1800)
    """
    check_count("seed", seed, minimum=0)  # None would draw a split that nobody can draw again
    n = len(dataset)
    if n < 10:
        raise ValueError(f"{dataset.name}: {n} interactions are too few for an 80/10/10 split, 10 or more are needed")
    order = np.argsort(np.random.PCG64(seed).random_raw(n), kind="stable")
    held_out = n // 10
    parts = [Interactions(dataset.user[rows], dataset.item[rows]) for rows in np.split(order, [held_out, 2 * held_out])]
    test, validation, train = parts
    return Split(dataset, seed, train, validation, test, name="random")


def dataset_from_pairs(
    name: str, user: Column, item: Column, synthetic: bool = False
) -> tuple[Dataset, npt.NDArray[Any], npt.NDArray[Any]]:
    """A dataset from two columns of ids as they come: of any order, with gaps, with repeats, numbers or text.

    Ids are numbered from 0 in sorted order; a pair that is there several times counts once.

    Args:
        name: the dataset's name.
        user: the user of each interaction, all whole numbers or all text, shape ``(n,)``: an array, a tensor, a list,
            or a column of pandas, polars or pyarrow.
        item: the item of each interaction, likewise.
        synthetic: True for generated data, see :class:`Dataset`.

    Returns:
        The dataset, ``user_ids`` and ``item_ids``: row ``r`` of the user table is the user ``user_ids[r]``.
        ``np.searchsorted(user_ids, ids)`` is the way back, for ids that are there.

    Raises:
        ValueError: no interactions, columns of two lengths or with two sets of labels, a missing id, or ids that are
            neither whole numbers nor text.

    >>> data, user_ids, item_ids = dataset_from_pairs("shop", ["eve", "bob", "eve", "eve"], [70, 70, 12, 70])
    >>> list(zip(data.user.tolist(), data.item.tolist(), strict=True))
    [(0, 1), (1, 0), (1, 1)]
    >>> user_ids.tolist(), item_ids.tolist()
    (['bob', 'eve'], [12, 70])
    """
    check_aligned(user, item)
    columns = [keys(f"{name}: {field}", column) for field, column in (("user", user), ("item", item))]
    if len(columns[0]) == 0 or len(columns[0]) != len(columns[1]):
        raise ValueError(
            f"{name}: user and item must be non-empty and of one length, got {len(columns[0])} and {len(columns[1])}"
        )
    (user_ids, row), (item_ids, column) = (np.unique(given, return_inverse=True) for given in columns)
    pairs = np.unique(row.astype(np.int64) * len(item_ids) + column)
    users, items = (number.astype(np.int32) for number in np.divmod(pairs, len(item_ids)))
    return Dataset(name, users, items, len(user_ids), len(item_ids), synthetic), user_ids, item_ids


def synthetic(
    num_users: int = 600,
    num_items: int = 500,
    num_interactions: int = 18_000,
    popularity: float = 1.0,
    seed: int = 0,
) -> Dataset:
    """Generate interactions with Zipf-like item popularity and low-rank user preferences.

    User ``u`` takes ``n_u`` distinct items with the largest
    ``popularity * log p_i + 2 <taste_u, item_i> + Gumbel noise``, that is, it samples without replacement
    from a softmax of popularity and taste. ``p_i`` falls as 1/(rank + 10); tastes live in 8 dimensions;
    ``n_u`` follows a log-normal law, at least 10.

    Args:
        num_users: number of users.
        num_items: number of items.
        num_interactions: number of interactions, from 10 per user to a quarter of all pairs.
        popularity: how much popularity drives the interactions, finite, >= 0; at 0 taste alone does.
        seed: an integer >= 0; the only source of randomness.

    Raises:
        ValueError: sizes that are not whole numbers or do not fit together, a ``popularity`` that is negative or not
            finite, or a seed that is not a whole number >= 0.

    >>> data = synthetic()
    >>> len(data), data.num_users, data.num_items
    (18000, 600, 500)
    """
    for name, size in (("num_users", num_users), ("num_items", num_items), ("num_interactions", num_interactions)):
        check_count(name, size)
    check_count("seed", seed, minimum=0)
    check_number("popularity", popularity, inclusive=True)
    if not 10 * num_users <= num_interactions <= num_users * num_items // 4:
        raise ValueError("num_interactions must lie between 10 * num_users and a quarter of num_users * num_items")
    rank = 8
    uniform = _Uniform(seed)
    log_popularity = -np.log(np.arange(num_items) + 10.0)[np.argsort(uniform(num_items), kind="stable")]
    item_taste = uniform.normal(num_items, rank) / np.sqrt(rank)
    user_taste = uniform.normal(num_users, rank)

    activity = np.exp(uniform.normal(num_users))
    spare = num_interactions - 10 * num_users
    quota = np.minimum(10 + np.floor(activity / activity.sum() * spare).astype(int), num_items // 2)
    # the rounding's remainder goes to the users in turn, so that the total is exact
    room = np.flatnonzero(quota < num_items // 2)
    missing = num_interactions - quota.sum()
    quota += np.bincount(room[np.arange(missing) % len(room)], minlength=num_users)

    gumbel = -np.log(-np.log(uniform(num_users, num_items)))
    score = popularity * log_popularity + 2 * user_taste @ item_taste.T + gumbel
    ranked = np.argsort(-score, axis=1, kind="stable")
    taken = np.arange(num_items) < quota[:, None]
    user, column = np.nonzero(taken)
    pairs = _sorted(Interactions(user.astype(np.int32), ranked[user, column].astype(np.int32)))
    return Dataset("synthetic", *pairs, num_users, num_items, synthetic=True)


def _int32(name: str, column: Column) -> IntArray:
    """A column of ids as int32."""
    values = ids(name, column).cpu().numpy()
    if len(values) and not -(2**31) <= values.min() <= values.max() < 2**31:
        raise ValueError(f"{name} must hold row numbers below 2**31, got {values.min()} to {values.max()}")
    return values.astype(np.int32)


def _checked(name: str, pairs: tuple[Column, Column], num_users: int, num_items: int) -> Interactions:
    """The pairs as interactions whose ids are rows of the tables; errors begin with the name."""
    try:
        checked = Interactions(*pairs)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: {error}") from None
    for field, column, size in (("user", checked.user, num_users), ("item", checked.item, num_items)):
        if len(column) and not 0 <= column.min() <= column.max() < size:
            low, high = column.min(), column.max()
            raise ValueError(f"{name}: {field} ids must lie in [0, {size}), found {low} to {high}")
    return checked


class _Uniform:
    """Uniform(0, 1) and normal draws from raw PCG64 words (NumPy's distributions may change between versions)."""

    def __init__(self, seed: int) -> None:
        self.bits = np.random.PCG64(seed)

    def __call__(self, *shape: int) -> npt.NDArray[np.float64]:
        words = self.bits.random_raw(int(np.prod(shape))).reshape(shape)
        return ((words >> np.uint64(11)) + np.float64(0.5)) * 2.0**-53

    def normal(self, *shape: int) -> npt.NDArray[np.float64]:
        radius = np.sqrt(-2 * np.log(self(*shape)))
        angle = 2 * np.pi * self(*shape)
        return np.asarray(radius * np.cos(angle), np.float64)


def _sorted(pairs: Interactions) -> Interactions:
    order = np.lexsort((pairs.item, pairs.user))
    return Interactions(pairs.user[order], pairs.item[order])


def _digest(num_users: int, num_items: int, *parts: Interactions) -> str:
    digest = hashlib.sha256(f"{num_users} users, {num_items} items".encode())
    for part in parts:
        digest.update(f"; {len(part.user)} pairs:".encode())
        digest.update(np.ascontiguousarray(part.user, "<i4").tobytes())
        digest.update(np.ascontiguousarray(part.item, "<i4").tobytes())
    return digest.hexdigest()
