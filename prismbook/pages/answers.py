"""The questions of the start page, each answered by the core of one claim of the ledger.

Every mark is the ledger's, every number is that of a statement, and no answer is typed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from prismbook.claims.evidence import LINEAR_LOSSES
from prismbook.claims.ledger import Row
from prismbook.claims.prism_claims import COMPARABLE, PROTOCOL_CASES, SIGN_TURNS
from prismbook.claims.statements import Statement, core, decided_share, outcome, verdict_phrase
from prismbook.claims.table1_claims import NO_CHANGE, passed_without_effect
from prismbook.pages.ledger_tables import value
from prismbook.pages.marks import mark
from prismbook.tables.labels import BACKBONE_NAMES, LOSS_NAMES, dataset_name
from prismbook.tables.paper import printed_change
from prismbook.text import listed_names, plural

#: How a question is answered where all that is decided says the same.
_LEADS = {
    "reproduced": "Yes",
    "reproduced, size differs": "Yes, by another size",
    "not reproduced": "No",
    "not measured": "Not run",
}


@dataclass(frozen=True)
class Question:
    """One question of the start page.

    Attributes:
        claim: id of the claim that answers it.
        text: the question.
        about: what the statements are about, in the ledger's words, that have the shown numbers; empty: all core ones.
        unit: what the numbers are, in a few words.
    """

    claim: str
    text: str
    about: tuple[str, ...]
    unit: str


#: The questions, in the order in which the paper makes its argument.
QUESTIONS = (
    Question("C21", "Is weight decay needed, whatever the loss?", ("decay with DirectAU",), "DirectAU gains"),
    Question(
        "C3",
        "Does it write popularity into lengths?",
        ("DirectAU without decay", "DirectAU with decay"),
        "DirectAU, correlation",
    ),
    Question("C8", "Does PRISM come as close to tuned decay on MF as the paper says?", (), "NDCG@20"),
    Question("C9", "Does it beat tuned decay on non-linear MF?", (), "NDCG@20"),
    Question(
        "C11",
        "Does it train in fewer epochs?",
        ("needing fewer epochs",),
        "epochs, fastest comparable \N{GREEK SMALL LETTER ALPHA}",
    ),
    Question("C12", "Is it fairer, and as good?", ("being fairer",), "unpopular / popular"),
)


@dataclass(frozen=True)
class Answer:
    """A question with what the ledger says.

    Attributes:
        question: the question.
        phrase: the verdict on the claim's core over all datasets on which it was measured, in the ledger's words.
        words: the answer in words.
        ours: for each measured dataset its name, the mark of its row of the ledger, and our numbers.
        paper: the paper's figure; empty where it gives none.
        sure: number of seeds behind our numbers, in words.
    """

    question: Question
    phrase: str
    words: str
    ours: Sequence[tuple[str, str, str]]
    paper: str
    sure: str


def answers(rows: Iterable[Row]) -> list[Answer]:
    """The answers that a ledger gives to :data:`QUESTIONS`.

    Args:
        rows: the ledger. A question whose claim it lacks is left out.
    """
    of_claim: dict[str, list[Row]] = {}
    for row in rows:
        of_claim.setdefault(row.claim.id, []).append(row)
    return [_answer(question, of_claim[question.claim]) for question in QUESTIONS if question.claim in of_claim]


def phrase_of(rows: Iterable[Row]) -> str:
    """The verdict on a claim over all datasets on which it was measured, as the ledger counts it.

    Args:
        rows: the rows of one claim.

    >>> phrase_of([])
    'not measured'
    """
    return verdict_phrase(_measured(rows))


def _measured(rows: Iterable[Row]) -> list[Statement]:
    return [each for row in rows if row.verdict != "not measured" for each in row.statements]


def _answer(question: Question, rows: Sequence[Row]) -> Answer:
    by_dataset = {row.dataset: row for row in rows if row.dataset and row.verdict != "not measured"}
    shown = {dataset: _shown(question, row) for dataset, row in by_dataset.items()}
    ours = [
        (dataset_name(dataset), mark(by_dataset[dataset].phrase), _value(question, by_dataset[dataset], statements))
        for dataset, statements in shown.items()
    ]
    claim = rows[0].claim
    return Answer(
        question,
        phrase_of(rows),
        _words(by_dataset, _measured(rows)),
        ours,
        claim.paper if "%" in claim.paper else "",
        _sure(shown),
    )


def _shown(question: Question, row: Row) -> list[Statement]:
    """The core statements whose numbers are shown."""
    return [
        each
        for each in core(row.statements)
        if each.difference is not None and (not question.about or each.about in question.about)
    ]


def _value(question: Question, row: Row, statements: Sequence[Statement]) -> str:
    """The numbers of a dataset, and how much is decided where nothing of it holds and some is open."""
    said = _numbers(question, row, statements)
    share = decided_share(row.statements) if row.outcome == "not reproduced" and "open" not in said else ""
    return f"{said} ({share})" if share else said


def _numbers(question: Question, row: Row, statements: Sequence[Statement]) -> str:
    """The numbers of a dataset in a few characters."""
    # a difference from a line says less than what it is of
    found = {each.about: each.value for each in statements if each.value is not None}
    if found:
        return " to ".join(f"{found[about]:.2f}" for about in question.about if about in found)
    left_open = [each.about for each in core(row.statements) if each.difference is None and each.undecided]
    # two losses that may point different ways are named, and so is each whose number is not known
    if (len(statements) == 2 or left_open) and not question.about:
        words = {True: "", False: "", None: "" if row.outcome == "open" else " (open)"}
        return ", ".join(
            [f"{each.about} {_short(each)}{words[each.holds]}" for each in statements]
            + [f"{loss} open" for loss in left_open]
        )
    ordered = sorted(statements, key=lambda each: each.difference.mean if each.difference is not None else 0.0)
    values = list(dict.fromkeys(_short(each) + _strength(each) for each in ordered))
    return f"{values[0]} to {values[-1]}" if len(values) > 1 else "".join(values)


def _short(statement: Statement) -> str:
    """The number of a statement without its seeds."""
    return "" if statement.difference is None else value(statement.difference)


def _strength(statement: Statement) -> str:
    """The strength of PRISM that a statement is of, in brackets; empty where there is none."""
    alpha = statement.alpha
    return "" if alpha is None else f" (\N{GREEK SMALL LETTER ALPHA}\N{NO-BREAK SPACE}{alpha:g})"


def _words(rows: Mapping[str, Row], statements: Sequence[Statement]) -> str:
    """The answer in words: yes, no or what lies between, then what does not hold, and how much is open."""
    concerned = core(statements)
    failing = [(each, dataset) for dataset, row in rows.items() for each in core(row.statements) if each.holds is False]
    left_open = sum(each.holds is None for each in concerned)
    parts = [f"{lead_of(statements)}."]
    if failing and any(each.holds for each in concerned):
        parts.append(f"Not for {_named(failing)}.")
    if 0 < left_open < len(concerned) and failing:
        parts.append(f"{left_open} of {len(concerned)} open.")
    turns = [dataset for dataset, row in rows.items() if any(each.about == SIGN_TURNS for each in row.statements)]
    if turns:
        places = listed_names([dataset_name(dataset) for dataset in turns])
        parts.append(f"Another decay within {100 * COMPARABLE:g} % on validation turns it round on {places}.")
    return " ".join([*parts, *_of_no_change(rows), *_at_plain_gamma(rows), *_beside(rows)])


def _at_plain_gamma(rows: Mapping[str, Row]) -> list[str]:
    """What C9's details say at the gamma at which scores are nearest the paper's, as a sentence; none without one.

    The perceptron has its ReLU there. Where decay was not searched at that gamma, it says so.
    """
    said = [
        f"{_short(each)} on {dataset_name(dataset)}{' (one decay)' if each.holds is None else ''}"
        for dataset, row in rows.items()
        for each in row.statements
        if each.role == "detail" and f"{LOSS_NAMES['directau']} at gamma 1 alone" in each.text and each.difference
    ]
    return [f"DirectAU at \N{GREEK SMALL LETTER GAMMA} 1 for both: {', '.join(said)}."] if said else []


def _of_no_change(rows: Mapping[str, Row]) -> list[str]:
    """In how many cells of Table 1 a method without effect would pass, as a sentence; none where C8 is not judged."""
    judged = [dataset for dataset, row in rows.items() if any(each.about == NO_CHANGE for each in row.statements)]
    cells = [
        printed_change(BACKBONE_NAMES["mf"], LOSS_NAMES[loss], dataset_name(dataset))
        for dataset in judged
        for loss in LINEAR_LOSSES
    ]
    printed = [figure for figure in cells if figure is not None]
    like = passed_without_effect(printed)
    if not printed:
        return []
    of_all = f"{len(printed)} pairs of dataset and loss"
    return [f"The test is weak: a method that scored just as tuned decay does would pass too, for {like} of {of_all}."]


def lead_of(statements: Sequence[Statement]) -> str:
    """The first words of an answer.

    Args:
        statements: those of one claim, over all datasets.

    >>> lead_of([Statement("a", True), Statement("b", True), Statement("c", False)])
    'Mostly: 2 of 3 decided statements hold'
    >>> lead_of([Statement("a", False), Statement("b", None)])
    'No, so far as it is decided'
    >>> lead_of([Statement("a", True), Statement("b", None)])
    'Open: 1 of 2 decided, all yes'
    >>> lead_of([Statement("a", True), Statement("b", False), *[Statement("c", None)] * 3])
    'Mostly open: 1 of 2 decided statements hold'
    """
    word, concerned = outcome(statements), core(statements)
    held = sum(each.holds is True for each in concerned)
    decided = sum(each.holds is not None for each in concerned)
    if word == "not reproduced" and decided < len(concerned):
        return f"{_LEADS[word]}, so far as it is decided"
    if word in _LEADS:
        return _LEADS[word]
    if word == "open" and held == decided:
        return f"Open: {decided} of {len(concerned)} decided, all yes" if held else "Not decided"
    if word == "open":
        return f"Mostly open: {held} of {decided} decided statements hold"
    often = "Mostly" if 3 * held >= 2 * decided else "Hardly" if 3 * held <= decided else "It depends"
    return f"{often}: {held} of {decided} decided statements hold"


def _named(found: Sequence[tuple[Statement, str]]) -> str:
    """What some statements are about, each with its datasets: "being fairer on Gowalla and Yelp2018"."""
    places: dict[str, list[str]] = {}
    for statement, dataset in found:
        places.setdefault(statement.about, []).append(dataset_name(dataset))
    return "; nor for ".join(
        f"{about} on {listed_names(list(dict.fromkeys(names)))}" for about, names in places.items()
    )


def _beside(rows: Mapping[str, Row]) -> list[str]:
    """The numbers of notes under another protocol or learning rate, one sentence each. Notes make no verdict.

    At a rate that was not searched in full a number is no change from tuned decay, so that it is open there.
    """
    parts: dict[str, list[tuple[str, str]]] = {}
    not_searched: dict[str, None] = {}
    for dataset, row in rows.items():
        for each in row.statements:
            if each.role != "note" or not each.case or (each.difference is None and not each.seeds):
                continue
            if each.undecided and each.case != PROTOCOL_CASES["released"]:
                not_searched[each.case.removeprefix("learning ")] = None
                continue
            number = "nothing comparable" if each.difference is None else _short(each)
            place = f"{number} on {dataset_name(dataset)}{_strength(each)}"
            parts.setdefault(each.case, []).append((each.about, place))
    names = {PROTOCOL_CASES["released"]: "Released code, no ReLU, not searched"}
    said = [f"{names.get(case, f'At {case}')}: {_once(found)}." for case, found in parts.items()]
    return [*said, *(f"Open at {case}." for case in not_searched)]


def _once(found: Sequence[tuple[str, str]]) -> str:
    """What is said of each thing, with its name before the first place alone."""
    before = ["", *(about for about, _ in found)]
    told = [
        f"{about if about != last else ''} {place}".strip() for last, (about, place) in zip(before, found, strict=False)
    ]
    return ", ".join(told)


def _sure(shown: Mapping[str, Sequence[Statement]]) -> str:
    """How many seeds the numbers rest on."""
    seeds = {
        dataset: min(len(each.difference.by_seed) for each in statements if each.difference is not None)
        for dataset, statements in shown.items()
        if statements
    }
    if not seeds:
        return ""
    if len(set(seeds.values())) == 1:
        return plural(next(iter(seeds.values())), "seed")
    most = max(seeds.values())
    names = [dataset_name(dataset) for dataset, count in seeds.items() if count == most]
    return f"{plural(most, 'seed')} on {listed_names(names)}, else {min(seeds.values())}"


def table(given: Sequence[Answer], pages: Collection[str]) -> str:
    """The answers as a table of HTML: question, answer, our numbers, the paper's, how sure.

    Args:
        given: the answers.
        pages: names of the book's pages, for links.
    """
    heads = "".join(f"<th>{name}</th>" for name in ("question", "answer", "mark, ours", "the paper", "seeds"))
    lines = []
    for answer in given:
        question = answer.question
        text = escape(question.text)
        if "ledger" in pages:
            text = f'<a href="pages/ledger.html#{question.claim.lower()}">{text}</a>'
        ours = "".join(
            f'<span class="answer-ours">{sign} {name} {escape(value)}</span>' for name, sign, value in answer.ours
        )
        lines.append(
            f'<tr><td>{text}</td><td><b class="answer-mark">{mark(answer.phrase)}</b> {escape(answer.words)}</td>'
            f"<td><small>{escape(question.unit)}</small>{ours}</td><td>{escape(answer.paper or 'yes')}</td>"
            f"<td>{escape(answer.sure)}</td></tr>"
        )
    return f'<table class="answers"><thead><tr>{heads}</tr></thead><tbody>{"".join(lines)}</tbody></table>'
