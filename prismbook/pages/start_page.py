"""What the start page and the page of findings show: scope, advice, the figure's rows, and each finding as text."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from prismbook.claims.alternatives import verdict_under
from prismbook.claims.findings import JudgedFinding
from prismbook.claims.ledger import Row
from prismbook.claims.magnitudes import CHANGES, PANELS, Magnitude
from prismbook.claims.prism_claims import PROTOCOL_CASES
from prismbook.claims.statements import PROVISIONAL, core, outcome_of
from prismbook.pages import figures
from prismbook.pages.advice_in_short import headline, in_short
from prismbook.pages.advice_numbers import Known
from prismbook.pages.marks import mark, statement_mark
from prismbook.plan.experiments import PAPER_DATASETS
from prismbook.runs.records import Record
from prismbook.tables.labels import BACKBONE_NAMES, LOSS_NAMES, dataset_name
from prismbook.tables.rules import MEASURES, Rules
from prismbook.text import listed_names, plural

#: The ledger as :func:`prismbook.claims.ledger.accepted` gives it.
Accepted = Mapping[str, Mapping[str, Any]]


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
    """What was run and what was not, in a sentence.

    Args:
        runs: one row per run, from :func:`real_runs`.

    >>> scope(real_runs([])).partition(".")[0]
    'No run on a dataset of the paper is stored'
    """
    if runs.empty:
        return "No run on a dataset of the paper is stored."
    there = [name for name in PAPER_DATASETS if name in set(runs["dataset"])]
    absent = [dataset_name(name) for name in PAPER_DATASETS if name not in there]
    text = f"{plural(len(runs), 'run')} on {listed_names([dataset_name(name) for name in there])}"
    return f"{text}; not run: {listed_names(absent)}." if absent else f"{text}."


def further_runs(records: Iterable[Record]) -> str:
    """How many runs are stored on datasets that the paper does not use, in a sentence; empty without any.

    Args:
        records: run records.

    >>> further_runs([])
    ''
    """
    names = [
        record["config"]["dataset"]
        for record in records
        if record["config"]["dataset"] not in PAPER_DATASETS and not record["data"]["synthetic"]
    ]
    counted = [f"{names.count(name)} on {dataset_name(name)}" for name in sorted(set(names))]
    return f"Stored beside these are {listed_names(counted)}, which judge no claim." if counted else ""


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
    everywhere = "all datasets" if len(rows) > 1 else ""
    parts = [
        f"{dataset_name(dataset) if dataset else everywhere} {mark(row['verdict'])} {row['verdict']}".strip()
        for dataset, row in rows.items()
    ]
    return f"{claim}: {', '.join(parts) or 'no verdict'}"


def figure_rows(
    magnitudes: Iterable[Magnitude], accepted: Accepted, ledger: Iterable[Row] = ()
) -> dict[str, list[dict[str, Any]]]:
    """The rows of each panel of :func:`prismbook.pages.figures.paper_and_ours`, with the ledger's verdicts.

    A claim has one verdict on a dataset, or one on each case that the ledger judges there. It stands above the rows of
    the losses that it rests on. What is a note in the ledger, such as the released code, has none. A verdict with
    notes alone below it says that the size is open, since its own rows are not drawn then. A loss with a statement
    of its own is marked by that, whatever the verdict on all losses is.

    Args:
        magnitudes: the claims with a number.
        accepted: the ledger as :func:`prismbook.claims.ledger.summary` gives it. What it lacks is left out.
        ledger: the rows of the ledger, for the statements on single losses.
    """
    own = {
        (row.claim.id, row.dataset, each.case, each.about): "open" if each.holds is None else "decided"
        for row in ledger
        for each in core(row.statements)
    }
    panels: dict[str, list[dict[str, Any]]] = {panel: [] for panel in PANELS}
    for row in magnitudes:
        entry = accepted.get(f"{row.claim} {row.dataset}")
        if entry is None:
            continue
        judged = row.case in entry["cases"]
        noted = row.case == PROTOCOL_CASES["released"] and not judged
        phrase = entry["cases"].get(row.case, entry["verdict"])
        (words, provisional), word = split_phrase(phrase), outcome_of(phrase)
        place = f"{dataset_name(row.dataset)}, {row.case}" if judged else dataset_name(row.dataset)
        [panel] = [panel for panel, claims in PANELS.items() if row.claim in claims]
        panels[panel].append(
            {
                "group": f"{row.claim}: {CHANGES[row.claim]}",
                "part": f"{place}: {mark(phrase)} {words if word == 'not reproduced' else word}",
                "label": f"{row.loss}, released code" if noted else row.loss,
                "verdict": "" if noted else own.get(_place(row), word),
                "provisional": provisional and not noted,
                **{key: getattr(row, key) for key in ("paper", "ours", "low", "high")},
            }
        )
    for shown in panels.values():
        drawn = {(each["group"], each["part"]) for each in shown if each["verdict"]}
        for each in shown:
            if (each["group"], each["part"]) not in drawn and "not measured" not in each["part"]:
                each["part"] += ", size open"
    return {panel: rows for panel, rows in panels.items() if rows}


def _place(row: Magnitude) -> tuple[str, str, str, str]:
    """The claim, dataset, protocol and loss of a row, as a statement of the ledger has them."""
    return row.claim, row.dataset, row.case, row.loss


def shown_advice(pages: Collection[str], runs: Known) -> str:
    """Whether to use PRISM, as a line and a list in Markdown, by the rules of the page that says it at length.

    Args:
        pages: names of the book's pages, for links.
        runs: what is known.
    """
    links = {
        "should_i_use": "When to use it",
        "twenty_lines": "Twenty lines",
        "ledger": "Claims",
        "report": "Report",
    }
    shown = " · ".join(f"[{text}](pages/{name}.ipynb)" for name, text in links.items() if name in pages)
    first = "lengths d^b on at scoring"
    if "should_i_use" in pages:
        first = f"[{first}](pages/should_i_use.ipynb)"
    return f"**Should you use it?** {headline(runs)} {shown}\n\n{in_short(runs, first)}"


def panel(name: str, panels: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Show one panel of the claims with a number; nothing where no run decides any of its rows.

    Args:
        name: one of :data:`prismbook.claims.magnitudes.PANELS`.
        panels: the rows of each, from :func:`figure_rows`.
    """
    if name in panels:
        measure = MEASURES[{"epochs": "epochs", "fairness": "ratio"}.get(name, "ndcg")]
        figures.paper_and_ours(name, panels[name], float(np.expm1(measure.margin)) if measure.log else measure.margin)
        plt.show()


def rest_on_one_seed(rows: Iterable[Row]) -> tuple[int, int]:
    """How many verdicts would have another mark if one seed decided nothing, and how many rest on runs.

    Args:
        rows: the ledger.

    >>> rest_on_one_seed([])
    (0, 0)
    """
    judged = [row for row in rows if row.verdict != "not measured" and row.kind == "measurement"]
    others = [verdict_under(row, Rules(one_seed=False)) or row.phrase for row in judged]
    return sum(mark(word) != mark(row.phrase) for word, row in zip(others, judged, strict=True)), len(judged)


def how_sure(rows: Iterable[Row]) -> str:
    """The count of :func:`rest_on_one_seed` as a sentence.

    Args:
        rows: the ledger.

    >>> how_sure([]).partition(":")[0]
    'If results at one seed were not counted, 0 of 0 verdicts on runs would have another mark'
    """
    changed, judged = rest_on_one_seed(rows)
    return (
        f"If results at one seed were not counted, {changed} of {judged} verdicts on runs would have another mark: see"
        " [how verdicts are made](pages/verdicts.ipynb)."
    )


def section(judged: JudgedFinding, accepted: Accepted, pages: Collection[str], level: int = 2) -> str:
    """One finding as a section in Markdown: its title, where the runs show it, and the numbers with links.

    Args:
        judged: the finding, judged.
        accepted: the accepted ledger, for the claims that it concerns.
        pages: names of the book's pages, for links.
        level: the level of the heading; 1 is that of a page's title.
    """
    heading = judged.finding.title if judged.shown else f"Not shown: {judged.finding.title}"
    lines = [f"{'#' * level} {heading}", f"**{judged.status}.**"]
    if judged.shown:
        lines.append(judged.finding.meaning)
    items = []
    for dataset, statements in judged.statements.items():
        name = judged.finding.page
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
