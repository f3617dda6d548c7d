"""Several processes of this machine that share the runs of a sweep, end in time, and end with their parent."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import cast

import torch

from prismbook.plan.config import RunConfig
from prismbook.runs.attempts import attempt
from prismbook.runs.cost import Costs, duration, kind
from prismbook.runs.endings import CLOSED_PIPE, GRACE, OutOfTime, until
from prismbook.runs.machine import check_device, environment, is_out_of_memory, is_shortage
from prismbook.runs.mps import mps
from prismbook.runs.records import Planned, load_record, planned, scan
from prismbook.text import plural

#: The last seconds of the time, in which processes end by themselves. An epoch of a GPU is waited for as a whole.
LAST_GRACE = {"cpu": 1.0, "cuda": 5.0}


def seconds(text: str) -> float:
    """A time as it is typed, in seconds.

    Args:
        text: a number with ``s``, ``m`` or ``h``.

    Raises:
        ValueError: it is not a time.

    >>> seconds("9m"), seconds("1.5h"), seconds("20s")
    (540.0, 5400.0, 20.0)
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    if match is None or not float(match[1]) > 0:
        raise ValueError(f"a time must be a number > 0 with s, m or h, e.g. 9m, got {text!r}")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]


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
    todo: Sequence[RunConfig],
    results: Path,
    end: float | None,
    retry: bool = False,
    lifeline: Connection | None = None,
) -> None:
    """What one process does: each run that is free and can end in time, one after the other, with a line for each.

    A run of a kind that this device never ran is started too. A run that is still going when the time is over is
    stopped between two steps, and nothing of it is stored. So it is when the process at the other end of the lifeline
    ends. A run for which the memory is too small is left out, and its error is raised after the others.

    The end is a time of ``time.time()``, and None for no limit. With ``retry`` what failed before is trained too.

    Raises:
        Exception: what :func:`prismbook.runs.attempts.attempt` raises.
    """
    if not todo:
        return
    shortages: list[Exception] = []
    too_long: list[float] = []  # seconds
    run: Planned | None = None
    try:
        with until(end, lifeline):
            costs = Costs(scan(results)[0], environment(torch.device(todo[0].device))["device"])
            for config in todo:
                if load_record(planned(config, results).stored) is not None:
                    continue
                needed = longest(config, costs) or 0.0
                if end is not None and time.time() + needed > end:
                    too_long.append(needed)
                    continue
                run = planned(config, results)
                try:
                    outcome = attempt(run, retry_failed=retry)
                except (MemoryError, RuntimeError) as error:
                    if not is_out_of_memory(error):
                        raise
                    shortages.append(error)
                    continue
                if outcome != "busy":
                    costs.add(load_record(run.stored))
                    print(f"{run.path.stem} {outcome}", flush=True)
            if too_long:
                shortest = duration(min(too_long) / 3600)
                print(f"{plural(len(too_long), 'run')} not started: the shortest may take {shortest}", flush=True)
    except OutOfTime:
        if run is not None and not run.stored.exists():
            print(f"{run.path.stem} stopped: the time is over, and nothing of it is stored", flush=True)
        return
    if shortages:
        raise shortages[0]


def _process(
    todo: Sequence[RunConfig],
    results: Path,
    end: float | None,
    retry: bool,
    number: int,
    lifeline: Connection | None,
    reason: Connection | None = None,
) -> None:
    """One of several processes; why it ended with an error goes to ``reason``, for the parent to say it once."""
    if "OMP_NUM_THREADS" not in os.environ:  # or each process would take all cores
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // number))
    try:
        work(todo, results, end, retry, lifeline)
    except BrokenPipeError:  # nobody reads the lines
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # where the rest of the buffer goes
        sys.exit(CLOSED_PIPE)
    except Exception as error:
        if not (isinstance(error, ValueError) or is_shortage(error)):
            traceback.print_exc()  # a fault of this project needs it
        if reason is not None:
            with suppress(OSError):  # where the parent has gone
                reason.send(str(error).strip() or type(error).__name__)
        sys.exit(1)


def work_together(
    todo: Sequence[RunConfig], results: Path, number: int, end: float | None, retry: bool = False
) -> None:
    """Have several processes share runs through the locks of the results' folder, until they have all ended.

    They end with this process, whatever ends it. What was finished is kept. The end and ``retry`` are as in
    :func:`work`.

    Raises:
        ValueError: ``number`` < 1, or a device that is not there.
        ChildProcessError: a process ended with an error, or was killed. Its message is the message of the first error.
        BrokenPipeError: nobody reads what is printed.
    """
    if number < 1:
        raise ValueError(f"workers must be >= 1, got {number}")
    if not todo:
        return
    check_device(todo[0].device)
    last_grace = LAST_GRACE[todo[0].device]
    work_end = None if end is None else end - last_grace
    context = multiprocessing.get_context("spawn")  # a GPU cannot be shared with a forked process
    with mps(todo[0].device) as note:
        if todo[0].device == "cuda":
            print(f"multi-process service: {note}", flush=True)
        # this process alone has the other end, which is closed when it ends, even by kill -9
        lifeline, here = context.Pipe(duplex=False)
        reasons = [context.Pipe(duplex=False) for _ in range(number)]
        processes = [
            context.Process(target=_process, args=(todo, results, work_end, retry, number, lifeline, reason))
            for _, reason in reasons
        ]
        try:
            with _without_ctrl_c():
                for process in processes:
                    process.start()
            _wait_for(processes, work_end)
        finally:
            # a process that is killed amid its work on a GPU may take the service with it, and so all others: ask first
            here.close()
            terminated = _end(processes, GRACE if work_end is None or time.time() < work_end else last_grace)
    said = [source.recv() for source, _ in reasons if source.poll()]
    broken = [process.exitcode for process in processes if process.exitcode and process not in terminated]
    if broken:
        raise ChildProcessError(_what_happened(said, broken, number))


@contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """A block whose new processes ignore Ctrl-C, which reaches this process too: it ends them in its own way."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _wait_for(processes: Iterable[SpawnProcess], end: float | None) -> None:
    """Wait until all have ended, or the time is over, or one found that nobody reads what it prints."""
    running = {process.sentinel: process for process in processes}
    while running and (end is None or time.time() < end):
        for sentinel in wait(list(running), None if end is None else max(0.0, end - time.time())):
            process = running.pop(cast(int, sentinel))
            process.join()  # its sentinel is ready shortly before its exit status is
            if process.exitcode == CLOSED_PIPE:
                raise BrokenPipeError


def _end(processes: Iterable[SpawnProcess], grace: float) -> list[SpawnProcess]:
    """Wait some seconds for processes that were asked to end, then terminate and return those that have not."""
    last = time.monotonic() + grace
    terminated = []
    for process in processes:
        if process.pid is not None:
            process.join(max(0.0, last - time.monotonic()))
            if process.is_alive():
                process.terminate()
                process.join()
                terminated.append(process)
    return terminated


def _what_happened(said: Sequence[str], codes: Sequence[int | None], number: int) -> str:
    """What there is to say of processes that ended with an error.

    The exit status of a killed one is the signal's number, negative.
    """
    texts = list(dict.fromkeys(said))
    killed = [signal.Signals(-code).name for code in codes if code is not None and code < 0]
    if killed:
        texts.append(f"{len(killed)} of {number} workers killed by {killed[0]}, out of memory perhaps")
    more = f" (and {plural(len(texts) - 1, 'other error')} of workers)" if len(texts) > 1 else ""
    return (texts[0] if texts else f"{len(codes)} of {number} workers ended with an error") + more
