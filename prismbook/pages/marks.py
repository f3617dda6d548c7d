"""The marks of verdicts and statements, the same on every page, and a claim as a page of results shows it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from prismbook.claims import ledger
from prismbook.claims.catalogue import CLAIMS
from prismbook.claims.statements import GENERATED, PROVISIONAL, Statement, outcome_of, word
from prismbook.tables.labels import dataset_name
from prismlib import datasets

#: The mark of each outcome, for readers who see no colours.
MARKS = {
    "reproduced": "✓",
    "reproduced, size differs": "✓",
    "for some, not for others": "~",
    "not reproduced": "✗",
    "open": "?",
    "not measured": "·",
}
#: The mark of what the numbers say of a statement.
_MARKS_OF_WORDS = {"holds": "✓", "does not hold": "✗", "undecided": "?", "not measured": "·"}
#: Stands before the mark of what is provisional.
RING = "○"
#: What the marks mean, in one line of Markdown.
KEY = (
    "✓ reproduced, ~ for some and not for others, ✗ not reproduced, ? open, · not run. A ring ○ before a mark:"
    " provisional."
)
#: The heading above what only a page's own runs say.
ALONE = "On this page's runs alone"
#: What a statement that makes no verdict is to its claim, as a word before it.
_ROLES = {"core": "", "size": "*size:* ", "detail": "*detail:* ", "note": "*note:* "}


def mark(phrase: str) -> str:
    """The mark of a verdict, with a ring before it where the verdict is provisional.

    Args:
        phrase: the verdict in words, with its note where it is provisional.

    >>> mark("reproduced"), mark("for BPR, not for SSM (provisional)")
    ('✓', '○~')
    """
    ring = RING if phrase.endswith(PROVISIONAL) else ""
    return f"{ring}{MARKS[outcome_of(phrase)]}"


def statement_mark(statement: Statement) -> str:
    """The mark of what the numbers say of a statement, with a ring before it where that is provisional.

    Args:
        statement: of any claim.

    >>> statement_mark(Statement("a", False, provisional=True)), statement_mark(Statement("b", None, undecided=True))
    ('○✗', '?')
    """
    said, _, provisional = word(statement).partition(", ")
    return f"{RING if provisional else ''}{_MARKS_OF_WORDS[said]}"


def marked(statements: Iterable[Statement]) -> str:
    """The statements as a list in Markdown, each behind its mark.

    Args:
        statements: the statements of one claim on one dataset.

    >>> marked([Statement("a", True), Statement("b", None, role="size")])
    '- ✓ a\\n- · *size:* b'
    """
    return "\n".join(f"- {statement_mark(each)} {_ROLES[each.role]}{each.text}" for each in statements)


def on_page(claim: str, dataset: str, statements: Sequence[Statement], results: Path | str | None = None) -> str:
    """A claim on a page of results, in Markdown: the ledger's row, then what only the page's own runs say.

    The ledger gives the only verdict. Without a row of the ledger there is none: of generated data, and of datasets of
    which the paper does not make the claim.

    Args:
        claim: the claim's name, e.g. ``"C1"``.
        dataset: name of the dataset.
        statements: what the claim says of the page's runs.
        results: folder of the records; None is the one of :func:`~prismbook.runs.records.default_results`.

    >>> print(on_page("C1", "synthetic", [Statement("a", True)]).splitlines()[0])
    **C1 on synthetic**: no verdict, generated data, no evidence about the paper.
    """
    name, [spoken_of] = dataset_name(dataset), [each.datasets for each in CLAIMS if each.id == claim]
    alone = f"*{ALONE}:*\n\n{marked(statements)}"
    if dataset not in spoken_of:
        why = GENERATED if datasets.identity_card(dataset).synthetic else "the paper does not make this claim of it"
        return f"**{claim} on {name}**: no verdict, {why}.\n\n{alone}"
    row = ledger.row(claim, dataset, results)
    head = f"**{claim} on {name}: {mark(row.phrase)} {row.phrase}** ([all claims](ledger.ipynb))"
    text = f"{head}\n\n{marked(row.statements)}"
    same = [each.text for each in row.statements] == [each.text for each in statements]
    return text if same else f"{text}\n\n{alone}"
