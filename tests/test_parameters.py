"""Parameters of notebooks: what is not accepted or not known ends the notebook before it computes anything."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import jupytext
import pytest

from prismbook.pages import parameters
from prismbook.pages.parameters import ParameterError, check, choice, fields, integer, optional, rate, several
from prismbook.plan.fields import text

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.py"))
NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("name", "accepted", "refused"),
    [
        ("train", [True, False], ["false", "true", "", "False", 0, 1, None, []]),
        ("epochs", [1, 40, None], [0, -1, 2.0, "2", True, NAN, [2]]),
        ("patience", [1], [0, None, 1.5, True]),
        ("lr", [1, 1e-3, None], [0, -1e-3, "1e-3", True, NAN, INF, [1e-3]]),
        ("seed", [0, 2**63 - 1], [-1, 2**63, 1.0, "1", None, True]),
        ("seeds", [123, [123, 246]], [[], "123", [1.0], [True], None, [[1]]]),
        ("alphas", [0, 1, 0.5, [0.0, 1.0]], [1.1, -0.1, [], "0.5", [0.5, NAN], None]),
        ("weight_decays", [0, 1e-6, [0.0, 1e-4], None], [-1, [], "0", [None], INF]),
        ("learning_rates", [1e-3, [1e-3, 1e-2]], [0, [], None]),
        ("losses", ["ssm", ["ssm", "bpr"]], ["SSM", [], "[ssm, bpr]", ["ssm", "x"], 1, None]),
        ("backbone", ["mf", "lightgcn"], ["MF", None, ["mf"]]),
        ("budget", ["smoke", "lean", "paper"], ["large", None]),
        ("claim", ["C2", "C18"], ["C1", 2]),
        ("dataset", ["synthetic", "gowalla", ["gowalla", "yelp2018"]], ["gowala", 2024, None, True, [], ["gowala"]]),
        ("device", ["cpu", "cuda"], ["gpu", "cuda:0", 0]),
        ("results", ["a/folder", None], ["", 2024, True]),
    ],
)
def test_each_field_accepts_its_values_and_no_others(name: str, accepted: list[Any], refused: list[Any]) -> None:
    for value in accepted:
        check({name: value}, name)
    for value in refused:
        with pytest.raises(ParameterError, match=rf"^{name} must be .*, got ") as caught:
            check({name: value}, name)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"force": "false"}, "force must be True or False, got 'false'; papermill reads only -p force True and"),
        ({"dataset": 2024}, "dataset must be one of synthetic, .*, got 2024$"),
        ({"lr": "fast"}, "lr must be a finite number > 0, or None, got 'fast'$"),
        ({}, "seeds is not set; it must be an integer in "),
    ],
)
def test_message_says_what_to_write(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        check(given, *(given or ["seeds"]))


def test_a_notebook_may_have_a_field_of_its_own() -> None:
    check({"epochs": 2, "x": "a"}, epochs=integer(1), x=several(choice("ab")))
    for others in ({"epochs": integer(1)}, {"epochs": optional(text())}, {"epochs": rate()}):
        with pytest.raises(ParameterError, match=r"^epochs must be"):
            check({"epochs": 0}, **others)


def test_unknown_parameters_are_those_that_papermill_set_and_the_notebook_does_not_have() -> None:
    names: dict[str, Any] = {"epochs": None, "seed": 1, "epoch": 2, "table": 3}
    check(names | {"In": ["", "epochs = None\nseed = 1", "table = 3"]}, "epochs", "seed")  # a reader's own cell
    check(names | {"In": ["", "# Parameters\nseed = 1\nPAPERMILL_INPUT_PATH = 'x'\n"]}, "epochs", "seed")
    with pytest.raises(ParameterError, match=r"^unknown parameter epoch \(did you mean epochs\?\); .* epochs, seed$"):
        check(names | {"In": ["", "epochs = None", "# Parameters\nepoch = 2\n"]}, "epochs", "seed")
    with pytest.raises(ParameterError, match=r"^unknown parameter table; this notebook has epochs, seed$"):
        check(names | {"In": ["", "# Parameters\nseed = 1\ntable = float('nan')\n"]}, "epochs", "seed")


def code_cells(path: Path) -> list[tuple[list[str], str]]:
    """Tags and source of each code cell."""
    cells = [cell for cell in jupytext.read(path).cells if cell.cell_type == "code"]
    return [(cell.metadata.get("tags", []), cell.source) for cell in cells]


@pytest.mark.lint
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_notebook_checks_all_its_parameters_before_it_does_anything_else(path: Path) -> None:
    (tags, source), (_, following), *_ = code_cells(path)
    assert "parameters" in tags, "no code stands before the parameters"
    targets = [target for node in ast.parse(source).body for target in getattr(node, "targets", [])]
    statements = [node for node in ast.parse(following).body if not isinstance(node, ast.Import | ast.ImportFrom)]
    call = getattr(statements[0], "value", None)
    assert isinstance(call, ast.Call)
    assert ast.unparse(call.func) == "parameters.check"
    namespace, *names = call.args
    assert ast.unparse(namespace) == "globals()"
    checked = [ast.literal_eval(name) for name in names] + [keyword.arg for keyword in call.keywords]
    assert sorted(checked) == sorted(target.id for target in targets)


@pytest.mark.lint
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_notebooks_own_values_are_accepted(path: Path) -> None:
    names: dict[str, Any] = {}
    for _, source in code_cells(path)[:1]:
        exec(source, names)
    check(names, *(name for name in names if name in fields()))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["-p", "force", "false"], "ParameterError: force must be True or False, got 'false'"),
        (["-p", "epoch", "2"], "ParameterError: unknown parameter epoch (did you mean epochs?); this notebook has"),
    ],
)
def test_papermill_ends_before_anything_is_trained(tmp_path: Path, given: list[str], message: str) -> None:
    notebook = NOTEBOOKS[0].with_name("rq1_weight_decay.ipynb")
    words = ["-m", "papermill", notebook, "out.ipynb", "--no-progress-bar", "-p", "results", "stored", *given]
    ended = subprocess.run([sys.executable, *map(str, words)], cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode != 0
    assert message in ended.stderr.rstrip().splitlines()[-1]  # one line, and the last one
    assert [path.name for path in tmp_path.iterdir()] == ["out.ipynb"]


def test_papermill_marks_the_cell_it_sets_parameters_in() -> None:
    from nbformat.v4 import new_code_cell, new_notebook
    from papermill.parameterize import parameterize_notebook

    kernel = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}, "papermill": {}}
    notebook = new_notebook(cells=[new_code_cell("epochs = 1", metadata={"tags": ["parameters"]})], metadata=kernel)
    given = {"epoch": 2, "lr": NAN, "losses": ["ssm", "bpr"], "text": "a\nb = 3"}
    cell = parameterize_notebook(notebook, given).cells[1]
    assert parameters._injected([cell.source]) == list(given)


def test_without_training_the_folder_of_results_must_be_there(tmp_path: Path) -> None:
    """Before, a folder with a slip in its name gave a page on which everything was "not run"."""
    given = {"results": str(tmp_path / "absent"), "train": False}
    with pytest.raises(parameters.ParameterError, match="results must be a folder of records where train is False"):
        parameters.check(given, "results", "train")
    parameters.check({**given, "train": True}, "results", "train")
    parameters.check({**given, "results": str(tmp_path)}, "results", "train")
