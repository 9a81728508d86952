"""`cmeta validate`: every rule of the format, over whole files."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path

import click

from cmeta.cli.console import (
    file_name,
    print_data,
    print_error,
    print_lines,
    print_text,
    progress,
)
from cmeta.cli.errors import Exit, Failure, describe, reading
from cmeta.cli.files import expand, open_state, readable
from cmeta.cli.options import files_argument, json_option
from cmeta.cli.values import json_line
from cmeta.errors import LimitError, counted
from cmeta.storage.watch import BUSY
from cmeta.validate import Report
from cmeta.validate import validate as validate_source

_EXITS = {
    "valid": Exit.SUCCESS,
    "open": Exit.DIFFERS,
    "busy": Exit.DIFFERS,
    "corrupt": Exit.CORRUPT,
}


@click.command(
    epilog="""\b
Examples:
  cmeta validate run.cmeta
  cmeta validate --no-canonical runs/*.cmeta   faster: only readable?
  cmeta validate runs/                         every .cmeta file below it
  zstd -dc run.cmeta.zst | cmeta validate -
  cmeta validate --json run.cmeta | jq .findings

\b
Verdicts and exit codes (the highest, if there are several files):
  valid    0  closed, and every byte is as the format requires
  open     1  intact so far, but never closed: still being written, or its
              writer died; its journal is checked too
  busy     1  its writer changed it each time that it was read
  corrupt  3  each finding has an offset, an element, a class and a message
A file that cannot be read counts as 2."""
)
@files_argument
@json_option
@click.option(
    "--canonical/--no-canonical", default=True,
    help="Also check that the bytes are exactly those that a writer must choose (the default; "
    "takes about as long as writing the file).",
)  # fmt: skip
@click.option(
    "--max-cells", type=click.IntRange(min=0), metavar="N",
    help="Refuse a file with more than N values, which may be small and take minutes.",
)  # fmt: skip
def validate(
    files: tuple[Path, ...], as_json: bool, canonical: bool, max_cells: int | None
) -> None:
    """Check every byte of chronicles.

    A FILE may be a folder, for every .cmeta file below it, or a pattern in quotes.
    """
    worst = Exit.SUCCESS
    verdicts: Counter[str] = Counter()
    paths = expand(files)
    for file in paths:
        try:
            report = _validated(file, canonical, max_cells)
        except Failure as failure:
            print_error(failure.message)
            worst, verdict = max(worst, failure.code), "unreadable"
        else:
            verdict = _verdict(report)
            worst = max(worst, _EXITS[verdict])
            if as_json:
                print_data(json_line(_as_dict(file, report)))
            else:
                print_lines(_lines(file, report))
        verdicts[verdict] += 1
    if len(paths) > 1 and not as_json:
        counts = ", ".join(f"{count:,} {verdict}" for verdict, count in verdicts.items())
        print_text(f"{counted(len(paths), 'file')}: {counts}\n")
    raise click.exceptions.Exit(worst)


def _verdict(report: Report) -> str:
    if report.ok:
        return "valid"
    if report.state == "busy":
        return "busy"
    return "open" if report.state == "open" and not report.findings else "corrupt"


def _validated(file: Path, canonical: bool, max_cells: int | None) -> Report:
    source = readable(file)
    with reading(file), progress(file.name) as update:
        try:
            report = validate_source(
                source, canonical=canonical, max_cells=max_cells, progress=update
            )
        except LimitError as err:
            message = f"{err.message.removesuffix(' (max_cells)')} (--max-cells)"
            raise Failure(f"{file_name(file)}: not checked: {message}", Exit.USAGE) from err
    report.findings.sort(key=lambda finding: finding.offset)
    return report


def _lines(file: Path, report: Report) -> list[str]:
    name, verdict, length = file_name(file), _verdict(report), counted(report.len_file, "byte")
    records, batches = counted(report.num_records, "record"), report.num_batches
    contents = f"{records} in {counted(batches, 'batch', 'batches')}"
    if verdict == "valid":
        return [f"{name}: valid: {contents}, {length}"]
    if verdict == "busy":
        return [f"{name}: busy: {BUSY}"]
    if verdict == "open":
        return [f"{name}: open: {open_state(report.has_journal)}; intact: {contents}"]
    findings = counted(len(report.findings), "finding")
    return [
        f"{name}: corrupt: {findings} in {length}; intact: {contents}",
        *(f"  {describe(finding)}" for finding in report.findings),
    ]


def _as_dict(file: Path, report: Report) -> dict[str, object]:
    return {
        "file": file_name(file),
        "verdict": _verdict(report),
        "state": report.state,
        "has_journal": report.has_journal,
        "num_records": report.num_records,
        "num_batches": report.num_batches,
        "len_file": report.len_file,
        "findings": [asdict(finding) for finding in report.findings],
    }
