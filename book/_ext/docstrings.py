"""Docstrings as API pages: two things that Sphinx would say of them and that are not so."""

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


def setup(app: Sphinx) -> dict[str, bool]:
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("doctree-read", drop_mail_addresses)
    app.connect("autodoc-process-signature", own_signature)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
