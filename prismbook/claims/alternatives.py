"""Every verdict under other rules: another margin, more than one seed needed, one protocol, one learning rate.

The statements are decided again from their own numbers, so no record is read for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from prismbook.claims.evidence import LEARNING_RATES, at_rate
from prismbook.claims.ledger import Row
from prismbook.claims.prism_claims import PROTOCOL_CASES
from prismbook.claims.statements import Statement, again, under, verdict_phrase
from prismbook.runs.reading import reading_once
from prismbook.runs.records import default_results, scan
from prismbook.tables.labels import DATASET_NAMES
from prismbook.tables.rules import MARGIN, Difference, Rules
from prismbook.tables.spreads import MEASURES as MEASURED
from prismbook.tables.spreads import Group, own_spreads, spread


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


@reading_once()
def verdicts(rows: Iterable[Row]) -> dict[tuple[str, str], list[str]]:
    """The verdict of each row that rests on runs under every one of :data:`ALTERNATIVES`, by claim and dataset.

    Args:
        rows: rows of :func:`prismbook.claims.ledger.ledger`.
    """
    return {
        (row.claim.id, row.dataset): [verdict_under(row, alternative.rules) for alternative in ALTERNATIVES]
        for row in rows
        if row.verdict != "not measured" and row.kind == "measurement"
    }


@reading_once()
def with_own_spreads(rows: Iterable[Row], results: Path | str | None = None) -> list[tuple[str, str, str]]:
    """The verdict of each measured row if every comparison had the larger of the pooled spread and its group's own.

    A group is one dataset, backbone and loss. A comparison across groups has the largest of theirs. Where a group has
    no spread of its own, the pooled one stays.

    Args:
        rows: rows of :func:`prismbook.claims.ledger.ledger`.
        results: folder of the records; None is the one of :func:`~prismbook.runs.records.default_results`.

    Returns:
        For each row its claim and dataset, the ledger's verdict, and the verdict with these spreads.
    """
    groups: dict[str, Group] = {
        record["id"]: (record["config"]["dataset"], record["config"]["backbone"], record["config"]["loss"])
        for record in scan(default_results() if results is None else results)[0]
    }
    own = own_spreads(results)

    def times(difference: Difference) -> float:
        measure = difference.measure if difference.measure in MEASURED else "ndcg"
        pooled = spread(measure, results=results)
        concerned = {groups[run] for run in difference.runs if run in groups}
        found = [own[group].of[measure].value for group in concerned if group in own]
        return 1.0 if pooled is None else max([1.0, *(value / pooled.value for value in found)])

    def wider(statement: Statement) -> Statement:
        basis = statement.basis
        if basis is None:
            return statement
        among = tuple(wider(each) for each in basis.among)
        difference = basis.difference
        if difference is not None:
            difference = replace(difference, seed_error=difference.seed_spread * times(difference))
        return again(replace(statement, basis=replace(basis, difference=difference, among=among)), Rules())

    return [
        (
            f"{row.claim.id}, {DATASET_NAMES[row.dataset]}" if row.dataset else row.claim.id,
            row.phrase,
            verdict_phrase([wider(each) for each in row.statements]),
        )
        for row in rows
        if row.verdict != "not measured"
    ]
