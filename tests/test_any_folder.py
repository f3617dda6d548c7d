"""Each notebook runs from any folder: what it reads of the project, it finds by the package."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from prismbook.pages import page

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))


def test_papermill_from_another_folder(tmp_path: Path) -> None:
    # a quick one that reads files of the project besides its records; the ledger's, the list of pages, is tested below
    words = ["-m", "papermill", str(ROOT / "notebooks/speed.ipynb"), "out.ipynb", "--no-progress-bar"]
    ended = subprocess.run([sys.executable, *words], cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    cells = nbformat.read(tmp_path / "out.ipynb", as_version=4).cells
    shown = "".join(str(output) for cell in cells if cell.cell_type == "code" for output in cell.outputs)
    assert "Measured on" in shown
    assert [path.name for path in tmp_path.iterdir()] == ["out.ipynb"]  # nothing is written beside it


@pytest.mark.lint
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_notebook_looks_into_the_current_folder(path: Path) -> None:
    code = re.sub(r"(?m)^#.*$", "", path.read_text())
    for call in re.findall(r"(?:Path|open|read_csv|read_parquet)\([^)]*\)", code):
        named = ("Path(folder)", "Path(folder.name)", "Path(given or default_results()")  # by the caller
        assert call in named, f"{path.name}: {call}"
    assert not re.search(r"\bcwd\b|getcwd|\.\./", code)


def test_the_source_tree_is_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert page.source_tree() == ROOT
    assert {"ledger", "rq1_weight_decay"} <= page.pages()


def test_without_a_source_tree_there_is_no_list_of_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "default_results", lambda: tmp_path / "results")
    assert page.pages() == set()
