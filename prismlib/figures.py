"""The book's figures. Each takes tables of :mod:`prismlib.analysis` and returns a Matplotlib figure.

The look is in the style sheet: ``plt.style.use(figures.STYLE)`` first, since parts of it act when a figure is saved.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from prismlib.metrics import GROUPS

STYLE = str(Path(__file__).with_name("prism.mplstyle"))
# a popularity group and a loss have the same colour and marker on every page
LOOKS = {
    "popular": ("#D55E00", "s"),
    "neutral": ("#777777", "D"),
    "unpopular": ("#0072B2", "v"),
    "BPR": ("#E69F00", "o"),
    "DirectAU": ("#009E73", "^"),
    "SSM": ("#56B4E9", "P"),
    "MAWU": ("#CC79A7", "X"),
}


def weight_decay_curves(table: pd.DataFrame, dataset: str) -> Figure:
    """The paper's Figure 1: NDCG@20 against weight decay, overall for each loss, and by popularity group.

    Args:
        table: :func:`prismlib.analysis.over_seeds`.
        dataset: named in the title.
    """
    losses = list(table.index.unique("loss"))
    decays = sorted(table.index.unique("weight_decay"))
    figure, axes = plt.subplots(1, 1 + len(losses), figsize=(2.7 * (1 + len(losses)), 3.3), squeeze=False)
    for loss in losses:
        _curve(axes[0, 0], decays, table.loc[loss]["ndcg"], loss)
    axes[0, 0].set(title="all items", ylabel="test NDCG@20")
    for axis, loss in zip(axes[0, 1:], losses, strict=True):
        for group in GROUPS:
            _curve(axis, decays, table.loc[loss][group], group)
        axis.set(title=f"{loss}, by popularity", ylabel="part of NDCG@20")
    for axis in axes[0]:
        axis.set_xticks(range(len(decays)), ["0" if decay == 0 else f"{decay:.0e}" for decay in decays])
        axis.set(xlabel="weight decay λ", ylim=(0, None))
        # below the axis: inside, it would hide points
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.26), ncols=3, fontsize="small", handlelength=1.2)
    figure.suptitle(dataset, fontsize="medium")
    return figure


def _curve(axis: Axes, decays: list[float], values: pd.DataFrame, name: str) -> None:
    """Mean with a band of one standard deviation over seeds; runs that are missing leave a gap."""
    colour, marker = LOOKS[name]
    values = values.reindex(decays)
    x = range(len(decays))
    axis.plot(x, values["mean"], color=colour, marker=marker, label=name)
    if values["std"].notna().any():
        axis.fill_between(x, values["mean"] - values["std"], values["mean"] + values["std"], color=colour, alpha=0.2)
