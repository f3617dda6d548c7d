"""A claim as statements: sentences with their numbers, each of which holds, does not, or is not measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Statement:
    """A sentence with its numbers, and whether they bear it out; ``holds`` is None where a run is missing."""

    text: str
    holds: bool | None


def verdict(statements: Iterable[Statement]) -> str:
    """One word for a claim's statements: reproduced, in part, not reproduced, or not measured.

    Reproduced only where every statement is measured and holds; in part where one holds.

    >>> verdict([Statement("a", True), Statement("b", False)])
    'in part'
    """
    held = [statement.holds for statement in statements]
    if all(holds is None for holds in held):
        return "not measured"
    return "reproduced" if all(held) else "in part" if any(held) else "not reproduced"


def listed(statements: Iterable[Statement]) -> str:
    """The statements as a list in Markdown, each with what the numbers say of it."""
    mark = {True: "holds", False: "does not hold", None: "not measured"}
    return "\n".join(f"- {statement.text}: *{mark[statement.holds]}*" for statement in statements)


def verdict_text(claim: str, dataset: str, statements: Sequence[Statement]) -> str:
    """A verdict with its statements, in Markdown."""
    return f"**{claim} on {dataset}: {verdict(statements)}**\n\n{listed(statements)}"
