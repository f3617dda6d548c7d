"""What a run ran on: its device, versions and commit, and what it can be short of."""

from __future__ import annotations

import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from prismbook.text import plural


def environment(device: torch.device) -> dict[str, Any]:
    """What a run ran on: versions, commit and device. Nothing names the host."""
    packages = {name: version(name) for name in ("torch", "numpy")}
    if device.type == "cuda":
        hardware = {"device": torch.cuda.get_device_name(device)}
    else:
        threads = torch.get_num_threads()
        hardware = {"device": f"{_cpu_name()}, {plural(threads, 'thread')}"}
    return {**hardware, "python": platform.python_version(), **packages, "commit": _commit()}


def _commit() -> str | None:
    """The commit of the source tree, with "+" where one of the two packages was changed since; None outside git."""
    tree = Path(__file__).parents[2]
    try:
        git = ["git", "-C", str(tree)]
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        changed = subprocess.run(
            [*git, "status", "--porcelain", "prismlib", "prismbook"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{head}+" if changed else head


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


#: How an error of the machine reads, by its type or its text. PyTorch raises most of them as RuntimeError.
_SHORTAGE = re.compile(
    r"""^(_Array)?MemoryError | ^OutOfMemoryError | ^AcceleratorError | ^(ModuleNotFound|Import)Error
    | ^every\ worker\ that\ tried\ it\ was\ killed
    | CUDA\ (error|out\ of\ memory|driver) | CU(BLAS|SPARSE|SOLVER|RAND|FFT)_STATUS_ | CUDNN_STATUS_ | NVML
    | DefaultCPUAllocator | not\ enough\ memory | out\ of\ memory | (can't|cannot)\ allocate
    | too\ many\ open\ files | no\ space\ left | unable\ to\ (mmap|open\ shared|write\ to\ file)
    | can't\ start\ new\ thread | resource\ temporarily\ unavailable | worker.*(killed|exited\ unexpectedly)
    """,
    re.VERBOSE | re.IGNORECASE,
)


def is_shortage(error: BaseException | str) -> bool:
    """Whether an error says something of the machine and nothing of the run, which may go well elsewhere or later.

    These are: out of memory, on a CPU or a GPU; a GPU that fails; a full disk, too many open files, and whatever else
    the operating system refuses; a package that is not installed; a worker that was killed.

    Args:
        error: what was raised, or how it reads, ``"<type>: <message>"``.

    >>> is_shortage(MemoryError()), is_shortage("RuntimeError: CUDA error: unspecified launch failure")
    (True, True)
    >>> is_shortage(FloatingPointError("the loss became nan in epoch 3"))
    False
    """
    if isinstance(error, str):
        return _SHORTAGE.search(error) is not None
    if isinstance(error, OSError | MemoryError | ImportError) or is_shortage(f"{type(error).__name__}: {error}"):
        return True
    return error.__cause__ is not None and is_shortage(error.__cause__)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error is a shortage of memory, which other runs need not meet.

    >>> is_out_of_memory(MemoryError()), is_out_of_memory(OSError("no space left"))
    (True, False)
    """
    texts = ("out of memory", "not enough memory", "DefaultCPUAllocator", "allocate memory")
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(text in str(error) for text in texts)
    )


def check_device(device: str) -> None:
    """Raise a ValueError where PyTorch sees no such device.

    Args:
        device: ``"cpu"`` or ``"cuda"``.

    Raises:
        ValueError: ``"cuda"`` is asked for and PyTorch sees no GPU.

    >>> check_device("cpu")
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device='cuda' was asked for, but PyTorch sees no GPU here: use device='cpu'")
