"""Tuning: the configuration that validation NDCG@20 chooses from a grid, and what the search cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from prismbook.plan.config import RunConfig, semantics
from prismbook.plan.experiments import Search, searches
from prismbook.runs.attempts import get_records
from prismbook.runs.failures import Failure, load_failure
from prismbook.runs.records import Record, load_record, stored_path, write_json

SEED_FIELDS = ("seed", "split_seed")


@dataclass(frozen=True)
class Choice:
    """What a search chose, and what it cost.

    Attributes:
        search: the search.
        config: the chosen configuration, at the grid's first seed; None where every candidate failed.
        validation: its best validation NDCG@20 by dot product, the mean over the grid's seeds.
        candidates: the validation score (None: failed) and the run ids of each candidate, by its varied fields.
        runs: the number of runs of the search, those that failed included.
        failed: the number of runs that failed.
        epochs: the number of epochs of all runs.
        seconds: the time of training and evaluation of all runs, by class of device, ``"cpu"`` or ``"cuda"``.
    """

    search: Search
    config: RunConfig | None
    validation: float | None
    candidates: dict[str, dict[str, Any]]
    runs: int
    failed: int
    epochs: int
    seconds: dict[str, float]


def validation_score(record: Record) -> float:
    """The best validation NDCG@20 by dot product over the epochs. Early stopping keeps it, and tuning sees no more.

    Args:
        record: the run's record.
    """
    return max(record["history"]["validation_dot"])


def varied(grid: Sequence[RunConfig]) -> dict[str, list[Any]]:
    """The fields in which the configurations of a grid differ, seeds aside, with their values in order.

    Args:
        grid: the configurations.

    >>> varied([RunConfig("synthetic", "bpr", weight_decay=decay, seed=seed) for decay in (0, 1e-6) for seed in (1, 2)])
    {'weight_decay': [0.0, 1e-06]}
    """
    fields = {name: list(dict.fromkeys(getattr(config, name) for config in grid)) for name in vars(grid[0])}
    return {name: values for name, values in fields.items() if len(values) > 1 and name not in SEED_FIELDS}


def choose(search: Search, outcomes: Mapping[RunConfig, Record | Failure | None]) -> Choice | None:
    """The best candidate by mean validation NDCG@20 over the grid's seeds; the first of equals.

    A candidate of which a run failed cannot be chosen, but counts in the cost.

    Args:
        search: the search.
        outcomes: the record, the failure, or None of each configuration of the grid.

    Returns:
        The choice; None where a run of the grid is missing.
    """
    ended = [outcome for outcome in (outcomes.get(config) for config in search.grid) if outcome is not None]
    if len(ended) < len(search.grid):
        return None
    names = varied(search.grid)
    candidates: dict[str, dict[str, Any]] = {}
    best: tuple[float, RunConfig] | None = None
    for config, runs in _by_candidate(search, ended).items():
        score = None if any("reason" in run for run in runs) else sum(map(validation_score, runs)) / len(runs)
        if score is not None and (best is None or score > best[0]):
            best = score, config
        label = ", ".join(f"{name} {getattr(config, name):g}" for name in names) or "the only candidate"
        candidates[label] = {"validation": score, "runs": [run.get("id") for run in runs]}
    validation, best_config = best or (None, None)
    epochs, seconds = _total_cost(ended)
    failed = sum("reason" in outcome for outcome in ended)
    return Choice(search, best_config, validation, candidates, len(ended), failed, epochs, seconds)


def _by_candidate(search: Search, ended: Sequence[Record | Failure]) -> dict[RunConfig, list[Record | Failure]]:
    """The runs of each candidate, that is, of the configurations that differ in their seeds alone."""
    first = search.grid[0]
    groups: dict[RunConfig, list[Record | Failure]] = {}
    for config, outcome in zip(search.grid, ended, strict=True):
        groups.setdefault(replace(config, seed=first.seed, split_seed=first.split_seed), []).append(outcome)
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
    """The epochs and seconds of a run, finished or failed.

    Args:
        outcome: the run's record or failure.
    """
    if "reason" in outcome:
        return outcome["epochs"], outcome["seconds"]
    return len(outcome["history"]["loss"]), outcome["seconds"]["train"] + outcome["seconds"]["evaluate"]


def further(search: Search, config: RunConfig) -> list[RunConfig]:
    """The chosen configuration at each of the search's seeds, those of the grid included.

    Args:
        search: the search.
        config: the configuration that it chose.
    """
    return [replace(config, seed=seed, split_seed=seed) for seed in search.seeds]


def outcome_of(results: Path | str, config: RunConfig) -> Record | Failure | None:
    """The record of a run, else its failure, else None.

    Args:
        results: the folder of the records.
        config: the run's configuration.

    Raises:
        RecordError: a file stands where the record should and is not one.
    """
    path = stored_path(results, config)
    return load_record(path) or load_failure(path)


def run_searches(
    dataset: str, backbones: Sequence[str], losses: Sequence[str], results: Path | str, budget: str
) -> None:
    """Run what is missing of Table 1's searches, and then what each of them chooses, at all its seeds.

    Args:
        dataset: name of the dataset.
        backbones: names of the backbones.
        losses: names of the losses.
        results: folder of the records.
        budget: ``"smoke"``, ``"lean"`` or ``"paper"``: how much is searched.
    """
    prefixes = {f"{backbone}-{loss}" for backbone in backbones for loss in losses}
    chosen = [search for search in searches("table1", dataset, budget) if search.name.rpartition("-")[0] in prefixes]
    get_records([config for search in chosen for config in search.grid], results)
    choices = [choose(search, {config: outcome_of(results, config) for config in search.grid}) for search in chosen]
    get_records(
        [
            config
            for choice in choices
            if choice is not None and choice.config is not None
            for config in further(choice.search, choice.config)
        ],
        results,
    )


def report(choice: Choice) -> dict[str, Any]:
    """A choice as it is stored: what was searched, what that cost, what was chosen and from which runs.

    Args:
        choice: what a search chose.
    """
    grid = choice.search.grid
    chosen = choice.config and {name: getattr(choice.config, name) for name in varied(grid)}
    return {
        "search": choice.search.name,
        "semantics": semantics(grid[0]),
        "chosen_by": "validation NDCG@20 by dot product, best epoch, mean over the grid's seeds",
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
    """Store a report in ``results/<dataset>/tuning/``; one of the same experiment, budget and search is replaced.

    Args:
        choice: what a search chose.
        results: the folder of the records.
        experiment: the name of the experiment.
        budget: the name of the budget.
    """
    first = choice.search.grid[0]
    path = Path(results) / first.dataset / "tuning" / f"{experiment}-{budget}-{choice.search.name}-{first.device}.json"
    write_json(report(choice), path, replace=True)
    return path
