"""What the commands of a sweep print: sentences on its runs, searches and costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Sequence
from pathlib import Path

from prismbook.plan.config import RunConfig
from prismbook.plan.experiments import Search
from prismbook.runs import tuning
from prismbook.runs.cost import Costs, Expected, duration
from prismbook.runs.records import (
    planned,
)
from prismbook.runs.sweep import STATES, Sweep, choice_so_far, plan, state
from prismbook.text import plural


def time_left(expected: Expected, scheduler: str | None) -> str:
    """The time left in words. The workers of a cluster come and go, so there it is the time of one worker.

    Args:
        scheduler: the address of a dask scheduler; None trains here.

    >>> time_left(Expected(12, 30, 0.5, 1.0, []), None)
    '30 min left'
    >>> time_left(Expected(12, 30, 0.0, 0.0, ["mf with bpr"]), None)
    'time left unknown, mf with bpr never ran here'
    """
    if expected.unmeasured:
        return f"time left unknown, {', '.join(expected.unmeasured)} never ran here"
    return f"{duration(expected.hours)} left" if scheduler is None else f"{duration(expected.hours)} of one worker left"


def choice_line(search: Search, results: Path, names: Sequence[str]) -> str:
    """What a search chose and what it cost, in one line. Its report is stored."""
    choice = choice_so_far(search, results)
    if choice is None:
        return f"{search.name}: not chosen yet, its grid is incomplete"
    path = tuning.save_report(choice, results, *names)
    seconds = sum(choice.seconds.values())
    cost = f"{plural(choice.runs, 'run')}, {choice.failed} failed, {plural(choice.epochs, 'epoch')}, {seconds:.0f} s"
    values = tuning.report(choice)["chosen"]
    if values is None:
        text = "nothing, all failed"
    else:
        text = ", ".join(f"{field} {value:g}" for field, value in values.items()) or "the only candidate"
    return f"{search.name}: a search of {cost}; chosen: {text} ({path.name})"


def estimate(
    sweep: Sweep, costs: Costs, wanted: Container[str] = ("missing", "running"), measure: bool = True
) -> list[str]:
    """What is left to train and what it will take, in lines.

    Args:
        wanted: the states that are still to be trained.
        measure: train one epoch of each kind of run that this device never ran.
    """
    known, later = plan(sweep)
    left = [config for config in known if sweep.state(config)[0] in wanted] + later
    if measure:
        costs.measure(left)
    expected = costs.expected(Counter(left))
    counts = f"{plural(len(known) + len(later), 'run')}, {len(left):,} left to train"
    if later:
        counts += f", {len(later):,} of them still to be chosen"
    lines = [counts, f"epochs: about {expected.epochs}, at most {expected.most_epochs}"]
    where = costs.device or "one worker like those of the stored runs"
    if expected.scaled:
        where += f"; scaled from like runs: {', '.join(expected.scaled)}"
    if expected.unmeasured:
        return [*lines, f"time: unknown, never ran on {where}: {', '.join(expected.unmeasured)}"]
    return [*lines, f"time: about {duration(expected.hours)}, at most {duration(expected.most_hours)}, on {where}"]


def state_lines(known: Sequence[RunConfig], results: Path, only: Sequence[str] = STATES) -> list[str]:
    """A line per run of some states, then how many runs are in which state."""
    states = {config: state(config, results) for config in known}
    counts = Counter(run_state for run_state, _ in states.values())
    lines = [
        f"{wanted}: {name(config, results)} {detail}".rstrip()
        for wanted in only
        for config, (run_state, detail) in states.items()
        if run_state == wanted
    ]
    return [*lines, f"{plural(len(known), 'run')}: " + ", ".join(f"{counts[wanted]} {wanted}" for wanted in STATES)]


def name(config: RunConfig, results: Path) -> str:
    """The name of a run's record, and the fields by which a reader tells runs apart."""
    path = planned(config, results).stored
    fields = {"lr": config.lr, "decay": config.weight_decay, "alpha": config.alpha, "gamma": config.gamma}
    shown = [f"{field} {value:g}" for field, value in fields.items() if value is not None]
    return f"{path.stem} ({', '.join(shown)}, seed {config.seed})"
