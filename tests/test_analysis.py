"""Tables from records made up here: one row a run, what was not run kept as missing, means over seeds."""

from __future__ import annotations

import pandas as pd
import pytest
from made_up import Parts, made_up

from prismbook.plan.experiments import grid_configs
from prismbook.tables.analysis import best, curves, notes, over_seeds, shown, tidy
from prismbook.tables.labels import setting

BPR: list[Parts | None] = [(0.10, 0.02, 0.02), (0.10, 0.02, 0.02), (0.10, 0.02, 0.02)]
DIRECTAU: list[Parts | None] = [(0.03, 0.02, 0.04), (0.07, 0.03, 0.03), (0.12, 0.03, 0.01)]


def runs(bpr: list[Parts | None] = BPR, directau: list[Parts | None] = DIRECTAU) -> pd.DataFrame:
    configs = grid_configs("gowalla", weight_decays=[0, 1e-6, 1e-4])
    records = [
        None if parts is None else made_up(config, parts, validation=[0.0, *[0.1] * 14], best_epoch=3, epochs=14)
        for config, parts in zip(configs, bpr + directau, strict=True)
    ]
    return tidy(configs, records)


def test_the_row_of_a_run_says_what_it_is_and_where_it_came_from() -> None:
    row = runs().iloc[3]
    assert (row.backbone, row.loss, row.weight_decay, row.epochs) == ("MF", "DirectAU", 0.0, 14)
    assert (row.ndcg, row.ratio) == (pytest.approx(0.09), pytest.approx(0.04 / 0.03))
    assert (row.largest_norm, row.norm_correlation, row.validation) == (0.4, 0.5, 0.1)
    assert (len(row.run), row.commit, row.seconds, row.hardware) == (12, "01234567+", 3.0, "cpu")


def test_what_was_not_run_keeps_its_row() -> None:
    table = runs(bpr=[None, *BPR[1:]])
    assert len(table) == 6 and table["ndcg"].isna().tolist() == [True] + [False] * 5


def test_generated_data_are_told_by_the_record_and_not_by_the_name() -> None:
    configs = grid_configs("gowalla", ["bpr"], [0, 1e-6, 1e-4])
    real, generated = made_up(configs[0]), made_up(configs[1])
    generated["data"]["synthetic"] = True
    table = tidy(configs, [real, generated, None])
    assert table["synthetic"].tolist()[:2] == [False, True] and pd.isna(table["synthetic"].iloc[2])


def test_a_model_that_finds_no_popular_item_has_no_ratio() -> None:
    assert pd.isna(runs(bpr=[(0.0, 0.1, 0.1), *BPR[1:]]).iloc[0].ratio)


def test_notes_name_what_was_cut_off_or_short_and_own_parameters() -> None:
    table = runs(bpr=[None, *BPR[1:]])
    text = notes(table)
    assert text.startswith("5 of 6 runs are made; 5 ended by early stopping.")
    assert "BPR at decay 1e-06 (epoch 14)" in text and "limit" not in text
    assert "Collapsed" not in text
    table.loc[1, "largest_norm"] = 1e-5
    assert "shrank to nothing: BPR at decay 1e-06 (epoch 14)." in notes(table)
    assert notes(table).endswith("The losses' parameters in these runs: DirectAU gamma 5.")
    assert "GPU" not in notes(table)
    table.loc[2, "device"] = "cuda"
    assert "1 of them on a GPU" in notes(table)
    table["stopped_by"], table["epochs"] = "max_epochs", 100
    assert "Cut off by the epoch limit" in notes(table) and "within 20" not in notes(table)


def test_mean_and_spread_over_seeds() -> None:
    configs = grid_configs("gowalla", ["bpr"], [0, 1e-6], seeds=[1, 2])
    values: list[Parts] = [(0.1, 0, 0), (0.3, 0, 0), (0.2, 0, 0), (0.2, 0, 0)]
    table = over_seeds(tidy(configs, [made_up(c, parts) for c, parts in zip(configs, values, strict=True)]))
    assert table.loc[("BPR", 0.0), ("ndcg", "mean")] == pytest.approx(0.2)
    assert table.loc[("BPR", 0.0), ("ndcg", "std")] == pytest.approx(0.02**0.5)
    assert table.loc[("BPR", 1e-6), ("ndcg", "std")] == 0


def test_curves_hold_the_decays_at_which_every_loss_was_run() -> None:
    table = runs(bpr=[BPR[0], None, BPR[2]])
    assert curves(table).index.tolist() == [0.0, 1e-4]
    assert curves(table, ["DirectAU"]).index.tolist() == [0.0, 1e-6, 1e-4]
    assert curves(table, ["DirectAU"])["unpopular", "DirectAU"].tolist() == [0.04, 0.03, 0.01]
    assert curves(table, ["SSM"]).empty


def test_a_table_for_readers_says_not_run() -> None:
    table = shown(over_seeds(runs(bpr=[BPR[0], None, BPR[2]])))
    assert table.loc[("BPR", "1e-06"), "NDCG@20"] == "not run"
    assert table.loc[("BPR", "0.0001"), "NDCG@20"] == "0.140"


def test_the_best_is_what_validation_chooses_and_not_the_test_set() -> None:
    configs = grid_configs("gowalla", ["bpr"], [0, 1e-6, 1e-4])
    records = [made_up(configs[0], (0.9, 0, 0), [0, 0.2]), made_up(configs[1], (0.1, 0, 0), [0.3, 0.1]), None]
    assert best(tidy(configs, records)).weight_decay == 1e-6
    with pytest.raises(ValueError, match="none of these runs is made"):
        best(tidy(configs, [None] * 3))


def test_setting_names_start_decay_and_scope() -> None:
    table = tidy(
        grid_configs("gowalla", ["bpr"], 1e-6, decay_scope="batch")
        + grid_configs("gowalla", ["bpr"], 1e-6)
        + grid_configs("gowalla", ["bpr"], 0, init="prism", alpha=0.25),
        [None] * 3,
    )
    assert [setting(run) for run in table.itertuples()] == ["decay 1e-06 (batch)", "decay 1e-06", "PRISM, alpha 0.25"]


def test_a_ratio_that_a_run_does_not_have_is_none_and_a_missing_run_is_not_run() -> None:
    configs = grid_configs("gowalla", "bpr", (0.0, 1e-6))
    text = shown(over_seeds(tidy(configs, [made_up(configs[0], (0.0, 0.01, 0.02)), None])))
    assert text["unpopular / popular"].tolist() == ["none", "not run"]
    assert text["NDCG@20"].tolist() == ["0.030", "not run"]
