"""What the page on decay of the batch's rows shows of its runs: two scopes of decay side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch

from prismbook.runs.records import Record
from prismbook.tables.analysis import records
from prismbook.tables.labels import cell, dataset_name
from prismbook.tables.law import LEAST, TRAINED
from prismbook.text import listed_names
from prismlib import theory
from prismlib.datasets import identity_card

#: The number q of interactions of an item per batch at which its length at rest is least. It is the minimum of
#: sqrt(q) / (1 - exp(-q)).
TURN = 1.26
#: The two scopes of weight decay, each with the words for it.
SCOPES = {"table": "decay of the whole tables", "batch": "decay of the batch's rows"}


def panels(runs: pd.DataFrame) -> dict[str, dict[str, Record]]:
    """The records under each scope of decay, by the panel's title and the setting's name. No decay is in both.

    Args:
        runs: a table of :func:`prismbook.tables.analysis.measured`.
    """
    made = list(zip(runs.itertuples(), records(runs), strict=True))
    return {
        title: {
            f"λ = {run.weight_decay:g}": record
            for run, record in made
            if record is not None and (run.decay_scope == scope or run.weight_decay == 0)
        }
        for scope, title in SCOPES.items()
    }


def numbers(runs: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Test NDCG@20 and the correlation of lengths, in brackets: a row per dataset and decay, a column per scope.

    Args:
        runs: a table of :func:`prismbook.tables.analysis.measured` for each dataset, by its name.
    """
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for dataset, table in runs.items():
        for _, run in table.sort_values("weight_decay").iterrows():
            text = f"{cell(run['ndcg'])} ({cell(run['norm_correlation'], '.2f')})" if run["run"] else "not run"
            row = rows.setdefault((dataset_name(dataset), f"{run['weight_decay']:g}"), {})
            for scope, title in SCOPES.items():
                if run["decay_scope"] == scope or run["weight_decay"] == 0:
                    row[title] = text
    table = pd.DataFrame.from_dict(rows, orient="index", columns=list(SCOPES.values())).fillna("not run")
    return table.rename_axis(["dataset", "weight decay"])


def in_words(runs: pd.DataFrame) -> str:
    """How far decay of the batch's rows departs from no decay, in quality and in lengths; empty where nothing was run.

    Args:
        runs: a table of :func:`prismbook.tables.analysis.measured` of one dataset.
    """
    measures = ["ndcg", "norm_correlation"]
    without = runs.loc[runs["weight_decay"] == 0, measures].mean()
    decayed = runs[(runs["decay_scope"] == "batch") & (runs["weight_decay"] > 0)]
    batch = decayed.groupby("weight_decay")[measures].mean().dropna()
    if without.isna().any() or batch.empty:
        return ""
    farthest = batch.loc[(batch["norm_correlation"] - without["norm_correlation"]).abs().idxmax()]
    change = batch["ndcg"] / without["ndcg"] - 1
    said = f"Decay of the batch's rows changes NDCG@20 by {change.min():+.1%} to {change.max():+.1%}"
    whole = runs.loc[(runs["decay_scope"] == "table") & (runs["weight_decay"] > 0), "ndcg"].max()
    if pd.notna(whole):
        said += f", decay of the whole tables by up to {whole / without['ndcg'] - 1:+.1%}"
    return (
        f"{said}. At {farthest.name:g} of the batch's rows the correlation of lengths is"
        f" {farthest['norm_correlation']:.2f}, and {without['norm_correlation']:.2f} without decay."
    )


def shortest(runs: Mapping[str, pd.DataFrame]) -> str:
    """Which items are shortest at the strongest decay of the batch's rows, and how often they are met.

    Args:
        runs: as in :func:`numbers`. Items that are met less often than the law of lengths takes are left out.

    Returns:
        A sentence per dataset; empty where nothing was run.
    """
    said = []
    for dataset, table in runs.items():
        batch = table[(table["decay_scope"] == "batch") & (table["weight_decay"] > 0) & table["run"].notna()]
        for record in records(batch.nlargest(1, "weight_decay")):
            assert record is not None
            bins = [part for part in record["norms"]["item"]["bins"] if part["from"] >= LEAST]
            part = min(bins, key=lambda each: float(each["mean"]))
            met = record["config"]["batch_size"] / round(TRAINED * identity_card(dataset).interactions)
            said.append(
                f"On {dataset_name(dataset)} at {record['config']['weight_decay']:g} the shortest items, of those with"
                f" {LEAST} interactions and more, have {part['from']} to {part['to']}. A batch has"
                f" {part['from'] * met:.2g} to {part['to'] * met:.2g} of such an item's interactions on average."
            )
    return " ".join(said)


def alike(runs: Mapping[str, pd.DataFrame]) -> str:
    """Up to which decay of the batch's rows the mean lengths of items are those without decay, within 3 %.

    Args:
        runs: as in :func:`numbers`.

    Returns:
        A sentence; empty where no decay leaves the lengths as they are.
    """
    said = []
    for dataset, table in runs.items():
        made = panels(table[table["seed"] == table["seed"].iloc[0]].sort_values("weight_decay"))[SCOPES["batch"]]
        curves = {
            record["config"]["weight_decay"]: [part["mean"] for part in record["norms"]["item"]["bins"]]
            for record in made.values()
        }
        close = [decay for decay, curve in curves.items() if 0 in curves and np.allclose(curve, curves[0], rtol=0.03)]
        if 0 in curves and max(close) > 0:
            said.append(f"from 0 to {max(close):g} on {dataset_name(dataset)}")
    return f"On the right, curves that differ by up to 3 % lie on one another: {listed_names(said)}." if said else ""


def at_rest(runs: Mapping[str, pd.DataFrame]) -> str:
    """How the lengths that the theory has at rest under decay of the batch's rows correlate with log popularity.

    Args:
        runs: as in :func:`numbers`. Items are taken as the law of lengths takes them, in classes of popularity.

    Returns:
        Sentences, with the correlation that the run with the strongest decay has; empty where nothing was run.
    """
    said: dict[str, list[str]] = {part: [] for part in ("falling", "theory", "run", "trained", "rest")}
    for dataset, table in runs.items():
        batch = table[(table["decay_scope"] == "batch") & (table["weight_decay"] > 0) & table["run"].notna()]
        for record in records(batch.nlargest(1, "weight_decay")):
            assert record is not None
            config, norms, name = record["config"], record["norms"]["item"], dataset_name(dataset)
            pairs = round(TRAINED * identity_card(dataset).interactions)
            parts = [part for part in norms["bins"] if part["from"] >= LEAST]
            d = torch.tensor([(part["from"] * part["to"]) ** 0.5 for part in parts], dtype=torch.float64)
            items = torch.tensor([part["rows"] for part in parts])
            noise = theory.gradient_noise(d, config["batch_size"], pairs)
            met = theory.batch_membership(d, config["batch_size"], pairs)
            lengths = theory.rest_length_adam(noise / met, config["lr"], config["weight_decay"], config["dim"])
            both = torch.stack([torch.log(d + 2), lengths]).repeat_interleave(items, dim=1)
            falling = float(items[d * config["batch_size"] / pairs < TURN].sum() / items.sum())
            trained = (record["best_epoch"] + 1) * math.ceil(pairs / config["batch_size"])
            rest = float(theory.steps_to_rest_adam(lengths[0], config["lr"], config["dim"]))
            said["falling"].append(f"{falling:.1%} on {name}")
            said["theory"].append(f"{torch.corrcoef(both)[0, 1]:.2f} on {name}")
            said["run"].append(f"{norms['pearson_log']:.2f} at {config['weight_decay']:g} on {name}")
            said["trained"].append(f"{trained:,} steps")
            said["rest"].append(f"{rest:,.0f}")
    if not said["run"]:
        return ""
    falling_on, by_theory, by_run, after, to_rest = map(listed_names, said.values())
    return (
        f"The theory's lengths fall up to {TURN:g} interactions of an item per batch. Of the items with {LEAST} or"
        f" more in all, {falling_on} have fewer. So at rest the correlation would be {by_theory}. The runs have"
        f" {by_run}. They are at their best after {after}. A time to rest is {to_rest} steps for the"
        " rarest of these items, and they need several."
    )
