"""What the page on LightGCN shows of its runs: no decay and the chosen one, on LightGCN and on MF."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from prismbook.pages.rq1_tables import chosen, chosen_text
from prismbook.tables.analysis import records
from prismbook.tables.labels import cell, dataset_name
from prismbook.tables.lengths import slope_in_popularity
from prismbook.text import listed_names


def numbers(runs: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """One row per dataset and backbone: what changes from no decay to the decay that validation chooses.

    Args:
        runs: a table of :func:`prismbook.tables.analysis.measured` for each dataset, by its name, one loss.

    Returns:
        Text. An arrow leads from no decay to the chosen one.
    """
    rows = []
    for dataset, table in runs.items():
        for backbone, group in table.groupby("backbone", sort=False):
            picked = list(chosen(group).values())
            best = picked[0] if picked else np.nan
            means = group.assign(share=group["popular"] / group["ndcg"]).groupby("weight_decay")
            ends = means[["ndcg", "share", "norm_correlation"]].mean().reindex([0.0, best])
            rows.append(
                {
                    "dataset": dataset_name(dataset),
                    "backbone": backbone,
                    "chosen decay": chosen_text(best, group),
                    "NDCG@20": " → ".join(ends["ndcg"].map(cell)),
                    "popular items' share": " → ".join(cell(share, ".0%") for share in ends["share"]),
                    "length ~ log d": " → ".join(cell(value, ".2f") for value in ends["norm_correlation"]),
                }
            )
    return pd.DataFrame(rows).set_index(["dataset", "backbone"])


def in_words(runs: pd.DataFrame) -> str:
    """How much the chosen decay changes each backbone, in Markdown; empty where the two cannot be compared.

    Args:
        runs: a table of :func:`prismbook.tables.analysis.measured` of one dataset and loss.
    """
    changes: list[str] = []
    measures: dict[str, dict[str, list[float]]] = {}
    for backbone, group in runs.groupby("backbone", sort=False):
        means = group.groupby("weight_decay")[["ndcg", "cosine", "norm_correlation"]].mean()
        best = list(chosen(group).values())
        if not best or means["ndcg"].reindex([0.0, best[0]]).isna().any():
            return ""
        changes.append(f"{100 * (means['ndcg'][best[0]] / means['ndcg'][0.0] - 1):+.1f} % on {backbone}")
        ends = means.loc[[0.0, best[0]]]
        measures[str(backbone)] = {
            "correlation": ends["norm_correlation"].tolist(),
            "slope": [_slope(group[group["weight_decay"] == decay]) for decay in ends.index],
            "by cosine": (1 - ends["cosine"] / ends["ndcg"]).tolist(),
        }
    if len(changes) < 2:
        return ""
    said = f"From no decay to the chosen one NDCG@20 changes by {listed_names(changes)}."
    if "LightGCN" not in measures or np.isnan([each["slope"] for each in measures.values()]).any():
        return said

    def each(measure: str, form: str, end: int = 0) -> str:
        return listed_names([f"{values[measure][end]:{form}} on {name}" for name, values in measures.items()])

    return (
        f"{said} Without decay the slope of log length in log popularity is {each('slope', '.2f')}. By cosine NDCG@20"
        f" is then lower by {each('by cosine', '.0%')}. {_borne_out(measures)}"
        f" The correlation is {each('correlation', '.2f')}: it says how tight a relation is, and not how steep."
        f" With the chosen decay the slope is {each('slope', '.2f', 1)}."
    )


def _slope(runs: pd.DataFrame) -> float:
    """The mean slope of the runs' item lengths; NaN where one is not known."""
    return float(np.mean([slope_in_popularity(record) if record else np.nan for record in records(runs)]))


def _borne_out(measures: Mapping[str, Mapping[str, list[float]]]) -> str:
    """Whether LightGCN's lengths without decay are steeper than others', and more of its ranking is in them."""
    more = {
        measure: values[0] > max(each[measure][0] for name, each in measures.items() if name != "LightGCN")
        for measure, values in measures["LightGCN"].items()
        if measure != "correlation"
    }
    steeper = f"LightGCN's lengths are {'' if more['slope'] else 'not '}steeper without decay"
    ranking = f"{'' if more['by cosine'] else 'not '}more of its ranking is in them"
    verdict = {2: "Both point towards the reason", 1: "The two disagree", 0: "So the reason is not borne out here"}
    return f"{verdict[sum(more.values())]}: {steeper}, and {ranking}."
