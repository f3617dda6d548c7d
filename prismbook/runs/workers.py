"""Several processes of this machine that share the runs of a sweep, by value, and end in time by themselves."""

from __future__ import annotations

import multiprocessing
import os
import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch

from prismbook.plan.config import RunConfig
from prismbook.plan.experiments import EXPERIMENTS, FURTHER_DATASETS, SEEDS, configs, searches
from prismbook.runs import patience
from prismbook.runs.attempts import attempt
from prismbook.runs.cost import Costs, duration, kind
from prismbook.runs.machine import SHARED, environment
from prismbook.runs.mps import mps
from prismbook.runs.records import load_record, scan, stored_path
from prismbook.runs.tuning import Outcomes
from prismlib._device import check_device
from prismlib.train import History

#: The stages of a sweep, the most valuable first. Without the first seed of an experiment, or without the first
#: learning rate of a search of Table 1, its claims are not measured. The other seeds, without which a verdict is
#: provisional, the two best of a search, and the twins of runs that ended in a dip come next. Then come the other
#: learning rates, and last what no claim needs.
STAGES = ("first seed", "seeds", "search", "beside the claims")
#: The experiments that no claim needs, and those that give the runs of another further seeds or more patience.
BESIDE, SEEDS_OF_ANOTHER = ("speed", "patience", "switches", "all-ratings"), ("debias-seeds", "twins")


class OutOfTime(BaseException):
    """Ends a run that takes longer than expected. It is no :class:`Exception`: nothing of the run is stored."""


def seconds(text: str) -> float:
    """A time as it is typed, in seconds.

    Args:
        text: a number with ``s``, ``m`` or ``h``.

    Raises:
        ValueError: it is none.

    >>> seconds("9m"), seconds("1.5h"), seconds("20s")
    (540.0, 5400.0, 20.0)
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    if found is None or not float(found[1]) > 0:
        raise ValueError(f"a time must be a number > 0 with s, m or h, e.g. 9m, got {text!r}")
    return float(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2]]


def experiments_of(datasets: Iterable[str], budget: str, device: str) -> dict[str, list[RunConfig]]:
    """The runs of every experiment on some datasets, by ``"experiment on dataset"``.

    Table 1 is one experiment per backbone and loss, e.g. ``"table1 mf-ssm on gowalla"``, with the grids of both
    methods. On a dataset of :data:`prismbook.plan.experiments.FURTHER_DATASETS` only what is planned on it is meant.

    Args:
        datasets: their names.
        budget: a name of :data:`prismbook.plan.experiments.BUDGETS`.
        device: the device of the runs.
    """
    found: dict[str, list[RunConfig]] = {}
    everything = (*(name for name in EXPERIMENTS if name != "all-ratings"), "table1")
    for data in datasets:
        for name in FURTHER_DATASETS.get(data, everything):
            if name != "table1":
                found[f"{name} on {data}"] = configs(name, data, budget, device=device)
                continue
            for search in searches(name, data, budget, device=device):
                pair = search.name.rpartition("-")[0]
                found.setdefault(f"table1 {pair} on {data}", []).extend(search.grid)
    return found


def waiting(experiments: Iterable[str]) -> list[str]:
    """The experiments whose scores a claim compares as they are: their runs are waited for where they end in a dip.

    The searches of Table 1 ask for the twins of what they choose. In RQ4 numbers of epochs are compared, which patience
    itself changes. No claim needs what stands :data:`BESIDE` them.

    Args:
        experiments: their names, as :func:`experiments_of` gives them.
    """
    others = (*BESIDE, "table1", "choice", "rq4", "rq4-decay")
    return [name for name in experiments if name.partition(" ")[0] not in others]


def twins_of(experiments: Mapping[str, Sequence[RunConfig]], outcomes: Outcomes) -> dict[str, list[RunConfig]]:
    """The twins of those runs that the stopping rule ended in a dip, by ``"twins of experiment on dataset"``.

    Args:
        experiments: as :func:`experiments_of` gives them.
        outcomes: what is stored of each configuration.
    """
    found = {f"twins of {name}": patience.twins(experiments[name], outcomes) for name in waiting(experiments)}
    return {name: twins for name, twins in found.items() if twins}


def by_value(
    todo: Sequence[RunConfig], experiments: Mapping[str, Sequence[RunConfig]], costs: Costs
) -> list[tuple[str, str, RunConfig]]:
    """Runs in the order of their value, each with its stage and the experiment that it is counted to.

    Stages follow each other as :data:`STAGES` says. Within one, the experiment that takes the least time to complete
    comes first, so that each hour completes as many as it can.

    Args:
        todo: the runs that are left.
        experiments: the runs of each experiment, by its name, which begins with ``"choice "`` for what a search wants
            besides its grid. A run of several is counted to the first; one of none was chosen by a search.
        costs: what runs take.
    """
    groups: dict[tuple[int, str], list[RunConfig]] = {}
    named: dict[RunConfig, str] = {}
    rates: dict[str, float] = {}
    for name, found in experiments.items():
        named = dict.fromkeys(found, name) | named
        rates[name] = found[0].lr  # of a search, the first learning rate
    for config in dict.fromkeys(todo):
        name = named.get(config, "chosen by a search")
        groups.setdefault((_stage(config, name, rates.get(name)), name), []).append(config)
    order = sorted(groups, key=lambda group: (group[0], costs.expected(Counter(groups[group])).hours))
    return [(STAGES[stage], name, config) for stage, name in order for config in groups[stage, name]]


def _stage(config: RunConfig, name: str, first_rate: float | None) -> int:
    """The place in :data:`STAGES` of a run of an experiment."""
    experiment = name.partition(" ")[0]
    if experiment in BESIDE or (experiment in ("table1", "choice") and config.loss == "bpr"):  # Table 1 has no BPR
        return 3
    if experiment == "table1" and config.lr != first_rate:
        return 2
    return 0 if config.seed == SEEDS[0] and first_rate is not None and experiment not in SEEDS_OF_ANOTHER else 1


def value_lines(ordered: Sequence[tuple[str, str, RunConfig]], costs: Costs) -> list[str]:
    """A line per stage and experiment: how many runs are left, and what they will take, in the order of value.

    Args:
        ordered: as :func:`by_value` gives them.
        costs: what runs take.
    """
    lines = []
    for stage, name in dict.fromkeys((stage, name) for stage, name, _ in ordered):
        runs = Counter(config for *group, config in ordered if group == [stage, name])
        expected = costs.expected(runs)
        time_needed = f"unknown, never ran: {', '.join(expected.unmeasured)}"
        if not expected.unmeasured:
            time_needed = f"about {duration(expected.hours)}"
        if expected.scaled:
            time_needed += f" (scaled from like runs: {', '.join(expected.scaled)})"
        lines.append(f"{stage}, {name}: {len(runs)} left, {time_needed}")
    return lines


def longest(config: RunConfig, costs: Costs) -> float | None:
    """Seconds that a run may take: the most epochs of a run of its kind, at the kind's time per epoch. None if unknown.

    Args:
        config: the run.
        costs: what runs took; where no run of the kind is stored, ``max_epochs`` counts.
    """
    spent, epochs = costs.spent.get(kind(config), (0.0, 0))
    if not epochs:
        return None
    return min(max(costs.epochs.get(kind(config), [config.max_epochs])), config.max_epochs) * spent / epochs


def work(todo: Sequence[RunConfig], results: Path, end: float | None, retry: bool = False) -> None:
    """What one process does: each run that is free and can end in time, one after the other, with a line for each.

    A run of a kind that this device never ran is started too. A run that is still going when the time is over is
    stopped, and nothing of it is stored.

    Args:
        todo: the runs, in their order.
        results: the folder of the records.
        end: the time at which to have ended, of ``time.time()``; None for no limit.
        retry: train also what failed before.
    """
    if not todo:
        return
    costs = Costs(scan(results)[0], environment(torch.device(todo[0].device))["device"])

    def watch(config: RunConfig, history: History) -> None:
        if end is not None and time.time() > end:
            raise OutOfTime

    for config in todo:
        needed = longest(config, costs)
        if end is not None and time.time() + (needed or 0.0) > end:
            continue
        path = stored_path(results, config)
        if load_record(path) is not None:
            continue
        try:
            outcome = attempt(config, results, retry_failed=retry, on_epoch=watch)
        except OutOfTime:
            print(f"{path.stem} stopped: the time is over, and nothing of it is stored", flush=True)
            return
        if outcome != "busy":
            costs.add(load_record(stored_path(results, config)))
            print(f"{path.stem} {outcome}", flush=True)


def _process(todo: Sequence[RunConfig], results: Path, end: float | None, retry: bool, number: int) -> None:
    """One of several processes."""
    if number > 1:
        os.environ[SHARED] = "1"
    if "OMP_NUM_THREADS" not in os.environ:  # or each process would take all cores
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // number))
    work(todo, results, end, retry)


def work_together(
    todo: Sequence[RunConfig], results: Path, number: int, end: float | None, retry: bool = False
) -> None:
    """Have several processes share runs through the locks of the results' folder, until they have all ended.

    Args:
        todo: the runs, in their order.
        results: the folder of the records.
        number: how many processes, >= 1.
        end: the time at which to have ended, of ``time.time()``; None for no limit.
        retry: train also what failed before.

    Raises:
        ValueError: ``number`` < 1, or a device that is not there.
        RuntimeError: a process ended with an error, which it has printed.
    """
    if number < 1:
        raise ValueError(f"workers must be >= 1, got {number}")
    if not todo:
        return
    check_device(todo[0].device)
    context = multiprocessing.get_context("spawn")  # a GPU cannot be shared with a forked process
    with mps(todo[0].device) as note:
        if todo[0].device == "cuda":
            print(f"multi-process service: {note}", flush=True)
        processes = [context.Process(target=_process, args=(todo, results, end, retry, number)) for _ in range(number)]
        try:
            for process in processes:
                process.start()
            for process in processes:
                process.join()
        finally:
            for process in processes:
                if process.is_alive():
                    process.terminate()
                    process.join()
    broken = [process.exitcode for process in processes if process.exitcode]
    if broken:
        raise RuntimeError(f"{len(broken)} of {number} workers ended with an error; what was finished is kept")
