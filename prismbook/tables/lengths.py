"""Lengths of embeddings in stored records, beside what the law of lengths and its rivals say of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd

from prismbook.runs.records import Record
from prismlib import theory
from prismlib.datasets import identity_card

#: Rows met fewer times in training are left out, since the law's balance of many gradients does not hold for them.
LEAST = 4
#: A smaller weight of uniformity lets all rows turn one way, so that the law's sine is not the sine of the other runs.
LEAST_GAMMA = 0.5
#: The weight of the pull of a pair. MAWU aligns by the cosine, which is half of the squared distance.
WEIGHTS = {"directau": 1.0, "mawu": 0.5}
#: The share of a dataset's interactions that is trained on.
TRAINED = 0.8


def profiles(records: Iterable[Record], rare: bool = False) -> pd.DataFrame:
    r"""Mean lengths by class of popularity, of the runs that the law is about.

    These are the runs of linear MF with DirectAU or MAWU under Adam with coupled decay from 1e-6 on, at which lengths
    come to rest within a training.

    Args:
        records: stored runs.
        rare: True gives the rows that were met, but fewer than :data:`LEAST` times, in place of the others.

    Returns:
        One row per class with ``run``, ``dataset``, ``loss``, ``side``, ``decay``, ``d`` (the class's middle on a log
        scale), ``length``, and what each theory says but for one factor common to all: ``law``, ``sgd`` and ``prism``.
        ``step`` is how far a step moves such a row under Adam when it is met, :math:`\eta \sqrt{n/q}`.
    """
    rows = [row for record in records if _applies(record["config"]) for row in _classes(record, rare)]
    columns = ["run", "dataset", "loss", "side", "decay", "d", "length", "law", "sgd", "prism", "step"]
    return pd.DataFrame(rows, columns=columns)


def _applies(config: dict[str, Any]) -> bool:
    adam = config["optimizer"] == "adam" and config["decay_scope"] == "table" and config["weight_decay"] >= 1e-6
    gamma = config["gamma"]
    return (
        adam
        and config["backbone"] == "mf"
        and config["init"] == "xavier"
        and config["loss"] in WEIGHTS
        and (gamma is None or gamma >= LEAST_GAMMA)
        and not identity_card(config["dataset"]).synthetic
    )


def _classes(record: Record, rare: bool) -> Iterable[dict[str, Any]]:
    config = record["config"]
    pairs = round(TRAINED * identity_card(config["dataset"]).interactions)
    for side in ("item", "user"):
        for part in record["norms"][side]["bins"]:
            if part["from"] < 1 or (part["from"] < LEAST) != rare:
                continue
            d = np.sqrt(part["from"] * part["to"])
            noise = theory.gradient_noise(d, config["batch_size"], pairs, weight=WEIGHTS[config["loss"]])
            rest = config["lr"], config["weight_decay"]
            yield {
                "run": record["id"],
                "dataset": config["dataset"],
                "loss": config["loss"],
                "side": side,
                "decay": config["weight_decay"],
                "d": d,
                "length": part["mean"],
                "law": float(theory.rest_length_adam(noise, *rest, dim=config["dim"])),
                "sgd": float(theory.rest_length_sgd(noise, *rest)),
                "prism": np.log(d + 2),
                "step": config["lr"] * np.sqrt(config["dim"] * pairs / (config["batch_size"] * d)),
            }


def held_out(table: pd.DataFrame, fitted: tuple[str, str]) -> pd.DataFrame:
    """How well each theory predicts lengths that its one constant was not fitted on.

    Args:
        table: of :func:`profiles`.
        fitted: the run and the side whose profile alone the constant of each theory is fitted on.

    Returns:
        One row per theory with ``R2`` of the log length over all other profiles, and ``rms``, the root mean square of
        its error.
    """
    one = (table["run"] == fitted[0]) & (table["side"] == fitted[1])
    logs = np.log(table[["length", "law", "sgd", "prism"]])
    rest = logs[~one]
    spread = ((rest["length"] - rest["length"].mean()) ** 2).sum()
    rows = {}
    for name in ("law", "sgd", "prism"):
        constant = (logs["length"] - logs[name])[one].mean()
        error = rest["length"] - rest[name] - constant
        rows[name] = {"R2": 1 - (error**2).sum() / spread, "rms": np.sqrt((error**2).mean())}
    return pd.DataFrame(rows).T


def within_profiles(table: pd.DataFrame) -> pd.DataFrame:
    """How well each theory tells the shape of a profile: lengths against popularity, with a constant for each profile.

    Args:
        table: of :func:`profiles`.

    Returns:
        One row per theory with ``R2`` of the log length within profiles, and ``rms``, the root mean square of its
        error.
    """
    logs = table[["length", "law", "sgd", "prism"]].apply(np.log)
    shapes = logs - logs.groupby([table["run"], table["side"]]).transform("mean")
    errors = shapes[["law", "sgd", "prism"]].sub(shapes["length"], axis=0)
    squares = (errors**2).sum() / (shapes["length"] ** 2).sum()
    return pd.DataFrame({"R2": 1 - squares, "rms": np.sqrt((errors**2).mean())})


def beside_the_law(table: pd.DataFrame, fitted: pd.DataFrame) -> pd.Series:
    """The lengths of classes as shares of what the law says of them.

    Args:
        table: of :func:`profiles`; classes whose rows have all shrunk to nothing have the share 0.
        fitted: the profile that the law's constant is fitted on.
    """
    return table["length"] / table["law"] / np.exp(np.log(fitted["length"] / fitted["law"]).mean())


def free_slope(table: pd.DataFrame) -> float:
    """The slope of the log length in the log of what the law takes the cube root of; the law says 1/3.

    Args:
        table: of :func:`profiles`.
    """
    return float(np.polyfit(3 * np.log(table["law"]), np.log(table["length"]), 1)[0])


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
    ("row-sparse Adam, no decay", lambda c: c["optimizer"] == "sparse_adam"),
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


def by_training(records: Iterable[Record]) -> pd.DataFrame:
    """Runs of one loss and dataset by how they were trained: own lengths, and lengths put on at scoring.

    Args:
        records: stored runs. The scores of runs of several seeds are averaged.

    Returns:
        One row per ``trained with`` and ``learning rate``, with ``seeds``; ``epochs`` to the best; test ``ndcg`` and
        ``ratio`` (unpopular over popular part) at the trained lengths; ``slope`` of the items' log length in log
        popularity; ``exponent`` that the validation chooses for lengths put on at scoring, and ``ndcg with it`` and
        ``ratio with it``. Runs from before these were kept have none of the last three.
    """
    rows = []
    for record in records:
        config, dot = record["config"], record["test"]["dot"]
        row = {
            "trained with": training_name(config) + (", by d^b" if config.get("length_exponent") is not None else ""),
            "learning rate": config["lr"],
            "seed": config["seed"],
            "epochs": record["best_epoch"] + 1,
            "ndcg": dot["ndcg"],
            "ratio": _ratio(dot),
            "slope": slope_in_popularity(record),
        }
        if "lengths" in record:
            kept = record["lengths"]
            with_it = kept["test"][kept["exponents"].index(kept["chosen"])]
            row |= {"exponent": kept["chosen"], "ndcg with it": with_it["ndcg"], "ratio with it": _ratio(with_it)}
        rows.append(row)
    columns = ["trained with", "learning rate", "seed", "epochs", "ndcg", "ratio", "slope"]
    table = pd.DataFrame(rows, columns=[*columns, "exponent", "ndcg with it", "ratio with it"])
    # one training's learning rates next to each other, in the order in which the trainings are met
    first = {name: place for place, name in reversed(list(enumerate(table["trained with"])))}
    table = table.sort_values("trained with", key=lambda names: names.map(first), kind="stable")
    groups = table.groupby(["trained with", "learning rate"], sort=False)
    return groups.mean().drop(columns="seed").assign(seeds=groups["seed"].nunique())


def _ratio(parts: dict[str, float]) -> float:
    return parts["unpopular"] / parts["popular"] if parts["popular"] else np.nan
