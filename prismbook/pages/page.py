"""What every page of results does alike: the look of its figures, a line on the data, verdicts, folded provenance."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import HTML, Markdown, display
from matplotlib_inline.backend_inline import set_matplotlib_formats

from prismbook.claims.statements import Statement, verdict_text
from prismbook.pages import figures, provenance
from prismbook.tables.labels import dataset_name
from prismlib import datasets


def begin(dataset: str | None = None) -> None:
    """Figures as SVG in the book's style; then one line on the dataset, if there is one."""
    # without the date, so that the same figure is the same file
    set_matplotlib_formats("svg", metadata={"Date": None}, bbox_inches="tight")  # type: ignore[no-untyped-call]
    plt.style.use(figures.STYLE)
    if dataset is not None:
        say(about(dataset))


def about(dataset: str) -> str:
    """One line on a dataset, in Markdown.

    >>> about("synthetic").partition(";")[0]
    'Dataset **synthetic**: **synthetic data**, generated, not a dataset of the paper'
    """
    card = datasets.identity_card(dataset)
    kind = "real interactions"
    if dataset == "synthetic":
        kind = "**synthetic data**, generated, not a dataset of the paper"
    return (
        f"Dataset **{dataset_name(dataset)}**: {kind}; {card.users:,} users, {card.items:,} items,"
        f" {card.interactions:,} interactions, split 80/10/10."
    )


def say(text: str) -> None:
    """Show Markdown."""
    display(Markdown(text))  # type: ignore[no-untyped-call]


def html(text: str) -> None:
    """Show HTML."""
    display(HTML(text))  # type: ignore[no-untyped-call]


def verdict(claim: str, dataset: str, statements: Sequence[Statement]) -> None:
    """Show the verdict on a claim, computed from its statements."""
    say(verdict_text(claim, dataset_name(dataset), statements, datasets.identity_card(dataset).synthetic))


def origin(runs: pd.DataFrame, redo: str) -> None:
    """Show, folded, the runs behind a figure and the command that makes it again."""
    html(provenance.provenance(runs, redo))


def has_runs(runs: pd.DataFrame, redo: str) -> bool:
    """Whether a figure of some runs has anything to show; where it has not, one line says what to run instead.

    Args:
        runs: :func:`prismbook.tables.analysis.tidy`.
        redo: the command that makes the runs, see :func:`prismbook.pages.provenance.command`.
    """
    if runs["run"].notna().any():
        return True
    say(f"*No run of this figure is stored, so there is none. This makes its runs:* `{redo}`")
    return False
