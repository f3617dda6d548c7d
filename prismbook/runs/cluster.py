"""Runs on other machines and GPUs, through dask.distributed: one task per run, one run at a time per worker.

The workers write the records themselves, into a folder that all machines share: what is finished is safe whatever
happens to the scheduler, to other workers or to the process that asked.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from prismbook.extras import need
from prismbook.plan.config import RunConfig
from prismbook.runs.attempts import attempt
from prismbook.runs.machine import is_out_of_memory
from prismbook.runs.records import planned


def work(config: RunConfig, results: Path, name: str, retry_failed: bool) -> str:
    """What a worker does for one run: :func:`prismbook.runs.attempts.attempt`.

    Args:
        name: the file name of the run's record by the client's prismlib.

    Raises:
        ValueError: the worker does not see the results folder, or its prismlib names the run otherwise.
    """
    if not results.is_dir():
        raise ValueError(f"a worker sees no folder {results}: all workers must share the results folder")
    run = planned(config, results)
    if run.path.name != name:
        raise ValueError(f"a worker has another version of prismlib: it does not know the run as {name}")
    return attempt(run, retry_failed=retry_failed)


def attempt_on_cluster(
    configs: Sequence[RunConfig], results: Path, scheduler: str, retry_failed: bool = False, timeout: float = 20
) -> Iterator[tuple[RunConfig, str]]:
    """As :func:`prismbook.runs.attempts.attempt_all`, by the workers of a scheduler.

    A run whose worker is killed goes to another worker. A run that several workers did not survive, or for which the
    memory of a worker is too small, is left out, and its error is raised after the others.

    Args:
        scheduler: the scheduler's address, or its scheduler file.
        timeout: how many seconds to wait for the scheduler's answer.

    Raises:
        ModuleNotFoundError: dask.distributed is not installed.
        ConnectionError: the scheduler cannot be reached, or is lost.
        ChildProcessError: every worker that tried a run was killed; when all other runs have ended.
        OSError, ValueError: what a worker raised, e.g. a full disk or a device that is not there.
    """
    need("cluster", "distributed")
    from distributed import KilledWorker, as_completed
    from distributed.comm.core import CommClosedError

    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what matters is raised, in one line
    scheduler = _address(scheduler)
    client = _connect(scheduler, timeout)
    sweep = uuid4().hex[:8]
    submitted: dict[object, RunConfig] = {}
    shortages: list[Exception] = []

    def submit(config: RunConfig) -> object:
        name = planned(config, results).path.name
        key = f"{name}-{sweep}-{uuid4().hex[:4]}"
        future = client.submit(work, config, results, name, retry_failed, key=key, pure=False)
        submitted[future] = config
        return future

    try:
        _announce_workers(client, scheduler)
        ended = as_completed([submit(config) for config in configs], loop=client.loop)
        for future in ended:
            config = submitted.pop(future)
            try:
                state = future.result()
            except KilledWorker as error:
                shortages.append(_killed(config, results, str(error)))
                continue
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                shortages.append(error)
                continue
            except (CancelledError, CommClosedError):
                raise ConnectionError(f"the scheduler at {scheduler} is lost") from None
            if state == "busy":  # another sweep on the same folder is training it
                time.sleep(0.5)
                ended.add(submit(config))
            else:
                yield config, state
        if shortages:
            raise shortages[0]
    finally:
        with suppress(OSError, TimeoutError):  # where the scheduler is gone
            client.cancel(list(submitted))
            client.close(timeout=2)


def _address(scheduler: str) -> str:
    """The scheduler's address, read from its scheduler file where that is what was named."""
    if not Path(scheduler).is_file():
        return scheduler
    try:  # as dask writes it with --scheduler-file
        return str(json.loads(Path(scheduler).read_text())["address"])
    except (ValueError, LookupError, TypeError) as error:
        raise ConnectionError(f"{scheduler} is no scheduler file as dask writes it ({error!r})") from None


def _connect(scheduler: str, timeout: float) -> Any:
    """A client of the scheduler that has this address."""
    from distributed import Client

    try:
        return Client(scheduler, timeout=timeout, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ConnectionError(f"no scheduler answers at {scheduler} ({error})") from None


def _announce_workers(client: Any, scheduler: str) -> None:
    """Say where no worker is there yet, and where one would train several runs at once."""
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    if not workers:
        print(f"{scheduler} has no worker yet; runs start when one joins", flush=True)
    if any(worker["nthreads"] > 1 for worker in workers):
        print("a worker with several threads trains several runs at once: start it with --nthreads 1", flush=True)


def _killed(config: RunConfig, results: Path, reason: str) -> ChildProcessError:
    name = planned(config, results).path.stem
    return ChildProcessError(f"{name}: every worker that tried it was killed, out of memory perhaps ({reason})")
