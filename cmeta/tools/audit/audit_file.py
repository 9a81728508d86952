"""What stands beside a file: what an interrupted session left, and what a resumption set aside."""

from __future__ import annotations

import hashlib
import os
import re
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cmeta.aliases import Progress
from cmeta.errors import CmetaError, DecodeError
from cmeta.reader.reader import Reader
from cmeta.storage.file_state import journal_path
from cmeta.storage.lock import SUFFIX
from cmeta.storage.open import AnyBatch
from cmeta.tools.audit.audit_report import AuditReport
from cmeta.tools.audit.checks import Gaps, Seeding
from cmeta.tools.diff.diff import diff
from cmeta.tools.diff.diff_report import DiffReport
from cmeta.tools.replay.replay import replay
from cmeta.tools.replay.replay_report import ReplayReport
from cmeta.validate import validate

_HOLDER = re.compile(r"host (?P<host>\S+), pid (?P<pid>\d+)")


def look_beside(path: Path, report: AuditReport) -> None:
    """Tell of what stands beside a file; nothing is touched, and no lock is taken."""
    names = sorted(_names_in(path.parent))
    journal = journal_path(path).name
    temporary = re.compile(
        rf"\.({re.escape(path.name)}|{re.escape(journal)})\.[0-9a-f]{{12}}\.tmp(-recorder)?"
    )
    dropped = re.compile(rf"{re.escape(path.stem)}\.dropped-from-(\d+)-\d+{re.escape(path.suffix)}")
    for name in names:
        if temporary.fullmatch(name):
            message = "a temporary file, of a session that is at work or was interrupted"
            report.add("info", "leftover-temporary", message, name)
        elif found := dropped.fullmatch(name):
            message = f"records from {found[1]} on were set aside when the run was resumed"
            report.add("info", "dropped-records", message, name)
    if report.state == "closed" and journal in names:
        message = "a journal beside a closed file: a leftover, it counts no more"
        report.add("info", "leftover-journal", message, journal)
    if (lock := path.name + SUFFIX) in names:
        _tell_lock(path.with_name(lock), report)


def _names_in(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []  # a file can be read in a folder that cannot


def _tell_lock(lock: Path, report: AuditReport) -> None:
    """Say who holds a lock. Taking it to find out would get in the way of who wants it."""
    try:
        found = _HOLDER.match(lock.read_text("utf-8", "replace"))
    except OSError:
        return
    if found is None:
        return
    holder = f"host {found['host']}, pid {found['pid']}"
    if found["host"] != socket.gethostname() or os.name != "posix":
        report.add("info", "locked", f"locked by {holder}", lock.name)
    elif _is_alive(int(found["pid"])):
        report.add("info", "locked", f"being written by {holder}", lock.name)
    else:
        message = f"a lock that nobody holds: {holder} is no more"
        report.add("info", "leftover-lock", message, lock.name)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # of another user, but there
    return True


_LOSS = "loss_value"
_ENVIRONMENT = "environment"


def look(reader: Reader, report: AuditReport) -> None:
    """Go once through the records, one batch in memory at a time.

    What cannot be decoded is left out: validating has found it.
    """
    report.num_records = len(reader)
    configs = _configs_of(reader, report)
    gaps, seeding, losses = Gaps(), Seeding(reader, configs), _Losses(reader)
    counts = np.zeros(len(reader.schema.phases), np.int64)
    first = 0
    for info in reader.batches:
        try:
            batch = reader.batch(info.ordinal)
            counts += np.bincount(batch.phases.codes, minlength=len(counts))
            gaps.look(batch.timestamps)
            seeding.look(batch, first)
            losses.look(batch, first)
        except DecodeError:
            break  # behind it, neither gaps nor repeats could be told
        first += info.num_records
    labels = zip(reader.schema.phases, counts.tolist(), strict=True)
    report.phases = {name: count for name, count in labels if count}
    for part in (gaps, seeding, losses):
        part.tell(report)


def _configs_of(reader: Reader, report: AuditReport) -> Sequence[Mapping[str, Any]]:
    try:
        configs = reader.configs
    except DecodeError:
        return ()
    stated = [isinstance(config.get(_ENVIRONMENT), Mapping) for config in configs]
    report.has_environment = bool(stated) and all(stated)
    if not configs:
        report.add("info", "no-configuration", "no configuration: what was run is not stated")
    elif not report.has_environment:
        message = "no environment in the configuration: what it ran on is not stated"
        report.add("info", "no-environment", message)
    return configs


class _Losses:
    """Counts losses that are no numbers."""

    def __init__(self, reader: Reader) -> None:
        fields = reader.schema.fields
        self._field = next((f for f in fields if f.path == _LOSS and f.is_float), None)
        self._num_nan = self._num_infinite = 0
        self._first = -1

    def look(self, batch: AnyBatch, first: int) -> None:
        found = None if self._field is None else batch.column(self._field, 0)
        if found is None:
            return
        values = found[0].reshape(len(found[0]), -1)
        nan, infinite = np.isnan(values).any(axis=1), np.isinf(values).any(axis=1)
        self._num_nan += int(np.count_nonzero(nan))
        self._num_infinite += int(np.count_nonzero(infinite))
        rows = np.flatnonzero(nan | infinite)
        if self._first < 0 and len(rows):
            self._first = first + int(rows[0])

    def tell(self, report: AuditReport) -> None:
        counts = {"NaN": self._num_nan, "infinite": self._num_infinite}
        found = " and ".join(f"{name} in {n:,}" for name, n in counts.items() if n)
        if found:
            where = f"from record {self._first:,} on"
            message = f"{_LOSS} is {found} of {report.num_records:,} records"
            report.add("warning", "loss-not-finite", message, where)


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
