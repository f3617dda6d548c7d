"""Verdicts under other rules: judged again from the same evidence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from prismbook.claims import alternatives
from prismbook.claims.alternatives import ALTERNATIVES, verdict_under, verdicts, with_own_spreads
from prismbook.claims.catalogue import CLAIMS
from prismbook.claims.evidence import Evidence, known
from prismbook.claims.ledger import Row, counts
from prismbook.claims.statements import Statement, from_judgement, verdict
from prismbook.pages import verdict_tables
from prismbook.tables.rules import Difference, Rules, judge
from prismbook.tables.spreads import OwnSpreads, Spread

BY_ID = {claim.id: claim for claim in CLAIMS}


def row(evidence: Evidence, claim: str = "C8", dataset: str = "gowalla") -> Row:
    return Row(BY_ID[claim], dataset, evidence.statements, verdict(evidence.statements), (), evidence)


def better(difference: Difference, case: str = "") -> Evidence:
    def judged(rules: Rules) -> list[Statement]:
        return [replace(from_judgement("a", judge(difference, rules), ("better",), difference), case=case)]

    return Evidence(judged)


def test_the_margin_is_that_of_the_alternative() -> None:
    sure = row(better(Difference((0.03, 0.03, 0.03), None, "ndcg", 0.005)))
    assert [verdict_under(sure, Rules(margin)) for margin in (0.01, 0.025, 0.05)] == [
        verdict([Statement("a", True)]),
        verdict([Statement("a", True)]),
        verdict([Statement("a", False)]),  # equivalent, by so wide a margin
    ]


def test_one_seed_may_decide_nothing() -> None:
    one = row(better(Difference((0.1,), None, "ndcg", 0.01)))
    assert verdict_under(one, Rules()) == "reproduced"
    assert verdict_under(one, Rules(one_seed=False)) == "open (0 of 1 decided)"
    # also where no difference was judged
    typed = row(known([Statement("a", False, seeds=1), Statement("b", True)]))
    assert verdict_under(typed, Rules()) == "for b, not for a"
    assert verdict_under(typed, Rules(one_seed=False)) == "open (1 of 2 decided)"
    assert typed.evidence is not None and typed.evidence.under(Rules(one_seed=False))[0].undecided


def test_a_protocol_that_a_claim_does_not_have_leaves_its_cell_empty() -> None:
    cases = ("the paper's text", "the released code")
    both = row(known([Statement("a", True, case=cases[0]), Statement("a", False, case=cases[1])]))
    assert [verdict_under(both, Rules(case=case)) for case in cases] == ["reproduced", "not reproduced"]
    assert verdict_under(both, Rules(case="learning rate 0.01")) == ""
    # a note is judged where its case alone counts
    noted = row(known([Statement("a", True, case=cases[0]), Statement("a", False, case=cases[1], role="note")]))
    assert [verdict_under(noted, Rules(case=case)) for case in ("", *cases)] == [
        "reproduced",
        "reproduced",
        "not reproduced",
    ]
    assert verdict_under(replace(both, evidence=None), Rules()) == ""


def test_the_table_names_what_changes() -> None:
    rows = [
        row(better(Difference((0.03, 0.03, 0.03), None, "ndcg", 0.005))),
        row(known([Statement("a", True)]), "C4", ""),
        row(known([Statement("a", None)]), "C9"),  # not measured: no line
    ]
    assert list(verdicts(rows)) == [("C8", "gowalla")]  # a claim on formulas has no rule that could move it
    table = verdict_tables.under_alternatives(rows)
    assert list(table.index) == ["C8, Gowalla"]
    # what is said of no claim is left out
    assert list(table.columns) == [each.title for each in ALTERNATIVES[:4]]
    assert table.loc["C8, Gowalla"].tolist() == ["reproduced", "=", "not reproduced", "="]
    lines = verdict_tables.changed(table).splitlines()
    assert lines[1] == "- margin 5%: 1 of 1 marks differ"


def test_claims_are_counted_once_and_by_kind() -> None:
    rows = [
        row(known([Statement("a", True)])),
        row(known([Statement("a", False)]), dataset="yelp2018"),
        row(known([Statement("a", None)]), dataset="amazonbook"),  # not measured there: does not count
        row(known([Statement("a", True, provisional=True)]), "C9"),
        row(known([Statement("a", True)]), "C17", ""),
        row(known([Statement("a", False)]), "C17"),
        row(known([Statement("a", True)]), "C20"),
        row(known([Statement("a", None)]), "C10"),
    ]
    assert counts(rows) == {
        "measurement": {"for some, not for others": 1, "reproduced": 1, "not reproduced": 1, "not measured": 1},
        "identity": {"reproduced": 1},
        "dataset size": {"reproduced": 1},
    }


@pytest.mark.parametrize(("own", "then"), [(0.005, "reproduced"), (0.1, "open (0 of 1 decided)")])
def test_a_group_that_seeds_move_more_has_wider_intervals(monkeypatch: Any, own: float, then: str) -> None:
    """The page says what would follow if the spread that is carried to every group were not carried."""
    group = ("gowalla", "mf", "ssm")
    config = dict(zip(("dataset", "backbone", "loss"), group, strict=True))
    monkeypatch.setattr(alternatives, "scan", lambda results: ([{"id": "a", "config": config}], []))
    monkeypatch.setattr(alternatives, "own_spreads", lambda results: {group: OwnSpreads(2, {"ndcg": Spread(own, 1)})})
    monkeypatch.setattr(alternatives, "spread", lambda measure, results: Spread(0.01, 9))
    sure = row(better(Difference((0.05,), None, "ndcg", 0.01, ("a",))))
    other = row(better(Difference((0.05,), None, "ndcg", 0.01, ("of another group",))))
    judged = with_own_spreads([sure, other], "any folder")
    assert judged == [("C8, Gowalla", "reproduced", then), ("C8, Gowalla", "reproduced", "reproduced")]
