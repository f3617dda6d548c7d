"""What pages show of rows, records and measurements, each by a function: the notebooks only call them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from runpy import run_path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from made_up import made_up

from prismbook.claims.statements import OUTCOMES, Statement
from prismbook.pages import ledger_tables, reproduce_tables, rq3_tables, rq4_tables, speed_tables
from prismbook.plan.experiments import grid_configs
from prismbook.tables.analysis import tidy
from prismbook.tables.decay_vs_prism import pair
from prismbook.tables.rules import Difference

BENCH = Path(__file__).parents[1] / "benchmarks"


@dataclass
class Claim:
    """As far as the page looks at one."""

    id: str
    text: str = "text"
    place: str = "Section 1"
    paper: str = "a figure"
    page: str = "page_{dataset}"


@dataclass
class Row:
    """As far as the page looks at one."""

    claim: Claim
    dataset: str
    verdict: str
    statements: tuple[Statement, ...] = ()
    run_ids: tuple[str, ...] = ()

    provisional: bool = False
    kind: str = "measurement"
    cases: dict[str, str] = field(default_factory=dict)

    @property
    def phrase(self) -> str:
        return f"{self.verdict} (provisional)" if self.provisional else self.verdict


ROWS: Any = [
    Row(Claim("C1"), "movielens1m", "reproduced", (Statement("it climbs", True),)),
    Row(Claim("C1"), "gowalla", "not measured"),
    Row(Claim("C2"), "", "open (1 of 2 decided)", (Statement("proved", True), Statement("open", None))),
]


def test_the_ledger_at_a_glance_has_one_row_per_claim_and_links_where_a_page_is() -> None:
    head, rule, first, second = ledger_tables.at_a_glance(ROWS, {"page_movielens1m"}).splitlines()
    assert head == "| claim | theory | MovieLens1M | Gowalla |"
    assert rule == "|---|---|---|---|"
    reproduced = "[▲ reproduced](page_movielens1m.ipynb)"
    assert first == f"| **C1** text |  | {reproduced} | · not measured |"
    assert second == "| **C2** text | ? open (1 of 2 decided) |  |  |"


def test_a_provisional_verdict_has_a_hollow_mark() -> None:
    for word, hollow in ledger_tables.HOLLOW.items():
        phrase = "for a, not for b" if word == "for some, not for others" else word
        assert ledger_tables.mark(phrase, provisional=True) == hollow != ledger_tables.mark(phrase)
    assert len({*ledger_tables.MARKS.values(), *ledger_tables.HOLLOW.values()}) == 8
    assert list(ledger_tables.MARKS) == sorted(OUTCOMES, key=list(ledger_tables.MARKS).index)


def test_the_ledger_with_numbers_shows_ours_beside_the_papers() -> None:
    found = Difference((0.05, 0.06), (0.03, 0.07))
    statements = (
        Statement("it climbs: 1 against 2", True, found=found),
        Statement("it falls", False, found=Difference((-0.2,)), provisional=True),
        Statement("it has no number", True),
    )
    rows: Any = [
        Row(Claim("C1"), "gowalla", "for it climbs, not for it falls", statements, ("a",), True),
        Row(Claim("C1"), "movielens1m", "reproduced", statements[:1], ("b",), cases={"text": "reproduced"}),
        Row(Claim("C1"), "yelp2018", "not measured"),
        Row(
            Claim("C1"), "amazonbook", "reproduced", (replace(statements[0], case="text"),), ("c",), cases={"text": "x"}
        ),
        Row(Claim("C2"), "", "reproduced", statements[2:], kind="identity"),
    ]
    head, _, first, second, fourth, third = ledger_tables.with_numbers(rows, {"page_gowalla"}).splitlines()
    assert head.startswith("| claim | the paper's number | dataset | ours") and head.endswith("protocol | verdict |")
    space = "\N{NO-BREAK SPACE}"  # the two ends of an interval stay on one line
    numbers = f"▲ it climbs: +5.5% [{found.interval[0]:+.1%},{space}{found.interval[1]:+.1%}]"
    assert first == (
        f"| **C1** text (Section 1) | a figure | Gowalla | {numbers}<br>▽ it falls: -20.0% | 1, 2 | the paper's text |"
        " [◇ for it climbs, not for it falls (provisional)](page_gowalla.ipynb) |"
    )
    assert second == f"| **C1** |  | MovieLens1M | {numbers} | 2 | text: reproduced | ▲ reproduced |"
    assert numbers.replace("it climbs", "it climbs (text)") in fourth
    assert third == "| **C2** text (Section 1) | a figure | computed on the spot |  |  |  | ▲ reproduced |"


def test_the_ledger_statement_by_statement_names_what_was_not_measured() -> None:
    first, second = ledger_tables.statement_by_statement(ROWS, set())
    assert first.split("\n\n") == [
        "### C1: text",
        "Section 1. The paper's figure: a figure.",
        "**MovieLens1M: reproduced**",
        "- it climbs: *holds*",
        "Not measured: Gowalla.",
    ]
    assert "**computed on the spot: open (1 of 2 decided)**" in second and "- open: *not measured*" in second


def rq4() -> tuple[pd.DataFrame, list[Any]]:
    configs = grid_configs("gowalla", "directau", 0.0, init="prism", alpha=1.0)
    configs += grid_configs("gowalla", "directau", [0.0, 1e-6, 1e-4])
    curves = [[0.1, 0.2] * 11, [0.3], None, [0.1, 0.25]]
    records = [
        None if curve is None else made_up(config, validation=curve, epochs=len(curve))
        for config, curve in zip(configs, curves, strict=True)
    ]
    return tidy(configs, records), records


def test_figure_4_shows_prism_and_the_decay_that_validation_chooses() -> None:
    runs, records = rq4()
    tuned = rq4_tables.tuned_decay(runs)
    assert tuned.weight_decay == 1e-4  # decay 0 scores more, and is no decay
    assert list(rq4_tables.by_setting(runs, records)) == ["PRISM, alpha 1", "decay 0", "decay 0.0001"]
    shown = rq4_tables.prism_and_tuned(runs, records)
    assert list(shown) == ["PRISM, alpha 1", "decay 0.0001"] and shown["decay 0.0001"] is records[3]
    none = tidy(grid_configs("gowalla", "directau", [0.0, 1e-6]), [None, None])
    assert rq4_tables.tuned_decay(none) is None and rq4_tables.prism_and_tuned(none, [None, None]) == {}


def test_runs_that_ended_early_are_named() -> None:
    runs, records = rq4()
    found = rq4_tables.by_setting(runs, records)
    note = rq4_tables.ended_early(found)
    assert note.startswith("Ended within their first 20 epochs, so look twice: decay 0 (validation 0.3000 at epoch 0,")
    assert "PRISM" not in note and "decay 0.0001 (validation 0.1000 at epoch 0, best 0.2500 at epoch 1)." in note
    long = {name: record for name, record in found.items() if "PRISM" in name}
    assert rq4_tables.ended_early(long) == "No run on this page ended within its first 20 epochs."


def test_rq3_has_a_row_per_pair_and_a_verdict_per_claim_that_is_concerned(tmp_path: Path) -> None:
    pairs = [pair("gowalla", "mf", loss, tmp_path) for loss in ("ssm", "bpr")]
    rows = rq3_tables.differences(pairs)
    assert list(rows) == ["MF, SSM", "MF, BPR"]
    assert rows["MF, SSM"]["ours"] is None and rq3_tables.configs(pairs) == []
    assert list(rq3_tables.judged(pairs, tmp_path)) == ["C8", "C17"]
    assert list(rq3_tables.judged([pair("gowalla", "nonlinear-mf", "ssm", tmp_path)], tmp_path)) == ["C10", "C17"]


def test_hours_energy_and_versions_of_stored_runs() -> None:
    [config] = grid_configs("gowalla", "bpr", 0)
    environment = {"device": "CPU, 1 threads", "torch": "2", "python": "3", "commit": None}
    real = made_up(config, environment=environment, seconds={"train": 3600.0, "evaluate": 0.0, "cpu": 7200.0})
    real["data"]["synthetic"], real["joules"] = False, 2e3
    silent = real | {"joules": None}
    runs = reproduce_tables.costs([real, silent, real | {"data": real["data"] | {"synthetic": True}}])
    assert len(runs) == 2 and set(runs["device"]) == {"CPU, 1 thread"}
    sums = reproduce_tables.sums(runs)
    assert sums.index.tolist() == ["gowalla", "all"]
    assert sums["training, h"].tolist() == [2, 2] and sums["CPU time, h"].tolist() == [4, 4]
    assert reproduce_tables.energy(runs) == ["- CPU, 1 thread: 2.0 kJ over the 1 of 2 runs that report it"]
    assert reproduce_tables.energy(runs.iloc[1:]) == ["- CPU, 1 thread: not reported by any of its 1 runs"]
    assert reproduce_tables.energy(runs.iloc[:0]) == []
    assert reproduce_tables.versions(runs)["runs"].tolist() == [2]


def test_one_configuration_on_two_processors_is_compared_epoch_by_epoch() -> None:
    [config] = grid_configs("gowalla", "bpr", 0)
    machines = [{"device": f"{name}, 8 threads", "commit": None} for name in ("one", "two")]
    curves = [[0.1, 0.2, 0.3], [0.1, 0.25]]
    records = [
        made_up(config, validation=curve, environment=machine) for curve, machine in zip(curves, machines, strict=True)
    ]
    for record in records:
        record["data"]["synthetic"] = False
    [row] = reproduce_tables.on_two_processors(records)
    assert row["processors"] == "one and two" and row["epochs that all ran"] == 2
    assert (row["validation NDCG@20 then"], row["largest difference"]) == ("0.20000", "0.05000")
    assert reproduce_tables.on_two_processors(records[:1]) == []


def test_ratios_of_the_page_on_speed_are_those_of_the_measurements() -> None:
    row = {"work": "a step", "reference": 0.2, "ours": 0.05, "target": 3, "floor": 0.025}
    table = speed_tables.against_plain([row, row | {"floor": None}])
    assert table.iloc[0].tolist() == ["200", "50.0", "4.0", "3", "2.0"] and table.iloc[1].tolist()[-1] == ""
    assert speed_tables.whole_runs("none here") == ["**GPU: none here.** `make bench` measures one where it finds one."]
    worn = {"seconds": {"fresh": 0.01, "worn": 0.05, "flushed": 0.02}}
    assert speed_tables.denormals(worn)["ratio"].tolist() == ["1.0", "5.0", "2.0"]


def test_captured_steps_are_shown_with_the_card_or_said_to_be_missing() -> None:
    [missing] = speed_tables.captured(None)
    assert missing.startswith("**Captured steps on a GPU: not measured here.**")
    targets = run_path(str(BENCH / "gpu_check.py"))["TARGETS"]
    checked = {
        "device": "NVIDIA H100",
        "torch": "2.11.0",
        "data": "gowalla",
        "date": "2026-11-26",
        "targets": targets,
        "table": {
            "MF + DirectAU, 4,096": {"eager, ms": 4.9, "captured, ms": 0.39, "was captured": True},
            "MF + BPR, 16,384": {"eager, ms": 1.6, "captured, ms": 1.6, "was captured": False},
        },
        "validation": {"ms": 14.0},
        "whole_run": {"seconds": 19.0, "stopped by": "on_epoch"},  # cut off: no time of a whole run
        "throughput": {"MPS": "started", "1": 1900.0, "8": None},
        "same": None,
    }
    card, together = speed_tables.captured(checked)
    assert "NVIDIA H100" in card and "2026-11-26" in card and card.endswith("single steps were not compared.")
    assert together == "DirectAU steps per second on this card: 1,900 from 1 worker."
    assert speed_tables.captured(checked | {"same": {"same": True}})[0].endswith("agree.")
    table = speed_tables.captured_steps(checked)
    assert list(table.index) == list(targets)
    assert table.loc["MF + DirectAU, 4,096"].tolist() == ["4.90", "0.39", "at most 0.4"]
    assert table.loc["validation"].tolist() == ["", "14.00", "at most 15"]
    assert table.loc["8 processes, steps per s"].tolist() == ["", "not measured", "at least 5,000"]
    for name in ("MF + BPR, 16,384", "run to early stop, s", "LightGCN + DirectAU, 4,096"):
        assert table.loc[name, "captured"] == "not measured"
    bare = {name: checked[name] for name in ("device", "torch", "data", "date", "targets")}  # no time for any part
    assert len(speed_tables.captured(bare)) == 1 and set(speed_tables.captured_steps(bare)["captured"]) == {
        "not measured"
    }


def test_the_stored_measurements_can_be_shown() -> None:
    bench, growth = (json.loads((BENCH / f"{name}.json").read_text()) for name in ("bench", "growth"))
    assert "GFLOP/s" in speed_tables.machine(bench) and len(speed_tables.against_plain(bench["rows"]))
    assert list(speed_tables.epochs(bench).index) == list(bench["authors"])
    assert "times its floor" in speed_tables.validation(bench) and "peaks at" in speed_tables.largest_evaluation(bench)
    assert speed_tables.largest_evaluation(bench | {"others": {"x": "1 GB"}}).endswith("same run: x: 1 GB.")
    offered = speed_tables.offered({"CPU": bench, "GPU": "none"})
    assert len(offered) == len(bench["offered"]) and set(offered.index.get_level_values("on")) == {"CPU"}
    figure = speed_tables.growth(pd.DataFrame(growth["growth"]))
    assert [len(axis.lines) for axis in figure.axes] == [4, 4, 4]
    plt.close(figure)
