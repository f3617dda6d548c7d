"""Sweeps: all runs of an experiment, on this machine or on a cluster; safe to interrupt, and to start again.

python -m prismbook sweep estimate table1 --dataset synthetic --budget smoke     what it will cost
python -m prismbook sweep run table1 --dataset synthetic --budget smoke          train what is missing
python -m prismbook sweep status table1 --dataset synthetic --budget smoke       what is done, running, missing
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch

from prismbook.plan.config import CHOICES, RunConfig
from prismbook.plan.experiments import BUDGETS, EXPERIMENTS, Search, configs, searches
from prismbook.runs import attempts, tuning
from prismbook.runs.cost import Costs, Expected, duration
from prismbook.runs.locks import in_flight, lock_path
from prismbook.runs.machine import environment
from prismbook.runs.progress import progress_bar, show
from prismbook.runs.records import (
    RecordError,
    default_results,
    folder,
    load_failure,
    load_record,
    scan,
    stored_path,
)
from prismlib import datasets
from prismlib.device import check_device

Ended = Iterator[tuple[RunConfig, str]]
#: What a run of a sweep can be.
STATES = ("done", "failed", "damaged", "running", "missing")


def state(config: RunConfig, results: Path) -> tuple[str, str]:
    """One of :data:`STATES`, and what there is to say about it."""
    path = stored_path(results, config)
    try:
        record = load_record(path)
    except RecordError as error:
        return "damaged", str(error)
    if record is not None:
        return "done", f"NDCG@20 {record['test']['dot']['ndcg']:.4f}"
    told = in_flight(lock_path(path))
    if told is not None:
        return "running", told
    failure = load_failure(path)
    return ("missing", "") if failure is None else ("failed", failure["reason"])


class Sweep(NamedTuple):
    """The runs of an experiment, its searches, and where its records are."""

    found: list[RunConfig]
    tuned: list[Search]
    results: Path


def plan(sweep: Sweep) -> tuple[list[RunConfig], list[RunConfig]]:
    """The runs that are known by now, and stand-ins of equal cost for those that a search has yet to choose."""
    known, later = list(sweep.found), []
    for search in sweep.tuned:
        choice = choose(search, sweep.results)
        if choice is None:
            first, tried = search.grid[0], {config.seed for config in search.grid}
            later += [replace(first, seed=seed, split_seed=seed) for seed in search.seeds if seed not in tried]
        elif choice.config is not None:
            known += tuning.further(search, choice.config)
    return list(dict.fromkeys(known)), [config for config in dict.fromkeys(later) if config not in known]


def choose(search: Search, results: Path) -> tuning.Choice | None:
    """:func:`prismbook.runs.tuning.choose` from what is stored; None also where a record of the grid is damaged."""
    with suppress(RecordError):
        return tuning.choose(search, {config: tuning.outcome_of(results, config) for config in search.grid})
    return None


def train(todo: Sequence[RunConfig], results: Path, costs: Costs, scheduler: str | None, retry: bool) -> None:
    """Train runs, with a line for each that ends and the time left.

    Raises:
        OSError, ConnectionError: what stops the whole sweep, a full disk for one.
    """
    left = Counter(todo)
    with progress_bar(True, len(todo)) as bar:
        on_epoch = partial(show, bar)
        options = {"retry_failed": retry}
        if scheduler is None:
            ended: Ended = attempts.attempt_all(todo, results, on_epoch=on_epoch, **options)
        else:
            from prismbook.runs.cluster import attempt_all

            ended = attempt_all(todo, results, scheduler, **options)
        for number, (config, _) in enumerate(ended, 1):
            left -= Counter([config])
            how, detail = state(config, results)
            if how == "done":
                costs.add(load_record(stored_path(results, config)))
            bar.clear()
            print(
                f"[{number}/{len(todo)}] {name(config, results)} {how}: {detail};"
                f" {time_left(costs.of(left), scheduler)}",
                flush=True,
            )
            bar.update()


def time_left(expected: Expected, scheduler: str | None) -> str:
    """In words. A cluster's workers come and go, so there it is the work of one.

    >>> time_left(Expected(12, 30, 0.5, 1.0, []), None)
    '30 min left'
    >>> time_left(Expected(12, 30, 0.0, 0.0, ["mf with bpr"]), None)
    'time left unknown, mf with bpr never ran here'
    """
    if expected.unmeasured:
        return f"time left unknown, {', '.join(expected.unmeasured)} never ran here"
    return f"{duration(expected.hours)}{' of one worker' if scheduler else ''} left"


def run(sweep: Sweep, names: Sequence[str], scheduler: str | None = None, retry: bool = False) -> int:
    """Train what is missing of a sweep; what a search has chosen follows its grid. Returns the exit status.

    Args:
        names: the experiment's and the budget's, for the reports of its searches.
        scheduler: address of a dask scheduler; None trains here.
        retry: train also what failed before.

    Raises:
        ValueError: a device that is not there.
        OSError: what stops the whole sweep, e.g. a full disk, or a scheduler that is lost.
    """
    device = sweep.found[0].device
    if scheduler is None:
        check_device(device)
    costs = Costs(scan(sweep.results)[0], None if scheduler else environment(torch.device(device))["device"])
    sweep.results.mkdir(parents=True, exist_ok=True)
    wanted = {"missing", "running", *(["failed"] if retry else [])}
    print("\n".join(estimate(sweep, costs, wanted, measure=scheduler is None)), flush=True)
    tried: set[RunConfig] = set()
    while True:  # twice where something is tuned: the grid, then what it chose
        known, _ = plan(sweep)
        todo = [config for config in known if config not in tried and state(config, sweep.results)[0] in wanted]
        if not todo:
            break
        tried |= set(todo)
        train(todo, sweep.results, costs, scheduler, retry)
    for search in sweep.tuned:
        print(chosen_line(search, sweep.results, names))
    print("\n".join(table(known, sweep.results, only=("failed", "damaged"))))
    return 0 if all(state(config, sweep.results)[0] == "done" for config in known) else 1


def chosen_line(search: Search, results: Path, names: Sequence[str]) -> str:
    """What a search chose and what it cost; its report is stored."""
    choice = choose(search, results)
    if choice is None:
        return f"{search.name}: not chosen yet, its grid is incomplete"
    path = tuning.save_report(choice, results, *names)
    spent = f"{choice.runs} runs, {choice.failed} failed, {choice.epochs} epochs, {sum(choice.seconds.values()):.0f} s"
    best = tuning.report(choice)["chosen"]
    chosen = "nothing, all failed" if best is None else ", ".join(f"{k} {v:g}" for k, v in best.items())
    return f"{search.name}: a search of {spent}; chosen: {chosen or 'the only candidate'} ({path.name})"


def estimate(
    sweep: Sweep, costs: Costs, wanted: Container[str] = ("missing", "running"), measure: bool = True
) -> list[str]:
    """What is left to train and what it will take, in lines.

    Args:
        wanted: the states that are still to be trained.
        measure: train one epoch of each kind of run that this device never ran.
    """
    known, later = plan(sweep)
    left = [config for config in known if state(config, sweep.results)[0] in wanted] + later
    if measure:
        costs.measure(left)
    expected = costs.of(Counter(left))
    lines = [
        f"{len(known) + len(later)} runs, {len(left)} left to train"
        + f", {len(later)} of them still to be chosen" * bool(later),
        f"epochs: about {expected.epochs}, at most {expected.most_epochs}",
    ]
    where = costs.device or "one worker like those of the stored runs"
    if expected.unmeasured:
        return [*lines, f"time: unknown, never ran on {where}: {', '.join(expected.unmeasured)}"]
    return [*lines, f"time: about {duration(expected.hours)}, at most {duration(expected.most_hours)}, on {where}"]


def table(known: Sequence[RunConfig], results: Path, only: Sequence[str] = STATES) -> list[str]:
    """How many runs are in which state, and a line for each run of the states in ``only``."""
    states = {config: state(config, results) for config in known}
    counts = Counter(how for how, _ in states.values())
    chosen = [(how, config, detail) for how in only for config, (its, detail) in states.items() if its == how]
    lines = [f"{how}: {name(config, results)} {detail}".rstrip() for how, config, detail in chosen]
    return [*lines, f"{len(known)} runs: " + ", ".join(f"{counts[how]} {how}" for how in STATES)]


def name(config: RunConfig, results: Path) -> str:
    """The name of a run's record, and the fields a reader tells runs apart by."""
    path = stored_path(results, config)
    own = {"lr": config.lr, "decay": config.weight_decay, "alpha": config.alpha, "gamma": config.gamma}
    shown = [f"{field} {value:g}" for field, value in own.items() if value is not None]
    return f"{path.stem} ({', '.join(shown)}, seed {config.seed})"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status: 0 all done, 1 not, 130 interrupted."""
    given = parser().parse_args(arguments)
    return guarded(lambda: _command(given))


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    parser = argparse.ArgumentParser(prog="prismbook sweep", description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    helps = {
        "run": "train what is missing; start it in several terminals and they share the work",
        "status": "what is done, failed, damaged, running and missing",
        "estimate": "runs, epochs and hours on this device; one epoch of each kind that never ran here is timed",
    }
    for command, text in helps.items():
        sub = commands.add_parser(command, help=text, description=text)
        sub.add_argument("experiment", choices=[*EXPERIMENTS, "table1"], metavar="EXPERIMENT",
                         help=", ".join([*EXPERIMENTS, "table1"]))  # fmt: skip
        sub.add_argument("--dataset", default="synthetic", choices=datasets.known(), help="default: %(default)s")
        sub.add_argument("--budget", default="lean", choices=list(BUDGETS), help="how much; default: %(default)s")
        sub.add_argument("--results", type=folder, default=default_results(), help="folder; default: %(default)s")
        sub.add_argument("--device", default="cpu", choices=CHOICES["device"], help="default: %(default)s")
        if command == "run":
            sub.add_argument(
                "--scheduler",
                metavar="ADDRESS",
                help="address or scheduler file of dask.distributed",
            )
            sub.add_argument("--retry-failed", action="store_true", help="train also the runs that failed before")
    return parser


def _command(given: argparse.Namespace) -> int:
    names, own = (given.experiment, given.dataset, given.budget), {"device": given.device}
    sweep = Sweep(configs(*names, **own), searches(*names, **own), given.results.resolve())
    if given.command == "run":
        return run(sweep, (given.experiment, given.budget), given.scheduler, given.retry_failed)
    if given.command == "status":
        known, later = plan(sweep)
        print("\n".join(table(known, sweep.results)))
        if later:
            print(f"{len(later)} more follow when their grids are complete")
    else:
        check_device(given.device)
        costs = Costs(scan(sweep.results)[0], environment(torch.device(given.device))["device"])
        print("\n".join(estimate(sweep, costs)))
    return 0


def guarded(command: Callable[[], int]) -> int:
    """Call ``command``; an interruption, or an error that it foresees, becomes one line and an exit status."""
    try:
        return command()
    except KeyboardInterrupt:
        print("Interrupted. What was finished is kept; the same command goes on from there.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # for the command line to end quietly
        raise
    except (ValueError, OSError, ImportError) as error:
        print(f"Stopped: {error}. What was finished is kept; the same command goes on from there.", file=sys.stderr)
        return 1
