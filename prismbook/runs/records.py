"""Run records: the memory of the project. One small JSON file a run, found again by the run's identity.

``python -m prismbook records list results`` says what is stored, and what is wrong with it;
``python -m prismbook records why results A B`` says why two runs differ;
``python -m prismbook records take results FOLDER`` takes in the sound records of another folder.
"""

from __future__ import annotations

import argparse
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from prismbook.plan.config import RunConfig, changed, run_id, semantics
from prismbook.text import plural
from prismlib import datasets
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
    """A folder that was named on a command line; ``~`` is the user's own.

    >>> folder("~/results") == Path.home() / "results"
    True
    """
    return Path(name).expanduser()


def record_path(results: Path | str, config: RunConfig, content_hash: str) -> Path:
    """``results/<dataset>/<backbone>-<loss>-<run id>.json``."""
    name = f"{config.backbone}-{config.loss}-{run_id(config, content_hash)}.json"
    return Path(results) / config.dataset / name


def stored_path(results: Path | str, config: RunConfig) -> Path:
    """The path of a run's own record; where a run on the CPU has none, that of the same run on a GPU if it has one.

    So results of both make one table. A run that is asked for on a GPU is that one alone.
    """
    content_hash = datasets.content_hash(config.dataset)
    own = record_path(results, config, content_hash)
    if config.device == "cpu" and not own.exists():
        other = record_path(results, replace(config, device="cuda"), content_hash)
        return other if other.exists() else own
    return own


def load_record(path: Path) -> Record | None:
    """Read one record; None where there is no such file.

    Raises:
        RecordError: the file is there but is not a record, or not the one its name says. It is left as it is.
    """
    try:
        record = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise RecordError(f"{path} is not readable as a run record ({error}); move it away to train it again") from None
    try:
        config = RunConfig(**record["config"])
        identity = run_id(config, record["data"]["content_hash"])
        complete = {"id", "history", "best_epoch", "stopped_by", "norms"} <= record.keys()
        for part, name in (("history", "loss"), ("test", "dot"), ("seconds", "cpu"), ("environment", "device")):
            record[part][name]  # what every reader takes for granted
    except (TypeError, KeyError, ValueError) as error:
        raise RecordError(f"{path} is not a run record of this project ({error!r}); move it away") from None
    if (
        not complete
        or record["id"] != identity
        or record.get("semantics") != semantics(config)
        or identity not in path.name
    ):
        raise RecordError(f"{path} is incomplete or was written under another name or version; move it away")
    return record


def save_record(
    record: Record, path: Path, replace: bool = False, scores: Mapping[str, np.ndarray] | None = None
) -> None:
    """Write one record atomically: readers see no file or all of it, whatever is killed or full meanwhile.

    An existing file is kept (another process finished the same run first) unless ``replace``. ``scores``, each user's
    own, go into a compressed ``.npz`` beside the record, before it: a record that is there has its scores. Scores
    without a record, of a run that was interrupted or removed, are replaced.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if scores is not None and (replace or not path.exists()):
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **scores)  # type: ignore[arg-type]
        write_atomically(path.with_suffix(".npz"), buffer.getvalue())
    write_json(record, path, replace)


def write_json(content: Mapping[str, Any], path: Path, replace: bool) -> None:
    """Write one object atomically: one line a top-level key, and one a key of what is nested, small and readable."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{json.dumps(key)}: {_nested(value)}" for key, value in content.items()]
    write_atomically(path, ("{\n" + ",\n".join(lines) + "\n}\n").encode(), replace)


def load_scores(path: Path) -> dict[str, np.ndarray] | None:
    """Each user's scores of the run whose record is at ``path``; None where they were not kept.

    ``user``: ids, int32; ``dot`` and ``cosine``: the parts of NDCG@20 by popularity group, float32 ``(users, 3)``.

    Raises:
        RecordError: the file is there but is not readable.
    """
    try:
        with path.with_suffix(".npz").open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in ("user", "dot", "cosine")}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise RecordError(f"{path.with_suffix('.npz')} is not readable as scores ({error}); move it away") from None


def _nested(value: Any) -> str:
    if not isinstance(value, dict):
        return json.dumps(value, allow_nan=False)
    inner = (f"  {json.dumps(key)}: {json.dumps(inside, allow_nan=False)}" for key, inside in value.items())
    return "{\n" + ",\n".join(inner) + "\n}"


def scan(results: Path | str) -> tuple[list[Record], list[str]]:
    """All records below a folder, and one sentence for each file that is not one."""
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
        for ranking in ("dot", "cosine"):
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
    """Why two runs are not the same run: one line for each difference of configuration, data or semantics."""
    pairs = {
        name: (first["config"].get(name), second["config"].get(name)) for name in first["config"] | second["config"]
    }
    pairs["data"] = (first["data"]["content_hash"], second["data"]["content_hash"])
    pairs["semantics"] = (first["semantics"], second["semantics"])
    return [f"{name}: {one!r} -> {other!r}" for name, (one, other) in pairs.items() if one != other]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="prismbook records", description="Look into a folder of run records.")
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("list", help="one line a record: id, configuration, test NDCG@20; then bad files")
    compare = commands.add_parser("why", help="why two runs differ")
    taking = commands.add_parser(
        "take", help="take in the sound records of another folder; exit status 1 if any is not"
    )
    for command in (listing, compare, taking):
        command.add_argument("results", type=folder, help="the folder, e.g. results")
    compare.add_argument("ids", nargs=2, help="two run ids, or the beginnings of them")
    taking.add_argument("source", type=folder, help="the folder they come from, with a folder for each dataset")
    given = parser.parse_args(arguments)

    for name in {given.results, getattr(given, "source", given.results)}:
        if not name.is_dir():
            parser.error(f"{name} is no folder")
    if given.command == "take":
        taken, problems = take(given.source, given.results)
        print("\n".join([*(f"refused: {problem}" for problem in problems), f"{plural(len(taken), 'record')} taken"]))
        return 1 if problems else 0
    records, problems = scan(given.results)
    if given.command == "list":
        for record in records:
            config = RunConfig(**record["config"])
            shown = ("dataset", "loss", "batch_size")
            own = " ".join(f"{k}={v}" for k, v in changed(config).items() if k not in shown)
            score, epoch = record["test"]["dot"]["ndcg"], record["best_epoch"]
            print(
                f"{record['id']}  {config.dataset:12} {config.loss:9} NDCG@20 {score:.4f}  best epoch {epoch:3}  {own}"
            )
        for problem in problems:
            print("problem:", problem)
        return 0
    chosen = []
    for prefix in given.ids:
        found = [record for record in records if record["id"].startswith(prefix)]
        if len(found) != 1:
            parser.error(f"{len(found)} records of {given.results} have an id that begins with {prefix}")
        chosen.append(found[0])
    print("\n".join(why(*chosen)) or "they are the same run")
    return 0


Failure = dict[str, Any]


def failure_path(record: Path) -> Path:
    """Where the failure of a run stands: under the name of its record, in a folder ``failed`` beside it."""
    return record.parent / "failed" / record.name


def failure_of(config: RunConfig, content_hash: str, reason: str, epochs: int = 0, seconds: float = 0.0) -> Failure:
    """What is stored of a run that failed, as of now.

    >>> failure_of(RunConfig("gowalla", "bpr"), "x", "out of memory")["reason"]
    'out of memory'
    """
    return {
        "id": run_id(config, content_hash),
        "semantics": semantics(config),
        "config": vars(config).copy(),
        "reason": reason,
        "epochs": epochs,
        "seconds": round(seconds, 3),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def save_failure(failure: Failure, record: Path) -> None:
    """Write a failure atomically; a later one of the same run replaces it."""
    write_json(failure, failure_path(record), replace=True)


def load_failure(record: Path) -> Failure | None:
    """The failure of the run whose record would be at ``record``; None where it has not failed.

    A file that cannot be read is a failure too, with that as its reason.
    """
    path = failure_path(record)
    try:
        failure = json.loads(path.read_text())
        return {"epochs": 0, "seconds": 0.0, "reason": "no reason was stored", **failure}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        return {"epochs": 0, "seconds": 0.0, "reason": f"{path} is not readable ({error})"}
