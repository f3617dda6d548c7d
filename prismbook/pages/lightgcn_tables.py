"""What the page on LightGCN shows of its runs: no decay and the chosen one, on LightGCN and on MF."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from prismbook.pages.rq1_tables import chosen, chosen_text
from prismbook.tables.labels import cell, dataset_name
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
    changes, starts, ends = [], {}, {}
    for backbone, group in runs.groupby("backbone", sort=False):
        means = group.groupby("weight_decay")[["ndcg", "norm_correlation"]].mean()
        best = list(chosen(group).values())
        if not best or means["ndcg"].reindex([0.0, best[0]]).isna().any():
            return ""
        changes.append(f"{100 * (means['ndcg'][best[0]] / means['ndcg'][0.0] - 1):+.1f} % on {backbone}")
        starts[str(backbone)], ends[str(backbone)] = means["norm_correlation"][[0.0, best[0]]]
    if len(changes) < 2:
        return ""
    said = (
        f"From no decay to the chosen one NDCG@20 changes by {listed_names(changes)}. Without decay lengths correlate"
        f" with log popularity by {listed_names([f'{start:.2f} on {name}' for name, start in starts.items()])}."
    )
    here, others = starts.get("LightGCN"), [start for name, start in starts.items() if name != "LightGCN"]
    if here is None or here > max(others):
        return said
    return (
        f"{said} So the reason is not borne out here: without decay LightGCN's lengths follow popularity no better,"
        f" and with the chosen one they have {ends['LightGCN']:.2f}."
    )
