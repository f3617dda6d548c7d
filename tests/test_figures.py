"""What a figure draws is what it was given, and nothing where nothing was run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from made_up import Parts, made_up
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from prismbook.pages import figures, page
from prismbook.plan.experiments import grid_configs
from prismbook.runs.records import Record
from prismbook.tables.analysis import over_seeds, tidy
from prismlib.metrics import GROUPS

DIRECTAU: list[Parts | None] = [(0.03, 0.02, 0.04), (0.07, 0.03, 0.03), (0.12, 0.03, 0.01)]


@pytest.fixture(autouse=True)
def _style() -> Iterator[None]:
    mpl.use("agg")
    with mpl.style.context(figures.STYLE):
        yield
    mpl.pyplot.close("all")


def lines(axis: Axes) -> dict[str, Line2D]:
    """The labelled lines, by label."""
    return {label: line for line in axis.lines if not (label := str(line.get_label())).startswith("_")}


def points(line: Line2D) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in np.asarray(line.get_xydata())]


def inside(axis: Axes) -> bool:
    """Whether all that is drawn lies below the upper limit, and the lower one is 0."""
    low, high = axis.get_ylim()
    return low == 0 and high > max(np.nanmax(np.asarray(line.get_ydata(), float)) for line in axis.lines)


def legend(axis: Axes) -> list[str]:
    legend = axis.get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def test_decay_curves_leave_a_gap_where_nothing_was_run() -> None:
    configs = grid_configs("gowalla", weight_decays=[0, 1e-6, 1e-4])
    parts = [(0.1, 0.02, 0.02), None, (0.1, 0.02, 0.02), *DIRECTAU]
    table = tidy(configs, [part and made_up(config, part) for config, part in zip(configs, parts, strict=True)])
    figure = figures.weight_decay_curves({"gowalla": over_seeds(table)})
    overall, bpr, directau = figure.axes
    assert lines(overall)["DirectAU"].get_ydata().tolist() == pytest.approx([0.09, 0.13, 0.16])
    assert np.isnan(lines(overall)["BPR"].get_ydata()).tolist() == [False, True, False]
    assert list(lines(bpr)) == ["popular", "neutral", "unpopular"]
    assert lines(directau)["popular"].get_ydata().tolist() == pytest.approx([0.03, 0.07, 0.12])
    assert [label.get_text() for label in directau.get_xticklabels()] == ["0", "1e-06", "1e-04"]
    assert not overall.collections  # one seed has no spread


def test_datasets_are_rows_and_a_ring_marks_what_validation_chooses() -> None:
    configs = grid_configs("gowalla", ["bpr", "ssm", "directau", "mawu"], [0, 1e-6])
    table = over_seeds(tidy(configs, map(made_up, configs)))
    chosen = {"gowalla": {"SSM": 1e-6}}
    figure = figures.weight_decay_curves({"gowalla": table, "yelp2018": table}, ["BPR", "SSM"], chosen)
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == ["all items", "BPR, by popularity", "SSM, by popularity", "", "", ""]
    assert [figure.axes[place].get_ylabel().partition("\n")[0] for place in (0, 3)] == ["Gowalla", "Yelp2018"]
    # the first panel has all losses; of a row's panels that of SSM has rings, at the second decay
    rings = [[line.get_xdata()[0] for line in axis.lines if len(line.get_xdata()) == 1] for axis in figure.axes]
    assert rings == [[1], [], [1, 1, 1], [], [], []] and set(LOSSES) <= set(lines(figure.axes[0]))
    alone = figures.weight_decay_curves({"gowalla": table}, ["MAWU"], overall=False)
    assert [axis.get_title() for axis in alone.axes] == ["MAWU, by popularity"]


def test_another_backbone_is_grey_in_the_first_panel_alone_and_inside_it() -> None:
    configs = grid_configs("gowalla", "directau", [0, 1e-6])
    low, high = (
        over_seeds(tidy(configs, [made_up(config, (ndcg, 0, 0)) for config in configs])) for ndcg in (0.1, 0.3)
    )
    figure = figures.weight_decay_curves({"gowalla": low}, beside=("on MF", {"gowalla": high}))
    overall, by_group = figure.axes
    grey = lines(overall)["on MF"]
    assert grey.get_color() == "#777777" and list(grey.get_ydata()) == pytest.approx([0.3, 0.3])
    assert inside(overall) and "on MF" not in lines(by_group)


LOSSES = ("BPR", "SSM", "DirectAU", "MAWU")


def test_curves_over_seeds_have_a_band_of_one_standard_deviation() -> None:
    configs = grid_configs("gowalla", ["bpr"], [0, 1e-6], seeds=[1, 2])
    records = [made_up(c, (ndcg, 0, 0)) for c, ndcg in zip(configs, [0.1, 0.3, 0.2, 0.2], strict=True)]
    overall = figures.weight_decay_curves({"gowalla": over_seeds(tidy(configs, records))}).axes[0]
    [band] = overall.collections
    heights = band.get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (pytest.approx(0.2 - 0.02**0.5), pytest.approx(0.2 + 0.02**0.5))


def alphas(parts: list[Parts | None]) -> pd.DataFrame:
    given: dict[str, Any] = {"weight_decays": 0, "init": "prism"}
    configs = [grid_configs("gowalla", "directau", **given, alpha=alpha)[0] for alpha in (0.0, 0.5, 1.0)]
    return tidy(configs, [part and made_up(config, part) for config, part in zip(configs, parts, strict=True)])


def test_alpha_curves_beside_tuned_decay() -> None:
    table = over_seeds(alphas([DIRECTAU[0], None, DIRECTAU[2]]), ("loss", "alpha"))
    [config] = grid_configs("gowalla", "directau", 1e-6)
    tuned = tidy([config], [made_up(config, (0.11, 0.05, 0.02))]).iloc[0]
    overall, by_group = figures.alpha_curves({"gowalla": table}, {"gowalla": tuned}).axes
    assert lines(overall)["DirectAU"].get_ydata() == pytest.approx([0.09, np.nan, 0.16], nan_ok=True)
    [dashed] = [line for line in overall.lines if line.get_linestyle() == "--"]
    assert list(dashed.get_ydata()) == pytest.approx([0.18, 0.18])
    # the dashed lines come last, and above all points
    assert inside(overall) and inside(by_group)
    for group, values, rest in zip(GROUPS, zip(DIRECTAU[0], DIRECTAU[2], strict=True), (0.11, 0.05, 0.02), strict=True):
        line = lines(by_group)[group]
        assert line.get_ydata() == pytest.approx([values[0], np.nan, values[1]], nan_ok=True)
        [level] = [
            other for other in by_group.lines if other.get_linestyle() == "--" and other.get_color() == line.get_color()
        ]
        assert level.get_ydata()[0] == pytest.approx(rest)
    assert [label.get_text() for label in overall.get_xticklabels()] == ["0", "0.5", "1"]
    assert overall.get_ylabel() == "Gowalla\ntest NDCG@20"
    for axis in (overall, by_group):  # a gap has a name
        assert [(text.get_text(), text.xy) for text in axis.texts] == [("not run", (1, 0))]  # type: ignore[attr-defined]


def test_alpha_curves_without_tuned_decay_have_no_dashed_line() -> None:
    table = over_seeds(alphas(DIRECTAU), ("loss", "alpha"))
    figure = figures.alpha_curves({"gowalla": table}, {"gowalla": None})
    assert not [line for axis in figure.axes for line in axis.lines if line.get_linestyle() == "--"]


def with_bins(correlation: float | None, *bins: tuple[int, int, float, float]) -> Record:
    names = ("from", "to", "mean", "std")
    norms = {"pearson_log": correlation, "bins": [dict(zip(names, values, strict=True)) for values in bins]}
    [config] = grid_configs("gowalla", "bpr", 0)
    empty = {"pearson_log": 0.0, "bins": [{"from": 1, "to": 1, "mean": 9.0, "std": 0.0}]}
    return made_up(config, norms={"item": norms, "user": empty})


def test_norms_are_drawn_in_the_middle_of_their_bin() -> None:
    record = with_bins(0.91, (0, 0, 0.5, 0.1), (1, 1, 0.6, 0.1), (2, 3, 0.8, 0.2))
    collapsed = with_bins(None, (1, 1, 0.0, 0.0))
    figure = figures.norms_against_popularity(
        {"gowalla": {"BPR": {"1e-06": record, "1e-02": collapsed}, "DirectAU": {"0": record}}}
    )
    bpr, directau = figure.axes
    assert (bpr.get_title(), directau.get_title()) == ("BPR", "DirectAU")
    profile = "log(d + 2), scaled"  # of a curve that follows it
    assert list(lines(bpr)) == ["1e-06 (corr. 0.91)", "1e-02 (collapsed)", profile] == legend(bpr)
    heights = np.asarray(lines(bpr)[profile].get_ydata(), float)
    # the logarithm of no interactions is that of 2, wherever the point is drawn
    assert heights / np.log([2, 3, 12**0.5 + 1]) == pytest.approx([heights[0] / np.log(2)] * 3)
    # no interactions have no logarithm: half a one
    expected = [(0.5, 0.5), (1.0, 0.6), (12**0.5 - 1, 0.8)]
    assert points(lines(bpr)["1e-06 (corr. 0.91)"]) == [pytest.approx(point) for point in expected]
    heights = bpr.collections[0].get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (pytest.approx(0.4), pytest.approx(1.0))
    assert points(lines(bpr)["1e-02 (collapsed)"]) == [(1.0, 0.0)]
    record["config"]["loss"] = "directau"
    [angles] = figures.norms_against_popularity({"gowalla": {"DirectAU": {"1e-06": record}}}).axes
    law = lines(angles)["d^(1/6), scaled"]  # of rows that are met, under a loss of angles
    place, height = np.asarray(law.get_xdata(), float), np.asarray(law.get_ydata(), float)
    assert place == pytest.approx([1, 12**0.5 - 1]) and height / place ** (1 / 6) == pytest.approx([height[0]] * 2)
    [users] = figures.norms_against_popularity({"gowalla": {"BPR": {"0": record}}}, "user").axes
    assert points(lines(users)["0 (corr. 0.00)"]) == [(1.0, 9.0)] and "user" in users.get_xlabel()


def test_validation_curves_and_their_best_epoch() -> None:
    [config] = grid_configs("gowalla", "directau", 1e-6)
    records = {
        "0": made_up(config, validation=[0.0, 0.3, 0.2], cosine=[0.0, 0.1, 0.4]),
        "1e-06": made_up(config, validation=[0.0, 0.1]),
    }
    dot, cosine = figures.validation_curves({"gowalla": records}, ("dot", "cosine")).axes
    later = figures.validation_curves({"gowalla": records}, log_epochs=True).axes[0]
    fewer = {"gowalla": records, "yelp2018": {"1e-06": records["1e-06"]}}
    first, second = (lines(axis) for axis in figures.validation_curves(fewer).axes)
    colours = [tuple(line.get_color()) for line in (first["1e-06"], second["1e-06"], first["0"])]
    assert colours[0] == colours[1] != colours[2]  # though it is alone in its panel
    assert points(next(line for line in later.lines if line.get_marker() == "o")) == [(2.0, 0.3)]
    assert later.get_xlabel() == "epochs trained (epoch 0 of the tables is 1 here)"
    assert "dot product" in dot.get_title() and "cosine" in cosine.get_title()
    assert {name: line.get_ydata().tolist() for name, line in lines(dot).items()} == {
        "0": [0.0, 0.3, 0.2],
        "1e-06": [0.0, 0.1],
    }
    assert lines(cosine)["0"].get_ydata().tolist() == [0.0, 0.1, 0.4]
    # the epoch that is kept is the best by dot product, on both
    assert [points(line) for line in dot.lines if line.get_marker() == "o"] == [[(1.0, 0.3)], [(1.0, 0.1)]]
    assert [points(line) for line in cosine.lines if line.get_marker() == "o"] == [[(1.0, 0.1)], [(1.0, 0.1)]]
    assert legend(cosine) == ["0", "1e-06"]
    # the second panel is higher than the first, with which it shares its axis
    assert inside(dot) and inside(cosine)


def test_fairness_has_a_point_for_each_run_that_was_made() -> None:
    configs = grid_configs("gowalla", ["bpr", "ipl", "resn"], 1e-6)
    configs += grid_configs("gowalla", "directau", 0, init="prism", alpha=1.0)
    parts: list[Parts | None] = [(0.10, 0.02, 0.02), None, (0.08, 0.02, 0.04), (0.10, 0.03, 0.03)]
    runs = tidy(configs, [part and made_up(config, part) for config, part in zip(configs, parts, strict=True)])
    [axis] = figures.fairness({"gowalla": (runs, runs[:0])}).axes
    shown = {name: points(line) for name, line in lines(axis).items()}
    assert shown == {
        "BPR": [pytest.approx((0.2, 0.14))],
        "ReSN": [pytest.approx((0.5, 0.14))],
        "DirectAU with PRISM": [pytest.approx((0.3, 0.16))],
    }
    assert [name for name, line in lines(axis).items() if line.get_marker() == "*"] == ["DirectAU with PRISM"]


def test_differences_with_their_intervals() -> None:
    rows: dict[str, dict[str, Any]] = {
        "interval": {"ours": 0.02, "low": 0.015, "high": 0.03, "paper": None},
        "nothing": {"ours": None, "low": None, "high": None, "paper": None},
        "no interval": {"ours": -0.02, "low": None, "high": None, "paper": 0.05},
    }
    [axis] = figures.differences({"gowalla": rows}).axes
    zero, *drawn = axis.lines
    assert list(zero.get_xdata()) == [0, 0]
    assert [label.get_text() for label in axis.get_yticklabels()] == list(rows)
    shown = [(line.get_xdata().tolist(), float(line.get_ydata()[0])) for line in drawn]
    assert shown == [([2], 0), ([1.5, 3], 0), ([-2], 2), ([5], 2)]  # the last is the paper's
    [axis] = figures.differences({"gowalla": {"cut off": rows["interval"] | {"decides": False}}}).axes
    assert axis.lines[1].get_marker() == "x" and drawn[0].get_marker() == "o"  # hollow is provisional elsewhere


def test_a_group_and_a_loss_look_the_same_on_every_page() -> None:
    assert len({colour for colour, _ in figures.LOOKS.values()}) == len(figures.LOOKS)
    assert len({marker for _, marker in figures.LOOKS.values()}) == len(figures.LOOKS)
    configs = grid_configs("gowalla", ["ssm"], [0, 1e-6])
    [overall, _] = figures.weight_decay_curves({"gowalla": over_seeds(tidy(configs, map(made_up, configs)))}).axes
    assert (lines(overall)["SSM"].get_color(), lines(overall)["SSM"].get_marker()) == figures.LOOKS["SSM"]


def test_a_loss_without_runs_has_no_empty_panel() -> None:
    configs = grid_configs("gowalla", ["ssm", "mawu"], [0, 1e-6])
    records = [made_up(config) if config.loss == "ssm" else None for config in configs]
    figure = figures.weight_decay_curves({"gowalla": over_seeds(tidy(configs, records))})
    assert [axis.get_title() for axis in figure.axes] == ["all items", "SSM, by popularity"]
    assert list(lines(figure.axes[0])) == ["SSM"]


def test_a_figure_without_runs_is_one_line_that_says_what_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(page, "say", said.append)
    [config] = grid_configs("gowalla", "bpr", 0)
    assert page.has_runs(tidy([config], [made_up(config)]), "make it") and not said
    assert not page.has_runs(tidy([config], [None]), "make it")
    [line] = said
    assert line.endswith("`make it`") and "\n" not in line
