"""Sweeps: killed, interrupted, with bad runs, damaged files or a full disk, by several processes and on a cluster."""

from __future__ import annotations

import errno
import json
import os
import re
import resource
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from prismbook.plan.config import PROTOCOLS, RunConfig
from prismbook.plan.experiments import EXPERIMENTS, Search, configs, grid_configs, searches
from prismbook.plan.hyperparameters import LOSS_GRIDS
from prismbook.runs import locks, record_commands, sweep, sweep_commands
from prismbook.runs.attempts import attempt, get_records
from prismbook.runs.cost import Costs, duration
from prismbook.runs.failures import failure_of, load_failure, save_failure
from prismbook.runs.locks import in_flight
from prismbook.runs.machine import is_shortage
from prismbook.runs.records import Planned, load_record, load_scores, planned, scan, stored_path
from prismbook.runs.run import run
from prismbook.runs.sweep import Sweep, plan

DECAYS = (0.0, 1e-7, 1e-6)
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
# what a shell starts in the background ignores Ctrl-C, and so does all that it starts: these tests, and this script
SCRIPT = """
import signal, sys
from pathlib import Path
from prismbook.plan.config import RunConfig
from prismbook.runs.sweep import Sweep
from prismbook.runs.sweep_commands import guarded, run_all
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(guarded(lambda: run_all(Sweep({runs!r}, [], Path(sys.argv[1])), ("rq1", "test"))))
"""


def grid(decays: tuple[float, ...] = DECAYS, epochs: int = 1, **fields: object) -> list[RunConfig]:
    return grid_configs(
        "synthetic", ["bpr"], decays, dim=4, epochs=epochs, **{"patience": epochs, "lr": 1e-3, **fields}
    )


def shared(epochs: int) -> list[RunConfig]:
    """Four runs for processes that only they occupy: of all optimisers row_adam alone does not import torch._dynamo,
    which takes each process as long as torch itself."""
    common = {"dim": 4, "patience": epochs, "lr": 1e-3, "optimizer": "row_adam"}
    return grid_configs("synthetic", ["bpr"], 0.0, (1, 2, 3, 4), epochs, **common)


#: What the processes share that start() starts.
RUNS = shared(3)


def stored(results: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in results.glob("synthetic/*.json")}


def start(results: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SCRIPT.format(runs=RUNS), str(results)]
    return subprocess.Popen(command, env=ENVIRONMENT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def wait_until(holds: Callable[[], bool], *processes: subprocess.Popen[str], seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not happen in time"
        for process in processes:
            assert process.poll() is None, process.communicate()
        time.sleep(0.03)


def held(results: Path) -> int:
    """Locks that are held at this moment."""
    return sum(in_flight(path) is not None for path in (results / ".locks").glob("*.lock"))


def all_there(results: Path, runs: list[RunConfig]) -> None:
    """Each of the runs has one record and its scores, and nothing else is left."""
    records, problems = scan(results)
    assert problems == [] and len(records) == len(runs)
    paths = [planned(config, results).path for config in runs]
    assert {*(results / "synthetic").iterdir()} == {*paths, *(path.with_suffix(".npz") for path in paths)}


# one process


def test_a_run_that_fails_is_recorded_with_its_reason_and_the_others_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad, good = grid((0.0,), lr=1e30)[0], grid((1e-6,))[0]
    first, second = get_records([bad, good], tmp_path, progress=False)
    assert first is None and second is not None
    assert "failed: FloatingPointError: the loss became nan in epoch" in capsys.readouterr().out
    failure = load_failure(planned(bad, tmp_path))
    assert failure is not None
    assert failure["config"] == vars(bad) and failure["epochs"] == 1 and failure["seconds"] > 0
    assert failure["environment"]["torch"] and failure["when"].startswith("20")
    assert scan(tmp_path)[1] == []  # a failure is not a damaged record

    # it is not tried again unless asked to; once it succeeds, the failure is gone
    written = planned(bad, tmp_path).failure.stat().st_mtime_ns
    assert attempt(planned(bad, tmp_path)) == "failed"
    assert get_records([bad], tmp_path, train=False) == [None]
    assert "failed" in capsys.readouterr().out
    assert planned(bad, tmp_path).failure.stat().st_mtime_ns == written
    assert attempt(planned(bad, tmp_path), retry_failed=True) == "failed"
    assert planned(bad, tmp_path).failure.stat().st_mtime_ns > written
    planned(bad, tmp_path).failure.rename(planned(good, tmp_path).failure)
    assert attempt(planned(good, tmp_path), force=True) == "done"
    assert list((tmp_path / "synthetic/failed").iterdir()) == []


def test_runs_train_without_tqdm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    assert get_records(grid((0.0,)), tmp_path) != [None]
    assert sweep_commands.run_all(Sweep(grid((0.0, 1e-6)), [], tmp_path), ("rq1", "test")) == 0


@pytest.mark.parametrize(
    "loss",
    [
        {"loss": "directau", "gamma": 1.0},
        {"loss": "ssm", "tau": 0.2, "num_negatives": 3},
        {"loss": "mawu", "gamma_user": 1.0, "gamma_item": 0.5},
    ],
)
def test_tables_that_overflow_under_a_finite_loss_are_a_failed_run(tmp_path: Path, loss: dict[str, object]) -> None:
    config = RunConfig("synthetic", dim=4, max_epochs=1, lr=1e19, **loss)  # type: ignore[arg-type]
    assert get_records([config, *grid((0.0,))], tmp_path, progress=False)[1] is not None
    failure = load_failure(planned(config, tmp_path))
    assert failure is not None and re.match("FloatingPointError: .* overflow float32: lower lr", failure["reason"])
    assert not planned(config, tmp_path).path.with_suffix(".npz").exists()


def test_a_sweep_reports_failed_and_damaged_runs_and_leaves_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [*grid(), *grid((0.0,), lr=1e30)]
    damaged = planned(runs[1], tmp_path).path
    damaged.parent.mkdir(parents=True)
    damaged.write_text('{"half": ')
    assert sweep_commands.run_all(Sweep(runs, [], tmp_path), ("rq1", "test")) == 1
    printed = capsys.readouterr().out
    assert "4 runs: 2 done, 1 failed, 1 damaged, 0 running, 0 missing" in printed
    assert f"{damaged} is not readable as a run record" in printed and "the loss became nan" in printed
    assert damaged.read_text() == '{"half": '
    before = stored(tmp_path)
    assert (
        sweep_commands.run_all(Sweep(runs, [], tmp_path), ("rq1", "test")) == 1
    )  # again: nothing to do, the same report
    assert stored(tmp_path) == before and "0 left to train" in capsys.readouterr().out
    damaged.unlink()
    assert sweep_commands.run_all(Sweep(runs, [], tmp_path), ("rq1", "test"), retry=True) == 1
    assert "[2/2]" in capsys.readouterr().out


def test_a_full_disk_stops_the_sweep_with_one_clear_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = grid(DECAYS[:2])
    assert attempt(planned(runs[0], tmp_path)) == "done"
    before = stored(tmp_path)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limit[1]))  # a write past 1,000 bytes fails, as on a full disk
    try:
        assert sweep_commands.guarded(lambda: sweep_commands.run_all(Sweep(runs, [], tmp_path), ("rq1", "test"))) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, old)
    error = capsys.readouterr().err
    assert error.startswith("Stopped: ") and "File too large" in error and error.count("\n") == 1
    assert stored(tmp_path) == before
    assert not (tmp_path / "synthetic/failed").exists()  # the disk's fault, not the run's
    assert get_records(runs, tmp_path, progress=False)[0] == json.loads(next(iter(before.values())))
    all_there(tmp_path, runs)


def test_locks(tmp_path: Path) -> None:
    [config] = grid((0.0,))
    lock = planned(config, tmp_path).lock
    assert lock.parent == tmp_path / ".locks" and "synthetic" in lock.name
    with locks.lock(lock) as acquired:
        assert acquired
        lock.write_text("epoch 3")
        code = "from prismbook.plan.config import RunConfig; from prismbook.runs.records import planned\n"
        code += f"from prismbook.runs.attempts import attempt; print(attempt(planned({config!r}, {str(tmp_path)!r})))"
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert (other.stdout, other.returncode) == ("busy\n", 0), other.stderr
        assert [in_flight(lock), in_flight(lock), lock.read_text()] == ["epoch 3"] * 3  # to ask does not empty it
    assert in_flight(lock) is None and not lock.exists()
    assert attempt(planned(config, tmp_path)) == "done"
    assert not lock.exists()
    # the oldest version of which this holds, and nobody may install an older one
    assert '"filelock>=3.30"' in (Path(__file__).parents[1] / "pyproject.toml").read_text()


def test_killed_started_again_interrupted_and_started_again(tmp_path: Path) -> None:
    before: dict[str, bytes] = {}
    for how, status in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)):
        process = start(tmp_path)
        wait_until(lambda: len(stored(tmp_path)) > len(before) and held(tmp_path) == 1, process)  # noqa: B023
        process.send_signal(signal.SIGSTOP)  # so that it stays in the middle of this run while we look
        notes = {path: path.read_text() for path in (tmp_path / ".locks").glob("*.lock")}
        [running] = [c for c in RUNS if sweep.state(c, tmp_path)[0] == "running"]
        note = notes[planned(running, tmp_path).lock] or "first epoch"
        assert sweep.state(running, tmp_path)[1] == note and note.startswith(("epoch ", "first epoch"))
        process.send_signal(how)
        process.send_signal(signal.SIGCONT)
        _, error = process.communicate()
        assert process.returncode == status
        assert error.startswith("Interrupted. ") or how == signal.SIGKILL
        assert before.items() <= stored(tmp_path).items()
        before = stored(tmp_path)
        assert held(tmp_path) == 0 and sweep.state(running, tmp_path)[0] == "missing"  # its lock is free again
    assert None not in get_records(RUNS, tmp_path, progress=False)
    assert before.items() <= stored(tmp_path).items()
    all_there(tmp_path, RUNS)


def test_two_processes_share_the_work(tmp_path: Path) -> None:
    first = start(tmp_path)
    wait_until(lambda: held(tmp_path) == 1, first)
    first.send_signal(signal.SIGSTOP)  # in the middle of a run, so that the second finds one taken and the others free
    assert held(tmp_path) == 1 and len(stored(tmp_path)) < len(RUNS)
    with ThreadPoolExecutor() as pool:
        try:
            second = pool.submit(sweep_commands.run_all, Sweep(RUNS, [], tmp_path), ("rq1", "test"))
            wait_until(lambda: len(stored(tmp_path)) == len(RUNS) - 1 or second.done())
            time.sleep(2)  # longer than a run takes
            assert len(stored(tmp_path)) == len(RUNS) - 1 and held(tmp_path) == 1 and not second.done()  # it waits
        finally:
            first.send_signal(signal.SIGCONT)
    output = first.communicate()
    assert [first.returncode, second.result()] == [0, 0], output
    all_there(tmp_path, RUNS)


# a cluster


def dask(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", *arguments]
    return subprocess.Popen(command, env=ENVIRONMENT, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def start_scheduler(file: Path) -> subprocess.Popen[str]:
    options = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file))
    return dask("distributed.cli.dask_scheduler", *options)


def start_worker(file: Path) -> subprocess.Popen[str]:
    options = ("--scheduler-file", str(file), "--nthreads", "1", "--no-nanny", "--no-dashboard")
    return dask("distributed.cli.dask_worker", *options)


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        process.kill()
        process.communicate()


def test_a_cluster_survives_a_killed_worker_and_a_killed_scheduler(
    tmp_path: Path, processes: list[subprocess.Popen[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    file, first, second = tmp_path / "scheduler.json", tmp_path / "first", tmp_path / "second"
    runs = shared(epochs=4)
    scheduler = start_scheduler(file)
    workers = [start_worker(file) for _ in range(2)]
    processes += [scheduler, *workers]
    wait_until(file.exists, scheduler)
    from distributed import Client

    with Client(scheduler_file=str(file)) as client:  # a worker that came late would find no run left
        client.wait_for_workers(2, timeout=120)

    def ask(results: Path) -> int:
        sweep = Sweep(runs, [], results)
        return sweep_commands.guarded(lambda: sweep_commands.run_all(sweep, ("rq1", "test"), str(file)))

    with ThreadPoolExecutor() as pool:
        # two workers train side by side; one is killed in the middle of a run
        asked = pool.submit(ask, first)
        wait_until(lambda: (len(stored(first)) >= 1 and held(first) == 2) or asked.done(), *workers)
        before = stored(first)
        assert len(before) < len(runs)
        workers[0].kill()
        assert asked.result(timeout=240) == 0
        output = capsys.readouterr().out
        assert output.count(" done: ") == len(runs) and "0 s of one worker left" in output
        assert before.items() <= stored(first).items()
        all_there(first, runs)

        # the scheduler is killed in the middle of a run; the sweep says so, and goes on elsewhere
        asked = pool.submit(ask, second)
        wait_until(lambda: (len(stored(second)) >= 1 and held(second) == 1) or asked.done(), scheduler)
        scheduler.kill()
        assert asked.result(timeout=240) == 1
        error = capsys.readouterr().err
        assert "Stopped: the scheduler at tcp://127.0.0.1:" in error and "is lost" in error
    before = stored(second)
    assert sweep_commands.run_all(Sweep(runs, [], second), ("rq1", "test")) == 0
    assert before.items() <= stored(second).items()
    all_there(second, runs)


def test_a_scheduler_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from prismbook.runs import cluster

    with pytest.raises(ConnectionError, match=r"no scheduler answers at tcp://127.0.0.1:1 "):
        list(cluster.attempt_on_cluster(grid(), tmp_path, "tcp://127.0.0.1:1", timeout=0.5))
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install -e '.\[cluster\]' in a checkout"):
        list(cluster.attempt_on_cluster(grid(), tmp_path, "tcp://127.0.0.1:1"))
    with pytest.raises(ValueError, match="all workers must share the results folder"):
        cluster.work(grid()[0], tmp_path / "elsewhere", "x", False)
    with pytest.raises(ValueError, match="another version of prismlib"):
        cluster.work(grid()[0], tmp_path, "x", False)


def test_a_run_whose_workers_were_killed_has_not_failed(tmp_path: Path) -> None:
    from prismbook.runs import cluster

    [config] = grid((0.0,), device="cuda")  # a device that the client need not have
    error = cluster._killed(config, tmp_path, "run-1")
    assert "every worker that tried it was killed, out of memory perhaps (run-1)" in str(error)
    assert sweep.state(config, tmp_path)[0] == "missing" and list(tmp_path.iterdir()) == []


# what is the machine's is never the run's

CPU_ALLOCATOR = (
    "[enforce fail at alloc_cpu.cpp:119] err == 0. DefaultCPUAllocator: can't allocate memory: you tried ..."
)
SHORTAGES = [
    MemoryError("training needs about 10.0 GB on cpu, where 1.0 GB are free: lower batch_size"),
    np._core._exceptions._ArrayMemoryError((10**9,), np.dtype(float)),
    RuntimeError(CPU_ALLOCATOR),
    RuntimeError("not enough memory: you tried to allocate 400 GB"),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
    RuntimeError("CUDA error: an illegal memory access was encountered"),
    RuntimeError("CUDA driver initialization failed"),
    RuntimeError("cuBLAS error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"),
    RuntimeError("cuDNN error: CUDNN_STATUS_NOT_INITIALIZED"),
    RuntimeError("can't start new thread"),
    RuntimeError("unable to mmap 1024 bytes from file </torch_1>: Cannot allocate memory (12)"),
    RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed."),
    OSError(errno.EMFILE, "Too many open files"),
    OSError(errno.ENOSPC, "No space left on device"),
    BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"),
    ImportError("libcudart.so.12: cannot open shared object file"),
    ModuleNotFoundError("No module named 'pooch'"),
]


@pytest.mark.parametrize("error", SHORTAGES, ids=lambda error: f"{type(error).__name__}-{str(error)[:20]}")
def test_what_is_the_machines_is_never_the_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    [config] = grid((0.0,))

    def fails(*_: object, **__: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr("prismbook.runs.attempts.run", fails)
        with pytest.raises(type(error)) as caught:
            get_records([config], tmp_path, progress=False)
        assert caught.value is error
        assert sweep.state(config, tmp_path)[0] == "missing" and not (tmp_path / "synthetic").exists()
        assert (
            sweep_commands.guarded(lambda: sweep_commands.run_all(Sweep([config], [], tmp_path), ("rq1", "test"))) == 1
        )
        printed = capsys.readouterr().err
        assert printed.startswith("Stopped: ") and printed.count("\n") == 1
    # one that an earlier version stored is tried again
    run = planned(config, tmp_path)
    save_failure(failure_of(run, f"{type(error).__name__}: {error}"), run)
    assert sweep.state(config, tmp_path)[0] == "missing"


def test_a_run_too_large_for_the_memory_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large, *others = grid(DECAYS[:2])

    def run_what_fits(planned: Planned, on_epoch: object = None) -> object:
        if planned.config == large:
            raise MemoryError("too large")
        return run(planned)

    with monkeypatch.context() as patch:
        patch.setattr("prismbook.runs.attempts.run", run_what_fits)
        with pytest.raises(MemoryError, match="too large"):
            get_records([large, *others], tmp_path, progress=False)
    assert [sweep.state(config, tmp_path)[0] for config in (large, *others)] == ["missing", "done"]
    assert attempt(planned(large, tmp_path)) == "done"


def test_what_is_the_runs_stays_its_failure() -> None:
    for error in (FloatingPointError("the loss became nan in epoch 3"), RuntimeError("shape mismatch"), KeyError("x")):
        assert not is_shortage(error) and not is_shortage(f"{type(error).__name__}: {error}")


# plans, costs and the command line


def test_experiments_are_lists_of_configurations() -> None:
    for experiment in [*EXPERIMENTS, "table1"]:
        for dataset, budget in (("synthetic", "smoke"), ("gowalla", "lean"), ("movielens1m", "paper")):
            found = configs(experiment, dataset, budget, device="cuda")
            assert found and len(found) == len(set(found))
            assert {(c.dataset, c.device) for c in found} == {(dataset, "cuda")}
    assert configs("rq1", "gowalla") == grid_configs("gowalla")
    for name, value in PROTOCOLS["released"].items():
        switched = [c for c in configs("switches", "gowalla") if getattr(c, name) == value]
        assert len(switched) == 1
        as_in_the_text = replace(switched[0], **{name: getattr(RunConfig("gowalla", "bpr"), name)})
        assert as_in_the_text in configs("switches", "gowalla")
    paper = searches("table1", "movielens1m", "paper")
    assert len(paper) == 16 and all({c.seed for c in search.grid} == set(search.seeds) for search in paper)
    assert all(c.weight_decay == 0 and c.alpha == 1 for s in paper if s.name.endswith("prism") for c in s.grid)
    lean = searches("table1", "movielens1m")
    assert all(len({c.seed for c in s.grid}) == 1 and len(s.seeds) == 3 for s in lean)
    # one parameter at a time: at the loss parameters of this dataset, and at one decay
    decay, prism = ({(c.weight_decay, c.gamma) for c in s.grid} for s in lean if s.name.startswith("mf-directau"))
    gammas = [parameters["gamma"] for parameters in LOSS_GRIDS["directau"]]
    assert decay == {(1e-4, gamma) for gamma in gammas} | {(one, 0.5) for one in (0, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4)}
    assert prism == {(0.0, gamma) for gamma in gammas}
    for search in (s for name in ("yelp2018", "gowalla") for s in searches("table1", name) if s.name.endswith("decay")):
        # both arms of every cross are whole: its centre is among the loss parameters that are searched
        assert {c.weight_decay for c in search.grid} == {0, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4}
    whole = next(s for s in paper if s.name == "mf-directau-decay")
    assert len({(c.weight_decay, c.gamma) for c in whole.grid}) == 36
    for bad, message in (
        (("rq9", "gowalla"), "experiment must be one of rq1"),
        (("rq1", "gowalla", "rich"), "budget must be one of smoke, lean, paper"),
        (("rq1", "gowalla", "smoke"), "the budget smoke is for dataset='synthetic' alone"),
    ):
        with pytest.raises(ValueError, match=message):
            configs(*bad)


def test_a_search_is_run_its_choice_at_all_seeds_and_its_cost_stored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    search = Search("toy", tuple(grid((0.0, 1e-4), 2) + grid((0.0,), 2, lr=1e30)), (123, 246))
    tuned = Sweep(list(search.grid), [search], tmp_path)
    known, later = plan(tuned)
    assert (len(known), len(later)) == (3, 2)
    assert sweep_commands.run_all(tuned, ("toys", "test")) == 1
    assert "5 runs, 5 left to train, 2 of them still to be chosen" in capsys.readouterr().out
    known, later = plan(tuned)
    # the two best at the other seed; runs that the limit of epochs ends are in no dip
    assert (len(known), len(later)) == (5, 0) and [config.seed for config in known[3:]] == [246, 246]
    records = [load_record(planned(config, tmp_path).path) for config in search.grid[:2]]
    over_seeds = [
        [load_record(stored_path(tmp_path, replace(config, seed=seed, split_seed=seed))) for seed in (123, 246)]
        for config in search.grid[:2]
    ]
    best = max((0, 1), key=lambda i: sum(max(r["history"]["validation_dot"]) for r in over_seeds[i]))  # type: ignore[index]
    report = json.loads((tmp_path / "synthetic/tuning/toys-test-toy-cpu.json").read_text())
    assert report["chosen"] == {"lr": 1e-3, "weight_decay": search.grid[best].weight_decay}
    assert report["grid"] == {"lr": [1e-3, 1e30], "weight_decay": [0.0, 1e-4], "seed": [123]}
    assert (report["cost"]["runs"], report["cost"]["failed"], report["cost"]["epochs"]) == (3, 1, 5)
    spent = sum(r["seconds"]["train"] + r["seconds"]["evaluate"] for r in records)  # type: ignore[index]
    assert report["cost"]["seconds"].keys() == {"cpu"} and report["cost"]["seconds"]["cpu"] > spent
    scores = load_scores(stored_path(tmp_path, known[-1]))
    assert scores is not None and len(scores["user"]) > 100


def test_costs_come_from_like_runs(tmp_path: Path) -> None:
    [record] = get_records(grid((0.0,), 4), tmp_path, progress=False)
    assert record is not None
    config, device = grid((1e-6,), 10)[0], record["environment"]["device"]
    seconds = record["seconds"]["train"] + record["seconds"]["evaluate"]
    known = Costs([record], device).expected({config: 3})
    assert (known.epochs, known.most_epochs, known.unmeasured) == (12, 30, [])
    assert known.hours == pytest.approx(3 * seconds / 3600) and known.most_hours == pytest.approx(7.5 * seconds / 3600)
    elsewhere = Costs([record], "another device")
    # before, the time on a new machine was unknown, and runs had no order by hours
    there = elsewhere.expected({config: 3})
    assert (there.hours, there.unmeasured, there.scaled) == (known.hours, [], ("mf with bpr on another machine",))
    elsewhere.measure([config])
    assert elsewhere.expected({config: 1}).scaled == () and elsewhere.expected({config: 1}).hours > 0


@pytest.mark.parametrize("error", [MemoryError, ValueError, FloatingPointError])
def test_a_kind_whose_epoch_fails_is_tried_once_and_stays_unmeasured(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    tried = []

    def fails(planned: Planned) -> None:
        tried.append(planned)
        raise error("made up")

    monkeypatch.setattr("prismbook.runs.cost.run", fails)
    costs = Costs([], None)
    costs.measure(grid((0.0, 1e-6, 1e-4), 4))
    assert len(tried) == 1 and costs.expected({grid((0.0,), 4)[0]: 1}).unmeasured == ["mf with bpr"]


def test_how_long_a_reader_wants_it() -> None:
    assert [duration(hours) for hours in (0, 0.02, 1, 2)] == ["0 s", "72 s", "60 min", "2.0 h"]


def test_the_page_names_every_experiment_and_its_commands_and_code_are_valid() -> None:
    page = (Path(__file__).parents[1] / "book/cluster.md").read_text()
    commands = re.findall(r"python -m prismbook sweep ([^&#\n]+)", page)
    assert len(commands) >= 6
    for command in commands:
        given = sweep_commands.parser().parse_args(shlex.split(command))
        configs(given.experiment, given.dataset, given.budget)
    table = "".join(line for line in page.splitlines() if line.startswith("| `"))
    assert all(f"`{experiment}`" in table for experiment in [*EXPERIMENTS, "table1"])
    for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        compile(code, "cluster.md", "exec")
        exec("\n".join(re.findall(r"^from prismlib.*", code, re.MULTILINE)), {})  # what it imports is there


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["rq1", "--budget", "smoke", "--results", str(tmp_path)]
    assert sweep_commands.main(["estimate", *options]) == 0
    printed = capsys.readouterr().out
    assert "4 runs, 4 left to train\nepochs: about 8, at most 8\ntime: about " in printed
    assert not (tmp_path / "synthetic").exists()
    assert sweep_commands.main(["status", *options]) == 0
    assert "4 runs: 0 done, 0 failed, 0 damaged, 0 running, 4 missing" in capsys.readouterr().out
    assert sweep_commands.main(["run", *options]) == 0
    printed = capsys.readouterr().out
    assert "[4/4] mf-directau-" in printed and "0 s left" in printed
    assert sweep_commands.main(["status", *options]) == 0
    assert "4 runs: 4 done" in capsys.readouterr().out
    assert sweep_commands.main(["run", "rq1", "--dataset", "gowalla", "--budget", "smoke"]) == 1
    assert "Stopped: the budget smoke is for" in capsys.readouterr().err
    assert sweep_commands.main(["estimate", *options, "--device", "cuda"]) == (0 if torch.cuda.is_available() else 1)
    capsys.readouterr()
    with pytest.raises(SystemExit):
        sweep_commands.main(["run", "rq9"])
    assert "invalid choice: 'rq9'" in capsys.readouterr().err


def test_every_option_is_explained_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    for make in (sweep_commands.parser, record_commands.parser):
        [commands] = [action for action in make()._actions if action.dest == "command"]
        assert commands.choices is not None
        for command in commands.choices.values():  # type: ignore[attr-defined]
            actions = [action for action in command._actions if action.dest != "help"]
            for text in (command.description, *(action.help for action in actions)):
                assert re.fullmatch(r"[A-Z].*\.", text, re.DOTALL), text
            assert command.format_help()
