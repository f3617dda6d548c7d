"""A claim as statements: sentences with their numbers, each of which holds, does not, or is left open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Statement:
    """A sentence with its numbers, and whether they bear it out.

    Attributes:
        holds: None where a run is missing, or where those that were made do not tell.
        undecided: the latter: it was measured, and ``holds`` is None all the same.
    """

    text: str
    holds: bool | None
    undecided: bool = False


def verdict(statements: Sequence[Statement]) -> str:
    """One word for a claim's statements: reproduced, in part, not reproduced, undecided, or not measured.

    Reproduced only where every statement is measured and holds; in part where one holds; undecided where none is
    decided and one was measured.

    >>> verdict([Statement("a", True), Statement("b", False)])
    'in part'
    """
    held = [statement.holds for statement in statements]
    if all(holds is None for holds in held):
        return "undecided" if any(statement.undecided for statement in statements) else "not measured"
    return "reproduced" if all(held) else "in part" if any(held) else "not reproduced"


def listed(statements: Iterable[Statement]) -> str:
    """The statements as a list in Markdown, each with what the numbers say of it."""
    mark: dict[bool | None, str] = {True: "holds", False: "does not hold"}
    return "\n".join(f"- {own.text}: *{mark.get(own.holds, verdict([own]))}*" for own in statements)


def verdict_text(claim: str, dataset: str, statements: Sequence[Statement], synthetic: bool = False) -> str:
    """A verdict with its statements, in Markdown. A verdict from generated data says so.

    >>> print(verdict_text("C1", "shop", [Statement("a", True)], synthetic=True).splitlines()[0])
    **C1 on shop (generated data, no evidence about the paper): reproduced**
    """
    place = f"{dataset} (generated data, no evidence about the paper)" if synthetic else dataset
    return f"**{claim} on {place}: {verdict(statements)}**\n\n{listed(statements)}"
