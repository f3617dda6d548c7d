"""From a configuration to its record: train and test one run, or fetch many, trained or stored."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch

from prismbook.plan.config import RunConfig
from prismbook.runs.failures import failure_of, load_failure, save_failure
from prismbook.runs.locks import lock
from prismbook.runs.machine import check_device, environment, is_out_of_memory, is_shortage
from prismbook.runs.progress import progress_bar, show, state_of
from prismbook.runs.records import Planned, Record, load_record, planned, save_record
from prismbook.runs.run import run
from prismlib.data import Split
from prismlib.files import remove_leftovers
from prismlib.train import History


def attempt(
    planned: Planned,
    force: bool = False,
    retry_failed: bool = False,
    on_epoch: Callable[[RunConfig, History], None] | None = None,
) -> str:
    """Train one configuration and store its record, or its failure; unless that is done, or being done elsewhere.

    Args:
        planned: what to run, from :func:`prismbook.runs.records.planned`.
        force: train again also what is stored, and replace it.
        on_epoch: called with the configuration and the history after every epoch.

    Returns:
        ``"done"``: the record is stored, for a CPU's run perhaps a GPU's. ``"failed"``: the run failed, now or before.
        ``"busy"``: another process is training it.

    Raises:
        RecordError: a file stands where the record should and is not one.
        ValueError: a device that is not there.
        OSError, MemoryError, ImportError, RuntimeError: what is the machine's fault and not the run's, e.g. a full
            disk or too little memory (:func:`prismbook.runs.machine.is_shortage`). No failure is stored, nothing
            half-written is left, and a later attempt tries again.
    """
    device = planned.config.device
    start, epochs = time.perf_counter(), 0

    def note_epoch(history: History) -> None:
        nonlocal epochs
        epochs = len(history.loss)
        with suppress(OSError):  # this note is for `status` alone
            planned.lock.write_text(state_of(history))
        if on_epoch is not None:
            on_epoch(planned.config, history)

    with lock(planned.lock) as acquired:
        if not acquired:
            return "busy"
        for ending in (".json", ".npz"):
            remove_leftovers(planned.path.with_suffix(ending))
        if not force and load_record(planned.stored) is not None:
            return "done"
        if not (force or retry_failed) and load_failure(planned) is not None:
            return "failed"
        check_device(device)
        planned = planned.loaded()  # not below: data that cannot be read are not a failure of the run
        try:
            record, scores = run(planned, on_epoch=note_epoch)
        except Exception as error:
            if is_shortage(error):
                raise
            reason, seconds = f"{type(error).__name__}: {error}", time.perf_counter() - start
            failure = failure_of(planned, reason, epochs + 1, seconds)
            save_failure(failure | {"environment": environment(torch.device(device))}, planned)
            return "failed"
        save_record(record, planned.path, replace=force, scores=scores)
        planned.failure.unlink(missing_ok=True)
    return "done"


def attempt_all(runs: Iterable[Planned], **options: Any) -> Iterator[tuple[RunConfig, str]]:
    """Attempt each run, and yield its configuration with how it ended, ``"done"`` or ``"failed"``.

    What another process is training is left for later, so that processes that fill one folder share the work. A run for
    which the memory is too small is left out, and its error is raised after the others.

    Args:
        runs: what to run.
        options: further arguments of :func:`attempt`.

    Raises:
        MemoryError, RuntimeError: the first shortage of memory, when all other runs have ended.
        Exception: at once, what :func:`attempt` raises otherwise.
    """
    pending = list(runs)
    shortages: list[Exception] = []
    while pending:
        busy = []
        for one in pending:
            try:
                state = attempt(one, **options)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                shortages.append(error)
                continue
            if state == "busy":
                busy.append(one)
            else:
                yield one.config, state
        if busy and len(busy) == len(pending):
            time.sleep(0.5)
        pending = busy
    if shortages:
        raise shortages[0]


def rounds(wanted: Callable[[], Iterable[RunConfig]]) -> Iterator[list[RunConfig]]:
    """What is wanted and was in no earlier round, round by round until nothing is: a grid, and then its choice.

    Args:
        wanted: called before each round. What has been run by then may decide what it gives.

    >>> plans = iter([["grid"], ["grid", "choice"], ["grid", "choice"]])
    >>> list(rounds(lambda: next(plans)))
    [['grid'], ['choice']]
    """
    tried: set[RunConfig] = set()
    while todo := [config for config in dict.fromkeys(wanted()) if config not in tried]:
        tried |= set(todo)
        yield todo


def get_records(
    configs: Iterable[RunConfig],
    results: Path | str | None = None,
    train: bool = True,
    force: bool = False,
    progress: bool = True,
    split: Split | None = None,
) -> list[Record | None]:
    """The record of each configuration: loaded where it is stored, else trained and stored.

    A run that fails, e.g. with a loss that is no longer finite, does not stop the others. Its failure is stored and
    printed, its record is None, and only ``force`` tries it again.

    Args:
        configs: the runs that are wanted.
        results: the folder of the records, which several processes may fill together. None is the folder ``results``
            of the source tree, or of the current folder where the package is installed without one.
        train: False only loads; a run that is not stored is then None.
        force: train again also what is stored, and replace it; without ``train`` it means nothing.
        progress: show one progress bar over all that must be trained, where tqdm is installed.
        split: a split of your own, e.g. by time, on which all runs are trained and tested. Its seed must be their
            ``split_seed``; its hash is part of their identity, and the records have its name. None is the random split
            of each configuration.

    Raises:
        RecordError: a file stands where a record should and is not one; before any training.
        ValueError: an unknown dataset, a device that is not there, or a split that is not the configurations'; before
            any training.
        OSError, MemoryError, ImportError, RuntimeError: as of :func:`attempt`, the machine's fault.

    >>> from prismlib import random_split, synthetic
    >>> from prismlib.data import Split
    >>> random = random_split(synthetic(), seed=123)
    >>> swapped = Split(random.dataset, 123, random.train, random.test, random.validation, name="swapped")
    >>> get_records([RunConfig("synthetic", "bpr")], "no-such-folder", train=False, split=swapped)
    [None]
    """
    runs = [planned(config, results, split) for config in configs]
    force = force and train
    records: list[Record | None] = [None if force else load_record(one.stored) for one in runs]
    missing = [one for one, record in zip(runs, records, strict=True) if record is None]
    if train and missing:
        for device in {one.config.device for one in missing}:
            check_device(device)
        with progress_bar(progress, total=len(missing)) as bar:
            for _ in attempt_all(missing, force=force, on_epoch=partial(show, bar)):
                bar.update()
        records = [load_record(one.stored) for one in runs]
    for one, record in zip(runs, records, strict=True):
        if record is None and (failure := load_failure(one)):
            print(f"{one.path.stem} failed: {failure['reason']}")
    return records
