"""The book's figures. Each takes tables of :mod:`prismbook.tables.analysis`, or records, and returns a figure.

The style sheet has the look of the figures. Call ``plt.style.use(figures.STYLE)`` first, since parts of the style sheet
act when a figure is saved.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from prismbook.runs.records import Record
from prismbook.tables.labels import dataset_name
from prismlib.metrics import GROUPS

STYLE = str(Path(__file__).with_name("prism.mplstyle"))
# Each popularity group and each loss has the same colour and marker on every page.
LOOKS = {
    "popular": ("#D55E00", "s"),
    "neutral": ("#777777", "D"),
    "unpopular": ("#0072B2", "v"),
    "BPR": ("#E69F00", "o"),
    "DirectAU": ("#009E73", "^"),
    "SSM": ("#56B4E9", "P"),
    "MAWU": ("#CC79A7", "X"),
    "IPL": ("#8C564B", "<"),
    "ReSN": ("#4D4D4D", ">"),
    "MACR": ("#000000", "d"),
}
#: Each verdict has its colour and its marker, so that it can be read without colours.
VERDICTS = {
    "reproduced": ("#0072B2", "o"),
    "reproduced, size differs": ("#0072B2", "P"),
    "for some, not for others": ("#E69F00", "D"),
    "not reproduced": ("#D55E00", "X"),
    "open": ("#777777", "s"),
}
# The steps of a weight decay or of alpha go from light to dark.
STEPS = plt.get_cmap("viridis_r")


def weight_decay_curves(table: pd.DataFrame, dataset: str) -> Figure:
    """The paper's Figures 1, 8, 10 and 11: NDCG@20 against weight decay, one curve per loss, and by popularity.

    A loss without a run has neither a curve nor a panel.

    Args:
        table: means over seeds by loss and weight decay, from :func:`prismbook.tables.analysis.over_seeds`.
        dataset: the dataset's name, for the title.
    """
    decays = sorted(table.index.unique("weight_decay"))
    figure = _overall_and_by_group(table, decays)
    for axis in figure.axes:
        axis.set_xticks(range(len(decays)), [_decay(decay) for decay in decays])
        axis.set(xlabel="weight decay λ")
        if len(decays) > 4:  # upright labels would overlap
            axis.tick_params(axis="x", rotation=60, labelsize="small")
    figure.suptitle(dataset_name(dataset), fontsize="medium")
    return figure


def alpha_curves(table: pd.DataFrame, tuned: Any, dataset: str) -> Figure:
    """The paper's Figure 5: NDCG@20 against PRISM's alpha, overall and by popularity group, beside tuned decay.

    Args:
        table: means over seeds by loss and ``alpha``, from :func:`prismbook.tables.analysis.over_seeds`.
        tuned: the run with tuned weight decay, which dashed lines show, as a row of
            :func:`prismbook.tables.analysis.tidy`; None draws no such lines.
        dataset: the dataset's name, for the title.
    """
    alphas = sorted(table.index.unique("alpha"))
    figure = _overall_and_by_group(table, alphas)
    for axis in figure.axes:
        axis.set_xticks(range(len(alphas)), [f"{alpha:g}" for alpha in alphas])
        axis.set(xlabel="strength of PRISM, alpha")
    if tuned is not None:
        figure.axes[0].axhline(tuned.ndcg, color=LOOKS[tuned.loss][0], linestyle="--")
        for group in GROUPS:
            figure.axes[1].axhline(getattr(tuned, group), color=LOOKS[group][0], linestyle="--", linewidth=1)
        _from_zero(figure.axes)
    dashed = "" if tuned is None else f"; dashed: weight decay {tuned.weight_decay:g}"
    figure.suptitle(dataset_name(dataset) + dashed, fontsize="medium")
    return figure


def _overall_and_by_group(table: pd.DataFrame, values: list[float]) -> Figure:
    ran = table[table["ndcg", "mean"].notna()]
    losses = list(ran.index.unique("loss"))
    panels = 1 + len(losses)
    columns = 2 if panels == 4 else min(panels, 3)  # a page is too narrow for more than three
    rows = -(-panels // columns)
    figure, grid = plt.subplots(rows, columns, figsize=(2.7 * columns, 3.3 * rows), squeeze=False)
    axes = grid.flatten()
    for spare in axes[panels:]:
        spare.remove()
    axes = axes[:panels]
    for loss in losses:
        _curve(axes[0], values, table.loc[loss]["ndcg"], loss)
    axes[0].set(title="all items", ylabel="test NDCG@20")
    for axis, loss in zip(axes[1:], losses, strict=True):
        for group in GROUPS:
            _curve(axis, values, table.loc[loss][group], group)
        axis.set(title=f"{loss}, by popularity", ylabel="part of NDCG@20")
    _from_zero(axes)
    # all panels share one legend, since a group looks the same in each; inside a panel it would hide points
    drawn = {str(line.get_label()): line for axis in axes for line in axis.lines}
    figure.legend(drawn.values(), drawn.keys(), loc="outside lower center", ncols=7, fontsize="small", handlelength=1.2)
    return figure


def _curve(axis: Axes, values: list[float], measured: pd.DataFrame, name: str) -> None:
    """The mean over seeds, with a band of one standard deviation. A missing run leaves a gap."""
    colour, marker = LOOKS[name]
    measured = measured.reindex(values)
    x = range(len(values))
    axis.plot(x, measured["mean"], color=colour, marker=marker, label=name)
    if measured["std"].notna().any():
        low, high = measured["mean"] - measured["std"], measured["mean"] + measured["std"]
        axis.fill_between(x, low, high, color=colour, alpha=0.2)


def _from_zero(axes: Iterable[Axes]) -> None:
    """Let the vertical axes begin at 0. Call it last: a limit that is set does not grow with later curves."""
    for axis in axes:
        axis.autoscale(axis="y")
        axis.set_ylim(bottom=0)


def _decay(decay: float) -> str:
    return "0" if decay == 0 else f"{decay:.0e}"


def norms_against_popularity(records: Mapping[str, Mapping[str, Record]], table: str = "item") -> Figure:
    """The paper's Figures 2 and 3: mean norm of the rows per popularity bin, one panel per loss, one curve per setting.

    Args:
        records: for each panel, by its title (a loss), the record of each setting, by the setting's name, e.g.
            ``"1e-06"``.
        table: the table whose rows are shown, ``"item"`` or ``"user"``.
    """
    figure, axes = plt.subplots(1, len(records), figsize=(3.6 * len(records), 3.4), squeeze=False)
    for axis, (title, settings) in zip(axes[0], records.items(), strict=True):
        for (name, record), share in zip(settings.items(), np.linspace(0.1, 1, len(settings)), strict=True):
            bins = pd.DataFrame(record["norms"][table]["bins"])
            x = np.sqrt((bins["from"] + 1) * (bins["to"] + 1)) - 1 + (bins["from"] == 0) * 0.5
            correlation = record["norms"][table]["pearson_log"]
            label = f"{name} (r = {correlation:.2f})" if correlation is not None else name
            colour = STEPS(share)
            axis.plot(x, bins["mean"], marker="o", color=colour, label=label)
            axis.fill_between(x, bins["mean"] - bins["std"], bins["mean"] + bins["std"], color=colour, alpha=0.15)
        axis.set(xscale="log", title=title, xlabel=f"training interactions of the {table}", ylim=(0, None))
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=2, fontsize="small", handlelength=1.2)
    axes[0, 0].set_ylabel("length of the row")
    return figure


def validation_curves(records: Mapping[str, Record], rankings: Sequence[str] = ("dot",)) -> Figure:
    """The paper's Figures 4 and 6: validation NDCG@20 against epochs, one panel per ranking and one curve per setting.

    Args:
        records: the record of each setting, by the setting's name.
        rankings: ``"dot"``, ``"cosine"``, or both, one panel per ranking.
    """
    figure, axes = plt.subplots(1, len(rankings), figsize=(3.2 + 2.6 * len(rankings), 3.3), sharey=True, squeeze=False)
    for axis, ranking in zip(axes[0], rankings, strict=True):
        for (name, record), share in zip(records.items(), np.linspace(0.1, 1, len(records)), strict=True):
            curve, best = record["history"][f"validation_{ranking}"], record["best_epoch"]
            axis.plot(curve, color=STEPS(share), label=name)
            axis.plot(best, curve[best], marker="o", color=STEPS(share))
        title = {"dot": "ranked by dot product", "cosine": "ranked by cosine"}[ranking]
        axis.set(title=title, xlabel="epoch")
    _from_zero(axes[0])
    axes[0, 0].set_ylabel("validation NDCG@20")
    axes[0, -1].legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize="small")
    return figure


def fairness(runs: pd.DataFrame, decays: pd.DataFrame | None = None) -> Figure:
    """The paper's Figure 9: overall NDCG@20 against the unpopular / popular ratio, one point per run.

    Args:
        runs: one row per run, from :func:`prismbook.tables.analysis.tidy`. A ring marks a run with PRISM.
        decays: further runs of one loss, one row per weight decay. They are drawn small, joined in the order of their
            decays, each with its decay beside it. None draws none.
    """
    figure, axis = plt.subplots(figsize=(5.4, 3.6))
    if decays is not None and decays["ndcg"].notna().any():
        along = decays[decays["ndcg"].notna()].sort_values("weight_decay")
        colour, marker = LOOKS[along["loss"].iloc[0]]
        label = f"{along['loss'].iloc[0]} at each decay"
        axis.plot(
            along["ratio"],
            along["ndcg"],
            marker=marker,
            color=colour,
            markersize=4,
            linewidth=0.6,
            alpha=0.6,
            label=label,
        )
        for run in along.itertuples():
            place = (run.ratio, run.ndcg)
            axis.annotate(
                f"{run.weight_decay:g}", place, xytext=(3, -9), textcoords="offset points", fontsize="x-small"
            )
    finished: list[Any] = list(runs[runs["ndcg"].notna()].itertuples())
    for run in finished:
        colour, marker = LOOKS[run.loss]
        label = f"{run.loss} with PRISM" if run.init == "prism" else run.loss
        axis.plot(run.ratio, run.ndcg, marker=marker, color=colour, linestyle="", markersize=8, label=label)
        if run.init == "prism":
            axis.plot(run.ratio, run.ndcg, "o", markersize=15, markerfacecolor="none", markeredgecolor=colour)
    axis.set(
        xlabel="unpopular / popular NDCG@20 (right: fairer)", ylabel="test NDCG@20", ylim=(0, None), xlim=(0, None)
    )
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize="small")
    return figure


def differences(rows: Mapping[str, Any]) -> Figure:
    """PRISM minus tuned weight decay with 95 % intervals, as measured here.

    Args:
        rows: for each row of the figure, by its name, ``{"ours", "low", "high"}``: our difference, and the ends of its
            interval. Each is a number, or None where it is not known.
    """
    figure, axis = plt.subplots(figsize=(6.4, 0.8 + 0.45 * len(rows)))
    axis.axvline(0, color="#777777", linewidth=1)
    for place, row in enumerate(rows.values()):
        if row["ours"] is not None:
            axis.plot(row["ours"], place, "o", color="#0072B2")
            if row["low"] is not None:
                axis.plot([row["low"], row["high"]], [place] * 2, color="#0072B2")
    axis.set_yticks(range(len(rows)), list(rows))
    axis.set(xlabel="test NDCG@20 of PRISM minus that of tuned decay", ylim=(len(rows) - 0.5, -0.5))
    return figure


#: The panels of :func:`paper_and_ours`: the title of the axis, its ticks as shares, and the side that is better.
PANELS = {
    "quality": ("change of NDCG@20, in %", (-0.5, -0.25, -0.1, 0, 0.1, 0.25, 0.5), "better →"),
    "epochs": ("change of the number of epochs, in %", (-0.75, -0.5, 0, 1, 3), "← better"),
    "fairness": ("change of the unpopular / popular ratio, in %", (-0.5, -0.25, 0, 0.5, 1), "better →"),
}


def paper_and_ours(panel: str, rows: Sequence[Mapping[str, Any]], margin: float) -> Figure:
    """One panel of the claims with a number: the paper's change from tuned decay to PRISM, and ours with its interval.

    Quality has a linear axis. Epochs and fairness differ by factors, and have an axis of factors.

    Args:
        panel: what is measured, one of :data:`PANELS`.
        rows: ``{"group", "label", "said", "verdict", "provisional", "paper", "ours", "low", "high"}``. The four numbers
            are shares. ``said`` stands left of the row, and is empty where the verdict stands further up. An empty
            ``verdict`` is that of a note. The marker of a provisional verdict is hollow.
        margin: the share up to which a change counts as none, shown as a band.
    """
    title, shares, better = PANELS[panel]
    groups = dict.fromkeys(row["group"] for row in rows)
    figure, axis = plt.subplots(figsize=(6.6, 1.0 + 0.21 * (len(rows) + len(groups))))
    factors = panel != "quality"
    scaled = (lambda share: float(np.log1p(max(share, -0.95)))) if factors else float
    low = scaled(-margin / (1 + margin)) if factors else -margin
    axis.axvspan(low, scaled(margin), color="#777777", alpha=0.15, linewidth=0, label="counts as none")
    axis.axvline(0, color="#777777", linewidth=1)
    top, ticks = 0, {}
    for group in groups:
        ticks[top] = group
        for place, row in enumerate([row for row in rows if row["group"] == group], start=top + 1):
            colour, marker = VERDICTS.get(row["verdict"], ("#777777", "."))
            axis.plot([scaled(row["low"]), scaled(row["high"])], [place] * 2, color=colour)
            face = "white" if row["provisional"] else colour
            axis.plot(scaled(row["ours"]), place, marker, color=colour, markerfacecolor=face, markersize=7)
            axis.plot(scaled(row["paper"]), place, "|", color="black", markersize=10, markeredgewidth=2)
            ticks[place] = f"{row['said']}   {row['label']}" if row["said"] else row["label"]
            top = place + 1
    axis.set_xticks([scaled(share) for share in shares], [f"{100 * share:+g}" if share else "0" for share in shares])
    axis.set(xlabel=title, ylim=(top - 0.4, -0.6))
    axis.set_yticks(list(ticks), list(ticks.values()), fontsize="small")
    for label in axis.get_yticklabels():
        if label.get_text() in groups:
            label.set_fontweight("bold")
    axis.tick_params(axis="y", length=0)
    axis.grid(visible=False, axis="y")
    right = better.startswith("better")
    end, side = (1.0, "right") if right else (0.0, "left")
    axis.text(end, 1.0, better, transform=axis.transAxes, ha=side, va="bottom", weight="bold", fontsize="small")
    return figure
