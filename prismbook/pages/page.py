"""What all pages of results share: the look of figures, a line on the dataset, verdicts, and folded provenance."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import yaml  # type: ignore[import-untyped]
from IPython.display import HTML, Markdown, display
from matplotlib_inline.backend_inline import set_matplotlib_formats

from prismbook.claims.findings import FINDINGS
from prismbook.pages import figures, marks, provenance
from prismbook.plan.experiments import PAPER_DATASETS
from prismbook.runs.records import default_results
from prismbook.tables.labels import dataset_name
from prismbook.tables.rules import RULES
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


def begin(dataset: str | Sequence[str] | None = None) -> None:
    """Set figures to SVG in the book's style and tables to whole cells, then show one line on each dataset.

    Args:
        dataset: the dataset's name, or a list of names; None shows no line.
    """
    # without the date, the same figure is the same file
    set_matplotlib_formats("svg", metadata={"Date": None}, bbox_inches="tight")  # type: ignore[no-untyped-call]
    plt.style.use(figures.STYLE)
    pd.set_option("display.max_colwidth", None)  # pandas cuts a cell's text at 50 characters otherwise
    names = [dataset] if isinstance(dataset, str) else dataset or []
    if names:
        say("<br>\n".join(map(about, names)))


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
    display(Markdown(text))


def html(text: str) -> None:
    """Show HTML.

    Args:
        text: the HTML.
    """
    display(HTML(text))


def findings_text(name: str, dataset: str, results: Path | str | None = None) -> str:
    """What the stored runs say of a finding on a dataset, in Markdown; empty where none says anything.

    Args:
        name: the finding's id.
        dataset: the dataset's name.
        results: folder of the records; None is the one of :func:`~prismbook.runs.records.default_results`.

    >>> findings_text("dips", "synthetic")
    ''
    """
    [finding] = [each for each in FINDINGS if each.id == name]
    folder = default_results() if results is None else Path(results)
    if dataset not in PAPER_DATASETS or not (folder / dataset).is_dir():
        return ""
    said = [each for each in finding.evidence(dataset, folder, RULES) if each.holds is not None or each.undecided]
    return marks.marked(said)


def origin(runs: pd.DataFrame, redo: str) -> None:
    """Show, folded, the runs behind a figure and the command that makes it again.

    Args:
        runs: one row per run, from :func:`prismbook.tables.analysis.tidy`.
        redo: the command that makes the figure again, see :func:`prismbook.pages.provenance.command`.
    """
    html(provenance.provenance(runs, redo))


def has_runs(runs: pd.DataFrame, redo: str, dataset: str = "") -> bool:
    """Whether a figure has any run to show. Where it has none, one line is shown that says what to run.

    Args:
        runs: one row per run, from :func:`prismbook.tables.analysis.tidy`.
        redo: the command that makes the runs, see :func:`prismbook.pages.provenance.command`.
        dataset: name of the dataset, where the figure has others too.
    """
    if runs["run"].notna().any():
        return True
    where = f" on {dataset_name(dataset)}" if dataset else ""
    say(f"*No run is stored for this figure{where}. This command makes its runs:* `{redo}`")
    return False
