"""A page that answers one question on one dataset or more: its answer first, and what is long folded at its foot.

A notebook's parameter ``dataset`` is one name or a list of names. Text stands once; a figure has a row per dataset.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from prismbook.claims import ledger
from prismbook.claims.catalogue import CLAIMS
from prismbook.claims.statements import Statement
from prismbook.pages import ledger_tables, marks, provenance
from prismbook.tables.analysis import notes
from prismbook.tables.labels import dataset_name
from prismlib import datasets as cards

#: Each claim in one short sentence, by its name.
SENTENCES = {name: text for group in ledger_tables.GROUPS.values() for name, text in group.items()}
#: Between a dataset's name and a list.
_LIST = "\n\n"
#: What the answer box says where no claim is judged.
GENERATED = (
    "Generated data: what you see is the mechanism, and no evidence about the paper. On a published dataset this box"
    " has the verdicts."
)


def spoken_of(claim: str, datasets: Iterable[str]) -> list[str]:
    """Those of some datasets of which the paper makes a claim, so that the ledger has a row.

    Args:
        claim: the claim's name, e.g. ``"C1"``.
        datasets: names of datasets.

    >>> spoken_of("C1", ["synthetic", "gowalla"])
    ['gowalla']
    """
    [there] = [each.datasets for each in CLAIMS if each.id == claim]
    return [dataset for dataset in datasets if dataset in there]


def answer(claims: Sequence[str], datasets: Sequence[str], results: Path | str | None = None) -> str:
    """The box at the top of a page, as HTML: one line per claim, with the ledger's mark and number on each dataset.

    Args:
        claims: names of claims, in the order of the lines.
        datasets: names of the page's datasets. Those of which the paper does not make a claim are left out.
        results: folder of the records; None is the one of :func:`~prismbook.runs.records.default_results`.

    >>> GENERATED in answer(["C1"], ["synthetic"])
    True
    """
    judged = {
        claim: {dataset: ledger.row(claim, dataset, results) for dataset in spoken_of(claim, datasets)}
        for claim in claims
    }
    if not any(judged.values()):
        return f'<div class="answer"><p>{GENERATED}</p></div>'
    columns = [dataset for dataset in datasets if any(dataset in rows for rows in judged.values())]
    heads = "".join(f"<th>{escape(dataset_name(dataset))}</th>" for dataset in columns)
    head = f"<thead><tr><th></th><th></th>{heads}</tr></thead>"
    lines = []
    for claim, rows in judged.items():
        cells = "".join(f"<td>{ledger_tables.cell(rows[each]) if each in rows else ''}</td>" for each in columns)
        lines.append(f"<tr><th>{claim}</th><td>{escape(SENTENCES[claim])}</td>{cells}</tr>")
    line = f" from {0.5**0.5:.2f}, where half of a variance is explained" if {"C3", "C17"} & set(claims) else ""
    against = " Where no other side is named, a change is against tuned decay." if "C13" in claims else ""
    sure = (
        "A mark is the <a href='ledger.html'>ledger</a>'s verdict, in brackets are the seeds behind a number. A"
        f" percentage without a unit is of NDCG@20; Δr is a difference of correlations{line}.{against} A ring says"
        " provisional."
        " <a href='verdicts.html'>How verdicts are made</a>"
    )
    return f'<div class="answer ledger"><table>{head}{"".join(lines)}</table><p><small>{sure}</small></p></div>'


def of_the_paper(claims: Iterable[str]) -> str:
    """What the paper claims and the figure that it gives, as a table in Markdown with one row for each claim.

    Args:
        claims: names of claims, in the order of the rows.

    >>> print(of_the_paper(["C20"]))
    | claim | in our words | the paper's figure |
    |---|---|---|
    | C20 | sizes of the datasets | table |
    """
    by_name = {each.id: each for each in CLAIMS}
    rows = [f"| {name} | {by_name[name].text} | {by_name[name].paper} |" for name in claims]
    return "\n".join(["| claim | in our words | the paper's figure |", "|---|---|---|", *rows])


def verdicts(
    claims: Mapping[str, Callable[[pd.DataFrame], Sequence[Statement]]],
    runs: Mapping[str, pd.DataFrame],
    results: Path | str | None = None,
) -> str:
    """The verdicts on a page's claims, as :func:`judged` shows them.

    Args:
        claims: for each claim, by its name, what it says of a dataset's runs.
        runs: the page's runs on each dataset, by its name.
        results: folder of the records; None is the one of :func:`~prismbook.runs.records.default_results`.
    """
    own = {
        dataset: {
            claim: judge(table)
            for claim, judge in claims.items()
            if cards.identity_card(dataset).synthetic  # elsewhere the ledger's row is shown
        }
        for dataset, table in runs.items()
    }
    return judged(list(claims), own, results)


def judged(
    claims: Sequence[str],
    statements: Mapping[str, Mapping[str, Sequence[Statement]]],
    results: Path | str | None = None,
) -> str:
    """The verdicts on a page's claims, as HTML: lines of the ledger, each of which opens to its statements.

    What a claim says over all datasets has its line where several are shown. On generated data the ledger has no row.
    What the page's own runs say of it is folded below, without a verdict. Where the ledger has a row, they are not
    judged a second time: they are only a part of its runs.

    Args:
        claims: names of the claims, in the order of the lines.
        statements: for each dataset, by its name, what the page's own runs say of each claim.
        results: folder of the records; None is the one of :func:`~prismbook.runs.records.default_results`.
    """
    rows, below = [], []
    for claim in claims:
        for dataset, by_claim in statements.items():
            row = ledger.row(claim, dataset, results) if spoken_of(claim, [dataset]) else None
            own = by_claim.get(claim, ())
            rows += [] if row is None else [row]
            if own and row is None:
                below.append(marks.alone(claim, dataset, own))
        if len(statements) > 1 and spoken_of(claim, [""]):  # what a claim says over all datasets, as C8 of a mean
            rows.append(ledger.row(claim, "", results))
    table = ledger_tables.table(rows, set(), "", {"": {claim: SENTENCES[claim] for claim in claims}}, results)
    return "".join([table if rows else "", *below])


def by_dataset(sentences: Mapping[str, str]) -> str:
    """A sentence on each dataset, in Markdown, each behind the dataset's name.

    Args:
        sentences: what is said of each dataset, by its name; an empty text is left out.

    >>> by_dataset({"gowalla": "It falls.", "yelp2018": ""})
    '**Gowalla.** It falls.'
    """
    return "\n\n".join(
        f"**{dataset_name(dataset)}.**{_LIST if text.startswith('- ') else ' '}{text}"
        for dataset, text in sentences.items()
        if text
    )


def noted(runs: Mapping[str, pd.DataFrame]) -> str:
    """What is to be said of the runs of each dataset, in Markdown, see :func:`prismbook.tables.analysis.notes`.

    Args:
        runs: a table of :func:`prismbook.tables.analysis.measured` for each dataset, by its name.
    """
    return by_dataset({dataset: notes(table) for dataset, table in runs.items()})


def minutes(runs: Mapping[str, pd.DataFrame]) -> str:
    """How long the runs behind a page took, one phrase per dataset, from the records.

    Args:
        runs: a table of :func:`prismbook.tables.analysis.measured` for each dataset, by its name.

    >>> minutes({"gowalla": pd.DataFrame({"seconds": [90.0, 30.0, None]})})
    'Gowalla 2 minutes for 2 runs'
    """
    parts = []
    for dataset, table in runs.items():
        seconds = table["seconds"].dropna()
        if len(seconds):
            long = seconds.sum() >= 2 * 3600
            amount = f"{seconds.sum() / 3600:.1f} hours" if long else f"{max(1, round(seconds.sum() / 60))} minutes"
            parts.append(f"{dataset_name(dataset)} {amount} for {len(seconds)} runs")
    return ", ".join(parts)


def run_yourself(notebook: str, runs: Mapping[str, pd.DataFrame], **parameters: Any) -> str:
    """How a reader makes the page's runs again, in Markdown: the command for one dataset, and what it took here.

    Args:
        notebook: the notebook's name, without folder and ending.
        runs: a table of :func:`prismbook.tables.analysis.measured` for each dataset, by its name.
        parameters: those of the notebook's parameters that are not at their defaults.

    >>> "-p dataset gowalla" in run_yourself("cosine", {}, dataset="gowalla")
    True
    """
    took = minutes(runs)
    times = f" The stored runs took, one after the other: {took}." if took else ""
    line = provenance.command(notebook, **parameters)
    return f"```bash\n{line}\n```\n\nThis trains what is not stored, and shows this page for one dataset.{times}"


def folded(title: str, content: str) -> str:
    """HTML that unfolds.

    Args:
        title: what is always seen, as text.
        content: the HTML below it.
    """
    return f"<details class='folded'><summary>{escape(title)}</summary>{content}</details>"


def table(dataset: str, title: str, rows: Sequence[Mapping[str, str]]) -> str:
    """A table of one dataset, folded, as HTML; empty where it has no row.

    Args:
        dataset: the dataset's name.
        title: what the table has, after the dataset's name.
        rows: the table's rows, by column.

    >>> table("gowalla", "runs", [])
    ''
    """
    if not rows:
        return ""
    shown = pd.DataFrame(rows).to_html(index=False, border=0, classes="dataframe")
    return folded(f"{dataset_name(dataset)}: {title}", f"<div style='overflow-x: auto'>{shown}</div>")


def origins(tables: Mapping[str, pd.DataFrame], runs: Mapping[str, pd.DataFrame], commands: Mapping[str, str]) -> str:
    """The full table of each dataset and the runs behind it, folded, as HTML.

    Args:
        tables: the table of each dataset as it is shown, by the dataset's name.
        runs: a table of :func:`prismbook.tables.analysis.measured` for each dataset.
        commands: the command that makes each dataset's runs again.
    """
    return "".join(
        folded(
            f"{dataset_name(dataset)}: every run",
            f"<div style='overflow-x: auto'>{table.to_html(border=0, classes='dataframe')}</div>"
            f"{provenance.provenance(runs[dataset], commands[dataset])}",
        )
        for dataset, table in tables.items()
    )
