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
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from prismbook.runs.records import Record
from prismbook.tables.endings import never_learned
from prismbook.tables.labels import dataset_name
from prismbook.tables.rules import MARGIN
from prismlib.metrics import GROUPS

STYLE = str(Path(__file__).with_name("prism.mplstyle"))
#: Each popularity group and each loss has the same colour and marker on every page.
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
# The steps of a weight decay or of alpha go from light to dark.
STEPS = plt.get_cmap("viridis_r")


def weight_decay_curves(
    tables: Mapping[str, pd.DataFrame],
    losses: Sequence[str] | None = None,
    chosen: Mapping[str, Mapping[str, float]] | None = None,
    overall: bool = True,
    beside: tuple[str, Mapping[str, pd.DataFrame]] | None = None,
    hollow: Mapping[str, Mapping[str, Sequence[float]]] | None = None,
) -> Figure:
    """The paper's Figures 1, 8, 10 and 11: NDCG@20 against weight decay, one curve per loss, and by popularity.

    Each dataset is a row of panels that share their vertical axis. A loss without any run has no panel.

    Args:
        tables: for each dataset, by its name, the means over seeds by loss and weight decay, from
            :func:`prismbook.tables.analysis.over_seeds`.
        losses: the losses that have a panel, by the names of the tables; None is all of them.
        chosen: for each dataset, the decay that validation chooses for each loss. A ring marks it.
        overall: whether the first panel of a row shows all losses, over all items.
        beside: a name, and tables as the first ones. Their curves over all items are grey in the first panels.
        hollow: for each dataset, the decays of each loss whose marks are hollow, as where no run decides anything.
    """
    ran = {dataset: table[table["ndcg", "mean"].notna()] for dataset, table in tables.items()}
    there = list(dict.fromkeys(loss for table in ran.values() for loss in table.index.unique("loss")))
    panels = [loss for loss in there if losses is None or loss in losses]
    columns = overall + len(panels)
    size = (max(2.7 * columns, 4.0), 0.7 + 2.4 * len(tables))
    figure, grid = plt.subplots(len(tables), columns, figsize=size, sharey="row", squeeze=False)
    for axes, (dataset, table) in zip(grid, tables.items(), strict=True):
        decays = sorted(table.index.unique("weight_decay"))
        marked = {} if chosen is None else chosen.get(dataset, {})
        empty = {} if hollow is None else hollow.get(dataset, {})
        if overall:
            for loss in ran[dataset].index.unique("loss"):
                _curve(axes[0], decays, table.loc[loss]["ndcg"], loss, empty.get(loss, ()))
                _ring(axes[0], decays, table.loc[loss]["ndcg"]["mean"], marked.get(loss))
            if beside is not None and dataset in beside[1]:
                other = beside[1][dataset]["ndcg", "mean"]
                for loss in other.index.unique("loss"):
                    axes[0].plot(range(len(decays)), other[loss].reindex(decays), label=beside[0], **_BESIDE)
        for axis, loss in zip(axes[int(overall) :], panels, strict=True):
            for group in GROUPS if loss in table.index.unique("loss") else ():
                _curve(axis, decays, table.loc[loss][group], group, empty.get(loss, ()))
                _ring(axis, decays, table.loc[loss][group]["mean"], marked.get(loss))
        for axis in axes:
            if not any(np.isfinite(np.asarray(line.get_ydata(), float)).any() for line in axis.lines):
                axis.text(0.5, 0.5, "not run", transform=axis.transAxes, ha="center", color="#777777")
            axis.set_xticks(range(len(decays)), [_decay(decay) for decay in decays])
            if len(decays) > 4:  # upright labels would overlap
                axis.tick_params(axis="x", rotation=60, labelsize="small")
        axes[0].set_ylabel(f"{dataset_name(dataset)}\ntest NDCG@20")
    for axis, title in zip(
        grid[0], ["all items"] * overall + [f"{loss}, by popularity" for loss in panels], strict=True
    ):
        axis.set(title=title)
    for axis in grid[-1]:
        axis.set(xlabel="weight decay λ")
    _from_zero(figure.axes)
    _one_legend(figure, above=True)
    return figure


def _ring(axis: Axes, values: list[float], curve: pd.Series, chosen: float | None) -> None:
    """A ring around the point of a curve that validation chooses."""
    if chosen in values and chosen in curve.index:
        axis.plot(values.index(chosen), curve[chosen], "o", markersize=11, markerfacecolor="none", color="#000000")


def _one_legend(figure: Figure, above: bool = False) -> None:
    """One legend for all panels, since a group looks the same in each; inside a panel it would hide points."""
    drawn = {str(line.get_label()): line for axis in figure.axes for line in axis.lines}
    named = {label: line for label, line in drawn.items() if not label.startswith("_")}
    figure.legend(
        named.values(),
        named.keys(),
        loc="outside upper center" if above else "outside lower center",
        ncols=7,
        fontsize="small",
        handlelength=1.2,
    )


#: The look of a curve to compare with.
_BESIDE: dict[str, Any] = {"color": "#777777", "linestyle": "--", "marker": ".", "linewidth": 1.2}
#: How a gap in a curve is named.
_NOT_RUN: dict[str, Any] = {
    "textcoords": "offset points",
    "rotation": 90,
    "ha": "center",
    "va": "bottom",
    "color": "#777777",
    "fontsize": "x-small",
}


def alpha_curves(tables: Mapping[str, pd.DataFrame], tuned: Mapping[str, Any]) -> Figure:
    """The paper's Figure 5: NDCG@20 against PRISM's alpha, overall and by popularity group, beside tuned decay.

    Each dataset is a row of two panels that share their vertical axis.

    Args:
        tables: for each dataset, by its name, the means over seeds by loss and ``alpha`` of one loss, from
            :func:`prismbook.tables.analysis.over_seeds`.
        tuned: for each dataset, the run with tuned weight decay, which dashed lines show, as a row of
            :func:`prismbook.tables.analysis.tidy`; None draws no such lines.
    """
    size = (6.4, 0.7 + 2.4 * len(tables))
    figure, grid = plt.subplots(len(tables), 2, figsize=size, sharey="row", squeeze=False)
    for (overall, by_group), (dataset, table) in zip(grid, tables.items(), strict=True):
        [loss] = table.index.unique("loss")
        alphas = sorted(table.index.unique("alpha"))
        _curve(overall, alphas, table.loc[loss]["ndcg"], loss)
        for group in GROUPS:
            _curve(by_group, alphas, table.loc[loss][group], group)
        best = tuned.get(dataset)
        if best is not None:
            label = "tuned decay"
            overall.axhline(best.ndcg, color=LOOKS[best.loss][0], linestyle="--", label=label)
            for group in GROUPS:
                by_group.axhline(getattr(best, group), color=LOOKS[group][0], linestyle="--", linewidth=1)
        for axis in (overall, by_group):
            axis.set_xticks(range(len(alphas)), [f"{alpha:g}" for alpha in alphas])
            for place, alpha in enumerate(alphas):
                if np.isnan(table.loc[loss]["ndcg", "mean"].get(alpha, np.nan)):
                    axis.annotate("not run", (place, 0), (0, 4), **_NOT_RUN)
        overall.set_ylabel(f"{dataset_name(dataset)}\ntest NDCG@20")
    for axis, title in zip(grid[0], ("all items", "by popularity"), strict=True):
        axis.set(title=title)
    for axis in grid[-1]:
        axis.set(xlabel="strength of PRISM, alpha")
    _from_zero(figure.axes)
    _one_legend(figure)
    return figure


def _curve(axis: Axes, values: list[float], measured: pd.DataFrame, name: str, hollow: Sequence[float] = ()) -> None:
    """The mean over seeds, with a band of one standard deviation. A missing run leaves a gap; some marks are hollow."""
    colour, marker = LOOKS[name]
    measured = measured.reindex(values)
    x = range(len(values))
    axis.plot(x, measured["mean"], color=colour, marker=marker, label=name)
    if measured["std"].notna().any():
        low, high = measured["mean"] - measured["std"], measured["mean"] + measured["std"]
        axis.fill_between(x, low, high, color=colour, alpha=0.2)
    if places := [place for place, value in enumerate(values) if value in hollow]:
        at = measured["mean"].iloc[places]
        axis.plot(places, at, linestyle="", marker=marker, color=colour, markerfacecolor="white", label="_hollow")


def _from_zero(axes: Iterable[Axes]) -> None:
    """Let the vertical axes begin at 0. Call it last: a limit that is set does not grow with later curves."""
    for axis in axes:
        axis.autoscale(axis="y")
        axis.set_ylim(bottom=0)


def _decay(decay: float) -> str:
    return "0" if decay == 0 else f"{decay:.0e}"


def norms_against_popularity(
    rows: Mapping[str, Mapping[str, Mapping[str, Record]]],
    table: str = "item",
    reference: bool = True,
    share: bool = False,
) -> Figure:
    """The paper's Figures 2 and 3: mean norm of the rows per popularity bin, a row of panels per dataset.

    Args:
        rows: for each dataset, by its name, its panels by title (a loss), and in each the record of each setting, by
            the setting's name, e.g. ``"no decay"``. All datasets have the same panels.
        table: the table whose rows are shown, ``"item"`` or ``"user"``.
        reference: whether a dotted line shows ``log(d + 2)``, times a factor, where a curve has a correlation with it
            whose square is above one half. For a loss of angles a line of dashes and dots then shows ``d^(1/6)``, the
            law of lengths.
        share: whether the panels of a dataset have one scale of lengths, so that they can be compared.
    """
    titles = list(dict.fromkeys(title for panels in rows.values() for title in panels))
    size = (3.6 * len(titles), 0.4 + 2.9 * len(rows))
    sharing: Any = "row" if share else False
    figure, grid = plt.subplots(len(rows), len(titles), figsize=size, squeeze=False, sharey=sharing)
    for axes, (dataset, panels) in zip(grid, rows.items(), strict=True):
        for axis, title in zip(axes, titles, strict=True):
            _norms(axis, panels.get(title, {}), table, reference)
        for axis in axes:  # room for the legend above the curves
            tops = [each.dataLim.y1 for each in (axes if share else [axis]) if each.lines]
            axis.set_ylim(0, 1.3 * max(tops, default=1.0))
        axes[0].set_ylabel(f"{dataset_name(dataset)}\nlength of the row")
    for axis, title in zip(grid[0], titles, strict=True):
        axis.set(title=title)
    for axis in grid[-1]:
        axis.set(xlabel=f"training interactions of the {table}")
    return figure


def _norms(axis: Axes, settings: Mapping[str, Record], table: str, reference: bool) -> None:
    """The curves of one panel, each with its correlation with log popularity."""
    closest: tuple[float, Any, Any] = (0.0, None, None)  # a correlation, its bins, and where they are drawn
    for (name, record), colour in zip(
        settings.items(), STEPS(np.linspace(0.15, 1, max(len(settings), 1))), strict=True
    ):
        bins = pd.DataFrame(record["norms"][table]["bins"])
        x = np.sqrt((bins["from"] + 1) * (bins["to"] + 1)) - 1 + (bins["from"] == 0) * 0.5
        correlation = record["norms"][table]["pearson_log"]
        gone = never_learned(record["best_epoch"], record["stopped_by"], float(bins["mean"].max()))
        if gone:
            correlation = None  # of a start, or of rows that have shrunk to nothing
        said = " (collapsed)" if gone else "" if correlation is None else f" (corr. {correlation:.2f})"
        label = f"{name}{said}"
        axis.plot(x, bins["mean"], marker="o", color=colour, label=label)
        axis.fill_between(x, bins["mean"] - bins["std"], bins["mean"] + bins["std"], color=colour, alpha=0.15)
        if correlation is not None and correlation > closest[0]:
            closest, loss = (correlation, bins, x), record["config"]["loss"]
    _, bins, x = closest
    if reference and closest[0] ** 2 > 0.5:
        met = bins["from"] > 0
        d = x.where(met, 0)
        shapes = {"log(d + 2)": (":", np.log(d + 2))}
        if loss != "bpr":
            shapes["d^(1/6)"] = ("-.", (d ** (1 / 6))[met])  # the law is about rows that are met
        for name, (style, profile) in shapes.items():
            factor = (profile * bins["mean"]).sum() / (profile**2).sum()
            label = f"{name}, scaled"
            axis.plot(x[profile.index], factor * profile, color="#000000", linestyle=style, linewidth=1.2, label=label)
    axis.set(xscale="log")
    if settings:
        axis.legend(fontsize="x-small", handlelength=1.2)


def two_scopes(runs: Mapping[str, pd.DataFrame]) -> Figure:
    """The paper's Figure 3: quality, and popularity in lengths, under decay of whole tables and of the batch's rows.

    Args:
        runs: for each dataset, by its name, a table of :func:`prismbook.tables.analysis.tidy`, one seed. Its runs
            without decay are the first point of both curves.
    """
    measures = {"ndcg": "test NDCG@20", "norm_correlation": "correlation of length with log popularity"}
    looks = {"table": ("whole tables", "#009E73", "^"), "batch": ("batch's rows", "#CC79A7", "v")}
    figure, grid = plt.subplots(len(runs), 2, figsize=(7.2, 0.6 + 2.4 * len(runs)), squeeze=False)
    for axes, (dataset, table) in zip(grid, runs.items(), strict=True):
        decays = sorted(table["weight_decay"].unique())
        for axis, measure in zip(axes, measures, strict=True):
            for scope, (label, colour, marker) in looks.items():
                own = table[(table["decay_scope"] == scope) | (table["weight_decay"] == 0)]
                curve = own.groupby("weight_decay")[measure].mean().reindex(decays)
                axis.plot(range(len(decays)), curve, color=colour, marker=marker, label=label)
            axis.set_xticks(range(len(decays)), [_decay(decay) for decay in decays])
            axis.set_ylim(bottom=min(0, axis.get_ylim()[0]))
        axes[0].set_ylabel(f"{dataset_name(dataset)}\n{measures['ndcg']}")
    for axis, title in zip(grid[0], ("quality", measures["norm_correlation"]), strict=True):
        axis.set_title(title, fontsize="medium")
    for axis in grid[-1]:
        axis.set(xlabel="weight decay λ")
    _one_legend(figure)
    return figure


def validation_curves(
    rows: Mapping[str, Mapping[str, Record]], rankings: Sequence[str] = ("dot",), log_epochs: bool = False
) -> Figure:
    """The paper's Figures 4 and 6: validation NDCG@20 against epochs, one panel per ranking and one curve per setting.

    Args:
        rows: for each dataset, by its name, the record of each setting, by the setting's name. A setting whose name
            begins with "decay" is drawn black and dashed.
        rankings: ``"dot"``, ``"cosine"``, or both, one panel per ranking.
        log_epochs: whether the epochs stand on a logarithmic axis.
    """
    first = 1 if log_epochs else 0  # on a logarithmic axis is no 0
    names = dict.fromkeys(name for records in rows.values() for name in records if not name.startswith("decay"))
    colours = dict(zip(names, STEPS(np.linspace(0.1, 1, max(len(names), 1))), strict=False))  # the same on each dataset
    size = (3.4 + 2.6 * len(rankings), 0.4 + 2.7 * len(rows))
    figure, grid = plt.subplots(len(rows), len(rankings), figsize=size, sharey="row", squeeze=False)
    for axes, (dataset, records) in zip(grid, rows.items(), strict=True):
        for axis, ranking in zip(axes, rankings, strict=True):
            for name, record in records.items():
                curve, best = record["history"][f"validation_{ranking}"], record["best_epoch"]
                style = (
                    {"color": "#000000", "linestyle": "--"} if name.startswith("decay") else {"color": colours[name]}
                )
                axis.plot(range(first, len(curve) + first), curve, label=name, **style)
                axis.plot(best + first, curve[best], marker="o", color=style["color"])
            if log_epochs:
                axis.set(xscale="log")
        axes[0].set_ylabel(f"{dataset_name(dataset)}\nvalidation NDCG@20")
        axes[-1].legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize="small")
    for axis, ranking in zip(grid[0], rankings, strict=True):
        axis.set(title={"dot": "ranked by dot product", "cosine": "ranked by cosine"}[ranking])
    for axis in grid[-1]:
        axis.set(xlabel="epochs trained (epoch 0 of the tables is 1 here)" if log_epochs else "epoch")
    _from_zero(figure.axes)
    return figure


def fairness(tables: Mapping[str, tuple[pd.DataFrame, pd.DataFrame]]) -> Figure:
    """The paper's Figure 9: overall NDCG@20 against the unpopular / popular ratio, a point per run.

    Args:
        tables: for each dataset, by its name, two tables of :func:`prismbook.tables.analysis.tidy`. The first has one
            run per method; a star marks PRISM. The second has runs of one loss, one per weight decay, which a thin line
            joins in the order of their decays.
    """
    columns = min(len(tables), 2)
    rows = -(-len(tables) // columns)
    size = (4.2 * columns, 0.6 + 3.2 * rows)
    figure, grid = plt.subplots(rows, columns, figsize=size, squeeze=False)
    axes = grid.flatten()
    for spare in axes[len(tables) :]:
        spare.remove()
    for axis, (dataset, (runs, decays)) in zip(axes, tables.items(), strict=False):
        along = decays[decays["ndcg"].notna()].sort_values("weight_decay")
        if len(along):
            style = {"color": LOOKS[along["loss"].iloc[0]][0], "linewidth": 0.8, "marker": ".", "markersize": 5}
            axis.plot(along["ratio"], along["ndcg"], label=f"{along['loss'].iloc[0]} at each decay", **style)
            # below the weak end and left of the strong one, which leaves the star of PRISM free
            for run, offset, side in ((along.iloc[0], (0, -14), "center"), (along.iloc[-1], (-5, -3), "right")):
                axis.annotate(
                    f"λ = {run['weight_decay']:g}",
                    (run["ratio"], run["ndcg"]),
                    xytext=offset,
                    textcoords="offset points",
                    fontsize="x-small",
                    ha=side,
                )
        finished: list[Any] = list(runs[runs["ndcg"].notna()].itertuples())
        for run in finished:
            colour, marker = LOOKS[run.loss]
            prism = run.init == "prism"
            # the star is the largest, and lies below the others so that it hides none of them
            look = {"marker": "*", "markersize": 17} if prism else {"marker": marker, "markersize": 8, "zorder": 3}
            name = f"{run.loss} with PRISM" if prism else run.loss
            axis.plot(run.ratio, run.ndcg, color=colour, markeredgecolor="white", linestyle="", label=name, **look)
        axis.margins(x=0.18)  # room for the label at the left
        axis.set(xscale="log", title=dataset_name(dataset), ylim=(0, None))
        axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
        axis.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.xaxis.set_minor_formatter(NullFormatter())
    figure.supxlabel("unpopular / popular NDCG@20   (fairer →)", fontsize="medium")
    figure.supylabel("test NDCG@20   (better →)", fontsize="medium")
    _one_legend(figure, above=True)  # below is the label of the axes
    return figure


def differences(tables: Mapping[str, Mapping[str, Any]], margin: float = MARGIN) -> Figure:
    """PRISM's change from tuned weight decay with 95 % intervals, and the paper's, a panel per dataset.

    Args:
        tables: for each dataset, by its name, the rows of its panel, by their names, each ``{"ours", "low", "high",
            "paper", "decides"}``: our change, the ends of its interval, and the paper's change. Each is a share, or
            None where it is not known. The last is whether our runs decide anything; where not, a cross stands for the
            point.
        margin: the share up to which a change counts as none, shown as a band.
    """
    labels = list(dict.fromkeys(name for rows in tables.values() for name in rows))
    size = (1.6 + 2.4 * max(len(tables), 2), 1.0 + 0.42 * len(labels))
    figure, [axes] = plt.subplots(1, len(tables), figsize=size, sharex=True, sharey=True, squeeze=False)
    for axis, (dataset, rows) in zip(axes, tables.items(), strict=True):
        axis.axvspan(-100 * margin, 100 * margin, color="#777777", alpha=0.15, linewidth=0)
        axis.axvline(0, color="#777777", linewidth=1)
        for name, row in rows.items():
            place = labels.index(name)
            if row["ours"] is not None:
                marker, label = "o", "ours, with its 95 % interval"
                if not row.get("decides", True):  # no hollow point: that is what a provisional verdict has elsewhere
                    marker, label = "x", "ours, which decides nothing"
                axis.plot(100 * row["ours"], place, marker, color="#0072B2", label=label, zorder=3)
                if row["low"] is not None:
                    axis.plot([100 * row["low"], 100 * row["high"]], [place] * 2, color="#0072B2")
            if row["paper"] is not None:
                axis.plot(
                    100 * row["paper"], place, "|", color="black", markersize=11, markeredgewidth=2, label="the paper"
                )
        axis.set(title=dataset_name(dataset), ylim=(len(labels) - 0.5, -0.5))
    axes[0].set_yticks(range(len(labels)), labels)
    figure.supxlabel("PRISM's change, in % of tuned decay's test NDCG@20   (better →)", fontsize="medium")
    _one_legend(figure, above=True)  # below is the label of the axes
    return figure


#: The panels of :func:`paper_and_ours`: the title of the axis, its ticks as shares, and the side that is better.
PANELS = {
    "linear": ("change of NDCG@20, in %", (-0.1, -0.05, 0, 0.05, 0.1), "better →"),
    "nonlinear": ("change of NDCG@20, in %", (-0.5, -0.25, 0, 0.25, 0.5), "better →"),
    "epochs": ("change of the number of epochs, in %", (-0.75, -0.5, 0, 1, 3), "← better"),
    "fairness": ("change of the unpopular / popular ratio, in %", (-0.5, -0.25, 0, 0.5, 1), "better →"),
}
#: Before the name of a row, below the line that has its dataset and verdict. A browser drops plain spaces in SVG.
INDENT = 5 * "\N{NO-BREAK SPACE}"


def paper_and_ours(panel: str, rows: Sequence[Mapping[str, Any]], margin: float) -> Figure:
    """One panel of the claims with a number: the paper's change from tuned decay to PRISM, and ours with its interval.

    Quality has a linear axis. Epochs and fairness differ by factors, and have an axis of factors.

    Args:
        panel: what is measured, one of :data:`PANELS`.
        rows: ``{"group", "part", "label", "verdict", "provisional", "paper", "ours", "low", "high"}``. The four numbers
            are shares. Rows of one group stand together, and in it rows of one part, below the part's own line. An
            empty ``verdict`` is that of a note. The marker of a provisional verdict is hollow, that of an open one a
            cross.
        margin: the share up to which a change counts as none, shown as a band.
    """
    title, shares, better = PANELS[panel]
    parts = dict.fromkeys((row["group"], row["part"]) for row in rows)
    groups = dict.fromkeys(group for group, _ in parts)
    figure, axis = plt.subplots(figsize=(5.2, 1.0 + 0.2 * (len(rows) + len(parts) + len(groups))))
    factors = panel in ("epochs", "fairness")
    scaled = (lambda share: float(np.log1p(max(share, -0.95)))) if factors else float
    low = scaled(-margin / (1 + margin)) if factors else -margin
    axis.axvspan(low, scaled(margin), color="#777777", alpha=0.15, linewidth=0, label="counts as none")
    axis.axvline(0, color="#777777", linewidth=1)
    lines: list[tuple[str, bool]] = []  # what stands at the left from top to bottom, and whether in bold
    for group in groups:
        lines.append((group, True))
        for part in (part for of, part in parts if of == group):
            lines.append((part, False))
            for row in rows:
                if (row["group"], row["part"]) != (group, part):
                    continue
                place = len(lines)
                lines.append((f"{INDENT}{row['label']}", False))
                # one look for all: the verdict is of a dataset, in words above, and not of the single loss
                colour, marker = (
                    ("#0072B2", "x" if row["verdict"] == "open" else "o") if row["verdict"] else ("#777777", ".")
                )
                axis.plot([scaled(row["low"]), scaled(row["high"])], [place] * 2, color=colour)
                face = "white" if row["provisional"] else colour
                axis.plot(scaled(row["ours"]), place, marker, color=colour, markerfacecolor=face, markersize=7)
                axis.plot(scaled(row["paper"]), place, "|", color="black", markersize=10, markeredgewidth=2)
    axis.set_xticks([scaled(share) for share in shares], [f"{100 * share:+g}" if share else "0" for share in shares])
    axis.set(xlabel=title, ylim=(len(lines) - 0.4, -0.6))
    axis.set_yticks(range(len(lines)), [text for text, _ in lines], fontsize="small", ha="left")
    for label, (_, bold) in zip(axis.get_yticklabels(), lines, strict=True):
        label.set_fontweight("bold" if bold else "normal")
    widest = max(label.get_window_extent().width for label in axis.get_yticklabels()) * 72 / figure.dpi
    axis.tick_params(axis="y", length=0, pad=max(165, widest + 6))  # points, from the axis to where the labels begin
    axis.grid(visible=False, axis="y")
    right = better.startswith("better")
    end, side = (1.0, "right") if right else (0.0, "left")
    axis.text(end, 1.0, better, transform=axis.transAxes, ha=side, va="bottom", weight="bold", fontsize="small")
    return figure
