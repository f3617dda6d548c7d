"""What pages show of rows, records and measurements, each by a function: the notebooks only call them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html import unescape
from pathlib import Path
from runpy import run_path
from typing import Any

import matplotlib.pyplot as plt
import nbformat
import pandas as pd
import pytest
import torch
from made_up import made_up, store

from prismbook.claims import ledger
from prismbook.claims.catalogue import CLAIMS
from prismbook.claims.ledger import Row
from prismbook.claims.statements import Statement, verdict
from prismbook.pages import (
    batched_tables,
    ledger_tables,
    lightgcn_tables,
    question,
    reproduce_tables,
    rq1_tables,
    rq3_tables,
    rq4_tables,
    speed_tables,
    verdict_tables,
)
from prismbook.plan.experiments import grid_configs
from prismbook.runs.records import default_results
from prismbook.tables.analysis import measured, tidy
from prismbook.tables.decay_vs_prism import pair
from prismbook.tables.labels import DATASET_NAMES
from prismbook.tables.rules import MEASURES, Difference

ROOT = Path(__file__).parents[1]
BENCH = ROOT / "benchmarks"


CLAIM = replace(CLAIMS[7], page="page_of_it")  # C8
YES, NO = Statement("it climbs: 1 against 2; not tuned", True, seeds=3), Statement("it falls", False, provisional=True)


TICK, CROSS = '<b class="ledger-reproduced">✓</b>', '<b class="ledger-not-reproduced">○✗</b>'
SPACE = "\N{NO-BREAK SPACE}"


def row(dataset: str, *statements: Statement, ids: tuple[str, ...] = ()) -> Row:
    return Row(CLAIM, dataset, statements, verdict(statements), ids)


def test_a_cell_says_how_much_is_decided_where_nothing_holds() -> None:
    """Before, a cross stood alone, whatever was open beside it."""
    failing, waiting = Statement("a", False), Statement("b", None, undecided=True)
    assert "<small>1 of 2 decided</small>" in ledger_tables.cell(row("gowalla", failing, waiting))
    assert "decided" not in ledger_tables.cell(row("gowalla", failing))


def test_a_cell_has_a_mark_a_number_and_the_seeds() -> None:
    found = Difference((0.05, 0.06, 0.07), (0.03, 0.07))
    assert ledger_tables.cell(row("gowalla", replace(YES, difference=found))) == f"{TICK} +6.0{SPACE}%{SPACE}(3)"
    assert ledger_tables.cell(row("gowalla", NO)) == CROSS
    assert ledger_tables.cell(row("gowalla", Statement("it", None))) == "· not run"
    part = replace(YES, about="SSM"), replace(NO, about="BPR", provisional=False)
    assert (
        ledger_tables.cell(row("gowalla", *part))
        == '<b class="ledger-for-some">~</b><br><small>for SSM, not for BPR</small>'
    )
    long = [replace(each, about=each.about * 20) for each in part]
    assert "<small>not for BPR</small>" in ledger_tables.cell(row("gowalla", long[0], part[1]))
    assert "<small>1 of 2 decided hold</small>" in ledger_tables.cell(row("gowalla", *long))


def test_a_number_of_the_released_code_does_not_stand_for_both_protocols() -> None:
    """Before, C17 on MovieLens1M showed the code's number alone, since that was the one decided."""
    text, released = (
        Statement("a", holds, undecided=holds is None, case=case, difference=Difference((mean,), None))
        for case, holds, mean in (("the paper's text", None, -0.02), ("the released code", True, 0.17))
    )
    waiting = replace(released, holds=None, undecided=True)
    shown = ledger_tables.cell(row("gowalla", text, released, waiting))
    assert f'text</small> <b class="ledger-open">?</b> -2.0{SPACE}%' in shown
    assert f'code</small> <b class="ledger-open">?</b> +17{SPACE}%' in shown


def test_verdicts_on_a_dataset_without_a_spread_of_its_own_are_counted(tmp_path: Path) -> None:
    text = verdict_tables.own_spreads_in_words([row("yelp2018", YES), row("yelp2018", NO)], tmp_path)
    assert text.startswith("Yelp2018 has no such group: 2 verdicts cannot be tested so.")


def test_a_cell_shows_the_released_code_where_it_makes_no_verdict() -> None:
    """Before, C9 and C10 hid it, though the table of other rules has a verdict for it."""
    found = Difference((0.17,), None, "ndcg", 0.01)
    text = replace(NO, case="the paper's text", provisional=False)
    code = replace(YES, role="note", case="the released code", difference=found)
    shown = ledger_tables.cell(row("gowalla", text, Statement("c", None, True, case=text.case), code))
    assert shown.startswith("<small>text</small> ") and "<small>1 of 2 decided</small>" in shown
    # it has a number and no mark: neither method was searched there
    assert shown.endswith(f"<small>code</small> +17{SPACE}%{SPACE}(1) <small>not searched</small>")
    assert "code" not in ledger_tables.cell(row("gowalla", text, replace(code, difference=None)))


def test_a_number_of_which_seeds_were_cut_off_is_their_range() -> None:
    """Before, C10 showed the one seed that had been left to patience 10, the largest of the three."""
    found = Difference((-0.17,), None, "ndcg", 0.01, left_out=(-0.061, -0.068))
    said = ledger_tables.number(replace(NO, difference=found))
    assert said == f"-17{SPACE}% to -6.1{SPACE}%{SPACE}(3, 2 cut off)"


def test_a_number_has_its_unit() -> None:
    def number(measure: str) -> str:
        return ledger_tables.number(replace(YES, difference=Difference((0.16,), None, measure, 0.01)))

    assert number("correlation") == f"Δr{SPACE}+0.16{SPACE}(1)" and number("ndcg") == f"+16{SPACE}%{SPACE}(1)"
    assert number("gain") == f"+16{SPACE}% of the gain{SPACE}(1)"
    # a distance from a line says little by itself
    shown = replace(YES, difference=Difference((0.29,), None, "gap", 0.01), shown="79% in one step")
    assert ledger_tables.number(shown) == f"79{SPACE}% in one step{SPACE}(1)"
    assert {number(measure) for measure in MEASURES if measure != "ndcg"}.isdisjoint({number("ndcg")})


def test_a_cell_has_a_line_per_protocol_where_they_differ() -> None:
    found = Difference((-0.42,), (-0.5, -0.3))
    text, code = replace(NO, case="the paper's text", difference=found), replace(YES, case="the released code")
    assert ledger_tables.cell(row("gowalla", text, code)) == (
        f"<small>text</small> {CROSS} -42{SPACE}%{SPACE}(1)<br><small>code</small> {TICK}"
    )
    assert "<br>" not in ledger_tables.cell(row("gowalla", replace(YES, case="the paper's text"), code))


def test_the_ledger_has_each_claim_once_in_a_group_with_a_short_sentence() -> None:
    sentences = {claim: text for group in ledger_tables.GROUPS.values() for claim, text in group.items()}
    assert set(sentences) == {claim.id for claim in CLAIMS}
    assert sum(map(len, ledger_tables.GROUPS.values())) == len(CLAIMS)
    assert max(map(len, sentences.values())) <= 75


def test_a_line_of_the_ledger_opens_to_its_statements_and_repeats_nothing() -> None:
    rows = [
        row("movielens1m", NO, replace(YES, role="size", text="a size; not tuned"), replace(YES, text="b; not tuned")),
        row("gowalla", YES),
        row("yelp2018", Statement("not run", None)),
    ]
    text = ledger_tables.table(rows, {"page_of_it"})
    assert text.count("<details") == 1 and text.count("not tuned") == 1  # one footnote for three statements
    assert text.index("not tuned") < text.index("</details>")  # where its letters are
    assert "<li>✓ it climbs: 1 against 2<sup>a</sup></li>" in text and "<sup>a</sup> not tuned</p>" in text
    assert text.index("b<sup>a</sup>") < text.index("<i>size:</i> a size")  # the core first
    assert '<a href="page_of_it.html">Gowalla</a>: ✓ reproduced' in text
    assert "page_of_it" not in ledger_tables.table(rows, set())
    assert 'data-label="Yelp2018">· not run</span>' in text and "AmazonBook" in text


def test_claims_are_counted_by_their_core() -> None:
    other = replace(CLAIM, id="C9")
    rows = [row("gowalla", YES), row("yelp2018", replace(NO, role="size")), replace(row("gowalla", NO), claim=other)]
    assert ledger_tables.counted(rows) == "Of 2 claims that are measured: reproduced 1, not reproduced 1."
    assert "<p><b>Of 2 claims that are measured</b></p><ul><li>reproduced 1</li>" in ledger_tables.counts_beside(rows)


def test_statement_by_statement_has_all_of_a_group_and_says_what_was_not_run() -> None:
    detail = replace(YES, role="detail", text="a detail; not tuned")
    rows = [
        row("movielens1m", NO, detail, replace(YES, text="b; not tuned"), ids=("9c7b05ac6a8b",)),
        row("gowalla", YES),
        row("yelp2018", Statement("not run", None)),
    ]
    text = ledger_tables.statements(rows, "PRISM", {"page_of_it"})
    assert '<section id="c8">' in text and text.count("<li>") == 4 and "<p>Not run: Yelp2018.</p>" in text
    assert text.count("not tuned") == 1 and '<a href="page_of_it.html">Gowalla</a>: ✓ reproduced' in text
    assert "<code>9c7b05ac6a8b</code>" in text
    assert "<section" not in ledger_tables.statements(rows, "Theory", ())


def test_the_notebook_of_statements_has_every_group_and_is_kept_out_of_the_search() -> None:
    notebook = nbformat.read(ROOT / "notebooks/statements.ipynb", as_version=4)
    text = "".join(cell.source for cell in notebook.cells)
    assert re.findall(r'statements\(rows, "([^"]+)"', text) == list(ledger_tables.GROUPS)
    assert notebook.metadata["nosearch"] is True


def test_a_page_prints_the_verdict_of_the_ledger_and_no_other() -> None:
    """Whatever a page's own runs say, the words of verdicts on it are those of the ledger's row."""
    for word in ([YES], [NO], [YES, NO], [Statement("it", None, undecided=True)]):
        text = question.judged(["C14"], {"gowalla": {"C14": word}})
        assert printed(text) == [("C14", "Gowalla", PHRASE)] and LEDGER.sub("", text) == ""
        generated = question.judged(["C14"], {"synthetic": {"C14": word}})
        assert "C14 on synthetic: on this page's runs alone, no verdict" in generated
        assert printed(generated) == [] and not VERDICT.search(generated)
        assert all(each.text in generated for each in word)


def test_the_box_of_answers_has_the_cells_of_the_ledger() -> None:
    text = question.answer(["C14", "C7"], ["movielens1m", "gowalla", "synthetic"])
    assert re.findall(r"<th>([^<]*)</th>", text) == ["", "", "MovieLens1M", "Gowalla", "C14", "C7"]
    for claim, dataset in (("C14", "movielens1m"), ("C14", "gowalla"), ("C7", "gowalla")):
        assert f"<td>{ledger_tables.cell(ledger.row(claim, dataset))}</td>" in text
    assert "<td></td>" in text  # the paper does not speak of LightGCN on MovieLens1M


PHRASE = ledger.accepted()["C14 gowalla"]["verdict"]
#: Words of a verdict. "Not measured" is one as well; of a statement it says that a run is missing.
VERDICT = re.compile(
    r"\breproduced\b|\bopen \(\d+ of \d+ decided\)|(?<!searched only )\bin part\b|\bfor [^.;:]*, not for "
)
#: A claim in a table of the ledger's lines, and its verdict on a dataset as pages print it.
CLAIMS_SHOWN = re.compile(r'<details class="ledger-claim" id="(c\d+)">(.*?)</div></details>', re.DOTALL)
PRINTED = re.compile(r"<p><b>(?:<a [^>]*>)?([^<:]+)(?:</a>)?: \S+ ([^<]+)</b>")
LEDGER = re.compile(r'<div class="(?:answer )?ledger">.*?</div>(?=<details class=.folded|$)', re.DOTALL)
SHOWN = [*ROOT.glob("notebooks/*.ipynb"), *ROOT.glob("book/pages/*.ipynb")]
#: What explains verdicts or has the ledger's own tables: their cells are computed from its rows.
OF_THE_LEDGER = ("ledger", "statements", "verdicts", "index", "found", "reproduce", "report")


def printed(text: str) -> list[tuple[str, str, str]]:
    """The verdicts that a table of the ledger's lines prints: claim, dataset and verdict."""
    return [
        (claim.upper(), place, unescape(phrase))
        for claim, body in CLAIMS_SHOWN.findall(text)
        for place, phrase in PRINTED.findall(body)
    ]


def check_verdicts(path: Path) -> None:
    """Fail where an executed page has a word of a verdict that the ledger's row does not have."""
    accepted = {name: entry["verdict"] for name, entry in ledger.accepted().items()}
    by_title = {title: name for name, title in DATASET_NAMES.items()} | {"all datasets": "", "computed": ""}
    outputs = [output for each in nbformat.read(path, as_version=4).cells for output in each.get("outputs", [])]
    for output in outputs:
        data = output.get("data", {})
        for text in (output.get("text", ""), data.get("text/markdown", ""), data.get("text/html", "")):
            for claim, place, phrase in printed(text):
                assert accepted[f"{claim} {by_title[place]}".strip()] == phrase
            assert VERDICT.findall(LEDGER.sub("", text)) == []


@pytest.mark.parametrize("path", SHOWN, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_an_executed_page_has_no_verdict_that_the_ledger_does_not_have(path: Path) -> None:
    if path.stem in OF_THE_LEDGER:
        pytest.skip("its cells are rows of the ledger")
    check_verdicts(path)


def rq4() -> tuple[pd.DataFrame, list[Any]]:
    configs = grid_configs("gowalla", "directau", 0.0, init="prism", alpha=1.0)
    configs += grid_configs("gowalla", "directau", [0.0, 1e-6, 1e-4])
    curves = [[0.1, 0.2] * 11, [0.3], None, [0.1, 0.25]]
    records = [
        None if curve is None else made_up(config, validation=curve, epochs=len(curve))
        for config, curve in zip(configs, curves, strict=True)
    ]
    return tidy(configs, records), records


def test_figure_4_shows_prism_and_the_decay_that_validation_chooses() -> None:
    runs, records = rq4()
    tuned = rq4_tables.tuned_decay(runs)
    assert tuned.weight_decay == 1e-4  # decay 0 scores more, and is no decay
    assert list(rq4_tables.by_setting(runs, records)) == ["PRISM, alpha 1", "decay 0", "decay 0.0001"]
    shown = rq4_tables.prism_and_tuned(runs, records)
    assert list(shown) == ["PRISM, alpha 1", "decay 0.0001"] and shown["decay 0.0001"] is records[3]
    none = tidy(grid_configs("gowalla", "directau", [0.0, 1e-6]), [None, None])
    assert rq4_tables.tuned_decay(none) is None and rq4_tables.prism_and_tuned(none, [None, None]) == {}


def test_sentences_with_numbers_follow_from_the_runs() -> None:
    runs, _ = rq4()
    assert rq4_tables.trade(runs) == ""  # one strength
    configs = [*grid_configs("gowalla", "directau", 0.0, init="prism", alpha=1.0)]
    configs += grid_configs("gowalla", "directau", 0.0, init="prism", alpha=0.0)
    made = tidy(configs, [made_up(configs[0], (0.08, 0.0, 0.02)), made_up(configs[1], (0.04, 0.0, 0.04))])
    assert rq4_tables.trade(made) == (
        "PRISM's test NDCG@20 is within 2.5 % of its own best, 0.1000, at alpha 1. At alpha 0 it is 20.0 % below that,"
        " at a ratio of 1.000."
    )
    made = tidy(configs, [made_up(configs[0], (0.08, 0.0, 0.02)), made_up(configs[1], (0.05, 0.0, 0.05))])
    assert rq4_tables.trade(made) == (
        "PRISM's test NDCG@20 is within 2.5 % of its own best, 0.1000, at alpha 0 and 1; the unpopular / popular"
        " ratio goes there from"
        " 0.250 to 1.000."
    )
    decays = grid_configs("gowalla", "bpr", [0.0, 1e-6])
    made = tidy(decays, [made_up(decays[0], (0.08, 0.0, 0.02)), made_up(decays[1], (0.06, 0.0, 0.02))])
    assert rq1_tables.widest_gaps(made).endswith("- BPR: the gap is widest at decay 0, 0.060, beyond it 0.040 at last.")
    assert rq1_tables.widest_gaps(made.iloc[:1]) == ""
    cut = made.assign(best_epoch=[0.0, made["best_epoch"].iloc[1]], epochs=[11.0, made["epochs"].iloc[1]])
    assert rq1_tables.widest_gaps(cut).endswith(" Of its 1 run there 1 cannot decide: a stopping rule ended it.")


def test_why_no_decay_is_chosen_and_what_is_in_a_mean() -> None:
    configs = grid_configs("gowalla", "ssm", [0.0, 1e-6])
    limited = tidy(configs, [made_up(config, stopped_by="max_epochs") for config in configs])
    [row] = rq1_tables.numbers({"gowalla": limited}).itertuples(index=False)
    assert row[1] == "none: all runs cut off by the limit of epochs"
    early = tidy(configs, [made_up(config, epochs=14) for config in configs])
    assert rq1_tables.numbers({"gowalla": early})["chosen decay"].iloc[0] == "none: no run decides"
    assert rq1_tables.numbers({"gowalla": tidy(configs, [None, None])})["chosen decay"].iloc[0] == "not run"
    nothing = rq1_tables.numbers({"gowalla": tidy(configs, [None, None])}).iloc[0]
    assert set(nothing) == {"not run"} and " → " in rq1_tables.numbers({"gowalla": early})["length ~ log d"].iloc[0]
    again = replace(configs[1], seed=246, split_seed=246)
    both = [made_up(configs[1], (0.2, 0.0, 0.0)), made_up(again, (0.1, 0.0, 0.0), epochs=14)]
    assert rq1_tables.behind_the_means(tidy([configs[1], again], both)) == (
        "Of SSM at decay 1e-06 1 run of 2 decides something, with NDCG@20 0.2000; the mean over all is 0.1500."
    )
    assert rq1_tables.behind_the_means(tidy(configs, map(made_up, configs))) == ""


def test_both_backbones_are_compared_in_words(tmp_path: Path) -> None:
    configs = [
        config for name in ("lightgcn", "mf") for config in grid_configs("gowalla", "ssm", [0, 1e-6], backbone=name)
    ]

    def said(slopes: dict[str, float], lost: dict[str, float], without: int = 0) -> str:
        """Where a run without decay has these slopes and loses this share by cosine; the chosen one has 0.25."""
        scores, found = (0.1, 0.11, 0.1, 0.15), []
        for config, ndcg in zip(configs, scores, strict=True):
            run = made_up(config, (ndcg, 0.0, 0.0), [0.0, ndcg], correlation=0.4 if config.backbone == "mf" else 0.3)
            slope = 0.25 if config.weight_decay else slopes[config.backbone]
            run["test"]["cosine"] = {**run["test"]["dot"], "ndcg": ndcg * (1 - lost[config.backbone])}
            bins = [{"from": 2**b, "to": 2**b, "rows": 9, "mean": 2.0 ** (b * slope), "std": 0.0} for b in range(9)]
            run["norms"] = {"item": {"pearson_log": run["norms"]["item"]["pearson_log"], "bins": bins}}
            found.append(run)
        for run in found[without:]:
            store(tmp_path / f"{slopes}{lost}{without}", run)
        return lightgcn_tables.in_words(measured(tmp_path / f"{slopes}{lost}{without}", configs))

    slopes, lost = {"lightgcn": 0.11, "mf": 0.03}, {"lightgcn": 0.3, "mf": 0.09}
    # the correlation, which is the smaller one on LightGCN, decides nothing
    assert said(slopes, lost) == (
        "From no decay to the chosen one NDCG@20 changes by +10.0 % on LightGCN and +50.0 % on MF. Without decay the"
        " slope of log length in log popularity is 0.11 on LightGCN and 0.03 on MF. By cosine NDCG@20 is then lower by"
        " 30% on LightGCN and 9% on MF. Both point towards the reason: LightGCN's lengths are steeper without decay,"
        " and more of its ranking is in them. The correlation is 0.30 on LightGCN and 0.40 on MF: it says how tight a"
        " relation is, and not how steep. With the chosen decay the slope is 0.25 on LightGCN and 0.25 on MF."
    )
    flat, less = {"lightgcn": 0.01, "mf": 0.03}, {"lightgcn": 0.05, "mf": 0.09}
    assert "So the reason is not borne out here: LightGCN's lengths are not steeper" in said(flat, less)
    assert "The two disagree: LightGCN's lengths are not steeper without decay, and more of" in said(flat, lost)
    assert said(slopes, lost, without=2) == ""


def test_the_stored_runs_on_lightgcn_have_steeper_lengths_without_decay_than_those_on_mf() -> None:
    configs = [c for name in ("lightgcn", "mf") for c in grid_configs("gowalla", "directau", backbone=name)]
    assert "Both point towards the reason" in lightgcn_tables.in_words(measured(default_results(), configs))


def test_what_decay_of_the_batchs_rows_does_to_lengths_is_said() -> None:
    whole = grid_configs("gowalla", "directau", [0])
    batch = grid_configs("gowalla", "directau", [1e-6, 1e-5], decay_scope="batch")
    correlations, ndcg = (0.61, 0.5, 0.08), (0.2, 0.2, 0.21)
    found = [
        made_up(config, (score, 0.0, 0.0), correlation=r)
        for config, r, score in zip([*whole, *batch], correlations, ndcg, strict=True)
    ]
    said = batched_tables.in_words(tidy([*whole, *batch], found))
    assert "At 1e-05 of the batch's rows the correlation of lengths is 0.08, and 0.61 without decay." in said
    assert said.startswith("Decay of the batch's rows changes NDCG@20 by +0.0% to +5.0%. At")
    tables = grid_configs("gowalla", "directau", [1e-5])
    both = tidy([*whole, *batch, *tables], [*found, made_up(tables[0], (0.26, 0.0, 0.0), correlation=0.9)])
    assert "+5.0%, decay of the whole tables by up to +30.0%. At" in batched_tables.in_words(both)
    assert batched_tables.in_words(tidy([*whole, *batch], [None, *found[1:]])) == ""
    assert batched_tables.in_words(tidy(whole, found[:1])) == ""


def test_the_shortest_items_under_decay_of_the_batchs_rows_are_met_about_once_a_batch_as_the_theory_says() -> None:
    planned = grid_configs("movielens1m", "directau", [1e-5, 1e-4], decay_scope="batch")
    said = batched_tables.shortest({"movielens1m": measured(default_results(), planned)})
    low, high = map(float, re.findall(r"batch has ([\d.]+) to ([\d.]+)", said)[0])
    # r^3 goes as sqrt(q) / (1 - exp(-q)), which is least at q = 1.26
    assert "at 0.0001" in said and low < 1.26 < high
    assert batched_tables.shortest({"movielens1m": measured(Path("no folder"), planned)}) == ""


def test_decays_that_were_not_run_are_named() -> None:
    configs = grid_configs("gowalla", ["bpr", "directau"], [0, 1e-6, 1e-5])
    found = [made_up(config) for config in configs]
    assert rq1_tables.not_run(tidy(configs, found)) == "" == rq1_tables.not_run(tidy(configs, [None] * len(configs)))
    gaps = [
        None if config.loss == "directau" and config.weight_decay else run
        for config, run in zip(configs, found, strict=True)
    ]
    assert rq1_tables.not_run(tidy(configs, gaps)) == "Not run: DirectAU at decay 1e-06 and 1e-05."


def test_runs_that_ended_early_are_named() -> None:
    runs, records = rq4()
    found = rq4_tables.by_setting(runs, records)
    note = rq4_tables.ended_early(found)
    assert note.startswith(
        "- Look twice at decay 0, which ended within its first 20 epochs: validation 0.3000 at epoch 0,"
    )
    assert "PRISM" not in note and "validation 0.1000 at epoch 0, best 0.2500 at epoch 1." in note
    long = {name: record for name, record in found.items() if "PRISM" in name}
    assert rq4_tables.ended_early(long) == "No run on this page ended within its first 20 epochs."


def test_rq3_has_a_row_per_pair_and_a_verdict_per_claim_that_is_concerned(tmp_path: Path) -> None:
    pairs = [pair("gowalla", "mf", loss, tmp_path) for loss in ("ssm", "bpr")]
    rows = rq3_tables.differences(pairs)
    assert list(rows) == ["MF, SSM", "MF, BPR"]
    assert rows["MF, SSM"]["ours"] is None and rq3_tables.configs(pairs) == []
    assert list(rq3_tables.judged(pairs, tmp_path)) == ["C8", "C17"]
    assert list(rq3_tables.judged([pair("gowalla", "nonlinear-mf", "ssm", tmp_path)], tmp_path)) == ["C10", "C17"]


def test_hours_energy_and_versions_of_stored_runs() -> None:
    [config] = grid_configs("gowalla", "bpr", 0)
    environment = {"device": "CPU, 1 threads", "torch": "2", "python": "3", "commit": None}
    real = made_up(config, environment=environment, seconds={"train": 3600.0, "evaluate": 0.0, "cpu": 7200.0})
    real["data"]["synthetic"], real["joules"] = False, 2e3
    silent = real | {"joules": None}
    runs = reproduce_tables.costs([real, silent, real | {"data": real["data"] | {"synthetic": True}}])
    assert len(runs) == 2 and set(runs["device"]) == {"CPU, 1 thread"}
    sums = reproduce_tables.sums(runs)
    assert sums.index.tolist() == ["gowalla", "all"]
    assert sums["training, h"].tolist() == [2, 2] and sums["CPU time, h"].tolist() == [4, 4]
    assert reproduce_tables.energy(runs) == ["- CPU, 1 thread: 2.0 kJ over the 1 of 2 runs that report it"]
    assert reproduce_tables.energy(runs.iloc[1:]) == [
        "No energy is given: no stored run read the counter of a GPU that it had to itself."
    ]
    elsewhere = runs.assign(device="another CPU", kJ=float("nan"))
    assert (
        reproduce_tables.energy(pd.concat([runs, elsewhere]))[-1] == "- another CPU: not reported by any of its 2 runs"
    )
    assert reproduce_tables.energy(runs.iloc[:0]) == []
    assert reproduce_tables.versions(runs)["runs"].tolist() == [2]


def test_one_configuration_on_two_processors_is_compared_epoch_by_epoch() -> None:
    [config] = grid_configs("gowalla", "bpr", 0)
    machines = [{"device": f"{name}, 8 threads", "commit": None} for name in ("one", "two")]
    curves = [[0.1, 0.2, 0.3], [0.1, 0.25]]
    records = [
        made_up(config, validation=curve, environment=machine) for curve, machine in zip(curves, machines, strict=True)
    ]
    for record in records:
        record["data"]["synthetic"] = False
    [row] = reproduce_tables.on_two_processors(records)
    assert row["processors"] == "one and two" and row["epochs that all ran"] == 2
    assert (row["validation NDCG@20 then"], row["largest difference"]) == ("0.20000", "0.05000")
    # before, the difference was called small beside that of seeds, whatever it was
    assert reproduce_tables.beside_seeds([row], "no folder") == "Two CPUs differ by at most 25.00% of the score."
    assert "Seeds move the difference of two settings by" in reproduce_tables.beside_seeds([row])
    # before, a run that is evaluated in another way too was printed twice
    again = [
        made_up(replace(config, groups_from="all"), validation=curve, environment=machine)
        for curve, machine in zip(curves, machines, strict=True)
    ]
    for record in again:
        record["data"]["synthetic"] = False
    assert reproduce_tables.on_two_processors([*records, *again]) == [row]
    assert reproduce_tables.on_two_processors(records[:1]) == []


def test_ratios_of_the_page_on_speed_are_those_of_the_measurements() -> None:
    row = {"work": "a step", "reference": 0.2, "ours": 0.05, "target": 3, "floor": 0.025}
    table = speed_tables.against_plain([row, row | {"floor": None}])
    assert table.iloc[0].tolist() == ["200", "50.0", "4.0", "3", "2.0"] and table.iloc[1].tolist()[-1] == ""
    assert speed_tables.whole_runs("none here") == ["**GPU: none here.** `make bench` measures one where it finds one."]
    worn = {"seconds": {"fresh": 0.01, "worn": 0.05, "flushed": 0.02}}
    assert speed_tables.denormals(worn)["ratio"].tolist() == ["1.0", "5.0", "2.0"]


def test_captured_steps_are_shown_with_the_card_or_said_to_be_missing() -> None:
    [missing] = speed_tables.captured(None)
    assert missing.startswith("**Captured steps on a GPU: not measured here.**")
    targets = run_path(str(BENCH / "gpu_check.py"))["TARGETS"]
    checked = {
        "device": "NVIDIA H100",
        "torch": "2.11.0",
        "data": "gowalla",
        "date": "2026-11-26",
        "targets": targets,
        "table": {
            "MF + DirectAU, 4,096": {"eager, ms": 4.9, "captured, ms": 0.39, "was captured": True},
            "MF + BPR, 16,384": {"eager, ms": 1.6, "captured, ms": 1.6, "was captured": False},
        },
        "validation": {"ms": 14.0},
        "whole_run": {"seconds": 19.0, "stopped by": "on_epoch"},  # cut off: no time of a whole run
        "throughput": {"MPS": "started", "1": 1900.0, "8": None},
        "same": None,
    }
    card, together = speed_tables.captured(checked)
    assert "NVIDIA H100" in card and "2026-11-26" in card and card.endswith("single steps were not compared.")
    assert together == "DirectAU steps per second on this card: 1,900 from 1 worker."
    assert speed_tables.captured(checked | {"same": {"same": True}})[0].endswith("agree.")
    table = speed_tables.captured_steps(checked)
    assert list(table.index) == list(targets)
    assert table.loc["MF + DirectAU, 4,096"].tolist() == ["4.90", "0.39", "at most 0.32"]
    assert table.loc["validation"].tolist() == ["", "14.00", "at most 12"]
    assert table.loc["8 processes, steps per s"].tolist() == ["", "not measured", "at least 6,500"]
    for name in ("MF + BPR, 16,384", "run to early stop, s", "LightGCN + DirectAU, 4,096"):
        assert table.loc[name, "captured"] == "not measured"
    bare = {name: checked[name] for name in ("device", "torch", "data", "date", "targets")}  # no time for any part
    assert len(speed_tables.captured(bare)) == 1 and set(speed_tables.captured_steps(bare)["captured"]) == {
        "not measured"
    }


def test_the_stored_measurements_can_be_shown() -> None:
    bench, growth = (json.loads((BENCH / f"{name}.json").read_text()) for name in ("bench", "growth"))
    assert "GFLOP/s" in speed_tables.machine(bench) and len(speed_tables.against_plain(bench["rows"]))
    assert list(speed_tables.epochs(bench).index) == list(bench["authors"])
    assert "times its floor" in speed_tables.validation(bench) and "peaks at" in speed_tables.largest_evaluation(bench)
    there = {"environment": {"device": "a CPU"}, "data": "random", "date": "2026-01-01", "seconds": {"x": "1 s"}}
    said = speed_tables.largest_evaluation(bench | {"others": there})
    assert said.endswith("(a CPU, data random, 2026-01-01): x: 1 s.")
    offered = speed_tables.offered({"CPU": bench, "GPU": "none"})
    assert len(offered) == len(bench["offered"]) and set(offered.index.get_level_values("on")) == {"CPU"}
    figure = speed_tables.growth(pd.DataFrame(growth["growth"]))
    assert [len(axis.lines) for axis in figure.axes] == [4, 4, 4]
    plt.close(figure)


def test_the_correlation_at_rest_under_decay_of_the_batchs_rows_is_computed_beside_the_runs() -> None:
    runs = {
        name: measured(
            default_results(),
            [*grid_configs(name, "directau", [0.0]), *grid_configs(name, "directau", [1e-4], decay_scope="batch")],
        )
        for name in ("movielens1m", "gowalla")
    }
    said = batched_tables.at_rest(runs)
    films, places = map(float, re.findall(r"would be (-[\d.]+) on MovieLens1M and (-[\d.]+) on Gowalla", said)[0])
    assert -1 < places < films < -0.5  # few items of Gowalla are met more than once per batch
    ours, theirs = map(float, re.findall(r"have (-?[\d.]+) at 0.0001 .*? and (-?[\d.]+) at", said)[0])
    assert ours > films + 0.5 and theirs > places + 0.5  # the runs are not at rest
    assert batched_tables.at_rest({"gowalla": measured(Path("no folder"), grid_configs("gowalla", "directau"))}) == ""
    turn = torch.tensor([0.9, 1.0, 1.1]) * batched_tables.TURN
    left, least, right = turn.sqrt() / (1 - torch.exp(-turn))
    assert least < min(left, right)


def test_curves_that_lie_on_one_another_are_named() -> None:
    decays = [1e-6, 1e-5, 1e-4]
    configs = [*grid_configs("gowalla", "directau", [0.0])]
    configs += grid_configs("gowalla", "directau", decays, decay_scope="batch")
    table = measured(default_results(), configs)
    assert batched_tables.alike({"gowalla": table}).endswith("lie on one another: from 0 to 1e-05 on Gowalla.")
    assert batched_tables.alike({"gowalla": table[table["weight_decay"].isin([0.0, 1e-4])]}) == ""
    assert batched_tables.alike({"gowalla": table[table["weight_decay"] > 0]}) == ""
