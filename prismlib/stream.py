"""Interactions that do not fit in memory: a file of pairs, its counts, and its batches in a random order.

A file holds nothing but pairs, user and item, as int32 in little-endian order: 8 bytes per pair, a hundred million
pairs in 0.8 GB. It is written, counted and read in blocks, so memory depends on the blocks and the tables, not on the
file.

An epoch takes the blocks in a random order. So many of them are read together, and their pairs are shuffled with each
other. Every pair comes once. Two pairs that are neighbours in the file are in one batch more often than chance would
have it; small blocks, many of which are read together, keep that rare.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from prismlib._checks import check_count
from prismlib.data import Interactions
from prismlib.files import open_atomically

# Two of them are a pair in a file, of so many bytes.
_ID = np.dtype("<i4")
_PAIR = 2 * _ID.itemsize
# Pairs that :func:`count_pairs` reads at a time.
_COUNTED = 1 << 20


def write_pairs(path: Path | str, blocks: Iterable[Interactions]) -> int:
    """Write interactions to a file, block by block; returns how many pairs it holds.

    The file is complete or absent: one that was there is replaced at the end.

    Args:
        path: the file to write; its folder exists.
        blocks: the interactions in parts of any size, of which one at a time is in memory. Nothing looks for pairs that
            occur twice.

    Raises:
        ValueError: a block is not :class:`~prismlib.data.Interactions`, or an id is negative.
        OSError: no such folder, or no space.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "pairs.bin"
    >>> write_pairs(path, (Interactions([user, user], [0, 1]) for user in range(3)))
    6
    """
    written = 0
    with open_atomically(Path(path)) as file:
        for block in blocks:
            if not isinstance(block, Interactions):
                raise ValueError(
                    f"blocks must yield Interactions, got {type(block).__name__}: Interactions(user, item)"
                )
            pairs = np.stack(block, axis=1).astype(_ID)
            if pairs.size and pairs.min() < 0:
                raise ValueError(f"ids must be >= 0, the table's rows, got {pairs.min()}")
            pairs.tofile(file)
            written += len(pairs)
    return written


def count_pairs(path: Path | str, num_users: int, num_items: int) -> tuple[Tensor, Tensor]:
    """How often each user and each item occurs in a file, which is what :func:`~prismlib.init.prism_` takes.

    Args:
        path: a file of :func:`write_pairs`.
        num_users: rows of the user table, >= 1.
        num_items: rows of the item table, >= 1.

    Returns:
        Counts of the users and of the items, int64, of shapes ``(num_users,)`` and ``(num_items,)``. A pair that the
        file has twice counts twice.

    Raises:
        ValueError: an id is not a row of its table, a size is not a whole number or < 1, or the file is not one of
            pairs.
        OSError: no such file.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "pairs.bin"
    >>> _ = write_pairs(path, [Interactions([0, 2, 2], [1, 1, 0])])
    >>> count_pairs(path, num_users=3, num_items=2)
    (tensor([1, 0, 2]), tensor([1, 2]))
    """
    sizes = {"user": num_users, "item": num_items}
    for name, size in sizes.items():
        check_count(f"num_{name}s", size)
    number = _pairs_in(Path(path))
    counts = [torch.zeros(size, dtype=torch.int64) for size in sizes.values()]
    with Path(path).open("rb") as file:
        for start in range(0, number, _COUNTED):
            pairs = _read(file.fileno(), start, min(_COUNTED, number - start))
            for (name, size), count, ids in zip(sizes.items(), counts, pairs.T, strict=True):
                low, high = int(ids.min()), int(ids.max())
                if low < 0 or high >= size:
                    raise ValueError(f"{name} ids of {path} must lie in [0, {size}), got {low} to {high}")
                np.add.at(count.numpy(), ids, 1)
    return counts[0], counts[1]


def read_batches(
    path: Path | str, batch_size: int, generator: torch.Generator, block: int = 4096, together: int = 256
) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch over a file: each of its pairs once, in a random order, batch by batch.

    Args:
        path: a file of :func:`write_pairs`.
        batch_size: pairs per batch, >= 1; the last batch may be smaller.
        generator: source of the order, of the CPU. Its next epoch has another one.
        block: pairs that are read at one place of the file, >= 1.
        together: blocks, >= 1, that are read before their pairs are shuffled. ``block * together`` pairs are in memory.

    Yields:
        Users and items, each int64 of shape ``(B,)``, on the CPU, as :func:`~prismlib.train.train_step` takes them.

    Raises:
        ValueError: a number is not whole or < 1, or the file is not one of pairs; before the first batch.
        OSError: no such file.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "pairs.bin"
    >>> _ = write_pairs(path, [Interactions(range(5), range(5))])
    >>> sizes = [len(user) for user, item in read_batches(path, 2, torch.Generator().manual_seed(0))]
    >>> sizes
    [2, 2, 1]
    """
    for name, value in (("batch_size", batch_size), ("block", block), ("together", together)):
        check_count(name, value)
    return _batches(Path(path), _pairs_in(Path(path)), batch_size, generator, block, together)


def _batches(
    path: Path, number: int, batch_size: int, generator: torch.Generator, block: int, together: int
) -> Iterator[tuple[Tensor, Tensor]]:
    left = torch.empty(0, 2, dtype=torch.int32)  # a batch at most, of the blocks before
    with path.open("rb") as file:
        for group in torch.randperm(-(-number // block), generator=generator).split(together):
            starts = [place * block for place in group.tolist()]
            read = np.concatenate([_read(file.fileno(), start, min(block, number - start)) for start in starts])
            shuffled = torch.from_numpy(read)[torch.randperm(len(read), generator=generator)]
            *full, left = torch.cat([left, shuffled]).split(batch_size)
            yield from map(_columns, full)
    yield _columns(left)


def _columns(pairs: Tensor) -> tuple[Tensor, Tensor]:
    user, item = pairs.T.long().contiguous()
    return user, item


def _pairs_in(path: Path) -> int:
    size = path.stat().st_size
    if size == 0 or size % _PAIR:
        raise ValueError(
            f"{path} must hold pairs of {_PAIR} bytes, at least one, as write_pairs makes; it has {size} bytes"
        )
    return size // _PAIR


def _read(file: int, start: int, number: int) -> npt.NDArray[np.int32]:
    """Some pairs of an open file, int32, shape ``(number, 2)``. They are read, since a mapped file counts as memory."""
    content = os.pread(file, number * _PAIR, start * _PAIR)
    return np.frombuffer(content, _ID).reshape(-1, 2).astype(np.int32, copy=False)
