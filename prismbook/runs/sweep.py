"""Sweeps: all runs of an experiment, on this machine or on a cluster, safe to interrupt and to start again.

python -m prismbook sweep estimate table1 --dataset synthetic --budget smoke     what it will cost
python -m prismbook sweep run table1 --dataset synthetic --budget smoke          train what is missing
python -m prismbook sweep status table1 --dataset synthetic --budget smoke       what is done, running, missing
python -m prismbook sweep run all --workers 4 --for 9m                           what is worth most, within a time
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import torch

from prismbook.plan.config import CHOICES, RunConfig
from prismbook.plan.experiments import BUDGETS, EXPERIMENTS, FURTHER_DATASETS, PAPER_DATASETS, Search, configs, searches
from prismbook.runs import attempts, patience, tuning, workers
from prismbook.runs.cost import Costs, Expected, duration
from prismbook.runs.failures import Failure, load_failure
from prismbook.runs.locks import in_flight, lock_path
from prismbook.runs.machine import environment, is_shortage
from prismbook.runs.progress import progress_bar, show
from prismbook.runs.records import (
    Record,
    RecordError,
    add_results_option,
    load_record,
    scan,
    stored_path,
)
from prismbook.text import plural
from prismlib import datasets
from prismlib._device import check_device

#: What a run of a sweep can be.
STATES = ("done", "failed", "damaged", "running", "missing")


class Sweep(NamedTuple):
    """The runs of an experiment.

    Attributes:
        configs: the runs that are known beforehand.
        searches: the searches, whose choices are run when their grids are complete.
        results: the folder of the records.
        any_device: whether what is stored of another device counts, as it does for the claims.
        waited_for: those of the runs of which a twin is wanted too, where they end in a dip.
    """

    configs: list[RunConfig]
    searches: list[Search]
    results: Path
    any_device: bool = False
    waited_for: Sequence[RunConfig] = ()

    def state(self, config: RunConfig) -> tuple[str, str]:
        """One of :data:`STATES`, and what there is to say about it.

        Args:
            config: the run's configuration.
        """
        found = state(config, self.results)
        if self.any_device and found[0] != "done":
            elsewhere = state(replace(config, device="cpu"), self.results)  # that of a GPU counts for a CPU's
            return elsewhere if elsewhere[0] == "done" else found
        return found

    def outcomes(self) -> tuning.Outcomes:
        """What is stored of each configuration."""
        known = readable(self.results)
        return (lambda config: known(replace(config, device="cpu"))) if self.any_device else known


def state(config: RunConfig, results: Path) -> tuple[str, str]:
    """One of :data:`STATES`, and what there is to say about it.

    Args:
        config: the run's configuration.
        results: the folder of the records.
    """
    path = stored_path(results, config)
    try:
        record = load_record(path)
    except RecordError as error:
        return "damaged", str(error)
    if record is not None:
        return "done", f"NDCG@20 {record['test']['dot']['ndcg']:.4f}"
    note = in_flight(lock_path(path))
    if note is not None:
        return "running", note
    failure = load_failure(path)
    return ("missing", "") if failure is None else ("failed", failure["reason"])


def plan(sweep: Sweep) -> tuple[list[RunConfig], list[RunConfig]]:
    """The runs that are known by now, and stand-ins of equal cost for those that a search has yet to choose.

    Args:
        sweep: what is wanted.
    """
    outcomes = sweep.outcomes()
    known, later = [*sweep.configs, *patience.twins(sweep.waited_for, outcomes)], []
    for search in sweep.searches:
        known += tuning.wanted(search, outcomes)
        if any(outcomes(config) is None for config in search.grid):
            tried = {config.seed for config in search.grid}
            two = dict.fromkeys((search.grid[0], search.grid[-1]))
            later += [
                replace(one, seed=seed, split_seed=seed) for one in two for seed in search.seeds if seed not in tried
            ]
    return list(dict.fromkeys(known)), [config for config in dict.fromkeys(later) if config not in known]


def choose(search: Search, results: Path) -> tuning.Choice | None:
    """What a search chooses from what is stored; None where its grid is incomplete or one of its records is damaged.

    The grid is taken with what it has grown by, see :func:`prismbook.runs.tuning.grown`.

    Args:
        search: the search.
        results: the folder of the records.
    """
    outcomes = readable(results)
    return tuning.choose(tuning.grown(search, outcomes), outcomes)


def readable(results: Path) -> tuning.Outcomes:
    """What is stored of each configuration. A damaged record counts as none.

    Args:
        results: the folder of the records.
    """

    def outcome(config: RunConfig) -> Record | Failure | None:
        with suppress(RecordError):
            return tuning.outcome_of(results, config)
        return None

    return cache(outcome)


def run_by_value(
    sweep: Sweep,
    experiments: Mapping[str, Sequence[RunConfig]],
    names: Sequence[str],
    number: int,
    limit: float | None = None,
    retry: bool = False,
) -> int:
    """Train what is missing of a sweep in several processes, what is worth most first, and end in time.

    Args:
        sweep: what is wanted.
        experiments: the runs of each experiment, see :func:`prismbook.runs.workers.by_value`.
        names: the names of the experiment and of the budget, for the reports of the searches.
        number: how many processes.
        limit: seconds after which to have ended; None for no limit. No run is started that would take longer.
        retry: train also what failed before.

    Returns:
        0 where all runs are done, else 1, as an exit status.

    Raises:
        ValueError: a device that is not there, or no process.
        RuntimeError: a process ended with an error.
    """
    end = None if limit is None else time.time() + limit
    check_device(sweep.configs[0].device)
    device = environment(torch.device(sweep.configs[0].device))["device"]
    sweep.results.mkdir(parents=True, exist_ok=True)
    wanted = {"missing", "running", "failed"} if retry else {"missing", "running"}
    tried: set[RunConfig] = set()
    while True:  # twice where something is searched or waited for: the grid, and then its choice and the twins
        costs = Costs(scan(sweep.results)[0], device)
        todo = [config for config in plan(sweep)[0] if config not in tried and sweep.state(config)[0] in wanted]
        if not todo or (end is not None and time.time() > end):
            break
        tried |= set(todo)
        named = {**experiments, **workers.twins_of(experiments, sweep.outcomes())}
        ordered = workers.by_value(todo, named, costs)
        print("\n".join(workers.value_lines(ordered, costs)), flush=True)
        workers.work_together([config for *_, config in ordered], sweep.results, number, end, retry)
    for search in sweep.searches:
        if choose(search, sweep.results) is not None:
            print(choice_line(search, sweep.results, names))
    known = [config for config in plan(sweep)[0] if sweep.state(config) == state(config, sweep.results)]
    print("\n".join(state_lines(known, sweep.results, only=("failed", "damaged"))))
    return 0 if all(sweep.state(config)[0] == "done" for config in known) else 1


def run(sweep: Sweep, names: Sequence[str], scheduler: str | None = None, retry: bool = False) -> int:
    """Train what is missing of a sweep; what a search has chosen follows its grid.

    Args:
        sweep: what is wanted.
        names: the names of the experiment and of the budget, for the reports of the searches.
        scheduler: the address of a dask scheduler; None trains here.
        retry: train also what failed before.

    Returns:
        0 where all runs are done, else 1, as an exit status.

    Raises:
        ValueError: a device that is not there.
        OSError, MemoryError, ImportError, RuntimeError: what is the machine's fault, e.g. a full disk or a scheduler
            that is lost.
    """
    device = sweep.configs[0].device
    if scheduler is None:
        check_device(device)
    costs = Costs(scan(sweep.results)[0], None if scheduler else environment(torch.device(device))["device"])
    sweep.results.mkdir(parents=True, exist_ok=True)
    wanted = {"missing", "running", "failed"} if retry else {"missing", "running"}
    print("\n".join(estimate(sweep, costs, wanted, measure=scheduler is None)), flush=True)
    _train_all(sweep, costs, wanted, scheduler, retry)
    known, _ = plan(sweep)
    for search in sweep.searches:
        print(choice_line(search, sweep.results, names))
    print("\n".join(state_lines(known, sweep.results, only=("failed", "damaged"))))
    return 0 if all(state(config, sweep.results)[0] == "done" for config in known) else 1


def _train_all(sweep: Sweep, costs: Costs, wanted: Container[str], scheduler: str | None, retry: bool) -> None:
    """Train the known runs until none is left: twice where something is searched, the grid and then its choice."""
    tried: set[RunConfig] = set()
    while True:
        known, _ = plan(sweep)
        todo = [config for config in known if config not in tried and state(config, sweep.results)[0] in wanted]
        if not todo:
            return
        tried |= set(todo)
        train(todo, sweep.results, costs, scheduler, retry)


def train(todo: Sequence[RunConfig], results: Path, costs: Costs, scheduler: str | None, retry: bool) -> None:
    """Train runs, and print a line for each that ends, with the time left.

    Args:
        todo: the runs.
        results: the folder of the records.
        costs: what runs took; the new ones are added.
        scheduler: the address of a dask scheduler; None trains here.
        retry: train also what failed before.

    Raises:
        OSError, MemoryError, ImportError, RuntimeError: as of :func:`prismbook.runs.attempts.attempt_all`.
    """
    left = Counter(todo)
    with progress_bar(True, len(todo)) as bar:
        if scheduler is None:
            outcomes = attempts.attempt_all(todo, results, on_epoch=partial(show, bar), retry_failed=retry)
        else:
            from prismbook.runs.cluster import attempt_all

            outcomes = attempt_all(todo, results, scheduler, retry_failed=retry)
        for number, (config, _) in enumerate(outcomes, 1):
            left -= Counter([config])
            outcome, detail = state(config, results)
            if outcome == "done":
                costs.add(load_record(stored_path(results, config)))
            remaining = time_left(costs.expected(left), scheduler)
            bar.clear()
            print(
                f"[{number}/{len(todo)}] {name(config, results)} {outcome}: {detail}; {remaining}",
                flush=True,
            )
            bar.update()


def time_left(expected: Expected, scheduler: str | None) -> str:
    """The time left in words. The workers of a cluster come and go, so there it is the time of one worker.

    Args:
        expected: what the runs that are left will take.
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
    """What a search chose and what it cost, in one line. Its report is stored.

    Args:
        search: the search.
        results: the folder of the records and reports.
        names: the names of the experiment and of the budget.
    """
    choice = choose(search, results)
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
        sweep: what is wanted.
        costs: what runs took.
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
    """A line per run of some states, then how many runs are in which state.

    Args:
        known: the runs.
        results: the folder of the records.
        only: the states whose runs have a line.
    """
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
    """The name of a run's record, and the fields by which a reader tells runs apart.

    Args:
        config: the run's configuration.
        results: the folder of the records.
    """
    path = stored_path(results, config)
    fields = {"lr": config.lr, "decay": config.weight_decay, "alpha": config.alpha, "gamma": config.gamma}
    shown = [f"{field} {value:g}" for field, value in fields.items() if value is not None]
    return f"{path.stem} ({', '.join(shown)}, seed {config.seed})"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command of ``prismbook sweep`` and return its exit status.

    Args:
        arguments: the command and its arguments; None takes them from the command line.

    Returns:
        0 where all runs are done, 1 where they are not, 130 after an interruption.
    """
    given = parser().parse_args(arguments)
    return guarded(lambda: _command(given))


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    parser = argparse.ArgumentParser(prog="prismbook sweep", description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    texts = {
        "run": "Train the runs that are missing. Started in several terminals, the command shares the work among them.",
        "status": "Print which runs are done, failed, damaged, running and missing. Nothing is trained.",
        "estimate": "Print how many runs are left, with their epochs and hours on this device. One epoch is trained of"
        " each kind of run that this device never ran.",
    }
    for command, text in texts.items():
        sub = commands.add_parser(command, help=text, description=text)
        _add_options(sub)
        if command == "run":
            sub.add_argument(
                "--scheduler",
                metavar="ADDRESS",
                help="Train on the workers of this scheduler of dask.distributed, given by its address or its scheduler"
                " file. Without it, the runs are trained here.",
            )
            sub.add_argument(
                "--retry-failed",
                action="store_true",
                help="Train again the runs that failed before. Without it, they stay failed.",
            )
            sub.add_argument(
                "--workers",
                type=int,
                metavar="N",
                help="Train in N processes of this machine, what is worth most first. On a GPU they share the card.",
            )
            sub.add_argument(
                "--for",
                dest="limit",
                metavar="TIME",
                help="End within this time, e.g. 9m: no run is started that would take longer, going by the records.",
            )
    return parser


def _add_options(command: argparse.ArgumentParser) -> None:
    """The options that all commands have."""
    experiments = [*EXPERIMENTS, "table1", "all"]
    command.add_argument(
        "experiment",
        choices=experiments,
        metavar="EXPERIMENT",
        help=f"The experiment whose runs are meant, one of {', '.join(experiments)}.",
    )
    command.add_argument(
        "--dataset",
        choices=datasets.known(),
        help="The dataset that the runs are trained on. The default is synthetic; of all, every dataset of the paper.",
    )
    command.add_argument(
        "--budget",
        default="lean",
        choices=list(BUDGETS),
        help="How much is searched and run: smoke takes a minute on the synthetic dataset, lean searches one parameter"
        " at a time, paper searches all that the paper does. The default is %(default)s.",
    )
    add_results_option(command)
    command.add_argument(
        "--device",
        default="cpu",
        choices=CHOICES["device"],
        help="The device that the runs are trained on. The default is %(default)s.",
    )


def _command(given: argparse.Namespace) -> int:
    everything = given.experiment == "all"
    chosen = [given.dataset or "synthetic"] if given.dataset or not everything else at_hand()
    if everything:
        experiments = workers.experiments_of(chosen, given.budget, given.device)
    else:
        found = configs(given.experiment, chosen[0], given.budget, device=given.device)
        experiments = {f"{given.experiment} on {chosen[0]}": found}
    names = "table1" if everything else given.experiment, given.budget
    runs = list(dict.fromkeys(config for found in experiments.values() for config in found))
    tuned = [search for data in chosen for search in searches(names[0], data, given.budget, device=given.device)]
    waited_for = [config for name in workers.waiting(experiments) for config in experiments[name]] if everything else []
    sweep = Sweep(runs, tuned, given.results.resolve(), everything, waited_for)
    if everything:
        outcomes = sweep.outcomes()
        for search in tuned:
            wanted = [config for config in tuning.wanted(search, outcomes) if config not in search.grid]
            if wanted:
                experiments[f"choice {search.name} on {wanted[0].dataset}"] = wanted
    if given.command == "run":
        limit = None if given.limit is None else workers.seconds(given.limit)
        if given.workers is None and limit is None and not everything:
            return run(sweep, names, given.scheduler, given.retry_failed)
        if given.scheduler is not None:
            raise ValueError("--scheduler has workers of its own: leave out --workers, --for and all")
        number = 1 if given.workers is None else given.workers
        return run_by_value(sweep, experiments, names, number, limit, given.retry_failed)
    if given.command == "status":
        known, later = plan(sweep)
        print("\n".join(state_lines(known, sweep.results)))
        if later:
            print(f"{len(later)} more follow when their grids are complete")
        return 0
    costs = Costs(scan(sweep.results)[0], _device_of_estimate(given.device, everything))
    if everything:
        known, later = plan(sweep)
        left = [config for config in known if sweep.state(config)[0] in ("missing", "running")] + later
        named = {**experiments, **workers.twins_of(experiments, sweep.outcomes())}
        print("\n".join(workers.value_lines(workers.by_value(left, named, costs), costs)))
    print("\n".join(estimate(sweep, costs, measure=not everything)))
    return 0


def at_hand() -> list[str]:
    """The datasets of the paper and the further ones whose identity is known here. A line names those left out."""
    found = []
    for dataset in (*PAPER_DATASETS, *FURTHER_DATASETS):
        try:
            if datasets.identity_card(dataset).content_hash is None:
                datasets.load(dataset, download=False)
            found.append(dataset)
        except (FileNotFoundError, ModuleNotFoundError):
            print(f"{dataset}: left out, its files are not at hand", flush=True)
    return found


def _device_of_estimate(device: str, everything: bool) -> str | None:
    """The name of the device for which costs are estimated; None: any of its class, where this machine has none.

    Without the device no epoch can be tried, so that one experiment alone needs it.
    """
    try:
        check_device(device)
    except ValueError:
        if not everything:
            raise
        return None
    return str(environment(torch.device(device))["device"])


def guarded(command: Callable[[], int]) -> int:
    """Call a command. An interruption, or an error that is foreseen, becomes one line and an exit status.

    Args:
        command: what to call; it returns its exit status.
    """
    try:
        return command()
    except KeyboardInterrupt:
        print("Interrupted. What was finished is kept; the same command goes on from there.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # for the command line to end quietly
        raise
    except Exception as error:
        if not (isinstance(error, ValueError) or is_shortage(error)):
            raise
        text = str(error).strip().partition("\n")[0] or type(error).__name__
        print(f"Stopped: {text}. What was finished is kept; the same command goes on from there.", file=sys.stderr)
        return 1
