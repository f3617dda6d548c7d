"""What the start page and the page of findings show: scope, answers, the figure's rows, and each finding as text."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from prismbook.claims.alternatives import verdict_under
from prismbook.claims.findings import JudgedFinding
from prismbook.claims.ledger import Row
from prismbook.claims.magnitudes import CHANGES, Magnitude
from prismbook.claims.prism_claims import PROTOCOL_CASES
from prismbook.claims.statements import PROVISIONAL, outcome_of
from prismbook.pages import ledger_tables
from prismbook.pages.marks import mark, statement_mark
from prismbook.plan.experiments import PAPER_DATASETS
from prismbook.runs.records import Record
from prismbook.tables.labels import BACKBONE_NAMES, LOSS_NAMES, dataset_name
from prismbook.tables.rules import Rules
from prismbook.text import listed_names, plural

#: The ledger as :func:`prismbook.claims.ledger.accepted` gives it.
Accepted = Mapping[str, Mapping[str, Any]]
#: The questions of the start page, each by the claim that answers it.
QUESTIONS = {
    "C21": "Is weight decay needed, whatever the loss?",
    "C3": "Does it write popularity into lengths?",
    "C8": "Is PRISM as good as tuned decay, on MF?",
    "C9": "Is it better on non-linear MF, with DirectAU and MAWU?",
    "C11": "Does it train in fewer epochs?",
    "C12": "Is it fairer?",
}


def real_runs(records: Iterable[Record]) -> pd.DataFrame:
    """One row per run on a dataset of the paper: its dataset, backbone, loss, seed and hours.

    Args:
        records: run records.
    """
    rows = [
        {
            "dataset": record["config"]["dataset"],
            "backbone": record["config"]["backbone"],
            "loss": record["config"]["loss"],
            "seed": record["config"]["seed"],
            "hours": (record["seconds"]["train"] + record["seconds"]["evaluate"]) / 3600,
        }
        for record in records
        if record["config"]["dataset"] in PAPER_DATASETS and not record["data"]["synthetic"]
    ]
    return pd.DataFrame(rows, columns=["dataset", "backbone", "loss", "seed", "hours"])


def scope(runs: pd.DataFrame) -> str:
    """What was run and what was not, in two sentences.

    Args:
        runs: one row per run, from :func:`real_runs`.

    >>> scope(real_runs([])).partition(".")[0]
    'No run on a dataset of the paper is stored'
    """
    if runs.empty:
        return "No run on a dataset of the paper is stored."
    there = [name for name in PAPER_DATASETS if name in set(runs["dataset"])]
    absent = [dataset_name(name) for name in PAPER_DATASETS if name not in there]
    text = (
        f"{plural(len(runs), 'run')} on {listed_names([dataset_name(name) for name in there])},"
        f" {runs['hours'].sum():,.0f} hours of training and evaluation in all."
    )
    return f"{text} Not run: {listed_names(absent)}." if absent else text


def scope_table(runs: pd.DataFrame) -> pd.DataFrame:
    """One row per dataset of the paper: runs, seeds, hours, the losses that were run on each backbone.

    Args:
        runs: one row per run, from :func:`real_runs`.
    """
    rows = []
    for dataset in PAPER_DATASETS:
        part = runs[runs["dataset"] == dataset]
        row = {
            "dataset": dataset_name(dataset),
            "runs": f"{len(part)}",
            "seeds": f"{part['seed'].nunique()}",
            "hours": f"{part['hours'].sum():,.1f}",
        }
        for backbone, title in BACKBONE_NAMES.items():
            tried = set(part[part["backbone"] == backbone]["loss"])
            row[title] = ", ".join(LOSS_NAMES[loss] for loss in LOSS_NAMES if loss in tried) or "not run"
        rows.append(row)
    return pd.DataFrame(rows).set_index("dataset")


def split_phrase(phrase: str) -> tuple[str, bool]:
    """A verdict as the ledger keeps it, as its word and whether it is provisional.

    Args:
        phrase: the verdict, with a note where it is provisional.

    >>> split_phrase("reproduced (provisional)"), split_phrase("not reproduced")
    (('reproduced', True), ('not reproduced', False))
    """
    return phrase.removesuffix(PROVISIONAL), phrase.endswith(PROVISIONAL)


def verdicts(claim: str, accepted: Accepted) -> str:
    """The verdicts on a claim, one per dataset that was measured, each with its mark.

    Args:
        claim: the claim's name.
        accepted: the accepted ledger.

    >>> verdicts("C1", {"C1 gowalla": {"verdict": "reproduced"}, "C10 gowalla": {"verdict": "not reproduced"}})
    'C1: Gowalla ✓ reproduced'
    """
    rows = {name.removeprefix(claim).strip(): row for name, row in accepted.items() if name.split(" ")[0] == claim}
    parts = [
        f"{dataset_name(dataset)} {mark(row['verdict'])} {row['verdict']}".strip() for dataset, row in rows.items()
    ]
    return f"{claim}: {', '.join(parts) or 'no verdict'}"


def figure_rows(magnitudes: Iterable[Magnitude], accepted: Accepted) -> dict[str, list[dict[str, Any]]]:
    """The rows of :func:`prismbook.pages.figures.paper_and_ours`, with the verdict of each from the ledger.

    Args:
        magnitudes: the claims with a number.
        accepted: the accepted ledger. What it lacks is left out.
    """
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in magnitudes:
        entry = accepted.get(f"{row.claim} {row.dataset}")
        if entry is None:
            continue
        word, provisional = split_phrase(entry["cases"].get(row.case, entry["verdict"]))
        notes = [text for text in (_case(row, entry["cases"]), " and ".join(row.losses)) if text]
        numbers = {"paper": row.paper, "ours": row.ours, "low": row.low, "high": row.high}
        groups.setdefault(f"{row.claim}: {CHANGES[row.claim]}", []).append(
            {
                "label": ", ".join([dataset_name(row.dataset), *notes]),
                "verdict": outcome_of(word),
                "provisional": provisional,
                **numbers,
            }
        )
    return groups


def _case(row: Magnitude, cases: Collection[str]) -> str:
    """The protocol or the learning rate of a row; empty where the claim has one alone."""
    if row.case not in cases:
        return ""
    return {PROTOCOL_CASES["text"]: "text", PROTOCOL_CASES["released"]: "released code"}.get(row.case, row.case)


def answers(rows: Sequence[Row], pages: Collection[str], results: Path | str | None = None) -> str:
    """The start page's questions as HTML, each answered by a line of the ledger.

    Args:
        rows: the ledger.
        pages: names of the book's pages, for links.
        results: folder of the records; None is the one of :func:`~prismbook.runs.records.default_results`.
    """
    return ledger_tables.table(rows, pages, "pages/", {"": QUESTIONS}, results)


def how_sure(rows: Iterable[Row]) -> str:
    """How many verdicts would be others if one seed decided nothing, as a sentence.

    Args:
        rows: the ledger.

    >>> how_sure([])
    'If one seed decided nothing, 0 of 0 verdicts would be another: see [how verdicts are made](pages/verdicts.ipynb).'
    """
    judged = [row for row in rows if row.verdict != "not measured"]
    changed = sum(verdict_under(row, Rules(one_seed=False)) != row.phrase for row in judged)
    return (
        f"If one seed decided nothing, {changed} of {len(judged)} verdicts would be another: see"
        " [how verdicts are made](pages/verdicts.ipynb)."
    )


def section(judged: JudgedFinding, accepted: Accepted, pages: Collection[str]) -> str:
    """One finding as a section in Markdown: its title, where the runs show it, and the numbers with links.

    Args:
        judged: the finding, judged.
        accepted: the accepted ledger, for the claims that it concerns.
        pages: names of the book's pages, for links.
    """
    lines = [f"## {judged.heading}", f"**{judged.status}.**"]
    if judged.shown:
        lines.append(judged.finding.meaning)
    items = []
    for dataset, statements in judged.statements.items():
        name = judged.finding.page.format(dataset=dataset)
        link = f" [Evidence]({name}.ipynb)" if name in pages else ""
        items += [
            f"- {statement_mark(each)} **{dataset_name(dataset)}.** {_upper(each.text)}.{link}" for each in statements
        ]
    lines.append("\n".join(items))
    claims = [claim for claim in judged.finding.claims if any(name.split(" ")[0] == claim for name in accepted)]
    if claims:
        lines.append(f"*The paper's claim: {'; '.join(verdicts(claim, accepted) for claim in claims)}.*")
    return "\n\n".join(lines)


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
