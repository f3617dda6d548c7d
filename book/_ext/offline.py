"""Pages that need no network: drop the scripts that Jupyter Book adds to every page and this book does not use."""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config


def wanted(script: Any) -> bool:
    """False for scripts of another host, and for Thebe (live code), which declares the same constant twice.

    >>> wanted("_static/scripts/bootstrap.js"), wanted("https://example.org/x.js")
    (True, False)
    """
    name = str(getattr(script, "filename", script) or "")
    body = str(getattr(script, "attributes", {}).get("body", ""))
    return not (name.startswith(("http:", "https:", "//")) or "thebe" in name or "THEBE" in body)


def drop_scripts(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    context["script_files"] = [script for script in context["script_files"] if wanted(script)]


def load_nothing_unasked(app: Sphinx, config: Config) -> None:
    """Jupyter Book loads every script found below _static on every page: MathJax, 1.2 MB, a second time."""
    config.html_js_files = []


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("config-inited", load_nothing_unasked)
    # after the extensions that add scripts on the same event
    app.connect("html-page-context", drop_scripts, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
