"""The commands of ``prismbook records``: look into a folder of run records, and take in the records of another folder.

``python -m prismbook records list results`` says what is stored, and what is wrong with it;
``python -m prismbook records why results A B`` says why two runs differ;
``python -m prismbook records take results FOLDER`` takes in the sound records of another folder.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from prismbook.plan.config import RunConfig, changed
from prismbook.runs.progress import through
from prismbook.runs.records import (
    Record,
    RecordError,
    check_level,
    folder,
    load_record,
    load_scores,
    planned,
    scan,
    wrong_scores,
)
from prismbook.runs.soundness import contradiction
from prismbook.runs.split_facts import Facts, Peers, against_facts, against_lengths, against_scores, facts_of_data
from prismbook.runs.splits import RANDOM
from prismbook.text import plural
from prismlib import datasets
from prismlib.files import write_atomically


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command of ``prismbook records`` and return its exit status.

    Args:
        arguments: the command and its arguments; None takes them from the command line.
    """
    commands = parser()
    given = commands.parse_args(arguments)
    for name in {given.results, getattr(given, "source", given.results)}:
        if not name.is_dir():
            commands.error(f"{name} is no folder")
        try:
            check_level(name)
        except ValueError as error:
            commands.error(str(error))
    if given.command == "take":
        if not any(given.source.glob("*/*.json")):
            commands.error(f"{given.source} holds no records: it must have one folder per dataset with .json files")
        taken, problems = take(given.source, given.results)
        print("\n".join([*(f"refused: {problem}" for problem in problems), f"{plural(len(taken), 'record')} taken"]))
        return 1 if problems else 0
    if given.command == "list":
        lines, problems = listed(given.results)
        print("\n".join([*lines, *(f"problem: {problem}" for problem in problems)]))
        return 1 if problems else 0
    records, _ = scan(given.results)
    matches = [[record for record in records if record["id"].startswith(prefix)] for prefix in (given.A, given.B)]
    for prefix, matching in zip((given.A, given.B), matches, strict=True):
        if len(matching) != 1:
            commands.error(
                f"{len(matching) or 'no'} records of {given.results} with an id that begins with {prefix};"
                f" `prismbook records list {given.results}` prints the ids"
            )
    (first,), (second,) = matches
    print("\n".join(why(first, second)) or "they are the same run")
    return 0


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    parser = argparse.ArgumentParser(prog="prismbook records", description="Look into a folder of run records.")
    commands = parser.add_subparsers(dest="command", required=True)
    texts = {
        "list": "Print one line per record (its id, configuration, test NDCG@20 and flags), then the files that are"
        " not records or contradict themselves. The exit status is 1 if there are any.",
        "why": "Print one line per difference between the configurations, data, splits and versions of two runs.",
        "take": "Check the records of another folder and copy the sound ones, also in place of damaged files of"
        " the same runs. The exit status is 1 if one is not sound.",
    }
    for command, text in texts.items():
        sub = commands.add_parser(command, help=text, description=text)
        sub.add_argument("results", type=folder, help="The folder that holds the records, e.g. results.")
        if command == "why":
            for name in ("A", "B"):
                sub.add_argument(name, help="The id of a run, or the beginning of its id.")
        if command == "take":
            sub.add_argument("source", type=folder, help="The other folder, which has one folder per dataset.")
    return parser


def listed(results: Path) -> tuple[list[str], list[str]]:
    """A line about each record of a folder, and one sentence about each file that is not a record, or not sound.

    The records of one split are compared with each other. No data are read.
    """
    lines, problems, peers = [], [], Peers(results)
    for path in through(sorted(results.glob("*/*.json"))):
        try:
            record = load_record(path)
            if record is not None:
                lines.append(line(record))
                problems += [problem] if (problem := unsound(path, record, peers.facts(record))) is not None else []
        except RecordError as error:
            problems.append(str(error))
    return lines, problems


def line(record: Record) -> str:
    """One line about a record: its id, its configuration, its test NDCG@20, and what is known to be wrong with it."""
    config = RunConfig(**record["config"])
    fields = {name: value for name, value in changed(config).items() if name not in ("dataset", "loss", "batch_size")}
    shown = " ".join(f"{name}={value}" for name, value in fields.items())
    split = f"  split {record['data']['split']}" if "split" in record["data"] else ""
    flags = "".join(f"  wrong by {ranking}: {reason}" for ranking, reason in wrong_scores(record).items())
    score = f"NDCG@20 {record['test']['dot']['ndcg']:.4f}  best epoch {record['best_epoch']:3}"
    return f"{record['id']}  {config.dataset:12} {config.loss:9} {score}  {shown}{split}{flags}".rstrip()


def why(first: Record, second: Record) -> list[str]:
    """Why two runs are not the same run: one line per difference of configuration, data, split or semantics."""
    fields = first["config"] | second["config"]
    pairs = {name: (first["config"].get(name), second["config"].get(name)) for name in fields}
    pairs["data"] = (first["data"]["content_hash"], second["data"]["content_hash"])
    pairs["split"] = (_split_of_your_own(first), _split_of_your_own(second))
    pairs["semantics"] = (first["semantics"], second["semantics"])
    return [f"{name}: {one!r} -> {other!r}" for name, (one, other) in pairs.items() if one != other]


def _split_of_your_own(record: Record) -> str:
    data = record["data"]
    return f"{data['split']} {data['split_hash'][:12]}" if "split" in data else RANDOM


def fault(path: Path, peers: Peers | None = None) -> str | None:
    """Why a record should not be taken in, as one sentence; None where it is sound.

    A sound record is in the folder of its dataset, under its own name, was trained on the dataset's own interactions
    and split, and has its users' scores beside it. What it says twice agrees, and what its split fixes is so: by the
    data where they are at hand, else by the other records of the split, if ``peers`` are given.
    """
    try:
        record = load_record(path)
        if record is None:
            return f"{path} is not there"
        facts = _facts_at_hand(record)
        if facts is None and peers is not None:
            facts = peers.facts(record)
        reason = _foreign(path, record) or unsound(path, record, facts)
        if reason is None and load_scores(path) is None:
            return f"{path.with_suffix('.npz')} is missing: bring the scores along with the record"
        return reason
    except (KeyError, IndexError, TypeError) as error:
        return f"{path} is not a run record of this project ({error!r})"
    except (ValueError, OSError) as error:  # RecordError, or a dataset that is unknown or damaged: they say so
        return str(error)


def _foreign(path: Path, record: Record) -> str | None:
    """Why a record belongs elsewhere: to another folder, or to other data."""
    config, data = RunConfig(**record["config"]), record["data"]
    card, content_hash = datasets.identity_card(config.dataset), datasets.content_hash(config.dataset)
    if data["content_hash"] != content_hash:
        return f"{path} was trained on other interactions than those of {config.dataset}"
    if path != (expected := planned(config, path.parents[1]).path):
        return f"{path} should be {expected}"
    if config.split_seed == 123 and card.split_hash is not None and data["split_hash"] != card.split_hash:
        return f"{path} was trained on another split of {config.dataset}"
    return None


def _facts_at_hand(record: Record) -> Facts | None:
    """What the record's split fixes by its data; None for a split of someone's own, and where they are not at hand."""
    config, data = RunConfig(**record["config"]), record["data"]
    if "split" in data:
        return None
    return facts_of_data(config.dataset, data["content_hash"], config.split_seed, config.drop_last_user)


def unsound(path: Path, record: Record, facts: Facts | None) -> str | None:
    """How a record contradicts itself, its users' scores or its split, as one sentence; None where it does not.

    Raises:
        RecordError: the scores are not readable.
    """
    if (reason := contradiction(record) or said_twice(path)) is not None:
        return f"{path}: {reason}"
    scores = load_scores(path)
    if facts is not None and (reason := against_facts(record, None, facts)) is not None:
        return f"{path}: {reason}"
    if scores is not None:
        reason = against_scores(record, scores) or against_lengths(record, path.with_suffix(".npz"))
        if reason is not None:
            return f"{path.with_suffix('.npz')} and {path.name} contradict each other: {reason}"
        if facts is not None and (reason := against_facts(record, scores, facts)) is not None:
            return f"{path.with_suffix('.npz')}: {reason}"
    return None


def said_twice(path: Path) -> str | None:
    """The entry that a record's file has twice, of which a reader sees the last alone, in words; None for none."""
    repeated: list[str] = []

    def note(entries: list[tuple[str, object]]) -> None:
        repeated.extend(name for name, count in Counter(name for name, _ in entries).items() if count > 1)

    json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=note)
    return f"it has the entry {repeated[0]} twice" if repeated else None


def take(source: Path, results: Path) -> tuple[list[str], list[str]]:
    """Copy the sound records of a folder, with their users' scores; what ``results`` holds stays, if it is sound.

    A file of ``results`` that is damaged is replaced by the file of a sound copy of the same run. Line ends make
    no difference, and a record is kept with LF.

    Returns:
        The names of the records that were copied or mended, and one sentence for each that was refused.

    Raises:
        ValueError: one of the folders is the folder of one dataset, or the folder around one of records.
    """
    for name in (source, results):
        check_level(name)
    taken, problems, peers = [], [], Peers(results, source)
    for path in sorted(source.glob("*/*.json")):
        target = results / path.relative_to(source)
        same_record = target.exists() and _content(target) == _content(path)
        if same_record and _content(target.with_suffix(".npz")) == _content(path.with_suffix(".npz")):
            continue
        here = fault(target, peers) if same_record else None
        if same_record and here is None:
            continue
        if (problem := fault(path, peers)) is not None:
            problems.append(problem if here is None else f"{here}; and {problem}")
        elif not target.exists() or same_record or _is_damaged(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            for ending in (".npz", ".json"):  # a record that is there has its scores
                content = _content(path.with_suffix(ending))
                assert content is not None  # since the record is sound
                write_atomically(target.with_suffix(ending), content)
            taken.append(path.name)
        else:
            problems.append(f"{target} holds another outcome of the same run and stays; move it away to take {path}")
    return taken, problems


def _content(path: Path) -> bytes | None:
    """What a file holds, text with LF; None where there is no such file."""
    if not path.exists():
        return None
    content = path.read_bytes()
    return content.replace(b"\r\n", b"\n") if path.suffix == ".json" else content


def _is_damaged(path: Path) -> bool:
    """Whether a record, apart from its scores, is none or contradicts itself."""
    try:
        record = load_record(path)
        return record is None or (contradiction(record) or said_twice(path)) is not None
    except RecordError:
        return True
