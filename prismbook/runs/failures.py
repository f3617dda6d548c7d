"""Failures: what is stored of a run that ended without a record."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prismbook.plan.config import RunConfig, run_id, semantics
from prismbook.runs.machine import is_shortage
from prismbook.runs.records import write_json

Failure = dict[str, Any]


def failure_path(record: Path) -> Path:
    """Where the failure of a run is stored: under the name of its record, in a folder ``failed`` beside it.

    Args:
        record: where the run's record would be.
    """
    return record.parent / "failed" / record.name


def failure_of(
    config: RunConfig,
    content_hash: str,
    reason: str,
    epochs: int = 0,
    seconds: float = 0.0,
    split_hash: str | None = None,
) -> Failure:
    """What is stored of a run that failed, as of now.

    Args:
        config: the run's configuration.
        content_hash: the content hash of its dataset.
        reason: why it failed, in one line.
        epochs: how many epochs it began.
        seconds: how long it ran.
        split_hash: the hash of a split of your own; None for the random split of ``config.split_seed``.

    >>> failure_of(RunConfig("gowalla", "bpr"), "x", "the loss became nan")["reason"]
    'the loss became nan'
    """
    return {
        "id": run_id(config, content_hash, split_hash),
        "semantics": semantics(config),
        "config": vars(config).copy(),
        "reason": reason,
        "epochs": epochs,
        "seconds": round(seconds, 3),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def save_failure(failure: Failure, record: Path) -> None:
    """Write a failure atomically; a later one of the same run replaces it.

    Args:
        failure: what :func:`failure_of` gives, with further entries if wanted.
        record: where the run's record would be.
    """
    write_json(failure, failure_path(record), replace=True)


def load_failure(record: Path) -> Failure | None:
    """The failure of the run whose record would be at ``record``; None where it has not failed.

    A file that cannot be read is a failure too, with that as its reason. A shortage of the machine is none, so one that
    an earlier version stored is passed over and the run is tried again.

    Args:
        record: where the run's record would be.
    """
    path = failure_path(record)
    try:
        failure = {"epochs": 0, "seconds": 0.0, "reason": "no reason was stored", **json.loads(path.read_text())}
        return None if is_shortage(str(failure["reason"])) else failure
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        return {"epochs": 0, "seconds": 0.0, "reason": f"{path} is not readable ({error})"}
