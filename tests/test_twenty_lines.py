"""The page "PRISM in twenty lines": bare torch, its cells run by themselves, and its checks can fail."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import jupytext
import matplotlib.pyplot as plt
import pytest

from prismbook.pages import theory_figures

ROOT = Path(__file__).parents[1]
CELLS = jupytext.read(ROOT / "notebooks" / "twenty_lines.ipynb").cells


def tagged(tag: str) -> str:
    (cell,) = [cell for cell in CELLS if tag in cell.metadata.get("tags", ())]
    return str(cell.source)


def alone(code: str) -> subprocess.CompletedProcess[str]:
    """Some code in a fresh Python, in which no package of this project is found."""
    return subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, timeout=300, env={"OMP_NUM_THREADS": "1"}
    )


def test_the_main_cell_runs_by_itself() -> None:
    cell = tagged("twenty-lines")
    assert cell.count("steps=2000") == 1
    done = alone(cell.replace("steps=2000", "steps=40") + "\nprint(len(found))")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 15 and lines[-1] == "7"
    assert all(line.startswith(("Adam", "SGD")) and "correlation" in line for line in lines[:-1:2])
    assert all(line.startswith("  most popular") for line in lines[1:-1:2])
    assert max(map(len, lines)) <= 64  # a phone shows no more


def test_the_training_takes_twenty_lines() -> None:
    functions = [node for node in ast.parse(tagged("twenty-lines")).body if isinstance(node, ast.FunctionDef)]
    lengths = {each.name: (each.end_lineno or 0) - each.lineno + 1 for each in functions}
    assert lengths["softmax"] + lengths["train"] <= 20


def test_the_step_by_hand_runs_by_itself_and_its_check_can_fail() -> None:
    cell = tagged("one-step")
    assert cell.count("[0.8, 0.6]") == 1
    other = cell.replace("[0.8, 0.6]", "[0.6, 0.8]")
    done = alone(f"{cell}\nprint('by itself', flush=True)\nexec({other!r}, {{}})")
    assert done.stdout.partition("by itself")[0].splitlines() == [
        "SGD    in the batch 1 -> 0.9918, not in it 1 -> 0.9900",
        "Adam   in the batch 1 -> 0.9055, not in it 1 -> 0.9000",
        "AdamW  in the batch 1 -> 0.9950, not in it 1 -> 0.9900",
    ], done.stderr
    assert "by itself" in done.stdout and done.returncode == 1 and "AssertionError" in done.stderr  # of the other


@pytest.mark.parametrize("inside", [True, False])
def test_the_cell_on_real_data_runs_by_itself_in_the_project_and_says_what_it_needs(
    tmp_path: Path, inside: bool
) -> None:
    given = "" if inside else f"results = {str(tmp_path)!r}\n"
    project = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    code = given + tagged("real-data")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=project)
    if inside:
        assert done.returncode == 0 and "claims that rest on it: C" in done.stdout, done.stderr
    else:
        assert done.returncode == 1 and "run this cell in a checkout of the project" in done.stderr


@pytest.mark.lint
@pytest.mark.parametrize("tag", ["one-step", "twenty-lines", "real-data"])
def test_code_is_narrow(tag: str) -> None:
    """Before, half of a line could not be seen on a phone."""
    lines = tagged(tag).splitlines()
    assert sorted(map(len, lines))[-4] <= 66 and max(map(len, lines)) <= 81


@pytest.mark.lint
def test_until_prismlib_is_named_the_page_needs_torch_alone() -> None:
    shown = [cell for cell in CELLS if "remove-input" not in cell.metadata.get("tags", ())]
    (at,) = [n for n, cell in enumerate(shown) if cell.source.startswith("## The same with prismlib")]
    code = [ast.parse(cell.source) for cell in shown[:at] if cell.cell_type == "code"]
    imported = {
        name.partition(".")[0]
        for tree in code
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
    }
    assert len(code) == 5 and imported == {"torch"}


@pytest.mark.lint
def test_the_page_says_that_it_is_a_toy() -> None:
    text = " ".join(cell.source for cell in CELLS if cell.cell_type == "markdown")
    assert "It is a **toy**, and no evidence about the paper's datasets" in text.replace("\n", " ")


def test_the_drawing_names_the_lengths_that_it_draws() -> None:
    figure = theory_figures.one_step(decayed=0.6, turn=0.8)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert "after: 1.00" in texts and "after: 0.6, decay alone" in texts
    plt.close(figure)
