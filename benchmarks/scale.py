"""Time and memory of a training step as tables grow, a stream of pairs from a file, and what the optimisers train.

    make bench-scale                                    everything, into benchmarks/scale.json, which the book shows
    python benchmarks/scale.py --part steps --rows 10000 --output /tmp/scale.json

It reads memory as Linux tells it. Every measurement of time or memory has a process of its own, with one thread, and
what counts is the CPU time of that process: other work on the machine inflates the time of a clock more. What does not
fit in the memory that is free is left out by name.

* steps: one training step of MF, 64 dimensions, 4,096 pairs; half of the rows are users, half items, pairs uniform.
* prism: `prism_` on a table of as many rows.
* stream: a hundred million pairs are written, counted and read once, `prismlib.stream`; they are deleted afterwards.
* quality: validation NDCG@20 after each epoch of `fit`, from one start, in one order, with the same negatives.
* pages: steps and a validation on data of the paper's size, with and without huge pages, in turn.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from prismbook.pages.scale_tables import HOLDS
from prismbook.runs.machine import environment
from prismlib import (
    BPR,
    MF,
    SSM,
    DirectAU,
    FullRanking,
    Interactions,
    RankingLoss,
    Split,
    fit,
    popularity_groups,
    prism_,
    random_split,
    train_step,
)
from prismlib._device import flushed_denormals, free_bytes
from prismlib._row_adam import RowAdam
from prismlib.datasets import load
from prismlib.optim import ROW_SPARSE, TAKE_SPARSE, Optimizer, make_optimizer, untuned_sgd_rate
from prismlib.stream import count_pairs, read_batches, write_pairs
from prismlib.train import batches

DIM, BATCH, MB = 64, 4096, 2**20
ROWS = (10_000, 100_000, 1_000_000, 10_000_000)
LOSSES: dict[str, Callable[[], RankingLoss]] = {"BPR": BPR, "SSM": SSM, "DirectAU": DirectAU}
#: Tables that each optimiser holds where a step is at its peak: parameters, gradient, moments.
TABLES = {optimizer: len(held) for optimizer, held in HOLDS.items()}
#: What is measured without huge pages too.
ALSO_WITHOUT = ("adam",)
#: Tells PyTorch to ask for huge pages, which it reads when it starts.
HUGE = "THP_MEM_ALLOC_ENABLE"
PAIRS, STREAM_ROWS = 100_000_000, 5_000_000  # of the file, and of each of the two tables
#: Dataset, loss, pairs per batch, learning rate, epochs.
QUALITY = (
    ("movielens1m", "BPR", 4096, 1e-2, 3),
    ("movielens1m", "SSM", 4096, 1e-2, 3),
    ("gowalla", "BPR", 4096, 1e-2, 3),
    ("gowalla", "SSM", 4096, 1e-2, 3),
)
#: A rate of row-wise Adagrad with a loss of cosines, which is that of "The law"; at Adam's it hardly trains.
ADAGRAD_RATE = 0.1
#: Dataset, loss and pairs per batch of what is run with and without huge pages.
OF_THE_PAPER = (("movielens1m", "DirectAU", 4096), ("gowalla", "BPR", 4096))


def status(name: str) -> float:
    """A number of megabytes that Linux tells of this process: VmRSS is what it has now, VmHWM what it had at most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


class Clocked:
    """An optimiser that notes when its part of a step begins: the gradients' after zero_grad, its own at step."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self.marks: list[float] = []

    def zero_grad(self) -> None:
        self.optimizer.zero_grad()
        self.marks = [time.process_time()]

    def step(self) -> None:
        self.marks.append(time.process_time())
        self.optimizer.step()


def memory_lacks(tables: float, rows: int) -> str | None:
    """What so many tables would need, where it is not free."""
    needed, free = 1.05 * tables * rows * DIM * 4 + 5e8, free_bytes(torch.device("cpu"))
    if free is None or needed <= free:
        return None
    return f"needs {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free"


def in_the_middle(optimizer: Optimizer, steps: int = 1000) -> None:
    """Let every row have a past, as in the middle of a training: at the start no row has moves to make up for."""
    if isinstance(optimizer, RowAdam):
        optimizer.steps = steps
        for state in optimizer.states.values():
            state.mean.fill_(1e-6)
            state.square.fill_(1e-9)
            state.last.random_(1, steps + 1, generator=torch.Generator().manual_seed(3))


def step_cell(
    optimizer: str, loss: str, rows: int, least: int = 3, most: int = 15, seconds: float = 3.0
) -> dict[str, Any]:
    """Medians of the CPU time and of the clock's over some steps, the parts of the CPU time, and the peak of memory."""
    if lack := memory_lacks(TABLES[optimizer], rows):
        return {"not run": lack}
    half = rows // 2
    before = status("VmRSS")
    model = MF(1, 1, DIM)
    block = 0.1 * torch.randn(4096, DIM, generator=torch.Generator().manual_seed(0))
    for side in ("user", "item"):  # a step does not mind that rows repeat, and to draw them takes longer than the steps
        table = torch.empty(half, DIM)
        for part in table.split(len(block)):
            part.copy_(block[: len(part)])
        setattr(model, side, nn.Embedding.from_pretrained(table, freeze=False, sparse=optimizer in TAKE_SPARSE))
    del table, part
    criterion = LOSSES[loss]()
    clocked = Clocked(make_optimizer(optimizer, [model, criterion], lr=1e-3))
    in_the_middle(clocked.optimizer)
    draw = torch.Generator().manual_seed(1)
    times: list[tuple[float, ...]] = []
    walls = []
    forget_peak()
    with flushed_denormals():  # as fit does
        while len(times) < least + 2 or (len(times) < most + 2 and sum(t[-1] for t in times) < seconds):
            user, item = torch.randint(half, (2, BATCH), generator=draw)
            wall, start = time.perf_counter(), time.process_time()
            train_step(model, criterion, clocked, user, item, half, draw)
            end = time.process_time()
            scored, differentiated = clocked.marks
            times.append((scored - start, differentiated - scored, end - differentiated, end - start))
            walls.append(time.perf_counter() - wall)
    parts = [1e3 * statistics.median(part) for part in zip(*times[2:], strict=True)]  # two to warm up
    return {
        **dict(zip(("loss_ms", "gradient_ms", "update_ms", "cpu_ms"), parts, strict=True)),
        "wall_ms": 1e3 * statistics.median(walls[2:]),
        "steps": len(times) - 2,
        "peak_mb": status("VmHWM") - before,
    }


def prism_cell(rows: int) -> dict[str, Any]:
    """CPU seconds of `prism_` on one table, and its peak of memory above a process without the table."""
    if lack := memory_lacks(1.1, rows):
        return {"not run": lack}
    before = status("VmRSS")
    draw = torch.Generator().manual_seed(0)
    table = torch.empty(rows, DIM).uniform_(-0.1, 0.1, generator=draw)
    counts = torch.randint(1000, (rows,), generator=draw, dtype=torch.int32)
    forget_peak()
    start = time.process_time()
    prism_(table, counts)
    return {"cpu_s": time.process_time() - start, "peak_mb": status("VmHWM") - before}


def random_blocks(pairs: int, rows: int, seed: int, block: int = 1 << 20) -> Iterator[Interactions]:
    """Users uniform, items with popularity that falls; block by block."""
    draw = np.random.default_rng(seed)
    for start in range(0, pairs, block):
        size = min(block, pairs - start)
        item = (rows * draw.random(size, dtype=np.float32) ** 3).astype(np.int32).clip(0, rows - 1)
        yield Interactions(draw.integers(rows, size=size, dtype=np.int32), item)


def stream_cell(pairs: int, rows: int, folder: str) -> dict[str, Any]:
    """CPU seconds and peaks of memory of writing, counting and reading a file of pairs, to its end."""
    path = Path(folder) / "pairs.bin"
    before = status("VmRSS")
    found: dict[str, Any] = {"pairs": pairs, "rows": 2 * rows}

    def measured(name: str, work: Callable[[], Any]) -> Any:
        forget_peak()
        start = time.process_time(), time.perf_counter()
        result = work()
        found[name] = {
            "cpu_s": time.process_time() - start[0],
            "wall_s": time.perf_counter() - start[1],
            "peak_mb": status("VmHWM") - before,
        }
        return result

    def epoch() -> tuple[int, int, int]:
        number = passed = weighted = 0
        for user, item in read_batches(path, BATCH, torch.Generator().manual_seed(0)):
            number += 1
            passed += len(user)
            weighted += int(user.sum()) + int(item.sum())
        return number, passed, weighted

    measured("draw", lambda: sum(len(block.user) for block in random_blocks(pairs, rows, 0)))
    measured("draw and write", lambda: write_pairs(path, random_blocks(pairs, rows, 0)))
    found["file_mb"] = path.stat().st_size / MB
    counts = measured("count", lambda: count_pairs(path, rows, rows))
    number, passed, weighted = measured("read an epoch", epoch)
    of_counts = sum(int((torch.arange(rows) * count).sum()) for count in counts)
    if passed != pairs or weighted != of_counts:
        raise SystemExit(f"the epoch has {passed} pairs of {pairs}, or others than were counted")
    return found | {"batches": number}


def halves(name: str) -> tuple[Split, FullRanking]:
    split = random_split(load(name), 123)
    groups = popularity_groups(split.item_popularity)
    return split, FullRanking(split.validation, split.train, groups, split.dataset.num_users)


def quality(parts: tuple[tuple[str, str, int, float, int], ...] = QUALITY) -> list[dict[str, Any]]:
    """Validation NDCG@20 after each epoch with each optimiser."""
    rows = []
    for name, loss, batch, rate, epochs in parts:
        split, ranking = halves(name)
        sizes = split.dataset.num_users, split.dataset.num_items

        def start(sparse: bool, split: Split = split, sizes: tuple[int, int] = sizes) -> MF:
            model = MF(*sizes, DIM, torch.Generator().manual_seed(1), sparse=sparse)
            prism_(model.user.weight, split.user_popularity)
            prism_(model.item.weight, split.item_popularity)
            return model

        rates = [(optimizer, rate) for optimizer in TABLES]
        if LOSSES[loss]().cosine:  # that needs no search of SGD's rate
            rates.append(("rowwise_adagrad", ADAGRAD_RATE))
            rates.append(("sgd", max(untuned_sgd_rate(table, batch) for table in start(sparse=False).embeddings())))
        for optimizer, lr in rates:
            model = start(sparse=optimizer in ROW_SPARSE)
            history = fit(
                model, LOSSES[loss](), split.train, ranking, lr=lr, optimizer=optimizer, batch_size=batch,
                max_epochs=epochs, patience=epochs, seed=2,
            )  # fmt: skip
            row = {"dataset": name, "data": split.dataset.content_hash, "split_seed": split.seed, "seed": 2}
            row |= {"loss": loss, "batch_size": batch, "epochs": epochs, "dim": DIM, "init": "prism"}
            row |= {"optimizer": optimizer, "lr": lr, "ndcg": history.validation_dot}
            rows.append(row)
            print(f"  {name} {loss} {optimizer} {lr:.3g}:", *(f"{score:.4f}" for score in row["ndcg"]), flush=True)
    return rows


def data_cell(name: str, loss: str, batch: int, count: int = 40) -> dict[str, float]:
    """The median of the CPU times of some steps on a dataset, and that of a validation."""
    split, ranking = halves(name)
    model = MF(split.dataset.num_users, split.dataset.num_items, DIM, torch.Generator().manual_seed(0))
    criterion = LOSSES[loss]()
    optimizer = make_optimizer("adam", [model, criterion], lr=1e-3)
    pairs = tuple(torch.as_tensor(ids).long() for ids in split.train)
    draw = torch.Generator().manual_seed(0)
    order = torch.randperm(len(pairs[0]), generator=draw)[: (count + 2) * batch]  # two to warm up
    times = []
    with flushed_denormals():
        for user, item in batches(pairs, order, batch):
            start = time.process_time()
            train_step(model, criterion, optimizer, user, item, split.dataset.num_items, draw)
            times.append(time.process_time() - start)
        start = time.process_time()
        ranking(*(table.detach() for table in model.embeddings()))
        validation = time.process_time() - start
    return {"step_ms": 1e3 * statistics.median(times[2:]), "validation_ms": 1e3 * validation}


CELLS: dict[str, Callable[..., dict[str, Any]]] = {
    "steps": step_cell, "prism": prism_cell, "stream": stream_cell, "pages": data_cell,
}  # fmt: skip


def own_processes(huge: bool, cells: list[list[Any]]) -> Iterator[dict[str, Any]]:
    """What each cell finds in a process of its own, with one thread, with or without huge pages.

    One process imports everything and is forked for each cell.
    """
    own = {name: value for name, value in os.environ.items() if name != HUGE} | {"OMP_NUM_THREADS": "1"}
    own |= {HUGE: "1"} if huge else {}
    command = [sys.executable, __file__, "--cells", json.dumps(cells)]
    with subprocess.Popen(command, env=own, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for cell, line in zip(cells, process.stdout, strict=False):
            found = json.loads(line)
            print(f"  {cell}{' with huge pages' * huge}: {found}", flush=True)
            yield found
    if process.returncode:
        raise SystemExit(f"a cell fails: {cells}")


def fork_for_each(cells: list[list[Any]]) -> None:
    """Print what each cell finds, a line each."""
    torch.set_num_threads(1)
    for part, optimizer, loss, _ in (cell for cell in cells if cell[0] == "steps"):
        CELLS[part](optimizer, loss, 100, least=1, most=1)  # what a first step loads is none of the step's memory
    for part, *arguments in cells:
        child = os.fork()
        if not child:
            try:
                print(json.dumps(rounded(CELLS[part](*arguments))), flush=True)
                os._exit(0)
            finally:
                traceback.print_exc()
                os._exit(1)
        if os.waitpid(child, 0)[1]:
            raise SystemExit(f"{part} {arguments} fails")


def rounded(found: Any) -> Any:
    """Four significant digits are more than a time repeats."""
    if isinstance(found, dict):
        return {name: rounded(value) for name, value in found.items()}
    if isinstance(found, list):
        return [rounded(value) for value in found]
    return float(f"{found:.4g}") if isinstance(found, float) else found


def steps(sizes: list[int], losses: list[str], optimizers: list[str]) -> list[dict[str, Any]]:
    found = []
    for huge in (True, False):
        names = [name for name in optimizers if huge or name in ALSO_WITHOUT]
        if not names:
            continue
        cells = [["steps", name, loss, rows] for rows in sizes for loss in losses for name in names]
        for (_, name, loss, rows), measured in zip(cells, own_processes(huge, cells), strict=True):
            found.append({"rows": rows, "loss": loss, "optimizer": name, "huge_pages": huge} | measured)
    return found


def prisms(sizes: list[int]) -> list[dict[str, Any]]:
    measured = own_processes(True, [["prism", rows] for rows in sizes])
    return [{"rows": rows} | found for rows, found in zip(sizes, measured, strict=True)]


def stream(pairs: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        [found] = own_processes(False, [["stream", pairs, min(STREAM_ROWS, pairs), folder]])
    return found


def pages(repeats: int = 3) -> list[dict[str, Any]]:
    """CPU time without and with huge pages, in turn, and the ratio of the medians."""
    found = []
    for what in OF_THE_PAPER:
        times: dict[str, dict[str, list[float]]] = {"without": {}, "with": {}}
        for _ in range(repeats):
            for name, spent in times.items():
                [measured] = own_processes(name == "with", [["pages", *what]])
                for part, ms in measured.items():
                    spent.setdefault(part, []).append(ms)
        row: dict[str, Any] = dict(zip(("dataset", "loss", "batch_size"), what, strict=True))
        for part in times["with"]:
            without, with_huge = (rounded(times[name][part]) for name in times)
            ratio = statistics.median(with_huge) / statistics.median(without)
            row[part] = {"without": without, "with": with_huge, "ratio": rounded(ratio)}
        found.append(row)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, help="write what is measured here, and keep the other parts that it has")
    parser.add_argument(
        "--part", nargs="+", choices=["steps", "prism", "stream", "quality", "pages"], help="default: all"
    )
    parser.add_argument("--rows", nargs="+", type=int, default=list(ROWS), help="of both tables together")
    parser.add_argument("--losses", nargs="+", choices=["BPR", "SSM"], default=["BPR", "SSM"])
    parser.add_argument("--optimizers", nargs="+", choices=list(TABLES), default=list(TABLES))
    parser.add_argument("--pairs", type=int, default=PAIRS, help="of the stream")
    parser.add_argument("--cells", type=json.loads, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.cells is not None:
        fork_for_each(given.cells)
        return
    if min(given.rows) < 2 or given.pairs < 1:
        parser.error("--rows must be >= 2 and --pairs >= 1")
    torch.set_num_threads(1)
    work: dict[str, Callable[[], Any]] = {
        "steps": lambda: steps(given.rows, given.losses, given.optimizers),
        "prism": lambda: prisms(given.rows),
        "stream": lambda: stream(given.pairs),
        "quality": quality,
        "pages": pages,
    }
    stored = json.loads(given.output.read_text()) if given.output and given.output.exists() else {}
    for part in given.part or work:
        print(part, flush=True)
        measured = {"date": date.today().isoformat(), "environment": environment(torch.device("cpu"))}
        stored[part] = measured | {"measured": work[part]()}
        if given.output:
            given.output.write_text(json.dumps(stored, indent=1) + "\n")


if __name__ == "__main__":
    main()
