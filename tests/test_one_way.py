"""The house: prismlib is the method and needs nothing of the evidence; each stage of prismbook uses earlier ones."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.lint

ROOT = Path(__file__).parents[1]
STAGES = ("plan", "runs", "tables", "claims", "pages")
#: Packages that a function of prismlib may import when it is called: those that download, and the compiler of kernels.
INSIDE_FUNCTIONS = {"pooch", "tqdm", "triton"}


def imported(tree: ast.AST) -> set[str]:
    """The dotted names of all modules that some code imports, wherever in it."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, "imports are absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def at_top(tree: ast.Module) -> set[str]:
    """What a module imports as it is imported itself: everything outside of its functions."""
    return set().union(*(imported(node) for node in tree.body if not isinstance(node, ast.FunctionDef)))


def package(name: str) -> str:
    return name.partition(".")[0]


PRISMLIB = sorted((ROOT / "prismlib").glob("**/*.py"))
PRISMBOOK = sorted((ROOT / "prismbook").glob("*/*.py"))


@pytest.mark.parametrize("path", PRISMLIB, ids=lambda path: path.stem)
def test_prismlib_imports_torch_numpy_and_itself(path: Path) -> None:
    tree = ast.parse(path.read_text())
    allowed = {"torch", "numpy", "prismlib", *sys.stdlib_module_names}
    assert {package(name) for name in at_top(tree)} <= allowed
    assert {package(name) for name in imported(tree)} <= allowed | INSIDE_FUNCTIONS


@pytest.mark.parametrize("path", PRISMBOOK, ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_a_stage_imports_only_earlier_stages(path: Path) -> None:
    stage = STAGES.index(path.parent.name)
    used = {name.split(".")[1] for name in imported(ast.parse(path.read_text())) if package(name) == "prismbook"}
    assert used <= {*STAGES[: stage + 1], "extras", "text"}


def test_every_module_of_prismbook_is_in_a_stage() -> None:
    assert {path.parent.name for path in PRISMBOOK} == set(STAGES)
    assert {path.stem for path in (ROOT / "prismbook").glob("*.py")} == {"__init__", "__main__", "extras", "text"}


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("import pandas as pd", {"pandas"}),
        ("from prismbook.pages import figures", {"prismbook.pages.figures"}),
        ("def f():\n    from prismbook import claims", {"prismbook.claims"}),
    ],
)
def test_what_these_tests_read_as_an_import(code: str, names: set[str]) -> None:
    assert imported(ast.parse(code)) == names
