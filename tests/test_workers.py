"""Several processes share the runs of one folder, what is worth most first, and end in time."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
from made_up import made_up, store

from prismbook.plan.config import RunConfig
from prismbook.plan.experiments import SEEDS, configs, grid_configs
from prismbook.runs import mps, priorities, sweep_commands, workers
from prismbook.runs.cost import Costs
from prismbook.runs.locks import in_flight
from prismbook.runs.machine import environment
from prismbook.runs.records import load_record, planned, stored_path

RUNS = grid_configs("synthetic", ["bpr"], (0.0, 1e-6, 1e-5), dim=4, epochs=2, patience=2, lr=1e-3)


def done(results: Path, runs: list[RunConfig] = RUNS) -> int:
    return sum(load_record(stored_path(results, config)) is not None for config in runs)


def here() -> str:
    import torch

    return environment(torch.device("cpu"))["device"]


def took(config: RunConfig, seconds: float, epochs: int = 10) -> dict[str, object]:
    """A record of a run of the same kind on this machine."""
    spent = {"train": seconds, "evaluate": 0.0, "cpu": seconds}
    other = replace(config, seed=999, split_seed=999)
    device = {"device": here(), "commit": "0123456789"}
    return made_up(other, validation=[0.1] * (epochs + 1), epochs=epochs, seconds=spent, environment=device)


@pytest.mark.parametrize("text", ["", "9", "m", "-1m", "0s", "9 m", "1d"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="a time must be a number > 0 with s, m or h"):
        workers.seconds(text)


def test_no_run_is_started_that_cannot_end_in_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    long = replace(RUNS[0], dim=5)
    store(tmp_path, took(long, seconds=10_000.0, epochs=2))
    store(tmp_path, took(RUNS[1], seconds=0.02, epochs=2))
    workers.work([long, RUNS[1]], tmp_path, time.time() + 100)
    assert done(tmp_path, [long]) == 0 and done(tmp_path, [RUNS[1]]) == 1
    # before, nothing said why it was not started
    assert capsys.readouterr().out.endswith("\n1 run not started: the shortest may take 2.8 h\n")
    workers.work([RUNS[2]], tmp_path, time.time() - 1)  # the time is over
    assert done(tmp_path, [RUNS[2]]) == 0


def test_a_time_that_is_over_before_a_run_could_start_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before, the command counted its missing runs and said nothing of why none was made."""
    options = ["run", "rq1", "--dataset", "synthetic", "--budget", "smoke", "--results", str(tmp_path), "--for", "5s"]
    assert sweep_commands.main(options, began=time.time() - 10) == 1
    assert capsys.readouterr().out.startswith("the time is over: no further run is started\n4 runs: 0 done")


def test_a_run_that_takes_longer_is_stopped_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    endless = replace(RUNS[0], max_epochs=10**6, patience=10**6)
    start = time.time()
    workers.work([endless, RUNS[1]], tmp_path, start + 2)
    assert time.time() - start < 60
    assert not list(tmp_path.glob("synthetic/**/*.json"))
    assert in_flight(planned(endless, tmp_path).lock) is None


def test_the_longest_run_of_a_kind_counts() -> None:
    records = [took(RUNS[0], 4.0, epochs=1), took(RUNS[0], 8.0, epochs=2)]
    assert workers.longest(RUNS[0], Costs(records, here())) == pytest.approx(2 * 4.0)  # 12 s for 3 epochs, at most 2
    assert workers.longest(RUNS[0], Costs([], here())) is None


def test_first_seeds_then_seeds_then_searches_and_the_cheapest_experiment_first() -> None:
    budget = "synthetic", "lean"
    experiments = {name: configs(name, *budget) for name in ("rq1", "lightgcn", "table1")}
    experiments = {f"{name} on synthetic": found for name, found in experiments.items()}
    other = [replace(config, seed=SEEDS[1], split_seed=SEEDS[1]) for config in experiments["rq1 on synthetic"]]
    records = [
        took(config, 500.0 if config.backbone == "lightgcn" else 1.0)
        for found in experiments.values()
        for config in found
    ]
    rq1, lightgcn, table1 = experiments.values()
    todo = [*table1, *other, *lightgcn, *rq1]
    ordered = priorities.by_value(todo, experiments, Costs(records, here()))
    assert len(ordered) == len({config for *_, config in ordered}) == len(set(todo))
    groups = list(dict.fromkeys((stage, name) for stage, name, _ in ordered))
    groups = list(dict.fromkeys((stage, name.removesuffix(" on synthetic")) for stage, name in groups))
    assert groups == [
        ("first seed", "rq1"),
        ("first seed", "table1"),
        ("first seed", "lightgcn"),  # few runs, but 500 times as long
        ("seeds", "chosen by a search"),
        ("search", "table1"),
        ("beside the claims", "table1"),
    ]
    lines = priorities.value_lines(ordered, Costs(records, here()))
    assert [line.partition(":")[0].removesuffix(" on synthetic") for line in lines] == [", ".join(g) for g in groups]
    # of the table the first learning rate decides a claim, the other tunes; BPR is not in it
    table = [(stage, config.lr, config.loss) for stage, name, config in ordered if name.startswith("table1")]
    assert {(stage, rate) for stage, rate, loss in table if loss != "bpr"} == {("first seed", 1e-3), ("search", 1e-2)}
    assert {stage for stage, _, loss in table if loss == "bpr"} == {"beside the claims"}


def test_processes_share_the_runs_and_the_command_ends_within_its_time(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    options = ["--dataset", "synthetic", "--budget", "smoke", "--results", str(tmp_path)]
    assert sweep_commands.main(["run", "rq1", *options, "--workers", "2"]) == 0
    runs = configs("rq1", "synthetic", "smoke")
    assert done(tmp_path, runs) == len(runs) == 4
    lines = [line.split()[0] for line in capfd.readouterr().out.splitlines() if line.endswith(" done")]
    assert sorted(lines) == sorted(stored_path(tmp_path, config).stem for config in runs)  # each is trained once
    assert sweep_commands.main(["estimate", "all", *options]) == 0
    printed = capfd.readouterr().out
    assert "first seed, debias on synthetic: " in printed and "first seed, table1 mf-ssm on synthetic: " in printed
    assert "first seed, rq1 on synthetic" not in printed  # nothing is left of it
    assert sweep_commands.main(["run", "all", *options, "--for", "1s"]) == 1
    for arguments in (["--for", "soon"], ["--workers", "0"], ["--workers", "2", "--scheduler", "somewhere"]):
        assert sweep_commands.main(["run", "batched", *options, *arguments]) == 1
        assert capfd.readouterr().err.startswith("Stopped: ")
    assert json.loads(stored_path(tmp_path, configs("rq1", "synthetic", "smoke")[0]).read_text())["stopped_by"]


def test_the_multi_process_service_is_started_and_ended_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service's program stands in as a script that writes down how it is called."""
    calls = tmp_path / "calls"
    script = tmp_path / mps.PROGRAM
    script.write_text(f'#!/bin/sh\necho "$@" "$(cat)" >> {calls}\nexit ${{MPS_STATUS:-0}}\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.delenv(mps.FOLDERS[0], raising=False)
    monkeypatch.setattr(mps, "TOUCH", "")
    monkeypatch.setattr(mps, "DEFAULT", tmp_path / "control")
    with mps.mps("cuda") as note:
        assert note == "on" and set(mps.FOLDERS) <= os.environ.keys()
    assert calls.read_text().split() == ["-d", "quit"] and not set(mps.FOLDERS) & os.environ.keys()
    calls.unlink()
    monkeypatch.setenv("MPS_STATUS", "1")
    with mps.mps("cuda") as note:
        assert note.startswith("did not start")
    assert calls.read_text().split() == ["-d"] and not set(mps.FOLDERS) & os.environ.keys()
    monkeypatch.delenv("MPS_STATUS")
    (tmp_path / "control").touch()  # another service, where processes look for one
    with mps.mps("cuda") as note:
        assert note.startswith("left as it is") and not set(mps.FOLDERS) & os.environ.keys()
    (tmp_path / "control").unlink()
    monkeypatch.setenv(mps.FOLDERS[0], "somewhere")
    with mps.mps("cuda") as note:
        assert note.startswith("left as it is") and os.environ[mps.FOLDERS[0]] == "somewhere"
    monkeypatch.delenv(mps.FOLDERS[0])
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    with mps.mps("cuda") as note:
        assert note.startswith("not there")


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for the service's program, which the test writes, in a place of its own."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.delenv(mps.FOLDERS[0], raising=False)
    monkeypatch.setattr(mps, "DEFAULT", tmp_path / "control")
    monkeypatch.setattr(mps, "TOUCH", "")
    script = tmp_path / mps.PROGRAM
    script.touch(0o755)
    return script


def test_a_daemon_that_keeps_its_outputs_open_holds_nobody_up(service: Path) -> None:
    service.write_text('#!/bin/sh\n[ "$1" = -d ] && (sleep 20 &)\nexit 0\n')
    start = time.monotonic()
    with mps.mps("cuda") as note:
        assert note == "on"
    assert time.monotonic() - start < 10


def test_a_service_that_no_process_reaches_is_ended_and_not_looked_for(
    service: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = service.with_name("calls")
    service.write_text(f'#!/bin/sh\necho "$@" "$(cat)" >> {calls}\n')
    monkeypatch.setattr(mps, "TOUCH", "raise RuntimeError('MPS server is not ready')")
    with mps.mps("cuda") as note:
        assert note.startswith("started, but no process reaches the GPU") and note.endswith("MPS server is not ready")
        assert not set(mps.FOLDERS) & os.environ.keys() and calls.read_text().split() == ["-d", "quit"]
    assert calls.read_text().split() == ["-d", "quit"]


def test_a_daemon_that_does_not_end_is_ended(service: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service.write_text('#!/bin/sh\n[ "$1" = -d ] || exec sleep 60\n')
    monkeypatch.setattr(mps, "PATIENCE", 1)
    daemon = subprocess.Popen(["sleep", "60"])
    with mps.mps("cuda") as note:
        Path(os.environ[mps.FOLDERS[0]], f"{mps.PROGRAM}.pid").write_text(f"{daemon.pid}\n")
        assert note == "on"
    assert daemon.wait(10) == -signal.SIGTERM


def test_the_sockets_path_is_short_however_long_the_folder_of_temporary_files(
    service: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.write_text("#!/bin/sh\n")
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setenv("TMPDIR", str(long))
    monkeypatch.setattr("tempfile.tempdir", None)
    with mps.mps("cuda"):
        assert len(os.environ[mps.FOLDERS[0]] + "/control_privileged") < 107


def test_processes_are_asked_to_end_before_they_are_terminated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Amid its work on a GPU, a process that is terminated may take the service with it."""
    endless = replace(RUNS[0], max_epochs=10**6, patience=10**6, optimizer="row_adam")  # which imports least
    context = multiprocessing.get_context("spawn")
    lifeline, here = context.Pipe(duplex=False)
    process = context.Process(target=workers._process, args=([endless], tmp_path, None, False, 1, lifeline))
    process.start()
    deadline = time.time() + 60
    while in_flight(planned(endless, tmp_path).lock) is None and time.time() < deadline:
        time.sleep(0.1)
    here.close()
    process.join(60)
    assert process.exitcode == 0 and not list(tmp_path.glob("synthetic/**/*.json"))
