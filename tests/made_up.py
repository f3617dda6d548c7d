"""Run records made up for tests: what a run would store, with the numbers a test asks for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from prismbook.plan.config import RunConfig, semantics
from prismbook.runs.records import Record, planned, save_record
from prismlib import datasets

Parts = tuple[float, float, float]


def made_up(
    config: RunConfig,
    parts: Parts = (0.1, 0.02, 0.02),
    validation: Sequence[float] = (0.0, 0.1),
    cosine: Sequence[float] | None = None,
    correlation: float = 0.5,
    epochs: int | None = None,
    **changed: Any,
) -> Record:
    """A record of a run whose NDCG@20 has these parts and whose validation went through these values.

    Args:
        epochs: how many epochs it ran. None is at least 30, since a shorter run counts as cut off.
        changed: top-level entries to put in place of the usual ones.
    """
    popular, neutral, unpopular = parts
    scores = {"ndcg": sum(parts), "popular": popular, "neutral": neutral, "unpopular": unpopular}
    bins = [
        {"from": 1, "to": 1, "rows": 2, "mean": 0.2, "std": 0.05},
        {"from": 2, "to": 3, "rows": 2, "mean": 0.4, "std": 0.1},
    ]
    content = datasets.content_hash(config.dataset)
    return {
        "id": planned(config).id,
        "semantics": semantics(config),
        "config": vars(config).copy(),
        "data": {"synthetic": config.dataset == "synthetic", "content_hash": content},
        "best_epoch": int(np.argmax(validation)),
        "stopped_by": "patience",
        "test": {"dot": scores, "cosine": scores},
        "history": {
            "loss": [0.0] * (max(len(validation) - 1, 30) if epochs is None else epochs),
            "validation_dot": list(validation),
            "validation_cosine": list(validation if cosine is None else cosine),
        },
        "norms": {table: {"pearson_log": correlation, "bins": bins} for table in ("user", "item")},
        "seconds": {"train": 1.0, "evaluate": 2.0, "cpu": 3.0},
        "environment": {"device": "cpu", "commit": "0123456789+"},
    } | changed


def store(results: Path, record: Record, users: np.ndarray | None = None) -> Path:
    """Write a record where its run belongs, with each user's NDCG@20 if given, all of it of popular items."""
    config = RunConfig(**record["config"])
    path = planned(config, results).path
    scores = None
    if users is not None:
        parts = np.column_stack([users, 0 * users, 0 * users]).astype(np.float32)
        scores = {"user": np.arange(len(users), dtype=np.int32), "dot": parts, "cosine": parts}
    save_record(record, path, scores=scores)
    return path
