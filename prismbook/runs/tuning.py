"""Tuning: the configuration that validation NDCG@20 chooses from a grid, and what the search cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

from prismbook.plan.config import RunConfig, at_seed, semantics
from prismbook.plan.experiments import Search, searches
from prismbook.runs import patience
from prismbook.runs.attempts import get_records, rounds
from prismbook.runs.failures import Failure, load_failure
from prismbook.runs.reading import kept
from prismbook.runs.records import Record, load_record, planned, write_json

SEED_FIELDS = ("seed", "split_seed")


#: A function that gives the record or the failure of a configuration, or None. :func:`stored` reads a folder.
Outcomes = Callable[[RunConfig], Record | Failure | None]


@dataclass(frozen=True)
class Choice:
    """What a search chose, and what it cost.

    Attributes:
        search: the search, with its grid as far as it has grown.
        config: the chosen configuration, at the grid's first seed; None where every candidate failed.
        validation: its best validation NDCG@20 by dot product, the mean over the grid's seeds.
        candidates: the validation score (None: failed) and the run ids of each candidate, by its varied fields.
        runs: the number of runs of the search, those that failed included.
        failed: the number of runs that failed.
        epochs: the number of epochs of all runs.
        seconds: the time of training and evaluation of all runs, by class of device, ``"cpu"`` or ``"cuda"``.
        all_seeds: whether the two best were run at all seeds before the choice. False: it rests on the grid's seeds.
        finals: the ids of the records of the two best that were read, at every seed at which one is stored.
    """

    search: Search
    config: RunConfig | None
    validation: float | None
    candidates: dict[str, dict[str, Any]]
    runs: int
    failed: int
    epochs: int
    seconds: dict[str, float]
    all_seeds: bool
    finals: tuple[str, ...]


def validation_score(record: Record) -> float:
    """The best validation NDCG@20 by dot product over the epochs. Early stopping keeps it, and tuning sees no more."""
    return max(record["history"]["validation_dot"])


def varied(grid: Sequence[RunConfig]) -> dict[str, list[Any]]:
    """The fields in which the configurations of a grid differ, seeds aside, with their values in order.

    >>> varied([RunConfig("synthetic", "bpr", weight_decay=decay, seed=seed) for decay in (0, 1e-6) for seed in (1, 2)])
    {'weight_decay': [0.0, 1e-06]}
    """
    fields = {name: list(dict.fromkeys(getattr(config, name) for config in grid)) for name in vars(grid[0])}
    return {name: values for name, values in fields.items() if len(values) > 1 and name not in SEED_FIELDS}


def grown(search: Search, outcomes: Outcomes) -> Search:
    """A search with its grid grown until its best is inside, as far as the runs that ended allow.

    Where the grid is complete and its best at an edge, the next value is added, and so on. What was added last may not
    have been run.
    """
    while all(outcomes(config) is not None for config in search.grid):
        best = _decide(search, outcomes).config
        more = () if best is None else search.beyond_edge(best)
        if not more:
            break
        search = replace(search, grid=search.grid + more)
    return search


def wanted(search: Search, outcomes: Outcomes) -> list[RunConfig]:
    """The runs that a search wants, given those that ended.

    First these are the grid, then the values by which it grows, and then the two best configurations at all seeds. Of
    these a run that the stopping rule ended in a dip is wanted with more patience too. While the grid is not complete,
    the same is wanted of its first learning rate, with which the methods are compared until then. A search is at its
    end where all that it wants has ended.
    """
    search = grown(search, outcomes)
    if any(outcomes(config) is None for config in search.grid):
        first = search.at_rates((search.grid[0].lr,))
        of_first = wanted(first, outcomes) if len(first.grid) < len(search.grid) else []
        return list(dict.fromkeys([*search.grid, *of_first]))
    finals = [run for config in finalists(search, outcomes) for run in further(search, config)]
    return list(dict.fromkeys([*search.grid, *finals, *patience.patient_runs(finals, outcomes)]))


def finalists(search: Search, outcomes: Outcomes) -> list[RunConfig]:
    """The two best configurations of a grid by mean validation NDCG@20 over the grid's seeds, the best first."""
    return [config for _, config in _ranked(search, outcomes)[:2]]


def _ranked(search: Search, outcomes: Outcomes) -> list[tuple[float, RunConfig]]:
    """The candidates of which no run failed or is missing, with their scores, from the best on; the first of equals."""
    scored = [
        (score, config)
        for config, runs in _by_candidate(search).items()
        if (score := _mean_score([outcomes(run) for run in runs])) is not None
    ]
    return sorted(scored, key=lambda scored_config: -scored_config[0])


def _mean_score(ended: Sequence[Record | Failure | None]) -> float | None:
    """The mean validation score of some runs; None where one of them failed or is missing."""
    scores = [validation_score(run) for run in ended if run is not None and "reason" not in run]
    return sum(scores) / len(scores) if len(scores) == len(ended) else None


def choose(search: Search, outcomes: Outcomes) -> Choice | None:
    """The candidate that validation NDCG@20 chooses; the first of equals.

    The two best over the grid's seeds are compared over all seeds of the search, where they were run at all of them;
    else the better of the two over the grid's seeds is chosen. A run that the stopping rule ended in a dip is compared
    by the same run with more patience, where that is stored. A candidate of which a run failed cannot be chosen, but
    counts in the cost.

    Args:
        search: the search. Its grid is taken as it is, see :func:`grown`.

    Returns:
        The choice; None where a run of the grid is missing.
    """
    ended = [outcome for outcome in map(outcomes, search.grid) if outcome is not None]
    if len(ended) < len(search.grid):
        return None
    names = varied(search.grid)
    candidates: dict[str, dict[str, Any]] = {}
    for config, configs in _by_candidate(search).items():
        runs = [outcomes(run) or {} for run in configs]
        label = ", ".join(f"{name} {getattr(config, name):g}" for name in names) or "the only candidate"
        candidates[label] = {"validation": _mean_score(runs), "runs": [run.get("id") for run in runs]}
    best = _decide(search, outcomes)
    epochs, seconds = _total_cost(ended)
    failed = sum("reason" in outcome for outcome in ended)
    return Choice(search, best.config, best.validation, candidates, len(ended), failed, epochs, seconds, *best[2:])


class _Decision(NamedTuple):
    """Which candidate is best, with the fields of :class:`Choice`."""

    config: RunConfig | None
    validation: float | None
    all_seeds: bool
    finals: tuple[str, ...]


def _decide(search: Search, outcomes: Outcomes) -> _Decision:
    """The best candidate of a complete grid, as :func:`choose` says."""
    two = _ranked(search, outcomes)[:2]
    runs = [further(search, config) for _, config in two]
    that_count = [[patience.outcome_that_counts(run, outcomes) for run in each] for each in runs]
    read = [*(outcomes(run) for each in runs for run in each), *(run for each in that_count for run in each)]
    ids = dict.fromkeys(run["id"] for run in read if run is not None and "reason" not in run)
    all_seeds = all(run is not None for each in that_count for run in each)
    validation, config = two[0] if two else (None, None)
    if all_seeds and len(two) == 2:
        first, second = (_mean_score(each) or 0.0 for each in that_count)
        if second > first:
            validation, config = two[1]
    return _Decision(config, validation, all_seeds, tuple(ids))


def _by_candidate(search: Search) -> dict[RunConfig, list[RunConfig]]:
    """The runs of each candidate, that is, of the configurations that differ in their seeds alone."""
    first = search.grid[0]
    groups: dict[RunConfig, list[RunConfig]] = {}
    for config in search.grid:
        groups.setdefault(at_seed(config, first.seed, first.split_seed), []).append(config)
    return groups


def _total_cost(ended: Sequence[Record | Failure]) -> tuple[int, dict[str, float]]:
    """The epochs of some runs, and their seconds by class of device."""
    epochs, seconds = 0, dict[str, float]()
    for outcome in ended:
        run_epochs, run_seconds = cost(outcome)
        device = outcome["config"]["device"]
        epochs += run_epochs
        seconds[device] = seconds.get(device, 0.0) + run_seconds
    return epochs, seconds


def cost(outcome: Record | Failure) -> tuple[int, float]:
    """The epochs and seconds of a run, finished or failed."""
    if "reason" in outcome:
        return outcome["epochs"], outcome["seconds"]
    return len(outcome["history"]["loss"]), outcome["seconds"]["train"] + outcome["seconds"]["evaluate"]


def further(search: Search, config: RunConfig) -> list[RunConfig]:
    """A configuration at each of the search's seeds, the seeds of the grid included.

    Args:
        config: one of its two best configurations.
    """
    return [at_seed(config, seed, seed) for seed in search.seeds]


@kept
def outcome_of(results: Path | str, config: RunConfig) -> Record | Failure | None:
    """The record of a run, else its failure, else None.

    Raises:
        RecordError: a file stands where the record should and is not one.
    """
    run = planned(config, results)
    return load_record(run.stored) or load_failure(run)


@kept
def ended(results: Path | str, config: RunConfig) -> bool:
    """Whether a run has ended, with a record or a failure. Neither is read."""
    run = planned(config, results)
    return run.stored.exists() or run.failure.exists()


def stored(results: Path | str) -> Outcomes:
    """What is stored in a folder, by configuration. Each file is read once."""
    return cache(partial(outcome_of, results))


def run_searches(
    dataset: str, backbones: Sequence[str], losses: Sequence[str], results: Path | str, budget: str
) -> None:
    """Run all that Table 1's searches want, see :func:`wanted`: grids, what they grow by, the two best at all seeds."""
    prefixes = {f"{backbone}-{loss}" for backbone in backbones for loss in losses}
    chosen = [search for search in searches("table1", dataset, budget) if search.name.rpartition("-")[0] in prefixes]

    def of_all() -> list[RunConfig]:
        outcomes = stored(results)
        return [config for search in chosen for config in wanted(search, outcomes)]

    for todo in rounds(of_all):
        get_records(todo, results)


def report(choice: Choice) -> dict[str, Any]:
    """A choice as it is stored: what was searched, what that cost, what was chosen and from which runs."""
    grid = choice.search.grid
    chosen = choice.config and {name: getattr(choice.config, name) for name in varied(grid)}
    return {
        "search": choice.search.name,
        "semantics": semantics(grid[0]),
        "chosen_by": "validation NDCG@20 by dot product, best epoch, mean over the grid's seeds; of the two best the"
        + (" mean over all seeds" if choice.all_seeds else " better, since they were not run at all seeds"),
        "grid": {**varied(grid), "seed": list(dict.fromkeys(config.seed for config in grid))},
        "cost": {
            "runs": choice.runs,
            "failed": choice.failed,
            "epochs": choice.epochs,
            "seconds": {device: round(spent, 3) for device, spent in choice.seconds.items()},
        },
        "chosen": chosen,
        "config": vars(choice.config).copy() if choice.config else None,
        "validation": choice.validation,
        "seeds": list(choice.search.seeds),
        "candidates": choice.candidates,
    }


def save_report(choice: Choice, results: Path | str, experiment: str, budget: str) -> Path:
    """Store a report in ``results/<dataset>/tuning/``; one of the same experiment, budget and search is replaced."""
    first = choice.search.grid[0]
    path = Path(results) / first.dataset / "tuning" / f"{experiment}-{budget}-{choice.search.name}-{first.device}.json"
    write_json(report(choice), path, replace=True)
    return path
