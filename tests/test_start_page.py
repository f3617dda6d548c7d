"""The start page: its scope, its answers and its figure say what records and the ledger say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html import escape
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
from prismbook.claims.prism_claims import SIGN_TURNS
from prismbook.claims.statements import Statement, core, outcome_of, verdict
from prismbook.pages import advice_in_short, advice_numbers, answers, figures, page, start_page
from prismbook.pages.change_words import fewer_epochs
from prismbook.pages.marks import mark
from prismbook.plan.experiments import grid_configs
from prismbook.runs.records import default_results
from prismbook.tables import decay_vs_prism, ways
from prismbook.tables.labels import dataset_name
from prismbook.tables.rules import Difference

ROOT = Path(__file__).parents[1]
DATASETS = ("movielens1m", "gowalla", "yelp2018")
BY_ID = {claim.id: claim for claim in CLAIMS}
ROW = Magnitude("C9", "gowalla", "the released code", "DirectAU", 0.08, 0.2, 0.1, 0.3, 1)
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
    assert [row.loss for row in rows] == ["DirectAU"]
    for row in rows:
        interval = f" [{row.low:+.1%}, {row.high:+.1%}]" if row.high > row.low else ""
        assert any(f"{row.ours:+.1%}{interval}, {row.seeds} seed" in text for text in texts)
        # of epochs the paper prints Gowalla's own figure, which the ledger holds against ours too
        assert row.paper == {"C11": 125 / 249 - 1, "C12": 0.7598}[claim]
        assert any(f"{row.paper:+.2%}" in text for text in texts)
        printed = BY_ID[claim].paper
        assert ("Gowalla 249 to 125" if claim == "C11" else f"{100 * row.paper:+.2f} %") in printed
    if claim == "C11":
        [elsewhere] = judge("movielens1m", results)
        assert elsewhere.paper == -0.3848 and f"{100 * elsewhere.paper:+.2f} %" in printed


def test_the_figure_has_a_row_for_each_loss_that_decides() -> None:
    pairs = decay_vs_prism.released_pairs("gowalla")
    assert [pair.decides() for pair in pairs] == [True, True]
    rows = magnitudes.of_pairs("C9", "the released code", [pairs[0], replace(pairs[1], comparison=None)])
    share = pairs[0].relative_difference()
    assert share is not None
    [row] = rows
    assert (row.loss, row.paper, row.ours, (row.low, row.high)) == ("SSM", pairs[0].paper(), share.mean, share.interval)
    assert len(magnitudes.of_pairs("C9", "the released code", pairs)) == 2


def test_a_row_has_the_verdict_of_its_case() -> None:
    text = replace(ROW, case="the paper's text")
    ratio = Magnitude("C12", "gowalla", "", "DirectAU", 0.76, 0.0, -0.1, 0.1, 3)
    unknown = replace(ratio, dataset="yelp2018")
    panels = start_page.figure_rows([ROW, text, replace(text, loss="MAWU"), ratio, unknown], ACCEPTED)
    assert list(panels) == ["nonlinear", "fairness"]
    first, second, third = panels["nonlinear"]
    assert first["part"] == "Gowalla, the released code: ○✓ reproduced"
    assert second["part"] == third["part"] == "Gowalla, the paper's text: ✗ not reproduced"
    assert [row["label"] for row in (first, second, third)] == ["DirectAU", "DirectAU", "MAWU"]
    assert (first["verdict"], first["provisional"]) == ("reproduced", True)
    [last] = panels["fairness"]
    assert (last["label"], last["part"], last["verdict"]) == ("DirectAU", "Gowalla: ? open", "open")
    assert start_page.figure_rows([ROW], {}) == {}


def test_a_loss_that_is_open_is_a_cross_beside_a_verdict_that_is_not() -> None:
    """Before, a gain that decides nothing was a full dot below "not reproduced"."""
    entry = {"C9 gowalla": {"verdict": "not reproduced", "cases": {}}}
    text = replace(ROW, case="the paper's text")
    judged = stated(
        "C9",
        "gowalla",
        Statement("a", None, undecided=True, case=text.case, about="MAWU"),
        Statement("b", False, case=text.case, about="DirectAU"),
    )
    ours = start_page.figure_rows([text, replace(text, loss="MAWU")], entry, [judged])["nonlinear"]
    assert [(row["label"], row["verdict"]) for row in ours] == [("DirectAU", "decided"), ("MAWU", "open")]


def test_what_has_no_verdict_in_the_ledger_has_none_in_the_figure() -> None:
    entry = {"C9 gowalla": {"verdict": "not reproduced", "cases": {}}}
    judged, noted = start_page.figure_rows([replace(ROW, case="the paper's text"), ROW], entry)["nonlinear"]
    assert (noted["verdict"], noted["label"]) == ("", "DirectAU, released code")
    assert (judged["verdict"], judged["label"]) == ("not reproduced", "DirectAU")
    # both stand below the dataset's one verdict, which the text has
    assert judged["part"] == noted["part"] == "Gowalla: ✗ not reproduced"
    [alone] = start_page.figure_rows([ROW], entry)["nonlinear"]
    assert alone["part"] == "Gowalla: ✗ not reproduced, size open"
    [unjudged] = start_page.figure_rows([ROW], {"C9 gowalla": {"verdict": "not measured", "cases": {}}})["nonlinear"]
    assert unjudged["part"] == "Gowalla: · not measured"


@pytest.fixture
def _style() -> Iterator[None]:
    mpl.use("agg")
    with mpl.style.context(figures.STYLE):
        yield
    mpl.pyplot.close("all")


@pytest.mark.usefixtures("_style")
@pytest.mark.parametrize("panel", figures.PANELS)
def test_the_figure_is_readable_without_colour(panel: str) -> None:
    entry = {"C9 gowalla": {"verdict": "not reproduced", "cases": {}}}
    [noted] = start_page.figure_rows([ROW], entry)["nonlinear"]
    rows = [*start_page.figure_rows([ROW, replace(ROW, case="the paper's text")], ACCEPTED)["nonlinear"], noted]
    [axis] = figures.paper_and_ours(panel, rows, 0.025).axes
    points = [line for line in axis.lines if np.shape(line.get_xdata()) == (1,)]
    scaled = float if panel in ("linear", "nonlinear") else np.log1p
    places = [float(np.asarray(line.get_xdata())[0]) for line in points]
    assert places == pytest.approx([scaled(share) for share in (0.2, 0.08)] * 3)
    assert [line.get_marker() for line in points] == ["o", "|", "o", "|", ".", "|"]
    assert [line.get_markerfacecolor() == "white" for line in points[::2]] == [
        True,
        False,
        False,
    ]  # hollow: provisional
    labels = [text.get_text() for text in axis.get_yticklabels()]
    name = f"{figures.INDENT}DirectAU"
    assert labels == [
        f"C9: {magnitudes.CHANGES['C9']}",
        *("Gowalla, the released code: ○✓ reproduced", name),
        *("Gowalla, the paper's text: ✗ not reproduced", name),
        *("Gowalla: ✗ not reproduced, size open", f"{name}, released code"),
    ]
    # every marker stands on the line of its own loss
    assert [float(np.asarray(line.get_ydata())[0]) for line in points] == [2, 2, 4, 4, 6, 6]
    [better] = [text.get_text() for text in axis.texts]
    assert better == ("\N{LEFTWARDS ARROW} better" if panel == "epochs" else "better \N{RIGHTWARDS ARROW}")
    # a verdict is of a dataset, in words: single losses that point elsewhere do not carry it
    assert len({line.get_color() for line in points[:4:2]}) == 1


def test_the_scope_counts_real_runs_alone() -> None:
    [real] = grid_configs("gowalla", "bpr", 0.0)
    [generated] = grid_configs("synthetic", "bpr", 0.0)
    seconds = {"train": 3600.0, "evaluate": 3600.0, "cpu": 1.0}
    runs = start_page.real_runs([made_up(real, seconds=seconds), made_up(generated, seconds=seconds)])
    text = start_page.scope(runs)
    assert text == "1 run on Gowalla; not run: MovieLens1M, Yelp2018 and AmazonBook."
    table: Any = start_page.scope_table(runs)
    assert table.loc["Gowalla"].tolist() == ["1", "1", "2.0", "BPR", "not run", "not run"]
    assert table.loc["AmazonBook"].tolist() == ["0", "0", "0.0", "not run", "not run", "not run"]


def test_runs_on_further_datasets_are_counted_beside() -> None:
    """Before, the first page counted none of them."""
    real = [made_up(grid_configs(name, "bpr", 0.0)[0]) for name in ("gowalla", "amazoncds", "synthetic")]
    assert start_page.further_runs(real) == "Stored beside these are 1 on AmazonCDs, which judge no claim."


def stated(claim: str, dataset: str, *statements: Statement) -> Row:
    return Row(BY_ID[claim], dataset, statements, verdict(statements), ())


def test_every_mark_of_the_first_table_is_the_ledgers() -> None:
    rows = [ledger.row(question.claim, dataset) for question in answers.QUESTIONS for dataset in DATASETS]
    given = answers.answers(rows)
    assert [answer.question for answer in given] == list(answers.QUESTIONS)
    text = answers.table(given, page.pages())
    outcomes = {claim_rows[0].claim.id: claim_rows for claim_rows in ledger.by_claim(rows)}
    for answer in given:
        measured = [row for row in outcomes[answer.question.claim] if row.verdict != "not measured"]
        assert measured and [(name, sign) for name, sign, _ in answer.ours] == [
            (dataset_name(row.dataset), mark(row.phrase)) for row in measured
        ]
        # and over all datasets it is the one that the ledger counts
        [counted] = ledger.counts(measured)["measurement"]
        assert outcome_of(answer.phrase) == counted
        assert f'<b class="answer-mark">{mark(answer.phrase)}</b> {escape(answer.words)}' in text
        assert any(value for _, _, value in answer.ours)
    assert {f"pages/{name}" for name in page.pages()} >= set(re.findall(r'href="([^"#]+)\.html', text)) != set()


def test_an_answer_says_what_does_not_hold_and_how_much_is_open() -> None:
    found = Difference((-0.2,) * 3, None, "ratio", 0.01)
    fairer, good = (
        Statement("a", False, difference=found, about="being fairer"),
        Statement("b", True, about="being as good"),
    )
    rows = [
        stated("C12", "gowalla", fairer, good),
        stated("C12", "yelp2018", replace(fairer, holds=None, undecided=True)),
    ]
    [answer] = answers.answers(rows)
    assert answer.words == "It depends: 1 of 2 decided statements hold. Not for being fairer on Gowalla. 1 of 3 open."
    assert answer.ours == [("Gowalla", "~", "-18\N{NO-BREAK SPACE}%"), ("Yelp2018", "?", "-18\N{NO-BREAK SPACE}%")]
    assert answer.sure == "3 seeds"
    [none] = answers.answers([stated("C12", "gowalla", Statement("a", None))])
    assert (none.words, none.ours, none.sure) == ("Not run.", [], "")


def test_advice_is_that_of_the_page_that_says_it_at_length() -> None:
    known = advice_numbers.Known([ways.compared("gowalla", loss) for loss in ways.LOSSES])
    text = start_page.shown_advice({"ledger"}, known)
    assert text.startswith("**Should you use it?**") and text.endswith(
        f"\n\n{advice_in_short.in_short(known, 'lengths d^b on at scoring')}"
    )
    assert "[Claims](pages/ledger.ipynb)" in text and "pages/should_i_use" not in text
    assert advice_in_short.headline(known) in text
    linked = start_page.shown_advice({"should_i_use"}, advice_numbers.known())
    assert "put [lengths d^b on at scoring](pages/should_i_use.ipynb) (b by validation), rank by the dot" in linked


def test_the_short_advice_has_the_range_of_the_long_one() -> None:
    known = advice_numbers.known()
    said = advice_in_short.in_short(known).replace("\N{NO-BREAK SPACE}", " ")
    scoring, stopped, others, decay, ssm, bpr = said.splitlines()
    changes = [each.change(ways.NONE) for each in known.of("directau")]
    means = [change.mean for change in changes if change is not None]
    # before, the range was over two losses, beside a decay's of one
    assert f"it helps, {100 * min(means):+.1f} % to {100 * max(means):+.1f} %, " in others and "(MAWU +" in others
    assert "(Adam, AdamW, lazy Adam, row-wise Adagrad)" in scoring and "no need of PRISM" in decay
    # a training that stops by lengths at scoring is compared at the seeds that both have
    record = next(iter(known.scored()["gowalla"]))
    prism = 0.1381678
    change = 100 * (record["lengths"]["test"][3]["ndcg"] / prism - 1)
    assert (
        f"{change:+.1f} % (not worse) on Gowalla" in stopped
        and "times PRISM's; at PRISM's ratio ($b$ from the test set) +" in stopped
    )
    # before, the sign that more patience turns was not said, nor how many runs are behind BPR's number
    assert (
        "open on Gowalla" in ssm
        and "at patience 100, cut off: MovieLens1M +0.9 %, Gowalla +10.5 % against 1e-4)" in ssm
    )
    assert "do not use it: all 6 runs on MF at patience 10 stopped at their start" in bpr
    assert "put lengths on at scoring (b by validation), rank by the dot product. Adam's NDCG@20 0." in scoring
    assert "Unpopular items lose" in scoring


def test_numbers_of_epochs_name_the_strength_and_whether_they_are_decided() -> None:
    """Before, +89 % of alpha 0.75 stood beside +133 % of alpha 1 elsewhere, and an undecided +58 % stood bare."""
    found = Difference((0.5,), None, "epochs", 0.3)
    rows = [
        stated(
            "C11",
            "gowalla",
            Statement("a", False, difference=found, about="needing fewer epochs", alpha=0.75),
            Statement("b", None, True, difference=found, role="note", case="learning rate 0.01", alpha=1.0),
            Statement("c", True, difference=found, role="note", case="learning rate 0.1", alpha=1.0),
            Statement("d", False, role="note", case="learning rate 1", seeds=1),
        )
    ]
    [answer] = answers.answers(rows)
    assert answer.ours[0][2].endswith("% (\N{GREEK SMALL LETTER ALPHA}\N{NO-BREAK SPACE}0.75)")
    assert answer.words.endswith(" Open at rate 0.01.") and "At learning rate 0.1: +65" in answer.words
    assert "\N{NO-BREAK SPACE}1). At learning rate 1: nothing comparable on Gowalla." in answer.words


def test_the_start_page_has_the_sign_at_the_gamma_of_the_papers_scores() -> None:
    """Before, a cross stood beside the search's gamma alone, though at the other one the sign is the paper's."""
    up, down = (Difference((share,), None, "ndcg", 0.01) for share in (0.06, -0.2))
    at_one = Statement("Non-Linear MF with DirectAU at gamma 1 alone: more", True, difference=up, role="detail")
    released = Statement("a", None, True, difference=up, role="note", about="DirectAU", case="the released code")
    core = Statement("b", False, difference=down, about="DirectAU")
    one_decay = replace(at_one, holds=None, undecided=True)
    rows = [stated("C9", "movielens1m", core, at_one, released), stated("C9", "gowalla", core, one_decay, released)]
    [answer] = answers.answers(rows)
    said = answer.words.replace("\N{NO-BREAK SPACE}", " ")
    assert "Released code, no ReLU, not searched: DirectAU +6.0 % on MovieLens1M, +6.0 % on Gowalla." in said
    # before, it stood after the released code's numbers and read as theirs
    at_gamma = (
        "DirectAU at \N{GREEK SMALL LETTER GAMMA} 1 for both: +6.0 % on MovieLens1M, +6.0 % on Gowalla (one decay)."
    )
    assert at_gamma in said and said.index(at_gamma) < said.index("Released code")


def test_the_start_page_says_where_another_decay_turns_the_sign_of_epochs() -> None:
    found = Difference((0.5,), None, "epochs", 0.3)
    core = Statement("a", False, difference=found, about="needing fewer epochs", alpha=0.75)
    turned = Statement("b", None, role="note", about=SIGN_TURNS)
    [answer] = answers.answers([stated("C11", "gowalla", core, turned), stated("C11", "yelp2018", core)])
    assert answer.words.endswith("Another decay within 2.5 % on validation turns it round on Gowalla.")
    [answer] = answers.answers([stated("C11", "gowalla", core)])
    assert "turns it round" not in answer.words


def test_the_start_page_says_how_many_verdicts_rest_on_one_seed() -> None:
    one, three = (known([Statement("a", True, seeds=seeds)]) for seeds in (1, 3))
    rows = [Row(BY_ID["C1"], "gowalla", each.statements, "reproduced", (), each) for each in (one, three, three)]
    rows.append(Row(BY_ID["C1"], "yelp2018", [], "not measured", (), known([])))
    assert start_page.how_sure(rows).startswith(
        "If results at one seed were not counted, 1 of 3 verdicts on runs would have another mark"
    )


@pytest.mark.lint
def test_the_readme_and_the_start_page_show_the_same_code() -> None:
    [readme] = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    start = (ROOT / "notebooks/index.py").read_text().replace("\n# ", "\n").replace("\n#\n", "\n\n")
    assert readme in start and len([line for line in readme.splitlines() if line]) == 6


def test_a_verdict_that_changes_in_its_words_alone_keeps_its_mark() -> None:
    """Before, "open (1 of 2 decided)" against "open (0 of 2 decided)" was counted as another verdict."""
    fewer = known([Statement("a", True, seeds=1), Statement("b", None, undecided=True)])
    row = Row(BY_ID["C1"], "gowalla", fewer.statements, "open (1 of 2 decided)", (), fewer)
    assert start_page.rest_on_one_seed([row]) == (0, 1)


def test_a_relation_of_norms_is_shown_by_its_correlation_and_not_by_its_distance_from_the_line() -> None:
    apart = Difference((0.25,), None, "correlation")
    followed = Statement("a", True, difference=apart, about="DirectAU with decay", value=0.957)
    little = Statement("b", True, difference=apart, about="DirectAU without decay", value=-0.512)
    other = Statement("c", True, difference=apart, about="BPR with decay", value=0.7)
    [answer] = answers.answers([stated("C3", "gowalla", other, followed, little)])
    assert answer.ours == [("Gowalla", "\N{CHECK MARK}", "-0.51 to 0.96")]


def test_the_strength_and_the_correlation_that_are_shown_are_those_of_the_sentences() -> None:
    rows = [ledger.row(claim, "gowalla") for claim in ("C3", "C11", "C12")]
    follows, *chosen = [[each for each in core(row.statements) if each.difference is not None] for row in rows]
    assert follows and all(f"(correlation {each.value:.2f})" in each.text for each in follows)
    assert all(chosen) and all(f"PRISM, alpha {each.alpha:g}" in each.text for said in chosen for each in said)
    for answer in answers.answers(rows[1:]):
        assert re.search("\\(\N{GREEK SMALL LETTER ALPHA}\N{NO-BREAK SPACE}[\\d.]+\\)$", answer.ours[0][2])


def test_how_many_epochs_are_saved_has_all_datasets_and_says_which_end_is_open() -> None:
    sure, unsure, more = (
        Difference(tuple([np.log(factor)] * seeds), None, "epochs", 0.3)
        for factor, seeds in ((0.3, 3), (0.75, 1), (1.2, 3))
    )
    plain = [
        fewer_epochs(found, " than PRISM").replace("\N{NO-BREAK SPACE}", " ") for found in ([sure, unsure], [sure])
    ]
    assert plain == ["in 25 (by value) to 70 % fewer epochs than PRISM", "in 70 % fewer epochs than PRISM"]
    assert fewer_epochs([unsure]).endswith("all open") and fewer_epochs([sure, more]).startswith("epochs")
    assert fewer_epochs([]) == ""
