"""`cmeta validate`: every rule of the format, over whole files, with all that is wrong."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path

import click

from cmeta.cli.console import complain, emit, emit_data, file_name, progress
from cmeta.cli.errors import Exit, Failure, describe, reading
from cmeta.cli.files import expand, readable, what_open_means
from cmeta.cli.options import files_argument, json_option
from cmeta.cli.values import json_line
from cmeta.validate import Report
from cmeta.validate import validate as examine

_EXITS = {"valid": Exit.FINE, "open": Exit.DIFFERS, "corrupt": Exit.CORRUPT}


@click.command(
    epilog="""\b
Examples:
  cmeta validate run.cmeta
  cmeta validate --no-canonical runs/*.cmeta      faster: bytes that can be read are enough
  cmeta validate runs/                            every .cmeta file below
  zstd -dc run.cmeta.zst | cmeta validate -
  cmeta validate --json run.cmeta | jq .findings

\b
Verdicts, and exit codes (of several files the highest):
  valid    0  closed, every byte as a writer must have put it
  open     1  intact so far, but never closed: still being written, or its
              writer died; its journal is read too
  corrupt  3  each finding with offset, element, class and message
A file that cannot be read counts as 2."""
)
@files_argument
@json_option
@click.option(
    "--canonical/--no-canonical", default=True,
    help="Also check that the bytes are the very ones that a writer must choose (the default; "
    "about as slow as writing).",
)  # fmt: skip
def validate(files: tuple[Path, ...], as_json: bool, canonical: bool) -> None:
    """Check every byte of chronicles.

    A FILE may be a folder, for every .cmeta file below it, or a pattern in quotes.
    """
    worst = Exit.FINE
    verdicts: Counter[str] = Counter()
    paths = expand(files)
    for file in paths:
        try:
            report = _examine(file, canonical)
        except Failure as failure:
            complain(failure.message)
            worst, verdict = max(worst, failure.code), "not readable"
        else:
            verdict = verdict_of(report)
            worst = max(worst, _EXITS[verdict])
            if as_json:
                emit_data(_as_json(file, report))
            else:
                emit(_as_text(file, report))
        verdicts[verdict] += 1
    if len(paths) > 1 and not as_json:
        counts = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items())
        emit(f"{len(paths)} files: {counts}\n")
    raise click.exceptions.Exit(worst)


def verdict_of(report: Report) -> str:
    """Return "valid", "open" or "corrupt"."""
    if report.ok:
        return "valid"
    return "open" if report.state == "open" and not report.findings else "corrupt"


def _examine(file: Path, canonical: bool) -> Report:
    source = readable(file)
    with reading(file), progress(file.name) as update:
        report = examine(source, canonical=canonical, progress=update)
    report.findings.sort(key=lambda finding: finding.offset)
    return report


def _as_text(file: Path, report: Report) -> str:
    name, verdict, length = file_name(file), verdict_of(report), _count(report.len_file, "byte")
    intact = (
        f"{_count(report.num_records, 'record')} in {_count(report.num_batches, 'batch', 'es')}"
    )
    if verdict == "valid":
        return f"{name}: valid: {intact}, {length}\n"
    if verdict == "open":
        return f"{name}: open: {what_open_means(report.has_journal)}; {intact} are intact\n"
    findings = _count(len(report.findings), "finding")
    lines = [f"{name}: corrupt: {findings} in {length}; intact: {intact}"]
    lines += [f"  {describe(finding)}" for finding in report.findings]
    return "\n".join(lines) + "\n"


def _as_json(file: Path, report: Report) -> str:
    return json_line(
        {
            "file": file_name(file),
            "verdict": verdict_of(report),
            "state": report.state,
            "has_journal": report.has_journal,
            "num_records": report.num_records,
            "num_batches": report.num_batches,
            "len_file": report.len_file,
            "findings": [asdict(finding) for finding in report.findings],
        }
    )


def _count(number: int, noun: str, plural: str = "s") -> str:
    return f"{number:,} {noun}{'' if number == 1 else plural}"
