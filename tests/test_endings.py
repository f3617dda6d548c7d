"""Processes end in time, with the process that started them, and by a signal as after an error."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from prismbook import __main__ as command_line
from prismbook.plan.config import RunConfig
from prismbook.runs import endings, mps, sweep_commands, workers
from prismbook.runs.endings import CLOSED_PIPE, EndedBySignal, OutOfTime, signals_raise, until
from prismbook.runs.locks import in_flight
from prismbook.runs.records import Planned, load_record, load_scores, planned

pytestmark = pytest.mark.usefixtures("heeded_signals")

# of all optimisers row_adam alone does not import torch._dynamo, which takes each process as long as torch itself
QUICK = [RunConfig("synthetic", "bpr", dim=dim, max_epochs=1, optimizer="row_adam") for dim in (4, 5)]
ENDLESS = [replace(QUICK[0], max_epochs=10**6, patience=10**6, seed=seed) for seed in (1, 2)]
PROC = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the processes are looked up in /proc")
SCRIPT = """
import sys
from pathlib import Path
from prismbook.plan.config import RunConfig
from prismbook.runs.sweep_commands import guarded
from prismbook.runs.workers import work_together
sys.exit(guarded(lambda: work_together({runs!r}, Path({results!r}), 2, None) or 0))
"""
KEPT = "What was finished is kept; the same command goes on from there.\n"


#: Started by a test.
LAUNCHED: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def nothing_goes_on() -> Iterator[None]:
    """Whatever a test that fails has left running, which would train without end beside the tests that follow."""
    yield
    while LAUNCHED:
        process = LAUNCHED.pop()
        with suppress(ProcessLookupError):  # its session is its group too, and has its workers
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def start(folder: Path, runs: list[RunConfig]) -> subprocess.Popen[str]:
    """A process that trains runs in two others, in a session of its own."""
    return launch(["-c", SCRIPT.format(runs=runs, results=str(folder / "results"))])


def launch(arguments: list[str]) -> subprocess.Popen[str]:
    paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = {name: value for name, value in os.environ.items() if name != "PRISM_DATA"}
    environment |= {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    words = [sys.executable, *arguments]
    LAUNCHED.append(subprocess.Popen(words, env=environment, start_new_session=True, **pipes))
    return LAUNCHED[-1]


def descendants(pid: int) -> set[int]:
    """The processes that a process has started, and those that they have, and so on."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    found, before = {pid}, set()
    while found != before:
        before, found = found, found | {child for child, parent in parents.items() if parent in found}
    return found - {pid}


def alive(pids: set[int]) -> set[int]:
    """Those that are still there and are no zombies."""
    there = set()
    for pid in pids:
        with suppress(OSError):
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                there.add(pid)
    return there


def wait_until(holds: Callable[[], bool], seconds: float = 240) -> None:
    last = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < last, f"not within {seconds} s"
        time.sleep(0.1)


def is_running(results: Path, config: RunConfig) -> bool:
    return in_flight(planned(config, results).lock) is not None


def is_done(results: Path, config: RunConfig) -> bool:
    return load_record(planned(config, results).path) is not None


@pytest.mark.parametrize(
    ("number", "status", "text"),
    [
        (signal.SIGTERM, 143, f"Ended by SIGTERM. {KEPT}"),
        (signal.SIGHUP, 129, f"Ended by SIGHUP. {KEPT}"),
        (signal.SIGINT, 130, f"Interrupted. {KEPT}"),
    ],
)
def test_a_signal_ends_a_command_with_one_line_and_its_status(
    number: signal.Signals, status: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> int:
        signal.raise_signal(number)
        return 0

    assert sweep_commands.guarded(command) == status
    assert capsys.readouterr().err == text


@PROC
@pytest.mark.parametrize(
    ("send", "number", "status", "text"),
    [
        (os.kill, signal.SIGTERM, 143, f"Ended by SIGTERM. {KEPT}"),
        (os.kill, signal.SIGKILL, -9, ""),
        (os.killpg, signal.SIGINT, 130, f"Interrupted. {KEPT}"),
    ],
    ids=["terminated", "killed", "ctrl-c"],
)
def test_workers_end_with_their_parent_whatever_ends_it(
    tmp_path: Path, send: Callable[[int, int], None], number: signal.Signals, status: int, text: str
) -> None:
    """A signal reaches the parent alone, but for Ctrl-C, which reaches all processes of the terminal."""
    results = tmp_path / "results"
    process = start(tmp_path, [QUICK[0], *ENDLESS])
    wait_until(lambda: is_done(results, QUICK[0]) and all(is_running(results, config) for config in ENDLESS))
    started = descendants(process.pid)
    assert len(started) >= 2
    send(process.pid, number)
    wait_until(lambda: not alive(started), seconds=20)  # the tracker of resources ends after its parent
    _, errors = process.communicate()
    assert (process.returncode, errors) == (status, text)
    path = planned(QUICK[0], results).path
    assert load_record(path) is not None and load_scores(path) is not None
    assert sorted(results.glob("synthetic/*")) == [path, path.with_suffix(".npz")]  # and no temporary file
    assert not any(is_running(results, config) for config in ENDLESS)


@PROC
def test_workers_that_are_still_starting_end_with_their_parent(tmp_path: Path) -> None:
    process = start(tmp_path, ENDLESS)
    wait_until(lambda: len(descendants(process.pid)) >= 2)
    started = descendants(process.pid)
    process.kill()
    wait_until(lambda: not alive(started), seconds=60)
    process.communicate()


@PROC
def test_a_worker_that_is_killed_is_one_line_and_the_other_goes_on(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    status: list[int] = []

    def command() -> int:
        workers.work_together([ENDLESS[0], *QUICK], tmp_path, 2, None)
        return 0

    def trainers() -> list[int]:
        found = []
        for pid in alive(descendants(os.getpid())):
            with suppress(OSError):  # it has ended since
                if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(pid)
        return found

    thread = threading.Thread(target=lambda: status.append(sweep_commands.guarded(command)), daemon=True)
    thread.start()
    try:
        wait_until(lambda: all(is_done(tmp_path, config) for config in QUICK) and is_running(tmp_path, ENDLESS[0]))
        wait_until(lambda: len(trainers()) == 1)  # the other has ended
    finally:
        for pid in trainers():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    thread.join(120)
    printed, errors = capfd.readouterr()
    assert status == [1] and "Traceback" not in printed
    assert errors == f"Stopped: 1 of 2 workers killed by SIGKILL, out of memory perhaps. {KEPT}"


@pytest.mark.parametrize("options", [["--workers", "2"], ["--for", "10m"], []])
def test_missing_data_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], options: list[str]
) -> None:
    monkeypatch.delenv("PRISM_DATA", raising=False)
    arguments = ["--dataset", "amazonbook-partial", "--budget", "lean", "--results", str(tmp_path)]
    assert command_line.main(["sweep", "run", "lightgcn", *arguments, *options]) == 1
    printed, errors = capfd.readouterr()
    assert "Traceback" not in printed + errors
    assert errors.startswith("Stopped: amazonbook-partial: no data found.") and errors.count("\n") == 1, errors


@pytest.mark.parametrize(
    ("error", "ends"), [(OSError("no space left"), KEPT), (ValueError("epochs: -1."), "epochs: -1.\n")]
)
def test_only_what_could_go_well_later_is_told_to_be_tried_again(
    error: Exception, ends: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before, a mistyped option was told that the same command goes on from there."""

    def command() -> int:
        raise error

    assert sweep_commands.guarded(command) == 1
    assert capsys.readouterr().err.endswith(ends)


def test_a_reader_that_goes_away_ends_the_sweep_quietly(tmp_path: Path) -> None:
    """As ``| head -1`` does. The runs of the experiment are replaced by shorter ones."""
    code = (
        "import sys\nfrom prismbook import __main__\nfrom prismbook.plan.config import RunConfig\n"
        "from prismbook.runs import sweep_commands\n"
        f"sweep_commands.configs = lambda *asked, **options: {QUICK!r}\n"
        f"sys.exit(__main__.main(['sweep', 'run', 'rq1', '--workers', '2', '--results', {str(tmp_path)!r}]))\n"
    )
    with launch(["-c", code]) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline().startswith("first seed, rq1 on synthetic")
        process.stdout.close()
        errors = process.stderr.read()
    assert (process.returncode, errors) == (CLOSED_PIPE, "")
    paths = list(tmp_path.glob("synthetic/*.json"))
    assert paths and all(load_record(path) is not None for path in paths)  # what was finished is kept


def test_what_is_said_of_workers_that_ended_with_an_error() -> None:
    assert workers._what_happened(["no data", "no data"], [1, 1], 2) == "no data"
    assert workers._what_happened(["no data", "full"], [1, 1], 2) == "no data (and 1 other error of workers)"
    assert workers._what_happened([], [-9, -9], 3) == "2 of 3 workers killed by SIGKILL, out of memory perhaps"
    assert workers._what_happened([], [3], 2) == "1 of 2 workers ended with an error"


def test_a_run_too_large_for_the_memory_does_not_stop_a_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = workers.attempt

    def attempt(run: Planned, **options: Any) -> str:
        if run.config == QUICK[0]:
            raise MemoryError("too large")
        return real(run, **options)

    monkeypatch.setattr(workers, "attempt", attempt)
    with pytest.raises(MemoryError, match="too large"):
        workers.work(QUICK, tmp_path, None)
    assert is_done(tmp_path, QUICK[1])


def test_the_time_is_looked_at_between_the_steps_of_an_epoch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = replace(QUICK[0], batch_size=1)  # an epoch of 64,000 steps
    start = time.monotonic()
    workers.work([long], tmp_path, time.time() + 2)
    assert time.monotonic() - start < 15
    assert "stopped: the time is over, and nothing of it is stored" in capsys.readouterr().out
    assert not list(tmp_path.glob("synthetic/*")) and not is_running(tmp_path, long)


def test_the_time_counts_from_the_start_of_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The start of Python and of its packages, which takes seconds, is in it."""
    options = ["rq1", "--budget", "smoke", "--results", str(tmp_path), "--for", "60s"]
    start = time.monotonic()
    assert sweep_commands.main(["run", *options], began=time.time() - 59.5) == 1
    assert time.monotonic() - start < 20 and not list(tmp_path.glob("synthetic/*"))
    assert "4 missing" in capfd.readouterr().out
    seen: dict[str, Any] = {}
    monkeypatch.setattr(sweep_commands, "main", lambda arguments, **given: seen.update(given) or 0)
    before = time.time()
    assert command_line.main(["sweep", "run", *options]) == 0
    assert before <= seen["began"] <= time.time()


def test_the_help_says_what_is_promised(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        sweep_commands.main(["run", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "counted from the start of the command" in text and "never measured, is stopped between two steps" in text


def test_a_block_ends_when_its_time_is_over() -> None:
    before, start = signal.getsignal(signal.SIGINT), time.monotonic()
    with pytest.raises(OutOfTime), until(time.time() + 0.5):
        time.sleep(60)  # also what waits for the system is interrupted
    assert time.monotonic() - start < 10 and signal.getsignal(signal.SIGINT) == before
    with until(time.time() + 0.3):
        pass
    time.sleep(0.6)  # nothing comes later


def test_an_interruption_that_is_swallowed_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endings, "AGAIN", 0.2)

    def body() -> None:
        with until(time.time() + 0.5):
            with suppress(OutOfTime):
                time.sleep(60)
            time.sleep(60)

    start = time.monotonic()
    with pytest.raises(OutOfTime):
        body()
    assert time.monotonic() - start < 20


def test_a_time_that_is_over_already_ends_the_block() -> None:
    before = signal.getsignal(signal.SIGINT)

    def body() -> None:
        with until(time.time() - 1):
            time.sleep(60)

    for _ in range(20):  # wherever in its beginning the block is interrupted
        with pytest.raises(OutOfTime):
            body()
        assert signal.getsignal(signal.SIGINT) == before


def test_a_block_ends_when_the_other_end_of_its_lifeline_is_closed() -> None:
    lifeline, other = multiprocessing.Pipe(duplex=False)
    threading.Timer(0.3, other.close).start()
    with pytest.raises(OutOfTime), until(None, lifeline):
        time.sleep(60)


def test_ctrl_c_stays_an_interruption_in_a_block() -> None:
    with pytest.raises(KeyboardInterrupt), until(time.time() + 60):
        signal.raise_signal(signal.SIGINT)


def test_in_another_thread_nothing_is_interrupted() -> None:
    reached = []

    def body() -> None:
        with signals_raise(), until(time.time()):
            time.sleep(0.5)
            reached.append(True)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert reached


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    """As SIGHUP is under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals_raise():
            signal.raise_signal(signal.SIGHUP)
            with pytest.raises(EndedBySignal) as raised:
                signal.raise_signal(signal.SIGTERM)
        assert raised.value.args == (signal.SIGTERM,)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_multi_process_service_ends_with_its_parent(tmp_path: Path, number: signal.Signals) -> None:
    """The service's program stands in as a script that writes down how it is called."""
    calls, script = tmp_path / "calls", tmp_path / mps.PROGRAM
    script.write_text(f'#!/bin/sh\necho "$@" "$(cat)" >> {calls}\n')
    script.chmod(0o755)
    code = (
        "import os, sys, time\nfrom pathlib import Path\n"
        "from prismbook.runs import mps\nfrom prismbook.runs.sweep_commands import guarded\n"
        f"mps.TOUCH, mps.DEFAULT = '', Path({str(tmp_path / 'control')!r})\n"
        "def command():\n"
        "    with mps.mps('cuda') as note:\n"
        "        print(note, os.environ[mps.FOLDERS[0]], flush=True)\n"
        "        time.sleep(60)\n"
        "sys.exit(guarded(command))\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        patch.delenv(mps.FOLDERS[0], raising=False)
        process = launch(["-c", code])
    assert process.stdout is not None
    note, folder = process.stdout.readline().split()
    assert note == "on" and calls.read_text().split() == ["-d"]
    process.send_signal(number)
    wait_until(lambda: calls.read_text().split() == ["-d", "quit"] and not Path(folder).exists(), seconds=30)
    process.communicate()
