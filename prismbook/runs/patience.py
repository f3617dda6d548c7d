"""Runs that the stopping rule ends in a dip, and patient runs, which are the same with ten times the patience.

A patience of 10 epochs ends a run whose validation score dips at first and would climb later. Where such a run decides
a verdict, it is run with a patience of 100 too, and that run takes its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from prismbook.plan.config import RunConfig
from prismbook.runs.failures import Failure
from prismbook.runs.records import Record

#: A run that the stopping rule ends with its best epoch before this one may have ended in a dip.
EARLY_BEST = 20
#: The patience of a patient run, in epochs.
LONG = 100


def in_dip(run: Record | Failure | None) -> bool:
    """Whether the stopping rule ended a run so early that it may have been in a dip.

    Args:
        run: its record. A failure did not end in a dip, nor did a run that is not stored.
    """
    if run is None or "reason" in run or run["config"]["patience"] >= LONG:
        return False
    return bool(run["stopped_by"] == "patience" and run["best_epoch"] < EARLY_BEST)


def patient_run(config: RunConfig) -> RunConfig:
    """The same run with more patience.

    >>> patient_run(RunConfig("gowalla", "bpr")).patience
    100
    """
    return replace(config, patience=LONG)


def patient_runs(
    configs: Iterable[RunConfig], outcomes: Callable[[RunConfig], Record | Failure | None]
) -> list[RunConfig]:
    """The runs, among some, that ended in a dip, with more patience."""
    return [patient_run(config) for config in configs if in_dip(outcomes(config))]


def run_that_counts(config: RunConfig, outcomes: Callable[[RunConfig], Record | Failure | None]) -> RunConfig:
    """The patient run where the run ended in a dip and the patient one has a record, else the run itself."""
    patient = outcomes(patient_run(config)) if in_dip(outcomes(config)) else None
    return config if patient is None or "reason" in patient else patient_run(config)


def lacking_of_setting(
    configs: Iterable[RunConfig], outcomes: Callable[[RunConfig], Record | Failure | None]
) -> list[RunConfig]:
    """The patient runs that one setting lacks, at the seeds at which it was run; none where no run ended in a dip.

    Where the run of one seed ended in a dip, the run of another may have stopped on a plateau that lies higher. A mean
    over seeds is then one of runs that were treated alike where all have the same patience.

    Args:
        configs: the setting at each of its seeds.
        outcomes: what is stored of each configuration.
    """
    made = [config for config in configs if outcomes(config) is not None]
    if not any(in_dip(outcomes(config)) for config in made):
        return []
    return [patient for config in made if outcomes(patient := patient_run(config)) is None]


def of_setting(
    configs: Iterable[RunConfig], outcomes: Callable[[RunConfig], Record | Failure | None]
) -> list[Record | Failure | None]:
    """The outcomes of one setting that count: at every seed the patient run where it is stored and one is in a dip.

    Args:
        configs: the setting at each of its seeds.
        outcomes: what is stored of each configuration.
    """
    runs = list(configs)
    if not any(in_dip(outcomes(config)) for config in runs):
        return [outcomes(config) for config in runs]
    patient = [outcomes(patient_run(config)) for config in runs]
    return [
        outcomes(config) if found is None or "reason" in found else found
        for config, found in zip(runs, patient, strict=True)
    ]


def outcome_that_counts(
    config: RunConfig, outcomes: Callable[[RunConfig], Record | Failure | None]
) -> Record | Failure | None:
    """The outcome of the run that counts, see :func:`run_that_counts`."""
    return outcomes(run_that_counts(config, outcomes))
