"""Several processes of this machine that share the runs of a sweep, and end in time by themselves."""

from __future__ import annotations

import multiprocessing
import os
import re
import time
from collections.abc import Sequence
from multiprocessing.synchronize import Event
from pathlib import Path

import torch

from prismbook.plan.config import RunConfig
from prismbook.runs.attempts import attempt
from prismbook.runs.cost import Costs, kind
from prismbook.runs.machine import SHARED, check_device, environment
from prismbook.runs.mps import mps
from prismbook.runs.records import load_record, planned, scan
from prismlib.train import History

#: Seconds that a process has to end by itself, once it is asked to.
GRACE = 30.0


class OutOfTime(BaseException):
    """Ends a run that takes longer than expected. It is no :class:`Exception`: nothing of the run is stored."""


def seconds(text: str) -> float:
    """A time as it is typed, in seconds.

    Args:
        text: a number with ``s``, ``m`` or ``h``.

    Raises:
        ValueError: it is none.

    >>> seconds("9m"), seconds("1.5h"), seconds("20s")
    (540.0, 5400.0, 20.0)
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    if found is None or not float(found[1]) > 0:
        raise ValueError(f"a time must be a number > 0 with s, m or h, e.g. 9m, got {text!r}")
    return float(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2]]


def longest(config: RunConfig, costs: Costs) -> float | None:
    """Seconds that a run may take: the most epochs of a run of its kind, at the kind's time per epoch. None if unknown.

    Args:
        config: the run.
        costs: what runs took; where no run of the kind is stored, ``max_epochs`` counts.
    """
    spent, epochs = costs.spent.get(kind(config), (0.0, 0))
    if not epochs:
        return None
    return min(max(costs.epochs.get(kind(config), [config.max_epochs])), config.max_epochs) * spent / epochs


def work(
    todo: Sequence[RunConfig], results: Path, end: float | None, retry: bool = False, stop: Event | None = None
) -> None:
    """What one process does: each run that is free and can end in time, one after the other, with a line for each.

    A run of a kind that this device never ran is started too. A run that is still going when the time is over is
    stopped, and nothing of it is stored.

    Args:
        todo: the runs, in their order.
        results: the folder of the records.
        end: the time at which to have ended, of ``time.time()``; None for no limit.
        retry: train also what failed before.
        stop: set when the time is over at once; None where nobody sets it.
    """
    if not todo:
        return
    costs = Costs(scan(results)[0], environment(torch.device(todo[0].device))["device"])

    def watch(config: RunConfig, history: History) -> None:
        if (end is not None and time.time() > end) or (stop is not None and stop.is_set()):
            raise OutOfTime

    for config in todo:
        if stop is not None and stop.is_set():
            return
        needed = longest(config, costs)
        if end is not None and time.time() + (needed or 0.0) > end:
            continue
        run = planned(config, results)
        if load_record(run.stored) is not None:
            continue
        try:
            outcome = attempt(run, retry_failed=retry, on_epoch=watch)
        except OutOfTime:
            print(f"{run.path.stem} stopped: the time is over, and nothing of it is stored", flush=True)
            return
        if outcome != "busy":
            costs.add(load_record(run.stored))
            print(f"{run.path.stem} {outcome}", flush=True)


def _process(
    todo: Sequence[RunConfig], results: Path, end: float | None, retry: bool, number: int, stop: Event
) -> None:
    """One of several processes."""
    if number > 1:
        os.environ[SHARED] = "1"
    if "OMP_NUM_THREADS" not in os.environ:  # or each process would take all cores
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // number))
    work(todo, results, end, retry, stop)


def work_together(
    todo: Sequence[RunConfig], results: Path, number: int, end: float | None, retry: bool = False
) -> None:
    """Have several processes share runs through the locks of the results' folder, until they have all ended.

    Args:
        todo: the runs, in their order.
        results: the folder of the records.
        number: how many processes, >= 1.
        end: the time at which to have ended, of ``time.time()``; None for no limit.
        retry: train also what failed before.

    Raises:
        ValueError: ``number`` < 1, or a device that is not there.
        RuntimeError: a process ended with an error, which it has printed.
    """
    if number < 1:
        raise ValueError(f"workers must be >= 1, got {number}")
    if not todo:
        return
    check_device(todo[0].device)
    context = multiprocessing.get_context("spawn")  # a GPU cannot be shared with a forked process
    with mps(todo[0].device) as note:
        if todo[0].device == "cuda":
            print(f"multi-process service: {note}", flush=True)
        stop = context.Event()
        given = (todo, results, end, retry, number, stop)
        processes = [context.Process(target=_process, args=given) for _ in range(number)]
        try:
            for process in processes:
                process.start()
            for process in processes:
                process.join()
        finally:
            # a process that is killed amid its work on a GPU may take the service with it, and so all others: ask first
            stop.set()
            last = time.monotonic() + GRACE
            for process in processes:
                if process.pid is not None:
                    process.join(max(0.0, last - time.monotonic()))
                if process.is_alive():
                    process.terminate()
                    process.join()
    broken = [process.exitcode for process in processes if process.exitcode]
    if broken:
        raise RuntimeError(f"{len(broken)} of {number} workers ended with an error; what was finished is kept")
