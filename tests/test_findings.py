"""Findings that the paper does not have: each is what the stored runs say, and none where runs say something else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up import Parts, made_up

from prismbook.claims import findings
from prismbook.claims.findings import Finding, Part
from prismbook.claims.statements import Statement
from prismbook.pages import start_page
from prismbook.plan.config import RunConfig
from prismbook.plan.experiments import SEEDS, grid_configs, switch_pairs, twin_pairs
from prismbook.runs.records import default_results, record_path, save_record
from prismbook.tables.paper import table1
from prismbook.tables.variants import comparison
from prismlib import datasets

Judge = Callable[[Path], Finding]
#: Where the stored runs show each finding. A record that says something else, or is gone, changes it.
SHOWN: dict[Judge, list[str]] = {
    findings.discarded_relu: ["MovieLens1M", "Gowalla"],
    findings.adam_writes_norms: ["MovieLens1M", "Gowalla", "Yelp2018"],
    findings.ssm_needs_no_decay: ["MovieLens1M"],
    findings.stopped_in_dips: ["MovieLens1M", "Gowalla"],
    findings.learning_rate_decides_epochs: ["MovieLens1M"],
    findings.gamma_decides_the_level: ["MovieLens1M", "Gowalla"],
    findings.weak_decay_is_as_fair: ["MovieLens1M", "Gowalla", "Yelp2018"],
    findings.released_code_departs: ["MovieLens1M", "Gowalla"],
}


@pytest.mark.parametrize("judge", findings.FINDINGS, ids=lambda judge: judge.__name__)
def test_the_stored_runs_show_it(judge: Judge) -> None:
    assert judge(default_results()).datasets() == SHOWN[judge]


def put(results: Path, config: RunConfig, parts: Parts | float = 0.1, **made: Any) -> None:
    """Store a made-up run with its users' scores, which differ between users by the same noise in every run."""
    parts = (parts, 0.0, 0.0) if isinstance(parts, float) else parts
    record = made_up(config, parts, **made)
    noise = np.random.default_rng(0).normal(0, 1e-4, 200)
    users = np.array(parts)[None] + np.column_stack([noise - noise.mean(), 0 * noise, 0 * noise])
    scores = {"user": np.arange(200, dtype=np.int32), "dot": users.astype(np.float32), "cosine": users.astype("f4")}
    path = record_path(results, config, datasets.content_hash(config.dataset))
    save_record(record, path, replace=True, scores=scores)


def only(judge: Judge, results: Path) -> Statement:
    """The one statement of a finding from made-up runs on Gowalla."""
    [part] = judge(results).parts
    assert part.dataset == "gowalla"
    return part.statement


@pytest.mark.parametrize("judge", findings.FINDINGS, ids=lambda judge: judge.__name__)
def test_without_runs_nothing_is_shown(judge: Judge, tmp_path: Path) -> None:
    assert judge(tmp_path).parts == () and not judge(tmp_path).shown
    (tmp_path / "gowalla").mkdir()
    assert only(judge, tmp_path).holds is None
    assert judge(tmp_path).status == "Not shown by the stored runs"


def test_a_comparison_is_over_the_seeds_that_both_have(tmp_path: Path) -> None:
    first, second = (grid_configs("gowalla", "bpr", decay, SEEDS) for decay in (1e-6, 0.0))
    for config, score in zip(first + second[:2], (0.12, 0.11, 0.2, 0.1, 0.1), strict=True):
        put(tmp_path, config, score, epochs=12)  # cut off, which is of no interest here
    change = comparison(first, second, tmp_path)
    assert change is not None and change.by_seed == pytest.approx((0.02, 0.01), abs=1e-6)
    assert comparison(first[2:], second[2:], tmp_path) is None


@pytest.mark.parametrize(
    ("text", "released", "unshuffled", "holds"),
    [
        (0.08, 0.12, 0.1, True),
        (0.12, 0.12, 0.1, False),  # PRISM is ahead with the ReLU too
        (0.08, 0.08, 0.1, False),  # and behind without it
        (0.08, 0.12, 0.2, False),  # the other switch could be the reason
        (0.1, 0.12, 0.1, False),
    ],
)
def test_discarded_relu(tmp_path: Path, text: float, released: float, unshuffled: float, holds: bool) -> None:
    for plain, changed in twin_pairs("released", "gowalla"):
        prism = plain.init == "prism"
        put(tmp_path, plain, text if prism else 0.1)
        put(tmp_path, changed, released if prism else 0.1)
    plain, changed = switch_pairs("gowalla")["batches are not shuffled again"]
    put(tmp_path, plain)
    put(tmp_path, changed, unshuffled)
    assert only(findings.discarded_relu, tmp_path).holds is holds


@pytest.mark.parametrize(
    ("decay", "lengths", "holds"),
    [
        (1e-5, (0.2, 0.4), True),
        (1e-5, (0.4, 0.2), False),  # rare items have the longer rows
        (1e-5, (0.2, 0.2001), False),  # so little could plain decay do
        (1e-4, (0.2, 0.22), False),
    ],
)
def test_adam_writes_norms(tmp_path: Path, decay: float, lengths: Sequence[float], holds: bool) -> None:
    [config] = grid_configs("gowalla", "directau", decay)
    bins = [{"from": place, "to": place, "rows": 2, "mean": mean, "std": 0.1} for place, mean in enumerate(lengths, 1)]
    norms = {table: {"pearson_log": 0.9, "bins": bins} for table in ("user", "item")}
    put(tmp_path, config, validation=[0.0] * 100 + [0.1], norms=norms)
    statement = only(findings.adam_writes_norms, tmp_path)
    assert statement.holds is holds
    assert "the run's 20,100 steps" in statement.text  # 100 epochs of 201 batches: 821,896 interactions, 4,096 each


def test_ssm_needs_no_decay(tmp_path: Path) -> None:
    zero, decayed = grid_configs("gowalla", "ssm", [0.0, 1e-6])
    put(tmp_path, zero)
    for score, holds in ((0.1, True), (0.099, True), (0.12, False)):
        put(tmp_path, decayed, score)
        assert only(findings.ssm_needs_no_decay, tmp_path).holds is holds
    put(tmp_path, zero, epochs=12)
    cut_off = only(findings.ssm_needs_no_decay, tmp_path)
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
    short, long = twin_pairs("patience", "gowalla")[1]
    put(tmp_path, short, validation=CLIMB[:12], epochs=11)
    put(tmp_path, long, score, validation=curve)
    assert only(findings.stopped_in_dips, tmp_path).holds is holds
    put(tmp_path, short, validation=[*CLIMB[:12], *[0.04] * 20])  # a run that did not end early says nothing of dips
    assert only(findings.stopped_in_dips, tmp_path).holds is None


@pytest.mark.parametrize(
    ("slow", "fast", "holds"), [((9, 3), (3, 9), True), ((3, 9), (9, 3), True), ((9, 3), (9, 3), False)]
)
def test_learning_rate_decides_epochs(tmp_path: Path, slow: Sequence[int], fast: Sequence[int], holds: bool) -> None:
    [prism] = grid_configs("gowalla", "directau", 0.0, init="prism", alpha=1.0)
    [decay] = grid_configs("gowalla", "directau", 1e-6)
    for rate, bests in ((1e-3, slow), (1e-2, fast)):
        for config, best_epoch in zip((prism, decay), bests, strict=True):
            put(tmp_path, replace(config, lr=rate), validation=[0.0] * best_epoch + [0.1])
        if rate == 1e-3:  # one learning rate decides nothing
            assert only(findings.learning_rate_decides_epochs, tmp_path).holds is None
    assert only(findings.learning_rate_decides_epochs, tmp_path).holds is holds


@pytest.mark.parametrize(
    ("at_one", "at_five", "best", "holds"),
    [(1.0, 1.2, 0.2, True), (1.0, 1.04, 0.2, False), (1.1, 1.2, 0.2, False), (1.0, 1.2, 0.05, None)],
)
def test_gamma_decides_the_level(
    tmp_path: Path, at_one: float, at_five: float, best: float, holds: bool | None
) -> None:
    printed: Any = table1().xs("MF", level="backbone").xs("DirectAU", level="loss").loc["Gowalla"]
    for column, fields in (("decay", {"weight_decays": 1e-4}), ("prism", {"weight_decays": 0.0, "init": "prism"})):
        strength: dict[str, Any] = {"alpha": 1.0} if column == "prism" else {}
        for gamma, times, validation in ((1.0, at_one, 0.1), (5.0, at_five, best)):
            [config] = grid_configs("gowalla", "directau", gamma=gamma, **fields, **strength)
            put(tmp_path, config, float(printed[column]) * times, validation=[0.0, validation])
    assert only(findings.gamma_decides_the_level, tmp_path).holds is holds


@pytest.mark.parametrize(
    ("parts", "holds"),
    [
        ((0.08, 0.0, 0.02), True),
        ((0.07, 0.0, 0.03), True),
        ((0.09, 0.0, 0.01), False),  # less fair
        ((0.07, 0.0, 0.02), False),  # fairer, and worse
    ],
)
def test_weak_decay_is_as_fair(tmp_path: Path, parts: Parts, holds: bool) -> None:
    put(tmp_path, grid_configs("gowalla", "directau", 1e-6)[0], parts)
    put(tmp_path, grid_configs("gowalla", "directau", 0.0, init="prism", alpha=1.0)[0], (0.08, 0.0, 0.02))
    assert only(findings.weak_decay_is_as_fair, tmp_path).holds is holds


def test_released_code_departs(tmp_path: Path) -> None:
    plain, changed = switch_pairs("gowalla")["SSM has 20 negatives"]
    put(tmp_path, plain)
    put(tmp_path, changed, 0.101)
    same = only(findings.released_code_departs, tmp_path)
    assert same.holds is False and same.text.endswith(
        "1 are measured alone; 0 of them change NDCG@20 by more than 2.5 %: none"
    )
    put(tmp_path, changed, 0.12)
    moved = only(findings.released_code_departs, tmp_path)
    assert moved.holds is True and moved.text.endswith(": SSM has 20 negatives (SSM, 0.1000 to 0.1200)")


def part(dataset: str, holds: bool | None, **kind: Any) -> Part:
    return Part(dataset, Statement(f"on {dataset}", holds, **kind), "page")


def test_a_finding_says_where_it_is_shown_and_where_not() -> None:
    parts = (part("movielens1m", True, provisional=True), part("gowalla", False), part("yelp2018", None))
    found = Finding("It rains", "Take a coat.", ("C8",), parts)
    assert found.status == "Shown on MovieLens1M (one seed); not on Gowalla; not run on Yelp2018"
    more = replace(found, parts=(*parts, part("gowalla", True), part("amazonbook", None, undecided=True)))
    assert more.status == "Shown on MovieLens1M and Gowalla; left open on AmazonBook; not run on Yelp2018"


def test_a_finding_that_is_not_shown_is_not_claimed() -> None:
    found = Finding("It rains", "Take a coat.", ("C8", "C21"), (part("gowalla", False),))
    accepted = {"C8 gowalla": {"verdict": "reproduced (provisional)"}}
    text = start_page.section(found, accepted, {"page"})
    assert "**Not shown by the stored runs.**" in text and "coat" not in text
    assert "- **Gowalla.** On gowalla. [Evidence](page.ipynb)" in text
    assert text.endswith("*The paper's claim: C8: Gowalla △ reproduced (provisional).*")
    assert "coat" in start_page.section(replace(found, parts=(part("gowalla", True),)), accepted, set())
