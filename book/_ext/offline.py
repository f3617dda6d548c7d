"""Pages that need no network: scripts that Jupyter Book adds and this book does not use are dropped."""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config


def wanted(script: Any) -> bool:
    """Whether a page needs a script.

    Scripts of other hosts are not needed. Nor is Thebe, for live code, which also declares one constant twice.

    Args:
        script: its path or address, or Sphinx's object for it.

    >>> wanted("_static/scripts/bootstrap.js"), wanted("https://example.org/x.js")
    (True, False)
    """
    name = str(getattr(script, "filename", script) or "")
    body = str(getattr(script, "attributes", {}).get("body", ""))
    return not (name.startswith(("http:", "https:", "//")) or "thebe" in name or "THEBE" in body)


def drop_scripts(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Drop the scripts that a page does not need.

    Args:
        app: the Sphinx application.
        page: the page's name.
        template: the name of the HTML template.
        context: what the HTML template shows; its scripts are changed.
        doctree: the page's content.
    """
    context["script_files"] = [script for script in context["script_files"] if wanted(script)]


def load_nothing_unasked(app: Sphinx, config: Config) -> None:
    """Keep Jupyter Book from loading every script below _static on every page: MathJax, 1.2 MB, would load twice.

    Only the one that fits pages to a phone and to paper is loaded.

    Args:
        app: the Sphinx application.
        config: the configuration of the book, which is changed.
    """
    config.html_js_files = ["paper_and_phone.js"]


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("config-inited", load_nothing_unasked)
    # after the extensions that add scripts on the same event
    app.connect("html-page-context", drop_scripts, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
