"""Run records: the memory of the project. One small JSON file per run, found again by the run's identity."""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import re
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from prismbook.plan.config import RunConfig, run_id, semantics
from prismbook.runs.reading import kept
from prismbook.runs.splits import RANDOM, check_split, load_split, ordered
from prismlib import datasets
from prismlib.data import Split
from prismlib.files import write_atomically

Record = dict[str, Any]


class RecordError(ValueError):
    """A file in a results folder that is not the record it should be."""


def default_results() -> Path:
    """The folder ``results`` beside the packages in a source tree, else in the current folder."""
    tree = Path(__file__).parents[2]
    return (tree if (tree / "pyproject.toml").exists() else Path()) / "results"


def folder(name: str) -> Path:
    """A folder that is named on a command line.

    >>> folder("~/results") == Path.home() / "results"
    True
    """
    return Path(os.path.expanduser(name))  # not Path.expanduser, which raises where there is no such user


#: The name of a record's file, from backbone, loss and run id.
RECORD_NAME = re.compile(r"(mf|nonlinear-mf|lightgcn)-[a-z]+-[0-9a-f]{12}\.json")


def check_level(results: Path) -> None:
    """Raise a ValueError where a folder is not a folder of records, but one inside of such a folder, or around one.

    Args:
        results: the folder, which has, or will have, one folder per dataset.

    >>> import tempfile
    >>> results = Path(tempfile.mkdtemp())
    >>> check_level(results)  # empty as yet
    >>> (results / "gowalla").mkdir()
    >>> _ = (results / "gowalla" / "mf-bpr-0123456789ab.json").write_text("{}")
    >>> check_level(results)
    >>> check_level(results / "gowalla")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: ...gowalla is the folder of one dataset: name the folder that it is in, ...
    """

    def has_records(folder: Path) -> bool:
        return folder.is_dir() and any(RECORD_NAME.fullmatch(path.name) for path in folder.glob("*.json"))

    if has_records(results):
        where = results.parent if results.parent.name else results.resolve().parent  # "." has no parent by its name
        raise ValueError(f"{results} is the folder of one dataset: name the folder that it is in, {where}")
    inside = [folder for folder in sorted(results.glob("*")) if folder.is_dir()] if results.is_dir() else []
    if any(map(has_records, inside)):
        return
    for folder in inside:
        if any(below.name != "failed" and has_records(below) for below in sorted(folder.glob("*"))):
            raise ValueError(f"{results} has no folder per dataset: name the folder {folder} in it, which has")


def _results(name: str) -> Path:
    """A folder of records that is named on a command line, and is not one level too deep or too high."""
    path = folder(name)
    if path.exists() and not path.is_dir():
        raise argparse.ArgumentTypeError(f"{path} is a file, and not a folder of records")
    try:
        check_level(path)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return path


def add_results_option(command: argparse.ArgumentParser) -> None:
    """Give a command the option ``--results``, the folder of the records, as :func:`folder` reads it."""
    command.add_argument(
        "--results",
        type=_results,
        default=default_results(),
        metavar="FOLDER",
        help="The folder that holds the records. The default is %(default)s.",
    )


@dataclass(frozen=True)
class Planned:
    """A run that is planned: which run it is, and where what it leaves is kept. :func:`planned` makes it.

    Attributes:
        config: the run's configuration.
        id: the run's identity, see :func:`prismbook.plan.config.run_id`.
        path: where its record belongs: ``results/<dataset>/<backbone>-<loss>-<id>.json``.
        split: what it is trained and tested on; None is the random split, which :meth:`loaded` loads.
    """

    config: RunConfig
    id: str
    path: Path
    split: Split | None

    @property
    def lock(self) -> Path:
        """The lock that is held while it is trained."""
        return self.path.parents[1] / ".locks" / f"{self.path.parent.name}-{self.path.stem}.lock"

    @property
    def failure(self) -> Path:
        """Where it is stored that it failed."""
        return self.path.parent / "failed" / self.path.name

    @property
    def stored(self) -> Path:
        """The path of its record, or of the same run's on a GPU where only that is stored.

        So results of a CPU and of a GPU make one table. A run that is asked for on a GPU is that one alone.
        """
        if self.config.device == "cpu" and not self.path.exists():
            on_gpu = planned(replace(self.config, device="cuda"), self.path.parents[1], self.split).path
            return on_gpu if on_gpu.exists() else self.path
        return self.path

    def loaded(self) -> Planned:
        """The same run with its split in memory."""
        if self.split is not None:
            return self
        return replace(self, split=load_split(self.config.dataset, self.config.split_seed))


def planned(config: RunConfig, results: Path | str | None = None, split: Split | None = None) -> Planned:
    """A run with its identity and its place in a folder. They are worked out here, once, and nowhere else.

    Args:
        results: the folder of the records; None is :func:`default_results`.
        split: a split of your own; None is the random split of ``config.split_seed``.

    Raises:
        ValueError: an unknown dataset, or a split that is not the configuration's.

    >>> planned(RunConfig("synthetic", "bpr"), "results").path.parent.as_posix()
    'results/synthetic'
    """
    split_hash = None
    if split is None:
        content_hash = datasets.content_hash(config.dataset)
    else:
        check_split(config, split)
        split = ordered(split)
        content_hash = split.dataset.content_hash
        split_hash = None if split.name == RANDOM else split.split_hash
    identity = run_id(config, content_hash, split_hash)
    folder = default_results() if results is None else Path(results)
    path = folder / config.dataset / f"{config.backbone}-{config.loss}-{identity}.json"
    return Planned(config, identity, path, split)


@kept
def stored_path(results: Path | str, config: RunConfig, split: Split | None = None) -> Path:
    """Where the record of a run is, or the record of the same run on a GPU, see :attr:`Planned.stored`.

    Args:
        split: a split of your own; None is the random split of ``config.split_seed``.
    """
    return planned(config, results, split).stored


@kept
def load_record(path: Path) -> Record | None:
    """Read one record; None where there is no such file.

    Scores that a flag of the record calls wrong are NaN: see :func:`wrong_scores`.

    Raises:
        RecordError: the file is there but is not a record, or not the one that its name says. It is left as it is.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
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


@kept
def load_scores(path: Path) -> dict[str, np.ndarray] | None:
    """The scores of each test user of the run whose record is at ``path``; None where they were not kept.

    Returns:
        ``user``: ids, int32, shape ``(users,)``. ``dot`` and ``cosine``: the parts of NDCG@20 by popularity group,
        float32, shape ``(users, 3)``. Scores that a flag of the record calls wrong are left out.

    Raises:
        RecordError: a file is there but is not readable, or does not have ascending users and their scores.
    """
    flagged, file_path = _flags_at(path), path.with_suffix(".npz")
    try:
        with file_path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            scores = {name: arrays[name] for name in ("user", "dot", "cosine") if name not in flagged}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise RecordError(f"{file_path} is not readable as scores ({error}); move it away") from None
    if (wrong := _wrong_form(scores)) is not None:
        raise RecordError(f"{file_path} is not readable as scores: {wrong}; move it away")
    return scores


def _wrong_form(scores: Mapping[str, np.ndarray]) -> str | None:
    """What is wrong with the form of some scores, in words; None where it is right."""
    user = scores["user"]
    if user.dtype.kind not in "iu" or user.ndim != 1 or len(user) == 0:
        return f"user must be integers of shape (users,), got {user.dtype} {user.shape}"
    if user[0] < 0 or not (user[1:] > user[:-1]).all():
        return "its users must be >= 0 and ascending, each once"
    for name, parts in scores.items():
        if name != "user" and (parts.dtype.kind != "f" or parts.shape != (len(user), 3)):
            return f"{name} must be floats of shape ({len(user)}, 3), got {parts.dtype} {parts.shape}"
    return None


def _flags_at(path: Path) -> dict[str, str]:
    """The flags of the record at a path; none where the record is missing or damaged, which its readers report."""
    try:
        text = path.read_text(encoding="utf-8")
        return wrong_scores(json.loads(text)) if '"flags"' in text else {}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def _nested(value: Any) -> str:
    if not isinstance(value, dict):
        return json.dumps(value, allow_nan=False)
    inner = (f"  {json.dumps(key)}: {json.dumps(inside, allow_nan=False)}" for key, inside in value.items())
    return "{\n" + ",\n".join(inner) + "\n}"


def scan(results: Path | str) -> tuple[list[Record], list[str]]:
    """All records below a folder, and one sentence per file that is not one."""
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
