"""What the page on decay of the batch's rows shows of its runs: two scopes of decay side by side."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from prismbook.runs.records import Record
from prismbook.tables.analysis import records
from prismbook.tables.labels import cell, dataset_name

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
    """Where decay of the batch's rows departs most from no decay in what lengths follow; empty where nothing was run.

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
    return (
        f"Decay of the batch's rows is not without effect. At {farthest.name:g} the correlation of lengths is"
        f" {farthest['norm_correlation']:.2f}, and {without['norm_correlation']:.2f} without decay."
        f" NDCG@20 changes by {farthest['ndcg'] / without['ndcg'] - 1:+.1%} there. Why is not tested here."
    )
