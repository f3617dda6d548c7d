"""Verdicts from records made up here: each claim must be able to come out either way, and as not measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from made_up import Parts, made_up, store

from prismbook.claims import decay_claims, evidence, prism_claims
from prismbook.claims.comparison import means
from prismbook.claims.evidence import LEARNING_RATES, epochs_needed
from prismbook.claims.statements import (
    OUTCOMES,
    Statement,
    again,
    by_case,
    from_judgement,
    is_provisional,
    listed,
    outcome,
    outcome_of,
    verdict,
    verdict_phrase,
    weakest,
)
from prismbook.pages import ledger_tables
from prismbook.plan.config import RunConfig
from prismbook.plan.experiments import SEEDS, configs, grid_configs
from prismbook.tables import seed_differences
from prismbook.tables.analysis import tidy
from prismbook.tables.rules import RULES, Judgement, Rules
from prismbook.tables.seed_differences import relative_difference

YES, NO, OPEN = Statement("yes", True), Statement("no", False), Statement("open", None)
UNDECIDED = Statement("unclear", None, undecided=True)
DIFFERS = Statement("as large", False, role="size")


@pytest.fixture(autouse=True)
def short_runs_are_no_dips(monkeypatch: pytest.MonkeyPatch) -> None:
    """The made-up runs are short; they count as runs that were waited for."""
    monkeypatch.setattr(seed_differences, "EARLY_BEST", 0)


def test_c18_is_provisional_where_a_run_stopped_on_a_plateau(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before, BPR's gap on MovieLens1M widened firmly, from a run without decay that stopped at epoch 23."""
    monkeypatch.setattr(seed_differences, "EARLY_BEST", 20)
    waited = [0.0] * 30 + [0.2] + [0.0] * 10
    for curve, provisional in (([0.0, 0.1, *[0.0] * 30], True), (waited, False)):
        runs = table(
            (grid_configs("gowalla", "bpr", 0), {"parts": (0.1, 0.05, 0.05), "validation": curve}),
            (
                grid_configs("gowalla", "bpr", 1e-6),
                {"parts": (0.2, 0.05, 0.01), "validation": [2 * each for each in waited]},
            ),
        )
        statement = decay_claims.wider_gap(runs[runs["run"].notna()], "BPR")
        assert statement.holds is True and statement.provisional is provisional
        assert ("perhaps in a dip, since at its best so early: BPR with decay 0" in statement.text) is provisional


@pytest.mark.parametrize(
    ("statements", "word"),
    [
        ([YES, YES], "reproduced"),
        ([YES, DIFFERS], "reproduced, size differs"),
        ([YES, NO], "for yes, not for no"),
        ([YES, NO, OPEN], "for yes, not for no"),
        ([YES, OPEN], "open (1 of 2 decided)"),  # what holds is not the whole claim
        ([YES, NO, OPEN, OPEN, UNDECIDED], "open (2 of 5 decided)"),  # fewer than half
        ([NO, NO], "not reproduced"),
        ([NO, OPEN], "not reproduced (1 of 2 decided)"),  # what is open could still hold
        ([NO, OPEN, OPEN], "open (1 of 3 decided)"),
        ([OPEN, OPEN], "not measured"),
        ([UNDECIDED, OPEN], "open (0 of 2 decided)"),
        ([UNDECIDED, NO], "not reproduced (1 of 2 decided)"),
        ([], "not measured"),
        # sizes, details and notes never turn the word; before, each of these was "in part"
        ([NO, replace(YES, role="size")], "not reproduced"),
        ([NO, replace(YES, role="detail")], "not reproduced"),
        ([YES, replace(NO, role="detail"), replace(NO, role="note")], "reproduced"),
        ([YES, replace(OPEN, role="size")], "reproduced"),
        ([OPEN, replace(YES, role="detail")], "not measured"),
    ],
)
def test_one_word_for_several_statements(statements: list[Statement], word: str) -> None:
    assert verdict(statements) == word
    assert outcome(statements[::-1]) == outcome(statements) == outcome_of(word) == outcome_of(f"{word} (provisional)")
    assert outcome(statements) in OUTCOMES


def test_what_is_not_a_verdict_is_refused() -> None:
    with pytest.raises(ValueError, match=r"phrase must be a verdict, one of reproduced, .* got 'in part'"):
        outcome_of("in part")
    with pytest.raises(ValueError, match="got 'for BPR'"):
        outcome_of("for BPR")


def test_a_verdict_names_what_it_holds_for_once() -> None:
    by_loss = [Statement("a", loss != "MAWU", about=loss) for loss in ("BPR", "BPR", "SSM", "MAWU")]
    assert verdict(by_loss) == "for BPR and SSM, not for MAWU"
    assert verdict([replace(YES, case="the text"), NO]) == "for the text, not for no"


def test_statements_are_listed_with_what_the_numbers_say() -> None:
    shown = "- yes: *holds*\n- no: *does not hold*\n- open: *not measured*\n- unclear: *undecided*"
    assert listed([YES, NO, OPEN, UNDECIDED]) == shown
    assert (
        listed([DIFFERS, replace(YES, role="detail")])
        == "- as large: *does not hold*\n- beside the claim, yes: *holds*"
    )


def test_the_weakest_statement_decides() -> None:
    assert weakest([YES, UNDECIDED, NO]) == NO
    assert weakest([YES, OPEN]) == OPEN and weakest([YES, YES]) == YES
    assert weakest([UNDECIDED, YES, OPEN]) is UNDECIDED  # the first of equals


def test_a_verdict_is_provisional_where_a_provisional_statement_decides_it() -> None:
    shaky_yes, shaky_no = Statement("a", True, provisional=True), Statement("b", False, provisional=True)
    assert is_provisional([shaky_yes]) and is_provisional([NO, shaky_yes]) and is_provisional([shaky_no, OPEN])
    assert not is_provisional([YES, NO, shaky_yes]) and not is_provisional([YES, NO, shaky_no])
    assert is_provisional([YES, shaky_no]) and not is_provisional([YES, replace(shaky_no, role="detail")])
    assert not is_provisional([NO]) and not is_provisional([])
    assert verdict_phrase([YES, shaky_yes]) == f"{verdict([YES])} (provisional)"
    assert listed([shaky_no]) == "- b: *does not hold, provisional*"


def test_a_claim_judged_under_two_protocols_has_a_verdict_for_each() -> None:
    statements = [replace(YES, case="text"), replace(NO, case="code"), replace(YES, case="code", about="SSM")]
    assert by_case(statements) == {"text": "reproduced", "code": "for SSM, not for code"}
    assert by_case([YES, replace(NO, case="code", role="note")]) == {}  # a note makes no verdict, and no case
    assert by_case([YES, NO]) == {}


@pytest.mark.parametrize(
    ("word", "holds", "undecided"),
    [("better", True, False), ("worse", False, False), ("undecided", None, True), ("collapsed", None, True)],
)
def test_a_statement_from_a_comparison(word: str, holds: bool | None, undecided: bool) -> None:
    found = from_judgement("a", Judgement(word), ["better"])
    assert (found.holds, found.undecided) == (holds, undecided)
    assert from_judgement("a", None, ["better"]) == Statement("a", None)


def held(statements: Sequence[Statement]) -> list[bool | None]:
    return [statement.holds for statement in statements]


def table(*runs: tuple[list[RunConfig], dict[str, Any] | None]) -> pd.DataFrame:
    """Runs as a claim gets them; None: was not run."""
    pairs = [(config, made and made_up(config, **made)) for configs, made in runs for config in configs]
    return tidy(*zip(*pairs, strict=True))


def rq1(**curves: list[Parts | None]) -> pd.DataFrame:
    """For each loss the parts of NDCG@20 at decays 0, 1e-6, 1e-4; validation scores as the test does."""
    return table(
        *(
            (grid_configs("gowalla", loss, decay), parts and {"parts": parts, "validation": [0.0, sum(parts)]})
            for loss, curve in curves.items()
            for decay, parts in zip([0, 1e-6, 1e-4], curve, strict=False)
        )
    )


FLAT: list[Parts | None] = [(0.10, 0.02, 0.02), (0.10, 0.02, 0.02), (0.10, 0.02, 0.02)]
RISING: list[Parts | None] = [(0.03, 0.02, 0.04), (0.07, 0.03, 0.03), (0.12, 0.03, 0.01)]


def by_name(statements: Sequence[Statement]) -> dict[str, bool | None]:
    """What the core statements say, by what they are about."""
    return {statement.name: statement.holds for statement in statements if statement.role == "core"}


def roles(statements: Sequence[Statement], role: str) -> list[bool | None]:
    return [statement.holds for statement in statements if statement.role == role]


def test_a_choice_of_no_decay_says_where_it_alone_was_repeated_with_more_patience() -> None:
    falling: list[Parts | None] = [(0.20, 0.02, 0.02), (0.10, 0.02, 0.02), (0.05, 0.02, 0.02)]
    runs = rq1(bpr=falling)
    said = "validation chooses no decay"
    assert decay_claims.claim_c18(runs)[0].text.endswith(said)
    runs["instead_of"] = [None if decay else "another run" for decay in runs["weight_decay"]]
    assert decay_claims.claim_c18(runs)[0].text.endswith(
        f"{said}, of which alone a run was repeated with more patience"
    )
    runs["instead_of"] = "another run"
    assert decay_claims.claim_c18(runs)[0].text.endswith(said)


def test_c1() -> None:
    poor, below = decay_claims.claim_c1(rq1(bpr=FLAT, directau=RISING))
    assert poor.holds is below.holds is True and "0.0900 against 0.1600, at 0 and 0.0001" in poor.text
    assert not poor.provisional and poor.seeds == 1  # 44 % at one seed is forty times the spread
    assert "worse at 2 of 2 decays weaker than its best;" in below.text  # the worst is the one without decay
    # nothing to lose, and above
    assert held(decay_claims.claim_c1(rq1(bpr=RISING, directau=FLAT))) == [False, False]
    # a shallow curve below BPR's: it falls below, and depends on decay hardly
    shallow: list[Parts | None] = [(0.040, 0.01, 0.01), (0.0405, 0.01, 0.01), (0.0402, 0.01, 0.01)]
    assert held(decay_claims.claim_c1(rq1(bpr=RISING, directau=shallow))) == [None, True]
    # furthest behind at a weak decay: what is without any stands beside it
    late: list[Parts | None] = [(0.10, 0.02, 0.02), (0.03, 0.02, 0.02), (0.16, 0.03, 0.01)]
    _, below = decay_claims.claim_c1(rq1(bpr=FLAT, directau=late))
    assert (
        below.holds is True and "worse at 1 of 2 decays weaker than its best, and undecided at no decay;" in below.text
    )


def test_c1_chooses_nothing_on_the_test_set() -> None:
    """Before, the decay with the lowest test score was the poor choice, and the one furthest behind was compared."""
    runs = rq1(bpr=FLAT, directau=[(0.12, 0.02, 0.02), (0.05, 0.02, 0.02), (0.12, 0.03, 0.02)])
    # by validation the run without decay is the worst one, which the test set does not bear out
    for decay, validation in ((0, 0.1), (1e-6, 0.16), (1e-4, 0.2)):
        runs.loc[(runs["loss"] == "DirectAU") & (runs["weight_decay"] == decay), "validation"] = validation
    poor, below = decay_claims.claim_c1(runs)
    assert "at 0 and 0.0001" in poor.text and poor.holds is not False
    assert "worse at 1 of 2" in below.text and "; at 0," in below.text and below.holds is False


def test_c1_needs_both_without_decay_and_runs_that_decide() -> None:
    for bpr, directau in (
        ([None, *FLAT[1:]], RISING),  # none without decay
        (FLAT, [None, *RISING[1:]]),
        ([FLAT[0], None, None], RISING),  # one decay in common is no curve
        (FLAT[:1], RISING[:1]),
        ([None] * 3, RISING),
    ):
        assert verdict(decay_claims.claim_c1(rq1(bpr=bpr, directau=directau))) == "not measured"
    runs = rq1(bpr=FLAT, directau=RISING)
    runs["epochs"] = 17
    assert outcome(decay_claims.claim_c1(runs)) == "open"
    runs.loc[runs["loss"] == "DirectAU", "epochs"] = 30
    poor, below = decay_claims.claim_c1(runs)
    assert poor.holds is True and below.undecided and "BPR cut off at 3 of 3 runs" in below.text
    for loss in ("bpr", "directau"):
        assert verdict(decay_claims.claim_c1(rq1(**{loss: FLAT}))) == "not measured"


def test_every_curve_reads_all_seeds_that_are_stored() -> None:
    """Before, the first seed alone was read, whatever was stored."""
    runs = [
        (grid_configs("gowalla", loss, decay, SEEDS), {"parts": parts, "validation": [0.0, sum(parts)]})
        for loss, curve in (("bpr", FLAT), ("directau", RISING))
        for decay, parts in zip([0, 1e-6, 1e-4], curve, strict=True)
        if parts is not None
    ]
    three_seeds = table(*runs)
    for claim in (decay_claims.claim_c1, decay_claims.claim_c2, decay_claims.claim_c22):
        decided = [each for each in claim(three_seeds) if each.difference is not None and each.role == "core"]
        assert decided and {len(each.difference.by_seed) for each in decided if each.difference} == {3}
    once = decay_claims.claim_c1(rq1(bpr=FLAT, directau=RISING))[0].difference
    thrice = decay_claims.claim_c1(three_seeds)[0].difference
    assert once is not None and thrice is not None
    assert once.standard_error == pytest.approx(3**0.5 * thrice.standard_error)


def test_c2_is_about_the_widening_and_about_the_level() -> None:
    """The paper's words are about the gap itself, its reason is about the widening. Before, one of the two decided."""
    slow: list[Parts | None] = [(0.20, 0.02, 0.02), (0.21, 0.02, 0.02), (0.22, 0.02, 0.02)]
    statements = decay_claims.claim_c2(rq1(bpr=slow, directau=RISING))
    widening = {"the gap of BPR": True, "the gap of DirectAU": True, "BPR widening less than DirectAU": True}
    # here BPR's is the larger gap, and widens less
    assert by_name(statements) == widening | {"BPR's lower level": False}
    assert [each.about for each in statements if each.role == "detail"] == ["each step of BPR", "each step of DirectAU"]
    assert verdict(statements).endswith("not for BPR's lower level")
    low: list[Parts | None] = [(0.07, 0.02, 0.02), (0.08, 0.02, 0.02), (0.09, 0.02, 0.02)]
    statements = decay_claims.claim_c2(rq1(bpr=low, directau=RISING))
    assert by_name(statements) == widening | {"BPR's lower level": True} and verdict(statements) == "reproduced"
    # the other way round it widens more
    turned = by_name(decay_claims.claim_c2(rq1(bpr=RISING, directau=slow)))
    assert turned["BPR widening less than DirectAU"] is False and turned["BPR's lower level"] is True
    flat = by_name(decay_claims.claim_c2(rq1(bpr=FLAT, directau=RISING)))
    assert flat["the gap of BPR"] is None  # all as good: validation takes the first, which is no decay
    narrower: list[Parts | None] = [(0.10, 0.02, 0.02), (0.10, 0.03, 0.03), (0.10, 0.05, 0.04)]
    assert by_name(decay_claims.claim_c2(rq1(bpr=narrower)))["the gap of BPR"] is False
    # with another loss than DirectAU BPR is compared beside the claim
    others = decay_claims.claim_c2(rq1(bpr=slow, ssm=RISING))
    assert set(by_name(others)) == {"the gap of BPR", "the gap of SSM"} and len(roles(others, "detail")) == 4


def test_c2_says_at_which_step_a_gap_narrows() -> None:
    """The paper shows a monotone trend. Before, the ends of a curve alone were compared."""

    def steps(curve: list[Parts | None]) -> Statement:
        return decay_claims.claim_c2(rq1(directau=curve))[-1]

    rising = steps(RISING)
    assert rising.holds is True and rising.role == "detail" and rising.seeds == 1 and rising.basis is not None
    assert "from 0 to 1e-06 (" in rising.text and "from 1e-06 to 0.0001 (" in rising.text
    dip: list[Parts | None] = [(0.06, 0.02, 0.04), (0.03, 0.04, 0.06), (0.12, 0.03, 0.01)]
    assert steps(dip).holds is False and steps(dip).text.count("narrower") == 1
    missing = steps([RISING[0], None, RISING[2]])
    assert missing.holds is None and "fewer than two steps" in missing.text
    beyond: list[Parts | None] = [(0.03, 0.02, 0.04), (0.12, 0.03, 0.01), (0.02, 0.02, 0.06)]
    assert "fewer than two steps" in steps(beyond).text  # past the best decay it may narrow


def test_c2_is_judged_up_to_the_best_decay_of_each() -> None:
    """Before, the end point decided, at which BPR ranks by popularity alone or has collapsed."""
    rising_then_gone: list[Parts | None] = [(0.10, 0.02, 0.02), (0.12, 0.02, 0.01), (0.06, 0.0, 0.0)]
    bpr = decay_claims.claim_c2(rq1(bpr=rising_then_gone))[0]
    assert bpr.holds is True and "to its best decay of 1e-06: popular minus unpopular 0.080 to 0.110" in bpr.text


def test_c2_leaves_open_what_was_not_run_or_cut_off() -> None:
    missing = by_name(decay_claims.claim_c2(rq1(bpr=[None] * 3, directau=[RISING[0], None, RISING[2]])))
    between = {"BPR widening less than DirectAU": None, "BPR's lower level": None}
    assert missing == {"the gap of BPR": None, "the gap of DirectAU": True} | between
    runs = rq1(bpr=RISING, directau=RISING)
    runs.loc[runs["loss"] == "DirectAU", "stopped_by"] = "max_epochs"
    cut = {each.name: each for each in decay_claims.claim_c2(runs)}
    assert cut["the gap of DirectAU"].undecided and cut["BPR's lower level"].undecided
    assert "DirectAU cut off at 3 of 3 runs" in cut["BPR widening less than DirectAU"].text


def test_c18_claims_the_gap_and_that_decay_matters_and_no_order() -> None:
    statements = decay_claims.claim_c18(rq1(bpr=FLAT, directau=RISING))
    assert set(by_name(statements)) == {"a poor choice of decay with DirectAU", "the gap of BPR", "the gap of DirectAU"}
    assert by_name(statements)["the gap of DirectAU"] is True
    assert verdict(decay_claims.claim_c18(tidy([], []))) == "not measured"


def test_c21() -> None:
    def judged(*curve: float | None) -> list[Statement]:
        runs = (
            (grid_configs("gowalla", "ssm", decay), ndcg and {"parts": (ndcg, 0, 0), "validation": [0.0, ndcg]})
            for decay, ndcg in zip([0, 1e-7, 1e-6, 1e-5, 1e-4], curve, strict=True)
        )
        return decay_claims.claim_c21(table(*runs))

    needed, careful = judged(0.10, 0.105, 0.12, 0.11, 0.10)
    assert needed.holds is True and not needed.provisional and "0.1200 against 0.1000, at 1e-06" in needed.text
    assert careful.holds is True and "4 of 4 other choices up to 0.0001 come out worse than 1e-06" in careful.text
    # before, some decay that beats none was all that careful tuning meant
    needed, careful = judged(0.10, 0.12, 0.1201, 0.12, 0.12)
    assert (
        needed.holds is True and careful.holds is False and "1 of 4 other choices up to 0.0001 come out" in careful.text
    )
    assert judged(0.10, 0.105, 0.1201, 0.1174, 0.1175)[1].holds is None
    assert judged(0.12, 0.12, 0.12, 0.12, 0.12)[0].holds is False  # validation chooses none
    assert "the strongest of these runs" in judged(0.10, 0.10, 0.11, 0.12, 0.13)[0].text
    assert judged(None, 0.1, 0.1, 0.1, 0.1)[0].holds is None
    assert roles(judged(0.1, 0.12, None, None, None), "detail") == [None]  # too few to say how careful
    # what does not hold is open where the best is the strongest that was run, and what holds stands
    needed, careful = judged(0.12, 0.12, 0.12, 0.12, 0.1201)
    assert needed.holds is careful.holds is None and "which a stronger decay could turn" in needed.text
    assert "0 of 3 other choices up to 0.01" in careful.text and "0.001 and 0.01 count as undecided" in careful.text
    assert again(careful, Rules()).holds is None
    assert [each.holds for each in judged(0.10, 0.10, 0.11, 0.12, 0.13)] == [True, True]


def test_c21_goes_on_to_stronger_decays_until_the_best_is_inside() -> None:
    def made(curve: dict[float, float]) -> pd.DataFrame:
        return table(
            *(
                (grid_configs("gowalla", "ssm", decay), {"parts": (ndcg, 0, 0), "validation": [0.0, ndcg]})
                for decay, ndcg in curve.items()
            )
        )

    runs = made({0: 0.12, 1e-6: 0.12, 1e-5: 0.12, 1e-4: 0.1201})
    grown = decay_claims.with_stronger(runs, made({1e-3: 0.10, 1e-2: 0.05}))
    assert grown["weight_decay"].max() == 1e-3  # the next one is worse, so that the search ends there
    needed, careful = decay_claims.claim_c21(grown)
    assert needed.holds is careful.holds is False and "the strongest of these runs" not in needed.text
    assert "of 4 decays here (0.001 beyond RQ1's grid" in needed.text and "1 of 2 other choices" in careful.text
    assert decay_claims.with_stronger(runs, made({1e-3: 0.13, 1e-2: 0.05}))["weight_decay"].max() == 1e-2
    cut = made({1e-3: 0.10})
    cut["stopped_by"] = "max_epochs"  # it decides nothing
    assert decay_claims.with_stronger(runs, cut) is runs
    inside = made({0: 0.12, 1e-5: 0.13, 1e-4: 0.12})
    assert decay_claims.with_stronger(inside, made({1e-3: 0.10})) is inside


def test_c21_does_not_count_how_many_decays_are_too_weak_to_matter() -> None:
    """Before, each of them was one more poor choice, so that a finer grid near 0 made any loss one that needs care."""

    def careful(*tiny: float) -> Statement:
        curve = {0: 0.10, **dict.fromkeys(tiny, 0.1001), 1e-6: 0.12, 1e-5: 0.1201, 1e-4: 0.12}
        runs = (
            (grid_configs("gowalla", "ssm", decay), {"parts": (ndcg, 0, 0), "validation": [0.0, ndcg]})
            for decay, ndcg in curve.items()
        )
        return decay_claims.claim_c21(table(*runs))[1]

    few, many = careful(1e-8), careful(1e-11, 1e-10, 1e-9, 1e-8, 1e-7)
    assert few.holds is many.holds is False
    assert few.basis is not None and many.basis is not None and len(few.basis.among) == len(many.basis.among) == 3
    assert "what does not differ from it are one choice: 1e-11, 1e-10, 1e-09, 1e-08, 1e-07)" in many.text
    # the raw count is beside it, and is most of them where the grid is fine near 0
    assert "each other decay that was run by itself: 2 of 4 worse" in few.text
    assert "each other decay that was run by itself: 6 of 8 worse" in many.text
    # where decay does nothing at all there is nothing to tune
    flat = [(grid_configs("gowalla", "ssm", decay, SEEDS), {"parts": (0.1, 0, 0)}) for decay in (0, 1e-7, 1e-6, 1e-5)]
    assert decay_claims.claim_c21(table(*flat))[1].holds is False


def test_c22() -> None:
    weaker, stronger = decay_claims.claim_c22(rq1(bpr=FLAT, directau=RISING))
    assert weaker.holds is True and "by 0% against 44%" in weaker.text and stronger.holds is False
    falling: list[Parts | None] = [(0.12, 0.03, 0.01), (0.07, 0.03, 0.03), (0.03, 0.02, 0.02)]
    assert held(decay_claims.claim_c22(rq1(bpr=FLAT, directau=falling))) == [False, True]
    assert held(decay_claims.claim_c22(rq1(bpr=RISING, directau=FLAT)))[0] is False
    assert verdict(decay_claims.claim_c22(rq1(bpr=FLAT[:1], directau=FLAT[:1]))) == "not measured"


def test_c22_counts_a_collapse_and_not_a_run_that_was_cut_off() -> None:
    runs = rq1(bpr=[*FLAT[:2], (0.001, 0, 0)], directau=RISING)
    last = runs["ndcg"] == 0.001
    runs.loc[last, "epochs"] = 12
    text = decay_claims.claim_c22(runs)[1].text
    assert (
        "by 0% against 0%, at the worst by validation, BPR at" in text
        and "(BPR cut off at 1 of 3 runs, with decay" in text
    )
    runs.loc[last, "largest_norm"] = 1e-6
    stronger = decay_claims.claim_c22(runs)[1]
    assert stronger.holds is False and "by 99% against 0%" in stronger.text
    assert "BPR collapsed at 1 of 3 runs" in stronger.text
    # a start by chance has not collapsed: what it would score nobody knows
    runs.loc[last, "by_chance"] = True
    assert "by 0% against 0%" in decay_claims.claim_c22(runs)[1].text
    assert "at a start by chance" in decay_claims.claim_c22(runs)[1].text


def test_c23_is_about_decay_alone() -> None:
    def judged(decays: Sequence[float], alphas: Sequence[float], without: float | None = None) -> list[Statement]:
        runs = [(grid_configs("gowalla", "directau", 10.0**-n), scores(u)) for n, u in enumerate(decays, start=4)]
        runs += [
            (grid_configs("gowalla", "directau", 0, init="prism", alpha=n / 4), scores(u)) for n, u in enumerate(alphas)
        ]
        made = table(*runs)
        return prism_claims.claim_c23(made[made["alpha"] != without])

    # the paper does not compare alpha's steps with decay's; beside the claim they are, with an interval
    quarters, at_once, sudden = [0.05, 0.04, 0.03, 0.02, 0.01], [0.08, 0.08, 0.01], [0.01, 0.01, 0.08]
    for decays, alphas, coarser in ((sudden, quarters, True), ([0.02, 0.04, 0.12], at_once, False)):
        core, beside = judged(decays, alphas)
        assert core.holds is True and (beside.holds, beside.role) == (coarser, "detail")
        assert core.difference is not None and core.shown == f"{0.5 + core.difference.mean:.0%} in one step"
    assert "whose largest covers 100% of its own, more than half" in beside.text  # the line that decay is coarse by
    assert "the largest step of alpha, of 0.25, covers 100%, more than half too" in core.text
    # steps of alpha of two sizes are not compared
    core, note = judged([0.01, 0.01, 0.08], [0.05, 0.04, 0.03, 0.02], without=0.5)
    assert core.holds is True and note.role == "note" and "not every strength was run" in note.text
    assert judged([0.01, 0.02, 0.03, 0.04, 0.05], [])[0].holds is False
    assert held(judged([0.01, 0.04], [0.04, 0.03, 0.01])) == [None]


def test_a_gap_is_a_share_of_the_second_settings_ndcg() -> None:
    rows = rq1(bpr=[(0.10, 0.05, 0.05), None, None], directau=[(0.05, 0.05, 0.10), None, None])
    bpr, directau = (rows[(rows["loss"] == loss) & rows["run"].notna()] for loss in ("BPR", "DirectAU"))
    found = relative_difference(bpr, directau, "gap")
    assert found is not None and found.by_seed == pytest.approx((0.1 / 0.2,))  # 0.05 less -0.05, of 0.2
    within = relative_difference(bpr, bpr, "gap")
    assert within is not None and found.standard_error > within.standard_error  # two losses share less of a seed


def test_a_ratio_of_none_is_not_compared() -> None:
    rows = rq1(bpr=[(0.10, 0.05, 0.0), None, None], directau=[(0.05, 0.05, 0.10), None, None])
    bpr, directau = (rows[(rows["loss"] == loss) & rows["run"].notna()] for loss in ("BPR", "DirectAU"))
    assert relative_difference(bpr, directau, "ratio") is None
    doubled = relative_difference(directau, directau.assign(ratio=1.0), "ratio")
    assert doubled is not None and doubled.mean == pytest.approx(1.0)


def rq2(without: float | None, *with_decay: tuple[float, float], loss: str = "bpr") -> pd.DataFrame:
    """The correlation of norms with log popularity without decay; with decay besides its validation NDCG@20."""
    zero = without if without is None else {"correlation": without, "validation": [0.0, 0.9]}
    return table(
        (grid_configs("gowalla", loss, 0), zero),
        *(
            (grid_configs("gowalla", loss, 10.0**-place), {"correlation": r, "validation": [0.0, validation]})
            for place, (r, validation) in enumerate(with_decay, start=4)
        ),
    )


def test_c3() -> None:
    assert held(decay_claims.claim_c3(rq2(0.3, (0.95, 0.1)))) == [True, True]
    assert held(decay_claims.claim_c3(rq2(0.8, (0.6, 0.1)))) == [False, False]  # 36 % and 64 % of the variance
    # norms that fall with popularity do not follow it; before, they counted as carrying nothing of it
    assert held(decay_claims.claim_c3(rq2(-0.9, (0.95, 0.1)))) == [True, False]
    assert held(decay_claims.claim_c3(rq2(-0.1, (-0.95, 0.1)))) == [False, True]
    assert held(decay_claims.claim_c3(rq2(0.66, (0.95, 0.1))))[1] is None  # half as much is at 0.67
    assert held(decay_claims.claim_c3(rq2(None, (0.9, 0.1)))) == held(decay_claims.claim_c3(rq2(0.3))) == [None]


def test_c3_takes_no_run_that_was_cut_off() -> None:
    """Before, BPR on Gowalla had its lengths from a run of 17 epochs, which decides nothing anywhere else."""
    (decay,) = grid_configs("gowalla", "bpr", 1e-4)
    [plain] = grid_configs("gowalla", "bpr", 0)
    for epochs, expected in ((17, [None]), (31, [True, True])):
        runs = table(([plain], {"correlation": 0.3}), ([decay], {"correlation": 0.95, "epochs": epochs}))
        statements = decay_claims.claim_c3(runs)
        assert held(statements) == expected
        assert ("cut off" in statements[0].text) == (epochs == 17)


def test_c3_takes_one_decay_for_both_losses() -> None:
    """Before, each loss had the decay that validation chooses for it; the paper's figure has one."""
    directau = rq2(0.3, (0.2, 0.1), (0.95, 0.2), loss="directau")  # chooses 1e-5
    bpr = rq2(0.3, (0.1, 0.9), (0.95, 0.2))  # would choose 1e-4
    names = by_name(decay_claims.claim_c3(pd.concat([bpr, directau], ignore_index=True)))
    assert names["BPR with decay"] is names["DirectAU with decay"] is True
    assert by_name(decay_claims.claim_c3(bpr))["BPR with decay"] is False


Run = tuple[float, float]  # NDCG@20 and correlation


def batched(none: Run | None, batch: Run | None, whole: Run | None, seeds: Sequence[int] = (123,)) -> pd.DataFrame:
    places = ((0, "table", none), (1e-6, "batch", batch), (1e-6, "table", whole))
    return table(
        *(
            (
                grid_configs("gowalla", "directau", decay, seeds, decay_scope=scope),
                run and {"parts": (run[0], 0, 0), "correlation": run[1]},
            )
            for decay, scope, run in places
        )
    )


@pytest.mark.parametrize(
    ("none", "batch", "whole", "expected"),
    [
        ((0.1, 0.1), (0.101, 0.2), (0.2, 0.9), [True, True]),
        ((0.1, 0.1), (0.11, 0.2), (0.2, 0.9), [True, True]),  # 10 % off, where decay gains 100 %: before, not like none
        ((0.1, 0.1), (0.15, 0.2), (0.2, 0.9), [False, True]),
        ((0.1, 0.1), (0.09, 0.2), (0.2, 0.9), [True, True]),  # worse than none is no gain either
        ((0.1, 0.1), (0.102, 0.2), (0.11, 0.9), [None, True]),  # a fifth of a small gain
        ((0.1, 0.1), (0.19, 0.95), (0.2, 0.85), [False, False]),
        ((0.1, 0.6), (0.11, 0.62), (0.1, 0.58), [None]),  # too weak to write popularity even on the whole tables
        (None, (0.11, 0.2), (0.2, 0.9), [None]),
        ((0.1, 0.1), None, (0.2, 0.9), [None]),
        ((0.1, 0.1), (0.11, 0.2), None, [None]),
        (None, None, None, [None]),
    ],
)
def test_c6(none: Run | None, batch: Run | None, whole: Run | None, expected: list[bool | None]) -> None:
    statements = decay_claims.claim_c6(batched(none, batch, whole))
    assert roles(statements, "core") == expected
    if batch == (0.11, 0.2) and expected[0]:  # like none by its share of the gain, and more by the score's own margin
        assert "like none" in statements[0].text and "by the margin of NDCG@20 itself it is more" in statements[0].text
    assert len(roles(statements, "detail")) == (len(expected) > 1)  # whether the norms resemble those without decay


def test_c6_of_runs_that_were_cut_off_is_left_open() -> None:
    runs = batched((0.1, 0.1), (0.11, 0.2), (0.2, 0.9))
    runs.loc[runs["decay_scope"] == "batch", "epochs"] = 17
    # before, the lengths of such runs counted here, and not in C3 and C17
    for statement in decay_claims.claim_c6(runs):
        assert statement.undecided and "undecided: cut off at 1 of 1 seeds" in statement.text


def test_c6_prints_the_correlations_that_it_compares() -> None:
    """Before, the means over all seeds of each side stood beside a difference over the seeds that both have."""
    runs = batched((0.1, 0.6), (0.11, 0.5), (0.2, 0.9))
    further = grid_configs("gowalla", "directau", 0, seeds=[246])
    runs = pd.concat([runs, table((further, {"parts": (0.1, 0, 0), "correlation": 0.7}))], ignore_index=True)
    _, loses, resembles = decay_claims.claim_c6(runs)
    assert "of the whole tables, 0.50 against 0.90 (-0.40" in loses.text
    assert "a correlation of 0.50 against 0.60 (-0.10" in resembles.text


def test_c6_names_the_decay_that_is_too_weak_and_is_decided_at_the_tuned_one() -> None:
    """Before, the decay that bore it out least decided, another one on each dataset and for each statement."""

    def more(decay: float, batch: float, whole: float, r: float) -> list[tuple[list[RunConfig], dict[str, Any]]]:
        return [
            (
                grid_configs("gowalla", "directau", decay, decay_scope=scope),
                {"parts": (ndcg, 0, 0), "validation": [0.0, ndcg], "correlation": r if scope == "table" else 0.09},
            )
            for scope, ndcg in (("table", whole), ("batch", batch))
        ]

    first = batched((0.1, 0.1), (0.11, 0.2), (0.2, 0.9)).assign(validation=0.2)
    weak = pd.concat([first, table(*more(1e-8, 0.1, 0.1, 0.12))], ignore_index=True)
    statements = decay_claims.claim_c6(weak)
    assert "left out: 1e-08" in statements[0].text and roles(statements, "core") == [True, True]
    # at another decay, which validation does not choose, the batch's rows have most of the gain
    other = pd.concat([first, table(*more(1e-5, 0.18, 0.19, 0.9))], ignore_index=True)
    statements = decay_claims.claim_c6(other)
    assert roles(statements, "core") == [True, True] and statements[0].text.startswith("decay 1e-06, which validation")
    assert roles(statements, "detail")[0] is False
    # and where validation chooses it, it decides
    tuned = pd.concat([first, table(*more(1e-5, 0.18, 0.21, 0.9))], ignore_index=True)
    statements = decay_claims.claim_c6(tuned)
    assert roles(statements, "core") == [False, True] and statements[0].text.startswith("decay 1e-05, which validation")
    # the tuned decay was not run on the batch's rows
    lacking = tuned[~((tuned["weight_decay"] == 1e-5) & (tuned["decay_scope"] == "batch"))]
    assert held(decay_claims.claim_c6(lacking)) == [None]


def test_c7() -> None:
    def judged(lightgcn: Sequence[float | None], mf: Sequence[float | None]) -> list[bool | None]:
        runs = [
            (
                grid_configs("gowalla", "directau", decay, backbone=backbone),
                ndcg and {"parts": (ndcg, 0, 0), "validation": [0.0, ndcg]},
            )
            for backbone, scores in (("lightgcn", lightgcn), ("mf", mf))
            for decay, ndcg in zip([0, 1e-6, 1e-4], scores, strict=True)
        ]
        statements = decay_claims.claim_c7(table(*runs))
        notes[:] = [each.text for each in statements if each.role == "note"]
        return [each.holds for each in statements if each.role == "core"]

    notes: list[str] = []
    assert judged([0.20, 0.19, 0.20], [0.10, 0.15, 0.20]) == [True, False]  # less than MF, but 5 % is not barely
    # by the line of C6 it would be: beside the claim, and without a word in its verdict
    assert "5.3% [" in notes[0] and "of MF's +100.0%" in notes[0] and "LightGCN would be consistent" in notes[0]
    assert judged([0.200, 0.1999, 0.200], [0.10, 0.15, 0.20]) == [True, True]
    assert judged([0.200, 0.198, 0.200], [0.10, 0.15, 0.20]) == [True, None]
    assert judged([0.10, 0.15, 0.20], [0.20, 0.19, 0.20]) == [False, False]
    assert "LightGCN would be not consistent" in notes[0]
    assert judged([0.20, 0.19, 0.20], [0.10, 0.20, None]) == [True, False]  # over the decays of both
    assert judged([0.20, None, None], [0.10, 0.15, 0.20]) == [None]
    assert judged([None] * 3, [0.10, 0.15, 0.20]) == judged([None] * 3, [None] * 3) == [None]


def benefits(decay: dict[str, Any] | None, **prism: dict[str, Any] | None) -> pd.DataFrame:
    """A run with decay, one without (of no interest to the claims), and PRISM at alphas named ``a0``, ``a50``, ..."""
    return table(
        (grid_configs("gowalla", "directau", 1e-6), decay),
        (grid_configs("gowalla", "directau", 0), decay and {"parts": (0.9, 0.9, 0.9), "validation": [0.0, 0.99]}),
        *(
            (grid_configs("gowalla", "directau", 0, init="prism", alpha=int(name[1:]) / 100), made)
            for name, made in prism.items()
        ),
    )


def best_at(epoch: int, validation: float = 0.2, parts: Parts = (0.15, 0.04, 0.01)) -> dict[str, Any]:
    return {"parts": parts, "validation": [0.0] * epoch + [validation]}


SLOW, FAST = best_at(100), best_at(10, 0.21, (0.15, 0.04, 0.02))


def test_means_of_runs_that_decide_nothing_are_of_the_seeds_that_both_have() -> None:
    """Before, a mean over three seeds stood against one of a single seed, where a run of each was cut off."""
    cut = {"stopped_by": "max_epochs"}
    plain, other = (grid_configs("gowalla", "ssm", decay, seeds=(123, 246)) for decay in (1e-4, 0.0))
    ours = table((plain[:1], {"parts": (0.1, 0.0, 0.0), **cut}), (plain[1:], {"parts": (0.3, 0.0, 0.0), **cut}))
    theirs = table((other[:1], {"parts": (0.05, 0.0, 0.0), **cut}), (other[1:], None))
    assert means(ours, theirs, "ndcg") == "0.1000 against 0.0500"


@pytest.mark.parametrize(("epoch", "validation", "turns"), [(10, 0.199, True), (150, 0.199, False), (10, 0.19, None)])
def test_c11_says_where_another_decay_as_good_turns_the_sign(epoch: int, validation: float, turns: bool | None) -> None:
    """Before, the verdict hung on which of two decays that are alike on validation was ahead by a hair."""
    other = table((grid_configs("gowalla", "directau", 1e-5), best_at(epoch, validation)))
    runs = pd.concat([benefits(SLOW, a100=best_at(50)), other], ignore_index=True)
    noted = [each for each in prism_claims.claim_c11(runs) if each.role == "note"]
    assert len(noted) == (0 if turns is None else 1)
    if turns is not None:
        assert (noted[0].about == prism_claims.SIGN_TURNS) is turns and noted[0].holds is None
        assert f"decay 1e-05 takes {epoch + 1} epochs, PRISM, alpha 1 51" in noted[0].text


def test_c11() -> None:
    fewer, size, as_good, sooner = prism_claims.claim_c11(benefits(SLOW, a100=FAST))
    assert fewer.holds is True and fewer.seeds == 1 and not fewer.provisional
    assert "after 11 epochs against 101 (-89.1% [" in fewer.text and "1 seed: fewer" in fewer.text
    assert size.holds is False and size.role == "size" and as_good.role == sooner.role == "detail"
    assert prism_claims.claim_c11(benefits(SLOW, a100=best_at(300)))[0].holds is False
    # one seed of epochs has one sign, which before was a word in 91 % of cases
    unclear = prism_claims.claim_c11(benefits(SLOW, a100=best_at(70)))[0]
    assert unclear.undecided
    refuted = prism_claims.claim_c11(benefits(SLOW, a100=best_at(160)))[0]
    assert refuted.holds is False and "not fewer" in refuted.text
    for runs in (benefits(SLOW, a100=None), benefits(None, a100=FAST), tidy([], [])):
        assert held(prism_claims.claim_c11(runs)) == [None]


def test_c11_takes_some_alpha_as_good_by_validation() -> None:
    """Before, the alpha with the best validation score was compared, which is the slowest."""
    fewer = prism_claims.claim_c11(benefits(SLOW, a50=best_at(10, 0.199), a100=best_at(300, 0.21)))[0]
    assert fewer.holds is True and fewer.text.startswith("PRISM, alpha 0.5, the fastest of 2 strengths")
    # not comparable: 10 % worse by validation
    slow = prism_claims.claim_c11(benefits(SLOW, a50=best_at(10, 0.18), a100=best_at(300, 0.21)))[0]
    assert slow.holds is False and slow.text.startswith("PRISM, alpha 1,")
    none = prism_claims.claim_c11(benefits(SLOW, a50=best_at(10, 0.18)))
    assert outcome(none) == "not reproduced" and "none of 1 strength" in none[0].text
    left = prism_claims.claim_c11(benefits(SLOW, a50=best_at(10, 0.18), a100=None))
    assert outcome(left) == "open" and "(1 of 2 strengths were run)" in left[0].text


def test_c11_of_a_run_that_was_cut_off_the_epochs_are_not_known() -> None:
    for decay, prism, which in (
        (SLOW | {"stopped_by": "max_epochs"}, FAST, "decay 1e-06"),
        (SLOW, FAST | {"stopped_by": "max_epochs"}, "PRISM, alpha 1"),
    ):
        cut = prism_claims.claim_c11(benefits(decay, a100=prism))[0]
        assert cut.undecided and f"undecided: DirectAU with {which} cut off at 1 of 1 seeds" in cut.text


@pytest.mark.parametrize(
    ("fast_at", "word"),
    [((1e-3, 1e-2), "reproduced, size differs"), ((1e-2,), "not reproduced"), ((), "not reproduced")],
)
def test_c11_is_judged_at_the_learning_rate_that_validation_chooses(
    tmp_path: Path, fast_at: Sequence[float], word: str
) -> None:
    """Before, one learning rate of two that said yes was enough."""
    decay = grid_configs("gowalla", "directau", 1e-6)
    prism = grid_configs("gowalla", "directau", 0, init="prism", alpha=1.0)
    for rate, score in zip(LEARNING_RATES, (0.2, 0.15), strict=True):
        epochs = 10 if rate in fast_at else 300
        parts = (score - 0.05, 0.04, 0.01)
        for [config], scores in ((decay, best_at(100, score, parts)), (prism, best_at(epochs, score, parts))):
            store(tmp_path, made_up(replace(config, lr=rate), **scores))
    statements = epochs_needed("gowalla", tmp_path).under(RULES)
    assert verdict(statements) == word
    [note] = [each for each in statements if each.role == "note"]
    # one decay and one strength at that rate: a number, and no direction
    assert note.case == "learning rate 0.01" and note.holds is None and note.undecided and note.difference is not None
    # before, fewer epochs at a rate at which both score less were said without that price
    assert "the one that validation chose: PRISM 0.1500 and 0.2000, decay 0.1500 and 0.2000" in note.text
    assert note.text.endswith("; not all runs at this rate are made")
    # where that learning rate alone counts, its note is the core, and still decides nothing
    alone = epochs_needed("gowalla", tmp_path).under(replace(RULES, case="learning rate 0.01"))
    assert outcome(alone) == "open"


def test_c11_a_further_learning_rate_counts_once_both_methods_have_run_all_of_it(tmp_path: Path) -> None:
    """Before, one more decay at the larger rate made decay better tuned, and no strength of PRISM was comparable."""
    planned = [config for name in ("rq4", "rq4-decay") for config in configs(name, "gowalla")]
    for config in planned:
        store(tmp_path, made_up(config, **best_at(100, 0.2)))
    [one] = grid_configs("gowalla", "directau", 1e-6)
    store(tmp_path, made_up(replace(one, lr=1e-2), **best_at(50, 0.3)))
    core = epochs_needed("gowalla", tmp_path).under(RULES)[0]
    assert "after 101 epochs against 101" in core.text
    for config in planned:
        store(tmp_path, made_up(replace(config, lr=1e-2), **best_at(50, 0.3)))
    core = epochs_needed("gowalla", tmp_path).under(RULES)[0]
    assert "after 51 epochs against 51" in core.text


def at_seeds(
    runs: Sequence[dict[str, Any] | None], **fields: Any
) -> list[tuple[list[RunConfig], dict[str, Any] | None]]:
    """DirectAU at the first of three seeds, the second, ..., as :func:`table` takes them; None: was not run."""
    decay = 0.0 if fields else 1e-6
    return [
        (grid_configs("gowalla", "directau", decay, seed, **fields), one) for seed, one in zip(SEEDS, runs, strict=True)
    ]


def three(decay: Sequence[dict[str, Any] | None], prism: Sequence[dict[str, Any] | None]) -> pd.DataFrame:
    """Decay and PRISM at three seeds, and at the first one PRISM without strength too."""
    even = {"parts": (0.05, 0.04, 0.04), "validation": [0.0, 0.05]}
    zero = (grid_configs("gowalla", "directau", 0.0, init="prism", alpha=0.0), even)
    return table(*at_seeds(decay), zero, *at_seeds(prism, init="prism", alpha=1.0))


def scores(unpopular: float, best: int = 2, whole: float = 0.2) -> dict[str, Any]:
    """A run best at an epoch, of which popular items have all but a little."""
    return {"parts": (whole - unpopular, 0.0, unpopular), "validation": [0.0] * best + [0.2]}


def test_what_holds_at_the_seed_that_chose_is_judged_over_all_seeds() -> None:
    slow = [scores(0.01, 9)] * 3
    clear = three(slow, [scores(0.02, 3), scores(0.021, 2), scores(0.022, 4)])
    assert prism_claims.claim_c11(clear)[0].holds is True
    assert by_name(prism_claims.claim_c12(clear)) == {"being fairer": True, "being as good": True}
    # the first seed alone would say fairer and faster
    mixed = three(slow, [scores(0.02, 3), scores(0.005, 9), scores(0.009, 20)])
    assert prism_claims.claim_c11(mixed)[0].undecided and "3 seeds" in prism_claims.claim_c11(mixed)[0].text
    assert by_name(prism_claims.claim_c12(mixed))["being fairer"] is not True
    turned = three([scores(0.02, 3)] * 3, [scores(0.01, 9), scores(0.011, 8), scores(0.012, 7)])
    assert by_name(prism_claims.claim_c12(turned))["being fairer"] is False
    assert prism_claims.claim_c11(turned)[0].holds is False


def test_only_seeds_of_both_count_and_none_but_the_first_chooses() -> None:
    one = three([scores(0.01, 90), None, scores(0.3, 1)], [scores(0.02, 3), scores(0.001, 50), None])
    fewer = prism_claims.claim_c11(one)[0]
    assert fewer.holds and fewer.seeds == 1 and "after 4 epochs against 91" in fewer.text
    # at another seed PRISM without strength would be chosen
    lucky = (
        grid_configs("gowalla", "directau", 0.0, 246, init="prism", alpha=0.0),
        scores(0.05, 1) | {"validation": [9]},
    )
    more = pd.concat([one, table(lucky)], ignore_index=True)
    assert prism_claims.claim_c12(more)[0].text == prism_claims.claim_c12(one)[0].text


def test_as_good_is_within_the_margin_and_noise_is_not() -> None:
    def as_good(scores_of_prism: Sequence[float]) -> bool | None:
        decay = [scores(0.01, whole=whole) for whole in (0.20, 0.21, 0.22)]
        statements = prism_claims.claim_c12(three(decay, [scores(0.01, whole=whole) for whole in scores_of_prism]))
        return by_name(statements)["being as good"]

    assert as_good((0.2, 0.209, 0.221)) is True
    assert as_good((0.21, 0.22, 0.23)) is True  # better
    assert as_good((0.203, 0.213, 0.223)) is True  # surely not worse, though not surely equivalent
    assert as_good((0.196, 0.206, 0.216)) is None
    assert as_good((0.19, 0.2, 0.21)) is False


def test_c12() -> None:
    fair = {"parts": (0.12, 0.05, 0.04), "validation": [0.0, 0.3]}
    popular = {"parts": (0.16, 0.05, 0.01), "validation": [0.0, 0.2]}
    statements = prism_claims.claim_c12(benefits(SLOW, a0=fair, a100=popular))
    assert by_name(statements) == {"being fairer": True, "being as good": True}
    assert verdict(statements) == "reproduced, size differs"  # four times the ratio, and the paper's is +76 %
    assert roles(statements, "detail")[0] is True  # popular items gain and unpopular ones lose
    # the other way round nothing is traded as claimed, which is what alpha does by itself and no part of the core
    turned = prism_claims.claim_c12(benefits(SLOW, a0=popular, a100=fair))
    assert outcome(turned) == outcome(statements) and roles(turned, "detail")[0] is False
    unfair = {"parts": (0.12, 0.05, 0.001), "validation": [0.0, 0.3]}
    assert outcome(prism_claims.claim_c12(benefits(SLOW, a0=popular, a100=unfair))) == "not reproduced"
    assert held(prism_claims.claim_c12(benefits(SLOW, a0=fair))) == [None]  # one alpha is no trade
    assert held(prism_claims.claim_c12(benefits(None, a0=fair, a100=popular))) == [None]


def test_c12_is_open_where_it_fails_and_a_strength_was_not_run() -> None:
    """Before, it was refuted by the strengths that happened to be run."""
    fair = {"parts": (0.12, 0.05, 0.04), "validation": [0.0, 0.3]}
    unfair = {"parts": (0.12, 0.05, 0.001), "validation": [0.0, 0.3]}
    popular = {"parts": (0.16, 0.05, 0.01), "validation": [0.0, 0.2]}
    refuted = prism_claims.claim_c12(benefits(SLOW, a0=popular, a100=unfair))
    waiting = prism_claims.claim_c12(benefits(SLOW, a0=popular, a50=None, a100=unfair))
    assert by_name(refuted)["being fairer"] is False and by_name(waiting)["being fairer"] is None
    assert waiting[0].undecided and "2 of 3 strengths were run" in waiting[0].text
    assert "which the strengths that were not run could turn" in waiting[0].text
    # so it is under other rules, and what one strength bears out holds
    assert again(waiting[0], Rules(margin=0.01)).holds is None and again(refuted[0], Rules(margin=0.01)).holds is False
    borne_out = prism_claims.claim_c12(benefits(SLOW, a0=popular, a50=None, a100=fair))
    assert by_name(borne_out) == {"being fairer": True, "being as good": True}


@pytest.mark.parametrize(("figure", "said"), [(0.05, "is in"), (0.5, "is not in")])
def test_a_size_says_whether_the_figure_is_in_the_interval(figure: float, said: str) -> None:
    """Before, a cross stood before "is in this interval"."""
    runs = three([scores(0.01)] * 3, [scores(0.01, whole=0.21)] * 3).set_index("seed")
    sides = [runs[(runs["init"] == init) & (runs["alpha"] != 0)] for init in ("prism", "xavier")]
    [size] = prism_claims._size("NDCG@20", *sides, "ndcg", figure)
    assert size.text.endswith(f"the paper's {figure:+.2%} {said} this interval") and size.holds is (said == "is in")


def c13(
    prism: Parts | None,
    bpr: Parts | None,
    resn: Parts | None = None,
    decay: Parts | None = None,
    more: Sequence[tuple[list[RunConfig], dict[str, Any] | None]] = (),
) -> list[Statement]:
    runs = table(
        (grid_configs("gowalla", "bpr", 1e-6), bpr and {"parts": bpr}),
        (grid_configs("gowalla", "resn", 1e-6), resn and {"parts": resn}),
        *([(grid_configs("gowalla", "directau", 1e-6), {"parts": decay})] if decay else []),
        (grid_configs("gowalla", "directau", 0, init="prism", alpha=1.0), prism and {"parts": prism}),
        *more,
    )
    return prism_claims.claim_c13(runs)


def test_c13() -> None:
    ours = (0.10, 0.02, 0.03)

    def judged(*others: Parts | None) -> list[bool | None]:
        return [each.holds for each in c13(ours, *others) if each.name != "the ratio as a knob against decay"]

    assert judged((0.10, 0.02, 0.02), (0.09, 0.02, 0.022)) == [True, None]  # a baseline that was not tuned
    assert judged((0.20, 0.02, 0.07), (0.20, 0.02, 0.08))[0] is False  # fairer, and better
    assert judged((0.20, 0.02, 0.02), None)[0] is False  # better, but not fairer
    assert judged(None, None) == [None, None]
    # of the same loss with decay only the ratio is asked
    assert judged((0.10, 0.02, 0.02), None, (0.12, 0.02, 0.02))[-1] is True
    assert judged((0.10, 0.02, 0.02), None, (0.10, 0.02, 0.04))[-1] is False
    assert outcome(c13(None, (0.09, 0.02, 0.02))) == "not measured"


@pytest.mark.parametrize("resn", [(0.05, 0.01, 0.03), (0.0005, 0.0, 0.0004), (0.10, 0.02, 0.001)])
def test_c13_a_baseline_that_does_not_work_takes_no_part(resn: Parts) -> None:
    """Before, PRISM beat a baseline with an NDCG of 0.001, and one that is less fair than BPR."""
    statements = c13((0.10, 0.02, 0.03), (0.10, 0.02, 0.02), resn)
    [open_still] = [statement for statement in statements if statement.name == "beating ReSN"]
    assert "decay 1e-06 alone, not tuned" in open_still.text and "our baseline does not keep up" in open_still.text
    assert (open_still.role, open_still.holds, open_still.undecided) == ("core", None, True)


def test_c13_beating_bpr_alone_says_nothing_of_methods_made_for_fairness() -> None:
    """Before, beating BPR made half of the verdict where every debiased form had been dropped."""
    ours, bpr, decay = (0.10, 0.02, 0.03), (0.10, 0.02, 0.02), (0.10, 0.02, 0.04)
    alone = c13(ours, bpr, (0.0005, 0.0, 0.0004), decay)
    assert [each.role for each in alone if each.name == "beating BPR"] == ["detail"] and alone[0].holds is True
    assert outcome(alone) == "open"
    # where a debiased form is decided, BPR counts
    decided = c13(ours, bpr, (0.09, 0.02, 0.05), decay)
    assert [each.role for each in decided if each.name == "beating BPR"] == ["core"]


def test_c13_a_baseline_at_one_decay_is_not_beaten_but_may_win() -> None:
    """Before, PRISM could beat a baseline whose decay nobody had tuned."""
    ours, bpr = (0.10, 0.02, 0.03), (0.10, 0.02, 0.02)

    def against(resn: Parts, *decays: float) -> Statement:
        further = [(grid_configs("gowalla", "resn", decay), {"parts": (0.09, 0.02, 0.019)}) for decay in decays]
        return next(each for each in c13(ours, bpr, resn, more=further) if each.name == "beating ReSN")

    beaten = against((0.09, 0.02, 0.021))
    assert beaten.holds is None and beaten.undecided and "decay 1e-06 alone, not tuned, one setting" in beaten.text
    assert "which more of ReSN's search could turn" in beaten.text
    # more of its search only helps it
    assert against((0.09, 0.02, 0.05)).holds is False
    assert again(beaten, Rules()).holds is None and again(beaten, Rules(margin=0.01)).holds is None
    assert against((0.09, 0.02, 0.021), 1e-7, 1e-5).holds is True


@pytest.mark.parametrize(
    ("best_beta", "note"),
    [(1e-3, ", resn_beta 0.001 at the edge of what was tried"), (1e-2, ""), (None, ", one setting, not searched")],
    ids=["at an edge", "inside", "one"],
)
def test_c13_says_how_far_a_baseline_was_searched(best_beta: float | None, note: str) -> None:
    betas = [1e-2] if best_beta is None else [1e-3, 1e-2, 1e-1]
    baselines = [
        (
            grid_configs("gowalla", "resn", 1e-6, resn_beta=beta),
            {"validation": [0.0, 0.9 if beta == best_beta else 0.1]},
        )
        for beta in betas
    ]
    texts = [each.text for each in c13((0.1, 0.02, 0.03), (0.1, 0.02, 0.019), more=baselines)]
    assert any(text.startswith(f"against ReSN, decay 1e-06 alone, not tuned{note}: ratio") for text in texts)


def test_c13_sets_alpha_as_a_knob_against_decay_as_a_knob() -> None:
    """Before, alpha = 1 was set against the decay with the largest ratio on the test set."""

    def frontier(weak_decay: float, half_alpha: float, validation: float = 0.2) -> Statement:
        def one(ratio: float, score: float = 0.2) -> dict[str, Any]:
            return scores(0.2 * ratio / (1 + ratio)) | {"validation": [0.0, score]}

        runs = table(
            (grid_configs("gowalla", "directau", 1e-6), one(weak_decay)),
            (grid_configs("gowalla", "directau", 1e-4), one(0.1)),
            (grid_configs("gowalla", "directau", 0, init="prism", alpha=0.5), one(half_alpha, validation)),
            (grid_configs("gowalla", "directau", 0, init="prism", alpha=1.0), one(0.1)),
        )
        return prism_claims.claim_c13(runs)[-1]

    assert frontier(0.1, 0.3).holds is True and "alpha 0.5 against decay 1e-06" in frontier(0.1, 0.3).text
    assert frontier(0.3, 0.1).holds is False and frontier(0.3, 0.32).undecided
    # an alpha that does not keep the score is not on it
    assert frontier(0.1, 0.3, validation=0.1).holds is not True
    assert "alpha 1 against" in frontier(0.1, 0.3, validation=0.1).text


def test_c13_is_borne_out_by_a_strength_that_is_fairer_and_still_ranks_better() -> None:
    """Before, alpha = 1 alone was compared, though alpha trades the ratio for NDCG."""
    bpr = (0.10, 0.02, 0.02)

    def beaten(half: Parts, validation: float) -> Statement:
        strength = grid_configs("gowalla", "directau", 0, init="prism", alpha=0.5)
        more = [(strength, {"parts": half, "validation": [0.0, validation]})]
        full = {"parts": (0.15, 0.02, 0.01), "validation": [0.0, 0.3]}  # better, and less fair
        runs = table(
            (grid_configs("gowalla", "bpr", 1e-6), {"parts": bpr, "validation": [0.0, 0.2]}),
            (grid_configs("gowalla", "directau", 0, init="prism", alpha=1.0), full),
            *more,
        )
        return prism_claims.claim_c13(runs)[0]

    fair = beaten((0.10, 0.02, 0.04), 0.25)
    assert fair.name == "beating BPR" and fair.holds is True and "at alpha 0.5" in fair.text
    # not one whose validation score is not above BPR's, and both need a better ratio
    assert beaten((0.10, 0.02, 0.04), 0.2).holds is False
    assert beaten((0.13, 0.02, 0.01), 0.25).holds is False and "at alpha 1;" in beaten((0.13, 0.02, 0.01), 0.25).text
    # decided again by the same rules it is the same, and an impossible margin refutes it
    assert again(fair, Rules()).holds is True and again(fair, Rules(margin=5.0)).holds is not True


def test_c13_is_open_where_prism_fails_and_a_strength_was_not_run() -> None:
    strength = grid_configs("gowalla", "directau", 0, init="prism", alpha=0.5)
    ours, bpr, decay = (0.10, 0.02, 0.02), (0.10, 0.02, 0.05), (0.10, 0.02, 0.04)
    refuted = {each.name: each.holds for each in c13(ours, bpr, decay=decay)}
    waiting = {each.name: each.holds for each in c13(ours, bpr, decay=decay, more=[(strength, None)])}
    assert refuted["beating BPR"] is refuted["the ratio against tuned decay"] is False
    assert waiting["beating BPR"] is waiting["the ratio against tuned decay"] is None


def test_c14() -> None:
    [config] = grid_configs("gowalla", "directau", 1e-6)
    slow = [0.0] * 30 + [0.5] * 30 + [1.0]
    early, late = [0.0, 0.99, *[1.0] * 59], slow

    def judged(dot: Sequence[float], cosine: Sequence[float], seeds: int = 1) -> list[Statement]:
        return decay_claims.claim_c14([made_up(config, validation=dot, cosine=cosine)] * seeds)

    assert held(judged(late, early)) == [True, True] and held(judged(early, late)) == [False, False]
    assert held(judged(late, late)) == [None, True]
    assert held(judged(late, [*early[:-1], 0.3])) == [True, False]
    sooner, stays = judged(late, [*early[:-1], 0.3])
    assert "after 2 epochs, the dot-product curve after 61" in sooner.text and "at 30% of it" in stays.text
    # three seeds are firm
    assert [each.provisional for each in judged(late, early)] == [False, True]
    assert [each.provisional for each in judged(late, early, 3)] == [False, False]
    assert held(decay_claims.claim_c14([])) == [None]


def c17_runs(ssm: Sequence[float], directau: Sequence[float], **made: Any) -> pd.DataFrame:
    runs = [
        (
            grid_configs("gowalla", loss, 0, seed, backbone="nonlinear-mf", init="prism", alpha=1.0),
            {"correlation": r} | made,
        )
        for loss, correlations in (("ssm", ssm), ("directau", directau))
        for seed, r in zip(SEEDS, correlations, strict=False)
    ]
    return table(*runs)


def c17(ssm: Sequence[float], directau: Sequence[float], **made: Any) -> list[Statement]:
    return prism_claims.claim_c17_norms(c17_runs(ssm, directau, **made), "the text")


def test_c17() -> None:
    """Before, the weaker of two parts decided, and what SSM had left was no part of it."""
    names = ("SSM's washing out (the text)", "DirectAU's keeping (the text)")

    def halves(ssm: float, directau: float) -> list[bool | None]:
        found = by_name(c17([ssm], [directau]))
        assert tuple(found) == names
        return list(found.values())

    assert halves(0.1, 0.9) == [True, True] and verdict(c17([0.1], [0.9])) == "reproduced"
    assert halves(0.9, 0.1) == [False, False]
    assert halves(0.3, 0.6) == [True, False]  # less, and yet not kept
    assert halves(0.85, 0.98) == [False, True]  # less, and yet not washed out
    assert roles(c17([0.85], [0.98]), "detail") == [True]
    # one seed, at the line; before, its interval could include the line and the sentence fail
    assert halves(0.1, 0.74)[1] is None and halves(0.1, 0.69)[1] is None and halves(0.74, 0.9)[0] is None
    at_the_line = c17([0.74], [0.69])
    assert [again(each, Rules(margin=0.05)).holds for each in at_the_line[:2]] == [None, None]
    # 0.74 against 0.80: the margin of a correlation is its own, and one seed of two losses is wide
    assert roles(c17([0.74], [0.80]), "detail") == [None]
    assert by_name(c17([0.1], [])) == {"the text": None}
    cut = c17([0.1], [0.7], stopped_by="max_epochs")
    assert held(cut) == [None, None] and "SSM cut off at 1 of 1 seeds, with a correlation of 0.10" in cut[0].text
    assert c17([0.1, 0.1, 0.2], [0.9, 0.9, 0.9])[0].seeds == 3
    # a half needs no seed of the other, and is open where a part of its own runs was cut off
    assert [each.seeds for each in c17([0.1], [0.9, 0.9, 0.9])] == [1, 3, 1]
    runs = c17_runs([0.1, 0.8], [0.9, 0.9])
    runs.loc[runs["norm_correlation"] == 0.8, "stopped_by"] = "max_epochs"
    washed, kept, _ = prism_claims.claim_c17_norms(runs)
    assert washed.undecided and kept.seeds == 2
    assert "SSM cut off at 1 of 2 seeds, with a correlation of 0.80 at seed 246" in washed.text


@pytest.mark.parametrize(
    ("dense", "sparse", "holds"),
    [(0.20, 0.20, True), (0.20, 0.23, True), (0.20, 0.17, False), (0.20, 0.197, None), (0.20, None, None)],
)
def test_c19_is_about_the_quality_that_stays(dense: float, sparse: float | None, holds: bool | None) -> None:
    given: dict[str, Any] = {"weight_decay": 0.0, "init": "prism", "alpha": 1.0}
    configs = [RunConfig("gowalla", "directau", gamma=5.0, optimizer=name, **given) for name in ("adam", "sparse_adam")]
    records = [score and made_up(config, (score, 0, 0)) for config, score in zip(configs, (dense, sparse), strict=True)]
    runs = tidy(configs, records)
    [statement] = prism_claims.claim_c19_quality(runs)
    # row-sparse Adam is another optimiser: the claim does not hang on it
    assert (statement.holds, statement.role) == (holds, "detail")
    assert statement.undecided == (holds is None and sparse is not None)


@pytest.mark.parametrize(("gap", "holds"), [(0.0, True), (0.0004, True), (0.0006, False), (-0.0006, False)])
def test_c19_hangs_on_the_path_of_adam_on_the_batchs_rows(gap: float, holds: bool) -> None:
    def training(loss: str, optimizer: str, last: float) -> dict[str, Any]:
        return {"loss": loss, "optimizer": optimizer, "epochs": 2, "ndcg": [0.1, last]}

    trainings = [training("BPR", name, 0.2) for name in ("adam", "row_adam")]
    trainings += [training("SSM", "adam", 0.2), training("SSM", "row_adam", 0.2 + gap)]
    trainings += [training("SSM", "sparse_adam", 0.5), training("DirectAU", "adam", 0.5)]
    [statement] = prism_claims.claim_c19_path(trainings)
    assert (statement.holds, statement.role, statement.provisional) == (holds, "core", True)
    assert "with BPR and SSM " in statement.text and "after each of 2 epochs" in statement.text
    [unmeasured] = prism_claims.claim_c19_path(trainings[-2:])
    assert unmeasured.holds is None and verdict([unmeasured]) == "not measured"


def test_c19_reads_the_measurement_of_large_tables_where_the_data_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {run["loss"] for run in evidence.scale_trainings("movielens1m")} == {"BPR", "SSM"}
    assert "(BPR, SSM;" in ledger_tables.GROUPS["Other"]["C19"]
    assert {run["dataset"] for run in evidence.scale_trainings("gowalla")} == {"gowalla"}
    monkeypatch.setattr(evidence, "default_results", lambda: Path("no folder/results"))
    assert evidence.scale_trainings("gowalla") == []


def test_no_run_at_all_is_not_measured() -> None:
    for judge in (prism_claims.claim_c11, prism_claims.claim_c12, prism_claims.claim_c13, prism_claims.claim_c17_norms):
        assert verdict(judge(tidy([], []))) == "not measured"


def test_no_verdict_rests_on_runs_that_a_limit_cut() -> None:
    """Before, two sections of one page on synthetic data said the opposite, four lines apart."""
    runs = rq1(bpr=FLAT, directau=RISING)
    runs["stopped_by"] = "max_epochs"
    for claim in (decay_claims.claim_c1, decay_claims.claim_c2, decay_claims.claim_c21, decay_claims.claim_c22):
        assert outcome(claim(runs)) in ("open", "not measured"), claim.__name__
    for claim in (decay_claims.claim_c6, decay_claims.claim_c7):
        assert outcome(claim(runs)) in ("open", "not measured"), claim.__name__


def test_c3_says_what_a_loss_has_at_its_own_decay_where_that_is_another() -> None:
    runs = [
        (grid_configs("gowalla", loss, decay), {"correlation": correlation, "validation": [0.0, score]})
        for loss, of_loss in (
            ("directau", ((0.0, 0.2, 0.05), (1e-6, 0.8, 0.06), (1e-5, 0.9, 0.1))),
            ("bpr", ((0.0, 0.2, 0.05), (1e-6, 0.3, 0.1), (1e-5, 0.9, 0.06))),
        )
        for decay, correlation, score in of_loss
    ]
    texts = [each.text for each in decay_claims.claim_c3(table(*runs)) if "under Adam" in each.text]
    assert any(text.startswith("BPR") and "at its own choice, 1e-06, a correlation of 0.30" in text for text in texts)
    assert not any(text.startswith("DirectAU") and "its own choice" in text for text in texts)
