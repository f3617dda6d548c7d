"""The book's prose, generated sentences included: no sentence over 30 words, no word of the project as English."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
LONGEST = 30
#: Begins a list of verdicts, which has no sentences.
LISTED = "*The paper's claim"
#: Words that mean something in this project alone. Code and file names may have them.
OWN_WORDS = re.compile(r"\b(twins?|waited for|own parameters?|lean budget|wanted)\b", re.IGNORECASE)
PAGES = sorted(
    [*ROOT.glob("notebooks/*.ipynb"), *ROOT.glob("book/*.md"), *ROOT.glob("book/pages/*.ipynb")],
    key=lambda path: path.relative_to(ROOT).as_posix(),
)


#: What ends a clause, and what ends a sentence.
CLAUSE, SENTENCE = ".!?:;", ".!?"


def prose(markdown: str, ends: str = CLAUSE) -> Iterator[str]:
    """The sentences of a text, without tables, code, formulas, and the addresses of links."""
    for pattern, left in (
        (r"```.*?```", ""),
        (r"\$\$.*?\$\$", " X. "),
        (r"\$[^$]*\$", "X"),
        (r"\[([^\]]*)\]\([^)]*\)", r"\1"),
        (r"\{[a-z:]+\}`[^`]*`", "X"),
        (r"`[^`]*`", "X"),
        (r"<[^>]*>", " "),
    ):
        markdown = re.sub(pattern, left, markdown, flags=re.DOTALL)
    for block in re.split(r"\n\s*\n|\n(?=\s*[-*|:] |\s*\d+\. |#)", markdown):
        if not block.strip().startswith(("|", "#", ":::", "$$", "---", LISTED)):
            yield from re.split(rf"(?<=[{ends}])[\"*)]*\s+(?=\S)", " ".join(block.split()))


def texts(path: Path) -> Iterator[str]:
    """What a page says: its Markdown, and what its cells print as Markdown or as lists of HTML."""
    yield from written(path)
    for cell in cells_of(path):
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            yield "".join(data.get("text/markdown", ""))
            yield "\n\n".join(
                unescape(text) for text in re.findall(r"<li>(.*?)</li>", "".join(data.get("text/html", "")))
            )


def written(path: Path) -> Iterator[str]:
    """What is written by hand on a page, without what its cells print: lists of numbers are long."""
    if path.suffix == ".md":
        yield path.read_text(encoding="utf-8")
    for cell in cells_of(path):
        if cell["cell_type"] == "markdown":
            yield "".join(cell["source"])


def cells_of(path: Path) -> list[dict[str, Any]]:
    """The cells of a notebook; none of a page in Markdown."""
    return [] if path.suffix == ".md" else json.loads(path.read_text(encoding="utf-8"))["cells"]


def words(sentence: str) -> int:
    return len(re.findall(r"[A-Za-z][A-Za-z'-]*", sentence))


def check_sentences(path: Path) -> None:
    """Fail where a page has a sentence that is too long, or a word of the project as English."""
    sentences = [sentence for text in texts(path) for sentence in prose(text)]
    assert [sentence for sentence in sentences if words(sentence) > LONGEST] == []
    assert [sentence for sentence in sentences if OWN_WORDS.search(sentence)] == []


@pytest.mark.lint
@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_sentences_are_short_and_in_english(path: Path) -> None:
    check_sentences(path)


@pytest.mark.lint
@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_semicolon_or_colon_makes_a_written_sentence_long(path: Path) -> None:
    sentences = [sentence for text in written(path) for sentence in prose(text, SENTENCE)]
    assert [sentence for sentence in sentences if words(sentence) > LONGEST] == []


@pytest.mark.lint
def test_a_long_sentence_and_a_word_of_the_project_are_found() -> None:
    [long] = prose("It " + "goes on " * 15 + "here.")
    assert words(long) == 32
    assert list(prose("One. Two: three; four [five](six.md) `code`.")) == ["One.", "Two:", "three;", "four five X."]
    assert list(prose("One. Two: three; four.", SENTENCE)) == ["One.", "Two: three; four."]
    assert OWN_WORDS.search("its twin") and not OWN_WORDS.search("between")
