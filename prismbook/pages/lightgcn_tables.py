"""What the page on LightGCN shows of its runs: no decay and the chosen one, on LightGCN and on MF."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from prismbook.pages.rq1_tables import chosen
from prismbook.tables.labels import cell, dataset_name


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
                    "chosen decay": cell(best, "g"),
                    "NDCG@20": " → ".join(ends["ndcg"].map(cell)),
                    "popular items' share": " → ".join(cell(share, ".0%") for share in ends["share"]),
                    "length ~ log d": " → ".join(cell(value, ".2f") for value in ends["norm_correlation"]),
                }
            )
    return pd.DataFrame(rows).set_index(["dataset", "backbone"])
