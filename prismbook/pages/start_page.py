"""What the start page and the page of findings show: scope, advice, the figure's rows, and each finding as text."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from prismbook.claims.alternatives import verdict_under
from prismbook.claims.findings import JudgedFinding
from prismbook.claims.ledger import Row
from prismbook.claims.magnitudes import CHANGES, PANELS, Magnitude
from prismbook.claims.prism_claims import PROTOCOL_CASES
from prismbook.claims.statements import PROVISIONAL, outcome_of
from prismbook.pages import figures
from prismbook.pages.marks import mark, statement_mark
from prismbook.plan.experiments import PAPER_DATASETS, grid_configs
from prismbook.runs.records import Record, default_results
from prismbook.tables.analysis import measured
from prismbook.tables.labels import BACKBONE_NAMES, LOSS_NAMES, dataset_name
from prismbook.tables.rules import MARGIN, MEASURES, Rules
from prismbook.tables.seed_differences import usable
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
    """The rows of each panel of :func:`prismbook.pages.figures.paper_and_ours`, with the ledger's verdicts.

    A claim on a dataset has one verdict, which stands at the first of its rows. What is a note in the ledger, such as
    the released code, has none.

    Args:
        magnitudes: the claims with a number.
        accepted: the ledger as :func:`prismbook.claims.ledger.summary` gives it. What it lacks is left out.
    """
    panels: dict[str, list[dict[str, Any]]] = {panel: [] for panel in PANELS}
    seen = set()
    for row in magnitudes:
        entry = accepted.get(f"{row.claim} {row.dataset}")
        if entry is None:
            continue
        noted = row.case == PROTOCOL_CASES["released"] and row.case not in entry["cases"]
        phrase = "" if noted else entry["cases"].get(row.case, entry["verdict"])
        words, provisional = split_phrase(phrase)
        place = (row.claim, row.dataset, phrase)
        name = f"{dataset_name(row.dataset)}, {row.loss}{', released code' if noted else ''}"
        [panel] = [panel for panel, claims in PANELS.items() if row.claim in claims]
        panels[panel].append(
            {
                "group": f"{row.claim}, {CHANGES[row.claim]}",
                "label": name,
                "said": "" if noted or place in seen else f"{mark(phrase)} {outcome_of(phrase)}",
                "verdict": outcome_of(words) if words else "",
                "provisional": provisional,
                **{key: getattr(row, key) for key in ("paper", "ours", "low", "high")},
            }
        )
        seen.add(place)
    return {panel: rows for panel, rows in panels.items() if rows}


#: The decays that a user of Adam is likely to have, tuned or not.
USUAL_DECAYS = (1e-6, 1e-5)


def against(loss: str, decays: Sequence[float], results: Path | str | None = None) -> dict[str, list[float]]:
    """What PRISM changes of test NDCG@20 on MF, by dataset: as a share of each decay that was run, at the first seed.

    Runs that early stopping or the limit of epochs cut off take no part.

    Args:
        loss: the loss that is trained.
        decays: the weight decays that PRISM is compared with.
        results: folder of the records; None is the one of :func:`~prismbook.runs.records.default_results`.
    """
    folder = default_results() if results is None else Path(results)
    changes: dict[str, list[float]] = {}
    for dataset in PAPER_DATASETS:
        if not (folder / dataset).is_dir():
            continue
        planned = grid_configs(dataset, loss, decays) + grid_configs(dataset, loss, 0.0, init="prism", alpha=1.0)
        runs = usable(measured(folder, planned))
        prism, decay = (runs[runs["init"] == init]["ndcg"] for init in ("prism", "xavier"))
        if len(prism) and len(decay):
            changes[dataset] = (float(prism.iloc[0]) / decay - 1).tolist()
    return changes


def advice(pages: Collection[str], results: Path | str | None = None) -> str:
    """Whether to use PRISM, in Markdown: what it changes for whom, computed from the records.

    Args:
        pages: names of the book's pages, for links.
        results: folder of the records; None is the one of :func:`~prismbook.runs.records.default_results`.
    """
    cosine = {loss: against(loss, (0.0,), results) for loss in ("directau", "mawu")}
    usual = against("directau", USUAL_DECAYS, results)
    ssm, bpr = (against(loss, (0.0,), results) for loss in ("ssm", "bpr"))
    sentences = []
    if any(cosine.values()):
        gains = ", ".join(
            f"{span(changes)} of NDCG@20 with {LOSS_NAMES[loss]}" for loss, changes in cosine.items() if changes
        )
        sentences.append(f"If you train without weight decay: {recommended(gains_of(cosine.values()))} ({gains}).")
    if ssm:
        small = [dataset_name(name) for name, values in ssm.items() if max(map(abs, values)) <= MARGIN]
        sentences.append(
            f"With {LOSS_NAMES['ssm']} it changes {span(ssm)}{', on ' + listed_names(small) if small else ''}."
        )
    if usual:
        decays = " or ".join(f"{decay:g}" for decay in USUAL_DECAYS)
        sentences.append(
            f"If a decay of {decays} is already in your Adam: {recommended(gains_of([usual]))} ({span(usual)} with"
            f" {LOSS_NAMES['directau']})."
        )
    if bpr:
        sentences.append(f"With BPR: {recommended(gains_of([bpr]))} ({span(bpr)}).")
    if not sentences:
        return "**Should you use it?** No run is stored that could tell."
    links = {
        "should_i_use": "More, with conditions",
        "twenty_lines": "PRISM in twenty lines",
        "ledger": "All claims",
        "report": "One-page report",
    }
    shown = " · ".join(f"[{text}](pages/{name}.ipynb)" for name, text in links.items() if name in pages)
    return f"**Should you use it?** {' '.join(sentences)} One seed each. {shown}"


def gains_of(changes: Iterable[Mapping[str, Sequence[float]]]) -> list[float]:
    """All changes of some losses in one list.

    Args:
        changes: of each loss, from :func:`against`.
    """
    return [value for by_dataset in changes for values in by_dataset.values() for value in values]


def recommended(changes: Sequence[float]) -> str:
    """What changes of NDCG@20 advise, by the margin of the rules.

    Args:
        changes: as shares; one or more.

    >>> recommended([0.25, 0.43]), recommended([0.01, -0.02]), recommended([-0.3]), recommended([0.1, -0.1])
    ('try it', 'no need', 'do not', 'it depends')
    """
    if min(changes) > MARGIN:
        return "try it"
    if max(changes) < -MARGIN:
        return "do not"
    return "no need" if max(changes) <= MARGIN else "it depends"


def span(changes: Mapping[str, Sequence[float]]) -> str:
    """The smallest and the largest change, in per cent.

    Args:
        changes: by dataset, from :func:`against`.

    >>> span({"gowalla": [0.43], "yelp2018": [0.25, 0.3]}), span({"gowalla": [-0.004]})
    ('+25 to +43 %', '-0.4 %')
    """
    low, high = min(min(values) for values in changes.values()), max(max(values) for values in changes.values())
    spec = "+.0f" if min(abs(low), abs(high)) >= 0.1 else "+.1f"
    texts = list(dict.fromkeys(f"{100 * value:{spec}}" for value in (low, high)))
    return f"{' to '.join(texts)} %"


def panel(name: str, panels: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Show one panel of the claims with a number; nothing where no run decides any of its rows.

    Args:
        name: one of :data:`prismbook.claims.magnitudes.PANELS`.
        panels: the rows of each, from :func:`figure_rows`.
    """
    if name in panels:
        measure = MEASURES[{"quality": "ndcg", "epochs": "epochs", "fairness": "ratio"}[name]]
        figures.paper_and_ours(name, panels[name], float(np.expm1(measure.margin)) if measure.log else measure.margin)
        plt.show()


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
