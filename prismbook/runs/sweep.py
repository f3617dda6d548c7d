"""A sweep: the runs of an experiment, what state each is in, and what is still to be run."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

from prismbook.plan.config import RunConfig, at_seed
from prismbook.plan.experiments import Search
from prismbook.runs import patience, tuning
from prismbook.runs.failures import Failure, load_failure
from prismbook.runs.locks import in_flight
from prismbook.runs.records import (
    Record,
    RecordError,
    load_record,
    planned,
)

#: What a run of a sweep can be.
STATES = ("done", "failed", "damaged", "running", "missing")


class Sweep(NamedTuple):
    """The runs of an experiment.

    Attributes:
        configs: the runs that are known beforehand.
        searches: the searches, whose choices are run when their grids are complete.
        results: the folder of the records.
        any_device: whether what is stored of another device counts, as it does for the claims.
        with_more_patience: the runs that are wanted with more patience too, where they end in a dip.
    """

    configs: list[RunConfig]
    searches: list[Search]
    results: Path
    any_device: bool = False
    with_more_patience: Sequence[RunConfig] = ()

    def state(self, config: RunConfig) -> tuple[str, str]:
        """One of :data:`STATES`, and what there is to say about it."""
        here = state(config, self.results)
        if self.any_device and here[0] != "done":
            elsewhere = state(replace(config, device="cpu"), self.results)  # a record of a GPU counts for a CPU's
            return elsewhere if elsewhere[0] == "done" else here
        return here

    def outcomes(self) -> tuning.Outcomes:
        """What is stored of each configuration."""
        known = readable(self.results)
        return (lambda config: known(replace(config, device="cpu"))) if self.any_device else known


def state(config: RunConfig, results: Path) -> tuple[str, str]:
    """One of :data:`STATES`, and what there is to say about it."""
    run = planned(config, results)
    try:
        record = load_record(run.stored)
    except RecordError as error:
        return "damaged", str(error)
    if record is not None:
        return "done", f"NDCG@20 {record['test']['dot']['ndcg']:.4f}"
    note = in_flight(run.lock)
    if note is not None:
        return "running", note
    failure = load_failure(run)
    return ("missing", "") if failure is None else ("failed", failure["reason"])


def plan(sweep: Sweep) -> tuple[list[RunConfig], list[RunConfig]]:
    """The runs that are known by now, and stand-ins of equal cost for those that a search has yet to choose."""
    outcomes = sweep.outcomes()
    known, later = [*sweep.configs, *patience.patient_runs(sweep.with_more_patience, outcomes)], []
    for search in sweep.searches:
        known += tuning.wanted(search, outcomes)
        if any(outcomes(config) is None for config in search.grid):
            tried = {config.seed for config in search.grid}
            two = dict.fromkeys((search.grid[0], search.grid[-1]))
            later += [at_seed(one, seed, seed) for one in two for seed in search.seeds if seed not in tried]
    return list(dict.fromkeys(known)), [config for config in dict.fromkeys(later) if config not in known]


def choice_so_far(search: Search, results: Path) -> tuning.Choice | None:
    """What a search chooses from what is stored; None where its grid is incomplete or one of its records is damaged.

    The grid is taken with what it has grown by, see :func:`prismbook.runs.tuning.grown`.
    """
    outcomes = readable(results)
    return tuning.choose(tuning.grown(search, outcomes), outcomes)


def readable(results: Path) -> tuning.Outcomes:
    """What is stored of each configuration. A damaged record counts as none."""

    def outcome(config: RunConfig) -> Record | Failure | None:
        with suppress(RecordError):
            return tuning.outcome_of(results, config)
        return None

    return cache(outcome)
