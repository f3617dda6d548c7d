"""What stands around the text of every page: the foot, words for the search, headings, downloads.

* The foot of each page leads to the page on citing this book and on reporting an error.
* A page is found by words that its text does not have, see ``KEYWORDS``.
* Headings that a cell prints become sections, so that the contents at the right list them.
* A downloaded notebook begins with what it needs, and a cell that looks for it.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

from docutils import nodes
from pages import load_pages
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.transforms import SphinxTransform

#: Words by which the search finds a page, besides those of its text.
KEYWORDS = {"pages/ledger": ["ReLU", "patience", "reproduced", "verdict"]}

#: The start of a downloaded notebook, and its first cell. ``ADDRESS`` is that of the repository, or empty.
NEEDS = """**This is the notebook of a page of a book, and it needs the book's project.** Its code is in
`prismlib` and `prismbook`, its records in `results/`. The next cell looks for the project's folder, here and in the
folders above. {}"""
FOUND_HERE = """Put the notebook into that folder; whoever gave you the book has it. The project is on no package
index: `prismlib` there is another project."""
FETCHED = "Where there is none, it fetches the project from {}."
LOOK = """# Added to the downloaded copy of this page: finds the project, and installs what is missing.
import importlib.util
import subprocess
import sys
from pathlib import Path

ADDRESS = {address!r}


def project():
    folders = (Path.cwd(), *Path.cwd().parents, Path.cwd() / "prism")
    return next((at for at in folders if (at / "prismbook").is_dir()), None)


if importlib.util.find_spec("prismbook") is None:
    if project() is None and ADDRESS:
        subprocess.run(["git", "clone", "--depth", "1", ADDRESS, "prism"], check=True)
    if project() is None:
        raise FileNotFoundError("put this notebook into the project's folder, the one with prismbook")
    sys.path.insert(0, str(project()))
needed = {needed}
missing = [name for name, module in needed.items() if importlib.util.find_spec(module) is None]
if missing:
    subprocess.run([sys.executable, "-m", "pip", "install", *missing], check=True)
"""
#: Packages that notebooks of the book import, and the module of each.
PACKAGES = {
    "torch": "torch",
    "numpy": "numpy",
    "pandas": "pandas",
    "matplotlib": "matplotlib",
    "pyyaml": "yaml",
    "filelock": "filelock",
    "pooch": "pooch",
    "tqdm": "tqdm",
    "sympy": "sympy",
}


def with_needs(notebook: dict[str, Any], address: str) -> dict[str, Any]:
    """A notebook that begins with what it needs.

    Args:
        notebook: the notebook as JSON has it.
        address: the repository's address; empty where it has none.

    >>> cells = with_needs({"cells": []}, "")["cells"]
    >>> [cell["cell_type"] for cell in cells], "https" in str(cells)
    (['markdown', 'code'], False)
    """
    needs = NEEDS.format(FETCHED.format(address) if address else FOUND_HERE)
    look = LOOK.format(address=address, needed=PACKAGES)
    new = {"nbformat": notebook.get("nbformat", 4), "nbformat_minor": notebook.get("nbformat_minor", 5)}
    ids = [{"id": f"needs-{i}"} if new["nbformat_minor"] >= 5 else {} for i in range(2)]
    first = [
        {"cell_type": "markdown", "metadata": {}, "source": needs, **ids[0]},
        {"cell_type": "code", "metadata": {}, "source": look, "outputs": [], "execution_count": None, **ids[1]},
    ]
    return {**notebook, "cells": [*first, *notebook["cells"]]}


def complete_downloads(app: Sphinx, exception: Exception | None) -> None:
    """Let the notebooks that the book offers to download begin with what they need.

    Args:
        app: the Sphinx application.
        exception: what ended the build, if anything did.
    """
    if exception is not None:
        return
    address = app.config.html_theme_options.get("repository_url") or ""
    for page in load_pages():
        path = Path(app.outdir) / "_sources" / page.output.removeprefix("book/")
        if path.is_file():
            notebook = with_needs(json.loads(path.read_text(encoding="utf-8")), address)
            path.write_text(json.dumps(notebook, ensure_ascii=False, indent=1), encoding="utf-8")


def add_foot(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Let a page's foot lead to the page on citing and on errors.

    Args:
        app: the Sphinx application.
        page: the page's name.
        template: the name of the HTML template.
        context: what the HTML template shows; the foot is added.
        doctree: the page's content.
    """
    if "cite" in app.env.found_docs:
        place = context["pathto"]("cite")
        context["theme_extra_footer"] = (
            f'<p><a href="{place}">How to cite this book, and how to report an error</a></p>'
        )


def add_keywords(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Let the search find a page by words that its text does not have.

    Args:
        app: the Sphinx application.
        doctree: the page, to which the words are added.
        page: its name.
    """
    if page in KEYWORDS:
        doctree.append(nodes.meta("", name="keywords", content=", ".join(KEYWORDS[page])))


class HeadingsOfCells(SphinxTransform):
    """Headings of level 2 that a cell prints become sections of the page.

    What a cell prints is inside the cell, where no section can begin. So the heading becomes a line in bold type, which
    the contents do not list. Here what the cell prints from its first heading on moves out of the cell.
    """

    default_priority = 400

    def apply(self, **kwargs: Any) -> None:
        for cell in list(self.document.findall(is_cell)):
            parent = cell.parent
            if isinstance(parent, nodes.section) and (sections := self.sections(cell)):
                # what follows the cell belongs to the last of the new sections
                after = parent.index(cell) + 1
                rest = list(
                    itertools.takewhile(lambda node: not isinstance(node, nodes.section), parent.children[after:])
                )
                for node in rest:
                    parent.remove(node)
                sections[-1].extend(rest)
                top = parent.parent is self.document
                home, at = (parent, after) if top else (parent.parent, parent.parent.index(parent) + 1)
                for offset, section in enumerate(sections):
                    home.insert(at + offset, section)

    def sections(self, cell: nodes.Element) -> list[nodes.section]:
        """Take the headings, and what is printed after the first of them, out of a cell."""
        made: list[nodes.section] = []
        for output in list(cell.findall(is_output)):
            box = next(output.findall(is_markdown), None)
            pieces = list(box.children) if box is not None and any(map(is_heading, box.children)) else [output]
            if pieces == [output] and not made:
                continue
            output.parent.remove(output)
            for node in pieces:
                if is_heading(node):
                    section = nodes.section(
                        "", nodes.title("", "", *node.children), ids=node["ids"], names=node["names"]
                    )
                    for name in node["ids"]:
                        self.document.ids[name] = section
                    made.append(section)
                elif made:
                    made[-1].append(nodes.container("", node, classes=["cell_output"]))
                else:
                    cell.append(nodes.container("", node, classes=["cell_output"]))
        return made


def is_output(node: nodes.Node) -> bool:
    return isinstance(node, nodes.container) and node.get("nb_element") == "mime_bundle"


def is_cell(node: nodes.Node) -> bool:
    return isinstance(node, nodes.container) and node.get("nb_element") == "cell_code"


def is_markdown(node: nodes.Node) -> bool:
    return isinstance(node, nodes.container) and node.get("mime_type") == "text/markdown"


def is_heading(node: nodes.Node) -> bool:
    return isinstance(node, nodes.rubric) and node.get("level") == 2


def order_results(app: Sphinx, config: Config) -> None:
    """Name the file that orders the results of the search in full: Sphinx takes its name from the working folder.

    Args:
        app: the Sphinx application.
        config: the configuration of the book, which is changed.
    """
    config.html_search_scorer = str(Path(__file__).parents[1] / "_static/search_scorer.js")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("config-inited", order_results)
    app.add_transform(HeadingsOfCells)
    app.connect("doctree-resolved", add_keywords)
    app.connect("html-page-context", add_foot)
    app.connect("build-finished", complete_downloads)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
