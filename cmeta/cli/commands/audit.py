"""`cmeta audit`: whether chronicles are sound evidence."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import click

from cmeta.cli.console import (
    file_name,
    print_data,
    print_lines,
    print_text,
    progress,
)
from cmeta.cli.errors import Exit, Failure
from cmeta.cli.files import STDIN, expand, open_chronicle, require_file
from cmeta.cli.options import FILE, files_argument, jobs_option, json_option
from cmeta.cli.user_code import arguments_of, load_callable
from cmeta.cli.values import json_line
from cmeta.errors import counted
from cmeta.tools.audit.audit import audit as audit_files
from cmeta.tools.audit.audit_report import AuditReport

# The exit code of each verdict; any other is DIFFERS.
_EXITS = {
    "sound": Exit.SUCCESS,
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
Verdicts and exit codes (the highest, if there are several findings or files):
  sound             0  no findings, or only informative ones (info)
  questionable      1  gaps, repeated seeds, or a loss that is NaN
  open              1  never closed: still being written, or its writer died
  busy              1  its writer changed it each time that it was read
  seeds contradict  1  the seeds do not derive from the recorded root
  differs           1  from the file of --against
  diverged          1  from the result of --replay
  unreadable        2  missing, or not a file; or --replay raises an exception
  corrupt           3  the bytes violate the format
  inconclusive      5  --replay differs, and so does the environment"""
)
@files_argument
@json_option
@click.option("--against", type=FILE, metavar="FILE", help="Compare every file with this one.")
@click.option(
    "--replay", "callable_", metavar="MODULE:NAME",
    help="Replay every file with this function or class; or FILE.py:NAME.",
)  # fmt: skip
@jobs_option
def audit(
    files: tuple[Path, ...],
    as_json: bool,
    against: Path | None,
    callable_: str | None,
    jobs: int | None,
) -> None:
    """Audit chronicles: bytes, gaps, seeds, leftover files.

    A FILE may be a folder, for every .cmeta file below it, or a pattern in quotes.
    """
    paths = expand(files)
    if STDIN in paths:
        require_file(STDIN)
    with ExitStack() as stack:
        cycle = None
        if callable_ is not None:
            stack.enter_context(arguments_of(callable_))
            cycle = load_callable(callable_)
        if against is not None:
            _require_intact(against)
        with progress("audit") as update:
            reports = audit_files(paths, cycle, against, jobs=jobs, progress=update)
    for report in reports:
        if as_json:
            fields = report.as_json()
            print_data(json_line({**fields, "file": file_name(fields["file"])}))
        else:
            print_lines(report.lines())
    if len(reports) > 1 and not as_json:
        print_text(f"\n{_summary(reports)}\n")
    raise click.exceptions.Exit(max(map(_exit_code, reports), default=Exit.SUCCESS))


def _exit_code(report: AuditReport) -> Exit:
    return max(_EXITS.get(verdict, Exit.DIFFERS) for verdict in report.verdicts)


def _summary(reports: list[AuditReport]) -> str:
    counts = Counter(report.verdict for report in reports)
    verdicts = ", ".join(f"{count:,} {verdict}" for verdict, count in counts.items())
    return f"{counted(len(reports), 'file')}: {verdicts}"


def _require_intact(path: Path) -> None:
    """Raise unless the file to compare with can be read.

    Raises
    ------
    Failure
    """
    with open_chronicle(path) as reader:
        if reader.state == "damaged" and reader.problem is not None:
            raise Failure(f"{file_name(path)}: {reader.problem}", Exit.CORRUPT)
