"""A training step of non-linear MF: fresh, and with dead units that decay has worn down, kept and flushed.

    python benchmarks/denormals.py --output benchmarks/denormals.json

They are measured one after the other in one run, on one thread: torch's worker threads keep the state they started in.
"""

from __future__ import annotations

import argparse
import json
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch

from prismbook.runs.machine import environment
from prismlib import SSM
from prismlib._device import flushed_denormals
from prismlib.models import NonLinearMF
from prismlib.optim import make_optimizer
from prismlib.train import train_step

USERS, ITEMS, PAIRS = 6_039, 3_628, 16_384  # MovieLens1M's, and SSM's batch


def worn(model: NonLinearMF, units: int = 8) -> None:
    """Some of the hidden units' weights as decay leaves them where a unit gets no gradient."""
    with torch.no_grad():
        for mlp in (model.user_mlp, model.item_mlp):
            mlp[0].weight[:units] = 1e-39
            mlp[0].bias[:units] = 0.0
            mlp[2].weight[:, :units] = 1e-39


def seconds(flushed: bool, decayed: bool, steps: int) -> float:
    """Median time of a step."""
    generator = torch.Generator().manual_seed(0)
    model = NonLinearMF(USERS, ITEMS, generator=generator)
    if decayed:
        worn(model)
    optimizer = make_optimizer("sgd", [model], lr=1e-30)  # the state stays as it is
    users, items = (torch.randint(size, (PAIRS,), generator=generator) for size in (USERS, ITEMS))
    times = []
    with flushed_denormals() if flushed else nullcontext():
        for _ in range(steps):
            start = time.perf_counter()
            train_step(model, SSM(), optimizer, users, items, num_items=ITEMS, generator=generator)
            times.append(time.perf_counter() - start)
    return float(np.median(times))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=15, help="of each kind")
    parser.add_argument("--output", type=Path, help="write the times here, as JSON")
    given = parser.parse_args()
    torch.set_num_threads(1)
    times = {
        name: seconds(flushed, decayed, given.steps)
        for name, flushed, decayed in (
            ("fresh", False, False),
            ("worn", False, True),
            ("worn, flushed", True, True),
        )
    }
    report = {"pairs": PAIRS, "seconds": times, "environment": environment(torch.device("cpu"))}
    print(json.dumps(report, indent=2))
    if given.output:
        given.output.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
