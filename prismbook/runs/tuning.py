"""Tuning: the configuration that validation NDCG@20 chooses from a grid, and what the search cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from prismbook.plan.config import RunConfig, semantics
from prismbook.plan.experiments import Search, searches
from prismbook.runs.attempts import get_records
from prismbook.runs.records import Failure, Record, load_failure, load_record, stored_path, write_json

SEED_FIELDS = ("seed", "split_seed")


@dataclass(frozen=True)
class Choice:
    """What a search chose, and what it cost.

    Attributes:
        config: the chosen configuration, at the grid's first seed; None where every candidate failed.
        validation: its best validation NDCG@20 by dot product, the mean over the grid's seeds.
        candidates: validation score (None: failed) and run ids of each candidate, by its varied fields.
        runs, failed, epochs: the cost of the whole search, failed runs included.
        seconds: of training and evaluation, by class of device, ``"cpu"`` or ``"cuda"``.
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
    """Best validation NDCG@20 by dot product over the epochs: what early stopping keeps, and all that tuning sees."""
    return max(record["history"]["validation_dot"])


def varied(grid: Sequence[RunConfig]) -> dict[str, list[Any]]:
    """The fields in which the configurations of a grid differ, seeds aside, with their values in order.

    >>> varied([RunConfig("synthetic", "bpr", weight_decay=decay, seed=seed) for decay in (0, 1e-6) for seed in (1, 2)])
    {'weight_decay': [0.0, 1e-06]}
    """
    fields = {name: list(dict.fromkeys(getattr(config, name) for config in grid)) for name in vars(grid[0])}
    return {name: values for name, values in fields.items() if len(values) > 1 and name not in SEED_FIELDS}


def choose(search: Search, outcomes: Mapping[RunConfig, Record | Failure | None]) -> Choice | None:
    """The best candidate by mean validation NDCG@20 over the grid's seeds; the first of equals. None: not all are run.

    Args:
        outcomes: of each configuration of the grid its record, its failure, or None. A candidate one of whose runs
            failed cannot be chosen, but counts in the cost.
    """
    found = [outcomes.get(config) for config in search.grid]
    done = [outcome for outcome in found if outcome is not None]
    if len(done) < len(found):
        return None
    by_candidate: dict[RunConfig, list[Record | Failure]] = {}
    first = search.grid[0]
    for config, outcome in zip(search.grid, done, strict=True):
        candidate = replace(config, seed=first.seed, split_seed=first.split_seed)
        by_candidate.setdefault(candidate, []).append(outcome)

    names, candidates = varied(search.grid), {}
    best: tuple[float, RunConfig] | None = None
    for config, runs in by_candidate.items():
        score = None if any("reason" in run for run in runs) else sum(map(validation_score, runs)) / len(runs)
        if score is not None and (best is None or score > best[0]):
            best = score, config
        own = ", ".join(f"{name} {getattr(config, name):g}" for name in names) or "the only candidate"
        candidates[own] = {"validation": score, "runs": [run.get("id") for run in runs]}
    failed = sum("reason" in outcome for outcome in done)
    epochs, seconds = 0, dict[str, float]()
    for outcome in done:
        took, spent = cost(outcome)
        epochs += took
        device = outcome["config"]["device"]
        seconds[device] = seconds.get(device, 0.0) + spent
    validation, chosen = best or (None, None)
    return Choice(search, chosen, validation, candidates, len(done), failed, epochs, seconds)


def cost(outcome: Record | Failure) -> tuple[int, float]:
    """Epochs and seconds of a run, finished or failed."""
    if "reason" in outcome:
        return outcome["epochs"], outcome["seconds"]
    return len(outcome["history"]["loss"]), outcome["seconds"]["train"] + outcome["seconds"]["evaluate"]


def further(search: Search, config: RunConfig) -> list[RunConfig]:
    """The chosen configuration at each of the search's seeds, those of the grid included."""
    return [replace(config, seed=seed, split_seed=seed) for seed in search.seeds]


def outcome_of(results: Path | str, config: RunConfig) -> Record | Failure | None:
    """A run's record, else its failure, else None.

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
    """A choice as it is stored: what was searched, what that cost, what was chosen and from which runs."""
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
    """Store a report in ``results/<dataset>/tuning/``; one of the same experiment, budget and search is replaced."""
    first = choice.search.grid[0]
    path = Path(results) / first.dataset / "tuning" / f"{experiment}-{budget}-{choice.search.name}-{first.device}.json"
    write_json(report(choice), path, replace=True)
    return path
