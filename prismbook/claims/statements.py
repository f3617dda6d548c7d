"""A claim as statements: sentences with their numbers, each of which holds, does not hold, or is left open.

Some of them are the claim's core, its sentence in the paper's abstract or section. They alone make the verdict.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from prismbook.plan.config import RunConfig
from prismbook.tables.rules import MAY_BE, MEASURES, Difference, Judgement, Rules, judge
from prismbook.text import listed_names, plural

#: What a verdict from generated data says beside its word.
GENERATED = "generated data, no evidence about the paper"
#: What a statement is to its claim. The core alone makes the verdict. A size says how far the paper's figure is from
#: ours. A detail or a note makes no verdict: a detail is measured beside the claim, a note is what cannot be judged.
ROLES = ("core", "size", "detail", "note")
#: How a verdict can come out. The fourth is written as "for X, not for Y", the fifth as "open (k of n decided)".
#: The third says how many are decided too, where some are open.
OUTCOMES = (
    "reproduced",
    "reproduced, size differs",
    "not reproduced",
    "for some, not for others",
    "open",
    "not measured",
)


@dataclass(frozen=True)
class Basis:
    """What decides a statement, so that other rules can decide it again without the records.

    Attributes:
        kind: ``"one"`` comparison; the ``"weakest"`` or the ``"strongest"`` of several statements; or ``"most"`` of
            them, more than half.
        difference: the comparison; None where several statements decide.
        accepts: the words of the rules with which the statement holds.
        left_open: the words with which it stays open, since more of a search could turn it round.
        among: the statements that decide.
    """

    kind: str
    difference: Difference | None = None
    accepts: tuple[str, ...] = ()
    left_open: tuple[str, ...] = ()
    among: tuple[Statement, ...] = ()


@dataclass(frozen=True)
class Statement:
    """A sentence with its numbers, and whether they bear it out.

    Attributes:
        text: the sentence.
        holds: True or False; None where a run is missing, or where the runs do not decide it.
        undecided: True where ``holds`` is None although the sentence was measured.
        provisional: True where ``holds`` rests on a difference within 2.8 standard errors, or on a single seed of a
            measure of which no spread over seeds is known.
        case: the protocol or the setting that the sentence is about, where a claim is judged under several.
        difference: the measured difference that decides it; None where something else does.
        role: one of :data:`ROLES`.
        about: what the sentence is about, in a word or two, for "for X, not for Y": a loss, a protocol, or a reading.
            Empty: the case, else the sentence without its numbers.
        seeds: number of seeds behind the decision; None where it is not a matter of seeds.
        basis: what decides it, for other rules; None where no rule on differences does.
        lacks: the runs that a search lacks, without which the sentence is open.
        alpha: the strength of PRISM that was chosen and that the numbers are of; None where none was chosen.
        value: the mean correlation where the difference is its distance from a line; None elsewhere.
        shown: what a page's first table shows in place of the difference, in words of its own; else empty.
    """

    text: str
    holds: bool | None
    undecided: bool = False
    provisional: bool = False
    case: str = ""
    difference: Difference | None = None
    role: str = "core"
    about: str = ""
    seeds: int | None = None
    basis: Basis | None = field(default=None, repr=False, compare=False)
    lacks: tuple[RunConfig, ...] = field(default=(), repr=False, compare=False)
    alpha: float | None = None
    value: float | None = None
    shown: str = ""

    @property
    def name(self) -> str:
        """What the sentence is about, as a verdict names it."""
        return self.about or self.case or subject(self)


def core(statements: Iterable[Statement]) -> list[Statement]:
    """The statements that alone make a verdict.

    Args:
        statements: the statements of one claim on one dataset.

    >>> [statement.text for statement in core([Statement("a", True), Statement("b", False, role="size")])]
    ['a']
    """
    return [statement for statement in statements if statement.role == "core"]


def outcome(statements: Sequence[Statement]) -> str:
    """How a claim came out, one of :data:`OUTCOMES`, by its core statements.

    - Reproduced: all of them hold. The size differs where a statement on the size does not hold.
    - Not reproduced: half of them or more are decided, and none of these holds. The verdict says how many are decided
      where others are open.
    - For some, not for others: half of them or more are decided; some hold, and some do not.
    - Open: fewer than half are decided, or those that are decided hold and others are open.
    - Not measured: none of them was measured.

    Args:
        statements: the statements of one claim on one dataset.

    >>> outcome([Statement("a", True), Statement("b", True), Statement("c", False, role="size")])
    'reproduced, size differs'
    """
    decisions = [statement.holds for statement in core(statements)]
    decided = [holds for holds in decisions if holds is not None]
    if not decided and not any(statement.undecided for statement in core(statements)):
        return "not measured"
    if 2 * len(decided) < len(decisions):
        return "open"
    if not all(decided):
        return "for some, not for others" if any(decided) else "not reproduced"
    if len(decided) < len(decisions):
        return "open"
    size_differs = any(statement.role == "size" and statement.holds is False for statement in statements)
    return "reproduced, size differs" if size_differs else "reproduced"


def verdict(statements: Sequence[Statement]) -> str:
    """The verdict on a claim in words: its :func:`outcome`, with what it holds for, or how much of it is decided.

    Args:
        statements: the statements of one claim on one dataset.

    >>> verdict([Statement("a", True, about="BPR"), Statement("b", False, about="SSM"), Statement("c", True)])
    'for BPR and c, not for SSM'
    >>> verdict([Statement("a", True), Statement("b", None)])
    'open (1 of 2 decided)'
    >>> verdict([Statement("a", False), Statement("b", None)])
    'not reproduced (1 of 2 decided)'
    """
    word, concerned = outcome(statements), core(statements)
    if word == "for some, not for others":
        holding, failing = (
            listed_names(list(dict.fromkeys(each.name for each in concerned if each.holds is holds)))
            for holds in (True, False)
        )
        return f"for {holding}, not for {failing}"
    share = decided_share(statements)
    return f"{word} ({share})" if share and word in ("open", "not reproduced") else word


def decided_share(statements: Sequence[Statement]) -> str:
    """How many core statements are decided, in words; empty where all are.

    Args:
        statements: the statements of one claim on one dataset.

    >>> decided_share([Statement("a", False), Statement("b", None)]), decided_share([Statement("a", False)])
    ('1 of 2 decided', '')
    """
    concerned = core(statements)
    decided = sum(statement.holds is not None for statement in concerned)
    return f"{decided} of {len(concerned)} decided" if decided < len(concerned) else ""


def outcome_of(phrase: str) -> str:
    """The outcome that a verdict in words stands for, one of :data:`OUTCOMES`.

    Args:
        phrase: a verdict of :func:`verdict` or :func:`verdict_phrase`, e.g. as ``ledger.json`` keeps it.

    Raises:
        ValueError: it is not a verdict.

    >>> outcome_of("for BPR, not for SSM (provisional)"), outcome_of("open (1 of 2 decided)"), outcome_of("reproduced")
    ('for some, not for others', 'open', 'reproduced')
    """
    word = phrase.removesuffix(PROVISIONAL)
    if word.startswith("for ") and ", not for " in word:
        return "for some, not for others"
    word = re.sub(r"^(open|not reproduced) \(\d+ of \d+ decided\)$", r"\1", word)
    if word not in OUTCOMES:
        raise ValueError(f"phrase must be a verdict, one of {', '.join(OUTCOMES)} in words, got {phrase!r}")
    return word


def is_provisional(statements: Sequence[Statement]) -> bool:
    """Whether a verdict is provisional: without its provisional statements it would be another.

    Args:
        statements: the statements of one claim on one dataset.

    >>> is_provisional([Statement("a", True, provisional=True)]), is_provisional([Statement("a", True)])
    (True, False)
    """
    return outcome([_left_open(each) if each.provisional else each for each in statements]) != outcome(statements)


def without_one_seed(statement: Statement) -> Statement:
    """The statement where one seed decides nothing: what rests on one is undecided.

    Args:
        statement: of any claim.

    >>> without_one_seed(Statement("a", True, seeds=1)).undecided
    True
    """
    return _left_open(statement) if statement.seeds == 1 and statement.holds is not None else statement


def _left_open(statement: Statement) -> Statement:
    return replace(statement, holds=None, undecided=True, provisional=False)


#: What is written behind a verdict that is provisional.
PROVISIONAL = " (provisional)"


def verdict_phrase(statements: Sequence[Statement]) -> str:
    """The verdict, with a note where it is provisional.

    Args:
        statements: the statements of one claim on one dataset.

    >>> verdict_phrase([Statement("a", True, provisional=True)])
    'reproduced (provisional)'
    """
    return f"{verdict(statements)}{PROVISIONAL}" if is_provisional(statements) else verdict(statements)


def by_case(statements: Sequence[Statement]) -> dict[str, str]:
    """The verdict under each protocol or setting; empty where the core statements are about one alone.

    Args:
        statements: the statements of one claim on one dataset.

    >>> by_case([Statement("a", True, case="the paper's text"), Statement("b", False, case="the released code")])
    {"the paper's text": 'reproduced', 'the released code': 'not reproduced'}
    """
    cases = dict.fromkeys(statement.case for statement in core(statements))
    if len(cases) < 2:
        return {}
    return {case: verdict_phrase([each for each in statements if each.case == case]) for case in cases}


def from_judgement(
    text: str,
    judgement: Judgement | None,
    holds: Sequence[str],
    difference: Difference | None = None,
    role: str = "core",
    about: str = "",
) -> Statement:
    """A statement about a comparison, decided by its word: it holds where all that may be true bears it out.

    Args:
        text: the sentence.
        judgement: of the comparison; None where there is nothing to compare.
        holds: the words with which the sentence holds, of better, worse and equivalent. It does not hold where none of
            them may be true, and is left open where some may and others too.
        difference: the difference that was judged.
        role: what the statement is to its claim, one of :data:`ROLES`.
        about: what it is about, in a word or two.

    >>> from_judgement("a is better", Judgement("worse"), ["better"]).holds
    False
    """
    if judgement is None:
        return Statement(text, None, role=role, about=about)
    seeds = None if difference is None else len(difference.by_seed)
    basis = None if difference is None else Basis("one", difference, tuple(holds))
    decided, provisional = decision(judgement, holds)
    return Statement(text, decided, decided is None, provisional, "", difference, role, about, seeds, basis)


def left_open_with(statement: Statement, words: Iterable[str], rules: Rules, why: str = "") -> Statement:
    """The statement, left open where the rules give one of some words, under these rules and under others.

    Args:
        statement: one that a comparison decides; another one stays as it is.
        words: of :data:`prismbook.tables.rules.MAY_BE`.
        rules: those that it was decided by.
        why: the end of the sentence where that leaves it open.

    >>> failing = from_judgement("a", Judgement("not better"), ["better"], Difference((-0.01,), seed_error=0.015))
    >>> opened = left_open_with(failing, ["not better"], Rules(), ", at the line")
    >>> failing.holds, opened.holds, opened.text
    (False, None, 'a, at the line')
    """
    basis = statement.basis
    if basis is None or basis.difference is None:
        return statement
    opened = tuple(dict.fromkeys((*basis.left_open, *words)))
    statement = replace(statement, basis=replace(basis, left_open=opened))
    judgement = judge(basis.difference, rules)
    if statement.holds is not None and judgement.word in opened:
        return _left_open(replace(statement, text=f"{statement.text}{why}"))
    return firm_or_not(statement, judgement)


def firm_or_not(statement: Statement, judgement: Judgement) -> Statement:
    """The statement, provisional where at 2.8 standard errors the words that its basis leaves open would open it.

    Args:
        statement: one that a comparison decides; another one stays as it is.
        judgement: of that comparison.
    """
    if statement.basis is None or statement.holds is None:
        return statement
    only_just = decision(judgement, statement.basis.accepts, statement.basis.left_open)[1]
    return replace(statement, provisional=statement.provisional or only_just)


def holds_with(word: str, accepts: Iterable[str]) -> bool | None:
    """Whether a statement holds with a word of the rules: where all that may be true bears it out.

    Args:
        word: one of :data:`prismbook.tables.rules.MAY_BE`.
        accepts: the words with which it holds, of better, worse and equivalent.

    >>> holds_with("better", ["better"]), holds_with("not worse", ["better"]), holds_with("worse", ["better"])
    (True, None, False)
    """
    may_be = MAY_BE[word]
    if may_be <= set(accepts):
        return True
    return None if may_be & set(accepts) else False


def decision(judgement: Judgement, accepts: Iterable[str], left_open: Iterable[str] = ()) -> tuple[bool | None, bool]:
    """Whether a statement holds by a judgement, and whether that is provisional: at 2.8 standard errors it is open.

    A word may be provisional where the decision is not. "Higher" may only just hold while "not lower" is sure, and a
    statement that something is lower fails with either.

    Args:
        judgement: of a comparison.
        accepts: the words with which the statement holds, of better, worse and equivalent.
        left_open: words that leave it open.

    >>> decision(Judgement("worse", True, "not better"), ["better"]), decision(Judgement("better", True), ["better"])
    ((False, False), (True, True))
    """
    opened, accepted = set(left_open), list(accepts)
    holds, firm = (None if word in opened else holds_with(word, accepted) for word in (judgement.word, judgement.firm))
    return holds, holds is not None and judgement.provisional and firm != holds


def again(statement: Statement, rules: Rules) -> Statement:
    """The statement decided by other rules, from its numbers alone; as it is where no rule on differences decides it.

    The page on verdicts does the same in the reader's browser.

    Args:
        statement: of any claim.
        rules: the margin, and whether one seed gives a word.

    >>> sure = from_judgement("a", Judgement("better"), ["better"], Difference((0.03,) * 3, seed_error=0.001))
    >>> again(sure, Rules()).holds, again(sure, Rules(margin=0.05)).holds
    (True, False)
    """
    basis = statement.basis
    if basis is None:
        decided = statement
    elif basis.difference is not None:
        judgement = judge(basis.difference, rules)
        holds, provisional = decision(judgement, basis.accepts, basis.left_open)
        decided = replace(statement, holds=holds, undecided=holds is None, provisional=provisional)
    else:
        decided = _of_several(statement, [again(each, rules) for each in basis.among], basis.kind)
    return decided if rules.one_seed else without_one_seed(decided)


def under(statements: Iterable[Statement], rules: Rules) -> list[Statement]:
    """The statements of a claim decided by other rules, from their numbers alone.

    Where the rules name a case, it is judged as if it were the claim, and its notes are the core.

    Args:
        statements: the statements of one claim on one dataset.
        rules: the margin, whether one seed gives a word, and the protocol or setting that counts.

    >>> [each.role for each in under([Statement("a", True, case="x", role="note")], Rules(case="x"))]
    ['core']
    """
    return of_case([again(each, rules) for each in statements], rules.case)


def of_case(statements: Iterable[Statement], case: str) -> list[Statement]:
    """The statements of one protocol or setting as if it were the claim; all of them where none is named.

    Args:
        statements: the statements of one claim on one dataset.
        case: the protocol or the setting; empty for all.
    """
    if not case:
        return list(statements)
    # what is a note beside the other cases is the core where its case alone counts
    concerned = [each for each in statements if each.case == case]
    return [replace(each, role="core") if each.role == "note" else each for each in concerned]


def _of_several(statement: Statement, among: Sequence[Statement], kind: str) -> Statement:
    """The statement as several others decide it."""
    if kind == "most":
        holds = _most([each.holds for each in among])
        firm = _most([None if each.provisional else each.holds for each in among])
        return replace(statement, holds=holds, undecided=holds is None, provisional=holds is not None and firm is None)
    first = weakest(among) if kind == "weakest" else strongest(among)
    return replace(
        statement, holds=first.holds, undecided=first.undecided, provisional=first.provisional, seeds=first.seeds
    )


def _most(decisions: Sequence[bool | None]) -> bool | None:
    """Whether more than half hold; None where those that are open could turn it."""
    held, is_open = decisions.count(True), decisions.count(None)
    if 2 * held > len(decisions):
        return True
    return None if 2 * (held + is_open) > len(decisions) else False


def percent_and_seeds(difference: Difference) -> str:
    """A relative difference with its interval over users and seeds, and the number of seeds.

    Args:
        difference: of two settings.

    >>> percent_and_seeds(Difference((0.05,), seed_error=0.01))
    '+5.0% [+3.0%, +7.0%], 1 seed'
    """
    return f"{percent_text(difference)}, {plural(len(difference.by_seed), 'seed')}"


def percent_text(difference: Difference) -> str:
    """A difference with its interval over users and seeds, which decides its word.

    It is a share of the second setting's mean, in per cent. A difference of correlations is plain. Where seeds were
    left out, it has no interval, since the one that is left was chosen by how its run ended; they are named.

    Args:
        difference: of two settings.

    >>> percent_text(Difference((0.02, 0.08), seed_error=0.05))
    '+5.0% [-1.9%, +11.9%]'
    >>> percent_text(Difference((0.1,), None, "correlation", 0.02))
    '+0.10 [+0.06, +0.14]'
    >>> percent_text(Difference((-0.17,), seed_error=0.01, left_out=(-0.06, -0.52)))
    '-17.0%, of the seeds that were left out -6.0%, -52.0%'
    """
    low, high = difference.interval
    spec = "+.2f" if MEASURES[difference.measure].plain else "+.1%"
    text = f"{difference.mean:{spec}}"
    if difference.left_out:
        # against a score near 0 a share has no size
        left_out = ", ".join(
            f"{value:{spec}}" if abs(value) < 10 else "more than 1,000%" for value in difference.seeds_left_out
        )
        return f"{text}, of the seeds that were left out {left_out}"
    return f"{text} [{low:{spec}}, {high:{spec}}]" if np.isfinite(high) and high > low else text


def in_interval(within: bool | None) -> str:
    """Where the paper's figure is, for a sentence that goes on with the interval.

    Args:
        within: of :func:`prismbook.tables.rules.contains`; None where the interval has it and is too wide to say more.

    >>> in_interval(None), in_interval(False)
    ('is in', 'is not in')
    """
    return "is not in" if within is False else "is in"


def in_words(judgement: Judgement, better: str, worse: str, equivalent: str) -> str:
    """A judgement in the words of a measure that is not a score, such as a number of epochs.

    Args:
        judgement: of the comparison.
        better: the word where the first value is larger.
        worse: the word where it is smaller.
        equivalent: the word where the two are equivalent.

    >>> in_words(Judgement("worse", provisional=True), "more", "fewer", "as many")
    'fewer (provisional)'
    """
    words = {"better": better, "worse": worse, "equivalent": equivalent}
    words |= {"not better": f"not {better}", "not worse": f"not {worse}"}
    return str(replace(judgement, word=words.get(judgement.word, judgement.word)))


def provisionally(statements: Iterable[Statement], seeds: int) -> list[Statement]:
    """The statements, marked as provisional where they rest on a single seed.

    Args:
        statements: the statements of one claim on one dataset.
        seeds: number of seeds behind them.
    """
    return [
        replace(statement, provisional=seeds == 1, seeds=seeds) if statement.holds is not None else statement
        for statement in statements
    ]


def weakest(statements: Sequence[Statement]) -> Statement:
    """The statement that decides a claim which needs all of them.

    It is one that does not hold, else one left open, else one that holds provisionally.

    Args:
        statements: one or more; of equally weak ones the first is taken.

    >>> weakest([Statement("a", True), Statement("b", None), Statement("c", False)]).text
    'c'
    """
    return min(statements, key=_strength)


def strongest(statements: Sequence[Statement]) -> Statement:
    """The statement that decides a claim for which one of them is enough.

    It is one that holds, first one that is firm, else one left open.

    Args:
        statements: one or more; of equally strong ones the first is taken.

    >>> strongest([Statement("a", False), Statement("b", None), Statement("c", False)]).text
    'b'
    """
    return max(statements, key=_strength)


def _strength(statement: Statement) -> tuple[int, bool]:
    order = {False: 0, None: 1, True: 2}
    return order[statement.holds], bool(statement.holds) and not statement.provisional


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
        statements: the statements of one claim on one dataset.

    >>> listed([Statement("a", True), Statement("b", None)])
    '- a: *holds*\\n- b: *not measured*'
    """
    lines = []
    for statement in statements:
        aside = {"core": "", "size": "", "detail": "beside the claim, ", "note": "a note, "}[statement.role]
        said = "" if statement.role == "note" and statement.holds is None else f": *{word(statement)}*"
        lines.append(f"- {aside}{statement.text}{said}")
    return "\n".join(lines)


def word(statement: Statement) -> str:
    """What the numbers say of a statement: holds, does not hold, undecided, or not measured.

    Args:
        statement: of any claim.

    >>> word(Statement("a", False, provisional=True)), word(Statement("b", None, undecided=True))
    ('does not hold, provisional', 'undecided')
    """
    if statement.holds is None:
        return "undecided" if statement.undecided else "not measured"
    held = "holds" if statement.holds else "does not hold"
    return f"{held}, provisional" if statement.provisional else held
