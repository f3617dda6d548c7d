"""Launch buttons that open a page's template in ``notebooks/``, since ``book/pages/`` is rendered and not committed."""

from __future__ import annotations

from typing import Any

from pages import load_pages
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ExtensionError

TEMPLATES = {page.output: page.template for page in load_pages()}


def on_template(url: str) -> str:
    """The address of a rendered page's template at the same launch service.

    Args:
        url: the address of the rendered page at a launch service, e.g. Colab.

    Raises:
        ExtensionError: the address ends in no page of book/pages.yml.

    >>> on_template("https://colab.research.google.com/github/me/it/blob/main/book/pages/speed.ipynb")
    'https://colab.research.google.com/github/me/it/blob/main/notebooks/speed.ipynb'
    """
    for output, template in TEMPLATES.items():
        if url.endswith(f"/{output}"):
            return url.removesuffix(output) + template
    raise ExtensionError(f"launch button to {url}, which is no page of book/pages.yml")


def aim_buttons(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Let a page's launch buttons open the page's template.

    Args:
        app: the Sphinx application.
        page: the page's name.
        template: the name of the HTML template.
        context: what the HTML template shows; its launch buttons are changed.
        doctree: the page's content.
    """
    for group in context.get("header_buttons", []):
        if group.get("label") == "launch-buttons":
            for button in group["buttons"]:
                button["url"] = on_template(button["url"])


def none_without_address(app: Sphinx, config: Config) -> None:
    """Leave out the launch buttons where _config.yml has no ``repository.url``: they need a public address.

    Args:
        app: the Sphinx application.
        config: the configuration of the book, which is changed.
    """
    if not config.html_theme_options.get("repository_url"):
        config.html_theme_options.pop("launch_buttons", None)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("config-inited", none_without_address)
    app.connect("html-page-context", aim_buttons, priority=900)  # after the theme has made the buttons
    return {"parallel_read_safe": True, "parallel_write_safe": True}
