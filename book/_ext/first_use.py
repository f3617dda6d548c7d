"""Links that no author writes: to the glossary at the first use of a term, and from the paper's formulas to code."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from pages import ROOT
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer
from sphinx import addnodes
from sphinx.application import Sphinx

#: Terms that are also words of everyday English, which a link would explain wrongly.
EVERYDAY = {"run", "core", "degree", "sweep", "budget", "split", "negative", "seed", "popular, neutral, unpopular"}
#: Pages without such links: the glossary itself, what is looked up, and lists.
WITHOUT = re.compile(r"glossary|changelog|bibliography|paper_to_code|api/.*")
#: No link inside these: other links, code, formulas, tables, headings and captions.
CLOSED = (
    nodes.reference,
    nodes.FixedTextElement,
    nodes.literal,
    nodes.math,
    nodes.table,
    nodes.title,
    nodes.caption,
    nodes.rubric,
    addnodes.pending_xref,
)
TEST = re.compile(r"tests/(test_\w+)\.py::(\w+)")


def spellings(terms: list[str]) -> dict[str, str]:
    """The terms to link, by what a page writes for them, the longest first.

    Args:
        terms: the glossary's terms.

    >>> spellings(["run", "norm", "weight decay", "NDCG@K"])
    {'weight decay': 'weight decay', 'NDCG@20': 'NDCG@K', 'norm': 'norm'}
    """
    written = {("NDCG@20" if term == "NDCG@K" else term): term for term in terms if term not in EVERYDAY}
    return dict(sorted(written.items(), key=lambda pair: (-len(pair[0]), pair[0])))


def pattern(written: list[str]) -> re.Pattern[str]:
    """What finds a term: names as they are written, words in any case, and their plural.

    Args:
        written: the spellings, the longest first.

    >>> [found[0] for found in pattern(["weight decay", "norm", "SSM"]).finditer("Weight decay, normal norms; SSM")]
    ['Weight decay', 'norms', 'SSM']
    """
    each = [re.escape(word) if word != word.lower() else f"(?i:{re.escape(word)})s?" for word in written]
    return re.compile(rf"(?<![\w-])(?:{'|'.join(each)})(?![\w-])")


def link_terms(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Link the first use of each term in the running text of a page to the glossary.

    Args:
        app: the Sphinx application.
        doctree: the page, which is changed.
        page: its name.
    """
    known = app.env.domaindata["std"].get("terms", {})
    if WITHOUT.fullmatch(page) or not known or app.builder.name != "html":  # printed, all is one page
        return
    names = {name for kind, name in app.env.domaindata["std"]["objects"] if kind == "term"}
    words = spellings(sorted(names))
    by_case = {word.lower(): term for word, term in words.items()}
    finder, linked = pattern(list(words)), set()
    for text in [node for paragraph in doctree.findall(nodes.paragraph) for node in paragraph.findall(nodes.Text)]:
        parent = text.parent
        if inside(text):
            continue
        pieces: list[nodes.Node] = []
        done = 0
        for found in finder.finditer(str(text)):
            said = found[0].lower()
            term = by_case.get(said) or by_case[said.removesuffix("s")]
            target, anchor = known.get(term.lower(), (None, None))
            if target is None or anchor in linked:
                continue
            linked.add(anchor)
            address = f"{app.builder.get_relative_uri(page, target)}#{anchor}"
            link = nodes.reference("", found[0], internal=True, refuri=address, classes=["glossary-link"])
            pieces += [nodes.Text(str(text)[done : found.start()]), link]
            done = found.end()
        if pieces:
            parent.replace(text, [*pieces, nodes.Text(str(text)[done:])])


def inside(node: nodes.Node) -> bool:
    """Whether a text is in a part of the page that gets no links."""
    parent = node.parent
    while parent is not None:
        if isinstance(parent, CLOSED):
            return True
        parent = parent.parent
    return False


def link_code(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Add to each function of the table from the paper to the code a link to its source, and link each test to its own.

    Args:
        app: the Sphinx application.
        doctree: the page, which is changed.
        page: its name.
    """
    if page != "paper_to_code" or app.builder.name != "html":
        return
    for reference in list(doctree.findall(nodes.reference)):
        name = reference.get("reftitle", "")
        place = source_of(app, name)
        if place:
            address = app.builder.get_relative_uri(page, place[0]) + f"#{place[1]}"
            link = nodes.reference("", "[source]", internal=True, refuri=address, classes=["viewcode-link"])
            parent = reference.parent
            parent.insert(parent.index(reference) + 1, [nodes.Text(" "), link])
    for literal in list(doctree.findall(nodes.literal)):
        found = TEST.fullmatch(literal.astext())
        if found:
            address = f"{app.builder.get_relative_uri(page, f'_modules/tests/{found[1]}')}#{found[2]}"
            literal.replace_self(nodes.reference("", "", literal.deepcopy(), internal=True, refuri=address))


def source_of(app: Sphinx, name: str) -> tuple[str, str] | None:
    """The page and the anchor of the source of a function or class, where the book has it."""
    modules = getattr(app.env, "_viewcode_modules", {})
    for module in sorted(modules, key=len, reverse=True):
        if modules[module] and name.startswith(f"{module}."):
            rest = name.removeprefix(f"{module}.")
            if rest in modules[module][1]:
                return f"_modules/{module.replace('.', '/')}", rest
    return None


def page_of_tests(path: Path, names: set[str]) -> str:
    """A file of tests as HTML, with an anchor at each named test.

    Args:
        path: the file.
        names: its tests that are linked to.
    """
    lines = highlight(path.read_text(encoding="utf-8"), PythonLexer(), HtmlFormatter(nowrap=True)).splitlines()
    for number, line in enumerate(lines):
        found = re.match(r"def (\w+)", html.unescape(re.sub(r"<[^>]*>", "", line)))
        if found and found[1] in names:
            lines[number] = f'<span id="{found[1]}">{line}</span>'
    return f'<h1>Tests in tests/{path.name}</h1><div class="highlight"><pre>' + "\n".join(lines) + "</pre></div>"


def pages_of_tests(app: Sphinx) -> Any:
    """The pages of the tests that the table from the paper to the code names.

    Args:
        app: the Sphinx application.
    """
    if app.builder.name != "html" or "paper_to_code" not in app.env.found_docs:
        return
    named: dict[str, set[str]] = {}
    for file, name in TEST.findall((ROOT / "book/paper_to_code.csv").read_text(encoding="utf-8")):
        named.setdefault(file, set()).add(name)
    for file, names in named.items():
        path = ROOT / "tests" / f"{file}.py"
        yield f"_modules/tests/{file}", {"title": file, "body": page_of_tests(path, names)}, "page.html"


def setup(app: Sphinx) -> dict[str, bool]:
    app.setup_extension("sphinx.ext.viewcode")
    app.connect("doctree-resolved", link_terms)
    app.connect("doctree-resolved", link_code)
    app.connect("html-collect-pages", pages_of_tests)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
