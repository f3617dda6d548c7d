"""The page "Should I use PRISM?": what is compared, and that its sentences follow the runs."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import jupytext
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from made_up import made_up, store

from prismbook.pages import advice, advice_in_short, advice_numbers, should_i_use
from prismbook.pages.advice_numbers import Known
from prismbook.plan.config import RunConfig
from prismbook.plan.experiments import SEEDS, configs, grid_configs, protocol_pairs
from prismbook.tables import ways
from prismbook.tables.decay_vs_prism import pair
from prismbook.tables.lengths import at_ratio, by_training, with_chosen_lengths
from prismbook.tables.rules import MARGIN, Difference, judge
from prismbook.tables.ways import DATASETS, FIXED, LOSSES, NONE, PRISM, SGD, STRONG, TUNED, WAYS
from prismlib.lengths import popularity_power, with_lengths

CELLS = jupytext.read(Path(__file__).parents[1] / "notebooks" / "should_i_use.ipynb").cells


@pytest.fixture(scope="module")
def known() -> Known:
    return advice_numbers.known()


@pytest.fixture(scope="module")
def stored(known: Known) -> list[ways.Compared]:
    return list(known.compared)


def made(results: Path, scores: dict[str, float], loss: str = "directau", dataset: str = "gowalla") -> ways.Compared:
    """The ways with one run of each score, all of it of popular and a fifth of unpopular items."""
    arguments: dict[str, dict[str, Any]] = {
        NONE: {"weight_decays": 0.0},
        FIXED: {"weight_decays": 1e-6},
        TUNED: {"weight_decays": 1e-5},
        STRONG: {"weight_decays": 1e-4},
        PRISM: {"weight_decays": 0.0, "init": "prism", "alpha": 1.0},
        SGD: {"weight_decays": 0.0, "optimizer": "sgd", "lr": 30.0},
    }
    for way, score in scores.items():
        (config,) = grid_configs(dataset, loss, **arguments[way])
        validation = [0.0, 0.2 if way == TUNED else 0.1]
        store(results, made_up(config, parts=(0.8 * score, 0.0, 0.2 * score), validation=validation))
    return ways.compared(dataset, loss, results)


def test_every_way_is_the_run_that_it_says() -> None:
    found = ways.compared("movielens1m", "directau", "no folder").runs
    assert list(found) == [*WAYS, STRONG] and all(list(runs["seed"]) == list(SEEDS) for runs in found.values())
    assert set(found[FIXED]["weight_decay"]) == {1e-6} and set(found[STRONG]["weight_decay"]) == {1e-4}
    assert set(found[PRISM]["init"]) == {"prism"} and set(found[PRISM]["alpha"]) == {1.0}
    assert set(found[NONE]["weight_decay"]) == set(found[SGD]["weight_decay"]) == {0.0}
    planned = {config for config in configs("law", "movielens1m") if config.optimizer == "sgd" and config.lr == 30.0}
    assert RunConfig("movielens1m", "directau", gamma=0.5, optimizer="sgd", lr=30.0) in planned


def test_the_tuned_decay_is_the_one_that_validation_chooses(tmp_path: Path) -> None:
    found = made(tmp_path, {NONE: 0.3, FIXED: 0.25, TUNED: 0.2, PRISM: 0.2})
    assert found.decay() == 1e-5 and found.shown(TUNED)["ndcg"].tolist() == pytest.approx([0.2])
    assert ways.compared("yelp2018", "directau", tmp_path).decay() is None


def test_the_tuned_decay_is_the_one_of_rq3_where_its_runs_decide_something(stored: list[ways.Compared]) -> None:
    """Before, MAWU on MovieLens1M and SSM on Gowalla had another tuned decay on this page than on RQ3's."""
    elsewhere = set()
    for found in stored:
        search = pair(found.dataset, "mf", found.loss).decay
        chosen = None if search is None else search.chosen.weight_decay
        if search is not None and search.usable():
            assert (found.decay(), found.undecided) == (chosen, None), (found.dataset, found.loss)
        elif found.decay() != chosen:
            assert found.undecided == chosen
            elsewhere.add((found.dataset, found.loss))
            table = should_i_use.table([found])
            assert "(RQ3's search chose 1e-3, whose run decides nothing)" in table
    # its 1e-3 stopped in its first epochs with patience 10; until it is repeated with more the page has another one
    assert elsewhere == {("gowalla", "ssm")}


def test_numbers_are_those_of_the_records(stored: list[ways.Compared]) -> None:
    """The table of the design: MovieLens1M, DirectAU, seed 123, to four places."""
    (one,) = [each for each in stored if (each.dataset, each.loss) == ("movielens1m", "directau")]
    at_seed = {way: runs[runs["seed"] == 123] for way, runs in one.runs.items()}
    assert [round(float(at_seed[way]["ndcg"].iloc[0]), 4) for way in (NONE, FIXED, TUNED, PRISM)] == [
        *(0.2108, 0.2643, 0.2708, 0.2637)
    ]
    assert [int(at_seed[way]["best_epoch"].iloc[0]) for way in (NONE, FIXED, TUNED, PRISM)] == [36, 393, 143, 182]
    change = one.change(NONE)
    assert change is not None and change.mean == pytest.approx(0.2637259 / 0.2107878 - 1, abs=1e-3)
    assert change.users is not None  # an interval over users, from their stored scores


def test_a_run_that_decides_nothing_is_shown_with_its_reason_and_compared_with_nothing(tmp_path: Path) -> None:
    found = made(tmp_path, {PRISM: 0.2, TUNED: 0.2})
    (config,) = grid_configs("gowalla", "directau", 0.0)
    store(tmp_path, made_up(config, epochs=13))
    early = ways.compared("gowalla", "directau", tmp_path)
    assert early.setback(NONE) == "stopped in its first 20 epochs" and early.change(NONE) is None
    assert found.setback(PRISM) == "" and found.setback(SGD) == ""
    limited = tmp_path / "limited"
    store(limited, made_up(config, epochs=1000, stopped_by="max_epochs"))
    assert ways.compared("gowalla", "directau", limited).setback(NONE) == "cut off by the limit of epochs"
    gone = tmp_path / "gone"
    store(gone, made_up(config, validation=[0.1, 0.05]))
    assert ways.compared("gowalla", "directau", gone).setback(NONE) == "never learned at 1 of 1 seed"


@pytest.mark.parametrize(
    ("without", "decayed", "words"),
    [
        (0.10, 0.20, ("It helps, NDCG", "no need of PRISM")),
        (0.20, 0.20, ("It is no gain, NDCG", "no need of PRISM")),
        (0.30, 0.10, ("It is no gain, NDCG", "PRISM may help")),
    ],
)
def test_the_answer_follows_the_runs(tmp_path: Path, without: float, decayed: float, words: tuple[str, str]) -> None:
    found = made(tmp_path, {NONE: without, FIXED: decayed, TUNED: decayed, PRISM: 0.2, STRONG: decayed})
    first, decay, prism, _, with_decay, *others = lines_of(found)
    assert first.startswith("- **Adam without decay, DirectAU.** ") and decay.startswith(
        "  1. **A coupled decay of 1e-5**"
    )
    assert prism.startswith("  2. **PRISM**") and words[0] in prism and words[1] in with_decay
    assert f"{100 * (0.2 / without - 1):+.1f}" in prism and f"{100 * (0.2 / decayed - 1):+.1f}" in with_decay
    assert (
        f"It gives {100 * (decayed / without - 1):+.1f} % against no decay, and {100 * (decayed / 0.2 - 1):+.1f}"
        in decay
    )
    assert others == ["- **SSM:** no run says it.", "- **BPR:** no run says it."]


def lines_of(*compared: ways.Compared, **more: Any) -> list[str]:
    """The points of the answer, each with its own points behind it in one line, with plain spaces."""
    said = advice.answer(Known(compared, **more)).replace("\N{NO-BREAK SPACE}", " ").replace("\n  - ", " ")
    return [line for line in said.splitlines() if line.strip()]


def of(lines: list[str], name: str) -> str:
    """The line on one loss."""
    [line] = [line for line in lines if line.startswith(f"- **{name}:**")]
    return line


def test_other_losses_have_their_own_sentence(tmp_path: Path) -> None:
    helped = made(tmp_path, {TUNED: 0.1, PRISM: 0.2}, loss="ssm")
    harmed = made(tmp_path, {TUNED: 0.2, PRISM: 0.1}, loss="bpr")
    *_, ssm, bpr = lines_of(helped, harmed)
    assert ssm == (
        "- **SSM:** tune the decay, or use PRISM. Against tuned decay, at patience 10, PRISM helps: +100.0 % on"
        " Gowalla, 1 seed."
    )
    assert bpr == "- **BPR:** do not use it: against tuned decay -50.0 % on Gowalla, 1 seed."


@pytest.mark.parametrize(
    ("decided", "said"),
    [
        (0.1, "PRISM helps: +100.0 % on Yelp2018, 1 seed; open on Gowalla, whose tuned decay decides nothing."),
        (None, "no run says it."),
    ],
)
def test_a_tuned_decay_that_decides_nothing_is_no_advice(tmp_path: Path, decided: float | None, said: str) -> None:
    """As SSM's on Gowalla: the search's decay decides nothing, and another one is shown in its place."""
    open_one = replace(made(tmp_path / "a", {TUNED: 0.1, PRISM: 0.2}, loss="ssm"), undecided=1e-3)
    assert open_one.change(TUNED) is not None
    firm = (
        []
        if decided is None
        else [replace(made(tmp_path / "b", {TUNED: decided, PRISM: 0.2}, loss="ssm"), dataset="yelp2018")]
    )
    assert of(lines_of(*firm, open_one), "SSM").endswith(said)


def test_what_more_patience_gives_stands_beside_the_search_and_decides_nothing(tmp_path: Path) -> None:
    """Before, a mean over three seeds and a run of one seed made a sign that depends on patience."""
    for config, score in zip(
        [long for _, long in protocol_pairs("patience", "gowalla")][1:3], (0.15, 0.1), strict=True
    ):
        store(tmp_path, made_up(config, parts=(score, 0.0, 0.0)))
    found = made(tmp_path, {TUNED: 0.2, PRISM: 0.1}, loss="ssm")
    assert found.patient is None  # the users' scores of these runs are not stored
    more = replace(found, patient=Difference((0.25,)))
    at = "At patience 100, against a decay of 1e-4 that was not tuned again, it is +25.0 % on Gowalla, 1 seed."
    assert of(lines_of(more), "SSM").endswith(at)
    limited = of(lines_of(replace(more, at_limit=True)), "SSM")
    assert limited.endswith("More epochs and a tuned decay might raise either side: this decides nothing.")


def test_a_comparison_of_unequal_patience_says_so(stored: list[ways.Compared]) -> None:
    unequal = {(each.dataset, each.loss) for each in stored if each.patience(ways.TUNED)}
    assert unequal == {("gowalla", "ssm"), ("movielens1m", "bpr")}
    [bpr] = [each for each in stored if (each.dataset, each.loss) == ("movielens1m", "bpr")]
    assert ", patience 100 against 10" in should_i_use.table([bpr])


def test_a_tuned_decay_that_decides_nothing_is_open_in_the_table_too(stored: list[ways.Compared]) -> None:
    """Before, SSM on Gowalla was +7.3 % and better in the table, open in the figure and in the advice."""
    [ssm] = [each for each in stored if (each.dataset, each.loss) == ("gowalla", "ssm")]
    assert ssm.change(TUNED) is not None
    html = should_i_use.table([ssm])
    assert "<br><b>PRISM</b> open" in html and "+7.3" not in html.replace("\N{NO-BREAK SPACE}", " ")


def test_the_stored_patient_runs_of_ssm_are_compared_at_the_same_patience(stored: list[ways.Compared]) -> None:
    known = {(each.dataset, each.loss): each.patient for each in stored if each.patient is not None}
    assert set(known) == {("movielens1m", "ssm"), ("gowalla", "ssm")}
    change = known["movielens1m", "ssm"]
    assert change is not None and change.mean == pytest.approx(0.2855496 / 0.2829978 - 1, abs=1e-4)


def test_runs_that_never_learned_are_no_number_to_average(tmp_path: Path, stored: list[ways.Compared]) -> None:
    """Before, BPR with PRISM on Gowalla was the mean of one run that learned and of two that did not."""
    assert len(SEEDS) == 3
    for seed, score in zip(SEEDS, (0.06, 0.003, 0.003), strict=True):
        (config,) = grid_configs("gowalla", "bpr", 0.0, seeds=[seed], init="prism", alpha=1.0)
        learned = score == 0.06
        validation = [0.0, 0.1] if learned else [0.1, 0.05]
        store(tmp_path, made_up(config, parts=(score, 0.0, 0.0), validation=validation))
    found = ways.compared("gowalla", "bpr", tmp_path)
    assert found.shown(PRISM)["ndcg"].tolist() == [0.06] and found.setback(PRISM) == "trained at 1 of 3 seeds"
    said = "- **BPR:** do not use it. At a patience of 10 it stopped at its start at 2 of 3 seeds on Gowalla."
    assert of(lines_of(found), "BPR") == said
    for each in stored:
        if each.loss == "bpr" and len(each.shown(PRISM)):
            assert each.setback(PRISM).startswith("trained at 1 of 3 seeds") and "patience 100" in each.setback(PRISM)
            assert len(each.shown(PRISM)) == 1


def test_the_answer_without_decay_names_each_loss_that_was_run(tmp_path: Path) -> None:
    found = made(tmp_path, {NONE: 0.1, PRISM: 0.2})
    others = [made(tmp_path, {NONE: 0.2, PRISM: prism}, loss=loss) for loss, prism in (("mawu", 0.3), ("ssm", 0.2))]
    lines = lines_of(found, *others)
    said = "PRISM helps, +50.0 % on Gowalla, 1 seed against no decay."
    assert of(lines, "MAWU without coupled decay").startswith(f"- **MAWU without coupled decay:** {said}")
    assert "Against no decay no gain by PRISM is shown (+0.0 % on Gowalla, 1 seed)." in of(lines, "SSM")


def test_adamw_is_said_as_measured_where_it_was(known: Known) -> None:
    """Before, the law's word stood alone, though a run is stored."""
    assert "its decay writes no popularity. No run is stored." in advice.answer(replace(known, adamw=()))
    found = [record for dataset in DATASETS for record in ways.decoupled(dataset)]
    text = advice.answer(known)
    assert len(found) == text.count("the slope of log length in log popularity is") == 2
    assert all(f"NDCG@20 {record['test']['dot']['ndcg']:.4f}" in text for record in found)


def test_the_ways_of_a_model_without_decay_are_in_the_order_of_their_scores(known: Known) -> None:
    """Before, three lines for the same reader gave three answers, and none of them was said to be the first."""
    _, scoring, stopped, decay, prism, sgd, *_ = advice.answer(known).splitlines()
    assert scoring.startswith("  1. **Lengths at scoring, without a new training.**")
    assert stopped.startswith("  2. **A new training that stops by such lengths.**")
    assert decay.startswith("  3. **A coupled decay of 1e-5**") and prism.startswith("  4. **PRISM**, with no decay")
    assert sgd.startswith("  5. **Plain SGD**, with a learning rate of its own")
    for each in known.of("directau"):
        best = by_training(known.scored()[each.dataset])["ndcg with it"].iloc[0]
        assert best > each.at_decay(1e-5)["ndcg"].mean() > (1 - MARGIN) * each.shown(PRISM)["ndcg"].mean()
        seeds = [record["config"]["seed"] for record in known.scored(init="prism")[each.dataset]]
        if seeds:  # a start from PRISM adds nothing to lengths at scoring
            alike = by_training([run for run in known.scored()[each.dataset] if run["config"]["seed"] in seeds])
            with_prism = by_training(known.scored(init="prism")[each.dataset])["ndcg with it"].iloc[0]
            assert abs(with_prism / alike["ndcg with it"].iloc[0] - 1) < MARGIN


def test_the_headline_says_where_prism_helps_and_that_a_decay_does_as_well(known: Known, tmp_path: Path) -> None:
    said = "Rarely: it helps DirectAU or MAWU without coupled decay, where a small decay"
    assert advice_in_short.headline(known) == f"{said} or lengths at scoring do as well or better."
    assert advice_in_short.headline(Known(known.compared)) == f"{said} does as well or better."
    better = made(tmp_path / "a", {NONE: 0.1, FIXED: 0.1, TUNED: 0.1, PRISM: 0.2})  # than a decay, too
    assert advice_in_short.headline(Known([better])) == "It hangs on the optimiser and the loss."
    alone = made(tmp_path / "b", {NONE: 0.1, FIXED: 0.2, TUNED: 0.15, PRISM: 0.2})
    assert advice_in_short.headline(Known([alone])) == "It hangs on the optimiser and the loss."


def test_a_word_on_lengths_at_scoring_has_the_share_of_users_of_another_comparison(known: Known) -> None:
    """Before, it had the spread over seeds alone, so that a change of one seed was firm too early."""
    yelp = [each for each in known.of("directau") if each.dataset == "yelp2018"]
    change = yelp[0].change(FIXED)
    assert change is not None and change.users is not None and change.standard_error > 1.1 * change.seed_spread
    just = 2.8 * change.seed_spread + 0.0001  # firm by seeds alone, and less than 2.8 standard errors of both
    assert str(judge(Difference((just,)))) == "better"
    assert advice_numbers.words_of_gains(yelp, {"yelp2018": [just], "gowalla": [0.5]}) == {
        "yelp2018": "better, provisional"
    }
    assert advice_numbers.words_of_gains(yelp, {"yelp2018": [1.2 * just]}) == {"yelp2018": "better"}


def test_lengths_at_scoring_are_said_where_they_were_run(tmp_path: Path) -> None:
    found = made(tmp_path, {TUNED: 0.2, PRISM: 0.2})
    assert should_i_use.what_one_changes([found], {}).count("not run") == 5
    record = made_up(RunConfig("gowalla", "directau", gamma=5.0, length_exponent=0.25), parts=(0.08, 0.0, 0.02))
    parts = [{"ndcg": 0.3, "popular": 0.2, "neutral": 0.05, "unpopular": 0.05}]
    record["lengths"] = {"exponents": [0.25], "chosen": 0.25, "test": parts}
    table = should_i_use.what_one_changes([found], {"gowalla": [record]})
    assert table.count("not run") == 4 and "0.3000 (1)" in table and "ratio 0.250" in table
    # not "no": another stopping rule is another training
    assert re.search(r"<td>lengths at scoring, and stopping by them</td>\s*<td>yes</td>", table)
    assert table.index("PRISM: lengths at the start") < table.index("0.3000 (1)") < table.index("plain SGD")


def test_an_ordinary_training_with_lengths_at_scoring_is_said_where_its_record_has_it(tmp_path: Path) -> None:
    (config,) = grid_configs("gowalla", "directau", 0.0)
    record = made_up(config, parts=(0.08, 0.0, 0.02))
    parts = [{"ndcg": 0.12, "popular": 0.1, "neutral": 0.0, "unpopular": 0.02}]
    record["lengths"] = {"exponents": [0.25], "chosen": 0.25, "validation": parts, "test": parts}
    store(tmp_path, record)
    found = made(tmp_path, {PRISM: 0.2})
    assert len(ways.rescored(found)) == 1
    said = advice.answer(Known([found]))
    assert "NDCG@20 goes from 0.1000 to 0.1200 on Gowalla (1 seed)." in said
    table = should_i_use.what_one_changes([found], {})
    assert re.search(r"on the first row's training</td>\s*<td>no</td>\s*<td><span[^>]*>0\.1200 \(1\)", table)


def test_a_decay_with_lengths_at_scoring_is_looked_for_on_further_datasets_too(known: Known) -> None:
    """Before, it was said that 1e-5 was not run so, beside a page with the run on AmazonCDs."""
    [run] = [each for each in ways.rescored(known.further[0], 1e-5)]
    scored = with_chosen_lengths(run)
    assert scored is not None
    said = advice.answer(known)
    assert f"at 1e-5 they take it from {run['test']['dot']['ndcg']:.4f} to {scored['ndcg']:.4f} on AmazonCDs" in said
    assert "At 1e-5 this was run on no dataset of the paper; at 1e-5" in said
    alone = advice.answer(replace(known, further=()))
    assert "At 1e-5 this was run on no dataset of the paper: try it, it costs no training." in alone


def test_what_every_change_does_is_counted(tmp_path: Path, stored: list[ways.Compared]) -> None:
    """Before, "all four put popularity into the lengths, and all take from unpopular items" was typed."""
    said = should_i_use.where_popularity_goes(stored)
    assert "in 9 of 9 cases" in said and said.endswith("lower in 9 of them.")
    as_fair = made(tmp_path, {NONE: 0.1, FIXED: 0.2, PRISM: 0.2})
    assert "in 0 of 2 cases" in should_i_use.where_popularity_goes([as_fair])


def test_each_decay_that_was_tried_is_said(tmp_path: Path, stored: list[ways.Compared]) -> None:
    """Before, "a decay that nobody tuned does what PRISM does" was typed, and 1e-6 was chosen afterwards."""
    said = should_i_use.other_decays(stored).replace("\N{NO-BREAK SPACE}", " ")
    for decay in ("1e-8", "1e-7", "1e-6", "1e-5", "1e-4"):
        assert re.search(rf"{decay} [+-]\d+\.\d % to [+-]\d+\.\d %", said)
    assert re.search(r"1e-6 needs 2\.\d to 2\.\d times the epochs of 1e-5\.", said)
    found = made(tmp_path, {FIXED: 0.1, PRISM: 0.2})
    assert "against a decay: of 1e-6 +100.0" in should_i_use.other_decays([found])


def test_runs_whose_items_got_lengths_are_adams_without_decay(tmp_path: Path) -> None:
    law = [config for config in configs("law", "gowalla") if (config.backbone, config.loss) == ("mf", "directau")]
    for config in law:
        store(tmp_path, made_up(config))
    found = [record["config"] for record in ways.scored_with_lengths("gowalla", tmp_path)]
    assert {config["seed"] for config in found} == set(SEEDS)
    [prism] = ways.scored_with_lengths("gowalla", tmp_path, init="prism")
    [decayed] = ways.scored_with_lengths("gowalla", tmp_path, weight_decay=1e-5)
    assert prism["config"]["alpha"] == 1.0 and decayed["config"]["init"] == "xavier"
    for config in found:
        assert (config["optimizer"], config["weight_decay"], config["init"]) == ("adam", 0.0, "xavier")
        assert config["length_exponent"] is not None


def test_without_a_run_of_plain_sgd_the_page_says_so(tmp_path: Path) -> None:
    found = made(tmp_path, {TUNED: 0.2, PRISM: 0.2, FIXED: 0.2})
    assert "batches of 4,096, without decay and without PRISM, has not been run." in should_i_use.plain_sgd([found])
    table = should_i_use.table([found])
    assert re.search(rf"<td>{SGD}</td>\s*<td>not run</td>", table)
    with_it = made(tmp_path, {SGD: 0.25})
    said = should_i_use.plain_sgd([with_it])
    assert re.search(r"gives NDCG@20 0\.2500 on Gowalla, \+25\.0\s% against tuned decay", said)


def test_the_price_has_every_measure_against_three_decays(tmp_path: Path) -> None:
    """Before, each bullet had another baseline, mostly the one where PRISM loses."""
    found = made(tmp_path, {NONE: 0.1, FIXED: 0.2, TUNED: 0.2, PRISM: 0.2, STRONG: 0.1})
    said = should_i_use.price([found]).replace("\N{NO-BREAK SPACE}", " ")
    assert said.count("<tr") == 4 and said.count("<th>") == 4
    assert re.search(rf"<td>{STRONG}</td>\s*<td><span[^>]*>\+100\.0 %</span> Gowalla \(1\)", said)
    assert said.count("+0.0 %</span> Gowalla (1), undecided") >= 2


def test_the_table_has_a_row_for_each_way_and_no_number_that_breaks(stored: list[ways.Compared]) -> None:
    for loss in LOSSES:
        html = should_i_use.table([each for each in stored if each.loss == loss])
        assert html.count("<th>") == 1 + len(DATASETS)
        for number in re.findall(r"[+-]\d+\.\d\s% \[[^\]]+\]", html):
            assert f"<span style='white-space: nowrap'>{number}</span>" in html
        assert html.count("<tr") == 1 + len(WAYS)  # with the head; on a phone each is a card


def test_a_difference_stands_beside_the_scores_that_it_is_of(tmp_path: Path) -> None:
    """Before, SSM had 0.2795 without decay, 0.2737 with PRISM, and +0.4 % in the cell, which is of one seed."""
    for seed, score in zip(SEEDS, (0.21, 0.1, 0.1), strict=True):
        (config,) = grid_configs("gowalla", "ssm", 0.0, seeds=[seed], init="prism", alpha=1.0)
        store(tmp_path, made_up(config, parts=(score, 0.0, 0.0)))
    (plain,) = grid_configs("gowalla", "ssm", 0.0)
    store(tmp_path, made_up(plain, parts=(0.2, 0.0, 0.0)))
    one = ways.compared("gowalla", "ssm", tmp_path)
    ours, theirs, seeds = one.pair(NONE)
    assert seeds == [123] and ours > theirs > one.shown(PRISM)["ndcg"].mean()
    assert "0.2100 against 0.2000</span>, seed 123" in should_i_use.table([one])


@pytest.mark.parametrize("measure", ["ndcg", "ratio"])
def test_the_figure_draws_what_is_decided_and_nothing_else(stored: list[ways.Compared], measure: str) -> None:
    figure = should_i_use.figure(stored, measure)
    for axis, dataset in zip(figure.axes, DATASETS, strict=True):
        marks = [line for line in axis.lines if line.get_label() in WAYS]
        decided = [
            each
            for each in stored
            for way in (NONE, FIXED, PRISM, SGD)
            if each.dataset == dataset and each.undecided is None and each.change(TUNED, measure, way) is not None
        ]
        assert len(marks) == len(decided) > 3
    plt.close(figure)


def test_lengths_at_scoring_ranked_best_as_the_readme_says(stored: list[ways.Compared]) -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8").replace("\n", " ")
    assert (
        "On MovieLens1M, Gowalla and Yelp2018 lengths at scoring ranked best with DirectAU, and no worse than" in readme
    )
    for each in (each for each in stored if each.loss == "directau"):
        records = ways.scored_with_lengths(each.dataset)
        best = by_training(records)["ndcg with it"].iloc[0]
        others = [each.shown(way)["ndcg"].mean() for way in (TUNED, PRISM, SGD, FIXED) if len(each.shown(way))]
        assert len(records) and best > max(others)
        prism = each.shown(PRISM).set_index("seed")
        for record in records:
            seed = record["config"]["seed"]
            as_fair = at_ratio(record, float(prism.loc[seed, "ratio"]))
            assert as_fair is not None and as_fair > prism.loc[seed, "ndcg"]


def test_the_figure_draws_lengths_at_scoring_where_they_were_run(stored: list[ways.Compared]) -> None:
    put_on = {(each.dataset, each.loss): ways.scored_with_lengths(each.dataset, None, each.loss) for each in stored}
    figure = should_i_use.figure(stored, "ndcg", put_on)
    found = by_training(put_on["movielens1m", "directau"])["ndcg with it"].iloc[0]
    [each] = [each for each in stored if (each.dataset, each.loss) == ("movielens1m", "directau")]
    change = 100 * (found / each.runs[TUNED]["ndcg"].mean() - 1)
    marks = [line for line in figure.axes[0].lines if line.get_label() == "lengths at scoring"]
    assert marks[0].get_xdata()[0] == pytest.approx(change, abs=0.5)  # type: ignore[index]
    drawn = sum(line.get_label() == "lengths at scoring" for axis in figure.axes for line in axis.lines)
    assert drawn == sum(map(bool, put_on.values())) >= 3
    plt.close(figure)


def test_no_decay_is_the_fairest_as_the_caption_says(stored: list[ways.Compared]) -> None:
    for each in stored:
        ratios = {way: float(each.shown(way)["ratio"].mean()) for way in WAYS if len(each.shown(way))}
        if each.loss in ("directau", "mawu") and ratios:
            first, second, *_ = sorted(ratios, key=lambda way: -ratios[way])
            assert first == NONE and ratios[first] > 2 * ratios[second]


def test_sentences_of_the_answer_are_short(known: Known, stored: list[ways.Compared]) -> None:
    said = [
        *advice.answer(known).splitlines(),
        *advice_in_short.in_short(known).splitlines(),
        should_i_use.where_popularity_goes(stored),
        should_i_use.plain_sgd(stored),
    ]
    for sentence in (each for line in said for each in re.split(r"(?<=[.:]) |(?<=[.:]\*\*) ", line)):
        assert len(sentence.replace("\N{NO-BREAK SPACE}", "").split()) <= 30, sentence


def test_stored_runs_with_bpr_are_worse_with_prism(stored: list[ways.Compared]) -> None:
    """Also those that decide nothing: the page says not to use PRISM with BPR."""
    both = [each for each in stored if each.loss == "bpr" and len(each.shown(PRISM))]
    assert len(both) == 2
    for each in both:
        assert each.shown(PRISM)["ndcg"].max() < each.shown(TUNED)["ndcg"].min()


def test_the_example_runs_by_itself() -> None:
    (cell,) = [each for each in CELLS if "did-it-help" in each.metadata.get("tags", ())]
    assert "prismbook" not in cell.source
    code = cell.source.replace('"max_epochs": 20', '"max_epochs": 1')
    assert code != cell.source
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.strip().split("\n\n")
    assert re.match(r"PRISM:\n\d+ users +before +after", first) and "NDCG@20" in first
    assert re.match(r"lengths d\^[01]\.\d\d at scoring:\n\d+ users +before +after", second) and "NDCG@20" in second


def test_the_lines_to_copy_give_the_lengths_of_the_package() -> None:
    source = (Path(__file__).parents[1] / "notebooks/should_i_use.py").read_text(encoding="utf-8")
    [lines] = re.findall(r"```python\n# (directions = .*?)\n# ```", source, re.DOTALL)
    item = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    item[5] = 0  # a row that was never trained stays as it is
    popularity, b = torch.tensor([0, 1, 3, 10, 100, 7]), 0.25
    names = {"np": np, "user": None, "item": item.numpy(), "popularity": popularity.numpy()}
    names["my_ndcg"] = lambda user, table: -abs(np.linalg.norm(table[4]) - 100**b)  # best at b
    exec(lines.replace("\n# ", "\n"), names)
    ours = torch.as_tensor(names["item"], dtype=torch.float32)
    assert names["b"] == b
    torch.testing.assert_close(ours, with_lengths(item, popularity_power(popularity, b)))


def test_the_glance_is_from_the_row_to_the_column(tmp_path: Path) -> None:
    each = made(tmp_path, {NONE: 0.1, TUNED: 0.15, PRISM: 0.12})
    rows = should_i_use.at_a_glance(Known([each])).set_index("trained with")
    cell = rows.loc[f"DirectAU, {NONE}"]
    assert re.sub("<.*?>", "|", cell[TUNED]) == "||+50 %||||\N{MULTIPLICATION SIGN}1.00|||on 1 (1 seed)|"
    assert ">+20 %<" in cell[PRISM]
    assert ">-20 %<" in rows.loc[f"DirectAU, {TUNED}", PRISM]
    assert cell[SGD] == cell["lengths at scoring, new training"] == "not run, or open"
    rows = should_i_use.at_a_glance(Known([replace(each, undecided=1e-4)])).set_index("trained with")
    assert rows.loc[f"DirectAU, {TUNED}", PRISM] == rows.loc[f"DirectAU, {NONE}", TUNED] == "not run, or open"
    assert ">+20 %<" in rows.loc[f"DirectAU, {NONE}", PRISM]


def test_the_glance_has_the_numbers_of_the_advice(known: Known) -> None:
    rows = should_i_use.at_a_glance(known).set_index("trained with")
    assert list(rows.columns) == ["lengths at scoring, new training", TUNED, PRISM, SGD] and len(rows) == 2 * len(
        LOSSES
    )
    found = advice_numbers.changes(known.of("directau"), NONE)
    low, high = (f"{100 * end(change.mean for change in found.values()):+.0f}" for end in (min, max))
    assert f">{low} to {high} %<" in rows.loc[f"DirectAU, {NONE}", PRISM]
    gains, _ = advice_numbers.gains_and_ratios(known.of("directau"), known.scored(), NONE)
    assert f"{100 * max(np.mean(values) for values in gains.values()):+.0f} %" in rows.loc[f"DirectAU, {NONE}"].iloc[0]


def test_lengths_stand_beside_a_tuned_decay_only_where_they_are_not_worse(known: Known) -> None:
    assert "**SSM:** tune the decay or stop by lengths at scoring without decay, PRISM" in advice.answer(known)
    low = {}
    for name, runs in known.scored(loss="ssm").items():
        kept = [{**run["lengths"], "test": [{**of, "ndcg": 0.1} for of in run["lengths"]["test"]]} for run in runs]
        low[name] = [{**run, "lengths": lengths} for run, lengths in zip(runs, kept, strict=True)]
    worse = {**known.at_scoring, advice_numbers.Training(loss="ssm"): low}
    assert "**SSM:** tune the decay, PRISM" in advice.answer(replace(known, at_scoring=worse))
    assert "**SSM:** tune the decay, PRISM" in advice.answer(Known(known.of("ssm")))


def test_the_rule_for_a_rate_is_that_of_the_library(stored: list[ways.Compared]) -> None:
    text = should_i_use.rates_by_the_rule(stored)
    assert "that rule gives 50 on MovieLens1M" in text and "have 30 on each" in text
