"""What a sweep leaves beside records: claims on the runs in hand, and the failures, each in a file of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from prismlib.config import SEMANTICS, RunConfig, run_id
from prismlib.records import write_json

Failure = dict[str, Any]


def claim_path(record: Path) -> Path:
    """Of the run whose record is at ``results/<dataset>/<name>.json``: ``results/.claims/<dataset>-<name>.lock``."""
    return record.parents[1] / ".claims" / f"{record.parent.name}-{record.stem}.lock"


@contextmanager
def claim(path: Path) -> Iterator[bool]:
    """Hold a run for this process: True, or False where another holds it.

    The lock is the operating system's, so that of a killed process is free again at once.

    >>> import tempfile
    >>> with claim(Path(tempfile.mkdtemp()) / "run.lock") as mine:
    ...     mine
    True
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, blocking=False)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        with suppress(OSError):  # Windows removes no open file; then it stays, and is free
            path.unlink(missing_ok=True)
        lock.release()


def in_flight(path: Path) -> str | None:
    """What the process that holds this claim last wrote into it; None where nobody holds it."""
    if not path.exists():
        return None
    with claim(path) as free:
        if free:
            return None
        with suppress(OSError):
            return path.read_text() or "first epoch"
        return "first epoch"


def failure_path(record: Path) -> Path:
    """Where the failure of a run stands: under the name of its record, in a folder ``failed`` beside it."""
    return record.parent / "failed" / record.name


def failure_of(config: RunConfig, content_hash: str, reason: str, epochs: int = 0, seconds: float = 0.0) -> Failure:
    """What is stored of a run that failed, as of now.

    >>> failure_of(RunConfig("gowalla", "bpr"), "x", "out of memory")["reason"]
    'out of memory'
    """
    return {
        "id": run_id(config, content_hash),
        "semantics": SEMANTICS,
        "config": vars(config).copy(),
        "reason": reason,
        "epochs": epochs,
        "seconds": round(seconds, 3),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def save_failure(failure: Failure, record: Path) -> None:
    """Write a failure atomically; a later one of the same run replaces it."""
    write_json(failure, failure_path(record), replace=True)


def load_failure(record: Path) -> Failure | None:
    """The failure of the run whose record would be at ``record``; None where it has not failed.

    A file that cannot be read is a failure too, with that as its reason.
    """
    path = failure_path(record)
    try:
        failure = json.loads(path.read_text())
        return {"epochs": 0, "seconds": 0.0, "reason": "no reason was stored", **failure}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        return {"epochs": 0, "seconds": 0.0, "reason": f"{path} is not readable ({error})"}
