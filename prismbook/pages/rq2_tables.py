"""What the page of RQ2 shows of its runs: three decays per loss, correlations, and the lengths' part in a ranking."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pandas as pd

from prismbook.pages.rq1_tables import chosen
from prismbook.runs.records import Record, load_record
from prismbook.tables.labels import cell, dataset_name


def three_decays(runs: pd.DataFrame) -> dict[str, dict[str, Record]]:
    """For each loss the records without decay, with the decay that validation chooses, and with the strongest.

    Args:
        runs: a table of :func:`prismbook.tables.analysis.measured`, one seed.

    Returns:
        Records by loss and by the setting's name. What was not run is left out; two settings may be one decay, which is
        then named once.
    """
    picked, found = chosen(runs), {}
    for loss, group in runs[runs["run"].notna()].groupby("loss", sort=False):
        paths = group.set_index("weight_decay")["path"]
        best = picked.get(str(loss))
        named = {max(paths.index): "strongest", best: "chosen", 0.0: "no decay"}
        found[str(loss)] = {
            named[decay] if decay == 0 else f"λ = {decay:g}, {named[decay]}": _record(paths[decay])
            for decay in sorted(set(named) & set(paths.index))
        }
    return found


def _record(path: object) -> Record:
    record = load_record(path)  # type: ignore[arg-type]
    assert record is not None
    return record


def correlations(runs: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The correlation of item length with log popularity: a row per dataset and loss, a column per decay.

    Args:
        runs: a table of :func:`prismbook.tables.analysis.measured` for each dataset, by its name, one seed.
    """
    return _by_decay(runs, lambda run: cell(run["norm_correlation"], ".2f"))


def by_cosine(runs: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Test NDCG@20 by dot product and by cosine: a row per dataset and loss, a column per decay.

    Args:
        runs: as in :func:`correlations`.
    """
    return _by_decay(runs, lambda run: f"{cell(run['ndcg'])} → {cell(run['cosine'])}")


def _by_decay(runs: Mapping[str, pd.DataFrame], shown: Callable[[pd.Series], str]) -> pd.DataFrame:
    parts = []
    for dataset, table in runs.items():
        text = pd.Series({place: shown(run) if pd.notna(run["run"]) else "not run" for place, run in table.iterrows()})
        columns = table[["loss", "weight_decay"]].assign(dataset=dataset_name(dataset), text=text)
        parts.append(columns.pivot(index=["dataset", "loss"], columns="weight_decay", values="text"))
    joined = pd.concat(parts)
    ordered = joined.reindex(columns=sorted(joined.columns)).fillna("not run")
    return ordered.rename(columns="{:g}".format).rename_axis(columns="weight decay")
