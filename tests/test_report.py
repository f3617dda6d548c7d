"""The one-page report: its numbers are counts of records and of rows of the ledger."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from made_up import made_up

from prismbook.claims.catalogue import CLAIMS
from prismbook.claims.evidence import known
from prismbook.claims.ledger import Row
from prismbook.claims.statements import Statement, verdict
from prismbook.pages import answers, report
from prismbook.plan.experiments import SWITCHES, grid_configs

ROOT = Path(__file__).parents[1]
BY_ID = {claim.id: claim for claim in CLAIMS}


def row(claim: str, dataset: str, *statements: Statement) -> Row:
    return Row(BY_ID[claim], dataset, statements, verdict(statements), (), known(statements))


YES, NO = Statement("a", True, seeds=1), Statement("b", False, seeds=3)
ROWS = [
    row("C4", "", Statement("f", True), Statement("g", False)),
    row("C12", "gowalla", YES, NO),
    row("C20", "gowalla", Statement("users", True)),
    row("C20", "yelp2018", Statement("users", False)),
    row("C20", "amazonbook", Statement("users", None)),
]
[CONFIG] = grid_configs("gowalla", "bpr", 0.0)
[GENERATED] = grid_configs("synthetic", "bpr", 0.0)
SECONDS = {"train": 3600.0, "evaluate": 3600.0, "cpu": 1.0}
RECORDS = report.real(
    [
        made_up(CONFIG, seconds=SECONDS),
        made_up(replace(CONFIG, backbone="lightgcn"), seconds=SECONDS, stopped_by="max_epochs"),
        made_up(GENERATED, seconds=SECONDS),
    ]
)


def test_scope_counts_claims_and_names_datasets() -> None:
    text = report.scope(ROWS, RECORDS)
    assert text.startswith("We examine 3 claims: 1 by training models, 1 on formulas, 1 on the sizes of datasets.")
    assert text.endswith("trained on Gowalla; not run: MovieLens1M, Yelp2018 and AmazonBook.")
    assert "trained on" not in report.scope(ROWS, [])


def test_method_counts_runs_and_hours() -> None:
    text = report.method(RECORDS)
    assert "2 runs with BPR on MF and LightGCN took 4 hours" in text and f"{len(SWITCHES)} in all" in text
    assert "took" not in report.method([])


def test_results_are_the_ledgers() -> None:
    text = report.results(ROWS, answers.answers(ROWS))
    assert text.startswith("Of 1 claims that are measured: for some and not for others 1.")
    assert "- **Is it fairer, and as good?** ~ It depends: 1 of 2 decided statements hold." in text
    assert report.results([], []).startswith("Nothing is measured.")


def test_what_was_easy_and_what_was_difficult_is_counted() -> None:
    assert report.easy(ROWS).startswith(
        "The theory can be checked by computing: 1 of 2 core statements on formulas hold. Table 2 agrees with the files"
        " on 1 of 2 datasets, 1 user and 1 item of MovieLens1M aside."
    )
    text = report.difficult(ROWS, RECORDS)
    assert (
        "0 of 2 runs. Of all runs 0 ended within 20 epochs, and 1 were stopped by a limit." in text
        and "Of 2 core statements that runs decide, 1 rest on one seed" in text
    )
    assert text.endswith("if one seed decided nothing, 1 of 1 verdicts on runs would have another mark.")


def test_a_page_that_is_not_built_is_said_and_nothing_is_printed() -> None:
    command = [sys.executable, str(ROOT / "book/print_pdf.py"), "--page", "pages/no_such_page"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and "`make book` builds it first" in done.stderr
    assert not (ROOT / "book/_build/no_such_page.pdf").exists()
