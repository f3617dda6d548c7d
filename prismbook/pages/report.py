"""The one-page report, in the form of the ML Reproducibility Challenge: every number in it is counted or computed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prismbook.claims import ledger
from prismbook.claims.ledger import Row
from prismbook.claims.statements import core
from prismbook.pages import ledger_tables
from prismbook.pages.answers import Answer
from prismbook.pages.marks import mark
from prismbook.pages.start_page import rest_on_one_seed
from prismbook.plan.experiments import PAPER_DATASETS, SEEDS, SWITCHES
from prismbook.runs.records import Record
from prismbook.tables.endings import BY_CHANCE, EARLY, ended_by_chance
from prismbook.tables.labels import BACKBONE_NAMES, LOSS_NAMES, dataset_name
from prismbook.text import listed_names, plural
from prismlib.datasets import CARDS


def real(records: Iterable[Record]) -> list[Record]:
    """The records of runs on datasets of the paper.

    Args:
        records: run records.
    """
    return [
        record
        for record in records
        if record["config"]["dataset"] in PAPER_DATASETS and not record["data"]["synthetic"]
    ]


def scope(rows: Sequence[Row], records: Sequence[Record]) -> str:
    """Which claims are examined, and on which datasets, in Markdown.

    Args:
        rows: the ledger.
        records: of :func:`real`.
    """
    there = {record["config"]["dataset"] for record in records}
    on = [dataset_name(name) for name in PAPER_DATASETS if name in there]
    absent = [dataset_name(name) for name in PAPER_DATASETS if name not in there]
    counts = ledger.counts(rows)
    measured = counts["measurement"].total()
    text = (
        f"We examine {len(ledger.by_claim(rows))} claims: {measured} by training models,"
        f" {counts['identity'].total()} on formulas, {counts['dataset size'].total()} on the sizes of datasets."
    )
    if twice := sum(kind.total() for kind in counts.values()) - len(ledger.by_claim(rows)):
        text += f" {twice} of them {'is' if twice == 1 else 'are'} counted twice: a formula and a training."
    if on:
        text += f" Models are trained on {listed_names(on)}"
        text += f"; not run: {listed_names(absent)}." if absent else "."
    return text


def method(records: Sequence[Record]) -> str:
    """How the claims are examined, in Markdown.

    Args:
        records: of :func:`real`.
    """
    configs = [record["config"] for record in records]
    losses = [name for key, name in LOSS_NAMES.items() if any(config["loss"] == key for config in configs)]
    backbones = [name for key, name in BACKBONE_NAMES.items() if any(config["backbone"] == key for config in configs)]
    hours = sum(record["seconds"]["train"] + record["seconds"]["evaluate"] for record in records) / 3600
    text = (
        "We wrote the code anew from the paper's text and read the released code. Each of its departures that we can"
        f" switch on, {len(SWITCHES)} in all, is a setting."
    )
    if records:
        text += (
            f" {plural(len(records), 'run')} with {listed_names(losses)} on {listed_names(backbones)} took"
            f" {hours:,.0f} hours of training and evaluation. Validation at the first of {len(SEEDS)} seeds chooses a"
            " setting. In Table 1's search all seeds choose between the two best, where both were run at every seed."
            " Differences are judged by their 95 % interval over users and seeds, against margins that are"
            " fixed for all claims."
        )
    return text


def results(rows: Sequence[Row], given: Iterable[Answer]) -> str:
    """What came out, in Markdown: the counts, then one line for each question.

    Args:
        rows: the ledger.
        given: of :func:`prismbook.pages.answers.answers`.
    """
    lines = []
    for answer in given:
        numbers = ", ".join(f"{name} {sign} {value}".strip() for name, sign, value in answer.ours)
        lines.append(
            f"- **{answer.question.text}** {mark(answer.phrase)} {answer.words} *{answer.question.unit}: {numbers}*"
        )
    return f"{ledger_tables.counted(rows) or 'Nothing is measured.'}\n\n" + "\n".join(lines)


def easy(rows: Sequence[Row]) -> str:
    """What was easy, in Markdown.

    Args:
        rows: the ledger.
    """
    formulas, sizes = ([row for row in rows if row.kind == kind] for kind in ("identity", "dataset size"))
    held = [each.holds is True for row in formulas for each in core(row.statements)]
    right = [row for row in sizes if row.outcome == "reproduced"]
    known = [row for row in sizes if row.outcome != "not measured"]
    card = CARDS["movielens1m"]
    assert card.paper is not None
    more = f"{plural(card.paper[0] - card.users, 'user')} and {plural(card.paper[1] - card.items, 'item')}"
    return (
        f"The theory can be checked by computing: {sum(held)} of {len(held)} core statements on formulas hold."
        f" Table 2 agrees with the files on {len(right)} of {plural(len(known), 'dataset')}, {more} of MovieLens1M"
        " aside. PRISM itself is one line."
    )


def difficult(rows: Sequence[Row], records: Sequence[Record]) -> str:
    """What was difficult, in Markdown.

    Args:
        rows: the ledger.
        records: of :func:`real`.
    """
    by_chance = sum(ended_by_chance(record) for record in records)
    cut = sum(record["stopped_by"] != "patience" for record in records)
    early = sum(record["stopped_by"] == "patience" and len(record["history"]["loss"]) <= EARLY for record in records)
    changed, judged = rest_on_one_seed(rows)
    released = [row for row in rows if any(each.case == "the released code" for each in row.statements)]
    claims = listed_names(list(dict.fromkeys(row.claim.id for row in released))) if released else "no claims"
    decided = [each for row in rows for each in core(row.statements) if each.holds is not None and each.seeds]
    single = sum(each.seeds == 1 for each in decided)
    return (
        f"The released code differs from the text, or from what a baseline's authors publish, in {len(SWITCHES)} places"
        " that we can switch. It leaves"
        f" out the perceptron's ReLU, so {claims} have a second answer for it. Patience 10 ends runs at"
        f" their start, below {BY_CHANCE} times a random ranking's score: {by_chance} of {len(records)} runs. Of all"
        f" runs {early} ended within {EARLY} epochs, and {cut} were stopped by a limit. Of"
        f" {len(decided)} core statements that runs decide, {single} rest on one seed: if one seed decided nothing,"
        f" {changed} of {judged} verdicts on runs would have another mark."
    )
