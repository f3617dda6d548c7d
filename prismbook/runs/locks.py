"""Locks, so that processes that fill one results folder never train the same run twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def lock(path: Path) -> Iterator[bool]:
    """Hold the lock of a run for this process: True, or False where another process holds it.

    The lock is the operating system's. When a process is killed, its locks are free at once.

    >>> import tempfile
    >>> with lock(Path(tempfile.mkdtemp()) / "run.lock") as acquired:
    ...     acquired
    True
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file_lock = FileLock(path, blocking=False)
    try:
        file_lock.acquire()
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        with suppress(OSError):  # Windows removes no open file; then it stays, and is free
            path.unlink(missing_ok=True)
        file_lock.release()


def in_flight(path: Path) -> str | None:
    """What the process that holds a lock last wrote into it; None where no process holds it."""
    if not path.exists():
        return None
    with lock(path) as free:
        if free:
            return None
        with suppress(OSError):
            return path.read_text() or "first epoch"
        return "first epoch"
