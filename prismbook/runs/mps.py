"""NVIDIA's multi-process service: processes that share a GPU work on it at once, where they would take turns."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

PROGRAM = "nvidia-cuda-mps-control"
FOLDERS = ("CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY")


@contextmanager
def mps(device: str) -> Iterator[str]:
    """Run the service for the processes that are started inside the block.

    Args:
        device: ``"cuda"``, or ``"cpu"``, which needs no service.

    Yields:
        What there is to say of it: ``"on"``, or why it is not.

    >>> with mps("cpu") as note:
    ...     note
    'not for a CPU'
    """
    if device != "cuda":
        yield "not for a CPU"
    elif os.environ.get(FOLDERS[0]):
        yield "left as it is: another one is set up"
    elif shutil.which(PROGRAM) is None:
        yield f"not there, there is no {PROGRAM}: processes take turns"
    else:
        with tempfile.TemporaryDirectory() as folder:
            os.environ |= dict.fromkeys(FOLDERS, folder)
            started = subprocess.run([PROGRAM, "-d"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
            try:
                yield "on" if started.returncode == 0 else f"did not start, {started.stderr.strip()[:200]}"
            finally:
                if started.returncode == 0:
                    subprocess.run([PROGRAM], input="quit\n", capture_output=True, text=True)
                for name in FOLDERS:
                    del os.environ[name]
