"""The tables of the ledger's page in Markdown: all claims at a glance, then each claim statement by statement."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import groupby
from pathlib import Path

from prismbook.claims.ledger import Row, spread
from prismbook.claims.statements import listed
from prismbook.tables.labels import DATASET_NAMES

#: The sign of each verdict, for readers who see no colours.
MARKS = {"reproduced": "✓", "in part": "◐", "not reproduced": "✗", "undecided": "?", "not measured": "·"}


def link(row: Row, text: str, pages: Collection[str]) -> str:
    """A text that links to the page of a ledger's row, where the book has that page.

    Args:
        row: the row of the ledger.
        text: the text that is shown.
        pages: names of the book's pages.
    """
    name = row.claim.page.format(dataset=row.dataset)
    return f"[{text}]({name}.ipynb)" if name in pages else text


def at_a_glance(rows: Iterable[Row], pages: Collection[str]) -> str:
    """One table for all claims: one row per claim, one column per dataset and one for the theory.

    Args:
        rows: the ledger, claim by claim.
        pages: names of the book's pages, for links.
    """
    columns = {"": "theory"} | {name: title for name, title in DATASET_NAMES.items() if name != "synthetic"}
    lines = ["| claim | " + " | ".join(columns.values()) + " |", "|---" * (1 + len(columns)) + "|"]
    for claim_rows in by_claim(rows):
        by_dataset = {row.dataset: row for row in claim_rows}
        cells = [
            link(row, f"{MARKS[row.verdict]} {row.phrase}", pages) if (row := by_dataset.get(name)) else ""
            for name in columns
        ]
        claim = claim_rows[0].claim
        lines.append(f"| **{claim.id}** {claim.text} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def statement_by_statement(rows: Iterable[Row], pages: Collection[str], results: Path | str | None = None) -> list[str]:
    """One text per claim: the statements on each dataset that was measured, and the datasets that were not.

    Args:
        rows: the ledger, claim by claim.
        pages: names of the book's pages, for links.
        results: folder of the run records; None is the project's ``results/``.
    """
    return ["\n\n".join(_section(claim_rows, pages, results)) for claim_rows in by_claim(rows)]


def by_claim(rows: Iterable[Row]) -> list[list[Row]]:
    """The rows of each claim.

    Args:
        rows: the ledger, claim by claim.
    """
    return [list(claim_rows) for _, claim_rows in groupby(rows, key=lambda row: row.claim.id)]


def _section(rows: Sequence[Row], pages: Collection[str], results: Path | str | None) -> list[str]:
    claim = rows[0].claim
    paragraphs = [f"### {claim.id}: {claim.text}", f"{claim.place}. The paper's figure: {claim.paper}."]
    missing = [row for row in rows if row.verdict == "not measured" and row.dataset and not row.run_ids]
    for row in rows:
        if row not in missing:
            heading = f"**{DATASET_NAMES.get(row.dataset, 'computed on the spot')}: {link(row, row.phrase, pages)}**"
            paragraphs.append(f"{heading}, {spread(row, results)}" if row.run_ids else heading)
            paragraphs.append(listed(row.statements))
            if row.run_ids:
                paragraphs.append(f"Records: {', '.join(f'`{run}`' for run in row.run_ids)}.")
    if missing:
        paragraphs.append(f"Not measured: {', '.join(DATASET_NAMES[row.dataset] for row in missing)}.")
    return paragraphs
