"""Findings that the paper does not have: each is what the stored runs say, and none where runs say something else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up import Parts, made_up

from prismbook.claims.findings import FINDINGS, Finding, JudgedFinding, findings
from prismbook.claims.statements import Statement
from prismbook.pages import start_page
from prismbook.plan.config import RunConfig
from prismbook.plan.experiments import SEEDS, grid_configs, protocol_pairs, switch_pairs
from prismbook.runs.records import planned, save_record
from prismbook.tables.paper import table1
from prismbook.tables.rules import Rules
from prismbook.tables.variants import comparison

#: Findings that a difference beyond the margin decides, alone or with others.
NEED_A_DIFFERENCE = ("discarded-relu", "dips", "learning-rate", "weak-decay", "departures")
BY_ID = {finding.id: finding for finding in FINDINGS}


@pytest.fixture(scope="module")
def shown() -> dict[str, list[str]]:
    """Where the stored runs show each finding."""
    return {judged.finding.id: judged.datasets() for judged in findings()}


def test_findings_that_need_a_difference_are_not_said_where_a_margin_hides_it(shown: dict[str, list[str]]) -> None:
    assert any(shown[name] for name in NEED_A_DIFFERENCE)
    for judged in findings(rules=Rules(margin=1e6)):  # a margin that nothing exceeds
        if judged.finding.id in NEED_A_DIFFERENCE:
            assert not judged.shown and judged.status == "Not shown by the stored runs"
            assert judged.finding.meaning not in start_page.section(judged, {}, set())


def test_with_a_margin_of_nothing_no_method_is_as_good_as_another() -> None:
    strict = {judged.finding.id: judged.datasets() for judged in findings(rules=Rules(margin=0.0))}
    assert strict["ssm-without-decay"] == strict["weak-decay"] == []


def put(results: Path, config: RunConfig, parts: Parts | float = 0.1, **made: Any) -> None:
    """Store a made-up run with its users' scores, which differ between users by the same noise in every run."""
    parts = (parts, 0.0, 0.0) if isinstance(parts, float) else parts
    record = made_up(config, parts, **made)
    noise = np.random.default_rng(0).normal(0, 1e-4, 200)
    users = np.array(parts)[None] + np.column_stack([noise - noise.mean(), 0 * noise, 0 * noise])
    scores = {"user": np.arange(200, dtype=np.int32), "dot": users.astype(np.float32), "cosine": users.astype("f4")}
    path = planned(config, results).path
    save_record(record, path, replace=True, scores=scores)


def only(name: str, results: Path) -> Statement:
    """The one statement of a finding from made-up runs on Gowalla."""
    [(dataset, [statement])] = BY_ID[name].judged(results).statements.items()
    assert dataset == "gowalla"
    return statement


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda finding: finding.id)
def test_without_runs_nothing_is_shown(finding: Finding, tmp_path: Path) -> None:
    assert finding.judged(tmp_path).statements == {} and not finding.judged(tmp_path).shown
    (tmp_path / "gowalla").mkdir()
    assert only(finding.id, tmp_path).holds is None
    assert finding.judged(tmp_path).status == "Not shown by the stored runs"


def test_a_comparison_is_over_the_seeds_that_both_have(tmp_path: Path) -> None:
    first, second = (grid_configs("gowalla", "bpr", decay, SEEDS) for decay in (1e-6, 0.0))
    for config, score in zip(first + second[:2], (0.12, 0.11, 0.2, 0.1, 0.1), strict=True):
        put(tmp_path, config, score, epochs=12)  # cut off, which is of no interest here
    change = comparison(first, second, tmp_path)
    assert change is not None and change.by_seed == pytest.approx((0.02, 0.01), abs=1e-6)
    assert comparison(first[2:], second[2:], tmp_path) is None


@pytest.mark.parametrize(
    ("text", "released", "holds"),
    [(0.08, 0.12, True), (0.12, 0.12, False), (0.08, 0.08, False), (0.1, 0.12, False)],
)
def test_discarded_relu(tmp_path: Path, text: float, released: float, holds: bool) -> None:
    for plain, changed in protocol_pairs("released", "gowalla"):
        prism = plain.init == "prism"
        put(tmp_path, plain, text if prism else 0.1)
        put(tmp_path, changed, released if prism else 0.1)
    there = only("discarded-relu", tmp_path)
    assert there.holds is holds and "At gamma 1" not in there.text
    [decay] = grid_configs("gowalla", "directau", 1e-4, backbone="nonlinear-mf", gamma=1.0)
    [ours] = grid_configs("gowalla", "directau", 0.0, backbone="nonlinear-mf", gamma=1.0, init="prism", alpha=1.0)
    put(tmp_path, decay, 0.1)
    put(tmp_path, ours, 0.2)
    found = only("discarded-relu", tmp_path)
    sign = "same" if text > 0.1 else "other"
    assert found.holds is holds and re.search(rf"At gamma 1 .*\+100\.0%.*: the {sign} sign$", found.text)


def test_ssm_needs_no_decay(tmp_path: Path) -> None:
    zero, decayed = grid_configs("gowalla", "ssm", [0.0, 1e-6])
    put(tmp_path, zero)
    for score, holds in ((0.1, True), (0.099, True), (0.12, False)):
        put(tmp_path, decayed, score)
        assert only("ssm-without-decay", tmp_path).holds is holds
    put(tmp_path, zero, epochs=12)
    cut_off = only("ssm-without-decay", tmp_path)
    assert cut_off.undecided and "without decay cut off at 1 of 1 seeds" in cut_off.text


CLIMB = [0.0, 0.05, *[0.04] * 20, 0.06, 0.09]


@pytest.mark.parametrize(
    ("curve", "score", "holds"),
    [
        (CLIMB, 0.12, True),
        (CLIMB, 0.1, False),  # worth nothing on the test set
        ([0.0, 0.05, *[0.04] * 40], 0.1, False),  # it never climbs again
        ([0.0, 0.05, 0.06, 0.09], 0.12, False),  # it never fell
    ],
)
def test_stopped_in_dips(tmp_path: Path, curve: list[float], score: float, holds: bool) -> None:
    short, long = protocol_pairs("patience", "gowalla")[1]
    put(tmp_path, short, validation=CLIMB[:12], epochs=11)
    put(tmp_path, long, score, validation=curve)
    assert only("dips", tmp_path).holds is holds
    put(tmp_path, short, validation=[*CLIMB[:12], *[0.04] * 20])  # a run that did not end early says nothing of dips
    assert only("dips", tmp_path).holds is None


@pytest.mark.parametrize(
    ("slow", "fast", "holds"), [((9, 3), (3, 9), True), ((3, 9), (9, 3), True), ((9, 3), (9, 3), False)]
)
def test_learning_rate_decides_epochs(tmp_path: Path, slow: Sequence[int], fast: Sequence[int], holds: bool) -> None:
    [prism] = grid_configs("gowalla", "directau", 0.0, init="prism", alpha=1.0)
    decay, worse = grid_configs("gowalla", "directau", [1e-6, 1e-5])
    for rate, bests in ((1e-3, slow), (1e-2, fast)):
        for config, best_epoch in zip((prism, decay), bests, strict=True):
            put(tmp_path, replace(config, lr=rate), validation=[0.0] * best_epoch + [0.1])
        # one learning rate decides nothing, and neither does a decay that was not searched
        assert only("learning-rate", tmp_path).holds is None
        put(tmp_path, replace(worse, lr=rate), validation=[0.0, 0.05])
    assert only("learning-rate", tmp_path).holds is holds


@pytest.mark.parametrize(
    ("at_one", "at_five", "best", "holds"),
    [(1.0, 1.2, 0.2, True), (1.0, 1.04, 0.2, False), (1.1, 1.2, 0.2, False), (1.0, 1.2, 0.05, None)],
)
def test_gamma_and_the_level(tmp_path: Path, at_one: float, at_five: float, best: float, holds: bool | None) -> None:
    printed: Any = table1().xs("MF", level="backbone").xs("DirectAU", level="loss").loc["Gowalla"]
    for column, fields in (("decay", {"weight_decays": 1e-4}), ("prism", {"weight_decays": 0.0, "init": "prism"})):
        strength: dict[str, Any] = {"alpha": 1.0} if column == "prism" else {}
        for gamma, times, validation in ((1.0, at_one, 0.1), (5.0, at_five, best)):
            [config] = grid_configs("gowalla", "directau", gamma=gamma, **fields, **strength)
            put(tmp_path, config, float(printed[column]) * times, validation=[0.0, validation])
    assert only("gamma", tmp_path).holds is holds


@pytest.mark.parametrize(
    ("parts", "holds"),
    [
        ((0.07, 0.0, 0.03), True),
        ((0.08, 0.0, 0.02), None),  # as fair, which one seed does not say for sure
        ((0.09, 0.0, 0.01), False),  # less fair
        ((0.07, 0.0, 0.02), False),  # fairer, and worse
    ],
)
def test_weak_decay_is_fairer(tmp_path: Path, parts: Parts, holds: bool | None) -> None:
    weakest, weak, best = grid_configs("gowalla", "directau", [1e-7, 1e-6, 1e-5])
    put(tmp_path, weakest, validation=[0.0, 0.09])  # below the best by more than the margin
    put(tmp_path, weak, parts, validation=[0.0, 0.099])
    put(tmp_path, best, validation=[0.0, 0.1])
    put(tmp_path, grid_configs("gowalla", "directau", 0.0, init="prism", alpha=1.0)[0], (0.08, 0.0, 0.02))
    assert only("weak-decay", tmp_path).holds is holds


def test_prism_gets_the_same_rule_as_the_weak_decay(tmp_path: Path) -> None:
    [weak] = grid_configs("gowalla", "directau", [1e-6])
    put(tmp_path, weak, (0.07, 0.0, 0.03))
    for alpha, validation in ((1.0, 0.1), (0.75, 0.099), (0.5, 0.08)):  # the last is beyond the margin
        [config] = grid_configs("gowalla", "directau", 0.0, init="prism", alpha=alpha)
        put(tmp_path, config, (0.08, 0.0, 0.02 * alpha), validation=[0.0, validation])
    text = only("weak-decay", tmp_path).text
    assert "against PRISM at alpha 1: NDCG@20 0.1000 and 0.1000" in text
    assert "The same rule gives PRISM alpha 0.75, of 3 above 0 that were tried: NDCG@20 0.0950 and ratio 0.188." in text


def test_released_code_departs(tmp_path: Path) -> None:
    late = (0.0,) * 25 + (0.1,)  # a best epoch that no stopping rule ended in a dip
    plain, changed = switch_pairs("gowalla")["SSM has 20 negatives"]
    put(tmp_path, plain, validation=late)
    put(tmp_path, changed, 0.101, validation=late)
    same = only("departures", tmp_path)
    assert same.holds is False and same.text.endswith(
        "1 is measured alone, and 0 of them change NDCG@20 by more than 2.5 %"
    )
    put(tmp_path, changed, 0.12, validation=late)
    moved = only("departures", tmp_path)
    assert moved.holds is True and moved.text.endswith(
        "1 of them changes NDCG@20 by more than 2.5 %. SSM has 20 negatives (SSM on MF, decay 1e-06: switch off 0.1000,"
        " on 0.1200)"
    )
    # before, a departure counted although a run of it had ended in its first epochs
    plain, changed = switch_pairs("gowalla")["negatives are drawn from the batch's items"]
    put(tmp_path, plain, validation=late)
    put(tmp_path, changed, 0.2, epochs=3)
    assert ". Of 1 more a run was cut off, which decides nothing. SSM" in only("departures", tmp_path).text
    put(tmp_path, changed, 0.2)  # one that ended early, and not so early
    assert "switch off 0.1000, on 0.2000, provisional)" in only("departures", tmp_path).text


RAIN = Finding("rain", "It rains", "Take a coat.", ("C8", "C21"), "page", lambda dataset, results, rules: [])


def judged(**holds: Statement) -> JudgedFinding:
    return JudgedFinding(RAIN, {dataset: (statement,) for dataset, statement in holds.items()})


def test_a_finding_says_where_it_is_shown_and_where_not() -> None:
    no, missing, unclear = Statement("no", False), Statement("-", None), Statement("?", None, undecided=True)
    found = judged(movielens1m=Statement("yes", True, provisional=True), gowalla=no, yelp2018=missing)
    assert found.status == "Shown on MovieLens1M (provisional); not on Gowalla; not run on Yelp2018"
    # the status names the datasets; before, the heading did so too
    assert start_page.section(found, {}, set()).startswith(f"## It rains\n\n**{found.status}.**")
    more = JudgedFinding(RAIN, found.statements | {"gowalla": (no, Statement("yes", True)), "amazonbook": (unclear,)})
    assert more.status == "Shown on MovieLens1M (provisional) and Gowalla; left open on AmazonBook; not run on Yelp2018"


def test_a_finding_that_is_not_shown_is_not_claimed() -> None:
    found = judged(gowalla=Statement("on Gowalla", False))
    accepted = {"C8 gowalla": {"verdict": "reproduced (provisional)"}}
    text = start_page.section(found, accepted, {"page"})
    assert "**Not shown by the stored runs.**" in text and "coat" not in text
    assert "- ✗ **Gowalla.** On Gowalla. [Evidence](page.ipynb)" in text
    assert text.endswith("*The paper's claim: C8: Gowalla ○✓ reproduced (provisional).*")
    assert "coat" in start_page.section(judged(gowalla=Statement("on Gowalla", True)), accepted, set())
