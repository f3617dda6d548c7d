"""Run records: the memory of the project. One small JSON file a run, found again by the run's identity.

python -m prismlib.records list results          what is stored, and what is wrong with it
python -m prismlib.records why results A B       why two runs differ
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import math
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prismlib.train import DECAY_SCOPES

SEMANTICS = 1  # raise it when the same configuration would train or evaluate differently than before

Record = dict[str, Any]


class RecordError(ValueError):
    """A file in a results folder that is not the record it should be."""


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides the outcome of a run. Values are checked when it is made.

    Attributes:
        dataset: a name that :func:`prismlib.sources.load` knows.
        loss: ``"bpr"``, ``"ssm"``, ``"directau"`` or ``"mawu"``. Its own parameters are set for it and None otherwise:
            ``gamma`` of DirectAU, ``tau`` and ``num_negatives`` of SSM, ``gamma_user`` and ``gamma_item`` of MAWU.
        seed, split_seed: of initialisation and training; of the 80/10/10 split.
        weight_decay: lambda of Equation 1; ``decay_scope`` is what it acts on, see :func:`prismlib.train.fit`.
        init: ``"xavier"``, or ``"prism"`` with its strength ``alpha`` (None otherwise).
        batch_size: None takes the paper's: 16,384 for BPR and SSM, 4,096 for DirectAU and MAWU.
        max_epochs, patience: stop after ``patience`` epochs without a better validation NDCG@20.
        device: the class of device, ``"cpu"`` or ``"cuda"``: they do not give the same bits.
        relu, negatives, reshuffle, mawu_uniformity, groups_from, drop_last_user: one switch for each place where the
            released code departs from the paper's text; the defaults are the paper's, :data:`PROTOCOLS` has both.

    Raises:
        ValueError: a value out of range; the message names the argument and what it accepts.

    >>> RunConfig(dataset="gowalla", loss="bpr").batch_size
    16384
    >>> RunConfig(dataset="gowalla", loss="bpr", weight_decay=-1)
    Traceback (most recent call last):
    ValueError: weight_decay must be >= 0, got -1.0
    """

    dataset: str
    loss: str
    gamma: float | None = None
    seed: int = 123
    split_seed: int = 123
    backbone: str = "mf"
    dim: int = 64
    optimizer: str = "adam"
    lr: float = 1e-3
    weight_decay: float = 0.0
    decay_scope: str = "table"
    init: str = "xavier"
    alpha: float | None = None
    batch_size: int | None = None
    max_epochs: int = 1000
    patience: int = 10
    device: str = "cpu"
    tau: float | None = None
    num_negatives: int | None = None
    gamma_user: float | None = None
    gamma_item: float | None = None
    relu: bool = True
    negatives: str = "all"
    reshuffle: bool = True
    mawu_uniformity: str = "pairs"
    groups_from: str = "train"
    drop_last_user: bool = False

    def __post_init__(self) -> None:
        def check(name: str, holds: bool, accepted: str) -> None:
            if not holds:
                raise ValueError(f"{name} must be {accepted}, got {getattr(self, name)!r}")

        for name in ("gamma", "lr", "weight_decay", "alpha", "tau", "gamma_user", "gamma_item"):
            if getattr(self, name) is not None:  # 1 and 1.0 are one configuration
                check(name, isinstance(getattr(self, name), int | float), "a number")
                object.__setattr__(self, name, float(getattr(self, name)))
        for name, choices in CHOICES.items():
            check(name, getattr(self, name) in choices, f"one of {', '.join(choices)}")
        if self.batch_size is None:
            object.__setattr__(self, "batch_size", 16384 if self.loss in ("bpr", "ssm") else 4096)
        for name in ("dim", "batch_size", "max_epochs", "patience"):
            value = getattr(self, name)
            check(name, isinstance(value, int) and value >= 1, "an integer >= 1")
        for name in ("relu", "reshuffle", "drop_last_user"):
            check(name, isinstance(getattr(self, name), bool), "True or False")
        for name in ("seed", "split_seed"):
            value = getattr(self, name)
            check(name, isinstance(value, int) and 0 <= value < 2**63, "an integer in [0, 2**63)")
        check("lr", 0 < self.lr < math.inf, "> 0")
        check("weight_decay", 0 <= self.weight_decay < math.inf, ">= 0")
        for name in ("gamma", "tau", "num_negatives", "gamma_user", "gamma_item"):
            value = getattr(self, name)
            if name in LOSS_PARAMETERS[self.loss]:
                check(name, value is not None and 0 < value < math.inf, f"> 0 for {self.loss}")
            else:
                check(name, value is None, f"None for {self.loss}")
        check("num_negatives", isinstance(self.num_negatives, int | None), "an integer")
        if self.init == "prism":
            check("alpha", self.alpha is not None and 0 <= self.alpha <= 1, "in [0, 1] for init='prism'")
        else:
            check("alpha", self.alpha is None, f"None for init={self.init!r}")


LOSS_PARAMETERS = {
    "bpr": (),
    "ssm": ("tau", "num_negatives"),
    "directau": ("gamma",),
    "mawu": ("gamma_user", "gamma_item"),
}
CHOICES = {
    "loss": tuple(LOSS_PARAMETERS),
    "backbone": ("mf", "nonlinear-mf", "lightgcn"),
    "optimizer": ("adam",),
    "decay_scope": DECAY_SCOPES,
    "init": ("xavier", "prism"),
    "device": ("cpu", "cuda"),
    "negatives": ("all", "batch"),
    "mawu_uniformity": ("pairs", "released"),
    "groups_from": ("train", "all"),
}
# RunConfig(..., **PROTOCOLS["released"]); SSM's 20 negatives in the released script are num_negatives=20
PROTOCOLS: dict[str, dict[str, Any]] = {
    "paper": {},
    "released": {
        "relu": False,  # the perceptron's ReLU is computed and discarded
        "negatives": "batch",  # drawn from the batch's distinct items, not from all
        "reshuffle": False,  # batches keep the split's random order in every epoch
        "mawu_uniformity": "released",  # half of the cosine matrix counts as zeros
        "groups_from": "all",  # popularity groups of the test are counted on train + validation + test
        "drop_last_user": True,  # the last user with held-out items is left out of the mean
    },
}


def run_id(config: RunConfig, content_hash: str) -> str:
    """Identity of a run: 12 hex digits over its configuration, its data and the version of the training semantics.

    Fields at their default are left out, so a field added later does not rename the runs made before it.
    """
    identity = json.dumps([SEMANTICS, content_hash, _changed(config)], sort_keys=True)
    return hashlib.sha256(identity.encode()).hexdigest()[:12]


def _changed(config: RunConfig) -> dict[str, Any]:
    """The fields that are not at their default."""
    fields = ((field.name, getattr(config, field.name), field.default) for field in dataclasses.fields(config))
    return {name: value for name, value, default in fields if value != default}


def record_path(results: Path | str, config: RunConfig, content_hash: str) -> Path:
    """``results/<dataset>/<backbone>-<loss>-<run id>.json``."""
    name = f"{config.backbone}-{config.loss}-{run_id(config, content_hash)}.json"
    return Path(results) / config.dataset / name


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
        complete = {"id", "history", "best_epoch", "test", "norms", "seconds", "environment"} <= record.keys()
    except (TypeError, KeyError, ValueError) as error:
        raise RecordError(f"{path} is not a run record of this project ({error!r}); move it away") from None
    if not complete or record["id"] != identity or record.get("semantics") != SEMANTICS or identity not in path.name:
        raise RecordError(f"{path} is incomplete or was written under another name or version; move it away")
    return record


def save_record(record: Record, path: Path, replace: bool = False) -> None:
    """Write one record atomically: readers see no file or all of it, whatever is killed or full meanwhile.

    An existing file is kept (another process finished the same run first) unless ``replace``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # one line a top-level key, and one a key of what is nested: small and readable
    lines = [f"{json.dumps(key)}: {_nested(value)}" for key, value in record.items()]
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        if not replace:
            try:
                os.link(temporary, path)  # unlike rename, link never overwrites
                return
            except FileExistsError:
                return
            except OSError:  # a file system without hard links
                if path.exists():
                    return
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)


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


def why(first: Record, second: Record) -> list[str]:
    """Why two runs are not the same run: one line for each difference of configuration, data or semantics."""
    pairs = {
        name: (first["config"].get(name), second["config"].get(name)) for name in first["config"] | second["config"]
    }
    pairs["data"] = (first["data"]["content_hash"], second["data"]["content_hash"])
    pairs["semantics"] = (first["semantics"], second["semantics"])
    return [f"{name}: {one!r} -> {other!r}" for name, (one, other) in pairs.items() if one != other]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m prismlib.records", description="Look into a folder of run records."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("list", help="one line a record: id, configuration, test NDCG@20; then bad files")
    compare = commands.add_parser("why", help="why two runs differ")
    for command in (listing, compare):
        command.add_argument("results", type=Path, help="the folder, e.g. results")
    compare.add_argument("ids", nargs=2, help="two run ids, or the beginnings of them")
    arguments = parser.parse_args()

    records, problems = scan(arguments.results)
    if arguments.command == "list":
        for record in records:
            config = RunConfig(**record["config"])
            shown = ("dataset", "loss", "batch_size")
            own = " ".join(f"{k}={v}" for k, v in _changed(config).items() if k not in shown)
            score, epoch = record["test"]["dot"]["ndcg"], record["best_epoch"]
            print(
                f"{record['id']}  {config.dataset:12} {config.loss:9} NDCG@20 {score:.4f}  best epoch {epoch:3}  {own}"
            )
        for problem in problems:
            print("problem:", problem)
        return
    chosen = []
    for prefix in arguments.ids:
        found = [record for record in records if record["id"].startswith(prefix)]
        if len(found) != 1:
            parser.error(f"{len(found)} records of {arguments.results} have an id that begins with {prefix}")
        chosen.append(found[0])
    print("\n".join(why(*chosen)) or "they are the same run")


if __name__ == "__main__":
    main()
