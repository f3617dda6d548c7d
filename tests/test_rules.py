"""The rules of verdicts: made-up differences for each possible word, and that more evidence never weakens one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prismbook.tables.rules import (
    EARLY,
    MARGIN,
    Difference,
    Judgement,
    Rules,
    contains,
    cut_off,
    edges,
    has_direction,
    judge,
    never_learned,
    relative,
)
from prismbook.tables.significance import seed_half_width


@pytest.mark.parametrize(
    ("by_seed", "users", "word", "before"),
    [
        ((0.05, 0.06, 0.04), (0.03, 0.07), "better", "better"),
        ((-0.05, -0.06, -0.04), (-0.07, -0.03), "worse", "worse"),
        ((0.001, -0.001, 0.0), (-0.01, 0.01), "equivalent", "same"),
        # a loss of 41 % whose size differs between seeds points one way at each of them
        ((-0.17, -0.55, -0.52), (-0.43, -0.40), "worse", "same"),
        # noise is no equivalence
        ((0.04, -0.05, 0.02), (-0.01, 0.01), "undecided", "same"),
        ((0.001, -0.001, 0.0), (-0.04, 0.04), "undecided", "same"),
        # a difference that is sure but smaller than the margin is none that counts
        ((-0.009, -0.010, -0.011), (-0.013, -0.007), "equivalent", "worse"),
        # sure to be there, not sure to be within the margin
        ((-0.022, -0.023, -0.024), (-0.027, -0.02), "undecided", "worse"),
        ((0.05, 0.06, -0.001), (0.03, 0.05), "undecided", "same"),
    ],
)
def test_three_seeds(by_seed: tuple[float, ...], users: tuple[float, float], word: str, before: str) -> None:
    difference = Difference(by_seed, users)
    assert judge(difference) == Judgement(word)
    mirrored = Difference(tuple(-value for value in by_seed), (-users[1], -users[0]))
    assert judge(mirrored).word == {"better": "worse", "worse": "better"}.get(word, word)
    # what the ledger said before these rules: a tolerance from the seeds, and no margin
    tolerance = seed_half_width(by_seed) or 0.0
    sure = abs(difference.mean) > tolerance and not users[0] <= 0 <= users[1]
    assert before == (("better" if difference.mean > 0 else "worse") if sure else "same")


@pytest.mark.parametrize(
    ("value", "users", "word"),
    [
        (0.05, (0.03, 0.07), "better"),
        (-0.26, (-0.28, -0.24), "worse"),
        (-0.009, (-0.018, 0.0001), "equivalent"),
        (-0.02, (-0.03, -0.01), "undecided"),
        (0.05, (-0.01, 0.11), "undecided"),
        (0.001, None, "undecided"),  # nothing says how sure it is
        (0.36, None, "better"),
    ],
)
def test_one_seed_is_provisional_at_most(value: float, users: tuple[float, float] | None, word: str) -> None:
    found = judge(Difference((value,), users))
    assert found == Judgement(word, provisional=word != "undecided")
    assert ("provisional: one seed" in str(found)) == (word != "undecided")
    assert judge(Difference((value,), users), Rules(one_seed=False)) == Judgement("undecided")


def test_the_margin_decides_which_word() -> None:
    difference = Difference((0.02, 0.02, 0.02), (0.015, 0.024))
    assert [judge(difference, Rules(margin)).word for margin in (0.01, 0.022, 0.025, 0.05)] == [
        "better",
        "undecided",
        "equivalent",
        "equivalent",
    ]


values = st.floats(-0.5, 0.5).filter(lambda value: abs(value) > 1e-6)
halves = st.floats(0.0, 0.2)
STRENGTH = {"undecided": 0, "provisional": 1, "decided": 2}


def strength(found: Judgement) -> int:
    return STRENGTH["undecided" if found.word == "undecided" else "provisional" if found.provisional else "decided"]


@given(st.lists(values, min_size=1, max_size=5), halves, st.floats(1.0, 3.0))
def test_a_seed_that_agrees_on_the_direction_never_weakens_it(by_seed: list[float], half: float, size: float) -> None:
    mean = float(np.mean(by_seed))
    before = judge(Difference(tuple(by_seed), (mean - half, mean + half)))
    if before.word not in ("better", "worse"):
        return
    # the further seed is at least as far on the same side, and its users are as sure
    more = [*by_seed, size * mean]
    after_mean = float(np.mean(more))
    after = judge(Difference(tuple(more), (after_mean - half, after_mean + half)))
    assert after.word == before.word and strength(after) >= strength(before) and strength(after) == 2


@given(st.lists(st.floats(-0.03, 0.03), min_size=1, max_size=5), st.floats(0.0, 0.02))
def test_a_seed_that_agrees_on_equivalence_never_weakens_it(by_seed: list[float], half: float) -> None:
    mean = float(np.mean(by_seed))
    before = judge(Difference(tuple(by_seed), (mean - half, mean + half)))
    after = judge(Difference((*by_seed, mean), (mean - half, mean + half)))
    if before.word == "equivalent":
        assert after == Judgement("equivalent")


@given(
    st.lists(st.floats(-0.04, 0.04), min_size=2, max_size=5),
    st.floats(0.0, 0.02),
    st.floats(1.0, 5.0),
    st.floats(1.0, 5.0),
)
def test_noise_never_strengthens_equivalence(
    by_seed: list[float], half: float, seeds_wider: float, users_wider: float
) -> None:
    mean = float(np.mean(by_seed))
    calm = Difference(tuple(by_seed), (mean - half, mean + half))
    noisy = Difference(
        tuple(mean + seeds_wider * (value - mean) for value in by_seed),
        (mean - users_wider * half, mean + users_wider * half),
    )
    low, high = calm.interval
    assert noisy.interval[0] <= low + 1e-12 and noisy.interval[1] >= high - 1e-12
    if judge(noisy).word == "equivalent":
        assert judge(calm).word == "equivalent"


@given(st.lists(values, min_size=1, max_size=5), halves, st.floats(0.001, 0.1))
def test_no_difference_is_both_equivalent_and_directed(by_seed: list[float], half: float, margin: float) -> None:
    mean = float(np.mean(by_seed))
    difference = Difference(tuple(by_seed), (mean - half, mean + half))
    assert not (has_direction(difference, margin) and judge(difference, Rules(margin)).word == "equivalent")


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


def test_the_interval_covers_users_and_seeds() -> None:
    half = seed_half_width([0.01, 0.02, 0.03])
    assert half is not None and half > 0.02
    assert Difference((0.01, 0.02, 0.03), (0.019, 0.3)).interval == pytest.approx((0.02 - half, 0.3))
    assert Difference((0.02,), (0.01, 0.03)).interval == (0.01, 0.03)


def test_the_papers_figure_in_the_interval_or_not() -> None:
    difference = Difference((0.02,), (0.01, 0.03))
    assert contains(difference, 0.0101) and not contains(difference, 0.04) and not contains(difference, -0.02)


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


@pytest.mark.parametrize("page", ["verdicts", "rq3_prism", "use_prism"])
def test_the_margin_is_the_one_that_the_book_states(page: str) -> None:
    text = (Path(__file__).parents[1] / "notebooks" / f"{page}.py").read_text(encoding="utf-8")
    assert f"{100 * MARGIN:g} %" in text
    if page == "verdicts":
        assert f"within its first {EARLY} epochs" in text
