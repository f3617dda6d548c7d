"""A claim as statements: sentences with their numbers, each of which holds, does not hold, or is left open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from prismbook.tables.rules import Difference, Judgement
from prismbook.text import plural

#: What a verdict from generated data says beside its word.
GENERATED = "generated data, no evidence about the paper"


@dataclass(frozen=True)
class Statement:
    """A sentence with its numbers, and whether they bear it out.

    Attributes:
        text: the sentence.
        holds: True or False; None where a run is missing, or where the runs do not decide it.
        undecided: True where ``holds`` is None although the sentence was measured.
        provisional: True where ``holds`` rests on a single seed.
        case: the protocol or the setting that the sentence is about, where a claim is judged under several.
        found: the measured difference that decides it; None where something else does.
    """

    text: str
    holds: bool | None
    undecided: bool = False
    provisional: bool = False
    case: str = ""
    found: Difference | None = None


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


def is_provisional(statements: Sequence[Statement]) -> bool:
    """Whether a verdict rests on a single seed: without its provisional statements it would be another.

    Args:
        statements: those of one claim on one dataset.

    >>> is_provisional([Statement("a", True, provisional=True)]), is_provisional([Statement("a", True)])
    (True, False)
    """
    return verdict([without_one_seed(statement) for statement in statements]) != verdict(statements)


def without_one_seed(statement: Statement) -> Statement:
    """The statement where one seed decides nothing: a provisional one is undecided.

    Args:
        statement: of any claim.

    >>> without_one_seed(Statement("a", True, provisional=True)).undecided
    True
    """
    return replace(statement, holds=None, undecided=True, provisional=False) if statement.provisional else statement


def verdict_phrase(statements: Sequence[Statement]) -> str:
    """The verdict, with a note where it is provisional.

    Args:
        statements: those of one claim on one dataset.

    >>> verdict_phrase([Statement("a", True, provisional=True)])
    'reproduced (provisional)'
    """
    return f"{verdict(statements)} (provisional)" if is_provisional(statements) else verdict(statements)


def by_case(statements: Sequence[Statement]) -> dict[str, str]:
    """The verdict under each protocol or setting; empty where the statements are about one alone.

    Args:
        statements: those of one claim on one dataset.

    >>> by_case([Statement("a", True, case="the paper's text"), Statement("b", False, case="the released code")])
    {"the paper's text": 'reproduced', 'the released code': 'not reproduced'}
    """
    cases = dict.fromkeys(statement.case for statement in statements)
    if len(cases) < 2:
        return {}
    return {case: verdict_phrase([each for each in statements if each.case == case]) for case in cases}


def from_judgement(
    text: str, judgement: Judgement | None, holds: Sequence[str], found: Difference | None = None
) -> Statement:
    """A statement about a comparison, decided by its word.

    Args:
        text: the sentence.
        judgement: of the comparison; None where there is nothing to compare.
        holds: the words with which the sentence holds. With an undecided or a collapsed comparison it is left open.
        found: the difference that was judged.

    >>> from_judgement("a is better", Judgement("worse"), ["better"]).holds
    False
    """
    if judgement is None:
        return Statement(text, None)
    if judgement.word in ("undecided", "collapsed"):
        return Statement(text, None, undecided=True, found=found)
    return Statement(text, judgement.word in holds, provisional=judgement.provisional, found=found)


def share_and_seeds(difference: Difference) -> str:
    """A relative difference with its interval over users and seeds, and the number of seeds.

    Args:
        difference: of two settings.

    >>> share_and_seeds(Difference((0.05,), (0.03, 0.07)))
    '+5.0% [+3.0%, +7.0%], 1 seed'
    """
    return f"{share(difference)}, {plural(len(difference.by_seed), 'seed')}"


def share(difference: Difference) -> str:
    """A relative difference with its interval over users and seeds.

    Where that interval holds zero and the one over users alone, which decides the direction, does not, both are given.

    Args:
        difference: of two settings.

    >>> share(Difference((0.02, 0.08), (0.03, 0.07)))
    '+5.0% [-33.1%, +43.1%], over users alone [+3.0%, +7.0%]'
    """
    low, high = difference.interval
    text = f"{difference.mean:+.1%}"
    if high > low:
        text += f" [{low:+.1%}, {high:+.1%}]"
    if difference.users is not None and low <= 0 <= high:
        users_low, users_high = difference.users
        if not users_low <= 0 <= users_high:
            text += f", over users alone [{users_low:+.1%}, {users_high:+.1%}]"
    return text


def in_words(judgement: Judgement, better: str, worse: str, equivalent: str) -> str:
    """A judgement in the words of a measure that is no score, such as a number of epochs.

    Args:
        judgement: of the comparison.
        better: the word where the first value is larger.
        worse: the word where it is smaller.
        equivalent: the word where the two are equivalent.

    >>> in_words(Judgement("worse", provisional=True), "more", "fewer", "as many")
    'fewer (provisional: one seed)'
    """
    words = {"better": better, "worse": worse, "equivalent": equivalent}
    return str(replace(judgement, word=words.get(judgement.word, judgement.word)))


def provisionally(statements: Iterable[Statement], seeds: int) -> list[Statement]:
    """The statements, marked as provisional where they rest on a single seed.

    Args:
        statements: those of one claim on one dataset.
        seeds: number of seeds behind them.
    """
    return [
        replace(statement, provisional=seeds == 1) if statement.holds is not None else statement
        for statement in statements
    ]


def weakest(statements: Sequence[Statement]) -> Statement:
    """The statement that decides a claim which needs all of them: one that does not hold, else one left open.

    Args:
        statements: one or more; of equally weak ones the first is taken.

    >>> weakest([Statement("a", True), Statement("b", None), Statement("c", False)]).text
    'c'
    """
    strength = {False: 0, None: 1, True: 2}
    return min(statements, key=lambda statement: strength[statement.holds])


def subject(statement: Statement) -> str:
    """What a statement says, without its numbers.

    Args:
        statement: of any claim, with its numbers behind a colon.

    >>> subject(Statement("BPR needs decay: 0.25 against 0.24", True))
    'BPR needs decay'
    """
    return statement.text.partition(":")[0].partition(";")[0]


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
    word = "holds" if statement.holds else "does not hold"
    return f"{word}, provisional" if statement.provisional else word


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
    cases = "; ".join(f"{case}: {word}" for case, word in by_case(statements).items())
    head = f"{verdict_phrase(statements)} ({cases})" if cases else verdict_phrase(statements)
    return f"**{claim_id} on {place}: {head}**\n\n{listed(statements)}"
