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
from prismbook.runs.locks import lock, lock_path
from prismbook.runs.machine import environment
from prismbook.runs.progress import progress_bar, show, state_of
from prismbook.runs.records import (
    Record,
    default_results,
    failure_of,
    failure_path,
    load_failure,
    load_record,
    record_path,
    save_failure,
    save_record,
    stored_path,
)
from prismbook.runs.run import load_split, run
from prismlib import datasets
from prismlib.device import check_device
from prismlib.train import History


def attempt(
    config: RunConfig,
    results: Path | str,
    force: bool = False,
    retry_failed: bool = False,
    on_epoch: Callable[[RunConfig, History], None] | None = None,
) -> str:
    """Train one configuration and store its record, or its failure; unless that is done, or being done elsewhere.

    Args:
        force, retry_failed: train again what is stored; only what failed.

    Returns:
        ``"done"``, of a CPU's run also by a GPU (:func:`prismbook.runs.records.stored_path`); ``"failed"``, now or
        before; or ``"busy"``: another process is training it.

    Raises:
        RecordError: a file stands where the record should and is not one.
        ValueError: an unknown dataset, or a device that is not there.
        OSError: the machine's fault and not the run's, e.g. a full disk. Nothing half-written is left.
    """
    path = record_path(results, config, datasets.content_hash(config.dataset))
    lock_file = lock_path(path)
    start, epochs = time.perf_counter(), 0

    def told(history: History) -> None:
        nonlocal epochs
        epochs = len(history.loss)
        with suppress(OSError):  # this note is for `status` alone
            lock_file.write_text(state_of(history))
        if on_epoch is not None:
            on_epoch(config, history)

    with lock(lock_file) as acquired:
        if not acquired:
            return "busy"
        if not force and load_record(stored_path(results, config)) is not None:
            return "done"
        if not (force or retry_failed) and load_failure(path) is not None:
            return "failed"
        check_device(config.device)
        split = load_split(config.dataset, config.split_seed)
        try:
            record, scores = run(config, split, on_epoch=told)
        except Exception as error:
            if isinstance(error, OSError) or "CUDA error" in str(error):  # the machine's: no later run can do better
                raise
            own, seconds = split.dataset.content_hash, time.perf_counter() - start
            failure = failure_of(config, own, f"{type(error).__name__}: {error}", epochs + 1, seconds)
            save_failure(failure | {"environment": environment(torch.device(config.device))}, path)
            return "failed"
        save_record(record, path, replace=force, scores=scores)
        failure_path(path).unlink(missing_ok=True)
    return "done"


def attempt_all(configs: Iterable[RunConfig], results: Path | str, **options: Any) -> Iterator[tuple[RunConfig, str]]:
    """Attempt each configuration, and give each with how it ended, ``"done"`` or ``"failed"``.

    What another process is training is left for later, so that processes that fill one folder share the work.
    """
    pending = list(configs)
    while pending:
        busy = []
        for config in pending:
            state = attempt(config, results, **options)
            if state == "busy":
                busy.append(config)
            else:
                yield config, state
        if len(busy) == len(pending):
            time.sleep(0.5)
        pending = busy


def get_records(
    configs: Iterable[RunConfig],
    results: Path | str | None = None,
    train: bool = True,
    force: bool = False,
    progress: bool = True,
) -> list[Record | None]:
    """The record of each configuration: loaded where it is stored, else trained and stored.

    A run that fails, e.g. with a loss that is no longer finite, does not stop the others: its failure is stored and
    printed, its record is None, and it is not tried again but by ``force``.

    Args:
        results: folder of the records; several processes may fill it together. None is the folder ``results`` of
            the source tree, or of the current folder where the package is installed without one.
        train: False only loads; a run that is not stored is then None.
        force: train again also what is stored, and replace it; without ``train`` it means nothing.
        progress: show one progress bar over all that must be trained, where tqdm is installed.

    Raises:
        RecordError: a file stands where a record should and is not one; before any training.
        ValueError: a device that is not there; before any training.
    """
    configs = list(configs)
    results = default_results() if results is None else results
    force = force and train

    def stored() -> list[Record | None]:
        return [load_record(stored_path(results, config)) for config in configs]

    records: list[Record | None] = [None] * len(configs) if force else stored()
    missing = [config for config, record in zip(configs, records, strict=True) if record is None]
    if train and missing:
        for config in set(missing):
            check_device(config.device)
        with progress_bar(progress, total=len(missing)) as bar:
            for _ in attempt_all(missing, results, force=force, on_epoch=partial(show, bar)):
                bar.update()
        records = stored()
    for config, record in zip(configs, records, strict=True):
        path = record_path(results, config, datasets.content_hash(config.dataset))
        if record is None and (failure := load_failure(path)):
            print(f"{path.stem} failed: {failure['reason']}")
    return records
