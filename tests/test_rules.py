"""The rules of verdicts: made-up differences for each possible word, the case that came out otherwise before, and how
often the rules are wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import made_up

from prismbook.claims.statements import again, from_judgement, left_open_with
from prismbook.pages import verdict_tables
from prismbook.plan.experiments import SEEDS, grid_configs
from prismbook.tables import error_rates, spreads
from prismbook.tables.endings import (
    EARLY,
    cut_off,
    edges,
    ended_by_chance,
    never_learned,
    random_ndcg,
    started_by_chance,
    takes_part,
)
from prismbook.tables.rules import (
    MARGIN,
    MAY_BE,
    MEASURES,
    Difference,
    Judgement,
    Rules,
    contains,
    has_direction,
    is_equivalent,
    judge,
    relative,
)
from prismlib import datasets

#: The spread over seeds of the made-up differences: 1 %.
SEED_ERROR = 0.01


def made(*by_seed: float, users: tuple[float, float] | None = None, measure: str = "ndcg") -> Difference:
    return Difference(by_seed, users, measure, SEED_ERROR)


@pytest.mark.parametrize(
    ("by_seed", "users", "word"),
    [
        ((0.05, 0.06, 0.04), (0.03, 0.07), "better"),
        ((-0.05, -0.06, -0.04), (-0.07, -0.03), "worse"),
        ((0.001, -0.001, 0.0), (-0.01, 0.01), "equivalent"),
        ((0.026, 0.027, 0.026), None, "better"),  # three seeds, 4.6 standard errors
        ((0.03,), None, "better"),  # one seed, and three standard errors
        ((0.026,), None, "better (provisional)"),  # one seed, 2.6 standard errors
        ((0.03,), (-0.01, 0.07), "not worse (provisional)"),  # the users leave zero inside
        ((0.0,), None, "equivalent (provisional)"),  # 1.96 % within 2.5 %, and 2.8 % beyond
        ((0.01,), None, "not worse"),
        ((-0.01,), None, "not better"),
        ((0.022, 0.023, 0.024), (0.02, 0.027), "not worse"),  # sure to be there, not sure to be beyond the margin
        ((0.0,), (-0.05, 0.05), "undecided"),
    ],
)
def test_every_word_and_its_mirror(by_seed: tuple[float, ...], users: tuple[float, float] | None, word: str) -> None:
    found = judge(made(*by_seed, users=users))
    assert str(found) == word
    mirrored = judge(made(*(-value for value in by_seed), users=users and (-users[1], -users[0])))
    turned = {"better": "worse", "worse": "better"}
    other, firm = (" ".join(turned.get(part, part) for part in said.split(" ")) for said in (found.word, found.firm))
    assert mirrored == Judgement(other, found.provisional, firm)
    assert found.word in MAY_BE


@pytest.mark.parametrize(
    ("left_out", "word"),
    [
        ((), "worse"),
        ((-0.06, -0.5), "worse (provisional)"),
        ((-0.06, -0.02), "undecided"),  # within the margin is not worse
        ((0.3,), "undecided"),
    ],
)
def test_a_seed_that_was_left_out_may_undo_a_word_and_never_makes_one(left_out: tuple[float, ...], word: str) -> None:
    """Before, C10 on MovieLens1M was firm by one seed, with an interval that left out both other seeds."""
    assert str(judge(replace(made(-0.17), left_out=left_out))) == word
    assert str(judge(replace(made(0.0, users=(-0.05, 0.05)), left_out=left_out))) == "undecided"


def test_a_word_that_rests_on_a_dip_is_provisional() -> None:
    """Before, C18 on MovieLens1M was firm by a run of BPR that stopped on a plateau at epoch 23."""
    assert [str(judge(replace(made(-0.17), in_dip=each))) for each in (False, True)] == ["worse", "worse (provisional)"]
    assert str(judge(replace(made(0.0, users=(-0.05, 0.05)), in_dip=True))) == "undecided"


@pytest.mark.parametrize(
    ("difference", "before", "now"),
    [
        # C12, MovieLens1M: three seeds agree in sign, and the ratio's interval of users leaves out zero
        (Difference((0.008, 0.069, 0.024), (0.02, 0.05), "ratio", 0.068), "better", "not worse"),
        # C11, one seed of epochs has one sign
        (Difference((0.33,), None, "epochs", 0.37), "better", "undecided"),
        # one seed within the margin by its users alone
        (Difference((-0.009,), (-0.018, 0.0001), "ndcg", 0.0105), "equivalent", "not better"),
        # ten times the noise at one seed was provisional
        (Difference((-0.22,), (-0.23, -0.21), "ndcg", 0.0105), "worse (provisional)", "worse"),
    ],
)
def test_what_came_out_otherwise_before(difference: Difference, before: str, now: str) -> None:
    assert _before(difference) == before.split(" ")[0]
    assert str(judge(difference)) == now


def _before(difference: Difference) -> str:
    """The rule that was: all seeds agree in sign and the users' interval leaves out zero; NDCG's margin for all."""
    users = difference.users
    signs_agree = len(set(np.sign(difference.by_seed))) == 1
    if signs_agree and (users is None or not users[0] <= 0 <= users[1]) and abs(difference.centre) > MARGIN:
        return "better" if difference.centre > 0 else "worse"
    return "equivalent" if users is not None and users[0] >= -MARGIN and users[1] <= MARGIN else "undecided"


def test_the_shown_interval_is_the_one_that_decides() -> None:
    one, three = made(0.05, users=(0.04, 0.06)), made(0.05, 0.05, 0.05, users=(0.04, 0.06))
    users_error = 0.01 / 1.96
    half = 1.96 * (SEED_ERROR**2 + users_error**2) ** 0.5
    assert one.interval == pytest.approx((0.05 - half, 0.05 + half))
    half = 1.96 * (SEED_ERROR**2 / 3 + users_error**2) ** 0.5
    assert three.interval == pytest.approx((0.05 - half, 0.05 + half))
    for value in np.linspace(-0.08, 0.08, 33):
        low, high = made(value).interval
        if judge(made(value)).word in ("better", "worse"):
            assert not low <= 0 <= high
        if judge(made(value)).word == "equivalent":
            assert low >= -MARGIN and high <= MARGIN


def test_epochs_and_ratios_are_compared_in_logs() -> None:
    """Before, a number of epochs could fall by 143 %."""
    found = Difference((float(np.log(0.42)),), None, "epochs", 0.37)
    low, high = found.interval
    assert found.mean == pytest.approx(-0.58) and -1 < low < -0.7 and high < 0
    doubled, halved = (Difference((float(np.log(factor)),), None, "ratio", 0.07) for factor in (2, 0.5))
    assert doubled.mean == pytest.approx(1.0) and halved.mean == pytest.approx(-0.5)
    assert doubled.standard_error == halved.standard_error


def test_one_seed_may_decide_nothing() -> None:
    assert judge(made(0.5)).word == "better"
    assert judge(made(0.5), Rules(one_seed=False)) == Judgement("undecided")
    assert judge(made(0.5, 0.5), Rules(one_seed=False)).word == "better"


def test_each_measure_has_its_margin_and_a_reason() -> None:
    assert [judge(made(0.04, 0.04, 0.04, measure=name)).word for name in ("ndcg", "correlation", "gain", "ratio")] == [
        "better",
        "not worse",
        "equivalent",
        "equivalent",
    ]
    assert all(len(measure.why) > 20 and measure.margin > 0 for measure in MEASURES.values())
    assert np.expm1(MEASURES["ratio"].margin) == pytest.approx(0.10)
    assert np.expm1(MEASURES["epochs"].margin) == pytest.approx(0.25)


@pytest.mark.parametrize("measure", MEASURES)
def test_all_margins_go_with_that_of_ndcg(measure: str) -> None:
    margin = MEASURES[measure].margin
    calm = Difference((0.6 * margin,) * 3, None, measure, margin / 20)
    words = [judge(calm, Rules(margin=factor * MARGIN)).word for factor in (0.4, 1, 2)]
    assert words == ["better", "equivalent", "equivalent"]


def test_without_a_known_spread_nothing_is_decided() -> None:
    assert judge(Difference((5.0,), None, "ndcg", np.inf)).word == "undecided"


values = st.floats(-0.5, 0.5).filter(lambda value: abs(value) > 1e-6)
STRENGTH = {"undecided": 0, "not better": 1, "not worse": 1}


def strength(found: Judgement) -> float:
    return STRENGTH.get(found.word, 2) - 0.5 * found.provisional


@given(values, st.integers(1, 5), st.floats(0.0, 0.05))
def test_a_seed_that_says_the_same_never_weakens_a_word(value: float, seeds: int, users: float) -> None:
    interval = (value - users, value + users)
    before, after = (judge(made(*(value,) * n, users=interval)) for n in (seeds, seeds + 1))
    assert strength(after) >= strength(before)
    assert MAY_BE[after.word] <= MAY_BE[before.word]


@given(st.floats(-0.1, 0.1), st.floats(0.001, 0.1), st.floats(1.0, 5.0))
def test_noise_never_strengthens_a_word(value: float, error: float, wider: float) -> None:
    calm, noisy = (judge(Difference((value,), None, "ndcg", e)) for e in (error, wider * error))
    assert MAY_BE[calm.word] <= MAY_BE[noisy.word]


@given(values, st.floats(0.001, 0.1), st.floats(0.001, 0.1))
def test_no_difference_is_both_equivalent_and_directed(value: float, error: float, margin: float) -> None:
    difference = Difference((value,), None, "ndcg", error)
    assert not (has_direction(difference, margin) and is_equivalent(difference, margin))


def test_a_relative_difference_is_a_share_of_the_second() -> None:
    found = relative([0.11, 0.12], [0.1, 0.1], (0.005, 0.02))
    assert found.by_seed == pytest.approx((0.1, 0.2)) and found.users == pytest.approx((0.05, 0.2))
    assert found.mean == pytest.approx(0.15)
    for first, second, message in (
        ([0.1], [0.1, 0.2], "the same seeds, 1 or more, got 1 and 2"),
        ([], [], "the same seeds, 1 or more, got 0 and 0"),
        ([0.1], [0.0], "a mean above 0, got 0"),
    ):
        with pytest.raises(ValueError, match=message):
            relative(first, second)


def test_the_papers_figure_in_the_interval_or_not() -> None:
    difference = made(0.04)
    assert contains(difference, 0.03) and contains(difference, 0.1) is False and contains(difference, -0.02) is False
    assert contains(made(0.01), 0.02) is None  # before, a wide interval earned the figure a mark


# the spread over seeds


def seeds_of(loss: str, scores: tuple[float, ...], **fields: object) -> list[dict[str, object]]:
    configs = grid_configs("gowalla", loss, 1e-6, SEEDS, **fields)
    return [
        made_up(config, parts=(score - 0.02, 0.01, 0.01), validation=[0.0, 0.1])
        for config, score in zip(configs, scores, strict=False)
    ]


def test_the_spread_is_pooled_over_all_pairs_at_three_seeds() -> None:
    first, second, third = (0.10, 0.11, 0.12), (0.10, 0.10, 0.10), (0.10, 0.12, 0.14)
    records = [
        *seeds_of("directau", first, gamma=1.0),
        *seeds_of("directau", second, gamma=2.0),
        *seeds_of("directau", (0.5, 0.9), gamma=5.0),  # two seeds are no pair
        *seeds_of("bpr", third),
    ]
    pooled = spreads.pooled(records)
    within = np.std([0.0, 0.1, 0.2], ddof=1)  # the first against the second
    assert pooled["ndcg", False] == spreads.Spread(pytest.approx(within), 1)
    assert pooled["ndcg", True].pairs == 3  # with BPR, which is another loss
    assert pooled["ndcg", True].value > pooled["ndcg", False].value
    assert spreads.pooled(records[:3]) == {}


def test_each_group_has_a_spread_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Before, the one number that is carried to every dataset, backbone and loss was all that was shown."""
    still, moved = (0.10, 0.10, 0.10), (0.10, 0.12, 0.14)
    records = [
        *(record for gamma in (1.0, 2.0, 5.0) for record in seeds_of("directau", still, gamma=gamma)),
        *seeds_of("ssm", still, tau=0.2),
        *seeds_of("ssm", moved, tau=0.1),
        *seeds_of("bpr", moved),  # one setting has no difference
    ]
    monkeypatch.setattr(spreads, "scan", lambda results: (records, []))
    own = spreads.own_spreads(tmp_path)
    assert list(own) == [("gowalla", "mf", "directau"), ("gowalla", "mf", "ssm")]
    directau, ssm = own.values()
    assert (directau.settings, directau.of["ndcg"].pairs, ssm.settings, ssm.of["ndcg"].pairs) == (3, 3, 2, 1)
    pooled = spreads.pooled(records)["ndcg", False].value
    assert directau.of["ndcg"].value == pytest.approx(0) and ssm.of["ndcg"].value > pooled


def test_a_run_that_decides_nothing_is_no_part_of_the_spread() -> None:
    records = [*seeds_of("directau", (0.1, 0.2, 0.3), gamma=1.0), *seeds_of("directau", (0.1,) * 3, gamma=2.0)]
    assert spreads.pooled(records)["ndcg", False].pairs == 1
    records[0]["stopped_by"] = "max_epochs"
    assert spreads.pooled(records) == {}


def test_the_stored_records_have_a_spread_of_every_measure() -> None:
    for measure in spreads.MEASURES:
        within, across = spreads.spread(measure), spreads.spread(measure, across=True)
        assert within is not None and across is not None and within.value > 0 and across.pairs > within.pairs > 3
    assert spreads.spread("ndcg", results="no folder") is None


# how often the rules are wrong


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("measure", spreads.MEASURES)
def test_the_rules_are_seldom_wrong(measure: str, seeds: int) -> None:
    known = spreads.spread(measure)
    assert known is not None
    draws, margin, five_percent = 2000, MEASURES[measure].margin, 0.05
    nothing = error_rates.simulated(0.0, seeds, measure, known.value, draws)
    assert nothing.get("better", 0) + nothing.get("worse", 0) <= five_percent
    for side in (1, -1):
        at_margin = error_rates.simulated(side * margin, seeds, measure, known.value, draws)
        wrong = {1: ("worse", "not better"), -1: ("better", "not worse")}[side]
        assert at_margin.get("equivalent", 0) <= five_percent
        assert sum(at_margin.get(word, 0) for word in wrong) <= five_percent


def test_a_rule_without_the_seeds_would_be_wrong_often() -> None:
    """The simulation can fail: with the spread taken for a fifth of what it is, signs come out by chance."""
    generator = np.random.default_rng(0)
    wrong = [judge(Difference((float(generator.normal(0, 0.37)),), None, "epochs", 0.07)).word for _ in range(300)]
    assert sum(word in ("better", "worse") for word in wrong) > 100


def test_the_table_of_error_rates_says_how_many_pairs_are_behind_each_spread() -> None:
    table = error_rates.table(draws=100)
    assert list(table["seeds"]) == [1, 3] * len(spreads.MEASURES)
    assert (table["pairs"] > 3).all() and (table.filter(like="false") <= 100).all().all()
    assert table.equals(error_rates.table(draws=100))  # a fixed generator


def test_how_many_directions_chance_would_give() -> None:
    """Before, the rate of errors was taken of the decided comparisons alone, which are those that differ."""
    wide, narrow = Difference((0.5,), None, "ndcg", 0.05), Difference((0.5,), None, "ndcg", 0.005)
    unknown = Difference((0.5,), None, "ratio", np.inf)
    found = error_rates.directions_by_chance([wide] * 100 + [narrow] * 100 + [unknown]).set_index("measure")
    # beyond 1.96 standard errors, and where these are small beyond the margin
    assert found.loc["NDCG@20", "expected"] == pytest.approx(5.0, abs=0.01)
    assert found.loc["NDCG@20", "firm"] == pytest.approx(0.51, abs=0.01)
    assert found.loc["NDCG@20", "chance, %"] == pytest.approx(2.5, abs=0.01)
    assert found.loc["unpopular / popular ratio", "expected"] == 0
    assert error_rates.directions_by_chance([]).empty


# single runs


@pytest.mark.parametrize(
    ("stopped_by", "epochs", "expected"),
    [
        ("patience", EARLY, True),
        ("patience", EARLY + 1, False),
        ("max_epochs", 1000, True),
        ("max_epochs", 5, True),
    ],
)
def test_cut_off(stopped_by: str, epochs: int, expected: bool) -> None:
    assert cut_off(stopped_by, epochs) is expected


@pytest.mark.parametrize(
    ("best_epoch", "stopped_by", "norm", "expected"),
    [
        (0, "patience", 1.0, True),
        (0, "max_epochs", 1.0, False),  # cut off, which is another matter
        (1, "patience", 1.0, False),
        (5, "patience", 1e-4, True),
        (0, "max_epochs", 0.0, True),
    ],
)
def test_collapse(best_epoch: int, stopped_by: str, norm: float, expected: bool) -> None:
    assert never_learned(best_epoch, stopped_by, norm) is expected


@pytest.mark.parametrize(
    ("best_epoch", "stopped_by", "patience", "start", "expected"),
    [
        (0, "patience", 10, 0.004, True),
        (0, "patience", 10, 0.006, False),  # a start well above chance that nothing improves on has collapsed
        (0, "patience", 100, 0.004, False),  # it had more patience
        (1, "patience", 10, 0.004, False),
        (0, "max_epochs", 10, 0.004, False),
    ],
)
def test_a_start_by_chance_is_a_dip_until_waited_for(
    best_epoch: int, stopped_by: str, patience: int, start: float, expected: bool
) -> None:
    assert started_by_chance(best_epoch, stopped_by, patience, start, random=0.001) is expected


def test_what_a_random_ranking_scores() -> None:
    card = datasets.identity_card("movielens1m")
    each = card.interactions / card.users
    held_out, items = round(0.1 * each), card.items - round(0.8 * each)
    generator, gains = np.random.default_rng(0), 1 / np.log2(np.arange(2, 22))
    scores = [gains[generator.permutation(items)[:20] < held_out].sum() / gains[:held_out].sum() for _ in range(20_000)]
    assert random_ndcg("movielens1m") == pytest.approx(float(np.mean(scores)), rel=0.05)
    [config] = grid_configs("gowalla", "mawu", 1e-6)
    near, far = (made_up(config, validation=[start, 0.0]) for start in (1e-4, 0.1))
    assert ended_by_chance(near) and not ended_by_chance(far)


@pytest.mark.parametrize(
    ("chosen", "searched", "expected"),
    [
        (1e-4, [0.0, 1e-6, 1e-4], ["weight_decay 0.0001"]),
        (1e-6, [0.0, 1e-6, 1e-4], []),
        (0.0, [0.0, 1e-6, 1e-4], []),  # there is no decay below 0
        (1e-6, [1e-6, 1e-4], ["weight_decay 1e-06"]),
        (1e-6, [1e-6], []),  # not searched
    ],
)
def test_a_choice_at_the_edge_of_its_grid(chosen: float, searched: list[float], expected: list[str]) -> None:
    assert edges({"weight_decay": chosen}, {"weight_decay": searched}) == expected


@pytest.mark.parametrize(
    ("ndcg", "ratio", "expected"),
    [
        (0.233, 0.10, True),
        (0.173, 0.17, False),  # ReSN on MovieLens1M, fairer by ranking a third worse
        (0.001, 0.095, False),  # ReSN on Gowalla
        (0.24, 0.02, False),  # less fair than BPR
        (0.225, 0.09, True),
    ],
)
def test_a_baseline_takes_part_where_it_works(ndcg: float, ratio: float, expected: bool) -> None:
    assert takes_part(ndcg, ratio, bpr_ndcg=0.25, bpr_ratio=0.09) is expected


@pytest.mark.lint
def test_the_margin_is_the_one_that_a_page_states() -> None:
    text = (Path(__file__).parents[1] / "notebooks" / "should_i_use.py").read_text(encoding="utf-8")
    assert f"the grey band is {100 * MARGIN:g} %" in text


def test_the_table_of_words_says_of_intervals_what_the_rules_do() -> None:
    """The page's table, read as conditions on the interval, gives the word that the rules give."""
    margin = MEASURES["ndcg"].margin
    for centre in np.linspace(-0.1, 0.1, 41):
        for error in (0.001, 0.005, 0.012, 0.02, 0.05):
            difference = Difference((float(centre),), seed_error=error)
            low, high = difference.interval
            conditions = {
                "better, worse": not low <= 0 <= high and abs(centre) > margin,
                "equivalent": -margin <= low and high <= margin,
                "not better, not worse": low >= -margin or high <= margin,
                "undecided": low < -margin and high > margin,
            }
            assert list(conditions) == verdict_tables.words().index.tolist()
            first = next(words for words, holds in conditions.items() if holds)
            assert judge(difference).word in first.split(", "), (centre, error)


#: Better by the interval, and at 2.8 standard errors no more than not worse.
BEYOND = Difference((0.027,), seed_error=0.0115)


def test_a_word_may_be_provisional_where_what_it_decides_is_not() -> None:
    """Before, a statement that failed by 2.7 % had a ring, and one that failed by 2.2 % had none."""
    only_just = judge(BEYOND)
    assert (str(only_just), only_just.firm) == ("better (provisional)", "not worse")
    assert from_judgement("is lower", only_just, ["worse"]).provisional is False
    assert from_judgement("is higher", only_just, ["better"]).provisional is True
    opened = left_open_with(from_judgement("is lower", only_just, ["worse"], BEYOND), ["not worse"], Rules())
    assert (opened.holds, opened.provisional) == (False, True) == (again(opened, Rules()).holds, True)
    in_dip = replace(BEYOND, in_dip=True)
    assert from_judgement("is lower", judge(in_dip), ["worse"], in_dip).provisional is True
