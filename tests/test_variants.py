"""Pairs of runs that differ in one field: what each scored, where it stopped, and the difference at the same users."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_up import made_up, store

from prismbook.plan.experiments import all_ratings_pairs, protocol_pairs, switch_pairs
from prismbook.tables.paper import table1
from prismbook.tables.variants import beside, levels, prism_minus_decay

USERS = np.linspace(0.05, 0.35, 50)
PAIRS = protocol_pairs("patience", "synthetic", "smoke")


def test_a_pair_has_both_runs_and_their_difference_with_its_interval(tmp_path: Path) -> None:
    plain, waited = PAIRS[1]
    store(tmp_path, made_up(plain, (0.2, 0, 0), [0.1, 0.0]), USERS)
    store(tmp_path, made_up(waited, (0.25, 0, 0), [0.1, 0.0, 0.3]), USERS + 0.05)
    row = beside(PAIRS, tmp_path)[1]
    assert (row["trained"], row["with"]) == ("SSM, decay 0.0001", "patience 100")
    assert (row["as in the paper"], row["best epoch, as in the paper"]) == ("0.2000", "0")
    assert (row["with it"], row["best epoch, with it"]) == ("0.2500", "2")
    # the same at each user, so the interval is a point
    assert row["difference"] == "+0.0500 [+0.0500, +0.0500]"


def test_what_was_not_run_or_kept_no_users_has_no_difference(tmp_path: Path) -> None:
    plain, waited = PAIRS[0]
    assert {beside(PAIRS, tmp_path)[0][name] for name in ("as in the paper", "with it")} == {"not run"}
    store(tmp_path, made_up(plain), USERS)
    store(tmp_path, made_up(waited))
    row = beside(PAIRS, tmp_path)[0]
    assert row["trained"] == "BPR, PRISM" and "not run" not in row.values()
    assert row["difference"] == ""


def test_a_user_whom_the_released_code_leaves_out_is_left_out_of_the_difference(tmp_path: Path) -> None:
    pairs = protocol_pairs("released", "synthetic", "smoke")
    text, released = pairs[0]
    store(tmp_path, made_up(text), USERS)
    # without its last user, whose score would have been another
    store(tmp_path, made_up(released), USERS[:-1] + 0.05)
    row = beside(pairs, tmp_path)[0]
    assert (row["trained"], row["with"]) == ("SSM, decay 1e-06, Non-Linear MF", "the released protocol")
    assert row["difference"] == "+0.0500 [+0.0500, +0.0500]"


def test_a_difference_across_devices_says_so(tmp_path: Path) -> None:
    plain, waited = PAIRS[1]
    store(tmp_path, made_up(plain), USERS)
    store(tmp_path, made_up(replace(waited, device="cuda")), USERS + 0.05)
    row = beside(PAIRS, tmp_path)[1]
    assert row["difference"] == "+0.0500 [+0.0500, +0.0500], across devices" and row["with"] == "patience 100"


def test_several_changes_are_all_named(tmp_path: Path) -> None:
    plain, waited = PAIRS[0]
    [row] = beside([(plain, replace(waited, optimizer="sparse_adam"))], tmp_path)
    assert row["with"] == "optimizer sparse_adam, patience 100"


def test_prism_minus_decay_compares_the_methods_under_each_protocol(tmp_path: Path) -> None:
    decay, prism = PAIRS[1:3]
    for config, score in ((decay[0], 0.0), (decay[1], 0.03), (prism[0], 0.02), (prism[1], 0.02)):
        store(tmp_path, made_up(config), USERS + score)
    row = prism_minus_decay(decay, prism, tmp_path)
    assert (row["loss"], row["with"]) == ("SSM", "patience 100")
    assert row["PRISM - decay, as in the paper"] == "+0.0200 [+0.0200, +0.0200]"
    assert row["PRISM - decay, with it"] == "-0.0100 [-0.0100, -0.0100]"


def test_which_switches_move_table_1_is_as_the_rq3_page_says() -> None:
    def change(dataset: str, words: str) -> float:
        [row] = beside([pair for name, pair in switch_pairs(dataset).items() if words in name])
        return float(row["with it"]) - float(row["as in the paper"])

    assert change("movielens1m", "ReLU") > 0.03 and change("gowalla", "ReLU") < -0.03
    assert change("movielens1m", "MAWU") > 0.04 and -0.01 < change("gowalla", "MAWU") < -0.004
    assert change("gowalla", "negatives are drawn") > 0.005
    small = [("movielens1m", "negatives are drawn")]
    small += [(dataset, words) for dataset in ("movielens1m", "gowalla") for words in ("shuffled", "20 negatives")]
    assert all(abs(change(*switch)) < 0.003 for switch in small)


@pytest.mark.parametrize("dataset", ["movielens1m", "gowalla"])
def test_directau_with_prism_is_ahead_in_the_released_protocol_alone_as_the_rq3_page_says(dataset: str) -> None:
    row = prism_minus_decay(*protocol_pairs("released", dataset)[2:])
    assert row["loss"] == "DirectAU" and row["with"] == "the released protocol"
    behind, ahead = row["PRISM - decay, as in the paper"], row["PRISM - decay, with it"]
    assert "[-" in behind and ", -" in behind  # the whole interval
    assert "[+" in ahead and ", +" in ahead


def test_levels_stand_beside_the_papers_number_with_their_share_of_it(tmp_path: Path) -> None:
    text, every = all_ratings_pairs()[0]
    printed = float(table1().loc[("MF", "SSM", "MovieLens1M"), "decay"])
    store(tmp_path, made_up(text, (printed / 2, 0, 0)))
    [row] = levels([(text, every)], tmp_path)
    assert row == {
        "trained": "SSM, decay 0.0001",
        "MovieLens1M": f"{printed / 2:.4f} (50 %)",
        "MovieLens1M (all ratings)": "not run",
        "Table 1": f"{printed:.4f}",
    }


def test_all_ratings_bring_ssm_nearly_to_the_papers_level_and_take_directau_further_above_it() -> None:
    """As the page on the released code says."""
    shares = [
        [float(row[name].partition("(")[2].rstrip(" %)")) for name in ("MovieLens1M", "MovieLens1M (all ratings)")]
        for row in levels(all_ratings_pairs()[:3])
    ]
    *ssm, directau = shares
    assert all(text < every and (100 - every) < (100 - text) / 2 for text, every in ssm)
    assert 100 < directau[0] < directau[1]
