"""Tables, verdicts and figures from records made up here: each verdict must be able to come out either way."""

from collections.abc import Iterator

import matplotlib as mpl
import pytest

from prismlib.analysis import claim_c1, claim_c2, how_runs_ended, over_seeds, tidy, verdict
from prismlib.config import RunConfig
from prismlib.experiments import rq1_configs
from prismlib.records import Record

mpl.use("agg")
from prismlib import figures

Parts = tuple[float, float, float]


def record(config: RunConfig, parts: Parts) -> Record:
    popular, neutral, unpopular = parts
    scores = {"ndcg": sum(parts), "popular": popular, "neutral": neutral, "unpopular": unpopular}
    return {
        "id": "abc",
        "config": vars(config),
        "test": {"dot": scores, "cosine": scores},
        "norms": {"item": {"pearson_log": 0.5, "bins": [{"mean": 0.2}, {"mean": 0.4}]}},
        "best_epoch": 3,
        "stopped_by": "patience",
        "history": {"loss": [0.0] * 14},
        "seconds": {"train": 1.0, "evaluate": 2.0, "cpu": 3.0},
        "environment": {"device": "cpu", "commit": "0123456789+"},
    }


def runs(bpr: list[Parts | None], directau: list[Parts | None]):  # type: ignore[no-untyped-def]
    configs = rq1_configs("gowalla", weight_decays=[0, 1e-6, 1e-4][: len(bpr)])
    return tidy(configs, [parts and record(c, parts) for c, parts in zip(configs, bpr + directau, strict=True)])


FLAT: list[Parts | None] = [(0.10, 0.02, 0.02), (0.10, 0.02, 0.02), (0.10, 0.02, 0.02)]
RISING: list[Parts | None] = [(0.03, 0.02, 0.04), (0.07, 0.03, 0.03), (0.12, 0.03, 0.01)]


def test_claims_that_hold() -> None:
    table = runs(bpr=FLAT, directau=RISING)
    assert verdict(claim_c1(table)) == "reproduced"
    assert [s.holds for s in claim_c2(table)] == [False, True, True]  # a flat BPR gap does not widen
    assert verdict(claim_c2(table)) == "in part"
    assert "share of NDCG@20: 33% to 75%" in claim_c2(table)[1].text


def test_claims_that_do_not_hold() -> None:
    table = runs(bpr=RISING, directau=FLAT)
    assert verdict(claim_c1(table)) == "not reproduced"
    assert [s.holds for s in claim_c2(table)] == [True, False, False]


@pytest.mark.parametrize("bpr", [[None, *FLAT[1:]], [None, None, None]])
def test_a_missing_run_is_not_measured(bpr: list[Parts | None]) -> None:
    table = runs(bpr=bpr, directau=RISING)
    assert verdict(claim_c1(table)) == verdict(claim_c2(table)) == "not measured"
    assert len(table) == 6  # what was not run keeps its row


def test_one_decay_is_no_curve() -> None:
    assert verdict(claim_c1(runs(bpr=FLAT[:1], directau=RISING[:1]))) == "not measured"


def test_the_row_of_a_run_says_where_it_came_from() -> None:
    row = runs(bpr=FLAT, directau=RISING).iloc[3]
    assert (row.loss, row.weight_decay, row.ndcg, row.epochs) == ("DirectAU", 0.0, pytest.approx(0.09), 14)
    assert (row.run, row.commit, row.seconds) == ("abc", "01234567+", 3.0)


def test_how_runs_ended_names_what_was_cut_off_or_short() -> None:
    table = runs(bpr=[None, *FLAT[1:]], directau=RISING)
    text = how_runs_ended(table)
    assert text.startswith("5 of 6 runs are made; 5 ended by early stopping.")
    assert "BPR at 1e-06 (epoch 14)" in text and "limit" not in text
    assert "Collapsed" not in text
    table.loc[1, "largest_norm"] = 1e-5
    assert how_runs_ended(table).endswith("shrank to nothing: BPR at 1e-06 (epoch 14).")
    table["stopped_by"], table["epochs"] = "max_epochs", 100
    assert "Cut off by the epoch limit" in how_runs_ended(table) and "within 20" not in how_runs_ended(table)


def test_mean_and_spread_over_seeds() -> None:
    configs = rq1_configs("gowalla", ["bpr"], [0, 1e-6], seeds=[1, 2])
    values: list[Parts] = [(0.1, 0, 0), (0.3, 0, 0), (0.2, 0, 0), (0.2, 0, 0)]
    table = over_seeds(tidy(configs, [record(c, parts) for c, parts in zip(configs, values, strict=True)]))
    assert table.loc[("BPR", 0.0), ("ndcg", "mean")] == pytest.approx(0.2)
    assert table.loc[("BPR", 0.0), ("ndcg", "std")] == pytest.approx(0.02**0.5)
    assert table.loc[("BPR", 1e-6), ("ndcg", "std")] == 0


@pytest.fixture
def style() -> Iterator[None]:
    with mpl.style.context(figures.STYLE):
        yield


@pytest.mark.usefixtures("style")
def test_the_figure_shows_what_was_measured_and_leaves_a_gap_where_nothing_was() -> None:
    figure = figures.weight_decay_curves(over_seeds(runs(bpr=[FLAT[0], None, FLAT[2]], directau=RISING)), "gowalla")
    overall, bpr, directau = figure.axes
    curves = {line.get_label(): line.get_ydata() for line in overall.lines}
    assert curves["DirectAU"].tolist() == pytest.approx([0.09, 0.13, 0.16])
    assert curves["BPR"][1] != curves["BPR"][1]  # NaN
    assert [line.get_label() for line in bpr.lines] == ["popular", "neutral", "unpopular"]
    assert directau.lines[0].get_ydata().tolist() == pytest.approx([0.03, 0.07, 0.12])
    mpl.pyplot.close(figure)
