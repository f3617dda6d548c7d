"""The command line: ``python -m prismbook sweep | records | ledger``, also installed as ``prismbook``."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

#: For each command, the module that has its ``main``, and the line that ``--help`` shows for it.
COMMANDS = {
    "sweep": (
        "prismbook.runs.sweep_commands",
        "train the runs of an experiment, see how far they are, estimate what is left",
    ),
    "records": (
        "prismbook.runs.record_commands",
        "list the stored runs, say why two of them differ, or take in those of another folder",
    ),
    "ledger": ("prismbook.claims.ledger", "show the verdict on every claim, check it against the accepted one, accept"),
}
#: What a shell reports of a program that a closed pipe has ended: 128 and the number of the signal SIGPIPE.
CLOSED_PIPE = 141


def parser() -> argparse.ArgumentParser:
    """The commands by name. Each command reads the rest of the command line and has a ``--help`` for its options."""
    parser = argparse.ArgumentParser(
        prog="prismbook",
        description="The runs, records and verdicts of the PRISM companion.",
        epilog="prismbook COMMAND --help shows the options of a command.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (_, text) in COMMANDS.items():
        commands.add_parser(name, help=text, add_help=False)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    Args:
        arguments: the command and its arguments, e.g. ``["records", "list", "results"]``; None takes them from the
            command line.

    Returns:
        The exit status of :func:`run`, or :data:`CLOSED_PIPE`.
    """
    try:
        try:
            return run(sys.argv[1:] if arguments is None else arguments)
        finally:
            sys.stdout.flush()  # a closed pipe is noticed here and handled below, not when Python exits
    except BrokenPipeError:  # the reader, e.g. `head -1`, has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # where the rest of the buffer goes
        return CLOSED_PIPE


def run(arguments: Sequence[str]) -> int:
    """Run the command that the first word of the command line names.

    Args:
        arguments: the command and its arguments.

    Returns:
        The exit status of the command, or 1 where a package is missing. One line on stderr names that package.
    """
    began = time.time()
    command = parser().parse_args(arguments[:1]).command
    module, _ = COMMANDS[command]
    try:
        # the import is here, since `prismbook records` needs no package that tables need; it takes seconds, which
        # count for `sweep run --for`
        options = {"began": began, "worth": _worth} if command == "sweep" else {}
        status: int = import_module(module).main(arguments[1:], **options)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] in ("prismbook", "prismlib"):
            raise  # a fault of this project needs its traceback
        print(error, file=sys.stderr)
        return 1
    return status


def _worth(datasets: Sequence[str], results: Path) -> Any:
    """What missing runs may turn. Verdicts are a later stage than sweeps, and a sweep of one experiment needs none."""
    return import_module("prismbook.claims.worth").worth(datasets, results)


if __name__ == "__main__":
    sys.exit(main())
