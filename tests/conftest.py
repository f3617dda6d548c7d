"""What several files of tests need."""

from __future__ import annotations

import gc
import signal
from collections.abc import Iterator

import pytest


def pytest_collection_finish() -> None:
    """What is imported by then stays to the end. Not to search it for garbage saves a few per cent of the time."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def heeded_signals() -> Iterator[None]:
    """Signals that nohup or a shell's &, which tests are started by, leave ignored end what they are sent to again."""
    ignored = {}
    for name, handler in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) == signal.SIG_IGN:
            ignored[number] = signal.signal(number, handler)
    yield
    for number, before in ignored.items():
        signal.signal(number, before)
