"""How a process ends: within a time, together with the process that started it, and by a signal as after an error."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from types import FrameType

#: What a shell reports of a program that a closed pipe has ended, which is 128 and the number of the signal SIGPIPE.
CLOSED_PIPE = 141
#: Seconds between two looks at the clock and at the process that started this one, and between two interruptions.
LOOK, AGAIN = 0.25, 1.0
#: Seconds that a process has to end by itself, once it is asked to.
GRACE = 30.0


class OutOfTime(BaseException):
    """Ends a run whose time is over. It is not an :class:`Exception`: nothing of the run is stored."""


class EndedBySignal(BaseException):
    """Ends a command that was sent a signal, whose :class:`signal.Signals` it carries, so that clean-up is done."""


@contextmanager
def signals_raise() -> Iterator[None]:
    """A block in which SIGTERM and SIGHUP raise :class:`EndedBySignal`, as Ctrl-C raises KeyboardInterrupt.

    A signal that is ignored, as SIGHUP under nohup, stays ignored. Only a process's main thread can take signals: in
    another thread nothing changes.
    """

    def end(number: int, frame: FrameType | None) -> None:
        raise EndedBySignal(signal.Signals(number))

    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]  # Windows has no SIGHUP
    if threading.current_thread() is not threading.main_thread():
        names = []
    taken = [number for name in names if signal.getsignal(number := getattr(signal, name)) == signal.SIG_DFL]
    for number in taken:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def until(end: float | None, lifeline: Connection | None = None) -> Iterator[None]:
    """A block that :class:`OutOfTime` ends, between any two steps, when its time is over or its starter has gone.

    The interruption is a signal to the main thread, which Python handles between two of its instructions. A step of
    training, which is one call, is finished first. In another thread than the main one, nothing is interrupted. A
    process with a lifeline that has not left the block :data:`GRACE` seconds later is ended at once.

    Args:
        end: the time at which the block ends, of ``time.time()``; None for no limit.
        lifeline: a connection whose other end is with the process that started this one. The block ends when the other
            end is closed, as it is when that process ends, however it ends. None where there is no such process.

    >>> with until(time.time() + 60):
    ...     print("in time")
    in time
    """
    main = threading.main_thread()
    if threading.current_thread() is not main or (end is None and lifeline is None):
        yield
        return
    left, asked = threading.Event(), threading.Event()
    before = signal.getsignal(signal.SIGINT)

    def interrupted(number: int, frame: FrameType | None) -> None:
        if asked.is_set() and not left.is_set():
            raise OutOfTime
        if callable(before):  # Ctrl-C
            before(number, frame)

    def is_over() -> bool:
        """Wait for a moment, and say whether the block is to end."""
        pause = LOOK if end is None else max(0.0, min(LOOK, end - time.time()))
        if lifeline is None:
            left.wait(pause)
        elif wait([lifeline], pause):
            return True
        return end is not None and time.time() >= end

    def watch() -> None:
        while not left.is_set():
            if is_over():
                asked.set()
                last = time.monotonic() + GRACE
                while not left.is_set():  # again, in case that something has swallowed it
                    _interrupt(main)
                    left.wait(AGAIN)
                    if lifeline is not None and time.monotonic() > last and not left.is_set():
                        os._exit(1)

    watcher = threading.Thread(target=watch, daemon=True)
    try:
        signal.signal(signal.SIGINT, interrupted)
        watcher.start()
        yield
    finally:
        try:
            left.set()
        finally:
            left.set()  # where the interruption came just before
            watcher.join()
            signal.signal(signal.SIGINT, before)


def _interrupt(thread: threading.Thread) -> None:
    """Have the main thread handle SIGINT: also one that waits for the network, where the system can."""
    if hasattr(signal, "pthread_kill") and thread.ident is not None:
        signal.pthread_kill(thread.ident, signal.SIGINT)
    else:
        signal.raise_signal(signal.SIGINT)
