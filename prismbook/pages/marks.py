"""The marks of verdicts and statements, the same on every page, and a claim as a page of results shows it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from prismbook.claims.statements import PROVISIONAL, Statement, outcome_of, word
from prismbook.tables.labels import dataset_name

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


def behind_its_role(text: str) -> str:
    """The text of a statement without the words that its role says before it.

    Args:
        text: of a statement.

    >>> behind_its_role("the size: NDCG@20 changes"), behind_its_role("it holds")
    ('NDCG@20 changes', 'it holds')
    """
    return text.removeprefix("the size: ")


def marked(statements: Iterable[Statement]) -> str:
    """The statements as a list in Markdown, each behind its mark.

    Args:
        statements: the statements of one claim on one dataset.

    >>> marked([Statement("a", True), Statement("b", None, role="size")])
    '- ✓ a\\n- · *size:* b'
    """
    return "\n".join(f"- {statement_mark(each)} {_ROLES[each.role]}{behind_its_role(each.text)}" for each in statements)


def alone(claim: str, dataset: str, statements: Sequence[Statement]) -> str:
    """What only a page's own runs say of a claim, folded, as HTML.

    Args:
        claim: the claim's name, e.g. ``"C1"``.
        dataset: name of the dataset.
        statements: what the claim says of the page's runs.

    >>> alone("C1", "synthetic", [Statement("a", True)]).partition("</summary>")[0]
    "<details class='folded'><summary>C1 on synthetic: on this page's runs alone, no verdict"
    """
    lines = "".join(
        f"<li>{statement_mark(each)} {_ROLES[each.role].replace('*', '')}{escape(behind_its_role(each.text))}</li>"
        for each in statements
    )
    title = f"{claim} on {dataset_name(dataset)}: {ALONE[0].lower()}{ALONE[1:]}, no verdict"
    return f"<details class='folded'><summary>{title}</summary><ul>{lines}</ul></details>"
