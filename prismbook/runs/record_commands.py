"""The commands of ``prismbook records``: look into a folder of run records, and take in those of another folder.

``python -m prismbook records list results`` says what is stored, and what is wrong with it;
``python -m prismbook records why results A B`` says why two runs differ;
``python -m prismbook records take results FOLDER`` takes in the sound records of another folder.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from prismbook.plan.config import RunConfig, changed
from prismbook.runs.records import Record, folder, load_record, load_scores, record_path, scan, wrong_scores
from prismbook.runs.splits import RANDOM
from prismbook.text import plural
from prismlib import datasets
from prismlib.files import write_atomically
from prismlib.metrics import GROUPS


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
    if given.command == "take":
        taken, problems = take(given.source, given.results)
        print("\n".join([*(f"refused: {problem}" for problem in problems), f"{plural(len(taken), 'record')} taken"]))
        return 1 if problems else 0
    records, problems = scan(given.results)
    if given.command == "list":
        problems += [f"{record['id']}: {reason}" for record in records if (reason := contradiction(record))]
        print("\n".join([*map(line, records), *(f"problem: {problem}" for problem in problems)]))
        return 1 if problems else 0
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
        "take": "Check the records of another folder and copy the sound ones. The exit status is 1 if one is not.",
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


def line(record: Record) -> str:
    """One line about a record: its id, its configuration, its test NDCG@20, and what is known to be wrong with it.

    Args:
        record: a record, as loaded.
    """
    config = RunConfig(**record["config"])
    fields = {name: value for name, value in changed(config).items() if name not in ("dataset", "loss", "batch_size")}
    shown = " ".join(f"{name}={value}" for name, value in fields.items())
    split = f"  split {record['data']['split']}" if "split" in record["data"] else ""
    flags = "".join(f"  wrong by {ranking}: {reason}" for ranking, reason in wrong_scores(record).items())
    score = f"NDCG@20 {record['test']['dot']['ndcg']:.4f}  best epoch {record['best_epoch']:3}"
    return f"{record['id']}  {config.dataset:12} {config.loss:9} {score}  {shown}{split}{flags}".rstrip()


def why(first: Record, second: Record) -> list[str]:
    """Why two runs are not the same run: one line per difference of configuration, data, split or semantics.

    Args:
        first: a record.
        second: another record.
    """
    fields = first["config"] | second["config"]
    pairs = {name: (first["config"].get(name), second["config"].get(name)) for name in fields}
    pairs["data"] = (first["data"]["content_hash"], second["data"]["content_hash"])
    pairs["split"] = (_split_of_your_own(first), _split_of_your_own(second))
    pairs["semantics"] = (first["semantics"], second["semantics"])
    return [f"{name}: {one!r} -> {other!r}" for name, (one, other) in pairs.items() if one != other]


def _split_of_your_own(record: Record) -> str:
    data = record["data"]
    return f"{data['split']} {data['split_hash'][:12]}" if "split" in data else RANDOM


def contradiction(record: Record) -> str | None:
    """How a record contradicts itself, as one sentence; None where it does not.

    A record that does was changed after it was written.

    Args:
        record: a record, as loaded.
    """
    sums = [
        (f"test NDCG@20 by {ranking}", score["ndcg"], [score[name] for name in GROUPS])
        for ranking, score in record["test"].items()
    ] + [
        (f"{name}@{k} by {ranking}", scores[name][0], scores[name][1:])
        for ranking, report in record.get("report", {}).items()
        for k, scores in report.items()
        for name in ("ndcg", "recall", "mrr")  # the hit rate is no sum over the popularity groups
    ]
    for name, total, parts in sums:
        if abs(sum(parts) - total) > 1e-5:  # not where they are NaN, see load_record
            return f"its {name} is {total:.4f}, its parts sum to {sum(parts):.4f}"
    curve = record["history"]["validation_dot"]
    if any(score > curve[record["best_epoch"]] for score in curve):  # never where they are NaN
        return f"epoch {record['best_epoch']} is not the best of its validation curve"
    return None


def fault(path: Path) -> str | None:
    """Why a record should not be taken in, as one sentence; None where it is sound.

    A sound record is in the folder of its dataset, under its own name, was trained on the dataset's own interactions
    and split, kept the epoch that its validation curve says, and has its users' scores beside it, whose means are the
    test NDCG@20 that it reports.

    Args:
        path: the record's JSON file.
    """
    try:
        record, scores = load_record(path), load_scores(path)
        if record is None:
            return f"{path} is not there"
        config, data = RunConfig(**record["config"]), record["data"]
        card, content_hash = datasets.identity_card(config.dataset), datasets.content_hash(config.dataset)
        if data["content_hash"] != content_hash:
            return f"{path} was trained on other interactions than those of {config.dataset}"
        if path != (expected := record_path(path.parents[1], config, content_hash)):
            return f"{path} should be {expected}"
        if config.split_seed == 123 and card.split_hash is not None and data["split_hash"] != card.split_hash:
            return f"{path} was trained on another split of {config.dataset}"
        if (reason := contradiction(record)) is not None:
            return f"{path}: {reason}"
        if scores is None:
            return f"{path.with_suffix('.npz')} is missing: bring the scores along with the record"
        for ranking in {"dot", "cosine"} - wrong_scores(record).keys():
            means = scores[ranking].mean(0, dtype=np.float64)
            reported = [record["test"][ranking][name] for name in GROUPS]
            if not np.allclose(means, reported, rtol=0, atol=1e-6):  # nor where a score is not finite
                return f"{path.with_suffix('.npz')}: the parts by {ranking} are {means}, its record says {reported}"
    except (KeyError, IndexError, TypeError) as error:
        return f"{path} is not a run record of this project ({error!r})"
    except (ValueError, OSError) as error:  # RecordError, or a dataset that is unknown or not at hand: they say so
        return str(error)
    return None


def take(source: Path, results: Path) -> tuple[list[str], list[str]]:
    """Copy the sound records of a folder, with their users' scores, as they are; what ``results`` holds stays.

    Args:
        source: a folder of the same form as ``results``: ``<dataset>/<name>.json`` and ``.npz``.
        results: the folder of run records that takes them in.

    Returns:
        The names of the records that were copied, and one sentence for each that was refused.
    """
    taken, problems = [], []
    for path in sorted(source.glob("*/*.json")):
        target = results / path.relative_to(source)
        if target.exists() and target.read_bytes() == path.read_bytes():
            continue
        if (problem := fault(path)) is not None:
            problems.append(problem)
        elif not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            for name in (".npz", ".json"):  # a record that is there has its scores
                write_atomically(target.with_suffix(name), path.with_suffix(name).read_bytes())
            taken.append(path.name)
        else:
            problems.append(f"{target} holds another outcome of the same run and stays; move it away to take {path}")
    return taken, problems
