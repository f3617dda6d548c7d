"""The order in which the runs of a sweep are worth most: first what can turn a verdict, by its chance per hour.

What runs can turn is found by :mod:`prismbook.claims.worth` from the verdicts; here it is put in order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from prismbook.plan.config import RunConfig
from prismbook.plan.experiments import EXPERIMENTS, FURTHER_DATASETS, SEEDS, configs, searches
from prismbook.runs import patience
from prismbook.runs.cost import Costs, duration
from prismbook.runs.tuning import Outcomes

#: The order within one experiment, and of the runs that can turn no verdict. The first seed comes first, and of a
#: search of Table 1 the first learning rate. Then come the other seeds, the two best of a search, and the patient runs
#: for those that ended in a dip. The other learning rates follow, and last what no claim needs.
PRIORITIES = ("first seed", "seeds", "search", "beside the claims")
#: What stands between the runs that may turn a verdict and the others.
NO_VERDICT = "can turn no verdict:"
#: The experiments that no claim needs.
BESIDE = ("speed", "patience", "switches", "all-ratings", "law", "collapse")
#: The experiments that give the runs of another further seeds or more patience.
SEEDS_OF_ANOTHER = ("debias-seeds", "patient")


def experiments_of(datasets: Iterable[str], budget: str, device: str) -> dict[str, list[RunConfig]]:
    """The runs of every experiment on some datasets, by ``"experiment on dataset"``.

    Table 1 is one experiment per backbone and loss, e.g. ``"table1 mf-ssm on gowalla"``, with the grids of both
    methods. On a dataset of :data:`prismbook.plan.lists.FURTHER_DATASETS` only what is planned on it is meant. An
    experiment that has no run on a dataset is left out.
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
    return {name: runs for name, runs in experiments.items() if runs}


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
        runs = [config for *group, config in ordered if group == [priority, name]]
        lines.append(f"{priority}, {name}: {_left(runs, costs)}")
    return lines


def _left(runs: Sequence[RunConfig], costs: Costs) -> str:
    """How many runs are left, and what they will take, as text."""
    expected = costs.expected(Counter(runs))
    time_needed = f"unknown, never ran here: {', '.join(expected.unmeasured)}"
    if not expected.unmeasured:
        time_needed = f"about {duration(expected.hours)}"
    if expected.scaled:
        time_needed += f" (scaled from like runs: {', '.join(expected.scaled)})"
    return f"{len(runs)} left, {time_needed}"


@dataclass(frozen=True)
class Turn:
    """What some missing runs may turn: one statement of one row of the ledger.

    Attributes:
        name: the row and what its statement is about, e.g. ``"C1 gowalla, below BPR at too weak a decay"``.
        chance: the chance that the statement comes out otherwise once all of the runs are made.
        runs: the missing runs, on a CPU.
    """

    name: str
    chance: float
    runs: tuple[RunConfig, ...]


#: From the names of datasets and the folder of the records to what their missing runs may turn.
Worth = Callable[[Sequence[str], Path], list[Turn]]


class Step(NamedTuple):
    """Runs that are made together.

    Attributes:
        turns: what may turn with them.
        runs: those of them that no earlier step has made.
    """

    turns: list[Turn]
    runs: list[RunConfig]

    def line(self, costs: Costs) -> str:
        """What may turn, with its chance, and what the runs will take."""
        chances = {turn.name: turn.chance for turn in sorted(self.turns, key=lambda turn: turn.chance)}
        names = "; ".join(f"{name} ({100 * chance:.0f} %)" for name, chance in reversed(chances.items()))
        return f"{names}: {_left(self.runs, costs)}"


def by_turns(todo: Iterable[RunConfig], turns: Iterable[Turn], costs: Costs) -> list[Step]:
    """The runs that may turn a verdict, in steps: first the one that turns most statements in an hour.

    Each step completes the runs of one statement, and with them the runs of others. Its worth is the sum of the chances
    of all that it completes. A run counts once, in the first step that has it.

    Args:
        todo: the runs that are left.
        turns: what may turn, with runs of the same device. Where a run is neither left nor made, it counts as made.
        costs: what runs took. A run of a kind that never ran is taken to need an hour for each epoch.
    """
    left = list(dict.fromkeys(todo))
    place = {config: number for number, config in enumerate(left)}
    hours = []
    for config in left:
        expected = costs.expected({config: 1})
        hours.append(expected.epochs if expected.unmeasured else max(expected.hours, 1e-9))
    waiting = [(turn, frozenset(place[config] for config in turn.runs if config in place)) for turn in turns]
    steps = []
    while waiting := [(turn, needed) for turn, needed in waiting if needed]:
        best = max(dict.fromkeys(needed for _, needed in waiting), key=partial(_rate, waiting, hours))
        steps.append(
            Step([turn for turn, needed in waiting if needed <= best], [left[number] for number in sorted(best)])
        )
        waiting = [(turn, needed - best) for turn, needed in waiting]
    return steps


def _rate(waiting: Sequence[tuple[Turn, frozenset[int]]], hours: Sequence[float], runs: frozenset[int]) -> float:
    """How many statements some runs turn in an hour, of those that wait for these alone."""
    gained = sum(turn.chance for turn, needed in waiting if needed <= runs)
    return gained / sum(hours[number] for number in runs)


def on(device: str, turns: Iterable[Turn]) -> list[Turn]:
    """What may turn, with its runs on a device.

    Args:
        device: ``"cpu"`` or ``"cuda"``.
        turns: what may turn.
    """
    return [replace(turn, runs=tuple(replace(config, device=device) for config in turn.runs)) for turn in turns]


def in_order(
    todo: Sequence[RunConfig],
    turns: Sequence[Turn] | None,
    experiments: Mapping[str, Sequence[RunConfig]],
    costs: Costs,
) -> tuple[list[RunConfig], list[str]]:
    """Runs in the order of their worth, and a line for each step and each experiment.

    Args:
        todo: the runs that are left.
        turns: what may turn, see :func:`by_turns`; None where nothing is said of verdicts.
        experiments: the runs of each experiment, see :func:`by_value`.
        costs: what runs took.
    """
    steps = by_turns(todo, turns or (), costs)
    first = [config for step in steps for config in step.runs]
    turning = set(first)
    rest = by_value([config for config in todo if config not in turning], experiments, costs)
    lines = [step.line(costs) for step in steps]
    if rest and turns is not None:
        lines.append(NO_VERDICT)
    return [*first, *(config for *_, config in rest)], [*lines, *value_lines(rest, costs)]
