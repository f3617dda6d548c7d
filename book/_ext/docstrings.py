"""Corrections of the API pages that Sphinx makes from docstrings."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx


def drop_mail_addresses(app: Sphinx, doctree: nodes.document) -> None:
    """Make plain text of links to mail addresses: reStructuredText takes NDCG@20 for one.

    Args:
        app: the Sphinx application.
        doctree: the page, which is changed.
    """
    for reference in list(doctree.findall(nodes.reference)):
        if reference.get("refuri", "").startswith("mailto:"):
            reference.replace_self(reference.children)


def constructor_signature(
    app: Sphinx, what: str, name: str, obj: object, options: Any, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """Show a class that inherits the constructor of ``torch.nn.Module`` without arguments: it takes none.

    Args:
        app: the Sphinx application.
        what: the kind of object, e.g. ``"class"``.
        name: the object's full name.
        obj: the object.
        options: the options of the autodoc directive.
        signature: the arguments that Sphinx would show.
        returns: the return annotation that Sphinx would show.

    >>> constructor_signature(None, "class", "BPR", None, None, "(*args: Any, **kwargs: Any)", None)
    ('()', None)
    """
    nothing = what == "class" and signature == "(*args: Any, **kwargs: Any)"
    return "()" if nothing else signature, returns


def is_alias(app: Sphinx, what: str, name: str, obj: object, skip: bool, options: Any) -> bool | None:
    """Leave out the fields of named tuples, "Alias for field number 0", which the docstring of the class explains.

    Args:
        app: the Sphinx application.
        what: the kind of object that has the member.
        name: the member's name.
        obj: the member.
        skip: whether Sphinx would leave it out.
        options: the options of the autodoc directive.
    """
    return True if str(getattr(obj, "__doc__", "")).startswith("Alias for field number") else None


def setup(app: Sphinx) -> dict[str, bool]:
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("doctree-read", drop_mail_addresses)
    app.connect("autodoc-process-signature", constructor_signature)
    app.connect("autodoc-skip-member", is_alias)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
