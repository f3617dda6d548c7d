"""What a GPU does with captured steps and the fused kernel, in under three minutes; needs PyTorch and NumPy alone.

    python benchmarks/gpu_check.py                    on Gowalla where it is prepared, else on random data of its sizes
    python benchmarks/gpu_check.py --device cpu       a rehearsal on tiny data: every part runs, no number means much

Each part is stored in --output as soon as it has ended, and parts for which no time is left are named. The last line
says which targets are met. The GPU must be idle otherwise.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from runpy import run_path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from prismlib import (  # noqa: E402
    BPR,
    MAWU,
    MF,
    SSM,
    Dataset,
    DirectAU,
    FullRanking,
    History,
    LightGCN,
    NonLinearMF,
    RankingLoss,
    Split,
    datasets,
    fit,
    popularity_groups,
    prism_,
    random_split,
    train_step,
)
from prismlib._capture import GRAPHS, CapturedSteps, graph_for  # noqa: E402
from prismlib._fast import kernels, trial  # noqa: E402
from prismlib._fast.uniformity import tiled_sums  # noqa: E402
from prismlib.optim import make_optimizer  # noqa: E402

#: Milliseconds per step, unless said otherwise: at most, and for the last one at least.
TARGETS = {
    "MF + DirectAU, 4,096": 0.32,
    "MF + MAWU, 4,096": 0.40,
    "MF + BPR, 16,384": 0.16,
    "MF + SSM, 16,384 x 10": 0.30,
    "LightGCN + DirectAU, 4,096": 0.95,
    "non-linear MF + DirectAU, 4,096": 0.45,
    "MF + DirectAU, 4,096, d = 128": 0.60,
    "validation": 12.0,
    "run to early stop, s": 18.0,
    "8 processes, steps per s": 6500.0,
}
#: A captured epoch's loss may differ from the eager one's by this part, or by ten times what two eager runs differ by.
SAME_LOSS, SAME_NDCG = 1e-5, 2e-3
#: A captured step may need so many times the memory of an eager one: the graph keeps its own.
MEMORY = 1.5


class Work(NamedTuple):
    """A row of the table of steps."""

    backbone: str
    loss: str
    batch_size: int
    dim: int = 64


STEPS = {
    "MF + DirectAU, 4,096": Work("mf", "directau", 4096),
    "MF + MAWU, 4,096": Work("mf", "mawu", 4096),
    "MF + BPR, 16,384": Work("mf", "bpr", 16384),
    "MF + SSM, 16,384 x 10": Work("mf", "ssm", 16384),
    "LightGCN + DirectAU, 4,096": Work("lightgcn", "directau", 4096),
    "non-linear MF + DirectAU, 4,096": Work("nonlinear-mf", "directau", 4096),
    "MF + DirectAU, 4,096, d = 128": Work("mf", "directau", 4096, 128),
}


class PlainCalls:
    """In place of a graph on a CPU: each replay is a call."""

    def __init__(self, body: Callable[[], None], generator: torch.Generator) -> None:
        self.replay = body


class Check:
    """The parts of the check, on one split and device."""

    def __init__(self, device: str, dataset: str, end: float) -> None:
        self.device, self.end, self.tiny = torch.device(device), end, device == "cpu"
        self.dataset = dataset
        self.split = make_split(dataset, self.tiny)
        self.pairs = tuple(torch.as_tensor(ids).long().to(self.device) for ids in self.split.train)
        if self.tiny:
            GRAPHS["cpu"] = PlainCalls

    def size(self, work: Work) -> int:
        return min(work.batch_size, len(self.pairs[0]) // 8) if self.tiny else work.batch_size

    def build(self, work: Work) -> tuple[MF, RankingLoss]:
        data, g = self.split.dataset, torch.Generator().manual_seed(0)
        users, items, dim = data.num_users, data.num_items, work.dim // 8 if self.tiny else work.dim
        losses: dict[str, Callable[[], RankingLoss]] = {
            "directau": lambda: DirectAU(5.0),
            "mawu": lambda: MAWU(users, items, 2.6, 1.4, generator=g),
            "bpr": BPR,
            "ssm": SSM,
        }
        models: dict[str, Callable[[], MF]] = {
            "mf": lambda: MF(users, items, dim, g),
            "nonlinear-mf": lambda: NonLinearMF(users, items, dim, generator=g),
            "lightgcn": lambda: LightGCN(users, items, self.split.train, dim, generator=g),
        }
        return models[work.backbone]().to(self.device), losses[work.loss]().to(self.device)

    def ranking(self) -> FullRanking:
        groups = popularity_groups(torch.from_numpy(self.split.item_popularity))
        users = self.split.dataset.num_users
        return FullRanking(self.split.validation, [self.split.train], groups, users, device=self.device)

    def steps(self, work: Work, capture: bool, compiled: bool = False) -> CapturedSteps:
        model, loss = self.build(work)
        if compiled:  # the elementwise operations of the loss become one kernel each, where the compiler can
            loss.forward = torch.compile(loss.forward)  # type: ignore[method-assign]
        optimizer = make_optimizer("adam", nn.ModuleList([model, loss]), 1e-3, 1e-6)
        items = self.split.dataset.num_items

        def step(user: Tensor, item: Tensor, generator: torch.Generator) -> Tensor:
            return train_step(model, loss, optimizer, user, item, items, generator)

        graph = graph_for(model, loss, optimizer, "all", self.device) if capture else None
        generator = torch.Generator(self.device).manual_seed(0)
        return CapturedSteps(step, (self.pairs[0], self.pairs[1]), self.size(work), generator, graph)

    def epoch(self, steps: CapturedSteps) -> Tensor:
        """The steps of one epoch, in a new order."""
        return steps.epoch(torch.randperm(len(self.pairs[0]), generator=steps.generator, device=self.device))

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def seconds(self, work: Callable[[], object], repeats: int = 5) -> float:
        """Median seconds of a call, after one to warm up."""
        times = []
        for _ in range(repeats + 1):
            self.wait()
            start = time.perf_counter()
            work()
            self.wait()
            times.append(time.perf_counter() - start)
        return statistics.median(times[1:])

    def tests(self) -> dict[str, Any]:
        """The tests that need a GPU, where pytest is there."""
        if find_spec("pytest") is None:
            return {"ran": False, "why": "pytest is not installed"}
        files = ["tests/test_kernels.py", "tests/test_acceptance.py", "tests/test_capture.py"]
        only = "refused" if self.tiny else "gpu or kernels"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files, "-k", only]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=max(5, self.left()))
        lines = done.stdout.strip().splitlines()
        return {"ran": True, "passed": done.returncode in (0, 5), "last": lines[-1] if lines else done.stderr[-300:]}

    def uniformity(self) -> dict[str, Any]:
        """The kernel and the tiled form beside float64."""
        n, d = (64, 8) if self.tiny else (4096, 64)
        x = nn.functional.normalize(torch.randn(n, d, device=self.device), dim=1)
        total, product = tiled_sums(x.double(), None)
        forms: dict[str, Callable[[], tuple[Tensor, Tensor]]] = {"tiled": lambda: tiled_sums(x, None)}
        for precision in kernels.KERNEL_PRECISIONS:
            if trial.can_run(kernels.uniformity_sums, x, precision):
                forms[precision] = lambda precision=precision: kernels.uniformity_sums(x, None, precision)
        found = {}
        for name, form in forms.items():
            value, gradient = form()
            found[name] = {
                "ms": self.seconds(form, 20) * 1e3,
                "value": float((value - total).abs() / total),
                "gradient": float((gradient.double() - product).norm() / product.norm()),
            }
        return {"forms": found}

    def kernels(self) -> dict[str, Any]:
        """Which kernels run here and are right; the log says why one is not."""
        x, ids = torch.ones(4, 64, device=self.device), torch.arange(4, device=self.device)
        on_rows = (
            kernels.pair_terms, kernels.unit_rows, kernels.listed_scores, kernels.sparse_product, kernels.adagrad_step
        )  # fmt: skip
        found = {function.__name__: trial.can_run(function, x, "pairs") for function in on_rows}
        found[kernels.first_of_each.__name__] = trial.can_run(kernels.first_of_each, ids)
        return {"used": found, "all": all(found.values())}

    def same(self) -> dict[str, Any]:
        """Captured against eager, and eager against eager: the loss of an epoch, the NDCG after a few."""
        found = {}
        for name in list(STEPS)[:5:2] if not self.tiny else list(STEPS):
            runs = {}
            for kind, capture in (("eager", False), ("again", False), ("captured", True)):
                model, loss = self.build(STEPS[name])
                options = {"batch_size": self.size(STEPS[name]), "max_epochs": 3, "capture": capture}
                runs[kind] = fit(model, loss, self.split.train, self.ranking(), **options)  # type: ignore[arg-type]
            eager, again, captured = runs["eager"], runs["again"], runs["captured"]
            found[name] = {
                "loss": abs(captured.loss[0] / eager.loss[0] - 1),
                "loss of two eager runs": abs(again.loss[0] / eager.loss[0] - 1),
                "ndcg": [run.validation_dot[-1] for run in (eager, again, captured)],
            }
        ndcg = max(abs(row["ndcg"][2] - row["ndcg"][0]) for row in found.values())
        same = all(row["loss"] <= max(SAME_LOSS, 10 * row["loss of two eager runs"]) for row in found.values())
        return {"rows": found, "same": same and ndcg <= SAME_NDCG}

    def table(self) -> dict[str, Any]:
        """Milliseconds per step, one by one and captured, the mean of an epoch; memory at the fullest."""
        found = {}
        for name, work in STEPS.items():
            row: dict[str, Any] = {}
            for kind, capture in (("eager", False), ("captured", True)):
                if self.device.type == "cuda":
                    torch.cuda.empty_cache()
                    torch.cuda.reset_peak_memory_stats()
                steps = self.steps(work, capture)
                count = -(-len(self.pairs[0]) // steps.batch_size)
                row[f"{kind}, ms"] = (
                    self.seconds(lambda steps=steps: self.epoch(steps), 3 if capture else 1) / count * 1e3
                )
                if capture:
                    row["was captured"] = steps.captured is not None
                if self.device.type == "cuda":
                    row[f"{kind}, MB"] = torch.cuda.max_memory_allocated() / 2**20
            found[name] = row
        return found

    def compiled(self) -> dict[str, Any]:
        """Whether a captured step gains from ``torch.compile`` of its loss, and the seconds that compiling takes."""
        if self.tiny or self.left() < 60:
            return {"ran": False, "why": "it compiles for each shape of a CPU's steps" if self.tiny else "no time left"}
        name, start = "MF + DirectAU, 4,096", time.perf_counter()
        steps = self.steps(STEPS[name], capture=True, compiled=True)
        self.epoch(steps)
        self.wait()
        first, count = time.perf_counter() - start, -(-len(self.pairs[0]) // steps.batch_size)
        return {
            "ran": True,
            "work": name,
            "ms": self.seconds(lambda: self.epoch(steps), 3) / count * 1e3,
            "first epoch, s": first,
        }

    def validation(self) -> dict[str, Any]:
        """Milliseconds of one validation."""
        model, _ = self.build(STEPS["MF + DirectAU, 4,096"])
        ranking = self.ranking()
        with torch.no_grad():
            return {"ms": self.seconds(lambda: ranking(*model.embeddings()), 5) * 1e3}

    def whole_run(self) -> dict[str, Any]:
        """DirectAU with PRISM to early stop, from the tables to the best epoch."""
        work = STEPS["MF + DirectAU, 4,096"]
        model, loss = self.build(work)
        for table, popularity in (
            (model.user, self.split.user_popularity),
            (model.item, self.split.item_popularity),
        ):
            prism_(table.weight, torch.from_numpy(popularity).to(self.device))
        ranking, start = self.ranking(), time.perf_counter()

        def out_of_time(history: History) -> bool:
            return self.left() < 5

        options: dict[str, Any] = {"batch_size": self.size(work), "max_epochs": 5 if self.tiny else 1000}
        history = fit(model, loss, self.split.train, ranking, on_epoch=out_of_time, **options)
        return {
            "seconds": time.perf_counter() - start,
            "training, s": history.train_seconds,
            "validation, s": history.evaluate_seconds,
            "epochs": len(history.loss),
            "ndcg": history.validation_dot[history.best_epoch],
            "stopped by": history.stopped_by,
        }

    def throughput(self) -> dict[str, Any]:
        """DirectAU steps per second of several processes on one device."""
        found: dict[str, Any] = {}
        # prismbook.runs asks for packages that a bare machine lacks; this file of it needs none
        with run_path(str(ROOT / "prismbook/runs/mps.py"))["mps"](self.device.type) as note:
            found["MPS"] = note
            for number in (1, 2) if self.tiny else (1, 4, 8):
                found[str(number)] = together(number, self.device.type, self.dataset, 1.0 if self.tiny else 6.0)
        return found

    def left(self) -> float:
        return self.end - time.monotonic()


def make_split(dataset: str, tiny: bool) -> Split:
    """The dataset where it is prepared, else distinct random pairs of Gowalla's sizes, items Zipf-like."""
    if not tiny:
        with suppress(Exception):  # whatever keeps it from being read, random data will do
            return random_split(datasets.load(dataset), 123)
    users, items, pairs = (60, 50, 700) if tiny else (29858, 40981, 1027464)
    rng = np.random.default_rng(0)
    weight = 1 / (np.arange(items) + 50.0)
    item = rng.choice(items, pairs, p=weight / weight.sum())
    user, item = np.divmod(np.unique(rng.integers(users, size=pairs) * items + item), items)
    return random_split(
        Dataset("random", user.astype(np.int32), item.astype(np.int32), users, items, synthetic=True), 123
    )


def together(number: int, device: str, dataset: str, seconds: float) -> float:
    """Steps per second of so many processes, which start at one word."""
    command = [sys.executable, __file__, "--device", device, "--dataset", dataset, "--worker", str(seconds)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    workers = [subprocess.Popen(command, **pipes) for _ in range(number)]
    try:
        for worker in workers:
            assert worker.stdout is not None and worker.stdin is not None
            if worker.stdout.readline().strip() != "ready":
                raise RuntimeError("a process of the throughput part ended early")
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        return sum(float(worker.communicate(timeout=10 * seconds + 30)[0]) for worker in workers)
    finally:
        # a process that is killed amid its work may take the multi-process service with it: its input's end asks first
        for worker in workers:
            if worker.stdin is not None:
                with suppress(OSError):
                    worker.stdin.close()
        last = time.monotonic() + 30
        for worker in workers:
            try:
                worker.wait(max(0.0, last - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
            if worker.stdout is not None:
                worker.stdout.close()


def work_alone(check: Check, seconds: float) -> None:
    """What each process of :func:`together` does."""
    steps = check.steps(STEPS["MF + DirectAU, 4,096"], capture=True)
    check.epoch(steps)
    check.wait()
    print("ready", flush=True)
    if not sys.stdin.readline():  # its end: nobody waits for the number
        return
    per_epoch, taken, start = -(-len(check.pairs[0]) // steps.batch_size), 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        check.epoch(steps)
        check.wait()
        taken += per_epoch
    print(taken / (time.perf_counter() - start), flush=True)


def judged(found: dict[str, Any]) -> tuple[list[str], list[str], list[str]]:
    """What is met, what is not, and what was not measured; each named with its number."""
    measured: dict[str, float | None] = {name: None for name in TARGETS}
    for name, row in (found.get("table") or {}).items():
        measured[name] = row["captured, ms"] if row["was captured"] else row["eager, ms"]
    measured["validation"] = (found.get("validation") or {}).get("ms")
    run = found.get("whole_run") or {}
    measured["run to early stop, s"] = run.get("seconds") if run.get("stopped by") == "patience" else None
    measured["8 processes, steps per s"] = (found.get("throughput") or {}).get("8")
    met, missed, missing = [], [], []
    for name, target in TARGETS.items():
        value, at_least = measured[name], name.endswith("per s")
        if value is None:
            missing.append(name)
        else:
            good = value >= target if at_least else value <= target
            (met if good else missed).append(f"{name} {value:.3g} ({'>=' if at_least else '<='} {target:g})")
    for name, row in (found.get("table") or {}).items():
        if "captured, MB" in row:
            times = row["captured, MB"] / row["eager, MB"]
            (met if times <= MEMORY else missed).append(f"memory of {name}, {times:.3g} times (<= {MEMORY:g})")
    for name, key in (("tests", "passed"), ("same", "same"), ("kernels", "all")):
        value = (found.get(name) or {}).get(key)
        label = {"tests": "GPU tests", "same": "captured equals eager", "kernels": "every Triton kernel is used"}[name]
        (missing if value is None else met if value else missed).append(label)
    return met, missed, missing


#: In this order. The throughput comes last: it starts Python nine times, each of which imports PyTorch.
PARTS = ("kernels", "uniformity", "same", "table", "validation", "whole_run", "tests", "compiled", "throughput")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"), help="Where; cpu is a rehearsal.")
    parser.add_argument("--dataset", default="gowalla", help="A prepared dataset. The default is %(default)s.")
    parser.add_argument("--seconds", type=float, default=170, help="No part starts later. The default is %(default)s.")
    parser.add_argument("--output", type=Path, help="Where to store the numbers; nowhere if not given.")
    parser.add_argument("--worker", type=float, help=argparse.SUPPRESS)
    given = parser.parse_args()
    start = time.monotonic()
    if given.device == "cuda" and not torch.cuda.is_available():
        print("PyTorch sees no GPU here; --device cpu rehearses the check")
        return 1
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    check = Check(given.device, given.dataset, start + given.seconds)
    if given.worker is not None:
        work_alone(check, given.worker)
        return 0
    found: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if given.device == "cuda" else "cpu",
        "torch": torch.__version__,
        "data": check.split.dataset.name,
        "date": time.strftime("%Y-%m-%d"),
        "targets": TARGETS,
    }
    for part in PARTS:
        if check.left() < 0:
            print(f"{part}: no time left", flush=True)
            continue
        try:
            found[part] = getattr(check, part)()
        except Exception as error:  # the other parts still tell something
            found[part] = None
            found.setdefault("errors", {})[part] = f"{type(error).__name__}: {error}"[:500]
            print(f"{part}: {found['errors'][part]}", flush=True)
        else:
            print(f"{part} ({time.monotonic() - start:.0f} s): {json.dumps(found[part])}", flush=True)
        if given.output is not None:
            given.output.write_text(json.dumps(found, indent=1) + "\n")
    met, missed, missing = judged(found)
    print(f"met: {'; '.join(met) or 'nothing'} | not met: {'; '.join(missed) or 'nothing'} | "
          f"not measured: {'; '.join(missing) or 'nothing'}")  # fmt: skip
    return 0 if not missed and not missing else 1


if __name__ == "__main__":
    sys.exit(main())
