"""The verdicts to move: the rules in the browser give the marks that the rules in Python give."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from prismbook.claims import ledger
from prismbook.claims.catalogue import CLAIMS
from prismbook.claims.ledger import Row
from prismbook.claims.statements import Basis, Statement, again, from_judgement, under, verdict, verdict_phrase
from prismbook.pages import verdict_explorer
from prismbook.pages.marks import mark
from prismbook.tables.rules import MAY_BE, Difference, Rules, judge

BY_ID = {claim.id: claim for claim in CLAIMS}
RULES_JS = Path(verdict_explorer.__file__).with_name("verdict_rules.js")
MARGINS = (0.005, 0.01, 0.025, 0.04, 0.1)
CASES = ("", "the paper's text", "the released code")
SETTINGS = [Rules(*each) for each in product(MARGINS, (True, False), CASES)]


def row(claim: str, statements: Sequence[Statement]) -> Row:
    return Row(BY_ID[claim], "gowalla", statements, verdict(statements), ())


def in_python(rows: Sequence[Row], rules: Rules) -> list[str]:
    judged = [under(each.statements, rules) for each in rows]
    return [mark(verdict_phrase(statements)) if statements else "" for statements in judged]


def in_node(rows: Sequence[Row]) -> list[list[str]]:
    """The marks of each row under each of SETTINGS, by the rules of the browser."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node here; test_browser.py has the same in Chromium")
    # one claim at a time, since rows of made-up claims may share a name
    cells = [next(iter(verdict_explorer.data([each])["claims"][0]["rows"].values())) for each in rows]
    settings = [[rules.margin, rules.one_seed, rules.case] for rules in SETTINGS]
    script = f"""{RULES_JS.read_text(encoding="utf-8")}
    const rules = prismVerdicts({json.dumps(verdict_explorer.data([]))}), cells = {json.dumps(cells)};
    const marks = {json.dumps(settings)}.map(s => cells.map(cell => rules.verdict(cell, rules.settings(...s))));
    console.log(JSON.stringify(marks));"""
    done = subprocess.run([node, "-"], input=script, capture_output=True, text=True, check=True)
    marks: list[list[str]] = json.loads(done.stdout)
    return marks


def one(centre: float, error: float, seeds: int = 3, accepts: Sequence[str] = ("better",), **more: Any) -> Statement:
    difference = Difference((centre,) * seeds, None, more.pop("measure", "ndcg"), error * seeds**0.5)
    made = from_judgement("a", judge(difference), accepts, difference)
    return Statement(**{**vars(made), **more})


def made_up_rows() -> list[Row]:
    """One row for each way in which statements are decided, at sizes on both sides of every rule."""
    sizes = [(centre, error) for centre in (-0.2, -0.02, 0.0, 0.012, 0.03, 0.06) for error in (0.001, 0.01, 0.1)]
    plain = [
        [one(*size, seeds, accepts)]
        for size in sizes
        for seeds in (1, 3)
        for accepts in (["worse"], ["equivalent", "better"])
    ]
    many = tuple(one(*size, 1 + place % 3) for place, size in enumerate(sizes))
    several = [
        [Statement("a", None, undecided=True, basis=Basis(kind, among=many[start : start + 3]))]
        for kind in ("weakest", "most")
        for start in range(0, len(many) - 2, 2)
    ]
    several = [[again(each, Rules()) for each in statements] for statements in several]
    held_open = one(
        0.06, 0.001, basis=Basis("one", Difference((0.06,) * 3, None, "ndcg", 0.002), ("better",), ("better",))
    )
    unknown = Difference((0.06,), None, "ndcg", float("inf"))
    left_out = [Difference((-0.17,), None, "ndcg", 0.01, in_dip=True)]
    left_out += [Difference((-0.17,), None, "ndcg", 0.01, left_out=each) for each in ((-0.06, -0.5), (-0.06, 0.2))]
    mixed = [
        *([from_judgement("a", judge(each), ["worse"], each)] for each in left_out),
        [one(0.06, 0.01, about="a"), one(0.02, 0.01, about="b"), Statement("c", False, role="size")],
        [one(0.06, 0.01, case=CASES[1]), one(0.06, 0.01, 1, case=CASES[2], role="note")],
        [Statement("a", True, seeds=1), Statement("b", False), Statement("c", None)],
        [Statement("a", True, provisional=True)],
        [held_open],
        [Statement("a", None, undecided=True, basis=Basis("one", unknown, ("better",)))],
        [one(0.3, 0.05, measure="ratio"), one(0.04, 0.01, measure="correlation")],
    ]
    return [
        row(claim.id, statements) for claim, statements in zip(CLAIMS * 9, [*plain, *several, *mixed], strict=False)
    ]


def test_the_browser_and_python_give_the_same_marks() -> None:
    rows = [each for each in made_up_rows() if each.verdict != "not measured"]
    assert len(rows) > 80
    marks = in_node(rows)
    assert marks == [in_python(rows, rules) for rules in SETTINGS]
    assert {each for row_marks in marks for each in row_marks} >= {"✓", "○✓", "✗", "○✗", "~", "?", ""}


def test_the_ledgers_rows_move_alike() -> None:
    rows = [ledger.row(claim, "movielens1m") for claim in ("C2", "C8", "C9", "C13", "C17", "C21")]
    marks = in_node(rows)
    assert marks == [in_python(rows, rules) for rules in SETTINGS]
    at_home = SETTINGS.index(Rules())
    assert marks[at_home] == [mark(each.phrase) for each in rows]
    assert any(each != marks[at_home] for each in marks)


@pytest.mark.parametrize("rules", [Rules(margin=0.01), Rules(margin=0.05), Rules(one_seed=False)], ids=str)
def test_statements_decided_again_are_those_decided_from_the_records(rules: Rules) -> None:
    for claim in ("C2", "C6", "C8", "C13", "C17", "C21"):
        found = ledger.row(claim, "movielens1m")
        assert found.evidence is not None
        assert verdict_phrase(under(found.statements, rules)) == verdict_phrase(found.evidence.under(rules)), claim


def test_what_is_embedded_cannot_end_its_element_and_loads_nothing() -> None:
    html = verdict_explorer.explorer([row("C8", [one(0.06, 0.01, case="</script>")])])
    [text] = re.findall(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)
    [claim] = json.loads(text)["claims"]
    assert claim["id"] == "C8" and claim["rows"]["Gowalla"][0]["case"] == "</script>"
    assert json.loads(text)["mayBe"].keys() == MAY_BE.keys()
    assert not re.search(r"\b(?:src|href)=|\bimport\b|fetch\(|@import|url\(|https?:", html)
    assert "<noscript>" in html and "@media print" in html
