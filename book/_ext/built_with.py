"""Two tables on the build of the book, its packages and its times. Every build makes them anew.

``{built-with}``: the packages that pyproject.toml pins for the book, with the versions that are installed.
``{page-times}``: the seconds that each rendered page took, from the page itself.
"""

from __future__ import annotations

import json
import platform
import re
import tomllib
from importlib.metadata import version
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from pages import ROOT, load_pages
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

Rows = list[tuple[str, ...]]


def packages() -> Rows:
    """The version of Python, and of each package that pyproject.toml names for the book.

    >>> packages()[0][0], "papermill" in dict(packages())
    ('Python', True)
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = project["dependencies"] + [r for part in ("data", "book") for r in project["optional-dependencies"][part]]
    names = {re.split(r"[\[<>=]", requirement)[0] for requirement in wanted} - {project["name"]}
    return [("Python", platform.python_version()), *((name, version(name)) for name in sorted(names))]


def page_times(metadata: list[tuple[str, dict[str, Any]]]) -> Rows:
    """The seconds of each page, the longest first, and their sum.

    Args:
        metadata: for each page, its name and the metadata of its notebook, in which papermill leaves the seconds.

    >>> page_times([("a", {"papermill": {"duration": 2.0}}), ("b", {"papermill": {"duration": 3.04}}), ("c", {})])
    [('b', '3.0'), ('a', '2.0'), ('c', 'not known'), ('together', '5.0')]
    """
    seconds = {name: fields.get("papermill", {}).get("duration") for name, fields in metadata}
    order = sorted(seconds, key=lambda name: -(seconds[name] or 0))
    shown = [(name, "not known" if seconds[name] is None else f"{seconds[name]:.1f}") for name in order]
    return [*shown, ("together", f"{sum(value or 0 for value in seconds.values()):.1f}")]


class Table(SphinxDirective):
    """A table that is parsed as text of the page is, so that names of pages become links."""

    header: tuple[str, ...]

    def rows(self) -> Rows:
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        lines = [self.header, tuple("---" for _ in self.header), *self.rows()]
        text = StringList([f"| {' | '.join(line)} |" for line in lines], source="")
        node = nodes.container()
        self.state.nested_parse(text, self.content_offset, node)
        return node.children


class BuiltWith(Table):
    header = ("package", "version")

    def rows(self) -> Rows:
        return packages()


class PageTimes(Table):
    header = ("page", "seconds")

    def rows(self) -> Rows:
        outputs = [page.output for page in load_pages()]
        for output in outputs:  # this table is written again when a page is run again
            self.env.note_dependency(str(ROOT / output))
        metadata = [(output, json.loads((ROOT / output).read_text(encoding="utf-8"))["metadata"]) for output in outputs]
        table = page_times(metadata)
        return [(f"[]({name.removeprefix('book/')})" if name in outputs else name, time) for name, time in table]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("built-with", BuiltWith)
    app.add_directive("page-times", PageTimes)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
