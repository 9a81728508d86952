"""`cmeta audit`: what chronicles are worth as evidence."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import click

from cmeta.cli.callables import load_callable
from cmeta.cli.console import emit, emit_data, file_name, printable, progress
from cmeta.cli.errors import Exit, Failure
from cmeta.cli.files import STDIN, expand, open_chronicle, require_file
from cmeta.cli.options import FILE, files_argument, json_option
from cmeta.cli.values import json_line
from cmeta.tools.audit.audit import audit as examine
from cmeta.tools.audit.audit_report import AuditReport

# Of what a finding makes of its file; anything that is not listed is DIFFERS.
_EXITS = {
    "sound": Exit.FINE,
    "unreadable": Exit.USAGE,
    "comparison failed": Exit.USAGE,
    "replay failed": Exit.USAGE,
    "corrupt": Exit.CORRUPT,
    "inconclusive": Exit.INCONCLUSIVE,
}


@click.command(
    epilog="""\b
Examples:
  cmeta audit run.cmeta
  cmeta audit runs/ --json | jq 'select(.verdict != "sound")'
  cmeta audit runs/ --against reference.cmeta
  cmeta audit run.cmeta --replay train.py:cycle

\b
Verdicts, and exit codes (of several findings and files the highest):
  sound             0  nothing to find but what is good to know (info)
  questionable      1  gaps, repeated seeds, a loss that is NaN
  open              1  never closed: being written, or its writer died
  seeds contradict  1  they do not derive from the root that is stated
  differs           1  from the file of --against
  diverged          1  from what --replay computes
  unreadable        2  missing, or no file; also: --replay raises something
  corrupt           3  the bytes contradict the format
  inconclusive      5  --replay differs, and so does the environment"""
)
@files_argument
@json_option
@click.option("--against", type=FILE, metavar="FILE", help="Compare every file with this one.")
@click.option(
    "--replay", "callable_", metavar="MODULE:NAME",
    help="Replay every file with this function or class; or FILE.py:NAME.",
)  # fmt: skip
@click.option(
    "--jobs", type=click.IntRange(min=1), metavar="N",
    help="How many processes; default: one for each CPU.",
)  # fmt: skip
def audit(
    files: tuple[Path, ...],
    as_json: bool,
    against: Path | None,
    callable_: str | None,
    jobs: int | None,
) -> None:
    """Audit chronicles: bytes, gaps, seeds, leftovers.

    Folders are searched for .cmeta files.

    A FILE may also be a pattern in quotes.
    """
    paths = expand(files)
    if STDIN in paths:
        require_file(STDIN)
    cycle = None if callable_ is None else load_callable(callable_)
    if against is not None:
        _require_intact(against)
    with progress("audit") as update:
        reports = examine(paths, cycle, against, jobs=jobs, progress=update)
    for report in reports:
        if as_json:
            emit_data(json_line(_shown(report.as_json())))
        else:
            emit("".join(f"{printable(line)}\n" for line in report.lines()))
    if len(reports) > 1 and not as_json:
        emit(f"\n{_summary(reports)}\n")
    raise click.exceptions.Exit(max(map(_exit_of, reports), default=Exit.FINE))


def _exit_of(report: AuditReport) -> Exit:
    return max(_EXITS.get(verdict, Exit.DIFFERS) for verdict in report.verdicts)


def _summary(reports: list[AuditReport]) -> str:
    counts = Counter(report.verdict for report in reports)
    return f"{len(reports)} files: {', '.join(f'{n} {verdict}' for verdict, n in counts.items())}"


def _shown(found: dict[str, Any]) -> dict[str, Any]:
    return {**found, "file": file_name(found["file"])}


def _require_intact(path: Path) -> None:
    """Refuse to compare every file with one that cannot be read.

    Raises
    ------
    Failure
    """
    with open_chronicle(path) as reader:
        if reader.state == "damaged" and reader.problem is not None:
            raise Failure(f"{file_name(path)}: {reader.problem}", Exit.CORRUPT)
