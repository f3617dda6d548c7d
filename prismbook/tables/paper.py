"""What the paper prints (Loveland et al. 2025): its Table 1, and an audit of the figures that it draws from it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pandas as pd

#: The text's summaries of Table 1, each with backbone, losses, mean or largest change, and the printed per cent.
PRINTED = {
    "MF, all losses, mean": ("MF", ("SSM", "DirectAU", "MAWU"), "mean", 0.12),
    "MF, largest gain": ("MF", ("SSM", "DirectAU", "MAWU"), "max", 4.77),
    "Non-Linear MF, DirectAU and MAWU, mean": ("Non-Linear MF", ("DirectAU", "MAWU"), "mean", 8.59),
    "Non-Linear MF, SSM, mean": ("Non-Linear MF", ("SSM",), "mean", -21.61),
}


def table1() -> pd.DataFrame:
    """The paper's Table 1: test NDCG@20, mean and standard deviation over three seeds.

    Returns:
        One row per (backbone, loss, dataset); columns ``decay``, ``decay_std``, ``prism``, ``prism_std``.

    >>> float(table1().loc[("MF", "DirectAU", "Gowalla"), "prism"])
    0.121
    """
    rows = pd.read_csv(Path(__file__).with_name("paper_table1.csv"))
    rows["method"] = rows["method"].map({"tuned weight decay": "decay", "PRISM": "prism"})
    cells = ["backbone", "loss", "dataset"]
    wide = rows.pivot(index=cells, columns="method", values=["ndcg20", "std"])
    parts = zip(wide.columns.get_level_values(0), wide.columns.get_level_values(1), strict=True)
    wide.columns = pd.Index([f"{method}_std" if value == "std" else method for value, method in parts])
    in_order = pd.MultiIndex.from_frame(rows[cells].drop_duplicates())
    return wide.loc[in_order, ["decay", "decay_std", "prism", "prism_std"]]


@cache
def printed_score(backbone: str, loss: str, dataset: str, method: str) -> float | None:
    """One cell of the paper's Table 1, a mean test NDCG@20; None where the table has none.

    Args:
        backbone: as the paper writes it, like ``loss`` and ``dataset``.
        method: ``"decay"`` or ``"prism"``.

    >>> printed_score("MF", "DirectAU", "Gowalla", "prism"), printed_score("MF", "BPR", "Gowalla", "prism")
    (0.121, None)
    """
    cells, cell = table1(), (backbone, loss, dataset)
    return float(cells[method].loc[[cell]].iloc[0]) if cell in cells.index else None


def printed_change(backbone: str, loss: str, dataset: str) -> float | None:
    """PRISM minus tuned decay in the paper's Table 1, as a share of decay's score; None where the table has no cell.

    Args:
        backbone: as the paper writes it, like ``loss`` and ``dataset``.

    >>> round(printed_change("MF", "SSM", "Gowalla"), 3), printed_change("MF", "BPR", "Gowalla")
    (0.034, None)
    """
    prism, decay = (printed_score(backbone, loss, dataset, method) for method in ("prism", "decay"))
    return None if prism is None or decay is None else prism / decay - 1


def audit() -> pd.DataFrame:
    """The summaries of Table 1 computed again from its cells, in per cent.

    A change from tuned decay to PRISM is usually given as a share of tuned decay's score. The paper's percentages are
    shares of PRISM's score.

    Returns:
        One row per summary; columns ``printed``, ``share of tuned decay``, ``share of PRISM``.

    >>> audit().round(2).loc["MF, largest gain"].tolist()
    [4.77, 5.01, 4.77]
    """
    cells = table1()
    gain = cells["prism"] - cells["decay"]
    shares = {"share of tuned decay": gain / cells["decay"], "share of PRISM": gain / cells["prism"]}
    rows = {}
    for name, (backbone, losses, statistic, printed) in PRINTED.items():
        changes = {title: share.loc[backbone].loc[list(losses)] for title, share in shares.items()}
        rows[name] = {"printed": printed} | {title: 100 * change.agg(statistic) for title, change in changes.items()}
    return pd.DataFrame(rows).T
