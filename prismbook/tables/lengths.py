"""Lengths of embeddings in stored records by how they were trained, and what lengths put on at scoring are worth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from prismbook.runs.records import Record
from prismbook.tables.law import LEAST


def slope_in_popularity(record: Record, side: str = "item") -> float:
    """The slope of log length in log popularity, over classes of rows weighted by their number.

    Args:
        record: a stored run.
        side: ``"item"`` or ``"user"``.
    """
    parts = [part for part in record["norms"][side]["bins"] if part["from"] >= LEAST and part["mean"] > 0]
    if len(parts) < 2:
        return np.nan
    x, y = (np.log([value(part) for part in parts]) for value in (_middle, lambda part: part["mean"]))
    return float(np.polyfit(x, y, 1, w=np.sqrt([part["rows"] for part in parts]))[0])


def _middle(part: dict[str, Any]) -> float:
    return float(np.sqrt(part["from"] * part["to"]))


#: What a run of "The law" is called, the first that applies.
NAMES: tuple[tuple[str, Callable[[dict[str, Any]], bool]], ...] = (
    ("PRISM", lambda c: c["init"] == "prism" and c["optimizer"] == "adam"),
    ("PRISM by plain SGD", lambda c: c["init"] == "prism" and c["optimizer"] == "sgd"),
    ("PRISM by {optimizer}", lambda c: c["init"] == "prism"),
    ("AdamW, decay {weight_decay:g}", lambda c: c["decay_scope"] == "decoupled"),
    ("Adam, decay {weight_decay:g}", lambda c: c["optimizer"] == "adam" and c["weight_decay"] > 0),
    ("Adam, no decay", lambda c: c["optimizer"] == "adam"),
    ("plain SGD, decay {weight_decay:g}", lambda c: c["optimizer"] == "sgd" and c["weight_decay"] > 0),
    ("plain SGD, no decay", lambda c: c["optimizer"] == "sgd"),
    ("SGD with momentum, no decay", lambda c: c["optimizer"] == "sgd_momentum"),
    ("row-wise Adagrad, no decay", lambda c: c["optimizer"] == "rowwise_adagrad"),
    ("lazy Adam (sparse_adam), no decay", lambda c: c["optimizer"] == "sparse_adam"),
)


def training_name(config: dict[str, Any]) -> str:
    """The optimiser and the decay of a run, in words.

    Args:
        config: the configuration of a record.

    >>> training_name({"init": "xavier", "decay_scope": "table", "optimizer": "sgd", "weight_decay": 0.0})
    'plain SGD, no decay'
    >>> training_name({"init": "prism", "decay_scope": "table", "optimizer": "sgd", "weight_decay": 0.0})
    'PRISM by plain SGD'
    """
    return next(name for name, applies in NAMES if applies(config)).format(**config)


def training_and_validation(config: dict[str, Any]) -> str:
    """The name of a training, and whether it was validated with lengths put on, "by d^b".

    Args:
        config: the configuration of a record.
    """
    return training_name(config) + (", by d^b" if config.get("length_exponent") is not None else "")


def by_training(records: Iterable[Record]) -> pd.DataFrame:
    """Runs of one loss and dataset by how they were trained: own lengths, and lengths put on at scoring.

    Args:
        records: stored runs. The scores of runs of several seeds are averaged.

    Returns:
        One row per ``trained with`` and ``learning rate``, with ``seeds``; ``epochs`` to the best; test ``ndcg`` and
        ``ratio`` (unpopular over popular part) at the trained lengths; ``slope`` of the items' log length in log
        popularity; ``exponent`` that the validation chooses for lengths put on at scoring, and ``ndcg with it`` and
        ``ratio with it``. Where a run is from before these were kept, its row has none of the last three: a mean over
        other seeds would stand beside that of all.
    """
    rows = []
    for record in records:
        config, dot = record["config"], record["test"]["dot"]
        row = {
            "trained with": training_and_validation(config),
            "learning rate": config["lr"],
            "seed": config["seed"],
            "epochs": record["best_epoch"] + 1,
            "ndcg": dot["ndcg"],
            "ratio": ratio_of(dot),
            "slope": slope_in_popularity(record),
        }
        if (with_it := with_chosen_lengths(record)) is not None:
            chosen = record["lengths"]["chosen"]
            row |= {"exponent": chosen, "ndcg with it": with_it["ndcg"], "ratio with it": ratio_of(with_it)}
        rows.append(row)
    columns = ["trained with", "learning rate", "seed", "epochs", "ndcg", "ratio", "slope"]
    table = pd.DataFrame(rows, columns=[*columns, "exponent", "ndcg with it", "ratio with it"])
    # one training's learning rates next to each other, in the order in which the trainings are met
    first = {name: place for place, name in reversed(list(enumerate(table["trained with"])))}
    table = table.sort_values("trained with", key=lambda names: names.map(first), kind="stable")
    groups = table.groupby(["trained with", "learning rate"], sort=False)
    means = groups.mean().drop(columns="seed").assign(seeds=groups["seed"].nunique())
    partly = groups["exponent"].count() < groups["seed"].count()
    means.loc[partly, ["exponent", "ndcg with it", "ratio with it"]] = np.nan
    return means


def with_chosen_lengths(record: Record) -> dict[str, float] | None:
    """The test scores of a run with the lengths at scoring that validation chooses; None where they were not kept.

    Args:
        record: a stored run.

    >>> kept = {"exponents": [0.0, 0.25], "chosen": 0.25, "test": [{"ndcg": 0.1}, {"ndcg": 0.2}]}
    >>> with_chosen_lengths({"lengths": kept}), with_chosen_lengths({})
    ({'ndcg': 0.2}, None)
    """
    if "lengths" not in record:
        return None
    kept = record["lengths"]
    scores: dict[str, float] = kept["test"][kept["exponents"].index(kept["chosen"])]
    return scores


class ByAdamW(NamedTuple):
    """A run by AdamW.

    Attributes:
        dataset: name of the dataset.
        decay: the decay, which is decoupled from the gradient.
        slope: of the items' log length in log popularity.
        ndcg: test NDCG@20.
        ndcg_with_lengths: the same with the lengths of :func:`with_chosen_lengths`; None where they were not kept.
    """

    dataset: str
    decay: float
    slope: float
    ndcg: float
    ndcg_with_lengths: float | None


def by_adamw(records: Iterable[Record]) -> list[ByAdamW]:
    """The runs by AdamW among some runs, which did not start from PRISM.

    Args:
        records: stored runs.

    >>> by_adamw([])
    []
    """
    return [
        ByAdamW(
            record["config"]["dataset"],
            record["config"]["weight_decay"],
            slope_in_popularity(record),
            record["test"]["dot"]["ndcg"],
            None if (with_it := with_chosen_lengths(record)) is None else with_it["ndcg"],
        )
        for record in records
        if training_name(record["config"]).startswith("AdamW")
    ]


def at_ratio(record: Record, ratio: float) -> float | None:
    """Test NDCG@20 with the lengths at scoring that give an unpopular / popular ratio.

    It lies on the straight line between two of the exponents that were scored, with the ratio on an axis of factors.

    Args:
        record: a stored run that was scored with lengths ``d ** b``.
        ratio: the unpopular / popular ratio.

    Returns:
        The score; None where no exponents have the ratio between them.
    """
    points = [part for part in record["lengths"]["test"] if min(part["popular"], part["unpopular"]) > 0]
    ratios, scores = np.array([[ratio_of(part), part["ndcg"]] for part in points]).reshape(-1, 2).T
    if not len(points) or not ratios.min() <= ratio <= ratios.max():
        return None
    order = np.argsort(ratios)
    return float(np.interp(np.log(ratio), np.log(ratios[order]), scores[order]))


def beside_at_its_ratio(
    records: Iterable[Record], others: Mapping[int, tuple[float, float]]
) -> list[tuple[Record, float, float]]:
    """What runs give with lengths at scoring that are as fair as another run of their seed, and what that one gives.

    Args:
        records: stored runs. One that was not scored with lengths ``d ** b``, or has no two exponents with the ratio
            between them, is left out.
        others: test NDCG@20 and the unpopular / popular ratio of the other run, by its seed.

    Returns:
        For each run that is not left out the run, its score and the other's.
    """
    found = []
    for record in records:
        seed = record["config"]["seed"]
        if "lengths" in record and seed in others:
            theirs, ratio = others[seed]
            if (score := at_ratio(record, ratio)) is not None:
                found.append((record, score, theirs))
    return found


def ratio_of(parts: Mapping[str, float]) -> float:
    """The unpopular over the popular part of a score; NaN where the popular part is 0.

    >>> ratio_of({"unpopular": 0.01, "popular": 0.04})
    0.25
    """
    return parts["unpopular"] / parts["popular"] if parts["popular"] else np.nan
