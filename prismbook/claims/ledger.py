"""The claims ledger: C1 to C23 of the paper, each with its verdict and the records behind it.

Verdicts are computed here whenever the ledger is made. ``results/ledger.json`` keeps the verdicts that were last
accepted, with the records behind each. Where the two no longer agree, because a record is gone or says something else,
the ledger fails.

python -m prismbook ledger show      every claim and its verdicts
python -m prismbook ledger check     compare with results/ledger.json; exit status 1 where it disagrees
python -m prismbook ledger accept    write results/ledger.json anew, after looking at what changed
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from prismbook.claims.catalogue import CLAIMS, KINDS, Claim
from prismbook.claims.evidence import Evidence
from prismbook.claims.statements import Statement, by_case, core, is_provisional, outcome, verdict, verdict_phrase
from prismbook.runs.reading import reading_once
from prismbook.runs.records import (
    RecordError,
    add_results_option,
    default_results,
    load_record,
    load_scores,
    write_json,
)
from prismbook.tables.significance import per_user
from prismbook.text import plural


class LedgerError(RuntimeError):
    """The ledger does not say what it said when it was last accepted."""


@dataclass(frozen=True)
class Row:
    """One line of the ledger: a claim on a dataset.

    Attributes:
        claim: the claim.
        dataset: name of the dataset; empty where the claim is about none.
        statements: what the claim says on the dataset, judged.
        verdict: one word for them.
        run_ids: ids of the records behind them, sorted.
        evidence: what was judged, for other rules; None where the statements are all there is.
    """

    claim: Claim
    dataset: str
    statements: Sequence[Statement]
    verdict: str
    run_ids: tuple[str, ...]
    evidence: Evidence | None = None

    @property
    def kind(self) -> str:
        """What the row is about, one of :data:`prismbook.claims.catalogue.KINDS`."""
        return self.claim.kind if self.dataset or self.run_ids else "identity"

    @property
    def outcome(self) -> str:
        """How the claim came out, one of :data:`prismbook.claims.statements.OUTCOMES`, for marks and counts."""
        return outcome(self.statements)

    @property
    def headline(self) -> Statement | None:
        """The core statement whose number stands for the row, the first that is decided, else the first with a number.

        None where no core statement has a number.
        """
        numbered = [each for each in core(self.statements) if each.difference is not None]
        return next((each for each in numbered if each.holds is not None), numbered[0] if numbered else None)

    @property
    def provisional(self) -> bool:
        """Whether the verdict would be another without its provisional statements."""
        return is_provisional(self.statements)

    @property
    def phrase(self) -> str:
        """The verdict, with a note where it is provisional."""
        return verdict_phrase(self.statements)

    @property
    def cases(self) -> dict[str, str]:
        """The verdict under each protocol or setting; empty where the row is about one alone."""
        return by_case(self.statements)


def ledger(results: Path | str | None = None) -> list[Row]:
    """Every claim on every dataset that it speaks of.

    None of these datasets is generated: the verdicts are evidence about the paper.

    Args:
        results: folder of the records; None is the one of :func:`~prismbook.runs.records.default_results`.

    >>> [row.verdict for row in ledger("no folder") if row.claim.id == "C5"]
    ['reproduced']
    """
    folder = default_results() if results is None else Path(results)
    with reading_once():
        return [_row(claim, dataset, folder) for claim in CLAIMS for dataset in claim.datasets]


def _row(claim: Claim, dataset: str, results: Path) -> Row:
    evidence = claim.judged(dataset, results)
    statements = evidence.statements
    return Row(claim, dataset, statements, verdict(statements), tuple(sorted(evidence.run_ids)), evidence)


def row(claim_id: str, dataset: str = "", results: Path | str | None = None) -> Row:
    """The ledger's row of one claim on one dataset, computed without the others: what a page prints.

    Args:
        claim_id: the claim's name, e.g. ``"C1"``.
        dataset: name of the dataset; empty where the claim is about none.
        results: folder of the records; None is the one of :func:`~prismbook.runs.records.default_results`.

    Raises:
        ValueError: there is no such claim, or it does not speak of the dataset.

    >>> row("C5").verdict, row("C1", "gowalla", "no folder").verdict
    ('reproduced', 'not measured')
    """
    named = [claim for claim in CLAIMS if claim.id == claim_id]
    if not named:
        raise ValueError(f"claim_id must be one of {CLAIMS[0].id} to {CLAIMS[-1].id}, got {claim_id!r}")
    if dataset not in named[0].datasets:
        raise ValueError(f"dataset must be one of {', '.join(map(repr, named[0].datasets))}, got {dataset!r}")
    return _row(named[0], dataset, default_results() if results is None else Path(results))


def by_claim(rows: Iterable[Row]) -> list[list[Row]]:
    """The rows of each claim.

    Args:
        rows: the ledger, claim by claim.
    """
    return [list(claim_rows) for _, claim_rows in groupby(rows, key=lambda row: row.claim.id)]


def counts(rows: Iterable[Row]) -> dict[str, Counter[str]]:
    """How many claims have each outcome, apart for measurements, identities and dataset sizes.

    The outcome of a claim is the outcome of its core statements on all datasets on which any was measured.

    Args:
        rows: the ledger, claim by claim.
    """
    outcomes: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    for claim_rows in by_claim(rows):
        for kind in KINDS:
            concerned = [row for row in claim_rows if row.kind == kind]
            measured = [row for row in concerned if row.verdict != "not measured"]
            if concerned:
                statements = [statement for row in measured for statement in row.statements]
                outcomes[kind][outcome(statements)] += 1
    return outcomes


def spread(row: Row, results: Path | str | None = None) -> str:
    """How far off the scores of a row may be, as text.

    It is half the width of the 95 % interval over the test users of one run, the largest over the row's runs, with the
    number of seeds behind the core statements. Where none of them is a comparison it is the number of the records.
    Where all of them compare correlations, no score is concerned, and the number of seeds stands alone.

    Args:
        row: a line of the ledger.
        results: folder of the records; None is the one of :func:`~prismbook.runs.records.default_results`.

    >>> spread(Row(CLAIMS[0], "gowalla", [], "not measured", ()))
    'no run'
    """
    folder = (default_results() if results is None else Path(results)) / row.dataset
    halves, seeds = [], set()
    for run_id in row.run_ids:
        [path] = folder.glob(f"*-{run_id}.json")
        record, scores = load_record(path), load_scores(path)
        seeds.add(record["config"]["seed"] if record else None)
        if scores is not None:
            _, ndcg = per_user(scores)
            halves.append(1.96 * float(ndcg.std()) / len(ndcg) ** 0.5)
    if not seeds:
        return "no run"
    users = f"each NDCG@20 ± {max(halves):.4f} over users" if halves else "no interval: users' scores were not kept"
    compared = [each.difference for each in core(row.statements) if each.difference is not None]
    behind = [len(each.by_seed) for each in compared]
    fewest, most = (min(behind), max(behind)) if behind else (len(seeds), len(seeds))
    said = f"{f'{fewest} to ' if fewest < most else ''}{plural(most, 'seed')}"
    return said if compared and {each.measure for each in compared} == {"correlation"} else f"{users}, {said}"


def summary(rows: Iterable[Row]) -> dict[str, dict[str, Any]]:
    """What is kept of a ledger: verdict and records of all that was measured, by claim and dataset.

    Args:
        rows: lines of a ledger.
    """
    return {
        f"{row.claim.id} {row.dataset}".strip(): {
            "verdict": row.phrase,
            "cases": row.cases,
            "records": list(row.run_ids),
        }
        for row in rows
        if row.verdict != "not measured"
    }


def check(rows: Iterable[Row], results: Path | str | None = None) -> None:
    """Compare a ledger with what was last accepted.

    Args:
        rows: lines of a ledger.
        results: folder of ``ledger.json``; None is the one of :func:`~prismbook.runs.records.default_results`.

    Raises:
        LedgerError: they differ; the message has one line per claim and dataset, with the records that are gone or
            new. Or the accepted ledger cannot be read.
    """
    kept, current = accepted(results), summary(rows)
    lines = []
    for name in dict.fromkeys([*kept, *current]):
        old, new = (side.get(name, {"verdict": "not measured", "cases": {}, "records": []}) for side in (kept, current))
        if old != new:
            lines.append(_change(name, old, new))
    if lines:
        advice = "the ledger does not say what it said when it was accepted; restore the records, or look and accept it"
        raise LedgerError("\n".join([f"{advice} (python -m prismbook ledger accept)", *lines]))


def accepted(results: Path | str | None = None) -> dict[str, dict[str, Any]]:
    """The ledger that was last accepted, as :func:`summary` gives it.

    Args:
        results: folder of ``ledger.json``; None is the one of :func:`~prismbook.runs.records.default_results`.

    Raises:
        LedgerError: it cannot be read.

    >>> "C5" in accepted()
    True
    """
    return _accepted(_stored(results))


def _accepted(path: Path) -> dict[str, dict[str, Any]]:
    """The ledger that was last accepted, as :func:`summary` gives it."""
    try:
        entries = json.loads(path.read_text())
        return {
            name: {"verdict": row["verdict"], "cases": dict(row["cases"]), "records": list(row["records"])}
            for name, row in entries.items()
        }
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        fault = f"{path} is not readable as a ledger ({error!r})"
        raise LedgerError(f"{fault}; restore it, or run: python -m prismbook ledger accept") from None


def _change(name: str, old: dict[str, Any], new: dict[str, Any]) -> str:
    """How the entry of a claim and dataset changed, in one line."""
    line = f"{name}: {old['verdict']}, now {new['verdict']}"
    cases = {case: word for case, word in new["cases"].items() if old["cases"].get(case) != word}
    if cases:
        line += "".join(f", {case}: {word}" for case, word in cases.items())
    gone = sorted(set(old["records"]) - set(new["records"]))
    added = sorted(set(new["records"]) - set(old["records"]))
    if gone:
        line += f"; records gone: {', '.join(gone)}"
    if added:
        line += f"; new records: {', '.join(added)}"
    return line


def _stored(results: Path | str | None) -> Path:
    return (default_results() if results is None else Path(results)) / "ledger.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command of ``prismbook ledger`` and return its exit status.

    Args:
        arguments: the command and its arguments; None takes them from the command line.
    """
    given = parser().parse_args(arguments)
    try:
        if not given.results.is_dir():
            raise LedgerError(f"{given.results} is no folder; --results names the one with the run records")
        rows = ledger(given.results)
        if given.command == "check":
            check(rows, given.results)
        if given.command == "accept":
            write_json(summary(rows), _stored(given.results), replace=True)
    except (LedgerError, RecordError, OSError) as error:  # OSError: a dataset that is not there, a disk that is full
        print(error, file=sys.stderr)
        return 1
    for row in rows:
        print(f"{row.claim.id:4} {row.dataset:12} {row.phrase:28} {len(row.run_ids):3} records  {row.claim.text}")
    return 0


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    parser = argparse.ArgumentParser(prog="prismbook ledger", description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    texts = {
        "show": "Print every claim on every dataset, with its verdict and the number of its records.",
        "check": "Print the verdicts, and compare them with those of ledger.json in the folder of the records. The exit"
        " status is 1 where they differ.",
        "accept": "Print the verdicts and write them into ledger.json, after a look at what `check` says.",
    }
    for command, text in texts.items():
        sub = commands.add_parser(command, help=text, description=text)
        add_results_option(sub)
    return parser
