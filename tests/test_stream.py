"""A file of pairs gives each of them once an epoch, in bounded memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from prismlib import BPR, MF, Interactions, prism_, random_split, synthetic, train_step
from prismlib.optim import make_optimizer
from prismlib.stream import count_pairs, read_batches, write_pairs

DATA = synthetic(100, 80, 1200)
EVERY = sorted(zip(DATA.user.tolist(), DATA.item.tolist(), strict=True))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def parts(size: int) -> Iterator[Interactions]:
    for start in range(0, len(DATA), size):
        yield Interactions(DATA.user[start : start + size], DATA.item[start : start + size])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    assert write_pairs(tmp_path / "pairs.bin", parts(170)) == len(DATA)
    return tmp_path / "pairs.bin"


def listed(batches: Iterable[tuple[Tensor, Tensor]]) -> list[tuple[int, int]]:
    return [pair for user, item in batches for pair in zip(user.tolist(), item.tolist(), strict=True)]


@pytest.mark.parametrize(("block", "together"), [(1, 1), (1, 10_000), (64, 3), (100, 7), (4096, 256), (1200, 1)])
@pytest.mark.parametrize("batch_size", [7, 128, 1200, 9999])
def test_every_pair_comes_once_an_epoch(path: Path, block: int, together: int, batch_size: int) -> None:
    draw = seeded()
    epochs = [list(read_batches(path, batch_size, draw, block, together)) for _ in range(2)]
    for batches in epochs:
        sizes = [len(user) for user, _ in batches]
        assert set(sizes[:-1]) <= {batch_size} and 1 <= sizes[-1] <= batch_size
        assert all(ids.dtype == torch.int64 and ids.is_contiguous() for batch in batches for ids in batch)
        assert sorted(listed(batches)) == EVERY
    first, second = map(listed, epochs)
    assert second != first
    assert listed(read_batches(path, batch_size, seeded(), block, together)) == first


def test_pairs_of_many_places_are_in_one_batch(path: Path) -> None:
    first = listed(read_batches(path, 200, seeded(), block=20, together=25))[:200]
    places = {EVERY.index(pair) // 20 for pair in first}
    assert 20 < len(places) <= 25  # of the 25 blocks that are read together


def test_counts_are_those_of_the_pairs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prismlib.stream._COUNTED", 299)
    user, item = count_pairs(path, DATA.num_users + 3, DATA.num_items)
    assert torch.equal(user, torch.from_numpy(np.bincount(DATA.user, minlength=DATA.num_users + 3)))
    assert torch.equal(item, torch.from_numpy(np.bincount(DATA.item, minlength=DATA.num_items)))
    assert user.dtype == item.dtype == torch.int64


def test_a_model_is_trained_from_a_file(tmp_path: Path) -> None:
    split = random_split(DATA, 1)
    path = tmp_path / "pairs.bin"
    write_pairs(path, [split.train])
    model = MF(DATA.num_users, DATA.num_items, 16, seeded(), sparse=True)
    for table, counts in zip((model.user, model.item), count_pairs(path, DATA.num_users, DATA.num_items), strict=True):
        prism_(table.weight, counts)
    optimizer, draw, losses = make_optimizer("row_adam", [model], lr=1e-2), seeded(1), []
    for _ in range(10):
        for user, item in read_batches(path, 64, draw, block=32, together=8):
            losses.append(float(train_step(model, BPR(), optimizer, user, item, DATA.num_items, draw)))
    epoch = -(-len(split.train.user) // 64)
    assert len(losses) == 10 * epoch
    assert np.mean(losses[-epoch:]) < 0.6 * np.mean(losses[:epoch])


MEMORY = """
import sys, numpy as np, torch
from prismlib.stream import read_batches, count_pairs
def status(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name)) / 1024
def passed(batches):
    return sum(int(user.sum()) for user, _ in batches)
count_pairs(sys.argv[1], 10, 10)
next(read_batches(sys.argv[1], 4096, torch.Generator(), 4096, 8))
def stream():
    count_pairs(sys.argv[1], 10, 10)
    passed(read_batches(sys.argv[1], 4096, torch.Generator(), 4096, 8))
for reading in (stream, lambda: np.fromfile(sys.argv[1], "<i4")):  # the least first: what it frees lowers the other's
    open("/proc/self/clear_refs", "w").write("5")
    before = status("VmRSS")
    reading()
    print(status("VmHWM") - before)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peak memory is read as Linux tells it")
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "pairs.bin"
    block = Interactions(np.arange(1 << 20) % 10, np.arange(1 << 20) % 10)
    write_pairs(path, [block] * 3)
    megabytes = path.stat().st_size / 2**20

    command = [sys.executable, "-c", MEMORY, str(path)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    stream, whole = map(float, printed.split())
    assert megabytes == 24
    assert whole > 0.9 * megabytes
    assert stream < 0.5 * megabytes


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda path: read_batches(path, 0, seeded()), "batch_size must be >= 1, got 0"),
        (lambda path: read_batches(path, 8, seeded(), block=2.5), "block must be a whole number, got 2.5"),
        (lambda path: read_batches(path, 8, seeded(), together=0), "together must be >= 1, got 0"),
        (lambda path: count_pairs(path, 0, 80), "num_users must be >= 1, got 0"),
        (lambda path: count_pairs(path, 100, 40), r"item ids of .*pairs.bin must lie in \[0, 40\), got \d+ to [4-7]\d"),
        (lambda path: write_pairs(path, [(1, 2)]), r"blocks must yield Interactions, got tuple: Interactions\(user"),
        (lambda path: write_pairs(path, [Interactions([0], [-1])]), "ids must be >= 0, the table's rows, got -1"),
    ],
)
def test_errors(path: Path, call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(path)
    assert sorted(listed(read_batches(path, 512, seeded()))) == EVERY  # what was there is still there


@pytest.mark.parametrize("size", [0, 12])
def test_a_file_that_is_not_one_of_pairs(tmp_path: Path, size: int) -> None:
    path = tmp_path / "other.bin"
    path.write_bytes(b"x" * size)
    for call in (lambda: read_batches(path, 8, seeded()), lambda: count_pairs(path, 3, 3)):
        with pytest.raises(ValueError, match=rf"must hold pairs of 8 bytes, at least one, .* it has {size} bytes"):
            call()
    with pytest.raises(FileNotFoundError):
        read_batches(tmp_path / "none", 8, seeded())
