"""The verdicts under rules that the reader sets: a page of HTML with the numbers of the statements and the rules.

The rules in the browser are ``verdict_rules.js``. They are those of :func:`prismbook.claims.statements.under`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from prismbook.claims.ledger import Row, by_claim
from prismbook.claims.prism_claims import PROTOCOL_CASES
from prismbook.claims.statements import Basis, Statement
from prismbook.pages.ledger_tables import GROUPS
from prismbook.pages.marks import MARKS, RING
from prismbook.plan.experiments import PAPER_DATASETS
from prismbook.runs.reading import reading_once
from prismbook.tables.labels import DATASET_NAMES
from prismbook.tables.rules import FIRM, MARGIN, MAY_BE, MEASURES, WIDTH, Difference

#: The column of what is not on one dataset.
COMPUTED = "all, or computed"


def explorer(rows: Iterable[Row]) -> str:
    """The verdicts to move, as HTML that loads nothing.

    Args:
        rows: the ledger, claim by claim.

    >>> "JavaScript only" in explorer([])
    True
    """
    here = Path(__file__).parent
    page = (here / "verdict_explorer.html").read_text(encoding="utf-8")
    page = page.replace("RULES", (here / "verdict_rules.js").read_text(encoding="utf-8"), 1)
    # without "<" no text can end the element
    return page.replace("DATA", json.dumps(data(rows), allow_nan=False).replace("<", "\\u003c"), 1)


@reading_once()
def data(rows: Iterable[Row]) -> dict[str, Any]:
    """What the rules in the browser work on: the measured claims with the numbers of their statements, and the margins.

    Args:
        rows: the ledger, claim by claim.
    """
    sentences = {claim: text for group in GROUPS.values() for claim, text in group.items()}
    claims: list[dict[str, Any]] = []
    for claim_rows in by_claim(rows):
        measured = {
            DATASET_NAMES.get(row.dataset, COMPUTED): [_statement(each) for each in row.statements if _counts(each)]
            for row in claim_rows
            if row.verdict != "not measured"
        }
        if measured:
            claim = claim_rows[0].claim
            claims.append({"id": claim.id, "text": sentences[claim.id], "rows": measured})
    columns = [*(DATASET_NAMES[name] for name in PAPER_DATASETS), COMPUTED]
    return {
        "margin": MARGIN,
        "margins": {name: measure.margin for name, measure in MEASURES.items()},
        "width": WIDTH,
        "firm": FIRM,
        "mayBe": {word: sorted(may) for word, may in MAY_BE.items()},
        "marks": MARKS,
        "ring": RING,
        "cases": ["", *PROTOCOL_CASES.values()],
        "datasets": [name for name in columns if any(name in claim["rows"] for claim in claims)],
        "claims": claims,
    }


def _counts(statement: Statement) -> bool:
    """Whether a statement can make a verdict: a note does where its protocol alone counts."""
    return statement.role in ("core", "size") or bool(statement.role == "note" and statement.case)


def _statement(statement: Statement) -> dict[str, Any]:
    basis = None if statement.basis is None else _basis(statement.basis)
    kept = ("role", "case", "holds", "undecided", "provisional", "seeds")
    return {**{name: getattr(statement, name) for name in kept}, "basis": basis}


def _basis(basis: Basis) -> dict[str, Any]:
    return {
        "kind": basis.kind,
        "difference": None if basis.difference is None else _difference(basis.difference),
        "accepts": list(basis.accepts),
        "leftOpen": list(basis.left_open),
        "among": [_statement(each) for each in basis.among],
    }


def _difference(difference: Difference) -> dict[str, Any]:
    """A difference in numbers; an error that is not known is null."""
    error = difference.standard_error
    return {
        "centre": difference.centre,
        "error": error if math.isfinite(error) else None,
        "seeds": len(difference.by_seed),
        "measure": difference.measure,
        "leftOut": list(difference.left_out),
        "inDip": difference.in_dip,
    }
