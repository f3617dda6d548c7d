"""Failures: what is stored of a run that ended without a record."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from prismbook.plan.config import semantics
from prismbook.runs.machine import is_shortage
from prismbook.runs.records import Planned, write_json

Failure = dict[str, Any]


def failure_of(run: Planned, reason: str, epochs: int = 0, seconds: float = 0.0) -> Failure:
    """What is stored of a run that failed, as of now.

    >>> from prismbook.plan.config import RunConfig
    >>> from prismbook.runs.records import planned
    >>> failure_of(planned(RunConfig("gowalla", "bpr")), "the loss became nan")["reason"]
    'the loss became nan'
    """
    return {
        "id": run.id,
        "semantics": semantics(run.config),
        "config": vars(run.config).copy(),
        "reason": reason,
        "epochs": epochs,
        "seconds": round(seconds, 3),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def save_failure(failure: Failure, run: Planned) -> None:
    """Write a failure atomically; a later one of the same run replaces it.

    Args:
        failure: what :func:`failure_of` gives, with further entries if wanted.
    """
    write_json(failure, run.failure, replace=True)


def load_failure(run: Planned) -> Failure | None:
    """The failure of a run; None where it has not failed.

    A file that cannot be read is a failure too, with that as its reason. A shortage of the machine is not, so one that
    an earlier version stored is passed over and the run is tried again.
    """
    try:
        content = json.loads(run.failure.read_text())
        failure = {"epochs": 0, "seconds": 0.0, "reason": "no reason was stored", **content}
        return None if is_shortage(str(failure["reason"])) else failure
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        return {"epochs": 0, "seconds": 0.0, "reason": f"{run.failure} is not readable ({error})"}
