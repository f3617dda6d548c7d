"""What the start page and the page of findings show: scope, answers, the figure's rows, and each finding as text."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from prismbook.claims.findings import FINDINGS, JudgedFinding
from prismbook.claims.magnitudes import CHANGES, Magnitude
from prismbook.claims.prism_claims import PROTOCOL_CASES
from prismbook.claims.statements import outcome_of
from prismbook.pages.ledger_tables import mark
from prismbook.plan.experiments import PAPER_DATASETS, configs
from prismbook.runs.records import Record, default_results
from prismbook.tables.analysis import best, curves, measured
from prismbook.tables.labels import BACKBONE_NAMES, LOSS_NAMES, dataset_name
from prismbook.text import listed_names, plural

#: The ledger as :func:`prismbook.claims.ledger.accepted` gives it.
Accepted = Mapping[str, Mapping[str, Any]]
PROVISIONAL = " (provisional)"
#: What differs between PRISM and tuned decay, as the subject of a sentence.
_SUBJECTS = {
    "C8": "On MF, NDCG@20 with PRISM",
    "C11": "The best epoch of DirectAU with PRISM",
    "C12": "The unpopular / popular ratio of DirectAU with PRISM",
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
    'C1: Gowalla ▲ reproduced'
    """
    rows = {name.removeprefix(claim).strip(): row for name, row in accepted.items() if name.split(" ")[0] == claim}
    parts = [
        f"{dataset_name(dataset)} {mark(*split_phrase(row['verdict']))} {row['verdict']}".strip()
        for dataset, row in rows.items()
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


def answers(magnitudes: Sequence[Magnitude], accepted: Accepted, results: Path | str | None = None) -> list[str]:
    """The start page's findings in Markdown, each with its verdicts and a link to its evidence.

    Every sentence gives numbers of the stored runs. A sentence without a run is left out.

    Args:
        magnitudes: the claims with a number.
        accepted: the accepted ledger.
        results: folder of the records; None is the one of :func:`~prismbook.runs.records.default_results`.
    """
    folder = default_results() if results is None else Path(results)
    parts = [
        _item("Is weight decay needed?", _needed(folder), ["C1"], accepted, "rq1_weight_decay_movielens1m"),
        _item("What does it write?", _written(folder), ["C3"], accepted, "rq2_norms_movielens1m"),
        _item("Can PRISM write it?", _changed("C8", magnitudes), ["C8"], accepted, "rq3_prism_movielens1m"),
        _finding(FINDINGS[0].judged(folder), "And on non-linear MF?"),
        _item("Does it train faster?", _changed("C11", magnitudes), ["C11"], accepted, "rq4_benefits_movielens1m"),
        _item("Is it fairer?", _changed("C12", magnitudes), ["C12"], accepted, "rq4_benefits_movielens1m"),
    ]
    return [part for part in parts if part]


def _item(question: str, sentence: str, claims: Sequence[str], accepted: Accepted, page: str) -> str:
    if not sentence:
        return ""
    judged = "; ".join(verdicts(claim, accepted) for claim in claims)
    return f"**{question}** {sentence} *{judged}.* [Evidence](pages/{page}.ipynb)"


def _finding(judged: JudgedFinding, question: str) -> str:
    if not judged.shown:
        return ""
    return f"**{question}** {judged.finding.title}. *{judged.status}.* [Evidence](pages/found.ipynb)"


def _each(results: Path, value: Callable[[str], str | None]) -> list[str]:
    """A text per dataset that has one."""
    texts = {name: value(name) for name in PAPER_DATASETS if (results / name).is_dir()}
    return [f"{text} on {dataset_name(name)}" for name, text in texts.items() if text]


def _needed(results: Path) -> str:
    """How far BPR and DirectAU fall short of their own best without decay."""

    def missed(dataset: str) -> str | None:
        table = curves(measured(results, configs("rq1", dataset)), ["BPR", "DirectAU"])
        if len(table) < 2 or table.index[0] != 0:
            return None
        lost = 100 * (1 - table["ndcg"].iloc[0] / table["ndcg"].max())
        return f"{lost['DirectAU']:.0f} and {lost['BPR']:.0f} %"

    each = _each(results, missed)
    return f"Without it, DirectAU and BPR fall short of their own best NDCG@20 by {listed_names(each)}." if each else ""


def _written(results: Path) -> str:
    """How DirectAU's item norms correlate with log popularity, without decay and with the chosen one."""

    def correlations(dataset: str) -> str | None:
        runs = measured(results, [config for config in configs("rq2", dataset) if config.loss == "directau"])
        zero, decayed = (runs[(runs["weight_decay"] == 0) == without] for without in (True, False))
        if zero["run"].isna().all() or decayed["run"].isna().all():
            return None
        return f"from {zero['norm_correlation'].mean():.2f} to {best(decayed)['norm_correlation']:.2f}"

    each = _each(results, correlations)
    if not each:
        return ""
    return (
        "From no decay to the decay that validation chooses, the correlation of DirectAU's item norms with log"
        f" popularity goes {listed_names(each)}."
    )


def _changed(claim: str, magnitudes: Iterable[Magnitude]) -> str:
    """Our changes and the paper's, for one claim. The intervals are in the figure."""
    rows = [row for row in magnitudes if row.claim == claim]
    several = len({row.case for row in rows}) > 1
    texts = []
    for row in rows:
        notes = [row.case] if several else []
        notes += [f"{' and '.join(row.losses)} alone"] if row.losses else []
        where = dataset_name(row.dataset) + (f" ({', '.join(notes)})" if notes else "")
        texts.append(f"{100 * row.ours:+.1f} % on {where}")
    if not texts:
        return ""
    papers = {f"{100 * row.paper:+.1f} %" for row in rows}
    if len(papers) == 1:
        paper = f"the mean over datasets is {papers.pop()}"
    else:
        of_dataset = {dataset_name(row.dataset): f"{100 * row.paper:+.1f} %" for row in rows}
        paper = "it is " + listed_names([f"{value} on {name}" for name, value in of_dataset.items()])
    return f"{_SUBJECTS[claim]} differs from that with tuned decay by {listed_names(texts)}. In the paper, {paper}."


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
        items += [f"- **{dataset_name(dataset)}.** {_upper(each.text)}.{link}" for each in statements]
    lines.append("\n".join(items))
    claims = [claim for claim in judged.finding.claims if any(name.split(" ")[0] == claim for name in accepted)]
    if claims:
        lines.append(f"*The paper's claim: {'; '.join(verdicts(claim, accepted) for claim in claims)}.*")
    return "\n\n".join(lines)


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
