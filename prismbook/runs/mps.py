"""NVIDIA's multi-process service: processes that share a GPU work on it at once, where they would take turns."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PROGRAM = "nvidia-cuda-mps-control"
FOLDERS = ("CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY")
#: Where the service listens by default. Processes find one there without being told.
DEFAULT = Path("/tmp/nvidia-mps/control")
#: Seconds that the service has to start or to end, and a process to reach the GPU through it.
PATIENCE, FIRST_USE = 30, 120
#: What a process does to reach the GPU. The service's daemon starts its server for the first that does.
TOUCH = "import torch; torch.ones(1, device='cuda').sum().item()"


@contextmanager
def mps(device: str) -> Iterator[str]:
    """Run the service for the processes that are started inside the block.

    Yields:
        What there is to say of it: ``"on"``, or why it is not.

    >>> with mps("cpu") as note:
    ...     note
    'not for a CPU'
    """
    if device != "cuda":
        yield "not for a CPU"
    elif os.environ.get(FOLDERS[0]) or DEFAULT.exists():
        yield "left as it is: another one is set up"
    elif shutil.which(PROGRAM) is None:
        yield f"not there, there is no {PROGRAM}: processes take turns"
    else:
        # not in TMPDIR: the path of a socket may have 107 characters
        with tempfile.TemporaryDirectory(prefix="mps-", dir="/tmp", ignore_cleanup_errors=True) as folder:
            os.environ |= dict.fromkeys(FOLDERS, folder)
            keeper = _keeper(folder)
            try:
                failed = _started(folder)
                if failed is None:
                    failed = _reached(folder)
                    if failed is not None:
                        _end(folder)
                if failed is not None:  # a process that looks for a service that does not serve fails
                    _forget()
                yield failed or "on"
            finally:
                if os.environ.get(FOLDERS[0]) == folder:
                    _end(folder)
                    _forget()
                with suppress(OSError, subprocess.TimeoutExpired):  # of a keeper that has been killed
                    keeper.communicate(b"ended", PATIENCE)


def _keeper(folder: str) -> subprocess.Popen[bytes]:
    """A process that ends the daemon where this one ends without doing it, e.g. by kill -9.

    It reads from a pipe that this process alone writes to. The pipe is closed when this process ends, however it ends.
    """
    return subprocess.Popen(
        [sys.executable, __file__, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C and a lost terminal reach all processes of one session
    )


def _keep(folder: str) -> None:
    """What the keeper does."""
    if not sys.stdin.buffer.read():  # nobody has said that the daemon is ended
        _end(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _started(folder: str) -> str | None:
    """Start the daemon; why it did not start, or None."""
    failed = _run([PROGRAM, "-d"], folder, PATIENCE)
    return None if failed is None else f"did not start, {failed}"


def _reached(folder: str) -> str | None:
    """Use the GPU through the service once: that the daemon has started does not mean that its server can."""
    failed = _run([sys.executable, "-c", TOUCH], folder, FIRST_USE)
    return None if failed is None else f"started, but no process reaches the GPU through it, {failed}"


def _run(command: list[str], folder: str, seconds: float) -> str | None:
    """Run a command; the last line of its errors where it failed, or None.

    Its outputs are not pipes. A daemon keeps what it was given, and who reads a pipe waits until all have closed it.
    """
    with Path(folder, "errors").open("w+") as errors:
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, timeout=seconds
            )
        except subprocess.TimeoutExpired:
            return f"it took longer than {seconds} s"
        errors.seek(0)
        lines = errors.read().strip().splitlines()
    if done.returncode == 0:
        return None
    return lines[-1][:200] if lines else f"exit status {done.returncode}"


def _end(folder: str) -> None:
    """Ask the daemon to end; end it where it waits for a process that does not."""
    with suppress(subprocess.TimeoutExpired):
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        done = subprocess.run([PROGRAM], input=b"quit\n", timeout=PATIENCE, **quiet)  # type: ignore[call-overload]
        if done.returncode == 0:
            return
    with suppress(OSError, ValueError):
        os.kill(int(Path(folder, f"{PROGRAM}.pid").read_text()), signal.SIGTERM)


def _forget() -> None:
    for name in FOLDERS:
        os.environ.pop(name, None)


if __name__ == "__main__":
    _keep(sys.argv[1])
