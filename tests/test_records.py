"""Run records: identity, atomic writing, foreign files; and sweeps that are killed."""

import itertools
import json
import os
import re
import resource
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up import made_up, store

from prismbook.plan.config import FIELDS, LOSS_PARAMETERS, PROTOCOLS, RunConfig, run_id
from prismbook.plan.experiments import configs, grid_configs
from prismbook.runs import record_commands
from prismbook.runs.attempts import attempt, get_records
from prismbook.runs.failures import load_failure
from prismbook.runs.record_commands import why
from prismbook.runs.records import (
    Record,
    RecordError,
    default_results,
    load_record,
    load_scores,
    planned,
    save_record,
    scan,
    stored_path,
)
from prismbook.runs.run import run
from prismbook.runs.sweep import state
from prismbook.runs.tuning import outcome_of
from prismbook.tables.analysis import measured, tidy
from prismlib import Interactions, Split, datasets, random_split, synthetic
from prismlib.files import write_atomically

QUICK = RunConfig(dataset="synthetic", loss="bpr", dim=4, max_epochs=1)
MEASURED = {"seconds": 0, "joules": 0}  # differs from run to run
HASH = datasets.CARDS["synthetic"].content_hash


@pytest.fixture(scope="module")
def record() -> Record:
    return run(planned(QUICK))[0]


def test_identity() -> None:
    assert HASH is not None
    assert run_id(QUICK, HASH) == run_id(RunConfig(**vars(QUICK)), HASH)
    assert run_id(replace(QUICK, weight_decay=0), HASH) == run_id(QUICK, HASH)
    others = [replace(QUICK, weight_decay=1e-6), replace(QUICK, seed=1), replace(QUICK, device="cuda")]
    assert len({run_id(config, HASH) for config in [QUICK, *others]} | {run_id(QUICK, "other data")}) == 5


def test_a_new_field_with_its_default_does_not_rename_old_runs() -> None:
    # pinned: this identity must survive every later version of RunConfig
    assert run_id(RunConfig(dataset="gowalla", loss="directau", gamma=5.0, weight_decay=1e-6), "x") == "0e9d4d45c044"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"loss": "hinge"}, "loss must be one of bpr, ssm, directau, mawu, ipl, resn, macr"),
        (
            {"optimizer": "adagrad"},
            "optimizer must be one of adam, sgd, sgd_momentum, .*, row_adam",
        ),
        ({"optimizer": "sparse_adam", "weight_decay": 1e-6}, "weight_decay must be 0 for optimizer='sparse_adam'"),
        ({"optimizer": "sparse_adam", "backbone": "lightgcn"}, "backbone must be mf or nonlinear-mf for"),
        ({"optimizer": "sgd", "decay_scope": "decoupled"}, "decay_scope must be table or batch for optimizer='sgd'"),
        ({"loss": "ipl", "ipl_b": 1.5}, "ipl_c must be a finite number >= 0 for ipl"),
        ({"loss": "resn", "resn_beta": -1}, "resn_beta must be a finite number >= 0, got -1"),
        ({"backbone": "gpt"}, "backbone must be one of"),
        ({"device": "tpu"}, "device must be one of cpu, cuda"),
        ({"weight_decay": -1}, "weight_decay must be a finite number >= 0"),
        ({"weight_decay": float("nan")}, "weight_decay must be a finite number >= 0"),
        ({"weight_decay": "1e-6"}, "weight_decay must be a finite number >= 0"),
        ({"lr": 0}, "lr must be a finite number > 0"),
        ({"max_epochs": 0}, "max_epochs must be an integer >= 1"),
        ({"patience": 1.5}, "patience must be an integer >= 1"),
        ({"seed": -1}, "seed must be an integer in"),
        ({"gamma": 1.0}, "gamma must be None for bpr"),
        ({"loss": "directau"}, "gamma must be a finite number > 0 for directau"),
        ({"loss": "ssm", "tau": 0.2}, "num_negatives must be an integer >= 1 for ssm"),
        ({"loss": "ssm", "tau": 0.2, "num_negatives": 1.5}, "num_negatives must be an integer"),
        ({"dataset": 2024}, "dataset must be the name of a dataset, as text, got 2024"),
        ({"lr": None}, "lr must be a finite number > 0, got None"),
        ({"lr": float("inf")}, "lr must be a finite number > 0, got inf"),
        ({"lr": 10**400}, "lr must be a finite number > 0"),
        ({"loss": "directau", "gamma": float("inf")}, "gamma must be a finite number > 0, got inf"),
        ({"loss": "directau", "gamma": float("nan")}, "gamma must be a finite number > 0, got nan"),
        ({"init": "prism", "alpha": float("nan")}, r"alpha must be (a number )?in \[0, 1\], got nan"),
        ({"device": ["cpu"]}, "device must be one of cpu, cuda, got"),
        ({"dim": 64.0}, "dim must be an integer >= 1, got 64.0"),
        ({"seed": 2**63}, r"seed must be an integer in \[0, 2\*\*63\), got"),
        ({"loss": "mawu", "gamma_user": 1.0}, "gamma_item must be a finite number >= 0 for mawu"),
        ({"init": "prism"}, r"alpha must be (a number )?in \[0, 1\]"),
        ({"init": "prism", "alpha": 2}, r"alpha must be (a number )?in \[0, 1\]"),
        ({"alpha": 1}, "alpha must be None"),
    ],
)
def test_bad_configurations_are_refused_before_any_work(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RunConfig(**{"dataset": "synthetic", "loss": "bpr", **change})  # type: ignore[arg-type]


#: A field of each kind, with values that it keeps as Python's own, and with values that are not of its kind.
KINDS = [
    ("dim", [1, np.int64(1), np.int32(1), np.uint16(1)], [True, 1.0, "1", "", [1], b"1", 1j, None]),
    ("seed", [7, np.int64(7)], [False, 7.0, "7", None]),
    ("lr", [0.5, np.float64(0.5), np.float32(0.5)], [True, "0.5", "", [0.5], 1j, None]),
    ("weight_decay", [1, 1.0, np.int64(1)], [False, "0", None]),
    ("alpha", [0.25, np.float32(0.25)], [True, "1", 1j]),
    ("relu", [False, np.bool_(False)], [0, 1, 0.0, "false", "true", "", None, [True]]),
    ("device", ["cuda", np.str_("cuda")], [1, True, None, b"cpu", ["cpu"], np.array(["cpu", "cuda"])]),
    ("dataset", ["gowalla", np.str_("gowalla")], [1, True, None, b"gowalla", ["gowalla"], ""]),
]


@pytest.mark.parametrize(("name", "kept", "refused"), KINDS, ids=[name for name, *_ in KINDS])
def test_a_field_keeps_pythons_values_and_takes_no_other_kind(name: str, kept: list[Any], refused: list[Any]) -> None:
    plain = RunConfig(dataset="synthetic", loss="bpr", init="prism", alpha=0.5)
    default = type(getattr(plain, name))
    same = {replace(plain, **{name: value}) for value in kept}
    assert len(same) == len({run_id(config, "x") for config in same}) == 1
    assert {type(getattr(config, name)) for config in same} == {default} and json.dumps([vars(one) for one in same])
    for value in refused:
        with pytest.raises(ValueError, match=rf"^{name} must be .*, got {re.escape(repr(value))}$"):
            replace(plain, **{name: value})


def test_every_field_of_a_configuration_has_its_row() -> None:
    assert list(FIELDS) == list(vars(RunConfig("synthetic", "bpr")))
    for loss, names in LOSS_PARAMETERS.items():  # and each parameter of a loss is needed by it, and by it alone
        for name in names:
            fields = dict.fromkeys(names, 2)
            with pytest.raises(ValueError, match=f"^{name} must be .* for {loss}, got None$"):
                RunConfig("synthetic", loss, **fields | {name: None})  # type: ignore[arg-type]
            with pytest.raises(ValueError, match=f"^{name} must be None for "):
                RunConfig("synthetic", "bpr", **{name: 2})  # type: ignore[arg-type]


def test_equal_configurations_have_one_identity() -> None:
    pairs = [({"lr": np.float32(1e-3)}, {"lr": 1e-3}), ({"weight_decay": -0.0}, {"weight_decay": 0})]
    prism = {"init": "prism"}
    pairs += [({**prism, "alpha": -0.0}, {**prism, "alpha": 0}), ({**prism, "alpha": 1}, {**prism, "alpha": 1.0})]
    for first, second in pairs:
        one, other = (RunConfig("gowalla", "bpr", **fields) for fields in (first, second))  # type: ignore[arg-type]
        assert one == other and run_id(one, "x") == run_id(other, "x")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epochs": "3"}, "epochs must be an integer >= 1, got '3'"),
        ({"epochs": True}, "epochs must be an integer >= 1, got True"),
        ({"lr": "0.1"}, "lr must be a finite number > 0, got '0.1'"),
        ({"weight_decays": ["0", 1e-6]}, "weight_decays must be a finite number >= 0, got '0'"),
        ({"weight_decays": False}, "weight_decays must be a finite number >= 0, got False"),
        ({"seeds": "123"}, r"seeds must be an integer in \[0, 2\*\*63\), got '123'"),
        ({"losses": "hinge"}, "losses must be one of bpr, ssm"),
        ({"losses": [1]}, "losses must be one of bpr, ssm, .*, got 1"),
        ({"backbone": ["mf"]}, "backbone must be one of mf, nonlinear-mf, lightgcn, got"),
        ({"relu": "false"}, "relu must be True or False, got 'false'"),
        ({"dataset": 2024}, "dataset must be the name of a dataset, as text, got 2024"),
        ({"dataset": ["gowalla"]}, "dataset must be the name of a dataset, as text"),
    ],
)
def test_a_grid_names_the_argument_that_was_typed(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        grid_configs(**{"dataset": "gowalla", **arguments})  # type: ignore[arg-type]
    if arguments.keys() <= {"epochs", "dataset"}:
        for experiment in ("rq1", "table1"):
            with pytest.raises(ValueError, match=f"^{message}"):
                configs(experiment, **{"dataset": "gowalla", **arguments})  # type: ignore[arg-type]


def test_names_of_experiments_and_budgets_are_text() -> None:
    for experiment, budget in ((["rq1"], "lean"), (1, "lean"), ("rq1", ["lean"]), ("rq1", None)):
        with pytest.raises(ValueError, match=r"^(experiment|budget) must be one of "):
            configs(experiment, "gowalla", budget)  # type: ignore[arg-type]


def test_a_grid_of_numpys_values_is_that_of_pythons() -> None:
    plain = grid_configs("gowalla", ["bpr"], [0.0, 1e-6], seeds=[1, 2], epochs=3)
    assert grid_configs("gowalla", np.array(["bpr"]), np.array([0, 1e-6]), np.arange(1, 3), np.int64(3)) == plain
    assert grid_configs("gowalla", "bpr", np.float64(1e-6), np.int64(2), 3) == plain[3:]
    assert [c.split_seed for c in grid_configs("gowalla", "bpr", 0, [1, 2], split_seed=7)] == [7, 7]


def test_save_and_load(record: Record, tmp_path: Path) -> None:
    path = tmp_path / "synthetic" / f"mf-bpr-{record['id']}.json"
    save_record(record, path)
    assert load_record(path) == record
    assert path.stat().st_size < 10_000
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert load_record(path.with_name("absent.json")) is None


def test_an_existing_record_is_kept_unless_replaced(record: Record, tmp_path: Path) -> None:
    path = tmp_path / f"mf-bpr-{record['id']}.json"
    later = {**record, "best_epoch": 77}
    save_record(record, path)
    save_record(later, path)
    assert load_record(path) == record
    save_record(later, path, replace=True)
    assert load_record(path) == later


def test_scores_are_those_of_the_record_beside_them(record: Record, tmp_path: Path) -> None:
    path = tmp_path / f"mf-bpr-{record['id']}.json"

    def scores(user: int) -> dict[str, np.ndarray]:
        return {"user": np.array([user]), "dot": np.zeros((1, 3)), "cosine": np.zeros((1, 3))}

    def stored() -> int:
        scores = load_scores(path)
        assert scores is not None
        return int(scores["user"][0])

    save_record(record, path, scores=scores(1))
    save_record(record, path, scores=scores(2))
    assert stored() == 1  # as the record
    path.unlink()
    save_record(record, path, scores=scores(3))
    assert stored() == 3  # those of a run whose record is gone, or was never written, do not stay
    save_record(record, path, replace=True, scores=scores(4))
    assert stored() == 4


def test_a_file_system_without_hard_links_keeps_records_too(
    record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("no hard links here")

    monkeypatch.setattr("os.link", refuse)
    path = tmp_path / f"mf-bpr-{record['id']}.json"
    save_record(record, path)
    save_record({**record, "best_epoch": 77}, path)
    assert load_record(path) == record
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_record_says_what_was_run(record: Record) -> None:
    assert record["data"]["synthetic"] is True
    assert record["data"]["content_hash"] == HASH
    assert sum(record["test"]["dot"][g] for g in ("popular", "neutral", "unpopular")) == pytest.approx(
        record["test"]["dot"]["ndcg"], abs=1e-6
    )
    report = record["report"]["dot"]
    assert list(report) == ["5", "10", "20", "50"]
    assert report["20"]["ndcg"][0] == pytest.approx(record["test"]["dot"]["ndcg"], abs=1e-6)
    assert report["5"]["recall"][0] < report["50"]["recall"][0]
    assert {"device", "python", "torch", "numpy", "commit"} == record["environment"].keys()
    assert os.uname().nodename not in json.dumps(record)


@pytest.mark.parametrize("backbone", ["mf", "nonlinear-mf", "lightgcn"])
@pytest.mark.parametrize(
    "loss",
    [
        {"loss": "ssm", "tau": 0.2, "num_negatives": 3},
        {"loss": "directau", "gamma": 1.0},
        {"loss": "mawu", "gamma_user": 1.0, "gamma_item": 0.5},
        {"loss": "ipl", "ipl_c": 0.1, "ipl_b": 1.5},
        {"loss": "ipl", "ipl_c": 0.1, "ipl_b": 1.5, "ipl_form": "epoch"},
        {"loss": "resn", "resn_beta": 1e-9},
        {"loss": "resn", "resn_beta": 1e-9, "resn_form": "items"},
        {"loss": "macr", "macr_alpha": 0.01, "macr_beta": 0.001, "macr_c": 40},
    ],
)
def test_every_backbone_learns_with_every_loss(backbone: str, loss: dict[str, object]) -> None:
    config = RunConfig(dataset="synthetic", backbone=backbone, dim=4, batch_size=5000, max_epochs=2, lr=0.02, **loss)  # type: ignore[arg-type]
    history = run(planned(config))[0]["history"]
    assert history["loss"][1] < history["loss"][0]


SWITCHED = {
    "relu": RunConfig(dataset="synthetic", loss="bpr", backbone="nonlinear-mf", dim=4, max_epochs=1),
    "mawu_uniformity": RunConfig(dataset="synthetic", loss="mawu", gamma_user=1, gamma_item=1, dim=4, max_epochs=1),
    "ipl_form": RunConfig(dataset="synthetic", loss="ipl", ipl_c=1, ipl_b=1.5, dim=4, max_epochs=1),
}


@pytest.mark.parametrize("name", PROTOCOLS["released"])
def test_every_switch_of_the_released_protocol_changes_the_run(name: str) -> None:
    split = random_split(synthetic(), QUICK.split_seed)
    config = replace(SWITCHED.get(name, QUICK), max_epochs=2, batch_size=3_000)
    switched = replace(config, **{name: PROTOCOLS["released"][name]})
    paper, released = run(planned(config, split=split))[0], run(planned(switched, split=split))[0]
    assert paper["id"] != released["id"]
    same_training = paper["history"]["loss"] == released["history"]["loss"]
    assert same_training == (name in ("groups_from", "drop_last_user"))
    if same_training:
        assert paper["test"] != released["test"]


def test_same_configuration_same_record_but_for_the_clock(record: Record) -> None:
    again, _ = run(planned(QUICK))
    assert {**again, **MEASURED} == {**record, **MEASURED}


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"id": "x"}', "\x00\x01", '{"config": {"dataset": 1}, "data": {}}']
)
def test_foreign_files_are_reported_and_never_overwritten(content: str, tmp_path: Path) -> None:
    path = planned(QUICK, tmp_path).path
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(RecordError, match="move it away"):
        get_records([QUICK], tmp_path, progress=False)
    assert path.read_text() == content
    assert len(scan(tmp_path)[1]) == 1


def test_bad_scores_are_reported(tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(b"PK\x03\x04 half of it")
    with pytest.raises(RecordError, match="not readable as scores"):
        load_scores(tmp_path / "x.json")


def test_a_record_under_another_runs_name_is_reported(record: Record, tmp_path: Path) -> None:
    path = planned(replace(QUICK, seed=9), tmp_path).path
    save_record(record, path)
    with pytest.raises(RecordError, match="another name"):
        load_record(path)


def test_missing_runs_are_trained_stored_ones_load(tmp_path: Path) -> None:
    configs = grid_configs("synthetic", ["bpr"], [0, 1e-5], dim=4, epochs=1)
    assert get_records(configs, tmp_path, train=False) == [None, None]
    assert get_records(configs, tmp_path, train=False, force=True) == [None, None]
    first = get_records(configs, tmp_path, progress=False)
    start = time.perf_counter()
    assert get_records(configs, tmp_path, progress=False) == first
    assert get_records(configs, tmp_path, train=False, force=True) == first
    assert time.perf_counter() - start < 0.1
    assert first[0]["test"] != first[1]["test"]  # type: ignore[index]
    path = planned(configs[0], tmp_path).path
    scores = load_scores(path)
    assert scores is not None and len(scores["user"]) == len(scores["dot"]) == len(scores["cosine"])
    assert scores["dot"].sum(1).mean() == pytest.approx(first[0]["test"]["dot"]["ndcg"], abs=1e-6)  # type: ignore[index]
    assert load_scores(path.with_name("absent.json")) is None
    written = path.stat().st_mtime_ns
    forced = get_records(configs[:1], tmp_path, progress=False, force=True)
    assert path.stat().st_mtime_ns > written
    assert {**forced[0], **MEASURED} == {**first[0], **MEASURED}  # type: ignore[dict-item]


def test_what_a_killed_process_left_goes_with_the_next_attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    [config] = grid_configs("synthetic", ["bpr"], 0.0, dim=4, epochs=1)
    run = planned(config, tmp_path)
    run.path.parent.mkdir(parents=True)
    paths = {run.path, run.path.with_suffix(".npz")}
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", killed)
        patch.setattr(Path, "unlink", lambda *_, **__: None)  # a killed process tidies nothing up
        for path in [*paths, anothers := run.path.with_name("mf-bpr-of-another-run.json")]:
            with pytest.raises(KeyboardInterrupt):
                write_atomically(path, b"half")
    assert len(list(run.path.parent.iterdir())) == 3
    assert attempt(run) == "done"
    left = set(run.path.parent.iterdir()) - paths
    assert [path.name.startswith(f".{anothers.name}.") for path in left] == [True]


def test_a_gpus_record_stands_in_for_a_cpus_and_not_the_other_way_round(tmp_path: Path) -> None:
    [config] = grid_configs("synthetic", ["bpr"], [0], dim=4, epochs=1)
    gpu = replace(config, device="cuda")
    store(tmp_path, made_up(gpu, best_epoch=7))
    [stored] = get_records([config], tmp_path, progress=False)  # nothing is trained
    assert stored is not None and (stored["best_epoch"], stored["config"]["device"]) == (7, "cuda")
    assert attempt(planned(config, tmp_path)) == "done" and state(config, tmp_path)[0] == "done"
    assert measured(tmp_path, [config])["best_epoch"].tolist() == [7] and outcome_of(tmp_path, config) == stored
    [trained] = get_records([config], tmp_path, progress=False, force=True)
    assert trained is not None and trained["config"]["device"] == "cpu"
    assert get_records([config, gpu], tmp_path, train=False) == [trained, stored]
    other = replace(config, seed=9)
    store(tmp_path, made_up(other))
    assert get_records([replace(other, device="cuda")], tmp_path, train=False) == [None]


def test_one_value_stands_for_a_list_of_one_and_an_unknown_dataset_is_named(tmp_path: Path) -> None:
    [config] = grid_configs("synthetic", losses="bpr", weight_decays=1e-6, seeds=7, epochs=3)
    assert (config.loss, config.weight_decay, config.seed, config.max_epochs) == ("bpr", 1e-6, 7, 3)
    with pytest.raises(
        ValueError, match="losses must be one of bpr, ssm, directau, mawu, ipl, resn, macr, got 'hinge'"
    ):
        grid_configs("synthetic", "hinge")
    four = grid_configs("gowalla", ("bpr", "ssm", "directau", "mawu"), 0)
    assert [(c.gamma, c.tau, c.gamma_user) for c in four] == [
        (None,) * 3,
        (None, 0.2, None),
        (5, None, None),
        (None, None, 2.6),
    ]
    with pytest.raises(ValueError, match="unknown dataset 'netflix'; known: synthetic, movielens1m"):
        get_records(grid_configs("netflix", "bpr", 0), tmp_path)


def test_a_missing_gpu_is_said_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ValueError, match="sees no GPU here: use device='cpu'"):
        get_records([QUICK, replace(QUICK, device="cuda")], tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_no_half_record(record: Record, tmp_path: Path) -> None:
    path = tmp_path / f"mf-bpr-{record['id']}.json"
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limit[1]))  # a write past 1,000 bytes fails, as on a full disk
    try:
        with pytest.raises(OSError, match="File too large"):
            save_record(record, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, old)
    assert list(tmp_path.iterdir()) == []


def test_why_and_list(record: Record, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = {**record, "config": vars(replace(QUICK, weight_decay=1e-6, seed=4))}
    assert why(record, other) == ["seed: 123 -> 4", "weight_decay: 0.0 -> 1e-06"]
    assert why(record, record) == []
    get_records(grid_configs("synthetic", ["bpr"], [0, 1e-6], dim=4, epochs=1), tmp_path, progress=False)
    (tmp_path / "synthetic" / "stray.json").write_text("{")
    ids = [r["id"] for r in scan(tmp_path)[0]]
    for arguments, expected in (
        (["list", str(tmp_path)], ["NDCG@20 0.", "weight_decay=1e-06", "problem:", "stray.json"]),
        (["why", str(tmp_path), *ids], ["weight_decay: "]),
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["records", *arguments])
            record_commands.main()
        printed = capsys.readouterr().out
        assert all(part in printed for part in expected), printed


@pytest.mark.parametrize("damage", [{"test": None}, {"seconds": {}}, {"environment": None}, {"history": {}}])
def test_a_record_without_what_its_readers_need_is_named(
    record: Record, tmp_path: Path, damage: dict[str, object]
) -> None:
    path = planned(RunConfig(**record["config"]), tmp_path).path
    save_record(record | damage, path)
    with pytest.raises(RecordError, match="is not a run record of this project"):
        load_record(path)
    path.write_text(json.dumps({name: value for name, value in record.items() if name != "stopped_by"}))
    with pytest.raises(RecordError, match="is incomplete"):
        load_record(path)


# splits of your own


def leave_one_out(seed: int = 123) -> Split:
    """The last two items of each user held out, as recommenders are often tested."""
    data = synthetic(200, 100, 2500)
    position = np.arange(len(data)) - np.searchsorted(data.user, data.user)
    size = np.bincount(data.user)[data.user]
    masks = position < size - 2, position == size - 2, position == size - 1
    train, validation, test = (Interactions(data.user[mask], data.item[mask]) for mask in masks)
    return Split(data, seed, train, validation, test, name="leave-one-out")


SMALL = RunConfig("synthetic", "bpr", dim=4, max_epochs=2, batch_size=500)


def test_a_split_of_your_own_is_another_run_and_the_record_names_it(tmp_path: Path) -> None:
    split = leave_one_out()
    random = random_split(split.dataset, 123)
    record, plain = run(planned(SMALL, split=split))[0], run(planned(SMALL, split=random))[0]
    assert record["id"] != plain["id"] == run_id(SMALL, split.dataset.content_hash)
    assert record["id"] == run_id(SMALL, split.dataset.content_hash, split.split_hash)
    assert record["data"] == plain["data"] | {"split": "leave-one-out", "split_hash": split.split_hash}
    assert why(plain, record) == [f"split: 'random' -> 'leave-one-out {split.split_hash[:12]}'"]
    # by the same door as any run: trained once, then loaded, beside the random split's
    first = get_records([SMALL], tmp_path, progress=False, split=split)
    assert first == get_records([SMALL], tmp_path, progress=False, split=leave_one_out())
    assert first == get_records([SMALL], tmp_path, train=False, split=split)
    assert first[0] is not None and first[0]["id"] == record["id"]
    assert get_records([SMALL], tmp_path, train=False, split=random) == [None]
    assert attempt(planned(SMALL, tmp_path, random)) == "done"
    records, problems = scan(tmp_path)
    assert problems == [] and {r["id"] for r in records} == {record["id"], plain["id"]}
    lines = {r["id"]: record_commands.line(r) for r in records}
    assert "split leave-one-out" in lines[record["id"]] and "split" not in lines[plain["id"]]


def test_the_random_splits_pairs_are_the_random_split_in_whatever_order_and_by_whatever_name() -> None:
    random = random_split(synthetic(200, 100, 2500), 123)
    [record, _] = run(planned(SMALL, split=random))
    backwards = [Interactions(part.user[::-1], part.item[::-1]) for part in (random.train, random.validation)]
    for split in (replace(random, name="mine"), Split(random.dataset, 123, *backwards, random.test, name="mine")):
        assert {**run(planned(SMALL, split=split))[0], **MEASURED} == {**record, **MEASURED}


def test_the_order_of_a_splits_pairs_does_not_matter() -> None:
    split = leave_one_out()
    order = np.random.default_rng(0).permutation(len(split.train.user))
    shuffled = replace(split, train=Interactions(split.train.user[order], split.train.item[order]))
    first, second = run(planned(SMALL, split=split))[0], run(planned(SMALL, split=shuffled))[0]
    assert {**first, **MEASURED} == {**second, **MEASURED}


def test_a_stored_record_of_another_split_is_refused(tmp_path: Path) -> None:
    split = leave_one_out()
    record, _ = run(planned(SMALL, split=split))
    path = stored_path(tmp_path, SMALL, split)
    save_record(record, path)
    assert load_record(path) == record
    for data in ({"split_hash": "0" * 64}, {"split": None}):
        changed = {name: value for name, value in (record["data"] | data).items() if value is not None}
        save_record({**record, "data": changed}, path, replace=True)
        with pytest.raises(RecordError, match="another name or version"):
            load_record(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "random"}, "is not the random split of its dataset and seed: give it another name"),
        (
            {"test": Interactions(np.array([0]), np.array([100]))},
            r"test: item ids must lie in \[0, 100\), found 100 to 100",
        ),
        (
            {"test": Interactions(np.array([0]), np.array([-1]))},
            r"test: item ids must lie in \[0, 100\), found -1 to -1",
        ),
        ({"test": leave_one_out().train}, "has a pair twice: each pair belongs to one part, once"),
        ({"seed": 7}, "asks for dataset 'synthetic' with split_seed=123, not for this split, .* with seed 7"),
        ({"dataset": replace(synthetic(200, 100, 2500), name="toys")}, "which is of dataset 'toys'"),
    ],
)
def test_splits_that_cannot_be(change: dict[str, object], message: str, tmp_path: Path) -> None:
    def split() -> Split:
        return replace(leave_one_out(), **change)  # type: ignore[arg-type]

    for work in (lambda: run(planned(SMALL, split=split())), lambda: get_records([SMALL], tmp_path, split=split())):
        with pytest.raises(ValueError, match=message):
            work()
    assert not list(tmp_path.iterdir())


def test_failures_of_a_split_are_its_own(tmp_path: Path) -> None:
    bad, split = replace(SMALL, lr=1e30), leave_one_out()
    assert attempt(planned(bad, tmp_path, split)) == "failed"
    assert load_failure(planned(bad, tmp_path, split)) is not None
    assert load_failure(planned(bad, tmp_path, random_split(split.dataset, 123))) is None


# scores that are known to be wrong


def test_flagged_scores_reach_no_reader(record: Record, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = planned(QUICK, tmp_path).path
    scores = run(planned(QUICK))[1]
    save_record(record | {"flags": {"cosine": "made before it was mended"}}, path, scores=scores)
    loaded, kept = load_record(path), load_scores(path)
    assert loaded is not None and kept is not None
    assert loaded["test"]["dot"] == record["test"]["dot"] and loaded["report"] == {"dot": record["report"]["dot"]}
    assert np.isnan([*loaded["test"]["cosine"].values(), *loaded["history"]["validation_cosine"]]).all()
    assert list(kept) == ["user", "dot"]
    assert tidy([QUICK], [loaded])["cosine"].isna().all() and tidy([QUICK], [loaded])["ndcg"].notna().all()
    assert record_commands.main(["list", str(tmp_path)]) == 0
    assert "wrong by cosine: made before it was mended" in capsys.readouterr().out
    for flags in ({"speed": "slow"}, ["cosine"], "cosine"):
        save_record(record | {"flags": flags}, path, replace=True)
        with pytest.raises(RecordError, match="is not a run record"):
            load_record(path)


def test_the_committed_records_that_ranked_vanished_rows_first_are_flagged_and_no_others() -> None:
    # the fault looks so: between two epochs NDCG@20 by cosine falls by more than 60 %, by dot product it does not
    # (On non-linear MF, where cold items keep the perceptron's bias, the cosine can fall so by itself.)
    flagged, fell = set(), set()
    for path in default_results().glob("*/mf-*.json"):
        content = json.loads(path.read_text())
        curves = (content["history"][f"validation_{ranking}"] for ranking in ("dot", "cosine"))
        steps = [*zip(*(itertools.pairwise(curve) for curve in curves), strict=True)]
        cold = content["norms"]["item"]["bins"][0]["from"] == 0 and content["config"]["weight_decay"] > 0
        if cold and any(after > 0.9 * before and late < 0.4 * early for (before, after), (early, late) in steps):
            fell.add(path.stem)
        if "flags" in content:
            flagged.add(path.stem)
    assert flagged == fell and len(flagged) == 14
