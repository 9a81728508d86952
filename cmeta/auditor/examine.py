"""Examining one file: all parts of an audit, in the order in which they depend on each other."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cmeta.auditor.beside import look_beside
from cmeta.auditor.look import look
from cmeta.auditor.report import AuditReport
from cmeta.checker import validate
from cmeta.differ import DiffReport, diff
from cmeta.errors import CmetaError, DecodeError
from cmeta.journal import journal_path
from cmeta.reader import Reader
from cmeta.replayer import ReplayReport, replay

Progress = Callable[[int, int], None]

_CHUNK = 1 << 20


def examine(
    path: Path, cycle: Any = None, other: Path | None = None, progress: Progress | None = None
) -> AuditReport:
    """Audit one file.

    Parameters
    ----------
    cycle : callable, optional
        To replay it with.
    other : path, optional
        To compare it with.
    progress : callable, optional
        Called with bytes done and bytes in all.

    Returns
    -------
    AuditReport
        Also of a file that is missing or cannot be read.
    """
    report = AuditReport(str(path))
    try:
        _examine(path, report, progress)
    except OSError as err:
        report.state = "missing" if isinstance(err, FileNotFoundError) else "unreadable"
        report.add("error", "unreadable", _reason(path, err))
    else:
        readable = report.verdict not in ("unreadable", "corrupt")
        if cycle is not None and _may_compare(report, readable, "replayed"):
            _replay(path, cycle, report)
        if other is not None and _may_compare(report, readable, f"compared with {other}"):
            _compare(path, other, report)
    report.close()
    return report


def _examine(path: Path, report: AuditReport, progress: Progress | None) -> None:
    if path.exists() and not path.is_file():
        report.state = "unreadable"
        report.add("error", "unreadable", f"found {_kind(path)}, expected a {path.suffix} file")
        return
    _validate(path, report, progress)
    report.sha256 = _sha256(path)
    if report.state != "unreadable":
        try:
            with Reader(path, partial=True) as reader:
                look(reader, report)
        except DecodeError:
            pass  # which is a finding already
    look_beside(path, report)


def _validate(path: Path, report: AuditReport, progress: Progress | None) -> None:
    found = validate(path, progress=progress)
    report.len_file, report.num_records = found.len_file, found.num_records
    report.state = found.state
    if found.state == "open":
        report.state = f"open {'with' if found.has_journal else 'without'} journal"
        rows = "its journal is read too" if found.has_journal else "its journal is missing"
        report.add("warning", "open", f"never closed: being written, or its writer died; {rows}")
    for finding in sorted(found.findings, key=lambda finding: finding.offset):
        where = f"offset {finding.offset:,}, {finding.path}"
        report.add("error", "corrupt", f"{finding.kind}: {finding.message}", where)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _may_compare(report: AuditReport, readable: bool, what: str) -> bool:
    if not readable:
        report.add("info", "not-compared", f"not {what}: it is not intact")
    return readable


def _replay(path: Path, cycle: Any, report: AuditReport) -> None:
    try:
        found = replay(path, cycle)
    except Exception as err:  # whatever a user's own code raises is a finding on this file
        report.add("error", "replay-failed", f"{type(err).__name__}: {err}", *_notes(err))
        return
    report.replay = found
    if found.verdict == "diverged":
        report.add("error", "diverged", _first_of_replay(found))
    elif found.verdict == "inconclusive":
        message = _first_of_replay(found) if found.first else "the callable returned no field"
        report.add("warning", "inconclusive", message)


def _first_of_replay(found: ReplayReport) -> str:
    num_other = found.counts["diverged"] + found.counts["inconclusive"]
    return f"{num_other:,} of {found.num_cycles:,} cycles come out differently; first {found.first}"


def _compare(path: Path, other: Path, report: AuditReport) -> None:
    try:
        found = diff(path, other)
    except (CmetaError, OSError) as err:
        reason = _reason(other, err) if isinstance(err, OSError) else str(err)
        report.add("error", "comparison-failed", f"with {other}: {reason}")
        return
    report.against = found
    if found.same:
        report.add("info", "same", f"{found.verdict} to {other}")
    else:
        report.add("error", "differs", f"from {other}: {_what_differs(found)}")


def _what_differs(found: DiffReport) -> str:
    text = found.headline().removeprefix(f"{found.verdict}: ")
    if found.first is None:
        return text
    return f"{text}; first {found.first.field} of record {found.first.ordinal:,}"


def _notes(error: BaseException) -> list[str]:
    """Return which record it was."""
    notes: list[str] = getattr(error, "__notes__", [])
    return [note.removeprefix("while ").removesuffix(" was replayed") for note in notes[:1]]


def _reason(path: Path, error: OSError) -> str:
    if isinstance(error, FileNotFoundError) and journal_path(path).is_file():
        return "the file is missing, but its journal is there: `cmeta recover` salvages its rows"
    return error.strerror or str(error)


def _kind(path: Path) -> str:
    return "a folder without a chronicle" if os.path.isdir(path) else "no regular file"
