"""The figures of the page on the law of lengths, in the look of :mod:`prismbook.pages.figures`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from prismbook.runs.records import Record
from prismbook.tables.labels import dataset_name
from prismbook.tables.lengths import training_name

#: Trainings by colour and marker, the same in each figure; by their lightness colours differ for every kind of vision.
TRAININGS = {
    "plain SGD, no decay": ("#0072B2", "o"),
    "Adam, no decay": ("#E69F00", "s"),
    "Adam, decay 1e-05": ("#009E73", "^"),
    "PRISM": ("#D55E00", "*"),
    "row-wise Adagrad, no decay": ("#CC79A7", "D"),
    "SGD with momentum, no decay": ("#56B4E9", "P"),
    "lazy Adam (sparse_adam), no decay": ("#000000", "X"),
    "AdamW, decay 0.3": ("#882255", "<"),
    "Adam, decay 0.0001": ("#999933", ">"),
    "plain SGD, decay 1e-05": ("#332288", "v"),
    "Adam, decay 1e-06": ("#44AA99", "d"),
    "AdamW, decay 0.1": ("#AA4499", "p"),
    "PRISM by plain SGD": ("#661100", "h"),
    "Adam, decay 1e-07": ("#6699CC", "8"),
}
#: Datasets by colour and marker; the colours differ for every kind of colour vision.
DATASETS = {
    "movielens1m": ("#0072B2", "o"),
    "movielens1m-all": ("#56B4E9", "D"),
    "gowalla": ("#D55E00", "s"),
    "yelp2018": ("#009E73", "^"),
}


def simulated_and_predicted(
    chance: np.ndarray, found: Mapping[str, np.ndarray], laws: Mapping[str, np.ndarray]
) -> Figure:
    """Lengths of simulated rows against how often they are met, and the law's lengths for coupled Adam.

    Args:
        chance: of a gradient in a step, for each kind of row.
        found: lengths in the end, by optimiser.
        laws: the lengths that the law predicts, by the optimiser that it predicts them for. The last word of its name
            stands at the line.
    """
    figure, axis = plt.subplots(figsize=(6.4, 4.4))
    for (name, lengths), marker in zip(found.items(), "osv^D", strict=False):
        axis.plot(chance, lengths, marker, linestyle="", label=name)
    for at, (name, law) in enumerate(laws.items()):
        axis.plot(chance, law, color="black", linewidth=1, label="" if at else "the law, nothing fitted")
        end: dict[str, Any] = {"xytext": (6, 0), "textcoords": "offset points", "va": "center", "fontsize": "small"}
        axis.annotate(name.split()[-1], (chance[-1], law[-1]), **end)
    axis.set(xscale="log", yscale="log", xlabel="chance of a gradient in a step", ylabel="length")
    _legend(figure, columns=2)  # below: the points fill the panel, and a phone has no room beside it
    return figure


def all_on_one_line(profiles: pd.DataFrame, constant: float) -> Figure:
    """Recorded lengths against the law's, every class of rows of every profile, with the line of equality.

    Args:
        profiles: of :func:`prismbook.tables.law.profiles`.
        constant: the one factor of the law that is fitted.
    """
    figure, axes = plt.subplots(1, 2, sharey=True)
    for axis, side in zip(axes, ("item", "user"), strict=True):
        for dataset, (colour, marker) in DATASETS.items():
            shown = profiles[(profiles["dataset"] == dataset) & (profiles["side"] == side)]
            axis.plot(constant * shown["law"], shown["length"], marker, color=colour, label=dataset_name(dataset))
            axis.lines[-1].set(markersize=3, alpha=0.6, zorder=2 + 1 / (1 + len(shown)))  # few points on top
        ends = np.array([profiles["length"].min(), profiles["length"].max()])
        axis.plot(ends, ends, color="black", linewidth=1)
        axis.set(xscale="log", yscale="log", xlabel="length by the law", title=f"{side}s")
    axes[0].set_ylabel("recorded mean length")
    axes[0].legend()
    return figure


def lengths_by_optimiser(tables: Mapping[str, Mapping[str, Record]]) -> Figure:
    """Mean length of items against popularity, a panel per dataset, with slopes of the law to compare with.

    Args:
        tables: stored runs on each dataset, by its name, each by the name of its optimiser.
    """
    figure, [axes] = plt.subplots(1, len(tables), figsize=(0.6 + 3.0 * len(tables), 3.6), sharey=True, squeeze=False)
    for axis, (dataset, records) in zip(axes, tables.items(), strict=True):
        for name, record in records.items():
            parts = [part for part in record["norms"]["item"]["bins"] if part["from"] >= 1]
            d = [np.sqrt(part["from"] * part["to"]) for part in parts]
            colour, marker = _look(name)
            axis.plot(d, [part["mean"] for part in parts], marker=marker, color=colour, label=name)
        ends = np.array([4.0, 1000.0])
        for exponent, text in ((1 / 4, "d^(1/4)"), (1 / 6, "d^(1/6)")):
            axis.plot(ends, 0.04 * ends**exponent, color="black", linestyle=":", linewidth=1)  # below all curves
            axis.annotate(text, (ends[1], 0.04 * ends[1] ** exponent), fontsize="x-small")
        axis.set(xscale="log", yscale="log", xlabel="popularity d of the item", title=dataset_name(dataset))
    axes[0].set_ylabel("mean length")
    _legend(figure, columns=3)
    return figure


#: The ring around a point that validation chooses, as in the figures of :mod:`prismbook.pages.figures`.
_RING: dict[str, Any] = {
    "marker": "o",
    "markersize": 10,
    "markerfacecolor": "none",
    "color": "#000000",
    "linestyle": "",
}


#: How a word stands below a point.
_WORD: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "va": "top", "fontsize": "small"}
#: What a line keeps in a second panel.
_LOOK = ("color", "marker", "markersize", "markerfacecolor", "linestyle", "linewidth", "label")


def frontier(tables: Mapping[str, tuple[Mapping[str, Sequence[Record]], Sequence[Record]]]) -> Figure:
    """Quality against fairness, a panel per dataset: one curve per training over the exponents of lengths at scoring.

    A curve is the mean over the runs of a training. A ring marks the exponent that validation chooses for most of them.
    The panel at the right is the part around the rings, enlarged.

    Args:
        tables: for each dataset, by its name, two parts. The first has the stored runs that keep their scores at each
            exponent, by the name of their training. The second has stored runs, of which those with PRISM or with
            Adam's decay are grey points.
    """
    figure, axes = plt.subplots(len(tables), 2, figsize=(8.0, 1.0 + 3.4 * len(tables)), squeeze=False)
    for (axis, close), (dataset, (curves, others)) in zip(axes, tables.items(), strict=True):
        for record in others:
            dot, name = record["test"]["dot"], training_name(record["config"])
            if name == "PRISM" or name.startswith("Adam, decay"):
                marker, size, name = ("*", 10, name) if name == "PRISM" else ("o", 8, "Adam with decay")
                axis.plot(dot["unpopular"], dot["ndcg"], marker, color="#777777", markersize=size, label=name)
        drawn, rings = [], []
        for name, records in curves.items():
            colour, marker = _look(name.removesuffix(", by d^b"))
            look: dict[str, Any] = {"color": colour, "linestyle": "--" if name.endswith(", by d^b") else "-"}
            exponents = records[0]["lengths"]["exponents"]
            points = [_mean([record["lengths"]["test"][at] for record in records]) for at in range(len(exponents))]
            own = _mean([record["test"]["dot"] for record in records])
            along = [m["unpopular"] for m in points], [m["ndcg"] for m in points]
            axis.plot(*along, linewidth=1, marker=marker, markersize=3, **look)
            axis.plot(own["unpopular"], own["ndcg"], marker=marker, label=name, **look)
            most = Counter(record["lengths"]["chosen"] for record in records).most_common(1)[0][0]
            drawn.append((exponents, points))
            rings.append(points[exponents.index(most)])
        for chosen in rings:
            axis.plot(chosen["unpopular"], chosen["ndcg"], label="the b that validation chooses", **_RING)
        for line in axis.lines:
            close.plot(line.get_xdata(), line.get_ydata(), **{name: plt.getp(line, name) for name in _LOOK})
        for measure, set_limits, least in (("unpopular", close.set_xlim, 0.3), ("ndcg", close.set_ylim, 0.03)):
            values = [ring[measure] for ring in rings]
            room = max(0.25 * (max(values) - min(values)), least * max(values))
            set_limits(min(values) - room, max(values) + room)
        for end, exponent in ((0, min(drawn[0][0])), (-1, max(drawn[0][0]))):
            ends = [points[end] for _, points in drawn]
            below = np.mean([m["unpopular"] for m in ends]), min(m["ndcg"] for m in ends)
            axis.annotate(f"b = {exponent:g}", below, (0, -6), **_WORD)
        axis.margins(y=0.15)  # room for the two words
        axis.set(ylabel="NDCG@20   (better →)", title=dataset_name(dataset))
        close.set(title="around the rings, enlarged")
        for each_axis in (axis, close):
            each_axis.set_xlabel("NDCG@20 from unpopular items   (fairer →)", fontsize="small")
    _legend(figure, columns=2)
    return figure


def _look(name: str) -> tuple[str, str]:
    """The colour and the marker of a training; one that was not foreseen is grey."""
    return TRAININGS.get(name, ("#777777", "."))


def _mean(points: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {measure: float(np.mean([point[measure] for point in points])) for measure in ("ndcg", "unpopular")}


def _legend(figure: Figure, columns: int) -> None:
    """One legend for all panels, with each name once."""
    drawn = {str(line.get_label()): line for axis in figure.axes for line in axis.lines}
    named = {label: line for label, line in drawn.items() if not label.startswith("_")}
    figure.legend(
        named.values(), named.keys(), loc="outside lower center", ncols=columns, fontsize="small", handlelength=3
    )
