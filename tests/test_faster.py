"""The extension that makes the book's build faster changes no page."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "book/_ext"))
import faster  # noqa: E402

MODULE = '"""A module."""\n\n\ndef one():\n    """One."""\n'
PAGE = "# Page {0}\n\n```{{eval-rst}}\n.. autofunction:: toy{0}.one\n```\n"


def built(folder: Path, *extensions: str) -> tuple[dict[str, str], Sphinx]:
    """The pages of a book with pages of source code at two depths, and the application that built them."""
    names = ["a", "b", "c"]
    source = folder / "source"
    (source / "deep").mkdir(parents=True)
    pages = "\n".join(f"deep/{name}" for name in names)
    (source / "index.md").write_text(f"# Start\n\n```{{toctree}}\n:hidden:\n{pages}\n```\n", encoding="utf-8")
    for name in names:
        (folder / f"toy{name}.py").write_text(MODULE, encoding="utf-8")
        (source / f"deep/{name}.md").write_text(PAGE.format(name), encoding="utf-8")
    with docutils_namespace():
        settings = {
            "extensions": ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.viewcode", *extensions],
            "html_theme": "sphinx_book_theme",
            "nb_execution_mode": "off",
        }
        places = source, None, folder / "html", folder / "doctrees"
        app = Sphinx(*places, "html", settings, None, warningiserror=True)
        app.build()
    return {
        path.relative_to(folder / "html").as_posix(): path.read_text(encoding="utf-8")
        for path in sorted((folder / "html").rglob("*.html"))
    }, app


def test_the_faster_build_has_the_same_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    share = faster.SharedContents.share

    def counted(self, app, page, template, context, doctree):
        make = context["toctree"]
        context["toctree"] = lambda **options: (asked.append(page), make(**options))[1]
        share(self, app, page, template, context, doctree)

    monkeypatch.setattr(faster.SharedContents, "share", counted)
    monkeypatch.syspath_prepend(tmp_path / "plain")
    plain, _ = built(tmp_path / "plain")
    quick, app = built(tmp_path / "quick", "faster")
    assert {"_modules/toya.html", "_modules/index.html", "deep/a.html", "index.html"} <= set(plain)
    assert quick == plain
    # three pages of source code and their list ask once, as do the index and the search, which are above them
    outside = [page for page in asked if page not in app.env.found_docs]
    assert sorted(page.count("/") for page in outside) == [0, 1]
    assert app.parallel == (os.cpu_count() or 1) + 1


def test_more_processes_that_were_asked_for_are_kept() -> None:
    class Asked:
        parallel = 1000

    faster.write_by_all_cores(Asked, None)
    assert Asked.parallel == 1000
