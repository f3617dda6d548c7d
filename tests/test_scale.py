"""The benchmark of large tables, and that its page says what it has measured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from runpy import run_path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from prismbook.pages import scale_tables
from prismbook.plan.experiments import PAPER_DATASETS
from prismlib.datasets import CARDS
from prismlib.optim import OPTIMIZERS

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "benchmarks/scale.py"
SCALE = run_path(str(SCRIPT))
STORED = json.loads((ROOT / "benchmarks/scale.json").read_text())
STEPS = scale_tables.frame(STORED["steps"])
needs_linux = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is read as Linux tells it")


@needs_linux
def test_the_command_measures_what_it_is_asked_for_and_keeps_the_rest(tmp_path: Path) -> None:
    output = tmp_path / "scale.json"
    output.write_text(json.dumps({"stream": "kept", "steps": "replaced"}))
    asked = ["--part", "steps", "--rows", "10000", "--losses", "BPR", "--optimizers", "adam"]
    own = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, SCRIPT, *asked, "--output", output], env=own, check=True, capture_output=True)
    written = json.loads(output.read_text())
    assert written["stream"] == "kept"
    rows = written["steps"]["measured"]
    assert [(row["rows"], row["loss"], row["optimizer"], row["huge_pages"]) for row in rows] == [
        (10_000, "BPR", "adam", True),
        (10_000, "BPR", "adam", False),
    ]
    for row in rows:
        assert row["steps"] >= 3 and row["peak_mb"] > 10_000 * 64 * 4 * 4 / 2**20
        parts = row["loss_ms"] + row["gradient_ms"] + row["update_ms"]
        assert 0.5 * row["cpu_ms"] < parts < 2 * row["cpu_ms"]  # medians need not add up


@needs_linux
@pytest.mark.parametrize("optimizer", SCALE["TABLES"])
def test_a_step_of_each_optimizer(optimizer: str) -> None:
    cell = SCALE["step_cell"](optimizer, "BPR", 2000, least=2, most=2, seconds=0.0)
    assert cell["steps"] == 2 and cell["cpu_ms"] > 0


def test_what_does_not_fit_is_left_out_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SCALE["memory_lacks"].__globals__, "free_bytes", lambda device: 3e9)
    left = SCALE["step_cell"]("adam", "BPR", 10_000_000)
    assert left == {"not run": "needs 11.3 GB, 3.0 GB are free"}
    assert SCALE["memory_lacks"](4, 10_000) is None
    row = {"rows": 10_000_000, "loss": "BPR", "optimizer": "adam", "huge_pages": True}
    part = STORED["steps"] | {"measured": [*STORED["steps"]["measured"][:-1], row | left]}
    said = "Not run with 10,000,000 rows and BPR (needs 11.3 GB, 3.0 GB are free): Adam on all rows with huge pages."
    assert said in scale_tables.crossings(part)


@needs_linux
def test_a_stream_is_measured_to_its_end(tmp_path: Path) -> None:
    found = SCALE["stream_cell"](20_000, 50, str(tmp_path))
    assert found["batches"] == 5 and found["file_mb"] == pytest.approx(20_000 * 8 / 2**20)
    with pytest.MonkeyPatch.context() as patch:  # an epoch that loses a batch is found
        whole = SCALE["read_batches"]
        patch.setitem(SCALE["stream_cell"].__globals__, "read_batches", lambda *given: list(whole(*given))[1:])
        with pytest.raises(SystemExit, match="the epoch has 15904 pairs of 20000, or others than were counted"):
            SCALE["stream_cell"](20_000, 50, str(tmp_path))


def test_what_is_stored_is_whole() -> None:
    assert set(STORED) == {"steps", "prism", "stream", "quality", "pages"}
    asked = {
        (rows, loss, optimizer, huge)
        for rows in SCALE["ROWS"]
        for loss in ("BPR", "SSM")
        for optimizer in SCALE["TABLES"]
        for huge in (True, False)
        if huge or optimizer in SCALE["ALSO_WITHOUT"]
    }
    assert {tuple(row) for row in STEPS[["rows", "loss", "optimizer", "huge_pages"]].itertuples(index=False)} == asked
    assert len(STEPS) == len(asked)
    assert STORED["stream"]["measured"]["pairs"] == SCALE["PAIRS"]
    for part in STORED.values():
        assert part["date"] and part["environment"]["torch"]


def test_optimizers_are_those_of_the_library() -> None:
    assert set(SCALE["TABLES"]) == set(scale_tables.OPTIMIZERS) == set(OPTIMIZERS) - {"sgd_momentum"}


def cell(rows: int, loss: str, optimizer: str, huge: bool = True) -> Any:
    return scale_tables.times(STEPS, loss, optimizer, huge)[rows]


def crossed(loss: str, huge: bool) -> float:
    """The rows at which Adam on all rows, with huge pages or as it is by default, and on the batch's rows cross."""
    every, some = scale_tables.times(STEPS, loss, "adam", huge), scale_tables.times(STEPS, loss, "row_adam")
    at = scale_tables.crossing(every, some)
    assert at is not None
    return at


@pytest.mark.parametrize("loss", ["BPR", "SSM"])
def test_what_the_page_says_of_times(loss: str) -> None:
    least = min(SCALE["ROWS"])
    most = max(
        scale_tables.times(STEPS, loss, "adam").index.intersection(scale_tables.times(STEPS, loss, "row_adam").index)
    )
    # "Below the ring, leave it"; "Above it, time on the batch's rows still grows, though far less than the tables"
    for huge in (True, False):
        assert cell(least, loss, "adam", huge) < cell(least, loss, "row_adam")
        assert cell(most, loss, "adam", huge) > cell(most, loss, "row_adam")
    for optimizer in ("row_adam", "sparse_adam", "rowwise_adagrad", "sgd"):
        measured = scale_tables.times(STEPS, loss, optimizer)
        assert measured.max() < 40 * measured.min() and measured.index[-1] >= 100 * least


def test_every_dataset_of_the_paper_is_below_the_ring() -> None:
    rows = max(CARDS[name].users + CARDS[name].items for name in PAPER_DATASETS)
    for loss in ("BPR", "SSM"):
        assert crossed(loss, huge=False) > rows and crossed(loss, huge=True) > rows
    assert f" has {rows:,} rows." in scale_tables.crossings(STORED["steps"])


def test_what_the_page_says_of_memory() -> None:
    table = scale_tables.memory(STORED["steps"])
    for optimizer, (name, *_) in scale_tables.OPTIMIZERS.items():
        assert table["tables"][name] == SCALE["TABLES"][optimizer]
        # a batch's rows count for less the larger the tables
        within = 0.3 if table["with rows"][name] == "10,000,000" else 1.0
        assert float(table["measured"][name]) == pytest.approx(SCALE["TABLES"][optimizer], abs=within)
    # "they would just about fill a GPU of 80 GB; with row-wise Adagrad or SGD they would leave most of it free"
    computed = table.iloc[:, -1].astype(float)
    assert 70 < computed["Adam on the batch's rows"] < 80 and computed["row-wise Adagrad"] < 40 > computed["SGD"]
    for row in STORED["prism"]["measured"]:
        assert row["rows"] < 1_000_000 or row["peak_mb"] * 2**20 < 1.15 * scale_tables.table_bytes(row["rows"])


def test_what_the_page_says_of_quality() -> None:
    assert scale_tables.farthest(STORED["quality"], "row_adam") <= 0.0005
    assert scale_tables.farthest(STORED["quality"], "sparse_adam") > 0.001
    for run in STORED["quality"]["measured"]:
        assert len(run["ndcg"]) == run["epochs"] >= 3 and len(run["data"]) == 64
    assert {run["dataset"] for run in STORED["quality"]["measured"]} == {"movielens1m", "gowalla"}


def test_a_crossing_is_read_between_measured_numbers() -> None:
    rows = [10, 100, 1000]
    level, rising = pd.Series([5.0, 5.0, 5.0], rows), pd.Series([1.0, 2.5, 10.0], rows)
    assert scale_tables.crossing(rising, level) == pytest.approx(10**2.5)
    assert scale_tables.crossing(level, rising) is None
    assert scale_tables.crossing(rising + 100, level) is None
    assert scale_tables.crossing(pd.Series([1.0, 10.0], [10, 1000]), level) == pytest.approx(10 ** (1 + 2 * 0.69897))


def test_what_to_do_names_the_sizes_at_which_the_steps_cross() -> None:
    said = scale_tables.what_to_do(STORED["steps"])
    for loss in ("BPR", "SSM"):
        assert f"{scale_tables.rounded(crossed(loss, huge=True))} with {loss}" in said
    assert crossed("SSM", huge=False) < 0.7 * crossed("SSM", huge=True)
    never = STORED["steps"] | {"measured": [row for row in STORED["steps"]["measured"] if row["rows"] == 10_000]}
    assert "| all sizes that were measured | Adam on all rows" in scale_tables.what_to_do(never)


def test_the_figure_marks_the_crossings() -> None:
    figure = scale_tables.step_times(STORED["steps"])
    assert [len(axis.lines) for axis in figure.axes] == [7, 7]  # the last is the ring
    for axis, loss in zip(figure.axes, ("BPR", "SSM"), strict=True):
        at = crossed(loss, huge=True)
        assert axis.lines[-1].get_xdata()[0] == at
        assert [text.get_text() for text in axis.texts] == [f"about {scale_tables.rounded(at)} rows"]
    plt.close(figure)


def test_the_sentences_have_the_stored_numbers() -> None:
    said = scale_tables.crossings(STORED["steps"])
    most = cell(10_000_000, "BPR", "adam")
    assert (
        f"it takes {most / cell(10_000_000, 'BPR', 'row_adam'):,.0f} times as long as Adam on the batch's rows." in said
    )
    without = cell(10_000_000, "BPR", "adam", huge=False) / most
    assert without > 2 and f"without huge pages takes {without:.1f} times as long there as with them." in said
    at = scale_tables.rounded(crossed("SSM", huge=True))
    assert f"With SSM Adam on all rows is the faster one up to about {at} rows." in said
    # two sentences after a large gain: this is of the paper's datasets alone
    verdict = scale_tables.pages_sentence(STORED["steps"], STORED["pages"]).rpartition("%. ")[2]
    assert verdict.startswith("At the size of the paper's datasets no gain can be told")
    stream = STORED["stream"]["measured"]
    assert f"{stream['batches']:,} batches" in scale_tables.stream_sentence(STORED["stream"], STORED["steps"])
    assert f"{scale_tables.farthest(STORED['quality'], 'row_adam'):.1g}" in (
        scale_tables.quality_sentence(STORED["quality"])
    )
    for row in STORED["pages"]["measured"]:
        assert f"{row['step_ms']['ratio']:.2f} times" in scale_tables.pages_sentence(STORED["steps"], STORED["pages"])
    assert len(scale_tables.parts(STORED["steps"], 1_000_000)) == 2 * (len(SCALE["TABLES"]) + 1)


def test_a_machine_that_was_idle_is_not_said_to_have_been_busy() -> None:
    part = STORED["steps"]
    assert "other work" not in scale_tables.machine(part)  # as it was measured
    busy = [row | ({"wall_ms": 8 * row["cpu_ms"]} if "cpu_ms" in row else {}) for row in part["measured"]]
    said = "By the clock they took 8 times as long, since the machine had other work"
    assert said in scale_tables.machine(part | {"measured": busy})
