"""The command line: ``python -m prismbook sweep | records | ledger``, also installed as ``prismbook``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

#: The module that has a command's ``main``, and the line that ``--help`` shows for the command.
COMMANDS = {
    "sweep": ("prismbook.runs.sweep", "train the runs of an experiment, see how far they are, estimate what is left"),
    "records": ("prismbook.runs.records", "list the stored runs, or say why two of them differ"),
    "ledger": ("prismbook.claims.ledger", "show the verdict on every claim, check it against the accepted one, accept"),
}
#: What a shell reports of a program that a closed pipe has ended: 128 and the number of the signal SIGPIPE.
CLOSED_PIPE = 141


def parser() -> argparse.ArgumentParser:
    """The commands by name; the rest of a command line belongs to the command, which has its own ``--help``."""
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
        arguments: the command and what belongs to it, e.g. ``["records", "list", "results"]``; None takes them from
            the command line.
    """
    try:
        try:
            return run(sys.argv[1:] if arguments is None else arguments)
        finally:
            sys.stdout.flush()  # here, where a closed pipe is foreseen, and not when Python exits
    except BrokenPipeError:  # the reader, e.g. `head -1`, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still buffered has to go somewhere
        return CLOSED_PIPE


def run(arguments: Sequence[str]) -> int:
    """Hand the command line to the command that its first word names.

    Args:
        arguments: the command and what belongs to it.

    Returns:
        The exit status: the command's own, or 1 where a package is missing, which one line on stderr then names.
    """
    command = parser().parse_args(arguments[:1]).command
    module, _ = COMMANDS[command]
    try:
        # imported here: `prismbook records` needs none of what draws tables
        status: int = import_module(module).main(arguments[1:])
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] in ("prismbook", "prismlib"):
            raise  # a fault of ours, which needs its traceback
        print(error, file=sys.stderr)
        return 1
    return status


if __name__ == "__main__":
    sys.exit(main())
