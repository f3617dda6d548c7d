"""What stands around the text of the book's pages: links to the glossary and to code, the foot, headings, downloads."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "book/_ext"))
import around  # noqa: E402
import first_use  # noqa: E402

GLOSSARY = """# Glossary

```{glossary}
norm
  Length.

weight decay
  A pull.

run
  One training.
```
"""
PAGE = """# A norm in a heading

`norm` in code, then norms of weight decay. Another norm, and normal; weight decay again. Run this.

| norm |
|---|
| weight decay |
"""
PRINTED = ["before\n\n## First *heading*\n\ntext\n\n## Second\n\nmore", "printed last"]


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A book of five pages, built with both extensions; the folder of its HTML."""
    folder = tmp_path_factory.mktemp("book")
    (folder / "index.md").write_text("# Start\n\n```{toctree}\nglossary\npage\ncite\npages/found\npages/ledger\n```\n")
    (folder / "glossary.md").write_text(GLOSSARY)
    (folder / "page.md").write_text(PAGE)
    (folder / "cite.md").write_text("# Cite\n")
    (folder / "pages").mkdir()
    outputs = [nbformat.v4.new_output("display_data", {"text/markdown": text}) for text in PRINTED]
    cells = [
        nbformat.v4.new_markdown_cell("# Found"),
        nbformat.v4.new_code_cell("say()", outputs=outputs, metadata={"tags": ["remove-input"]}),
        nbformat.v4.new_markdown_cell("*A caption.*\n\n## Third"),
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), folder / "pages/found.ipynb")
    (folder / "pages/ledger.md").write_text("# All claims\n")
    settings = {
        "extensions": ["myst_nb", "around", "first_use"],
        "html_theme": "sphinx_book_theme",
        "nb_execution_mode": "off",
        "nb_render_markdown_format": "myst",
    }
    warnings = (folder / "warnings").open("w")
    with docutils_namespace():  # else a second build in this process warns of classes that are registered
        Sphinx(folder, None, folder / "out", folder / "trees", "html", settings, None, warnings).build()
    warnings.close()
    assert (folder / "warnings").read_text() == ""
    return folder / "out"


def test_the_first_use_of_a_term_in_running_text_leads_to_the_glossary(book: Path) -> None:
    text = (book / "page.html").read_text()
    links = re.findall(r'<a class="glossary-link[^"]*" href="([^"]*)">([^<]*)</a>', text)
    assert links == [("glossary.html#term-norm", "norms"), ("glossary.html#term-weight-decay", "weight decay")]
    assert "glossary-link" not in (book / "glossary.html").read_text()


def test_headings_that_a_cell_prints_are_in_the_contents_in_order(book: Path) -> None:
    text = (book / "pages/found.html").read_text()
    found = re.findall(r'toc-h2 nav-item toc-entry"><a class="reference internal nav-link" href="#([\w-]+)"', text)
    assert list(dict.fromkeys(found)) == ["first-heading", "second", "third"]
    article = re.sub(r"<[^>]*>", "", text[text.index("<article") : text.index("</article")])
    order = [
        article.index(said)
        for said in ("before", "First heading", "text", "Second", "more", "printed last", "A caption", "Third")
    ]
    assert order == sorted(order)
    assert "rubric" not in text[text.index("<article") : text.index("</article")]


def test_every_page_has_a_foot_that_leads_to_the_citation(book: Path) -> None:
    for page, place in (("page", "cite.html"), ("pages/found", "../cite.html")):
        [foot] = re.findall(r'<div class="extra_footer">(.*?)</div>', (book / f"{page}.html").read_text(), re.DOTALL)
        assert f'href="{place}"' in foot


def test_the_search_knows_words_that_a_page_does_not_have_and_orders_by_our_file(book: Path) -> None:
    index = json.loads((book / "searchindex.js").read_text().removeprefix("Search.setIndex(").removesuffix(")"))
    page = index["docnames"].index("pages/ledger")
    for stem in ("relu", "patienc", "reproduc", "verdict"):
        assert page in (index["terms"][stem] if isinstance(index["terms"][stem], list) else [index["terms"][stem]])
    assert (ROOT / "book/_static/search_scorer.js").read_text() in (book / "_static/language_data.js").read_text()


def test_a_downloaded_notebook_begins_with_what_it_needs(book: Path) -> None:
    notebook = nbformat.read(book / "_sources/pages/found.ipynb", as_version=4)
    nbformat.validate(notebook)
    needs, look, title = notebook.cells[:3]
    assert "prismbook" in needs.source and title.source == "# Found"
    assert "http" not in needs.source + look.source  # the project has no address


@pytest.mark.parametrize("inside", [True, False])
def test_the_first_cell_finds_the_project_or_says_what_to_do(tmp_path: Path, inside: bool) -> None:
    cell = around.with_needs({"cells": []}, "")["cells"][1]["source"]
    at = tmp_path / "project/notebooks"
    at.mkdir(parents=True)
    for name in ("prismlib", "prismbook") if inside else ():
        (at.parent / name).mkdir()
        (at.parent / name / "__init__.py").touch()
    # as if neither were installed: a fresh interpreter that finds prismbook nowhere
    hide = (
        "import importlib.util as u\nreal = u.find_spec\nu.find_spec = lambda n: n != 'prismbook' and real(n) or None\n"
    )
    code = hide + cell + "\nprint(sys.path[0])"
    done = subprocess.run([sys.executable, "-c", code], cwd=at, capture_output=True, text=True, check=False)
    if inside:
        assert done.stdout.strip() == str(at.parent), done.stderr
    else:
        assert done.returncode == 1 and "put this notebook into the project's folder" in done.stderr


def test_an_address_of_the_repository_is_used_where_there_is_one() -> None:
    needs, look = around.with_needs({"cells": []}, "https://example.org/it")["cells"]
    assert "https://example.org/it" in needs["source"] and "ADDRESS = 'https://example.org/it'" in look["source"]


def test_a_page_of_tests_has_an_anchor_at_each_test_that_the_table_names() -> None:
    named = first_use.TEST.findall((ROOT / "book/paper_to_code.csv").read_text())
    assert named
    for file, name in set(named):
        page = first_use.page_of_tests(ROOT / "tests" / f"{file}.py", {name})
        assert page.count(f'id="{name}"') == 1, name


@pytest.mark.lint
def test_the_page_on_citing_says_what_the_citation_file_and_the_bibliography_say() -> None:
    cff = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    page = (ROOT / "book/cite.md").read_text()
    paper = (ROOT / "book/references.bib").read_text().split("\n}", 1)[0]
    for field in ("author", "title", "booktitle", "year", "doi"):
        [line] = re.findall(rf"^  {field} .*?(?=,?$)", paper, re.MULTILINE)
        assert line in page
    for value in (cff["title"], cff["version"], cff["authors"][0]["name"]):
        assert f"{{{value}}}" in page
    assert cff["preferred-citation"]["doi"] in page


@pytest.mark.lint
def test_the_page_of_proofs_counts_its_checks_and_folds_them() -> None:
    notebook = nbformat.read(ROOT / "notebooks/proofs.ipynb", as_version=4)
    checks = [
        cell for cell in notebook.cells if cell.cell_type == "code" and re.search(r"^\s*assert", cell.source, re.M)
    ]
    folded = [cell for cell in checks if "hide-input" in cell.metadata.get("tags", [])]
    prompts = [cell for cell in folded if cell.metadata["mystnb"]["code_prompt_show"] == "Checked. Show the code"]
    [said] = re.findall(r"(\d+) cells in all", notebook.cells[0].source)
    assert len(prompts) == int(said)
    for cell in checks:
        assert cell in folded or "def " in cell.source
