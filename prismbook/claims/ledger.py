"""The claims ledger: C1 to C20 of the paper, each with its verdict and the records behind it.

Verdicts are computed here, whenever the ledger is made. ``results/ledger.json`` keeps what they came to and from which
records; where that no longer agrees, because a record is gone or says something else, the ledger fails.

python -m prismbook ledger show      every claim and its verdicts
python -m prismbook ledger check     compare with results/ledger.json; exit status 1 where it disagrees
python -m prismbook ledger accept    write results/ledger.json anew, after looking at what changed
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prismbook.claims.catalogue import CLAIMS, Claim
from prismbook.claims.statements import Statement, verdict
from prismbook.runs.records import RecordError, default_results, folder, load_record, load_scores, write_json
from prismbook.tables.significance import per_user


class LedgerError(RuntimeError):
    """The ledger does not say what it said when it was last accepted."""


@dataclass(frozen=True)
class Row:
    """One line of the ledger: a claim on a dataset."""

    claim: Claim
    dataset: str
    statements: Sequence[Statement]
    verdict: str
    runs: tuple[str, ...]


def ledger(results: Path | str | None = None) -> list[Row]:
    """Every claim on every dataset it speaks of.

    >>> [row.verdict for row in ledger() if row.claim.id == "C5"]
    ['reproduced']
    """
    folder = default_results() if results is None else Path(results)
    rows = []
    for claim in CLAIMS:
        for dataset in claim.datasets:
            found = claim.judged(dataset, folder)
            rows.append(Row(claim, dataset, found.statements, verdict(found.statements), tuple(sorted(found.runs))))
    return rows


def spread(row: Row, results: Path | str | None = None) -> str:
    """How far off the scores of a row may be: 95 % over the test users of a run, and the number of its seeds.

    >>> spread(Row(CLAIMS[0], "gowalla", [], "in part", ()))
    'no run'
    """
    folder = (default_results() if results is None else Path(results)) / row.dataset
    halves, seeds = [], set()
    for run in row.runs:
        [path] = folder.glob(f"*-{run}.json")
        record, scores = load_record(path), load_scores(path)
        seeds.add(record["config"]["seed"] if record else None)
        if scores is not None:
            _, each = per_user(scores)
            halves.append(1.96 * float(each.std()) / len(each) ** 0.5)
    if not seeds:
        return "no run"
    users = f"each NDCG@20 ± {max(halves):.4f} over users" if halves else "no interval: users' scores were not kept"
    return f"{users}, {len(seeds)} seed{'s' * (len(seeds) > 1)}"


def summary(rows: Iterable[Row]) -> dict[str, dict[str, Any]]:
    """What is kept of a ledger: verdict and records of all that was measured, by claim and dataset."""
    return {
        f"{row.claim.id} {row.dataset}".strip(): {"verdict": row.verdict, "records": list(row.runs)}
        for row in rows
        if row.verdict != "not measured"
    }


def check(rows: Iterable[Row], results: Path | str | None = None) -> None:
    """Compare a ledger with what was last accepted.

    Raises:
        LedgerError: they differ; the message has one line for each claim, with the records that are gone or new.
    """
    path = _stored(results)
    try:
        stored = json.loads(path.read_text())
        then = {name: {"verdict": old["verdict"], "records": list(old["records"])} for name, old in stored.items()}
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        told = f"{path} is not readable as a ledger ({error!r})"
        raise LedgerError(f"{told}; restore it, or run: python -m prismbook ledger accept") from None
    now, lines = summary(rows), []
    for name in dict.fromkeys([*then, *now]):
        old, new = ({"verdict": "not measured", "records": []} | side.get(name, {}) for side in (then, now))
        if old != new:
            gone = sorted(set(old["records"]) - set(new["records"]))
            more = sorted(set(new["records"]) - set(old["records"]))
            line = f"{name}: {old['verdict']}, now {new['verdict']}"
            line += f"; records gone: {', '.join(gone)}" * bool(gone) + f"; new records: {', '.join(more)}" * bool(more)
            lines.append(line)
    if lines:
        told = "the ledger does not say what it said when it was accepted; restore the records, or look and accept it"
        raise LedgerError("\n".join([f"{told} (python -m prismbook ledger accept)", *lines]))


def _stored(results: Path | str | None) -> Path:
    return (default_results() if results is None else Path(results)) / "ledger.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="prismbook ledger", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "command",
        choices=["show", "check", "accept"],
        help="show every claim and its verdicts; check them against results/ledger.json, with exit status 1 where they "
        "differ; accept them into that file, after a look at what has changed",
    )
    parser.add_argument("--results", type=folder, default=default_results(), help="folder; default: %(default)s")
    given = parser.parse_args(arguments)
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
        print(f"{row.claim.id:4} {row.dataset:12} {row.verdict:15} {len(row.runs):3} records  {row.claim.text}")
    return 0
