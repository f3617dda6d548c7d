"""The data in a figure to move are the numbers it was given, and what was not run is said; see also test_browser.py."""

from __future__ import annotations

import json
import re
from typing import Any

import matplotlib as mpl
import pandas as pd
import pytest
import torch

from prismbook.pages.figures import LOOKS
from prismlib.norms import norm_summary

mpl.use("agg")
from prismbook.pages.widgets import norms_widget, tradeoff_bars, tradeoff_widget

NAN = float("nan")
PARTS = pd.DataFrame(
    {
        "popular": [0.11, NAN, 0.17],
        "neutral": [0.05, NAN, 0.04],
        "unpopular": [0.03, NAN, 0.01],
        "ndcg": [0.19, NAN, 0.22],
    },
    index=[0.0, 1e-6, 1e-4],
)


def data(html: str) -> Any:
    [text] = re.findall(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def record(norm: float) -> dict[str, Any]:
    summary = norm_summary(norm * torch.tensor([[1.0], [2.0], [3.0], [6.0]]), torch.tensor([0, 1, 4, 7]))
    return {"norms": {"item": summary}, "test": {"dot": {"ndcg": 0.25}}}


def test_tradeoff_has_the_numbers_given_and_null_where_nothing_was_run() -> None:
    content = data(tradeoff_widget({"BPR": PARTS, "SSM": PARTS / 2}, "weight decay λ", "a title"))
    assert (content["kind"], content["knob"], content["title"]) == ("tradeoff", "weight decay λ", "a title")
    assert content["settings"] == ["0", "1e-06", "1e-04"]
    assert content["curves"]["BPR"] == [
        {"popular": 0.11, "neutral": 0.05, "unpopular": 0.03},
        None,
        {"popular": 0.17, "neutral": 0.04, "unpopular": 0.01},
    ]
    assert content["curves"]["SSM"][2]["popular"] == 0.085
    assert {name: look[0] for name, look in content["looks"].items()} == {
        name: LOOKS[name][0] for name in ("popular", "neutral", "unpopular")
    }


def test_one_table_is_one_curve_and_labels_are_shown_as_they_are() -> None:
    content = data(tradeoff_widget(PARTS.set_axis(["a", "b", "c"]), "alpha", "a title"))
    assert list(content["curves"]) == ["all"] and content["settings"] == ["a", "b", "c"]


def test_no_text_can_end_the_element_that_holds_the_data() -> None:
    title = "</script><b>&"
    assert data(tradeoff_widget(PARTS, "alpha", title))["title"] == title


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({}, "nothing to show"),
        (PARTS[:0], "nothing to show"),
        (PARTS.drop(columns="neutral"), "not there: .'neutral'"),
        ({"BPR": PARTS, "SSM": PARTS[:2]}, "same settings.*'SSM'"),
        (PARTS.fillna({"popular": 0.1}), "at 1e-06.*all NaN"),
        (-PARTS, "at 0: .*>= 0"),
        (10 * PARTS, "add up to 1"),
        (PARTS.set_axis([0.0, 0.0, 1e-4]), "a setting twice"),
    ],
)
def test_tradeoff_refuses_what_it_cannot_show(tables: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        tradeoff_widget(tables, "alpha", "a title")
    with pytest.raises(ValueError, match=said):
        tradeoff_bars(tables, "alpha")


def test_bars_have_the_numbers_given_and_say_what_was_not_run() -> None:
    figure = tradeoff_bars({"BPR": PARTS, "SSM": PARTS / 2}, "weight decay λ")
    for axis, scale in zip(figure.axes, (1, 2), strict=True):
        widths = [bar.get_width() * scale for bar in axis.patches]  # type: ignore[attr-defined]
        assert widths == pytest.approx([0.11, 0.05, 0.03, 0.17, 0.04, 0.01])
        ends = [bar.get_x() + bar.get_width() for bar in axis.patches[2::3]]  # type: ignore[attr-defined]
        assert ends == pytest.approx([0.19 / scale, 0.22 / scale])
        assert [(text.get_text().strip(), text.get_position()[1]) for text in axis.texts] == [("not run", 1)]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["0", "1e-06", "1e-04"]
    mpl.pyplot.close(figure)


def test_norms_have_the_numbers_of_the_records() -> None:
    one = record(2.0)
    content = data(norms_widget({"BPR": {0.0: None, 1e-6: one}, "other": {0.0: one, 1e-6: None}}, "λ", "a title"))
    frame = content["curves"]["BPR"][1]
    assert content["curves"]["BPR"][0] is None and content["curves"]["other"] == [frame, None]
    given = [{key: b[key] for key in ("from", "to", "mean", "std")} for b in one["norms"]["item"]["bins"]]
    assert frame["bins"] == given and len(given) == 3
    assert (frame["correlation"], frame["ndcg"]) == (one["norms"]["item"]["pearson_log"], 0.25)
    assert frame["mean"] == pytest.approx(2 * 12 / 4)  # over rows, not over bins
    assert content["looks"]["BPR"][0] == LOOKS["BPR"][0] and len(content["looks"]["other"]) == 2


@pytest.mark.parametrize(
    ("records", "table", "said"),
    [
        ({}, "item", "nothing to show"),
        ({"BPR": {}}, "item", "nothing to show"),
        ({"BPR": {0.0: None}, "SSM": {1e-6: None}}, "item", "same settings"),
        ({"BPR": {0.0: None}}, "items", "'item' or 'user'"),
    ],
)
def test_norms_refuse_what_they_cannot_show(records: Any, table: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        norms_widget(records, "λ", "a title", table)


@pytest.mark.parametrize(
    "html", [tradeoff_widget(PARTS, "λ", "t"), norms_widget({"BPR": {0.0: record(1.0)}}, "λ", "t")]
)
def test_nothing_is_loaded_and_a_reader_without_javascript_is_told(html: str) -> None:
    assert not re.search(r"\b(?:src|href)=|\bimport\b|fetch\(|@import|url\(", html)
    assert re.findall(r"https?://[^'\"\s]+", html) == [
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xhtml",
    ]  # names
    assert "<noscript>" in html and "@media print" in html
