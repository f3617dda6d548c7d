"""Run records: the memory of the project. One small JSON file per run, found again by the run's identity.

``python -m prismbook records list results`` says what is stored, and what is wrong with it;
``python -m prismbook records why results A B`` says why two runs differ;
``python -m prismbook records take results FOLDER`` takes in the sound records of another folder.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from prismbook.plan.config import RunConfig, changed, run_id, semantics
from prismbook.runs.machine import is_shortage
from prismbook.runs.splits import RANDOM, identity_hashes
from prismbook.text import plural
from prismlib import datasets
from prismlib.data import Split
from prismlib.files import write_atomically
from prismlib.metrics import GROUPS

Record = dict[str, Any]


class RecordError(ValueError):
    """A file in a results folder that is not the record it should be."""


def default_results() -> Path:
    """The folder ``results`` beside the packages in a source tree, else in the current folder."""
    tree = Path(__file__).parents[2]
    return (tree if (tree / "pyproject.toml").exists() else Path()) / "results"


def folder(name: str) -> Path:
    """A folder that is named on a command line.

    Args:
        name: the folder's path. A leading ``~`` stands for the user's home.

    >>> folder("~/results") == Path.home() / "results"
    True
    """
    return Path(os.path.expanduser(name))  # not Path.expanduser, which raises where there is no such user


def record_path(results: Path | str, config: RunConfig, content_hash: str, split_hash: str | None = None) -> Path:
    """``results/<dataset>/<backbone>-<loss>-<run id>.json``.

    Args:
        results: the folder of the records.
        config: the run's configuration.
        content_hash: the content hash of its dataset.
        split_hash: the hash of a split of your own; None for the random split of ``config.split_seed``.
    """
    name = f"{config.backbone}-{config.loss}-{run_id(config, content_hash, split_hash)}.json"
    return Path(results) / config.dataset / name


def stored_path(results: Path | str, config: RunConfig, split: Split | None = None) -> Path:
    """The path of a run's record, or of the same run's on a GPU where only that is stored.

    So results of a CPU and of a GPU make one table. A run that is asked for on a GPU is that one alone.

    Args:
        results: the folder of the records.
        config: the run's configuration.
        split: a split of your own; None is the random split of ``config.split_seed``.

    Raises:
        ValueError: an unknown dataset, or a split that is not the configuration's.
    """
    hashes = identity_hashes(config, split)
    path = record_path(results, config, *hashes)
    if config.device == "cpu" and not path.exists():
        gpu_path = record_path(results, replace(config, device="cuda"), *hashes)
        return gpu_path if gpu_path.exists() else path
    return path


def load_record(path: Path) -> Record | None:
    """Read one record; None where there is no such file.

    Scores that a flag of the record calls wrong are NaN: see :func:`wrong_scores`.

    Args:
        path: where the record is.

    Raises:
        RecordError: the file is there but is not a record, or not the one that its name says. It is left as it is.
    """
    try:
        record = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise RecordError(f"{path} is not readable as a run record ({error}); move it away to train it again") from None
    try:
        config, data = RunConfig(**record["config"]), record["data"]
        # a split of your own has a name in its record, and its hash in the identity
        identity = run_id(config, data["content_hash"], data["split_hash"] if "split" in data else None)
        complete = {"id", "history", "best_epoch", "stopped_by", "norms"} <= record.keys()
        for part, name in (("history", "loss"), ("test", "dot"), ("seconds", "cpu"), ("environment", "device")):
            record[part][name]  # what every reader takes for granted
        flagged = wrong_scores(record)
        for ranking in flagged:
            _take_out(record, ranking)
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise RecordError(f"{path} is not a run record of this project ({error!r}); move it away") from None
    if (
        not complete
        or record["id"] != identity
        or record.get("semantics") != semantics(config)
        or identity not in path.name
    ):
        raise RecordError(f"{path} is incomplete or was written under another name or version; move it away")
    return record


def wrong_scores(record: Record) -> dict[str, str]:
    """Which scores of a record are known to be wrong: ``"dot"`` or ``"cosine"``, each with the reason.

    A record says so in its entry ``flags``. :func:`load_record` puts NaN in their place and :func:`load_scores` leaves
    them out, so that no table and no figure shows them.

    Args:
        record: a record, as loaded.

    Raises:
        ValueError: a flag for something else.

    >>> wrong_scores({"flags": {"cosine": "made before the cosine of short rows was mended"}})
    {'cosine': 'made before the cosine of short rows was mended'}
    >>> wrong_scores({})
    {}
    """
    flags: dict[str, str] = dict(record.get("flags", {}))
    if not flags.keys() <= {"dot", "cosine"}:
        raise ValueError(f"flags must be of dot or cosine, got {', '.join(flags)}")
    return flags


def _take_out(record: Record, ranking: str) -> None:
    """Put NaN in place of one ranking's scores."""
    curve = record["history"][f"validation_{ranking}"]
    record["history"][f"validation_{ranking}"] = [math.nan] * len(curve)
    record["test"][ranking] = dict.fromkeys(record["test"][ranking], math.nan)
    if "report" in record:
        record["report"] = {name: report for name, report in record["report"].items() if name != ranking}


def save_record(
    record: Record, path: Path, replace: bool = False, scores: Mapping[str, np.ndarray] | None = None
) -> None:
    """Write one record atomically: readers see no file or all of it, whatever is killed or full meanwhile.

    Args:
        record: the record, as :func:`prismbook.runs.run.run` gives it.
        path: where it belongs.
        replace: True replaces an existing file. False keeps it: another process finished the same run first.
        scores: the scores of each test user, for a compressed ``.npz`` beside the record. They are written before the
            record, so that a record that is there has its scores. Scores without a record are replaced.

    Raises:
        OSError: the file cannot be written, e.g. on a full disk. Nothing half-written is left.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if scores is not None and (replace or not path.exists()):
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **scores)  # type: ignore[arg-type]
        write_atomically(path.with_suffix(".npz"), buffer.getvalue())
    write_json(record, path, replace)


def write_json(content: Mapping[str, Any], path: Path, replace: bool) -> None:
    """Write one object atomically, small and readable: one line per top-level key and per key of a nested object.

    Args:
        content: what to write.
        path: the file; its folder is made where it is missing.
        replace: True replaces an existing file, False keeps it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{json.dumps(key)}: {_nested(value)}" for key, value in content.items()]
    write_atomically(path, ("{\n" + ",\n".join(lines) + "\n}\n").encode(), replace)


def load_scores(path: Path) -> dict[str, np.ndarray] | None:
    """The scores of each test user of the run whose record is at ``path``; None where they were not kept.

    Args:
        path: where the record is.

    Returns:
        ``user``: ids, int32, shape ``(users,)``. ``dot`` and ``cosine``: the parts of NDCG@20 by popularity group,
        float32, shape ``(users, 3)``. Scores that a flag of the record calls wrong are left out.

    Raises:
        RecordError: a file is there but is not readable.
    """
    flagged = _flags_at(path)
    try:
        with path.with_suffix(".npz").open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in ("user", "dot", "cosine") if name not in flagged}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise RecordError(f"{path.with_suffix('.npz')} is not readable as scores ({error}); move it away") from None


def _flags_at(path: Path) -> dict[str, str]:
    """The flags of the record at a path; none where the record is missing or damaged, which its readers report."""
    try:
        text = path.read_text()
        return wrong_scores(json.loads(text)) if '"flags"' in text else {}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def _nested(value: Any) -> str:
    if not isinstance(value, dict):
        return json.dumps(value, allow_nan=False)
    inner = (f"  {json.dumps(key)}: {json.dumps(inside, allow_nan=False)}" for key, inside in value.items())
    return "{\n" + ",\n".join(inner) + "\n}"


def scan(results: Path | str) -> tuple[list[Record], list[str]]:
    """All records below a folder, and one sentence per file that is not one.

    Args:
        results: the folder of the records.
    """
    records, problems = [], []
    for path in sorted(Path(results).glob("*/*.json")):
        try:
            record = load_record(path)
        except RecordError as error:
            problems.append(str(error))
        else:
            if record is not None:
                records.append(record)
    return records, problems


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
        curve = record["history"]["validation_dot"]
        if curve[record["best_epoch"]] != max(curve):
            return f"{path}: epoch {record['best_epoch']} is not the best of its validation curve"
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
        if (problem := fault(path)) is not None:
            problems.append(problem)
        elif not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            for name in (".npz", ".json"):  # a record that is there has its scores
                write_atomically(target.with_suffix(name), path.with_suffix(name).read_bytes())
            taken.append(path.name)
        elif target.read_bytes() != path.read_bytes():
            problems.append(f"{target} holds another outcome of the same run and stays; move it away to take {path}")
    return taken, problems


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
        print("\n".join([*map(line, records), *(f"problem: {problem}" for problem in problems)]))
        return 0
    matches = [[record for record in records if record["id"].startswith(prefix)] for prefix in given.ids]
    for prefix, matching in zip(given.ids, matches, strict=True):
        if len(matching) != 1:
            commands.error(f"{len(matching)} records of {given.results} have an id that begins with {prefix}")
    (first,), (second,) = matches
    print("\n".join(why(first, second)) or "they are the same run")
    return 0


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    parser = argparse.ArgumentParser(prog="prismbook records", description="Look into a folder of run records.")
    commands = parser.add_subparsers(dest="command", required=True)
    texts = {
        "list": "Print one line per record (its id, configuration, test NDCG@20 and flags), then the files that are"
        " not records.",
        "why": "Print one line per difference between the configurations, data, splits and versions of two runs.",
        "take": "Check the records of another folder and copy the sound ones. The exit status is 1 if one is not.",
    }
    for command, text in texts.items():
        sub = commands.add_parser(command, help=text, description=text)
        sub.add_argument("results", type=folder, help="The folder that holds the records, e.g. results.")
        if command == "why":
            sub.add_argument("ids", nargs=2, help="The ids of two runs, or the beginnings of their ids.")
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


Failure = dict[str, Any]


def failure_path(record: Path) -> Path:
    """Where the failure of a run is stored: under the name of its record, in a folder ``failed`` beside it.

    Args:
        record: where the run's record would be.
    """
    return record.parent / "failed" / record.name


def failure_of(
    config: RunConfig,
    content_hash: str,
    reason: str,
    epochs: int = 0,
    seconds: float = 0.0,
    split_hash: str | None = None,
) -> Failure:
    """What is stored of a run that failed, as of now.

    Args:
        config: the run's configuration.
        content_hash: the content hash of its dataset.
        reason: why it failed, in one line.
        epochs: how many epochs it began.
        seconds: how long it ran.
        split_hash: the hash of a split of your own; None for the random split of ``config.split_seed``.

    >>> failure_of(RunConfig("gowalla", "bpr"), "x", "the loss became nan")["reason"]
    'the loss became nan'
    """
    return {
        "id": run_id(config, content_hash, split_hash),
        "semantics": semantics(config),
        "config": vars(config).copy(),
        "reason": reason,
        "epochs": epochs,
        "seconds": round(seconds, 3),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def save_failure(failure: Failure, record: Path) -> None:
    """Write a failure atomically; a later one of the same run replaces it.

    Args:
        failure: what :func:`failure_of` gives, with further entries if wanted.
        record: where the run's record would be.
    """
    write_json(failure, failure_path(record), replace=True)


def load_failure(record: Path) -> Failure | None:
    """The failure of the run whose record would be at ``record``; None where it has not failed.

    A file that cannot be read is a failure too, with that as its reason. A shortage of the machine is none, so one that
    an earlier version stored is passed over and the run is tried again.

    Args:
        record: where the run's record would be.
    """
    path = failure_path(record)
    try:
        failure = {"epochs": 0, "seconds": 0.0, "reason": "no reason was stored", **json.loads(path.read_text())}
        return None if is_shortage(str(failure["reason"])) else failure
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        return {"epochs": 0, "seconds": 0.0, "reason": f"{path} is not readable ({error})"}
