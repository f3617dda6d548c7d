"""What the RQ1 page says of its runs in a sentence."""

from __future__ import annotations

import pandas as pd

from prismbook.tables.seed_differences import gap


def widest_gaps(runs: pd.DataFrame) -> str:
    """At which decay each loss has its widest gap between popular and unpopular items, in Markdown; empty without runs.

    Args:
        runs: a table of :func:`prismbook.tables.analysis.measured`.
    """
    made = runs[runs["run"].notna()]
    gaps = made.assign(gap=gap(made)).groupby(["loss", "weight_decay"], sort=False)["gap"].mean()
    parts = []
    for loss in made["loss"].unique():
        of_loss = gaps[loss].sort_index()
        if len(of_loss) > 1:
            widest = of_loss.idxmax()
            end = "the strongest here" if widest == of_loss.index[-1] else f"beyond it {of_loss.iloc[-1]:.3f} at last"
            parts.append(f"{loss} at decay {widest:g} ({of_loss[widest]:.3f}, {end})")
    return f"The gap between popular and unpopular items is widest for {'; '.join(parts)}." if parts else ""
