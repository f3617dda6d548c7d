"""Docstrings as API pages, without what Sphinx would say of them and nobody wrote or needs."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx


def drop_mail_addresses(app: Sphinx, doctree: nodes.document) -> None:
    """NDCG@20 is no mail address, whatever reStructuredText takes it for."""
    for reference in list(doctree.findall(nodes.reference)):
        if reference.get("refuri", "").startswith("mailto:"):
            reference.replace_self(reference.children)


def own_signature(
    app: Sphinx, what: str, name: str, obj: object, options: Any, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """A class without a constructor of its own takes nothing; ``torch.nn.Module`` says that it takes anything.

    >>> own_signature(None, "class", "BPR", None, None, "(*args: Any, **kwargs: Any)", None)
    ('()', None)
    """
    nothing = what == "class" and signature == "(*args: Any, **kwargs: Any)"
    return "()" if nothing else signature, returns


def is_alias(app: Sphinx, what: str, name: str, obj: object, skip: bool, options: Any) -> bool | None:
    """Leave out the fields of a named tuple, "Alias for field number 0": the class's own docstring has them."""
    return True if str(getattr(obj, "__doc__", "")).startswith("Alias for field number") else None


def setup(app: Sphinx) -> dict[str, bool]:
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("doctree-read", drop_mail_addresses)
    app.connect("autodoc-process-signature", own_signature)
    app.connect("autodoc-skip-member", is_alias)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
