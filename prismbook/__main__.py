"""The command line: ``python -m prismbook sweep | records | ledger``, also installed as ``prismbook``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

#: Each command with the module that has its ``main`` and the line that ``--help`` shows.
COMMANDS = {
    "sweep": ("prismbook.runs.sweep", "train the runs of an experiment, see how far they are, estimate what is left"),
    "records": ("prismbook.runs.records", "list the stored runs, or say why two of them differ"),
    "ledger": ("prismbook.claims.ledger", "show the verdict on every claim, check it against the accepted one, accept"),
}


def parser() -> argparse.ArgumentParser:
    """The commands; each has its own ``--help``."""
    parser = argparse.ArgumentParser(
        prog="prismbook",
        description="The runs, records and verdicts of the PRISM companion.",
        epilog="prismbook COMMAND --help has the options of a command.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (_, text) in COMMANDS.items():
        commands.add_parser(name, help=text, add_help=False)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    given, rest = parser().parse_known_args(sys.argv[1:][:1] if arguments is None else arguments[:1])
    rest = list(sys.argv[2:] if arguments is None else arguments[1:])
    try:
        # imported here: `prismbook records` needs none of what draws tables
        status: int = import_module(COMMANDS[given.command][0]).main(rest)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, e.g. `head -1`, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it flushes at exit
        return 0
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] in ("prismbook", "prismlib"):
            raise
        print(error, file=sys.stderr)
        return 1
    return status


if __name__ == "__main__":
    sys.exit(main())
