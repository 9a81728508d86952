"""The entry point: the group of all commands.

A new command is a file in `commands/` and its name in `COMMANDS`. Each is imported when it is
called, so that no command loads the libraries of others.
"""

from __future__ import annotations

import difflib
import os
import sys
from importlib import import_module
from keyword import iskeyword
from pathlib import Path

import click

import cmeta
from cmeta.cli import errors
from cmeta.schema.load import shipped_format

COMMANDS = (  # in the order of the help
    "info", "validate", "cat", "head", "tail", "query", "summary", "plot", "runs",
    "diff", "audit", "replay", "recover", "import", "convert", "schema", "completion",
)  # fmt: skip

_MIN_SIMILARITY = 0.5  # of a suggested command, from 0 to 1


class _Group(click.Group):
    """A group that imports commands on demand and turns exceptions into messages."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        name = f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name
        command: click.Command = getattr(import_module(f"cmeta.cli.commands.{name}"), name)
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        with errors.as_exit_codes():  # --help and --version print
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        with errors.as_exit_codes():
            return super().invoke(ctx)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; if a file is given in its place, say what to type."""
        if args[0] not in COMMANDS and Path(args[0]).is_file():
            raise click.UsageError(
                f"{args[0]!r} is a file, expected a command: try `cmeta info {args[0]}`.", ctx
            )
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            similar = difflib.get_close_matches(args[0], COMMANDS, 3, _MIN_SIMILARITY)
            hint = f" Did you mean {' or '.join(similar)}?" if similar else ""
            raise click.UsageError(f"No such command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)


def _version() -> str:
    version = shipped_format().format
    return f"cmeta {cmeta.__version__}, format {version.major}.{version.minor}"


@click.group(
    cls=_Group,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Examples:
  cmeta info run.cmeta                     what does it contain?
  cmeta validate run.cmeta                 is every byte correct?
  cmeta cat run.cmeta --phase val          its records, as a table
  cmeta cat run.cmeta --json | jq .metrics
  cmeta query run.cmeta "loss < 0.1 and phase == 'validate'"
  cmeta tail -f run.cmeta                  follow a run while it is recorded
  cmeta runs runs/                         list all runs in a folder
  cmeta diff first.cmeta second.cmeta      where do two runs differ?
  cmeta audit runs/                        are they sound evidence?
  cmeta replay run.cmeta -- python train.py    can the run be reproduced?
  cmeta recover broken.cmeta new.cmeta     save the intact part

\b
Exit codes:
  0 success    1 differs, or never closed    2 usage or I/O error    3 corrupt
  4 recovered with loss    5 inconclusive

`cmeta COMMAND --help` explains a command.""",
)
@click.version_option(_version(), message="%(version)s")
def cli() -> None:
    """Read .cmeta chronicles, the records of machine-learning runs."""


def main() -> None:
    """Run the command line; never returns."""
    if sys.stderr is None:  # closed by the caller, who wants no messages: `cmeta ... 2>&-`
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  (until the end)
    if sys.stdout is None:
        print("Error: standard output is closed", file=sys.stderr)
        sys.exit(errors.Exit.USAGE)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal that is not UTF-8
    cli(prog_name="cmeta")
