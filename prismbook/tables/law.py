"""The law of lengths and its rivals against the lengths in stored records.

A *class* of rows has popularities between two powers of two. The mean lengths of the classes of one table, items or
users, in one run are a *profile*. Runs that differ in the seed alone are of one *configuration*.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import torch

from prismbook.plan.config import RunConfig, changed
from prismbook.runs.records import Record
from prismlib import theory
from prismlib.datasets import identity_card

#: Rows met fewer times in training are left out, since the law's balance of many gradients does not hold for them.
LEAST = 4
#: A smaller weight of uniformity lets all rows turn one way, so that the law's sine is not the sine of the other runs.
LEAST_GAMMA = 0.5
#: Lengths still grow where training lasted fewer times the steps to rest, by the law, of a run's middle class of rows.
LEAST_TIMES = 3
#: The weight of the pull of a pair. MAWU aligns by the cosine, which is half of the squared distance.
WEIGHTS = {"directau": 1.0, "mawu": 0.5}
#: The share of a dataset's interactions that is trained on.
TRAINED = 0.8
#: Runs that are alike in these are repeats of one configuration. The law can tell nothing else apart.
CONFIGURATION = (
    *("dataset", "loss", "gamma", "gamma_user", "gamma_item"),
    *("lr", "weight_decay", "batch_size", "dim"),
)
#: Why runs are left out, each as the page says it.
TURNED, SHORT, AGAIN = (
    f"with a weight of uniformity below {LEAST_GAMMA:g}",
    f"that trained for less than {LEAST_TIMES} times their time to rest",
    "that repeat a configuration and its seed",
)
#: The law, the paper's theorem at rest, PRISM's log(d + 2), and a power of d that is fitted.
THEORIES = ("law", "sgd", "prism", "power")
#: The exponents that the law has.
EXPONENTS = {"all of it": 1 / 3, "learning rate": 1 / 3, "decay": -1 / 3, "popularity": 1 / 6}
#: Draws of the intervals.
DRAWS = 2000


def of_the_law(records: Iterable[Record]) -> tuple[list[Record], dict[str, list[Record]]]:
    """The stored runs that the law is about, and those that are left out, by the reason.

    The law is about linear MF with DirectAU or MAWU under Adam with coupled decay, on real data, and about lengths at
    rest. Whether a run trained for long enough is told by the law's own time, and by no length that was recorded. Of
    runs that are alike in all that the law knows, the one is kept that changes the fewest fields.

    Args:
        records: stored runs.

    >>> of_the_law([])[0]
    []
    """
    kept: dict[str, Record] = {}
    out: dict[str, list[Record]] = {TURNED: [], SHORT: [], AGAIN: []}
    about = [record for record in records if _applies(record["config"])]
    for record in sorted(about, key=lambda record: len(changed(RunConfig(**record["config"])))):
        config = record["config"]
        run = json.dumps([_configuration(config), config["seed"]])
        if config["gamma"] is not None and config["gamma"] < LEAST_GAMMA:
            out[TURNED].append(record)
        elif times_to_rest(record) < LEAST_TIMES:
            out[SHORT].append(record)
        elif run in kept:
            out[AGAIN].append(record)
        else:
            kept[run] = record
    return list(kept.values()), out


def times_to_rest(record: Record) -> float:
    """How many times the steps to rest a run trained until its best epoch, whose lengths are kept.

    The steps to rest are those of its middle class of rows by popularity, at the length that the law says. A row of
    more interactions needs more of them.

    Args:
        record: a run that the law is about.
    """
    lengths = torch.tensor([row["law"] for row in _classes(record, rare=False)])
    return float(_times(record, lengths.median()))


def times_of_classes(record: Record) -> list[float]:
    """:func:`times_to_rest` of each class of rows by itself, in the order of :func:`profiles`.

    Args:
        record: a run that the law is about.
    """
    lengths = torch.tensor([row["law"] for row in _classes(record, rare=False)])
    return [float(times) for times in _times(record, lengths)]


def _times(record: Record, lengths: torch.Tensor) -> torch.Tensor:
    """How many times the steps to rest of rows of some lengths a run trained until its best epoch."""
    config = record["config"]
    steps = (record["best_epoch"] + 1) * math.ceil(trained_pairs(record) / config["batch_size"])
    return steps / theory.steps_to_rest_adam(lengths, config["lr"], config["dim"])


def trained_pairs(record: Record) -> int:
    """How many interactions a run is trained on, by its dataset's card.

    Args:
        record: of a run.
    """
    return round(TRAINED * identity_card(record["config"]["dataset"]).interactions)


def _applies(config: dict[str, Any]) -> bool:
    return (
        config["optimizer"] == "adam"
        and config["decay_scope"] == "table"
        and config["weight_decay"] > 0
        and config["backbone"] == "mf"
        and config["init"] == "xavier"
        and config["loss"] in WEIGHTS
        and not identity_card(config["dataset"]).synthetic
    )


def _configuration(config: dict[str, Any]) -> str:
    return json.dumps([config.get(name) for name in CONFIGURATION])


def profiles(records: Iterable[Record], rare: bool = False) -> pd.DataFrame:
    r"""Mean lengths by class of popularity, beside what the theories say of them.

    Args:
        records: stored runs of :func:`of_the_law`.
        rare: True gives the rows that were met, but fewer than :data:`LEAST` times, in place of the others.

    Returns:
        One row per class whose rows have not all shrunk to nothing. It has ``run``, ``configuration``, ``seed``,
        ``dataset``, ``loss``, ``side``, ``lr``, ``decay``, ``pairs`` (trained on), ``d`` (the class's middle on a log
        scale) and ``length``. ``law``, ``sgd`` and ``prism`` are what each theory says, but for one common factor.
        ``step`` is how far a step moves such a row under Adam when it is met, :math:`\eta \sqrt{n/q}`.
    """
    rows = [row for record in records for row in _classes(record, rare)]
    columns = ["run", "configuration", "seed", "dataset", "loss", "side", "lr", "decay", "pairs", "d", "length"]
    return pd.DataFrame(rows, columns=[*columns, "law", "sgd", "prism", "step"])


def _classes(record: Record, rare: bool) -> Iterable[dict[str, Any]]:
    config = record["config"]
    pairs = trained_pairs(record)
    for side in ("item", "user"):
        for part in record["norms"][side]["bins"]:
            if part["from"] < 1 or (part["from"] < LEAST) != rare or part["mean"] == 0:
                continue
            d = np.sqrt(part["from"] * part["to"])
            noise = theory.gradient_noise(d, config["batch_size"], pairs, weight=WEIGHTS[config["loss"]])
            rest = config["lr"], config["weight_decay"]
            yield {
                "run": record["id"],
                "configuration": _configuration(config),
                "seed": config["seed"],
                "dataset": config["dataset"],
                "loss": config["loss"],
                "side": side,
                "lr": config["lr"],
                "decay": config["weight_decay"],
                "pairs": pairs,
                "d": d,
                "length": part["mean"],
                "law": float(theory.rest_length_adam(noise, *rest, dim=config["dim"])),
                "sgd": float(theory.rest_length_sgd(noise, *rest)),
                "prism": np.log(d + 2),
                "step": config["lr"] * np.sqrt(config["dim"] * pairs / (config["batch_size"] * d)),
            }


def profile(table: pd.DataFrame, run: str, side: str) -> pd.DataFrame:
    """The profile of one run and side.

    Args:
        table: of :func:`profiles`.
        run: its id.
        side: ``"item"`` or ``"user"``.
    """
    return table[(table["run"] == run) & (table["side"] == side)]


def errors(table: pd.DataFrame, fitted: pd.DataFrame) -> pd.DataFrame:
    """By how much the log lengths of held-out profiles differ from what each theory predicts.

    Held out are the runs of all other configurations than the fitted one's: neither its users nor its other seeds.

    Args:
        table: of :func:`profiles`.
        fitted: the one profile that the constant of each theory is fitted on, and the exponent of the power of d too.

    Returns:
        One column per theory of :data:`THEORIES`, and the index of the held-out rows of the table.
    """
    held_out = table[~table["configuration"].isin(fitted["configuration"])]
    lengths, found = np.log(held_out["length"]), np.log(fitted["length"])
    differences = {}
    for name in THEORIES[:3]:
        differences[name] = lengths - np.log(held_out[name]) - (found - np.log(fitted[name])).mean()
    exponent, constant = np.polyfit(np.log(fitted["d"]), found, 1)
    return pd.DataFrame(differences | {"power": lengths - exponent * np.log(held_out["d"]) - constant})


def accuracy(table: pd.DataFrame, wrong_by: pd.DataFrame) -> pd.DataFrame:
    """How well each theory predicts, with the one constant that it was fitted with.

    Args:
        table: of :func:`profiles`.
        wrong_by: rows of :func:`errors`, all of them or some.

    Returns:
        One row per theory with ``R2`` of the log length, and ``rms``, the root mean square of its error.
    """
    lengths = np.log(table.loc[wrong_by.index, "length"])
    spread = ((lengths - lengths.mean()) ** 2).sum()
    return pd.DataFrame({"R2": 1 - (wrong_by**2).sum() / spread, "rms": np.sqrt((wrong_by**2).mean())})


def within_profiles(table: pd.DataFrame, wrong_by: pd.DataFrame) -> pd.DataFrame:
    """How well each theory tells the shape of a profile: lengths against popularity, with a constant for each profile.

    Args:
        table: of :func:`profiles`.
        wrong_by: of :func:`errors`.

    Returns:
        One row per theory with ``R2`` of the log length within held-out profiles, and ``rms``, the root mean square of
        its error.
    """
    held_out = table.loc[wrong_by.index]
    profile = [held_out["run"], held_out["side"]]
    lengths = np.log(held_out["length"])
    shapes = lengths - lengths.groupby(profile).transform("mean")
    left = wrong_by - wrong_by.groupby(profile).transform("mean")
    return pd.DataFrame({"R2": 1 - (left**2).sum() / (shapes**2).sum(), "rms": np.sqrt((left**2).mean())})


def exponents(table: pd.DataFrame) -> pd.DataFrame:
    """The exponents that lengths have in what the law is made of, free of the law, with intervals over configurations.

    The first is the exponent of what the law takes the cube root of. The others are of one regression on the learning
    rate, the decay and popularity, in which the number of interactions and the loss have coefficients where they
    vary. An interval has the middle 95 % of :data:`DRAWS` draws of configurations with replacement, each with all its
    runs. Draws in which something does not vary are left out.

    Args:
        table: of :func:`profiles`.

    Returns:
        One row per name of :data:`EXPONENTS`: ``law``, ``found``, and the interval's ends ``low`` and ``high``.
    """
    one = np.ones(len(table))
    alone = np.column_stack([3 * np.log(table["law"]), one])
    by = np.column_stack([np.log(table[name]) for name in ("lr", "decay", "d")])
    beside = np.column_stack([np.log(table["pairs"]), table["loss"] == "mawu"])
    beside = beside[:, np.ptp(beside, axis=0) > 0]
    all_of_it = _resampled(table, alone)[:, :1]
    each = _resampled(table, np.column_stack([by, beside, one]))[:, :3]
    rows = {}
    for (name, exponent), found in zip(EXPONENTS.items(), [*all_of_it.T, *each.T], strict=True):
        drawn = found[1:][np.isfinite(found[1:])]
        low, high = np.quantile(drawn, [0.025, 0.975]) if len(drawn) else (np.nan, np.nan)
        rows[name] = {"law": exponent, "found": found[0], "low": low, "high": high}
    return pd.DataFrame.from_dict(rows, orient="index")


def _resampled(table: pd.DataFrame, columns: np.ndarray) -> np.ndarray:
    """The coefficients of the log length in some columns: of all rows first, then of each draw of configurations."""
    code, names = pd.factorize(table["configuration"])
    lengths = np.log(table["length"]).to_numpy()
    parts = [columns[code == each] for each in range(len(names))]
    squares = np.stack([part.T @ part for part in parts])
    products = np.stack([part.T @ lengths[code == each] for each, part in enumerate(parts)])
    drawn = np.random.default_rng(0).multinomial(len(names), np.full(len(names), 1 / len(names)), size=DRAWS)
    drawn = np.vstack([np.ones(len(names)), drawn])
    squares, products = (np.tensordot(drawn, sums, 1) for sums in (squares, products))
    whole = np.linalg.matrix_rank(squares) == columns.shape[1]
    found = np.full(products.shape, np.nan)
    found[whole] = np.linalg.solve(squares[whole], products[whole][..., None])[..., 0]
    return found


def beside_the_law(table: pd.DataFrame, fitted: pd.DataFrame) -> pd.Series:
    """The lengths of classes as shares of what the law says of them.

    Args:
        table: of :func:`profiles`.
        fitted: the profile that the law's constant is fitted on.
    """
    return table["length"] / table["law"] / np.exp(np.log(fitted["length"] / fitted["law"]).mean())
