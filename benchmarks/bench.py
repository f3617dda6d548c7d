"""Seconds and memory of the research loop on Gowalla-sized data: one epoch, one full-ranking validation.

    python benchmarks/bench.py [--dataset gowalla] [--device cpu]

The default dataset is random with Gowalla's sizes, so that it needs no files; `--dataset gowalla` takes the real one.
Times are the median of --repeats after one warm-up; memory is the process's peak resident set.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from prismlib import BPR, MF, Dataset, DirectAU, FullRanking, popularity_groups, random_split, sources, train_step
from prismlib.runs import environment
from prismlib.train import batches


def random_gowalla() -> Dataset:
    """About a million distinct random pairs in tables of Gowalla's sizes, items Zipf-like."""
    card, rng = sources.CARDS["gowalla"], np.random.default_rng(0)
    weight = 1 / (np.arange(card.items) + 50.0)
    item = rng.choice(card.items, card.interactions, p=weight / weight.sum())
    key = np.unique(rng.integers(card.users, size=card.interactions) * card.items + item)
    user, item = (ids.astype(np.int32) for ids in np.divmod(key, card.items))
    return Dataset("random-gowalla", user, item, card.users, card.items, synthetic=True)


def median_seconds(work: Callable[[], object], repeats: int, device: torch.device) -> float:
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description="Time one epoch and one validation on Gowalla-sized data.")
    parser.add_argument("--dataset", help="a dataset of prismlib.sources; default: random data of Gowalla's sizes")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    arguments = parser.parse_args()

    device = torch.device(arguments.device)
    data = sources.load(arguments.dataset) if arguments.dataset else random_gowalla()
    split = random_split(data, seed=123)
    groups = popularity_groups(torch.from_numpy(split.item_popularity))
    validation = FullRanking(split.validation, [split.train], groups, data.num_users, device=device)
    generator = torch.Generator(device).manual_seed(0)
    user, item = (torch.as_tensor(ids).long().to(device) for ids in split.train)

    seconds = {}
    for name, loss, size in (("BPR", BPR(), 16384), ("DirectAU", DirectAU(5.0), 4096)):
        model = MF(data.num_users, data.num_items, generator=torch.Generator().manual_seed(0)).to(device)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-6, fused=True)

        def epoch(model=model, loss=loss, size=size, optimizer=optimizer) -> None:  # type: ignore[no-untyped-def]
            order = torch.randperm(len(user), generator=generator, device=device)
            for user_id, item_id in batches((user, item), order, size):
                train_step(model, loss, optimizer, user_id, item_id, data.num_items, generator)

        seconds[f"{name} epoch, batch {size:,}"] = median_seconds(epoch, arguments.repeats, device)
    tables = model.embeddings()
    everyone = f"validation, {len(validation.users):,} users x {data.num_items:,} items, dot and cosine"
    seconds[everyone] = median_seconds(lambda: validation(*tables), arguments.repeats, device)

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    if arguments.json:
        rounded = {name: round(value, 4) for name, value in seconds.items()}
        print(json.dumps({"data": data.name, "seconds": rounded, "peak_gb": round(peak, 2), **environment(device)}))
        return
    print(f"{data.name}: {data.num_users:,} users, {data.num_items:,} items, {len(data):,} interactions")
    for name, value in seconds.items():
        print(f"{value:8.2f} s  {name}")
    print(f"{peak:8.2f} GB peak memory, on {environment(device)['device']}")


if __name__ == "__main__":
    main()
