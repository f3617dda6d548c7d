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
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch

from prismbook.plan.config import FIELDS, RunConfig
from prismbook.plan.experiments import BUDGETS, EXPERIMENTS, FURTHER_DATASETS, PAPER_DATASETS, configs, searches
from prismbook.runs import attempts, priorities, tuning, workers
from prismbook.runs.attempts import rounds
from prismbook.runs.cost import Costs
from prismbook.runs.endings import EndedBySignal, signals_raise
from prismbook.runs.machine import check_device, environment, is_shortage
from prismbook.runs.progress import progress_bar, say_on_a_terminal, show
from prismbook.runs.records import (
    RecordError,
    add_results_option,
    load_record,
    planned,
    scan,
)
from prismbook.runs.sweep import Sweep, choice_so_far, plan, state
from prismbook.runs.sweep_lines import choice_line, estimate, name, state_lines, time_left
from prismlib import datasets

#: Seconds that a command keeps of its time, to say what was done once its processes have ended.
CLOSING = 1.0


def run_by_value(
    sweep: Sweep,
    experiments: Mapping[str, Sequence[RunConfig]],
    names: Sequence[str],
    number: int,
    end: float | None = None,
    retry: bool = False,
    turns: Sequence[priorities.Turn] | None = None,
) -> int:
    """Train what is missing of a sweep in several processes, what is worth most first, and end in time.

    Args:
        experiments: the runs of each experiment, see :func:`prismbook.runs.priorities.by_value`.
        number: how many processes.
        end: the time at which to have ended, of ``time.time()``; None for no limit. No run is started that would take
            longer, and one that is still going is stopped.
        turns: what missing runs may turn, which comes first; None where that is not asked.

    Returns:
        0 where all runs are done, else 1, as an exit status.

    Raises:
        ValueError: a device that is not there, or no process.
        ChildProcessError: a process ended with an error.
    """
    check_device(sweep.configs[0].device)
    device = environment(torch.device(sweep.configs[0].device))["device"]
    sweep.results.mkdir(parents=True, exist_ok=True)
    wanted = {"missing", "running", "failed"} if retry else {"missing", "running"}
    for todo in rounds(lambda: [config for config in plan(sweep)[0] if sweep.state(config)[0] in wanted]):
        if end is not None and time.time() > end - CLOSING:
            break
        costs = Costs(scan(sweep.results)[0], device)
        named = {**experiments, **priorities.patient_runs_of(experiments, sweep.outcomes())}
        ordered, lines = priorities.in_order(todo, turns, named, costs)
        print("\n".join(lines), flush=True)
        last = None if end is None else end - CLOSING
        workers.work_together(ordered, sweep.results, number, last, retry)
    if end is not None and time.time() > end - CLOSING:
        print("the time is over: no further run is started", flush=True)
    for search in sweep.searches:
        if choice_so_far(search, sweep.results) is not None:
            print(choice_line(search, sweep.results, names))
    known = [config for config in plan(sweep)[0] if sweep.state(config) == state(config, sweep.results)]
    print("\n".join(state_lines(known, sweep.results, only=("failed", "damaged"))))
    return 0 if all(sweep.state(config)[0] == "done" for config in known) else 1


def run_all(sweep: Sweep, names: Sequence[str], scheduler: str | None = None, retry: bool = False) -> int:
    """Train what is missing of a sweep; what a search has chosen follows its grid.

    Args:
        scheduler: the address of a dask scheduler; None trains here.

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
    for todo in rounds(lambda: [config for config in plan(sweep)[0] if state(config, sweep.results)[0] in wanted]):
        train_and_print(todo, sweep.results, costs, scheduler, retry)
    known, _ = plan(sweep)
    for search in sweep.searches:
        print(choice_line(search, sweep.results, names))
    print("\n".join(state_lines(known, sweep.results, only=("failed", "damaged"))))
    return 0 if all(state(config, sweep.results)[0] == "done" for config in known) else 1


def train_and_print(todo: Sequence[RunConfig], results: Path, costs: Costs, scheduler: str | None, retry: bool) -> None:
    """Train runs, and print a line for each that ends, with the time left.

    Args:
        costs: what runs took; the new ones are added.
        scheduler: the address of a dask scheduler; None trains here.

    Raises:
        OSError, MemoryError, ImportError, RuntimeError: as of :func:`prismbook.runs.attempts.attempt_all`.
    """
    left = Counter(todo)
    with progress_bar(True, len(todo)) as bar:
        if scheduler is None:
            runs = [planned(config, results) for config in todo]
            outcomes = attempts.attempt_all(runs, on_epoch=partial(show, bar), retry_failed=retry)
        else:
            from prismbook.runs.cluster import attempt_on_cluster

            outcomes = attempt_on_cluster(todo, results, scheduler, retry_failed=retry)
        for number, (config, _) in enumerate(outcomes, 1):
            left -= Counter([config])
            outcome, detail = state(config, results)
            if outcome == "done":
                costs.add(load_record(planned(config, results).stored))
            remaining = time_left(costs.expected(left), scheduler)
            bar.clear()
            print(
                f"[{number}/{len(todo)}] {name(config, results)} {outcome}: {detail}; {remaining}",
                flush=True,
            )
            bar.update()


def main(
    arguments: Sequence[str] | None = None, began: float | None = None, worth: priorities.Worth | None = None
) -> int:
    """Run a command of ``prismbook sweep`` and return its exit status.

    Args:
        arguments: the command and its arguments; None takes them from the command line.
        began: when the command began, of ``time.time()``, from which the time of ``--for`` is counted; None is now.
        worth: from datasets and the folder of the records to what missing runs may turn, for ``run all`` and
            ``estimate all``; None leaves it out. This stage does not know of verdicts.

    Returns:
        0 where all runs are done, 1 where they are not, 130 after an interruption, 128 and a signal's number after
        that signal.
    """
    began = time.time() if began is None else began
    given = parser().parse_args(arguments, argparse.Namespace(began=began, worth=worth))
    return guarded(lambda: given.call(given))


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    parser = argparse.ArgumentParser(prog="prismbook sweep", description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    calls = {"run": _run, "status": _status, "estimate": _estimate}
    texts = {
        "run": "Train the runs that are missing. Started in several terminals, the command shares the work among them.",
        "status": "Print which runs are done, failed, damaged, running and missing. Nothing is trained.",
        "estimate": "Print how many runs are left, with their epochs and hours on this device. One epoch is trained of"
        " each kind of run that this device never ran.",
    }
    for command, text in texts.items():
        sub = commands.add_parser(command, help=text, description=text)
        sub.set_defaults(call=calls[command])
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
                help="End within this time, e.g. 9m, counted from the start of the command. No run is started that"
                " would take longer, going by the records. A run that is still going when the time is over, also one"
                " whose kind was never measured, is stopped between two steps of its training, and nothing of it is"
                " stored. What cannot be interrupted, such as one step, may take some seconds more.",
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
        choices=FIELDS["device"].names,
        help="The device that the runs are trained on. The default is %(default)s.",
    )


class _Asked(NamedTuple):
    """What a command line asks for: a sweep, the runs of each of its experiments, and the names for its reports."""

    sweep: Sweep
    experiments: dict[str, list[RunConfig]]
    names: tuple[str, str]
    turns: list[priorities.Turn] | None = None

    def lines(self, left: Sequence[RunConfig], costs: Costs) -> list[str]:
        """A line per statement and experiment of which runs are left, those that are worth most first."""
        named = {**self.experiments, **priorities.patient_runs_of(self.experiments, self.sweep.outcomes())}
        return priorities.in_order(left, self.turns, named, costs)[1]


def _asked(given: argparse.Namespace, worth: priorities.Worth | None = None) -> _Asked:
    """What is asked for. Of all experiments, the runs that may turn a verdict are part where that is asked too."""
    if given.experiment == "all":
        return _all_asked(given, [given.dataset] if given.dataset else at_hand(), worth)
    name, dataset = given.experiment, given.dataset or "synthetic"
    runs = configs(name, dataset, given.budget, device=given.device)
    if not runs:
        raise ValueError(f"{name} has no run on {dataset}: its weight decays are not known there")
    tuned = searches(name, dataset, given.budget, device=given.device)
    sweep = Sweep(runs, tuned, given.results.resolve())
    return _Asked(sweep, {f"{name} on {dataset}": runs}, (name, given.budget))


def _all_asked(given: argparse.Namespace, names: Sequence[str], worth: priorities.Worth | None) -> _Asked:
    experiments = priorities.experiments_of(names, given.budget, given.device)
    turns = _turns(given, names, worth)
    turning = [config for turn in turns or () for config in turn.runs]
    runs = list(dict.fromkeys([*(config for each in experiments.values() for config in each), *turning]))
    tuned = [search for name in names for search in searches("table1", name, given.budget, device=given.device)]
    patient = [config for name in priorities.with_more_patience(experiments) for config in experiments[name]]
    sweep = Sweep(runs, tuned, given.results.resolve(), any_device=True, with_more_patience=patient)
    outcomes = sweep.outcomes()
    for search in tuned:
        if chosen := [config for config in tuning.wanted(search, outcomes) if config not in search.grid]:
            experiments[f"choice {search.name} on {chosen[0].dataset}"] = chosen
    return _Asked(sweep, experiments, ("table1", given.budget), turns)


def _turns(
    given: argparse.Namespace, names: Sequence[str], worth: priorities.Worth | None
) -> list[priorities.Turn] | None:
    """What missing runs may turn; None where that is not asked, or where a damaged record keeps verdicts from being."""
    if worth is None:
        return None
    say_on_a_terminal("Reading the records: which missing runs can turn a verdict?")
    try:
        return priorities.on(given.device, worth(names, given.results.resolve()))
    except RecordError as error:
        print(f"what runs can turn is not known: {error}", flush=True)
        return None


def _run(given: argparse.Namespace) -> int:
    asked = _asked(given, given.worth)
    limit = None if given.limit is None else workers.seconds(given.limit)
    if given.workers is None and limit is None and not asked.sweep.any_device:
        return run_all(asked.sweep, asked.names, given.scheduler, given.retry_failed)
    if given.scheduler is not None:
        raise ValueError("--scheduler has workers of its own: leave out --workers, --for and all")
    number = 1 if given.workers is None else given.workers
    end = None if limit is None else given.began + limit
    return run_by_value(asked.sweep, asked.experiments, asked.names, number, end, given.retry_failed, asked.turns)


def _status(given: argparse.Namespace) -> int:
    sweep = _asked(given).sweep
    known, later = plan(sweep)
    print("\n".join(state_lines(known, sweep.results)))
    if later:
        print(f"{len(later)} more follow when their grids are complete")
    return 0


def _estimate(given: argparse.Namespace) -> int:
    asked = _asked(given, given.worth)
    sweep, everything = asked.sweep, asked.sweep.any_device
    costs = Costs(scan(sweep.results)[0], _device_of_estimate(given.device, everything))
    if everything:
        known, later = plan(sweep)
        left = [config for config in known if sweep.state(config)[0] in ("missing", "running")] + later
        print("\n".join(asked.lines(left, costs)))
    print("\n".join(estimate(sweep, costs, measure=not everything)))
    return 0


def at_hand() -> list[str]:
    """The datasets of the paper and the further ones whose identity is known here. A line names those left out."""
    names = []
    for dataset in (*PAPER_DATASETS, *FURTHER_DATASETS):
        try:
            if datasets.identity_card(dataset).content_hash is None:
                datasets.load(dataset, download=False)
            names.append(dataset)
        except (FileNotFoundError, ModuleNotFoundError):
            print(f"{dataset}: left out, its files are not at hand", flush=True)
    return names


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

    SIGTERM and SIGHUP are interruptions too, after which processes that were started are ended.

    Args:
        command: what to call; it returns its exit status.
    """
    try:
        with signals_raise():
            return command()
    except KeyboardInterrupt:
        print("Interrupted. What was finished is kept; the same command goes on from there.", file=sys.stderr)
        return 130
    except EndedBySignal as error:
        [received] = error.args
        with suppress(OSError):  # where the terminal has gone
            text = f"Ended by {received.name}. What was finished is kept; the same command goes on from there."
            print(text, file=sys.stderr, flush=True)
        return 128 + int(received)  # as a shell reports it
    except BrokenPipeError:  # for the command line to end quietly
        raise
    except Exception as error:
        if not (isinstance(error, ValueError) or is_shortage(error)):
            raise
        text = (str(error).strip().partition("\n")[0] or type(error).__name__).rstrip(".")
        # of what is wrong with the command or the data, the same command would say the same again
        again = " What was finished is kept; the same command goes on from there." if is_shortage(error) else ""
        print(f"Stopped: {text}.{again}", file=sys.stderr)
        return 1
