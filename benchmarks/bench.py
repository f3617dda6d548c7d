"""Speed of training and evaluation against plain reference implementations, on Gowalla's sizes, and how it grows.

    python benchmarks/bench.py                        the table, on random data of Gowalla's sizes: needs no files
    python benchmarks/bench.py --dataset gowalla      the same on the real interactions
    python benchmarks/bench.py --growth               step and evaluation time as sizes, dimensions and batches grow
    python benchmarks/bench.py --device cuda          the table on a GPU, and whole runs; where there is one, it joins
                                                      the table of the CPU by itself
    python benchmarks/bench.py --others /path/python  also libraries installed in another environment (others.py)

Every ratio is of one run: the reference (reference.py) and prismlib do the same steps on the same batches from the same
tables with the same negatives, in turn, and their losses must agree to 1e-4. Times are medians. Leave the machine alone
while it runs: two processes on the same cores slow each other many times over.
"""

from __future__ import annotations

import argparse
import copy
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import reference
import torch
from torch import Tensor

from prismbook.plan.experiments import grid_configs
from prismbook.runs.machine import environment
from prismbook.runs.records import planned
from prismbook.runs.run import run
from prismlib import (
    BPR,
    MAWU,
    MF,
    SSM,
    Dataset,
    DirectAU,
    FullRanking,
    LightGCN,
    RankingLoss,
    Split,
    datasets,
    popularity_groups,
    random_split,
    train_step,
)
from prismlib.hypersphere import uniformity_released
from prismlib.optim import make_optimizer
from prismlib.train import batches

DECAY, DIM = 1e-6, 64
AT_LEAST = 7  # times of our steps that a median is over; a plain step of MAWU takes so long that there is one
# Seconds an epoch and a validation of both rankings of the authors' released code, measured once on 2 cores of the
# same kind of machine, Gowalla 80/10/10. MAWU needs more than 24 GB there.
AUTHORS = {"BPR": (3.9, 40.0), "SSM": (36.0, 40.0), "DirectAU": (97.0, 40.0)}
# ratio to reach on 2 CPU cores, and on a GPU
TARGETS = {
    "cpu": {"DirectAU": 8, "MAWU": 20, "BPR": 3, "SSM": 3, "LightGCN + DirectAU": 3, "validation": 8},
    "cuda": {"DirectAU": 10, "MAWU": 20, "BPR": 5, "SSM": 5, "LightGCN + DirectAU": 5, "validation": 8},
}
EPOCH_TARGETS = {"DirectAU": 7, "BPR": 10, "SSM": 6}


def random_data(users: int, items: int, interactions: int, name: str) -> Dataset:
    """Distinct random pairs, items Zipf-like."""
    rng = np.random.default_rng(0)
    weight = 1 / (np.arange(items) + 50.0)
    item = rng.choice(items, interactions, p=weight / weight.sum())
    key = np.unique(rng.integers(users, size=interactions) * items + item)
    user, item = (ids.astype(np.int32) for ids in np.divmod(key, items))
    return Dataset(name, user, item, users, items, synthetic=True)


def seconds_of(work: Callable[[], object], device: torch.device) -> float:
    start = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def median_seconds(work: Callable[[], object], repeats: int, device: torch.device) -> float:
    return statistics.median([seconds_of(work, device) for _ in range(repeats + 1)][1:])


def our_steps(
    model: MF,
    loss: RankingLoss,
    pairs: tuple[Tensor, Tensor],
    size: int,
    seed: int,
    decay: float = DECAY,
    half: bool = False,
) -> Iterator[float]:
    """prismlib's training steps over the pairs in the order given; each yields its loss."""
    name = "sparse_adam" if model.item.sparse else "adam"
    optimizer = make_optimizer(name, [model, loss], lr=1e-3, weight_decay=decay)
    generator = torch.Generator(pairs[0].device).manual_seed(seed)
    for user_id, item_id in batches(pairs, torch.arange(len(pairs[0]), device=pairs[0].device), size):
        with torch.autocast(user_id.device.type, torch.bfloat16, enabled=half):
            step = train_step(model, loss, optimizer, user_id, item_id, model.item.num_embeddings, generator)
        yield step.item()


def in_turn(plain: Iterator[float], ours: Iterator[float], count: int) -> tuple[float, float, float]:
    """Median seconds of a step of each, after one to warm up, and the largest relative difference of their losses.

    Where ``count`` is below AT_LEAST, further steps of ours are taken alone: one time by itself says little.
    """
    times: tuple[list[float], list[float]] = ([], [])
    worst = 0.0
    for _ in range(count + 1):
        values = []
        for steps, spent in zip((plain, ours), times, strict=True):
            start = time.perf_counter()
            values.append(next(steps))
            spent.append(time.perf_counter() - start)
        worst = max(worst, abs(values[0] - values[1]) / abs(values[0]))
    for _ in range(AT_LEAST - count):
        start = time.perf_counter()
        next(ours)
        times[1].append(time.perf_counter() - start)
    return statistics.median(times[0][1:]), statistics.median(times[1][1:]), worst


def floors(device: torch.device) -> dict[str, float]:
    """What this machine does at best: float32 matrix products (4096 x 64 x 4096), and copying of 256 MB."""
    a, b = torch.randn(4096, 64, device=device), torch.randn(64, 4096, device=device)
    product, source = torch.empty(4096, 4096, device=device), torch.ones(2**26, device=device)
    target = torch.empty_like(source)
    gemm = median_seconds(lambda: torch.mm(a, b, out=product), 9, device)
    copy = median_seconds(lambda: target.copy_(source), 9, device)
    return {"gemm_gflops": 2 * 4096 * 64 * 4096 / gemm / 1e9, "copy_gb_per_s": 2 * 4 * 2**26 / copy / 1e9}


def ordered_pairs(split: Split) -> tuple[Tensor, Tensor]:
    """All training pairs in a random order, the same at each call."""
    order = torch.randperm(len(split.train.user), generator=torch.Generator().manual_seed(1))
    return torch.as_tensor(split.train.user).long()[order], torch.as_tensor(split.train.item).long()[order]


def steps_against_reference(
    split: Split, repeats: int, machine: dict[str, float], device: torch.device
) -> list[dict[str, Any]]:
    data = split.dataset
    pairs = ordered_pairs(split)
    there = (pairs[0].to(device), pairs[1].to(device))
    sizes = (data.num_users, data.num_items)

    def model(kind: str = "mf") -> MF:
        generator = torch.Generator().manual_seed(0)
        if kind == "lightgcn":
            return LightGCN(*sizes, split.train, DIM, generator=generator).to(device)
        return MF(*sizes, DIM, generator).to(device)

    start = [table.detach() for table in model().embeddings()]
    mawu = MAWU(*sizes, 2.6, 1.4, uniformity=uniformity_released, generator=torch.Generator().manual_seed(2)).to(device)
    plain_mawu = reference.PlainMAWU(mawu.user_margin.detach(), mawu.item_margin.detach(), 2.6, 1.4)
    big = 2048 if device.type == "cpu" else 4096  # the plain form of MAWU needs 4 GB for each tensor of 4,096 pairs
    # name, plain model, plain loss, our model, our loss, batch, negatives, steps
    work = [
        ("DirectAU", reference.PlainMF(*start), reference.directau, model(), DirectAU(5.0), 4096, 0, repeats),
        ("MAWU", reference.PlainMF(*start), plain_mawu, model(), mawu, big, 0, 1),
        ("BPR", reference.PlainMF(*start), reference.bpr, model(), BPR(), 16384, 1, repeats),
        ("SSM", reference.PlainMF(*start), reference.ssm, model(), SSM(), 16384, 10, repeats),
        ("LightGCN + DirectAU", reference.PlainLightGCN(*start, split.train), reference.directau,
         model("lightgcn"), DirectAU(5.0), 4096, 0, max(2, repeats // 3)),
    ]  # fmt: skip
    rows = []
    for name, plain_model, plain_loss, our_model, our_loss, size, negatives, count in work:
        plain = reference.steps(plain_model, plain_loss, pairs, size, negatives, 7, DECAY)
        spent, ours, worst = in_turn(plain, our_steps(our_model, our_loss, there, size, 7), count)
        # uniformity: 3 products of n^2 / 2 x d, in multiply-adds; Adam: 4 passes to read, 3 to write, over both tables
        distinct = [len(ids[:size].unique()) for ids in pairs]
        flops = 3 * DIM * sum(n * n for n in distinct) if isinstance(our_loss, DirectAU | MAWU) else 0
        moved = 4 * DIM * (7 * sum(sizes) + 4 * size * (2 + negatives))
        if name.startswith("LightGCN"):  # two products a layer and direction: a row read for each entry
            moved += 4 * DIM * len(split.train.user) * 2 * 3 * 2
        floor = flops / machine["gemm_gflops"] / 1e9 + moved / machine["copy_gb_per_s"] / 1e9
        label = f"{name} step, batch {size:,}" + (f", {negatives} negatives" if negatives > 1 else "")
        rows.append(
            {
                "work": label,
                "reference": spent,
                "ours": ours,
                "target": TARGETS[device.type][name],
                "difference": worst,
                "floor": floor,
            }
        )
        print(f"  {label}: {spent:.3f} s, {ours:.3f} s, {spent / ours:.1f}x, losses differ by {worst:.1e}", flush=True)
        if worst > 1e-4:
            raise SystemExit(f"{label}: the reference and prismlib disagree by {worst:.1e}")
    return rows


def offered(split: Split, repeats: int, device: torch.device) -> list[dict[str, Any]]:
    """prismlib's steps as they are, and with what it offers for speed that changes results, in turn."""
    sizes = (split.dataset.num_users, split.dataset.num_items)
    pairs = ordered_pairs(split)
    there = (pairs[0].to(device), pairs[1].to(device))

    def steps(loss: RankingLoss, size: int, half: bool = False, sparse: bool = False) -> Iterator[float]:
        model = MF(*sizes, DIM, torch.Generator().manual_seed(0), sparse).to(device)
        return our_steps(model, copy.deepcopy(loss).to(device), there, size, 7, decay=0.0, half=half)

    directau, mawu, bpr = DirectAU(5.0), MAWU(*sizes, 2.6, 1.4), BPR()
    work = [
        ("DirectAU step, batch 4,096", "float32", steps(directau, 4096), "bfloat16", steps(directau, 4096, half=True)),
        ("MAWU step, batch 4,096", "float32", steps(mawu, 4096), "bfloat16", steps(mawu, 4096, half=True)),
        ("BPR step, batch 1,024", "Adam", steps(bpr, 1024), "row-sparse Adam", steps(bpr, 1024, sparse=True)),
        ("BPR step, batch 16,384", "Adam", steps(bpr, 16384), "row-sparse Adam", steps(bpr, 16384, sparse=True)),
    ]
    rows = []
    for name, plain, plain_steps, fast, fast_steps in work:
        spent, ours, _ = in_turn(plain_steps, fast_steps, repeats)
        rows.append({"work": name, "plain": plain, "plain_seconds": spent, "fast": fast, "fast_seconds": ours})
    return rows


def validation_against_reference(
    split: Split, repeats: int, machine: dict[str, float], device: torch.device
) -> dict[str, Any]:
    data = split.dataset
    groups = popularity_groups(torch.from_numpy(split.item_popularity)).to(device)
    tables = MF(data.num_users, data.num_items, DIM, torch.Generator().manual_seed(0)).to(device).embeddings()
    user, item = (table.detach() for table in tables)
    ours = FullRanking(split.validation, [split.train], groups, data.num_users, device=device)
    start = time.perf_counter()
    plain = reference.validation(user, item, split.train, split.validation, groups)
    spent = time.perf_counter() - start
    result = ours(user, item)
    worst = max(abs(a - b) for by in plain for a, b in zip(plain[by], result[by].values(), strict=True))
    if worst > 1e-4:
        raise SystemExit(f"validation: the reference and prismlib disagree by {worst:.1e}")
    flops = 2 * DIM * len(ours.users) * data.num_items
    moved = 4 * len(ours.users) * data.num_items * 2  # scores written, and read once for both rankings
    return {
        "work": f"validation, {len(ours.users):,} users x {data.num_items:,} items, by dot product and cosine",
        "reference": spent,
        "ours": median_seconds(lambda: ours(user, item), repeats, device),
        "target": TARGETS[device.type]["validation"],
        "difference": worst,
        "floor": flops / machine["gemm_gflops"] / 1e9 + moved / machine["copy_gb_per_s"] / 1e9,
    }


def epochs(split: Split, device: torch.device, repeats: int) -> dict[str, float]:
    """Seconds of a whole epoch of each loss, and of a validation."""
    data = split.dataset
    groups = popularity_groups(torch.from_numpy(split.item_popularity))
    validation = FullRanking(split.validation, [split.train], groups, data.num_users, device=device)
    pairs = tuple(torch.as_tensor(ids).long().to(device) for ids in split.train)
    generator = torch.Generator(device).manual_seed(0)
    seconds = {}
    for name, loss, size in (("BPR", BPR(), 16384), ("SSM", SSM(), 16384), ("DirectAU", DirectAU(5.0), 4096)):
        model = MF(data.num_users, data.num_items, DIM, torch.Generator().manual_seed(0)).to(device)
        optimizer = make_optimizer("adam", [model, loss], lr=1e-3, weight_decay=DECAY)

        def epoch(model=model, loss=loss, size=size, optimizer=optimizer) -> None:  # type: ignore[no-untyped-def]
            order = torch.randperm(len(pairs[0]), generator=generator, device=device)
            for user_id, item_id in batches(pairs, order, size):
                train_step(model, loss, optimizer, user_id, item_id, data.num_items, generator)

        seconds[name] = median_seconds(epoch, 1 if name == "DirectAU" else repeats, device)
    tables = model.embeddings()
    seconds["validation"] = median_seconds(lambda: validation(*tables), repeats, device)
    return seconds


def whole_runs(dataset: str, device: torch.device, side_by_side: int) -> dict[str, float]:
    """Seconds and epochs of one DirectAU + PRISM run to its early stop, and such runs per hour, several at once."""
    alone = json.loads(own_process("--one-run", "123", "--dataset", dataset, "--device", device.type))
    start = time.perf_counter()
    with ThreadPoolExecutor() as pool:  # each waits for a process
        seeds = [str(seed) for seed in range(side_by_side)]
        list(pool.map(lambda s: own_process("--one-run", s, "--dataset", dataset, "--device", device.type), seeds))
    return {**alone, "side_by_side": side_by_side, "an_hour": 3600 * side_by_side / (time.perf_counter() - start)}


def one_run(dataset: str, seed: int, device: torch.device) -> dict[str, float]:
    """A whole DirectAU + PRISM run; its seconds hold loading, training, testing and all that is made once."""
    start = time.perf_counter()
    (config,) = grid_configs(dataset, "directau", 0.0, seed, 1000, init="prism", alpha=1.0, device=device.type)
    record, _ = run(planned(config))
    return {"seconds": time.perf_counter() - start, "epochs": len(record["history"]["loss"])}


def own_process(*arguments: str) -> str:
    """What this script prints in a process of its own."""
    return subprocess.run([sys.executable, __file__, *arguments], capture_output=True, text=True, check=True).stdout


def growth(repeats: int) -> list[dict[str, Any]]:
    """Time against arithmetic as one thing grows: `times` and `arithmetic` relative to the first row of each kind."""
    cpu = torch.device("cpu")
    card = datasets.CARDS["gowalla"]

    def point(scale: float = 1, dim: int = 64, batch: int = 4096) -> dict[str, float]:
        users, items = int(card.users * scale), int(card.items * scale)
        data = random_data(users, items, card.interactions, "random")
        split = random_split(data, 0)
        pairs = tuple(torch.as_tensor(ids).long() for ids in split.train)
        seconds = {}
        for name, loss in (("DirectAU step", DirectAU(5.0)), ("BPR step", BPR())):
            model = MF(users, items, dim, torch.Generator().manual_seed(0))
            steps = our_steps(model, loss, pairs, batch, 0)
            seconds[name] = median_seconds(lambda steps=steps: next(steps), repeats, cpu)  # type: ignore[misc]
        everyone = FullRanking(split.validation, [split.train], popularity_groups(torch.ones(items)), users)
        few = everyone.users[:2048]  # the time a user takes does not depend on how many there are
        everyone.users, everyone._blocks = few, everyone._blocks[: -(-len(few) // everyone._size)]
        tables = tuple(table.detach() for table in model.embeddings())
        seconds["ranking of 2,048 users"] = median_seconds(lambda: everyone.lists(*tables), repeats, cpu)
        distinct = [len(ids[:batch].unique()) for ids in pairs]
        return seconds | {"tables": (users + items) * dim, "pairs": sum(n * n for n in distinct) * dim, "scores": items}

    kinds = {"scale": (1, 2, 4, 8), "dim": (32, 64, 128, 256), "batch": (1024, 4096, 16384, 65536)}
    rows = []
    for kind, values in kinds.items():
        for value in values:
            rows.append({"grows": kind, "to": value, **point(**{kind: value})})
            print("  " + ", ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in rows[-1].items()))
    return rows


def memory() -> float:
    """Peak memory in GB of one evaluation of AmazonBook's size, in a process of its own."""
    card = datasets.CARDS["amazonbook"]
    data = random_data(card.users, card.items, card.interactions, "random-amazonbook")
    split = random_split(data, 0)
    groups = popularity_groups(torch.from_numpy(split.item_popularity))
    with torch.no_grad():
        user, item = MF(data.num_users, data.num_items, DIM).embeddings()
        FullRanking(split.validation, [split.train], groups, data.num_users)(user, item)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def table(result: dict[str, Any]) -> str:
    """What a reader wants of the result, as text."""
    lines = [f"{result['data']}, d = {DIM}, on {result['environment']['device']}", ""]
    lines.append(f"{'work':72} {'reference':>10} {'prismlib':>10} {'ratio':>7} {'target':>7} {'x floor':>8}")
    for row in result["rows"]:
        plain, ours = row["reference"], row["ours"]
        lines.append(
            f"{row['work']:72} {plain * 1e3:8.0f}ms {ours * 1e3:8.1f}ms {plain / ours:6.1f}x"
            f" {row['target']:6}x {ours / row['floor']:8.1f}"
        )
    lines.append("")
    for name, target in EPOCH_TARGETS.items() if "authors" in result else ():
        ours, theirs = result["epochs"][name] + result["epochs"]["validation"], sum(AUTHORS[name])
        text = f"{name}: epoch {result['epochs'][name]:.2f} s + validation {result['epochs']['validation']:.2f} s"
        lines.append(f"{text:72} {theirs:8.1f} s {ours:8.1f} s {theirs / ours:6.1f}x {target:6}x   authors' code")
    machine = result["machine"]
    lines += [
        f"{row['work']}: {row['plain']} {row['plain_seconds'] * 1e3:.1f} ms,"
        f" {row['fast']} {row['fast_seconds'] * 1e3:.1f} ms"
        for row in result["offered"]
    ]
    lines += ["", f"floor: {machine['gemm_gflops']:.0f} GFLOP/s, copies at {machine['copy_gb_per_s']:.1f} GB/s"]
    if "amazonbook_gb" in result:
        lines.append(f"peak memory of an evaluation of AmazonBook's size: {result['amazonbook_gb']:.2f} GB (limit 1.5)")
    if "whole" in result:
        whole = result["whole"]
        lines.append(
            f"DirectAU + PRISM to its early stop: {whole['seconds']:.0f} s, {whole['epochs']} epochs;"
            f" {whole['side_by_side']} at once: {whole['an_hour']:.0f} runs per hour"
        )
    lines += [f"other libraries: {name}: {text}" for name, text in result.get("others", {}).get("seconds", {}).items()]
    return "\n".join(lines)


def measure(split: Split, repeats: int, device: torch.device, whole: str | None) -> dict[str, Any]:
    """The table's numbers on one device; whole runs too, of the dataset ``whole``, where it is a GPU."""
    machine = floors(device)
    result: dict[str, Any] = {"date": date.today().isoformat(), "environment": environment(device)}
    result |= {"machine": machine, "data": split.dataset.name}
    result["rows"] = [
        *steps_against_reference(split, repeats, machine, device),
        validation_against_reference(split, 3, machine, device),
    ]
    result["offered"] = offered(split, repeats, device)
    result["epochs"] = epochs(split, device, 3)
    if device.type == "cuda" and whole:
        result["whole"] = whole_runs(whole, device, side_by_side=8)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description="Time prismlib against plain reference implementations.")
    parser.add_argument("--dataset", help="a dataset of prismlib.datasets; default: random data of Gowalla's sizes")
    parser.add_argument(
        "--device", choices=["cpu", "cuda"], help="default: the CPU, and the GPU too where there is one"
    )
    parser.add_argument("--repeats", type=int, default=9, help="steps that the medians are over")
    parser.add_argument("--growth", action="store_true", help="only how times grow with sizes, dimensions, batches")
    parser.add_argument("--others", metavar="PYTHON", help="interpreter of an environment with implicit or recbole")
    parser.add_argument("--output", type=Path, help="also write the result to this file, as JSON")
    parser.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--one-run", type=int, metavar="SEED", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.repeats < 1:
        parser.error("--repeats must be >= 1")
    if arguments.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: PyTorch sees no GPU here")
    cpu = torch.device("cpu")
    if arguments.memory:
        print(memory())
        return
    if arguments.one_run is not None:
        print(json.dumps(one_run(arguments.dataset, arguments.one_run, torch.device(arguments.device or "cpu"))))
        return

    result: dict[str, Any] = {"date": date.today().isoformat()}
    if arguments.growth:
        result |= {"environment": environment(cpu), "growth": growth(arguments.repeats)}
    else:
        # first: a child's peak memory begins at its parent's
        result["amazonbook_gb"] = float(own_process("--memory"))
        card = datasets.CARDS["gowalla"]
        sizes = (card.users, card.items, card.interactions)
        data = datasets.load(arguments.dataset) if arguments.dataset else random_data(*sizes, "random-gowalla")
        split = random_split(data, seed=123)
        # what a GPU or other libraries have given elsewhere is kept; it has its own date and device
        stored = json.loads(arguments.output.read_text()) if arguments.output and arguments.output.exists() else {}
        result["gpu"] = stored.get("gpu", "not measured: none here")
        if "others" in stored:
            result["others"] = stored["others"]
        if arguments.device != "cuda":
            result |= measure(split, arguments.repeats, cpu, None) | {"authors": AUTHORS}
            if arguments.others:
                of_run = {key: result[key] for key in ("date", "environment", "data")}
                result["others"] = of_run | {"seconds": others(split, arguments.others, result["epochs"]["BPR"])}
            print(table(result))
        if arguments.device != "cpu" and torch.cuda.is_available():
            result["gpu"] = measure(split, arguments.repeats, torch.device("cuda"), arguments.dataset)
            print(table(result["gpu"]))
        elif isinstance(result["gpu"], str):
            print(f"GPU: {result['gpu']}")
    if arguments.output:
        arguments.output.write_text(json.dumps(result, indent=1) + "\n")


def others(split: Split, python: str, epoch: float) -> dict[str, str]:
    """Seconds of other libraries on the same split, see others.py, after those of prismlib, whose epoch is given."""
    script = Path(__file__).resolve().with_name("others.py")
    pairs = script.with_name(".pairs.npz")
    sizes = (split.dataset.num_users, split.dataset.num_items)
    np.savez(pairs, train=np.stack(split.train), held_out=np.stack(split.validation), sizes=sizes)
    try:
        with tempfile.TemporaryDirectory() as folder:  # RecBole leaves its logs where it runs
            command = [python, str(script), str(pairs)]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    finally:
        pairs.unlink()
    # the others rank once, by their own score: so does this
    groups = popularity_groups(torch.from_numpy(split.item_popularity))
    ranking = FullRanking(split.validation, [split.train], groups, sizes[0])
    tables = [torch.randn(size, DIM, generator=torch.Generator().manual_seed(0)) for size in sizes]
    seconds = median_seconds(lambda: ranking(*tables, cosine=False), 3, torch.device("cpu"))
    result: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return {"prismlib": f"BPR {epoch:.2f} s an epoch, NDCG@20 of one ranking {seconds:.2f} s"} | result


if __name__ == "__main__":
    main()
