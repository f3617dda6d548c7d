"""Every verdict under other rules: another margin, more than one seed needed, one protocol, one learning rate.

The statements are decided again from their own numbers, so no record is read for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from prismbook.claims.evidence import LEARNING_RATES, at_rate
from prismbook.claims.ledger import Row
from prismbook.claims.prism_claims import PROTOCOL_CASES
from prismbook.claims.statements import under, verdict_phrase
from prismbook.tables.rules import MARGIN, Rules


@dataclass(frozen=True)
class Alternative:
    """One way of judging.

    Attributes:
        title: the heading of its column.
        rules: the rules.
    """

    title: str
    rules: Rules


#: The alternatives, of which the first is the ledger.
ALTERNATIVES = (
    Alternative(f"the ledger: margin {MARGIN:.1%}", Rules()),
    Alternative("margin 1%", Rules(margin=0.01)),
    Alternative("margin 5%", Rules(margin=0.05)),
    Alternative("one seed decides nothing", Rules(one_seed=False)),
    *(Alternative(f"{case} alone", Rules(case=case)) for case in PROTOCOL_CASES.values()),
    *(Alternative(f"{at_rate(rate)} alone", Rules(case=at_rate(rate))) for rate in LEARNING_RATES),
)


def verdict_under(row: Row, rules: Rules) -> str:
    """The verdict of a row under other rules; empty where the row has no such protocol or learning rate.

    Args:
        row: a row of :func:`prismbook.claims.ledger.ledger`.
        rules: the margin, whether one seed gives a word, and the protocol or setting that counts.
    """
    if row.evidence is None:
        return ""
    statements = under(row.statements, rules)
    return verdict_phrase(statements) if statements else ""


def verdicts(rows: Iterable[Row]) -> dict[tuple[str, str], list[str]]:
    """The verdict of each measured row under every one of :data:`ALTERNATIVES`, by claim and dataset.

    Args:
        rows: rows of :func:`prismbook.claims.ledger.ledger`.
    """
    return {
        (row.claim.id, row.dataset): [verdict_under(row, alternative.rules) for alternative in ALTERNATIVES]
        for row in rows
        if row.verdict != "not measured"
    }
