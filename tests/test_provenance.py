"""The folded origin of a figure: the runs that were made, and a command that a shell and papermill read back."""

from __future__ import annotations

import ast
import shlex
from pathlib import Path
from typing import Any

import jupytext
import numpy as np
import pandas as pd
import papermill.cli
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import made_up
from papermill.translators import translate_parameters

from prismbook.pages import provenance
from prismbook.pages.provenance import command
from prismbook.plan.experiments import grid_configs
from prismbook.tables.analysis import tidy

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=5)  # what a shell's command can hold
NUMBERS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats())
VALUES = NUMBERS | TEXT.map("x{}".format)  # no number, which papermill would read as one


def read_back(shown: str) -> dict[str, Any]:
    """The parameters as a notebook gets them: a shell's words, papermill's command line and its cell of parameters."""
    program, notebook, *words = shlex.split(shown)
    assert (program, notebook) == ("papermill", "notebooks/template.ipynb")
    given: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(papermill.cli, "execute_notebook", lambda **options: given.update(options["parameters"]))
        papermill.cli.papermill([notebook, *words], standalone_mode=False)
    names: dict[str, Any] = {}
    exec(translate_parameters("python3", "python", given, "Parameters"), {}, names)
    return names


def test_lists_and_small_numbers_come_back_as_they_were() -> None:
    given = {
        "losses": ["ssm", "mawu"],
        "weight_decays": [0.0, 1e-6, 1e-5, 2.5e-7],
        "label": ["it's", "a: b", "$HOME"],
        "none": [],
    }
    assert read_back(command("template", **given)) == given
    long = ["a b" * 90] * 30
    shown = command("template", losses=long)
    assert "\n" not in shown and read_back(shown) == {"losses": long}


def test_plain_values_come_back_as_papermill_reads_them() -> None:
    given = {"dataset": "gowalla", "lr": 1e-06, "epochs": 3, "train": True, "results": "a folder/it's"}
    assert read_back(command("template", **given)) == given


@pytest.mark.parametrize("text", ["null", "~", "yes", "2024-01-01", "[1]", "{a: 1}", "", "-p", "#", "a\nb"])
def test_text_that_yaml_or_a_shell_would_read_otherwise_comes_back_as_text(text: str) -> None:
    given = {"dataset": text, "names": [text, "2024", "nan"]}
    assert read_back(command("template", **given)) == given


@given(st.dictionaries(st.sampled_from("abc"), VALUES | st.lists(NUMBERS | TEXT, max_size=4), max_size=3))
def test_whatever_is_given_comes_back(given: dict[str, Any]) -> None:
    back = read_back(command("template", **given))
    assert repr(sorted(back.items())) == repr(sorted(given.items()))  # types too, and nan


def test_tuples_and_numpys_values_come_back_as_lists_and_numbers() -> None:
    given = {
        "seeds": (123, 246),
        "decays": np.array([0.0, 1e-6]),
        "alphas": [np.float64(0.25), np.float32(0.5)],
        "lr": np.float64(1e-3),
        "epochs": np.int64(3),
        "force": np.bool_(False),
        "losses": np.array(["ssm", "2024"]),
    }
    back = read_back(command("template", **given))
    assert back == {
        "seeds": [123, 246],
        "decays": [0.0, 1e-6],
        "alphas": [0.25, 0.5],
        "lr": 1e-3,
        "epochs": 3,
        "force": False,
        "losses": ["ssm", "2024"],
    }
    assert back["force"] is False


def test_a_parameter_that_is_none_is_given_as_none_since_the_notebooks_own_may_be_another() -> None:
    given = {"epochs": None, "dataset": "gowalla", "losses": ["ssm"]}
    assert read_back(command("template", **given)) == given


@pytest.fixture
def runs() -> pd.DataFrame:
    configs = grid_configs("gowalla", "bpr", [0, 1e-6, 1e-4])
    records = [
        made_up(configs[0], environment={"device": "<b>&CPU", "commit": "0123456789"}),
        None,
        made_up(configs[2], seconds={"train": 1000.0, "evaluate": 500.0, "cpu": 0.0}),
    ]
    return tidy(configs, records)


def test_learning_rates_are_listed_where_they_vary(runs: pd.DataFrame) -> None:
    one, two = runs.assign(lr=1e-3), runs.assign(lr=[1e-3, 1e-3, 1e-2])
    assert "learning rate" not in provenance.provenance(one, "x") + provenance.provenance(runs, "x")
    assert "<th>learning rate</th>" in provenance.provenance(two, "x")
    assert "<td>0.01</td>" in provenance.provenance(two, "x")


def test_only_runs_that_were_made_are_listed(runs: pd.DataFrame) -> None:
    html = provenance.provenance(runs, "make book")
    ids = runs["run"].dropna().tolist()
    assert len(ids) == 2 and all(html.count(f"<td>{run}</td>") == 1 for run in ids)
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


def commands(path: Path) -> list[tuple[str, set[str]]]:
    """The notebook and the parameters of each command that a notebook prints."""
    source = "\n".join(line for line in path.read_text().splitlines() if not line.startswith("%"))
    tree = ast.parse(source)
    shared: set[str] = set()  # those of a dictionary that stands for several
    calls = []
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Assign)
            and ast.unparse(node.targets[0]) == "given"
            and isinstance(node.value, ast.Dict)
        ):
            shared = {ast.literal_eval(key) for key in node.value.keys if key is not None}
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("command", "provenance.command"):
            names = {keyword.arg for keyword in node.keywords if keyword.arg is not None}
            spread = {ast.unparse(keyword.value) for keyword in node.keywords if keyword.arg is None}
            assert spread <= {"given"}
            calls.append((ast.literal_eval(node.args[0]), names | (shared if spread else set())))
    return calls


@pytest.mark.lint
def test_commands_of_pages_give_every_parameter_of_a_notebook_that_exists() -> None:
    called = 0
    for path in NOTEBOOKS.glob("*.py"):
        for name, names in commands(path):
            called += 1
            known = parameters(name)
            assert names <= known, f"{path.name} gives {name} what it does not know"
            if name == path.stem:  # the folder of records is the reader's
                assert names == known - {"results"}, f"{path.name} leaves out {known - names}"
    assert called > 5


def test_a_run_that_stands_beside_two_others_is_counted_once() -> None:
    """Before, its seconds were added for each."""
    configs = grid_configs("gowalla", "bpr", [0.0, 1e-6])
    table = tidy([configs[0], *configs], [made_up(configs[0]), *(made_up(config) for config in configs)])
    shown = provenance.provenance(table, "make book")
    assert "Provenance: 2 runs<" in shown and "more not made" not in shown
    assert f"{table['seconds'].iloc[1:].sum():,.0f} s of training" in shown
