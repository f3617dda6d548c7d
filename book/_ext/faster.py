"""What makes the build faster and changes no page: contents that pages share, and writing by all cores."""

from __future__ import annotations

import os
from typing import Any

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment


class SharedContents:
    """The contents of the book beside the pages that they do not list, made once for each depth of folders.

    Sphinx copies the contents of the whole book for each page, and most pages are of source code. The contents do not
    list these, so none of their entries is the current one. They differ by where their links start.
    """

    def __init__(self) -> None:
        self.made: dict[tuple[Any, ...], str] = {}

    def share(self, app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
        """Let a page that the contents do not list take them from the first such page.

        Args:
            app: the Sphinx application.
            page: the page's name.
            template: the name of the HTML template.
            context: what the HTML template shows; the function that makes the contents is changed.
            doctree: the page's content.
        """
        if page in app.env.found_docs:
            return
        make = context["toctree"]

        def toctree(**options: Any) -> str:
            key = page.count("/"), *sorted(options.items())
            if key not in self.made:
                self.made[key] = make(**options)
            return self.made[key]

        context["toctree"] = toctree


def write_by_all_cores(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Let as many processes write pages as there are cores, for which Jupyter Book has no option.

    Pages are still read by one process, since not all extensions say that they allow more.

    Args:
        app: the Sphinx application. One of its processes hands out the pages.
        env: the build environment.

    Returns:
        The pages to be read again, which are none.
    """
    app.parallel = max(app.parallel, (os.cpu_count() or 1) + 1)
    return []


def setup(app: Sphinx) -> dict[str, bool]:
    # before the theme, which asks for the contents on the same event
    app.connect("html-page-context", SharedContents().share, priority=100)
    # after reading, which has no such number of processes
    app.connect("env-updated", write_by_all_cores)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
