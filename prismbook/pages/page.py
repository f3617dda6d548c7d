"""What all pages of results share: the look of figures, a line on the dataset, verdicts, and folded provenance."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import yaml  # type: ignore[import-untyped]
from IPython.display import HTML, Markdown, display
from matplotlib_inline.backend_inline import set_matplotlib_formats

from prismbook.claims.statements import Statement, verdict_text
from prismbook.pages import figures, provenance
from prismbook.runs.records import default_results
from prismbook.tables.labels import dataset_name
from prismlib import datasets


def source_tree() -> Path:
    """The folder of the project, in which its results are, from whatever folder a notebook is run."""
    return default_results().parent


def pages() -> set[str]:
    """The names of the book's pages, from ``book/pages.yml``; none where the source tree has no such file.

    >>> "ledger" in pages()
    True
    """
    listed = source_tree() / "book/pages.yml"
    if not listed.exists():
        return set()
    return {Path(entry["output"]).stem for entry in yaml.safe_load(listed.read_text(encoding="utf-8"))["pages"]}


def begin(dataset: str | None = None) -> None:
    """Set figures to SVG in the book's style and tables to whole cells, then show one line on the dataset.

    Args:
        dataset: the dataset's name; None shows no line.
    """
    # without the date, the same figure is the same file
    set_matplotlib_formats("svg", metadata={"Date": None}, bbox_inches="tight")  # type: ignore[no-untyped-call]
    plt.style.use(figures.STYLE)
    pd.set_option("display.max_colwidth", None)  # pandas cuts a cell's text at 50 characters otherwise
    if dataset is not None:
        say(about(dataset))


def about(dataset: str) -> str:
    """One line on a dataset, in Markdown. The dataset's card says whether its interactions are real or generated.

    Args:
        dataset: the name of a published dataset or of your own.

    >>> about("synthetic").partition(";")[0]
    'Dataset **synthetic**: **synthetic data**, generated, not a dataset of the paper'
    """
    card = datasets.identity_card(dataset)
    kind = "**synthetic data**, generated, not a dataset of the paper" if card.synthetic else "real interactions"
    return (
        f"Dataset **{dataset_name(dataset)}**: {kind}; {card.users:,} users, {card.items:,} items,"
        f" {card.interactions:,} interactions, split 80/10/10."
    )


def say(text: str) -> None:
    """Show Markdown.

    Args:
        text: the Markdown.
    """
    display(Markdown(text))  # type: ignore[no-untyped-call]


def html(text: str) -> None:
    """Show HTML.

    Args:
        text: the HTML.
    """
    display(HTML(text))  # type: ignore[no-untyped-call]


def verdict(claim: str, dataset: str, statements: Sequence[Statement]) -> None:
    """Show the verdict on a claim, computed from its statements. The verdict says where the data are generated.

    Args:
        claim: the claim's name, e.g. ``"C1"``.
        dataset: the dataset's name. The dataset's card says whether the data are generated.
        statements: the statements of the claim on the dataset.
    """
    say(verdict_text(claim, dataset_name(dataset), statements, datasets.identity_card(dataset).synthetic))


def origin(runs: pd.DataFrame, redo: str) -> None:
    """Show, folded, the runs behind a figure and the command that makes it again.

    Args:
        runs: one row per run, from :func:`prismbook.tables.analysis.tidy`.
        redo: the command that makes the figure again, see :func:`prismbook.pages.provenance.command`.
    """
    html(provenance.provenance(runs, redo))


def has_runs(runs: pd.DataFrame, redo: str) -> bool:
    """Whether a figure has any run to show. Where it has none, one line is shown that says what to run.

    Args:
        runs: one row per run, from :func:`prismbook.tables.analysis.tidy`.
        redo: the command that makes the runs, see :func:`prismbook.pages.provenance.command`.
    """
    if runs["run"].notna().any():
        return True
    say(f"*No run is stored for this figure. This command makes its runs:* `{redo}`")
    return False
