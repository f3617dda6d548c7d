"""What a run runs on: device, versions, commit."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch


def check_device(device: str) -> None:
    """Raise a ValueError where PyTorch sees no such device."""
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device='cuda' was asked for, but PyTorch sees no GPU here: use device='cpu'")


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
    """Commit of the source tree the package runs from, with "+" where it was changed since; None outside git."""
    here = Path(__file__).parent
    try:
        git = ["git", "-C", str(here)]
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        changed = subprocess.run(
            [*git, "status", "--porcelain", "."], capture_output=True, text=True, check=True
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
