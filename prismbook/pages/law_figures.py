"""The figures of the page on the law of lengths, in the look of :mod:`prismbook.pages.figures`."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from prismbook.runs.records import Record
from prismbook.tables.labels import dataset_name

#: Datasets by colour and marker; the colours differ for every kind of colour vision.
DATASETS = {"movielens1m": ("#0072B2", "o"), "gowalla": ("#D55E00", "s"), "yelp2018": ("#009E73", "^")}


def simulated_and_predicted(chance: np.ndarray, found: Mapping[str, np.ndarray], law: np.ndarray) -> Figure:
    """Lengths of simulated rows against how often they are met, and the law's lengths for coupled Adam.

    Args:
        chance: of a gradient in a step, for each kind of row.
        found: lengths in the end, by optimiser.
        law: the lengths that the law predicts for coupled Adam.
    """
    figure, axis = plt.subplots()
    for (name, lengths), marker in zip(found.items(), "osv^", strict=False):
        axis.plot(chance, lengths, marker, label=name)
    axis.plot(chance, law, color="black", linewidth=1, label="the law, nothing fitted")
    axis.set(xscale="log", yscale="log", xlabel="chance of a gradient in a step", ylabel="length")
    axis.legend()
    return figure


def all_on_one_line(profiles: pd.DataFrame, constant: float) -> Figure:
    """Recorded lengths against the law's, every class of rows of every profile, with the line of equality.

    Args:
        profiles: of :func:`prismbook.tables.lengths.profiles`.
        constant: the one factor of the law that is fitted.
    """
    figure, axes = plt.subplots(1, 2, sharey=True)
    for axis, side in zip(axes, ("item", "user"), strict=True):
        for dataset, (colour, marker) in DATASETS.items():
            shown = profiles[(profiles["dataset"] == dataset) & (profiles["side"] == side)]
            axis.plot(constant * shown["law"], shown["length"], marker, color=colour, label=dataset_name(dataset))
            axis.lines[-1].set(markersize=3, alpha=0.6)
        ends = np.array([profiles["length"].min(), profiles["length"].max()])
        axis.plot(ends, ends, color="black", linewidth=1)
        axis.set(xscale="log", yscale="log", xlabel="length by the law", title=f"{side}s")
    axes[0].set_ylabel("recorded mean length")
    axes[0].legend()
    return figure


def lengths_by_optimiser(records: Mapping[str, Record]) -> Figure:
    """Mean length of items against popularity, one curve per optimiser, with slopes of the law to compare with.

    Args:
        records: stored runs on one dataset, by the name of their optimiser.
    """
    figure, axis = plt.subplots()
    for (name, record), marker in zip(records.items(), "osv^DPX", strict=False):
        parts = [part for part in record["norms"]["item"]["bins"] if part["from"] >= 1]
        d = [np.sqrt(part["from"] * part["to"]) for part in parts]
        axis.plot(d, [part["mean"] for part in parts], marker=marker, label=name)
    ends = np.array([4.0, 2000.0])
    for exponent, text in ((1 / 4, "d^(1/4)"), (1 / 6, "d^(1/6)")):
        axis.plot(ends, 0.12 * ends**exponent, color="black", linestyle=":", linewidth=1)
        axis.annotate(text, (ends[1], 0.12 * ends[1] ** exponent), fontsize="small")
    axis.set(xscale="log", yscale="log", xlabel="popularity d of the item", ylabel="mean length")
    axis.legend(fontsize="small")
    return figure


def frontier(records: Mapping[str, Record]) -> Figure:
    """Quality against fairness: one curve per training over the exponents of lengths at scoring, and its own point.

    Args:
        records: stored runs on one dataset that keep their scores at each exponent, by name.
    """
    figure, axis = plt.subplots()
    for (name, record), marker in zip(records.items(), "osv^DPX", strict=False):
        kept = record["lengths"]["test"]
        (line,) = axis.plot([m["unpopular"] for m in kept], [m["ndcg"] for m in kept], "-", linewidth=1)
        own = record["test"]["dot"]
        axis.plot(own["unpopular"], own["ndcg"], marker, color=line.get_color(), label=name)
    axis.set(xlabel="NDCG@20 from unpopular items →", ylabel="NDCG@20 →")
    axis.legend(fontsize="small")
    return figure
