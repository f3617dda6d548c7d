"""The tables of the ledger's page in Markdown: all claims at a glance, with their numbers, and by statement."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from prismbook.claims.ledger import Row, by_claim, spread
from prismbook.claims.prism_claims import PROTOCOL_CASES
from prismbook.claims.statements import Statement, listed, outcome_of, subject, verdict
from prismbook.tables.labels import DATASET_NAMES
from prismbook.text import plural

#: The mark of each verdict, for readers who see no colours; a provisional one is hollow.
MARKS = {
    "reproduced": "▲",
    "reproduced, size differs": "▲",
    "for some, not for others": "◆",
    "not reproduced": "▼",
    "open": "?",
    "not measured": "·",
}
HOLLOW = {
    "reproduced": "△",
    "reproduced, size differs": "△",
    "for some, not for others": "◇",
    "not reproduced": "▽",
}


def mark(word: str, provisional: bool = False) -> str:
    """The mark of a verdict: solid, or hollow where it is provisional.

    Args:
        word: the verdict in words.
        provisional: whether the verdict is provisional.

    >>> mark("reproduced"), mark("reproduced", provisional=True)
    ('▲', '△')
    """
    kind = outcome_of(word)
    return HOLLOW.get(kind, MARKS[kind]) if provisional else MARKS[kind]


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
    """One table for all claims: one row per claim, one column per dataset of the rows and one for the theory.

    Args:
        rows: the ledger, claim by claim.
        pages: names of the book's pages, for links.
    """
    rows = list(rows)
    shown = {row.dataset for row in rows}
    columns = {"": "theory"} | {name: title for name, title in DATASET_NAMES.items() if name in shown}
    lines = ["| claim | " + " | ".join(columns.values()) + " |", "|---" * (1 + len(columns)) + "|"]
    for claim_rows in by_claim(rows):
        by_dataset = {row.dataset: row for row in claim_rows}
        cells = [_verdict(row, pages) if (row := by_dataset.get(name)) else "" for name in columns]
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


def with_numbers(rows: Iterable[Row], pages: Collection[str]) -> str:
    """One table with a row per claim and dataset: the paper's number, ours with interval, seeds, protocol, verdict.

    Args:
        rows: the ledger, claim by claim; of rows that were not measured none is shown.
        pages: names of the book's pages, for links.
    """
    titles = ["claim", "the paper's number", "dataset", "ours, as a share of the baseline, with its 95 % interval"]
    lines = ["| " + " | ".join([*titles, "seeds", "protocol", "verdict"]) + " |", "|---" * 7 + "|"]
    for claim_rows in by_claim(rows):
        for place, row in enumerate(row for row in claim_rows if row.verdict != "not measured"):
            claim = row.claim
            head = (
                [f"**{claim.id}** {claim.text} ({claim.place})", claim.paper] if place == 0 else [f"**{claim.id}**", ""]
            )
            seeds = sorted({len(each.found.by_seed) for each in row.statements if each.found is not None})
            cells = [
                *head,
                DATASET_NAMES.get(row.dataset, "computed on the spot"),
                "<br>".join(_measured(each, bool(row.cases)) for each in row.statements if each.found is not None),
                ", ".join(map(str, seeds)),
                "<br>".join(f"{case}: {word}" for case, word in row.cases.items()) or _protocol(row),
                _verdict(row, pages),
            ]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _verdict(row: Row, pages: Collection[str]) -> str:
    return link(row, f"{mark(row.verdict, row.provisional)} {row.phrase}", pages)


def _measured(statement: Statement, cases: bool) -> str:
    """A statement's subject, its case where there are several, its number, and the mark of what the number says."""
    assert statement.found is not None
    case = f" ({statement.case})" if cases and statement.case else ""
    low, high = statement.found.interval
    # the two ends of an interval stay on one line
    interval = f" [{low:+.1%},\N{NO-BREAK SPACE}{high:+.1%}]" if high > low else ""
    return f"{_statement_mark(statement)} {subject(statement)}{case}: {statement.found.mean:+.1%}{interval}"


def _statement_mark(statement: Statement) -> str:
    return mark(verdict([replace(statement, role="core")]), statement.provisional)


def _protocol(row: Row) -> str:
    return PROTOCOL_CASES["text"] if row.kind == "measurement" else ""


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
                paragraphs.append(_folded(row.run_ids))
    if missing:
        paragraphs.append(f"Not measured: {', '.join(DATASET_NAMES[row.dataset] for row in missing)}.")
    return paragraphs


def _folded(run_ids: Sequence[str]) -> str:
    """The ids of records, folded: HTML in Markdown."""
    ids = ", ".join(f"<code>{run}</code>" for run in run_ids)
    return f"<details><summary>{plural(len(run_ids), 'record')}</summary>{ids}</details>"
