"""The figures of the book's theory page, in the look of :mod:`prismbook.pages.figures`."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from prismbook.pages.figures import LOOKS
from prismlib import theory

# Rows that shrink, keep their length, and grow. Blue and orange differ for every kind of colour vision.
SHRINKS_GROWS = (LOOKS["unpopular"][0], "#f7f7f7", LOOKS["popular"][0])
#: The ranges of the theory map, as powers of ten.
DEGREE, SHARE = (0, 4), (-4, 0)


def membership_gap(num_interactions: int = 64_000, shares: tuple[float, ...] = (0.01, 0.25)) -> Figure:
    """Equation 2, and the law of draws with replacement, each divided by the exact law of a permutation.

    Args:
        num_interactions: the number of training interactions, :math:`|E|`.
        shares: the shares of interactions in a batch, :math:`|B|/|E|`, one panel per share.
    """
    degree = torch.logspace(0, np.log10(num_interactions / 2), 60, dtype=torch.float64).round()
    figure, axes = plt.subplots(1, len(shares), sharey=True, squeeze=False)
    for axis, share in zip(axes[0], shares, strict=True):
        batch = round(share * num_interactions)
        exact = theory.batch_membership_exact(degree, batch, num_interactions)
        paper = theory.batch_membership(degree, batch, num_interactions)
        swapped = 1 - (1 - degree / num_interactions) ** batch
        axis.axhline(1, color="black", linewidth=1)
        axis.plot(degree / num_interactions, paper / exact, label="paper's Equation 2")
        axis.plot(degree / num_interactions, swapped / exact, "--", label="draws with replacement")
        axis.axvline(share, color="#777777", linestyle=":", linewidth=1)
        axis.set(xscale="log", xlabel="share of the item, d / |E|", title=f"batch: {share:.0%} of the interactions")
    axes[0, 0].set_ylabel("probability / exact")
    axes[0, 0].legend(loc="lower left")
    return figure


def lengths_by_share(table: pd.DataFrame) -> Figure:
    """The part of its length that a row keeps, by how often it is in a batch, one panel per optimiser.

    Args:
        table: length after training / length before. The index is the share of batches that a row is in, ascending;
            the columns are the optimiser and the decay.
    """
    optimisers = list(dict.fromkeys(table.columns.get_level_values(0)))
    figure, axes = plt.subplots(1, len(optimisers), sharey=True, squeeze=False)
    x = range(len(table))
    for axis, optimiser in zip(axes[0], optimisers, strict=True):
        for (decay, ratios), marker in zip(table[optimiser].items(), "os^v", strict=False):
            axis.plot(x, ratios, marker=marker, label="λ = 0" if decay == 0 else f"λ = {decay:.0e}")
        axis.set_xticks(x, ["never" if share == 0 else f"{share:g}" for share in table.index])
        axis.set(xlabel="share of batches the row is in", title=optimiser)
    axes[0, 0].set(ylabel="length after / before", ylim=(0, 1.1 * float(table.to_numpy().max())))
    axes[0, 0].legend(loc="lower left")
    return figure


def one_step(decayed: float = 0.8, turn: float = 0.7) -> Figure:
    """Two rows of length 1 before and after a step of plain gradient descent: one is in the batch, the other is not.

    Decay shortens both. The loss moves the row in the batch at a right angle, so its new length is a hypotenuse. A real
    step is smaller by far than the one that is drawn.

    Args:
        decayed: what decay leaves of a length.
        turn: the length of the step that the loss makes.
    """
    figure, axis = plt.subplots(figsize=(5.2, 3.6))
    before, decay, loss, after = "#777777", LOOKS["unpopular"][0], LOOKS["popular"][0], "black"
    _arrow(axis, (0, 0), (decayed, 0), decay)
    _arrow(axis, (decayed, 0), (decayed, turn), loss)
    _arrow(axis, (0, 0), (decayed, turn), after)
    axis.plot([decayed - 0.06, decayed - 0.06, decayed], [0, 0.06, 0.06], color=before, linewidth=1)
    axis.annotate("decay shortens it", (0.02, -0.03), color=decay, va="top")
    axis.annotate("the loss turns it,\nat a right angle", (decayed + 0.04, turn / 2), color=loss, va="center")
    slope = float(np.degrees(np.arctan2(turn, decayed)))
    middle = (decayed / 2 - 0.04, turn / 2 + 0.04)
    text = f"after: {np.hypot(decayed, turn):.2f}"
    axis.annotate(text, middle, rotation=slope, rotation_mode="anchor", ha="center", va="bottom")
    axis.annotate("in the batch", (-0.06, 0), ha="right", va="center", weight="bold")
    _arrow(axis, (0, -0.28), (decayed, -0.28), decay)
    axis.annotate(f"after: {decayed:g}, decay alone", (decayed + 0.04, -0.28), va="center")
    axis.annotate("not in the batch", (-0.06, -0.28), ha="right", va="center", weight="bold")
    _arrow(axis, (0, -0.48), (1, -0.48), before)
    axis.annotate("1", (1.04, -0.48), color=before, va="center")
    axis.annotate("before, both", (-0.06, -0.48), ha="right", va="center", color=before)
    axis.set(xlim=(-0.62, 1.5), ylim=(-0.56, turn + 0.06), aspect="equal")
    axis.axis("off")
    return figure


def _arrow(axis: Axes, start: tuple[float, float], end: tuple[float, float], colour: str) -> None:
    """An arrow of which only the tip is wider than a line."""
    style = {"arrowstyle": "-|>", "color": colour, "linewidth": 2, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 14}
    axis.annotate("", end, start, arrowprops=style)


def theory_map(eta: float, decay: float, cosine: float) -> Figure:
    """The paper's Figure 7: expected change of the squared length (Equation 3) of a row of length 1.

    Args:
        eta: learning rate for the whole map.
        decay: weight decay for the whole map.
        cosine: cosine of the item with the user it meets, for the whole map.
    """
    degree = torch.logspace(*DEGREE, 200, dtype=torch.float64)
    share = torch.logspace(*SHARE, 121, dtype=torch.float64)
    one, cos = torch.ones((), dtype=torch.float64), torch.tensor(cosine, dtype=torch.float64)
    member = 1 - (1 - share[:, None]) ** degree  # Equation 2
    change = theory.expected_change(member, one, cos, eta, decay)
    most = float(change.abs().max())
    figure, axis = plt.subplots(figsize=(6.2, 3.4))
    colours = LinearSegmentedColormap.from_list("shrinks-grows", SHRINKS_GROWS)
    mesh = axis.pcolormesh(degree, share, change, cmap=colours, vmin=-most, vmax=most, rasterized=True)
    axis.contour(degree, share, change, levels=[0], colors="black")
    axis.set(xscale="log", yscale="log", xlabel="interactions of the item, d", ylabel="|B| / |E|")
    axis.set_title(f"η = {eta:g}, λ = {decay:g}, cosine {cosine:g}")
    axis.grid(False)
    figure.colorbar(mesh, label="expected change of the squared length")
    return figure


def theory_map_widget(eta: float, decay: float, cosine: float) -> str:
    """:func:`theory_map` with one slider per argument, as HTML that needs no network and no library.

    Args:
        eta: learning rate at which its slider starts.
        decay: weight decay at which its slider starts.
        cosine: cosine at which its slider starts.
    """
    settings = {
        "eta": eta,
        "decay": decay,
        "cosine": cosine,
        "colours": SHRINKS_GROWS,
        "degree": DEGREE,
        "share": SHARE,
    }
    html = Path(__file__).with_name("theory_map.html").read_text(encoding="utf-8")
    return html.replace("SETTINGS", json.dumps(settings), 1)
