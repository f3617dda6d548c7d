"""The ledger's page: all claims in one table whose rows open, and its counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from html import escape
from pathlib import Path
from string import ascii_lowercase

from prismbook.claims import ledger
from prismbook.claims.ledger import Row, by_claim, spread
from prismbook.claims.prism_claims import PROTOCOL_CASES
from prismbook.claims.statements import PROVISIONAL, Statement, core, decided_share, outcome_of
from prismbook.pages.marks import behind_its_role, mark, statement_mark
from prismbook.plan.experiments import PAPER_DATASETS
from prismbook.runs.reading import reading_once
from prismbook.tables.analysis import SATURATED
from prismbook.tables.labels import DATASET_NAMES, LOSS_NAMES, dataset_name
from prismbook.tables.rules import Difference
from prismbook.text import plural

#: The claims in their groups, each in one short sentence.
GROUPS = {
    "Weight decay": {
        "C1": "DirectAU needs weight decay; with too little it falls below BPR.",
        "C2": "Decay widens the gap between popular and unpopular items.",
        "C3": "Decay writes log popularity into the lengths of item vectors.",
        "C6": "Decay of the batch's rows alone performs like no decay.",
        "C7": "LightGCN is relatively consistent over decay, and changes less than MF.",
        "C14": f"NDCG@20 by cosine reaches {SATURATED:.0%} of its best sooner than by dot product.",
        "C18": "Non-linear MF depends on decay as MF does.",
        "C21": "Good results typically need carefully tuned decay, whatever the loss.",
        "C22": "BPR changes little with decay, compared with DirectAU.",
    },
    "PRISM": {
        "C8": "On MF PRISM changes NDCG@20 as Table 1 says.",
        "C9": "On non-linear MF PRISM beats it, with DirectAU and MAWU.",
        "C10": "On non-linear MF PRISM falls short of it, with SSM.",
        "C11": "PRISM needs fewer epochs, at comparable quality.",
        "C12": "PRISM is fairer than tuned decay, and as good.",
        "C13": "PRISM is fairer than methods made for fairness, by its own doing.",
        "C23": "Decay is a coarse knob on popularity bias.",
    },
    "Theory": {
        "C4": "How probable it is that an item is in a batch.",
        "C5": "Decay shortens, the loss lengthens, the batch decides how often.",
        "C15": "Expected lengths separate by popularity at usual batch sizes.",
        "C16": "Batched decay removes the asymmetry of sign, distinct negatives all of it.",
        "C17": "A perceptron under SSM washes PRISM's lengths out; DirectAU keeps them.",
    },
    "Other": {
        "C19": "With PRISM sparse updates are possible (BPR, SSM; DirectAU is a detail).",
        "C20": "The datasets have the sizes of Table 2.",
    },
}
#: How an outcome is said in a count, in the order of a count.
_COUNTED = (
    ("reproduced", "reproduced"),
    ("reproduced, size differs", "reproduced, size differs"),
    ("for some, not for others", "for some and not for others"),
    ("not reproduced", "not reproduced"),
    ("open", "open"),
    ("not measured", "not measured"),
)
#: A part of a statement that stands in so many or more becomes a footnote.
REPEATED = 3
#: A cell has no more words than this; what is longer is in the row that opens.
_SHORT = 34


#: How the kinds of claims are named in a count.
_KINDS = {"measurement": "claims that are measured", "identity": "claims on formulas", "dataset size": "on sizes"}


def counted(rows: Iterable[Row]) -> str:
    """How many claims came out how, in Markdown: those that are measured, then formulas and sizes of datasets.

    Args:
        rows: the ledger, claim by claim.
    """
    sentences = [f"Of {total} {name}: {', '.join(parts)}." for total, name, parts in _counts(rows)]
    return " ".join(sentences)


def counts_beside(rows: Iterable[Row]) -> str:
    """The same counts as HTML, a list for each kind, to stand beside the table.

    Args:
        rows: the ledger, claim by claim.
    """
    rows = list(rows)
    lists = [
        f"<p><b>Of {total} {name}</b></p><ul>{''.join(f'<li>{part}</li>' for part in parts)}</ul>"
        for total, name, parts in _counts(rows)
    ]
    twice = sum(total for total, *_ in _counts(rows)) - len(by_claim(rows))
    if twice:
        lists.append(f"<p>{plural(twice, 'claim')} count twice: as a formula and as a training.</p>")
    return f'<aside class="ledger-counts" aria-label="Claims by verdict">{"".join(lists)}</aside>'


def _counts(rows: Iterable[Row]) -> list[tuple[int, str, list[str]]]:
    by_kind = ledger.counts(rows)
    return [
        (counts.total(), name, [f"{said} {counts[word]}" for word, said in _COUNTED if counts[word]])
        for kind, name in _KINDS.items()
        if (counts := by_kind[kind]).total()
    ]


def number(statement: Statement | None) -> str:
    """The number of a statement with its unit and how many seeds it rests on; empty where it has none.

    A difference of correlations is plain. A share is of the second side's NDCG@20 where no unit says of what. Where
    runs of some seeds were cut off, the number is the range over all seeds. A statement whose difference is a distance
    from a line may have its own number.

    Args:
        statement: of any claim.

    >>> from prismbook.tables.rules import Difference
    >>> number(Statement("a", True, difference=Difference((-0.2214,)))), number(Statement("b", True))
    ('-22\\xa0%\\xa0(1)', '')
    """
    if statement is None or statement.difference is None:
        return ""
    difference = statement.difference
    unit, said = _UNITS.get(difference.measure, ""), value(difference)
    if statement.shown:
        unit, said = "", statement.shown.replace("%", "\N{NO-BREAK SPACE}%")
    seeds = sorted([*difference.by_seed, *difference.left_out])
    if difference.left_out:
        said = " to ".join(value(replace(difference, by_seed=(end,), left_out=())) for end in (seeds[0], seeds[-1]))
    cut = f", {len(difference.left_out)} cut off" if difference.left_out else ""
    return f"{said}{unit}\N{NO-BREAK SPACE}({len(seeds)}{cut})"


#: What a share is of, where it is not of NDCG@20.
_UNITS = {"gain": " of the gain", "epochs": " epochs", "ratio": " ratio", "gap": " gap", "cell": " from the paper's"}


def value(difference: Difference) -> str:
    """A difference as text, without what it is of. One of correlations is plain, and is marked as a difference.

    Args:
        difference: of any statement.
    """
    if difference.measure == "correlation":
        return f"\N{GREEK CAPITAL LETTER DELTA}r\N{NO-BREAK SPACE}{difference.mean:+.2f}"
    return f"{100 * difference.mean:+.{0 if abs(difference.mean) >= 0.1 else 1}f}\N{NO-BREAK SPACE}%"


def cell(row: Row) -> str:
    """A claim on a dataset in a cell of HTML: mark, number and seeds; a line each where protocols or rates differ.

    Args:
        row: a row of the ledger.
    """
    if row.outcome == "not measured":
        return "· not run"
    if noted := _released_note(row):
        text = cell(
            replace(row, statements=[each for each in row.statements if each.case != PROTOCOL_CASES["released"]])
        )
        return f"<small>text</small> {text}<br>{noted}"
    of_released = row.headline is not None and row.headline.case == PROTOCOL_CASES["released"]
    if len({outcome_of(phrase) for phrase in row.cases.values()}) > 1 or (row.cases and of_released):
        return "<br>".join(_of_case(row, case, phrase) for case, phrase in row.cases.items())
    words = row.phrase.removesuffix(PROVISIONAL)
    concerned, said = core(row.statements), ""
    if row.outcome == "for some, not for others":
        held = f"{sum(each.holds is True for each in concerned)} of {sum(each.holds is not None for each in concerned)}"
        failing = words.rpartition(", ")[2]  # "not for ..."
        left = sum(each.holds is None for each in concerned)
        counted = f"{held} decided hold" + (f", {left} open" if left else "")
        said = next((each for each in (words, failing) if len(each) <= _SHORT), counted)
    if row.outcome in ("open", "not reproduced"):
        said = decided_share(row.statements)
    shown = f"{_loss_of_headline(row)}{number(row.headline)}" if row.outcome != "for some, not for others" else ""
    return f"{_mark(row.phrase)} {shown}".strip() + (f"<br><small>{escape(said)}</small>" if said else "")


def _loss_of_headline(row: Row) -> str:
    """The loss that a row's number is of, and a space, where its core names several; else empty."""
    named = {loss for each in core(row.statements) for loss in LOSS_NAMES.values() if loss in each.about.split()}
    if row.headline is None or row.headline.difference is None or len(named) < 2:
        return ""
    return next((f"{loss}\N{NO-BREAK SPACE}" for loss in LOSS_NAMES.values() if loss in row.headline.about.split()), "")


def _released_note(row: Row) -> str:
    """The released code in a cell, which makes no verdict since nothing was searched there; empty where it is none."""
    case = PROTOCOL_CASES["released"]
    notes = [
        each for each in row.statements if each.role == "note" and each.case == case and each.difference is not None
    ]
    return f"<small>code</small> {number(notes[0])} <small>not searched</small>" if notes else ""


def _of_case(row: Row, case: str, phrase: str) -> str:
    """One protocol or learning rate of a cell."""
    of_case = [each for each in row.statements if each.case == case]
    shown_here = [each for each in core(of_case) if each.difference is not None]
    decided = [each for each in shown_here if each.holds is not None] or shown_here
    short = {PROTOCOL_CASES["text"]: "text", PROTOCOL_CASES["released"]: "code"}.get(case, case)
    shown = number(decided[0]) if decided and outcome_of(phrase) != "for some, not for others" else ""
    if outcome_of(phrase) == "not reproduced":
        shown = f"{shown} {decided_share(of_case)}".rstrip()
    return f"<small>{escape(short.replace('learning rate', 'lr'))}</small> {_mark(phrase)} {shown}".strip()


def _mark(phrase: str) -> str:
    kind = outcome_of(phrase).partition(",")[0].replace(" ", "-")
    return f'<b class="ledger-{kind}">{mark(phrase)}</b>'


@reading_once()
def table(
    rows: Sequence[Row],
    pages: Collection[str],
    base: str = "",
    groups: Mapping[str, Mapping[str, str]] = GROUPS,
    results: Path | str | None = None,
) -> str:
    """All claims as HTML: one row each, in groups, with a cell per dataset; a row opens to its statements.

    What several statements repeat is a footnote, below each claim that has it. On a narrow screen the style sheet makes
    a card of each claim.

    Args:
        rows: the ledger, claim by claim.
        pages: names of the book's pages, for links.
        base: where these pages are from the page that shows the table, e.g. ``"pages/"``.
        groups: the claims that are shown, each with its sentence, by the headings of their groups.
        results: folder of the records; None is the one of :func:`~prismbook.runs.records.default_results`.
    """
    claims = {claim_rows[0].claim.id: claim_rows for claim_rows in by_claim(rows)}
    shown = [row for sentences in groups.values() for claim in sentences for row in claims.get(claim, ())]
    notes = footnotes(each.text for row in shown for each in _core_first(row))
    heads = "".join(f"<span>{escape(name)}</span>" for name in ("claim", "the paper", *_names()))
    parts = [f'<div class="ledger"><div class="ledger-head">{heads}</div>']
    for group, sentences in groups.items():
        there = {claim: text for claim, text in sentences.items() if claim in claims}
        if there and group:
            parts.append(f'<p class="ledger-group">{group}</p>')
        for claim, text in there.items():
            opened = [
                _opened(row, notes, pages, base, results) for row in claims[claim] if row.outcome != "not measured"
            ]
            said = {part for row in claims[claim] for each in _core_first(row) for part in _parts(each.text)[1:]}
            below = _notes({text: letter for text, letter in notes.items() if text in said})
            parts.append(_claim(claims[claim], text, "".join([*opened, *below])))
    return "\n".join([*parts, "</div>"])


def _notes(notes: Mapping[str, str]) -> list[str]:
    """Footnotes as HTML."""
    return [f'<p class="ledger-note"><sup>{letter}</sup> {escape(text)}</p>' for text, letter in notes.items()]


@reading_once()
def statements(rows: Sequence[Row], group: str, pages: Collection[str], results: Path | str | None = None) -> str:
    """The claims of one group with all their statements and records, as HTML. What they repeat is a footnote below.

    Args:
        rows: the ledger, claim by claim.
        group: one of :data:`GROUPS`.
        pages: names of the book's pages, for links.
        results: folder of the records; None is the one of :func:`~prismbook.runs.records.default_results`.
    """
    concerned = [of_claim for of_claim in by_claim(rows) if of_claim[0].claim.id in GROUPS[group]]
    notes = footnotes(each.text for of_claim in concerned for row in of_claim for each in _core_first(row))
    parts = []
    for of_claim in concerned:
        claim = of_claim[0].claim
        said = f"{escape(claim.text)} ({escape(claim.place)}; the paper's figure: {escape(claim.paper)})."
        opened = [_opened(row, notes, pages, "", results) for row in of_claim if row.outcome != "not measured"]
        absent = [DATASET_NAMES.get(row.dataset, "computed") for row in of_claim if row.outcome == "not measured"]
        if absent:
            opened.append(f"<p>Not run: {', '.join(absent)}.</p>")
        parts.append(f'<section id="{claim.id.lower()}"><p><b>{claim.id}</b> {said}</p>{"".join(opened)}</section>')
    parts += _notes(notes)
    return f'<div class="ledger ledger-statements">{"".join(parts)}</div>'


def _names() -> list[str]:
    return [DATASET_NAMES[dataset] for dataset in PAPER_DATASETS]


def _claim(rows: Sequence[Row], sentence: str, opened: str) -> str:
    claim, by_dataset = rows[0].claim, {row.dataset: row for row in rows}
    computed = by_dataset.get("")
    text = f"<b>{claim.id}</b> {escape(sentence)}"
    if computed is not None and len(rows) > 1:
        text += f" <small>{'all datasets' if computed.run_ids else 'formulas'} {_mark(computed.phrase)}</small>"
    paper = claim.paper if "%" in claim.paper else ""  # "curves coincide" is not a number, and in the full sentence
    cells = [f'<span class="ledger-text">{text}</span><span class="ledger-paper">{escape(paper)}</span>']
    if computed is not None and len(rows) == 1:
        cells.append(f'<span class="ledger-cell ledger-wide" data-label="computed">{cell(computed)}</span>')
    else:
        cells += [_cell(by_dataset.get(dataset), dataset) for dataset in PAPER_DATASETS]
    said = f"<p>{escape(claim.text)} ({escape(claim.place)}; the paper's figure: {escape(claim.paper)}).</p>"
    return (
        f'<details class="ledger-claim" id="{claim.id.lower()}"><summary>{"".join(cells)}</summary>'
        f'<div class="ledger-body">{said}{opened}</div></details>'
    )


def _cell(row: Row | None, dataset: str) -> str:
    if row is None:
        return '<span class="ledger-cell ledger-none"></span>'
    return f'<span class="ledger-cell" data-label="{dataset_name(dataset)}">{cell(row)}</span>'


def _opened(row: Row, notes: Mapping[str, str], pages: Collection[str], base: str, results: Path | str | None) -> str:
    """The statements of a row, the core first, with a link to the page and the records behind a second fold."""
    name = row.claim.page
    place = DATASET_NAMES.get(row.dataset, "all datasets" if row.run_ids else "computed")
    title = f'<a href="{base}{name}.html">{place}</a>' if name in pages else place
    lines = "".join(f"<li>{_statement(each, notes)}</li>" for each in _core_first(row))
    users = f", {spread(row, results)}" if row.run_ids and row.dataset else ""
    head = f"<p><b>{title}: {mark(row.phrase)} {escape(row.phrase)}</b>{users}</p>"
    return f"{head}<ul>{lines}</ul>{folded(row.run_ids)}"


def _core_first(row: Row) -> list[Statement]:
    """The statements of a row as they are shown; none where nothing was measured."""
    shown = () if row.outcome == "not measured" else row.statements
    return sorted(shown, key=lambda each: each.role != "core")


def _statement(statement: Statement, notes: Mapping[str, str]) -> str:
    text, letters = without_repeated(statement.text, notes)
    role = "" if statement.role == "core" else f"<i>{statement.role}:</i> "
    text = behind_its_role(text) if role else text
    return f"{statement_mark(statement)} {role}{escape(text)}{f'<sup>{letters}</sup>' if letters else ''}"


def footnotes(texts: Iterable[str]) -> dict[str, str]:
    """The parts, between semicolons, that so many statements repeat, each with its letter, in the order of reading.

    What a statement says of the paper's figure stays in it: its mark is about that.

    Args:
        texts: statements, in the order in which they are read.

    >>> footnotes(["a: 1; one seed; not tuned", "b: 2; not tuned", "c: 3; not tuned; one seed", "d: 4; one seed"])
    {'one seed': 'a', 'not tuned': 'b'}
    """
    parts = Counter(part for text in texts for part in _parts(text)[1:] if not part.startswith("the paper's"))
    most = {part for part, times in parts.most_common(len(ascii_lowercase)) if times >= REPEATED}
    return dict(zip((part for part in parts if part in most), ascii_lowercase, strict=False))


def _parts(text: str) -> list[str]:
    """What stands between semicolons, those within brackets apart."""
    parts, depth, start = [], 0, 0
    for place, letter in enumerate(text):
        depth += (letter in "([") - (letter in ")]")
        if depth == 0 and text.startswith("; ", place):
            parts.append(text[start:place])
            start = place + 2
    return [*parts, text[start:]]


def without_repeated(text: str, notes: Mapping[str, str]) -> tuple[str, str]:
    """A statement without what footnotes say, and their letters.

    Args:
        text: the statement.
        notes: of :func:`footnotes`.

    >>> without_repeated("c: 3 (d; not tuned); not tuned; one seed", {"not tuned": "a"})
    ('c: 3 (d; not tuned); one seed', 'a')
    """
    first, *others = _parts(text)
    kept = [part for part in others if part not in notes]
    return "; ".join([first, *kept]), ", ".join(notes[part] for part in others if part in notes)


def folded(run_ids: Sequence[str]) -> str:
    """The ids of records, folded, as HTML; empty where there are none.

    Args:
        run_ids: the ids.

    >>> folded(["9c7b05ac6a8b"])
    '<details><summary>1 record</summary><code>9c7b05ac6a8b</code></details>'
    """
    if not run_ids:
        return ""
    ids = ", ".join(f"<code>{run}</code>" for run in run_ids)
    return f"<details><summary>{plural(len(run_ids), 'record')}</summary>{ids}</details>"
