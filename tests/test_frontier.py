"""Quality against fairness: every run that has a ratio is a point with its own numbers, in both figures."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from made_up import made_up

from prismbook.pages import figures, frontier, start_page
from prismbook.plan.experiments import grid_configs
from prismbook.runs.records import default_results, scan


def data(html: str) -> Any:
    [text] = re.findall(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


@pytest.fixture
def _style() -> Iterator[None]:
    mpl.use("agg")
    with mpl.style.context(figures.STYLE):
        yield
    mpl.pyplot.close("all")


def test_a_run_is_a_point_with_its_scores_and_its_setting() -> None:
    [decay] = grid_configs("gowalla", "ssm", 1e-6)
    [prism] = grid_configs("gowalla", "ssm", 0.0, init="prism", alpha=0.5)
    [generated] = grid_configs("synthetic", "ssm", 0.0)
    records = [made_up(config, (0.2, 0.1, 0.05)) for config in (decay, replace(prism, patience=100), generated)]
    first, second = frontier.runs_of(records)
    assert (first["ndcg"], first["ratio"]) == (pytest.approx(0.35), pytest.approx(0.25))
    assert (first["method"], first["other"], first["id"]) == (
        "Adam, decay 1e-06",
        ", tau 0.2, num_negatives 10",
        records[0]["id"],
    )
    assert (second["method"], second["other"]) == ("PRISM, alpha 0.5", ", patience 100, tau 0.2, num_negatives 10")
    assert frontier.runs_of([made_up(decay, (0.2, 0.1, 0.0))]) == []  # no ratio, no point


def test_all_stored_runs_with_a_ratio_are_embedded() -> None:
    stored, _ = scan(default_results())
    runs = frontier.runs_of(stored)
    content = data(frontier.widget(runs))
    assert content["runs"] == runs
    own = [run for run in runs if not run["star"]]
    assert len({run["id"] for run in own}) == len(own) < len(runs)
    real = len(start_page.real_runs(stored))
    without = sum(
        record["test"]["dot"]["unpopular"] == 0 or record["test"]["dot"]["popular"] == 0
        for record in stored
        if record["config"]["dataset"] in ("movielens1m", "gowalla", "yelp2018", "amazonbook")
    )
    assert len(own) == real - without > 300
    assert set(content["looks"]) == {run["loss"] for run in runs}


def test_a_run_that_was_scored_with_other_lengths_has_a_second_point() -> None:
    [config] = grid_configs("movielens1m", "directau", 0.0)
    record = made_up(config, (0.2, 0.1, 0.05))
    chosen = {"ndcg": 0.4, "popular": 0.3, "neutral": 0.07, "unpopular": 0.03}
    record["lengths"] = {"exponents": [0.0, 0.25], "chosen": 0.25, "test": [record["test"]["cosine"], chosen]}
    own, rescored = frontier.runs_of([record])
    assert (rescored["method"], rescored["ndcg"]) == ("Adam, no decay, lengths d^0.25 at scoring", 0.4)
    assert rescored["ratio"] == pytest.approx(0.1) and rescored["id"] == own["id"]
    assert (own["star"], rescored["star"], own["method"]) == (False, True, "Adam, no decay")
    assert (own["kind"], rescored["kind"]) == ("no decay", "lengths at scoring")
    # whatever it was trained by, which its name says; before, a better run than the best one drawn had no star
    [config] = grid_configs("movielens1m", "directau", 1e-6)
    for changed, method in (
        (config, "Adam, decay 1e-06"),
        (replace(config, optimizer="sgd"), "plain SGD, decay 1e-06"),
        (replace(config, init="prism", alpha=0.5, weight_decay=0.0), "PRISM, alpha 0.5"),
    ):
        own, rescored = frontier.runs_of([{**record, "config": made_up(changed, (0.2, 0.1, 0.05))["config"]}])
        assert (own["method"], rescored["method"]) == (method, f"{method}, lengths d^0.25 at scoring")
        assert "optimizer" not in own["other"] and (rescored["star"], rescored["dot"]) == (True, False)


def test_plain_sgd_has_a_dot_inside_in_both_figures() -> None:
    """Before, it had a bold outline, which could not be told from others where marks are close."""
    [adam] = grid_configs("gowalla", "directau", 0.0)
    configs = adam, replace(adam, optimizer="sgd"), replace(adam, optimizer="sgd", init="prism", alpha=1.0)
    runs = frontier.runs_of([made_up(config, (0.2, 0.1, 0.05)) for config in configs])
    assert [run["dot"] for run in runs] == [False, True, False]  # a filled mark is PRISM's
    assert [len(frontier.figure([run]).axes[0].lines) for run in runs] == [2, 3, 2]  # the line, the mark, the dot
    mpl.pyplot.close("all")
    html = frontier.widget(runs)
    assert data(html)["dots"] == {"DirectAU": frontier.dot("^")} and "run.dot ? data.dots[run.loss] :" in html


def test_runs_that_are_left_out_and_stars_are_counted_so_that_the_points_are_those_of_the_figure() -> None:
    [config] = grid_configs("gowalla", "ssm", 1e-6)
    [other] = grid_configs("yelp2018", "ssm", 1e-6)
    shown, left_out, elsewhere = (
        made_up(each, parts)
        for each, parts in ((config, (0.2, 0.1, 0.05)), (config, (0.2, 0.1, 0.0)), (other, (0.2, 0.1, 0.05)))
    )
    put_on = {"ndcg": 0.4, "popular": 0.3, "neutral": 0.07, "unpopular": 0.03}
    shown["lengths"] = {"exponents": [0.25], "chosen": 0.25, "test": [put_on]}
    for record in (shown, left_out, elsewhere):
        record["data"]["synthetic"] = False
    said = frontier.counted([shown, left_out, elsewhere])
    assert "left out: 1 of 2 on Gowalla and 0 of 1 on Yelp2018." in said
    assert said.endswith("All others are points, and 1 of them has a star too: 3 points and stars.")


def test_no_text_can_end_the_element_and_nothing_is_loaded() -> None:
    [config] = grid_configs("gowalla", "ssm", 1e-6)
    [run] = frontier.runs_of([made_up(config, (0.2, 0.1, 0.05))])
    html = frontier.widget([{**run, "other": "</script>"}])
    assert data(html)["runs"][0]["other"] == "</script>"
    assert not re.search(r"\b(?:src|href)=|\bimport\b|fetch\(|@import|url\(", html)
    assert "<noscript>" in html and "@media print" in html


def test_the_browser_and_python_draw_the_same_frontier() -> None:
    """Before, nothing compared the two. Where runs had one ratio, the browser drew the worse of them too."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node here")
    draws = np.random.default_rng(0)
    shown = [[{"ratio": int(a), "ndcg": int(b)} for a, b in draws.integers(1, 6, (size, 2))] for size in range(1, 60)]
    script = (Path(frontier.__file__).parent / "frontier.html").read_text(encoding="utf-8")
    [order] = re.findall(r"\.sort\((\(a, b\) => .*)\);$", script, re.MULTILINE)
    [keeps] = re.findall(r"const edge = (here\.filter\(.*\));$", script, re.MULTILINE)
    code = f"const edge = runs => {{ const here = runs.sort({order}); return {keeps}; }};"
    code += f"console.log(JSON.stringify({json.dumps(shown)}.map(edge)));"
    done = subprocess.run([node, "-"], input=code, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [frontier.best_runs(runs) for runs in shown]


@pytest.mark.usefixtures("_style")
def test_the_static_figure_has_every_run() -> None:
    [config] = grid_configs("gowalla", "ssm", 1e-6)
    [prism] = grid_configs("yelp2018", "directau", 0.0, init="prism", alpha=1.0)
    runs = frontier.runs_of([made_up(config, (0.2, 0.1, 0.05)), made_up(prism, (0.3, 0.1, 0.03))])
    panels = frontier.figure(runs).axes
    assert [axis.get_title() for axis in panels] == ["Gowalla", "Yelp2018"]
    for axis, run in zip(panels, runs, strict=True):
        assert [text.get_text() for text in axis.texts] == ["0 points below"]
        [edge, point] = axis.lines
        assert edge.get_label() == "frontier" and edge.get_xdata().tolist() == [run["ratio"]]
        assert [float(value[0]) for value in point.get_data()] == [run["ratio"], run["ndcg"]]  # type: ignore[index]
    assert [axis.lines[1].get_markerfacecolor() == "none" for axis in panels] == [True, False]


@pytest.mark.usefixtures("_style")
def test_both_figures_begin_their_axis_where_the_useful_runs_are_and_count_those_below() -> None:
    stored, _ = scan(default_results())
    runs = frontier.runs_of(stored)
    starts = data(frontier.widget(runs))["starts"]
    for axis in frontier.figure(runs).axes:
        here = [run["ndcg"] for run in runs if run["dataset"] == axis.get_title()]
        start = axis.get_ylim()[0]
        assert start == starts[axis.get_title()] and 0.5 * max(here) < start < 0.6 * max(here)
        below = sum(score < start for score in here)
        assert axis.texts[0].get_text() == f"{below} point{'' if below == 1 else 's'} below"
        assert below < 0.4 * len(here)
        # a star is a score with lengths at scoring, and every one of these is a star
        stars = [line for line in axis.lines if line.get_marker() == frontier.STAR]
        assert len(stars) == sum(run["star"] for run in runs if run["dataset"] == axis.get_title()) > 0


def test_the_page_says_what_lies_on_the_line() -> None:
    def run(ndcg: float, ratio: float, kind: str, dataset: str = "Gowalla") -> dict[str, Any]:
        named = {"loss": "SSM", "backbone": "MF", "method": "decay 1e-06"}
        return {"dataset": dataset, "ndcg": ndcg, "ratio": ratio, "kind": kind, **named}

    on_it = [run(0.2, 0.1, "decay"), run(0.19, 0.2, "PRISM"), run(0.18, 0.3, "PRISM"), run(0.01, 0.9, "no decay")]
    said = frontier.on_the_line([*on_it, run(0.17, 0.25, "plain SGD")])
    assert "- **Gowalla.** Best of all by the test score is SSM on MF, decay 1e-06: NDCG@20 0.2000, ratio 0.10." in said
    assert (
        "the line has 2 of PRISM and 1 of decay." in said
    )  # what lies below the axis, or behind the line, is left out
    assert "No way of training holds a line alone. [](should_i_use.ipynb)" in said
    said = frontier.on_the_line([*on_it, run(0.1, 0.1, "decay", dataset="Yelp2018")])
    assert "On some datasets one way holds the line." in said


@pytest.mark.usefixtures("_style")
def test_open_marks_can_be_seen_in_an_svg() -> None:
    """Before, an open face of opacity 0 hid the outline as well."""
    [config] = grid_configs("gowalla", "ssm", 1e-6)
    drawn = io.StringIO()
    frontier.figure(frontier.runs_of([made_up(config, (0.2, 0.1, 0.05))])).savefig(drawn, format="svg")
    assert "<svg" in drawn.getvalue() and "stroke-opacity: 0" not in drawn.getvalue()
