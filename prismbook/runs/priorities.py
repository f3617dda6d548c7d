"""The order in which the runs of a sweep are worth most: what a claim needs before what makes it surer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from prismbook.plan.config import RunConfig
from prismbook.plan.experiments import EXPERIMENTS, FURTHER_DATASETS, SEEDS, configs, searches
from prismbook.runs import patience
from prismbook.runs.cost import Costs, duration
from prismbook.runs.tuning import Outcomes

#: The priorities of a sweep, the most valuable first. Without the first seed of an experiment, or without the first
#: learning rate of a search of Table 1, its claims are not measured. The other seeds, without which a verdict is
#: provisional, the two best of a search, and the patient runs for those that ended in a dip come next. Then come the
#: other learning rates, and last what no claim needs.
PRIORITIES = ("first seed", "seeds", "search", "beside the claims")
#: The experiments that no claim needs, and those that give the runs of another further seeds or more patience.
BESIDE, SEEDS_OF_ANOTHER = ("speed", "patience", "switches", "all-ratings", "law"), ("debias-seeds", "patient")


def experiments_of(datasets: Iterable[str], budget: str, device: str) -> dict[str, list[RunConfig]]:
    """The runs of every experiment on some datasets, by ``"experiment on dataset"``.

    Table 1 is one experiment per backbone and loss, e.g. ``"table1 mf-ssm on gowalla"``, with the grids of both
    methods. On a dataset of :data:`prismbook.plan.lists.FURTHER_DATASETS` only what is planned on it is meant.
    """
    experiments: dict[str, list[RunConfig]] = {}
    everything = (*(name for name in EXPERIMENTS if name != "all-ratings"), "table1")
    for data in datasets:
        for name in FURTHER_DATASETS.get(data, everything):
            if name != "table1":
                experiments[f"{name} on {data}"] = configs(name, data, budget, device=device)
                continue
            for search in searches(name, data, budget, device=device):
                pair = search.name.rpartition("-")[0]
                experiments.setdefault(f"table1 {pair} on {data}", []).extend(search.grid)
    return experiments


def with_more_patience(experiments: Iterable[str]) -> list[str]:
    """The experiments whose scores a claim compares as they are, which need patient runs where runs end in a dip.

    The searches of Table 1 ask for the seeds of what they choose. In RQ4 numbers of epochs are compared, which patience
    itself changes. No claim needs what stands :data:`BESIDE` them.
    """
    others = (*BESIDE, "table1", "choice", "rq4", "rq4-decay")
    return [name for name in experiments if name.partition(" ")[0] not in others]


def patient_runs_of(experiments: Mapping[str, Sequence[RunConfig]], outcomes: Outcomes) -> dict[str, list[RunConfig]]:
    """The patient runs that experiments need, by ``"patient runs of experiment on dataset"``."""
    needed = {
        f"patient runs of {name}": patience.patient_runs(experiments[name], outcomes)
        for name in with_more_patience(experiments)
    }
    return {name: runs for name, runs in needed.items() if runs}


def by_value(
    todo: Sequence[RunConfig], experiments: Mapping[str, Sequence[RunConfig]], costs: Costs
) -> list[tuple[str, str, RunConfig]]:
    """Runs in the order of their value, each with its priority and the experiment that it is counted to.

    Priorities follow each other as :data:`PRIORITIES` says. Within one, the experiment that takes the least time to
    complete comes first, so that each hour completes as many as it can.

    Args:
        todo: the runs that are left.
        experiments: the runs of each experiment, by its name, which begins with ``"choice "`` for what a search wants
            besides its grid. A run of several is counted to the first; a run of no experiment was chosen by a search.
    """
    groups: dict[tuple[int, str], list[RunConfig]] = {}
    named: dict[RunConfig, str] = {}
    rates: dict[str, float] = {}
    for name, runs in experiments.items():
        named = dict.fromkeys(runs, name) | named
        rates[name] = runs[0].lr  # of a search, the first learning rate
    for config in dict.fromkeys(todo):
        name = named.get(config, "chosen by a search")
        groups.setdefault((_priority(config, name, rates.get(name)), name), []).append(config)
    order = sorted(groups, key=lambda group: (group[0], costs.expected(Counter(groups[group])).hours))
    return [(PRIORITIES[priority], name, config) for priority, name in order for config in groups[priority, name]]


def _priority(config: RunConfig, name: str, first_rate: float | None) -> int:
    """The place in :data:`PRIORITIES` of a run of an experiment."""
    experiment = name.partition(" ")[0]
    if experiment in BESIDE or (experiment in ("table1", "choice") and config.loss == "bpr"):  # Table 1 has no BPR
        return 3
    if experiment == "table1" and config.lr != first_rate:
        return 2
    return 0 if config.seed == SEEDS[0] and first_rate is not None and experiment not in SEEDS_OF_ANOTHER else 1


def value_lines(ordered: Sequence[tuple[str, str, RunConfig]], costs: Costs) -> list[str]:
    """A line per priority and experiment: how many runs are left, and what they will take, in the order of value."""
    lines = []
    for priority, name in dict.fromkeys((priority, name) for priority, name, _ in ordered):
        runs = Counter(config for *group, config in ordered if group == [priority, name])
        expected = costs.expected(runs)
        time_needed = f"unknown, never ran: {', '.join(expected.unmeasured)}"
        if not expected.unmeasured:
            time_needed = f"about {duration(expected.hours)}"
        if expected.scaled:
            time_needed += f" (scaled from like runs: {', '.join(expected.scaled)})"
        lines.append(f"{priority}, {name}: {len(runs)} left, {time_needed}")
    return lines
