"""The folded origin of a figure: the runs that were made, and a command that a shell and papermill read back."""

from __future__ import annotations

import argparse
import ast
import shlex
from pathlib import Path
from typing import Any

import jupytext
import pandas as pd
import pytest
import yaml
from made_up import made_up
from papermill.cli import _resolve_type

from prismbook.pages import provenance
from prismbook.pages.provenance import command
from prismbook.plan.experiments import grid_configs
from prismbook.tables.analysis import tidy

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


def read_back(shown: str) -> dict[str, Any]:
    """The parameters as papermill takes them from the words of a shell."""
    parser = argparse.ArgumentParser()
    for name in ("program", "notebook", "output"):
        parser.add_argument(name)
    parser.add_argument("-p", nargs=2, action="append", default=[])
    parser.add_argument("-y", action="append", default=[])
    given = parser.parse_args(shlex.split(shown))
    assert (given.program, given.notebook) == ("papermill", "notebooks/template.ipynb")
    found = dict(given.p)
    for text in given.y:
        found |= yaml.safe_load(text)
    return found


def test_lists_and_small_numbers_come_back_as_they_were() -> None:
    given = {
        "losses": ["ssm", "mawu"],
        "weight_decays": [0.0, 1e-6, 1e-5, 2.5e-7],
        "label": ["it's", "a: b", "$HOME"],
        "none": [],
    }
    assert read_back(command("template", **given)) == given
    assert read_back(command("template", losses=["a" * 90] * 30)) == {"losses": ["a" * 90] * 30}  # one line


def test_plain_values_come_back_as_papermill_reads_them() -> None:
    given = {"dataset": "gowalla", "lr": 1e-06, "epochs": 3, "train": True, "results": "a folder/it's"}
    read = read_back(command("template", **given))
    assert {name: _resolve_type(value) for name, value in read.items()} == given


def test_a_parameter_that_is_none_is_given_as_none_since_the_notebooks_own_may_be_another() -> None:
    given = {"epochs": None, "dataset": "gowalla", "losses": ["ssm"]}
    assert read_back(command("template", **given)) == given


@pytest.fixture
def runs() -> pd.DataFrame:
    configs = grid_configs("gowalla", "bpr", [0, 1e-6, 1e-4])
    made = [
        made_up(configs[0], environment={"device": "<b>&CPU", "commit": "0123456789"}),
        None,
        made_up(configs[2], seconds={"train": 1000.0, "evaluate": 500.0, "cpu": 0.0}),
    ]
    return tidy(configs, made)


def test_only_runs_that_were_made_are_listed(runs: pd.DataFrame) -> None:
    html = provenance.provenance(runs, "make book")
    made = runs["run"].dropna().tolist()
    assert len(made) == 2 and all(html.count(f"<td>{run}</td>") == 1 for run in made)
    assert html.count("<tr") == 3  # its head and two runs
    assert "Provenance: 2 runs, 1 more not made</summary>" in html
    assert "1,503 s of training and evaluation in all" in html
    for value in ("MF, BPR", "decay 0.0001", "123", runs["content"].iloc[0], "01234567", "1,500"):
        assert f"<td>{value}</td>" in html
    assert html.startswith("<details") and html.endswith("</details>")  # folded


def test_what_is_shown_is_escaped(runs: pd.DataFrame) -> None:
    html = provenance.provenance(runs, "papermill <in> && rm")
    assert "&lt;b&gt;&amp;CPU" in html and "<b>" not in html
    assert "<pre>papermill &lt;in&gt; &amp;&amp; rm</pre>" in html


def test_one_run_all_made_and_none(runs: pd.DataFrame) -> None:
    assert "Provenance: 1 run</summary>" in provenance.provenance(runs.iloc[:1], "x")
    none = provenance.provenance(runs.iloc[1:2], "make book")
    assert "Provenance: no run is made</summary>" in none and "<table" not in none and "<pre>make book</pre>" in none


def parameters(notebook: str) -> set[str]:
    cells = jupytext.read(NOTEBOOKS / f"{notebook}.py").cells
    [source] = [cell.source for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    return {target.id for node in ast.parse(source).body for target in getattr(node, "targets", [])}


def test_pages_name_notebooks_that_exist_and_parameters_that_these_have() -> None:
    called = 0
    for path in NOTEBOOKS.glob("*.py"):
        source = "\n".join(line for line in path.read_text().splitlines() if not line.startswith("%"))
        for call in ast.walk(ast.parse(source)):
            if isinstance(call, ast.Call) and ast.unparse(call.func) in ("command", "provenance.command"):
                called += 1
                name = ast.literal_eval(call.args[0])
                given = {keyword.arg for keyword in call.keywords if keyword.arg is not None}
                assert given <= parameters(name), f"{path.name} gives {name} what it does not know"
    assert called > 5
