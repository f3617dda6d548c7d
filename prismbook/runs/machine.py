"""What a run ran on: its device, versions and commit, and the energy that the device counted."""

from __future__ import annotations

import ctypes
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch


def environment(device: torch.device) -> dict[str, Any]:
    """What a run ran on: versions, commit, device; nothing that names the host."""
    packages = {name: version(name) for name in ("torch", "numpy")}
    if device.type == "cuda":
        hardware = {"device": torch.cuda.get_device_name(device)}
    else:
        threads = torch.get_num_threads()
        hardware = {"device": f"{_cpu_name()}, {threads} thread{'s' * (threads > 1)}"}
    return {**hardware, "python": platform.python_version(), **packages, "commit": _commit()}


def _commit() -> str | None:
    """Commit of the source tree, with "+" where one of the two packages was changed since; None outside git."""
    tree = Path(__file__).parents[2]
    try:
        git = ["git", "-C", str(tree)]
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        changed = subprocess.run(
            [*git, "status", "--porcelain", "prismlib", "prismbook"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + "+" * bool(changed)


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


POWERCAP = Path("/sys/class/powercap")


def joules_so_far(device: torch.device) -> float | None:
    """The device's energy counter in joules, from an arbitrary start; None where it has none that we may read.

    Of a CPU: all its packages, other processes' work included; the counter is often readable by root alone, and
    starts again from 0 after some hours of load. Of a GPU: the whole card, Volta or newer.

    >>> counted = joules_so_far(torch.device("cpu"))
    >>> counted is None or counted >= 0
    True
    """
    return _nvidia(device) if device.type == "cuda" else _packages(POWERCAP)


def joules_between(before: float | None, after: float | None) -> float | None:
    """Joules between two readings of :func:`joules_so_far`; None where one is missing or the counter started again.

    >>> joules_between(100.0, 250.5), joules_between(250.5, 100.0), joules_between(None, None)
    (150.5, None, None)
    """
    if before is None or after is None or after < before:
        return None
    return round(after - before, 1)


def _packages(folder: Path) -> float | None:
    try:
        # one file a package; its parts (cores, memory) have a second number in their name
        files = sorted(folder.glob("intel-rapl:[0-9]*/energy_uj"))
        packages = [file for file in files if file.parent.name.count(":") == 1]
        return sum(int(file.read_text()) for file in packages) / 1e6 if packages else None
    except (OSError, ValueError):
        return None


def _nvidia(device: torch.device) -> float | None:
    try:
        library: Any = ctypes.CDLL("libnvidia-ml.so.1")
        handle, millijoules = ctypes.c_void_p(), ctypes.c_ulonglong()
        name = f"GPU-{torch.cuda.get_device_properties(device).uuid}".encode()
        done = [
            library.nvmlInit_v2(),
            library.nvmlDeviceGetHandleByUUID(name, ctypes.byref(handle)),
            library.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(millijoules)),
        ]
        return None if any(done) else millijoules.value / 1e3
    except (OSError, AttributeError, RuntimeError, AssertionError):  # no driver, an older one, no such GPU
        return None
