"""The start page: its scope, its answers and its figure say what records and the ledger say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from made_up import made_up

from prismbook.claims import ledger, magnitudes
from prismbook.claims.catalogue import CLAIMS
from prismbook.claims.evidence import known
from prismbook.claims.ledger import Row
from prismbook.claims.magnitudes import Magnitude
from prismbook.claims.statements import Statement, outcome_of
from prismbook.pages import figures, page, start_page
from prismbook.pages.marks import mark
from prismbook.plan.experiments import grid_configs
from prismbook.runs.records import default_results
from prismbook.tables import decay_vs_prism

ROOT = Path(__file__).parents[1]
BY_ID = {claim.id: claim for claim in CLAIMS}
ROW = Magnitude("C9", "gowalla", "the released code", ("DirectAU",), 0.08, 0.2, 0.1, 0.3, 1)
ACCEPTED = {
    "C9 gowalla": {
        "verdict": "for the released code, not for the paper's text",
        "cases": {"the paper's text": "not reproduced", "the released code": "reproduced (provisional)"},
    },
    "C12 gowalla": {"verdict": "open (0 of 1 decided)", "cases": {}},
}


def test_every_claim_with_a_percentage_is_in_the_figure() -> None:
    assert set(magnitudes.CHANGES) == {claim.id for claim in CLAIMS if "%" in claim.paper}


@pytest.mark.parametrize("claim", ["C11", "C12"])
def test_the_figure_has_the_numbers_that_the_ledger_states(claim: str) -> None:
    results = default_results()
    texts = [each.text for each in BY_ID[claim].judged("gowalla", results).statements]
    judge = {"C11": magnitudes._of_epochs, "C12": magnitudes._of_ratio}[claim]
    rows = judge("gowalla", results)
    assert rows
    for row in rows:
        interval = f" [{row.low:+.1%}, {row.high:+.1%}]" if row.high > row.low else ""
        assert any(f"{row.ours:+.1%}{interval}, {row.seeds} seed" in text for text in texts)
        assert row.paper == {"C11": -0.3848, "C12": 0.7598}[claim]
        assert f"{100 * row.paper:+.2f} %" in BY_ID[claim].paper


def test_the_figure_has_the_mean_over_the_pairs_that_decide() -> None:
    pairs = decay_vs_prism.released_pairs("gowalla")
    assert [pair.decides() for pair in pairs] == [True, True]
    shares = [share for pair in pairs if (share := pair.relative_difference())]
    # they point different ways, and have no mean: a row each
    ssm, directau = magnitudes.mean_change("C9", "the released code", pairs, 2)
    assert (ssm.losses, directau.losses) == (("SSM",), ("DirectAU",))
    assert [ssm.ours, directau.ours] == [share.mean for share in shares] and ssm.ours < 0 < directau.ours
    [row] = magnitudes.mean_change("C9", "the released code", [pairs[1], pairs[1]], 2)
    assert row.ours == pytest.approx(shares[1].mean) and row.losses == ()
    assert row.high - row.low == pytest.approx((shares[1].interval[1] - shares[1].interval[0]) / 2**0.5)
    [alone] = magnitudes.mean_change("C9", "the released code", [pairs[0], replace(pairs[1], comparison=None)], 2)
    assert alone.losses == ("SSM",) and alone.paper == pairs[0].paper() and alone.ours == shares[0].mean
    assert magnitudes.mean_change("C9", "the released code", [replace(pairs[1], comparison=None)], 2) == []


def test_a_row_has_the_verdict_of_its_case() -> None:
    ratio = Magnitude("C12", "gowalla", "", (), 0.76, 0.0, -0.1, 0.1, 3)
    unknown = replace(ratio, dataset="yelp2018")
    first, second = start_page.figure_rows([ROW, ratio, unknown], ACCEPTED).values()
    assert [row["label"] for row in first + second] == ["Gowalla, released code, DirectAU", "Gowalla"]
    assert (first[0]["verdict"], first[0]["provisional"]) == ("reproduced", True)
    assert (second[0]["verdict"], second[0]["provisional"]) == ("open", False)
    assert start_page.figure_rows([ROW], {}) == {}


@pytest.fixture
def _style() -> Iterator[None]:
    mpl.use("agg")
    with mpl.style.context(figures.STYLE):
        yield
    mpl.pyplot.close("all")


@pytest.mark.usefixtures("_style")
def test_the_figure_is_readable_without_colour() -> None:
    rows = start_page.figure_rows([ROW, replace(ROW, case="the paper's text", low=0.2, high=0.2)], ACCEPTED)
    [axis] = figures.paper_and_ours(rows, 0.025).axes
    points = [line for line in axis.lines if np.shape(line.get_xdata()) == (1,)]
    assert [(float(np.asarray(line.get_xdata())[0]), line.get_marker()) for line in points] == [
        (0.2, "o"),
        (0.08, "|"),
        (0.2, "X"),
        (0.08, "|"),
    ]
    assert [line.get_markerfacecolor() == "white" for line in points[::2]] == [True, False]  # hollow: provisional
    [right] = axis.child_axes
    assert [text.get_text() for text in right.get_yticklabels()] == ["✓ reproduced", "✗ not reproduced"]
    assert len({marker for _, marker in figures.VERDICTS.values()}) == len(figures.VERDICTS)


def test_every_verdict_on_a_number_has_a_look() -> None:
    words = {outcome_of(row["verdict"]) for row in ledger.accepted().values()}
    assert words <= figures.VERDICTS.keys()


def test_the_scope_counts_real_runs_alone() -> None:
    [real] = grid_configs("gowalla", "bpr", 0.0)
    [generated] = grid_configs("synthetic", "bpr", 0.0)
    seconds = {"train": 3600.0, "evaluate": 3600.0, "cpu": 1.0}
    runs = start_page.real_runs([made_up(real, seconds=seconds), made_up(generated, seconds=seconds)])
    text = start_page.scope(runs)
    assert text.startswith("1 run on Gowalla, 2 hours of training and evaluation in all.")
    assert text.endswith("Not run: MovieLens1M, Yelp2018 and AmazonBook.")
    table: Any = start_page.scope_table(runs)
    assert table.loc["Gowalla"].tolist() == ["1", "1", "2.0", "BPR", "not run", "not run"]
    assert table.loc["AmazonBook"].tolist() == ["0", "0", "0.0", "not run", "not run", "not run"]


def test_each_question_is_answered_by_a_line_of_the_ledger() -> None:
    rows = [ledger.row("C12", dataset) for dataset in ("gowalla", "amazonbook")]
    text = start_page.answers(rows, page.pages())
    assert start_page.QUESTIONS["C12"] in text and start_page.QUESTIONS["C8"] not in text
    assert mark(rows[0].phrase) in text and 'data-label="AmazonBook">· not run' in text
    assert {f"pages/{name}" for name in page.pages()} >= set(re.findall(r'href="([^"]+)\.html"', text)) != set()


def test_the_start_page_says_how_many_verdicts_rest_on_one_seed() -> None:
    one, three = (known([Statement("a", True, seeds=seeds)]) for seeds in (1, 3))
    rows = [Row(BY_ID["C1"], "gowalla", each.statements, "reproduced", (), each) for each in (one, three, three)]
    rows.append(Row(BY_ID["C1"], "yelp2018", [], "not measured", (), known([])))
    assert start_page.how_sure(rows).startswith("If one seed decided nothing, 1 of 3 verdicts would be another")


@pytest.mark.lint
def test_the_readme_and_the_start_page_show_the_same_code() -> None:
    [readme] = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    start = (ROOT / "notebooks/index.py").read_text().replace("\n# ", "\n").replace("\n#\n", "\n\n")
    assert readme in start and len([line for line in readme.splitlines() if line]) == 6
