"""Runs that the stopping rule ends in a dip, and their twins, which wait ten times as long.

A patience of 10 epochs ends a run whose validation score dips at first and would climb later. Where such a run decides
a verdict, a twin with a patience of 100 is run, and takes the run's place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from prismbook.plan.config import RunConfig
from prismbook.runs.failures import Failure
from prismbook.runs.records import Record

#: A run that the stopping rule ends with its best epoch before this one may have ended in a dip.
EARLY_BEST = 20
#: The patience of a twin, in epochs.
LONG = 100


def in_dip(run: Record | Failure | None) -> bool:
    """Whether the stopping rule ended a run so early that it may have been in a dip.

    Args:
        run: its record. A failure is in no dip, and neither is a run that is not stored.
    """
    if run is None or "reason" in run or run["config"]["patience"] >= LONG:
        return False
    return bool(run["stopped_by"] == "patience" and run["best_epoch"] < EARLY_BEST)


def twin(config: RunConfig) -> RunConfig:
    """The same run with more patience.

    Args:
        config: the run's configuration.

    >>> twin(RunConfig("gowalla", "bpr")).patience
    100
    """
    return replace(config, patience=LONG)


def twins(configs: Iterable[RunConfig], outcomes: Callable[[RunConfig], Record | Failure | None]) -> list[RunConfig]:
    """The twins of those of some runs that ended in a dip.

    Args:
        configs: the runs.
        outcomes: what is stored of each configuration.
    """
    return [twin(config) for config in configs if in_dip(outcomes(config))]


def counted(config: RunConfig, outcomes: Callable[[RunConfig], Record | Failure | None]) -> RunConfig:
    """The run that counts: the twin where the run ended in a dip and the twin has a record, else the run itself.

    Args:
        config: the run's configuration.
        outcomes: what is stored of each configuration.
    """
    waited = outcomes(twin(config)) if in_dip(outcomes(config)) else None
    return config if waited is None or "reason" in waited else twin(config)


def standing(config: RunConfig, outcomes: Callable[[RunConfig], Record | Failure | None]) -> Record | Failure | None:
    """The outcome of the run that counts, see :func:`counted`.

    Args:
        config: the run's configuration.
        outcomes: what is stored of each configuration.
    """
    return outcomes(counted(config, outcomes))
