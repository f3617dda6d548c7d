"""A claim as statements: sentences with their numbers, each of which holds, does not hold, or is left open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

#: What a verdict from generated data says beside its word.
GENERATED = "generated data, no evidence about the paper"


@dataclass(frozen=True)
class Statement:
    """A sentence with its numbers, and whether they bear it out.

    Attributes:
        text: the sentence.
        holds: True or False; None where a run is missing, or where the runs do not decide it.
        undecided: True where ``holds`` is None although the sentence was measured.
    """

    text: str
    holds: bool | None
    undecided: bool = False


def verdict(statements: Sequence[Statement]) -> str:
    """One word for a claim's statements: reproduced, in part, not reproduced, undecided, or not measured.

    - Reproduced: every statement was measured and holds.
    - In part: some statement holds; another does not, or is left open.
    - Not reproduced: some statement does not hold, and none holds.
    - Undecided: no statement is decided, and at least one was measured.
    - Not measured: no statement was measured.

    Args:
        statements: those of one claim on one dataset.

    >>> verdict([Statement("a", True), Statement("b", False)])
    'in part'
    """
    decisions = [statement.holds for statement in statements]
    if all(holds is None for holds in decisions):
        return "undecided" if any(statement.undecided for statement in statements) else "not measured"
    if all(decisions):
        return "reproduced"
    return "in part" if any(decisions) else "not reproduced"


def weakest(statements: Sequence[Statement]) -> Statement:
    """The statement that decides a claim which needs all of them: one that does not hold, else one left open.

    Args:
        statements: one or more; of equally weak ones the first is taken.

    >>> weakest([Statement("a", True), Statement("b", None), Statement("c", False)]).text
    'c'
    """
    strength = {False: 0, None: 1, True: 2}
    return min(statements, key=lambda statement: strength[statement.holds])


def listed(statements: Iterable[Statement]) -> str:
    """The statements as a list in Markdown, each with what the numbers say of it.

    Args:
        statements: those of one claim on one dataset.

    >>> listed([Statement("a", True), Statement("b", None)])
    '- a: *holds*\\n- b: *not measured*'
    """
    return "\n".join(f"- {statement.text}: *{_word(statement)}*" for statement in statements)


def _word(statement: Statement) -> str:
    if statement.holds is None:
        return verdict([statement])
    return "holds" if statement.holds else "does not hold"


def verdict_text(claim_id: str, dataset: str, statements: Sequence[Statement], synthetic: bool) -> str:
    """A verdict with its statements, in Markdown. A verdict from generated data says so.

    Args:
        claim_id: the claim's name, e.g. ``"C1"``.
        dataset: the dataset's name, as a reader sees it.
        statements: those of the claim on the dataset.
        synthetic: whether the data are generated, by the dataset's card or its records, never by its name.

    >>> print(verdict_text("C1", "shop", [Statement("a", True)], synthetic=True).splitlines()[0])
    **C1 on shop (generated data, no evidence about the paper): reproduced**
    """
    place = f"{dataset} ({GENERATED})" if synthetic else dataset
    return f"**{claim_id} on {place}: {verdict(statements)}**\n\n{listed(statements)}"
