"""Runs on other machines and GPUs, through dask.distributed: one task a run, one run at a time on a worker.

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
from uuid import uuid4

from prismbook.extras import need
from prismbook.plan.config import RunConfig
from prismbook.runs.attempts import attempt
from prismbook.runs.records import failure_of, record_path, save_failure
from prismlib import datasets


def work(config: RunConfig, results: Path, name: str, retry_failed: bool) -> str:
    """What a worker does for one run: :func:`prismbook.runs.attempts.attempt`.

    Raises:
        ValueError: the worker does not see the results folder, or its prismlib names the run otherwise.
    """
    if not results.is_dir():
        raise ValueError(f"a worker sees no folder {results}: all workers must share the results folder")
    if record_path(results, config, datasets.content_hash(config.dataset)).name != name:
        raise ValueError(f"a worker has another version of prismlib: it does not know the run as {name}")
    return attempt(config, results, retry_failed=retry_failed)


def attempt_all(
    configs: Sequence[RunConfig], results: Path, scheduler: str, retry_failed: bool = False, timeout: float = 20
) -> Iterator[tuple[RunConfig, str]]:
    """As :func:`prismbook.runs.attempts.attempt_all`, by the workers of a scheduler.

    A run whose worker is killed goes to another; one that has killed several is recorded as failed.

    Raises:
        ModuleNotFoundError: dask.distributed is not installed.
        ConnectionError: the scheduler cannot be reached, or is lost.
        OSError, ValueError: what a worker raised, e.g. a full disk or a device that is not there.
    """
    need("cluster", "distributed")
    from distributed import Client, KilledWorker, as_completed
    from distributed.comm.core import CommClosedError

    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what matters is raised, in one line
    if Path(scheduler).is_file():  # as dask writes it with --scheduler-file
        try:
            scheduler = json.loads(Path(scheduler).read_text())["address"]
        except (ValueError, LookupError, TypeError) as error:
            raise ConnectionError(f"{scheduler} is no scheduler file as dask writes it ({error!r})") from None
    try:
        client = Client(scheduler, timeout=timeout, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ConnectionError(f"no scheduler answers at {scheduler} ({error})") from None

    sweep = uuid4().hex[:8]
    asked: dict[object, RunConfig] = {}

    def submit(config: RunConfig) -> object:
        name = record_path(results, config, datasets.content_hash(config.dataset)).name
        key = f"{name}-{sweep}-{uuid4().hex[:4]}"
        future = client.submit(work, config, results, name, retry_failed, key=key, pure=False)
        asked[future] = config
        return future

    try:
        workers = client.scheduler_info(n_workers=-1)["workers"].values()
        if not workers:
            print(f"{scheduler} has no worker yet; runs start when one joins", flush=True)
        if any(worker["nthreads"] > 1 for worker in workers):
            print("a worker with several threads trains several runs at once: start it with --nthreads 1", flush=True)
        ended = as_completed([submit(config) for config in configs], loop=client.loop)
        for future in ended:
            config = asked.pop(future)
            try:
                state = future.result()
            except KilledWorker as error:
                _killed(config, results, str(error))
                state = "failed"
            except (CancelledError, CommClosedError):
                raise ConnectionError(f"the scheduler at {scheduler} is lost") from None
            if state == "busy":  # another sweep on the same folder is training it
                time.sleep(0.5)
                ended.add(submit(config))
            else:
                yield config, state
    finally:
        with suppress(OSError, TimeoutError):  # where the scheduler is gone
            client.cancel(list(asked))
            client.close(timeout=2)


def _killed(config: RunConfig, results: Path, reason: str) -> None:
    content_hash = datasets.content_hash(config.dataset)
    reason = f"every worker that tried it was killed, out of memory perhaps ({reason})"
    # without an environment: this process is not where it ran
    save_failure(failure_of(config, content_hash, reason), record_path(results, config, content_hash))
