"""What the page on decay of the batch's rows shows of its runs: two scopes of decay side by side."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from prismbook.runs.records import Record
from prismbook.tables.analysis import records
from prismbook.tables.labels import cell, dataset_name
from prismbook.tables.law import LEAST, TRAINED
from prismlib.datasets import identity_card

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
                f" {part['from'] * met:.2g} to {part['to'] * met:.2g} of them on average."
            )
    return " ".join(said)
