"""The command line ``prismbook``: one help, quiet ends, folders below ``~``, and commands on the pages that exist."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from prismbook import __main__ as command_line
from prismlib import datasets

ROOT = Path(__file__).parents[1]
MODULE = [sys.executable, "-m", "prismbook"]
SCRIPT = [str(Path(sys.executable).with_name("prismbook"))]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A folder of which every command has a line to print: a file that is no record."""
    (tmp_path / "results/synthetic").mkdir(parents=True)
    (tmp_path / "results/synthetic/mf-bpr-0.json").write_text("{}")
    return tmp_path / "results"


def test_one_help_lists_the_commands() -> None:
    [module, script] = (
        subprocess.run([*start, "--help"], capture_output=True, text=True, check=True) for start in (MODULE, SCRIPT)
    )
    assert module.stdout == script.stdout and module.stdout.startswith("usage: prismbook [-h] COMMAND ...\n")
    assert re.findall(r"^    (\w+) ", module.stdout, re.MULTILINE) == ["sweep", "records", "ledger"]


@pytest.mark.parametrize(
    ("arguments", "usage"),
    [
        (["sweep", "--help"], "prismbook sweep [-h] {run,status,estimate} ..."),
        (["sweep", "run", "--help"], "prismbook sweep run [-h] "),
        (["records", "--help"], "prismbook records [-h] {list,why,take} ..."),
        (["records", "why", "--help"], "prismbook records why [-h] results A B"),
        (["ledger", "--help"], "prismbook ledger [-h] {show,check,accept} ..."),
        (["ledger", "check", "--help"], "prismbook ledger check [-h] [--results FOLDER] "),
    ],
)
def test_a_command_has_its_own_help(arguments: list[str], usage: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^0$"):
        command_line.main(arguments)
    assert " ".join(capsys.readouterr().out.split()).startswith(f"usage: {usage}")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ([], "prismbook: error: the following arguments are required: COMMAND"),
        (["sweeps"], "invalid choice: 'sweeps'"),
        (["records"], "prismbook records: error: the following arguments are required: command"),
        (["records", "list"], "prismbook records list: error: the following arguments are required: results"),
    ],
)
def test_a_mistyped_command_line_is_refused(
    arguments: list[str], error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match=r"^2$"):
        command_line.main(arguments)
    assert error in capsys.readouterr().err


def test_the_command_line_of_the_process_is_taken_where_none_is_given(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["prismbook", "records", "list", str(results)])
    assert command_line.main() == 1  # the folder holds a file that is no record
    assert capsys.readouterr().out.startswith("problem: ")


@pytest.mark.parametrize(
    "command",
    [
        [*MODULE, "records", "list"],
        [*MODULE, "sweep", "status", "rq1", "--budget", "smoke", "--results"],
        [*MODULE, "ledger", "show", "--results"],
    ],
    ids=["records", "sweep", "ledger"],
)
def test_a_closed_pipe_ends_a_command_quietly(command: list[str], results: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run([*command, str(results)], stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (141, "")


def test_a_closed_pipe_ends_a_help_quietly() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run([*SCRIPT, "--help"], stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert ended.stderr == "" and ended.returncode in (0, 141)  # 0 where Python does not buffer: argparse sees to it


def test_a_pipe_that_closes_in_the_middle_ends_a_command_quietly(results: Path) -> None:
    for number in range(1000):  # more than a pipe holds
        (results / f"synthetic/mf-bpr-{number}.json").write_text("{}")
    with subprocess.Popen(
        [*MODULE, "records", "list", str(results)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as listing:
        assert listing.stdout is not None and listing.stderr is not None
        assert listing.stdout.readline().startswith("problem: ")
        listing.stdout.close()
        assert (listing.stderr.read(), listing.wait()) == ("", 141)


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        (["records", "list", "~/results"], "is not a run record"),
        (["sweep", "status", "rq1", "--budget", "smoke", "--results=~/results"], "4 runs: 0 done"),
        (["ledger", "show", "--results=~/results"], "not measured"),
    ],
    ids=lambda value: value[0],
)
def test_a_folder_below_home(
    arguments: list[str],
    printed: str,
    results: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HOME", str(results.parent))
    assert command_line.main(arguments) == (1 if printed == "is not a run record" else 0)
    assert printed in capsys.readouterr().out


def test_a_user_who_is_not_there_is_a_folder_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^2$"):
        command_line.main(["records", "list", "~nobody-of-this-name/results"])
    assert "~nobody-of-this-name/results is no folder" in capsys.readouterr().err


def test_data_below_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PRISM_DATA", "~")
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path / "gowalla.npz"))):
        datasets.load("gowalla", download=False)


@pytest.mark.lint
def test_commands_that_the_pages_name_are_there() -> None:
    pages = [*ROOT.glob("*.md"), *ROOT.glob("book/*.md"), *ROOT.glob("notebooks/*.py"), *ROOT.glob("prismbook/**/*.py")]
    named = [
        command for page in pages for command in re.findall(r"-m\W{1,4}(prismbook\b\S*(?:\W+\w+)?)", page.read_text())
    ]
    assert len(named) > 20
    assert {re.sub(r"\W+", " ", command) for command in named} == {
        f"prismbook {name}" for name in command_line.COMMANDS
    }
