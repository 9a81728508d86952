"""`audit`: everything that can be said of a file's worth as evidence, for one file or many.

Each file is checked in one pass; many files are spread over processes.
"""

from __future__ import annotations

import hashlib
import os
import re
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cmeta.aliases import PathLike, Progress
from cmeta.compare.replay_comparison import ENVIRONMENT
from cmeta.compare.replay_report import ReplayReport
from cmeta.errors import BusyError, CmetaError, DecodeError
from cmeta.reader.reader import Reader
from cmeta.source import expanded, regular_file
from cmeta.storage.atomic import temporary_pattern
from cmeta.storage.find import SUFFIX, Paths, find_files
from cmeta.storage.links import resolved
from cmeta.storage.lock import SUFFIX as LOCK_SUFFIX
from cmeta.storage.lock import holder_of
from cmeta.storage.open import journal_path, watch_of
from cmeta.storage.watch import BUSY, unless_busy
from cmeta.tools.audit.audit_report import AuditReport
from cmeta.tools.audit.checks import GapCheck, LossCheck, SeedCheck, StepCheck
from cmeta.tools.diff.diff import diff
from cmeta.tools.diff.diff_report import DiffReport
from cmeta.tools.parallel import DIED, FileProgress, in_processes, is_importable, require_jobs
from cmeta.tools.replay.replay import replay
from cmeta.validate import validate

_LEN_CHUNK = 1 << 20  # bytes read at once
_LOCK_HOLDER = re.compile(r"host (?P<host>\S+), pid (?P<pid>\d+)")


def audit_file(
    path: Path, cycle: Any = None, other: Path | None = None, progress: Progress | None = None
) -> AuditReport:
    """Audit one file.

    Parameters
    ----------
    cycle : callable, optional
        To replay the file with.
    other : path, optional
        To compare the file with.
    progress : callable, optional
        Called with bytes done and bytes in all.

    Returns
    -------
    AuditReport
        Also for a file that is missing or cannot be read.
    """
    try:
        report = unless_busy(lambda: _file_report(path, progress))
        is_intact = report.verdict not in ("unreadable", "corrupt", "busy")
        if cycle is not None and _may_compare(report, is_intact, "replayed"):
            _replay(path, cycle, report)
        if other is not None and _may_compare(report, is_intact, f"compared with {other}"):
            _compare(path, other, report)
    except BusyError:
        report = _busy_report(path)
    except Exception as err:  # whatever it is, the other files are audited
        is_missing = isinstance(err, FileNotFoundError)
        report = AuditReport(str(path), "missing" if is_missing else "unreadable")
        report.add("error", "unreadable", _reason(path, err))
    report.close()
    return report


def _busy_report(path: Path) -> AuditReport:
    report = AuditReport(str(path), "busy")
    report.add("warning", "busy", BUSY)
    return report


def _reason(path: Path, error: Exception) -> str:
    if isinstance(error, FileNotFoundError) and journal_path(path).is_file():
        return "the file is missing, but its journal exists: `cmeta recover` salvages its rows"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or ("not enough memory" if isinstance(error, MemoryError) else repr(error))


# ---------------------------------------------------------------------------------------- the file


def _file_report(path: Path, progress: Progress | None) -> AuditReport:
    """Audit the file by itself, as it is at one moment.

    Raises
    ------
    BusyError
        Its writer has begun, continued or closed it meanwhile.
    """
    report, watch = AuditReport(str(path)), watch_of(path)
    try:
        _check_file(path, report, progress)
    except (DecodeError, OSError) as err:
        watch.require_unchanged(err)
        raise
    if report.state == "busy":
        return _busy_report(path)
    if report.verdict in ("unreadable", "corrupt") or not report.state.startswith("open w"):
        watch.require_unchanged()
    return report


def _check_file(path: Path, report: AuditReport, progress: Progress | None) -> None:
    if path.exists() and not path.is_file():
        kind = "a folder without a chronicle" if path.is_dir() else "not a regular file"
        report.state = "unreadable"
        report.add("error", "unreadable", f"{kind}, expected a {SUFFIX} file")
        return
    _check_bytes(path, report, progress)
    if report.state == "busy":
        return
    if not report.state.startswith("open"):  # which changes with the next record
        report.sha256 = _sha256(path)
    if report.state != "unreadable":
        try:
            with Reader(path, partial=True) as reader:
                _check_records(reader, report)
        except DecodeError:
            pass  # already a finding
    _check_leftovers(path, report)


def _check_bytes(path: Path, report: AuditReport, progress: Progress | None) -> None:
    validation = validate(path, progress=progress)
    report.len_file, report.num_records = validation.len_file, validation.num_records
    report.state = validation.state
    if validation.state == "open":
        report.state = f"open {'with' if validation.has_journal else 'without'} journal"
        journal = "is read too" if validation.has_journal else "is missing"
        message = f"never closed: being written, or its writer died; its journal {journal}"
        report.add("warning", "open", message)
    for finding in sorted(validation.findings, key=lambda finding: finding.offset):
        where = f"offset {finding.offset:,}, {finding.path}"
        report.add("error", "corrupt", f"{finding.kind}: {finding.message}", where)


def _sha256(path: Path) -> str:
    with open(path, "rb", opener=regular_file) as file:
        digest = hashlib.sha256()
        while chunk := file.read(_LEN_CHUNK):  # `file_digest` never ends where nothing comes yet
            digest.update(chunk)
        return digest.hexdigest()


# ------------------------------------------------------------------------------------- the records


def _check_records(reader: Reader, report: AuditReport) -> None:
    """Make one pass over the records, with one batch in memory at a time.

    It ends at the first batch that cannot be decoded, which validation has reported: beyond it,
    neither gaps nor repeated seeds can be detected.
    """
    report.num_records = len(reader)
    configs = _check_configs(reader, report)
    gaps, seeds, losses = GapCheck(), SeedCheck(reader, configs), LossCheck(reader.schema)
    steps = StepCheck(reader.schema)
    counts = np.zeros(len(reader.schema.phases), np.int64)
    for info in reader.batches:
        try:
            batch = reader.batch(info.ordinal)
            counts += np.bincount(batch.phases.codes, minlength=len(counts))
            gaps.add(batch.timestamps)
            seeds.add(batch, info.first_record)
            losses.add(batch, info.first_record)
            steps.add(batch, info.first_record)
        except DecodeError:
            break
    by_phase = zip(reader.schema.phases, counts.tolist(), strict=True)
    report.phases = {name: count for name, count in by_phase if count}
    for check in (gaps, steps, seeds, losses):
        check.report_to(report)


def _check_configs(reader: Reader, report: AuditReport) -> Sequence[Mapping[str, Any]]:
    try:
        configs = reader.configs
    except DecodeError:
        return ()
    has_environment = [isinstance(config.get(ENVIRONMENT), Mapping) for config in configs]
    report.has_environment = bool(configs) and all(has_environment)
    if not configs:
        report.add("info", "no-configuration", "no configuration was recorded")
    elif not report.has_environment:
        report.add("info", "no-environment", "the configuration does not state the environment")
    return configs


# ----------------------------------------------------------------------------------- the leftovers


def _check_leftovers(path: Path, report: AuditReport) -> None:
    """Report files that sessions left next to this one; nothing is changed, no lock is taken."""
    path = resolved(path)  # they are beside the file itself
    journal = journal_path(path).name
    temporary = [temporary_pattern(path), temporary_pattern(path.with_name(journal))]
    dropped = re.compile(rf"{re.escape(path.stem)}\.dropped-from-(\d+)-\d+{re.escape(path.suffix)}")
    names = _names_in(path.parent)
    for name in names:
        if any(pattern.fullmatch(name) for pattern in temporary):
            message = "a temporary file of a session that is running or was interrupted"
            report.add("info", "leftover-temporary", message, name)
        elif match := dropped.fullmatch(name):
            message = f"records from {match[1]} on were set aside when the run was resumed"
            report.add("info", "dropped-records", message, name)
    if report.state == "closed" and journal in names:
        message = "the leftover journal of a closed file, which is not read"
        report.add("info", "leftover-journal", message, journal)
    if (lock := path.name + LOCK_SUFFIX) in names:
        _check_lock(path.with_name(lock), report)


def _names_in(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []  # a file may be readable in a folder that is not


def _check_lock(lock: Path, report: AuditReport) -> None:
    """Report who holds a lock, without taking it, which would get in a writer's way."""
    try:
        holder = _LOCK_HOLDER.match(holder_of(lock))
    except OSError:
        return
    if holder is None:
        return
    host, pid = holder["host"], int(holder["pid"])
    if host != socket.gethostname() or os.name != "posix":
        report.add("info", "locked", f"locked by host {host}, pid {pid}", lock.name)
    elif _is_alive(pid):
        report.add("info", "locked", f"being written by host {host}, pid {pid}", lock.name)
    else:
        message = f"stale lock: process {pid} on {host} no longer exists"
        report.add("info", "leftover-lock", message, lock.name)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # it belongs to another user
    return True


# --------------------------------------------------------------------------- replay and comparison


def _may_compare(report: AuditReport, is_intact: bool, action: str) -> bool:
    if not is_intact:
        report.add("info", "not-compared", f"not {action}: the file is not intact")
    return is_intact


def _replay(path: Path, cycle: Any, report: AuditReport) -> None:
    try:
        result = replay(path, cycle)
    except Exception as err:  # whatever the user's code raises is a finding on this file
        report.add("error", "replay-failed", f"{type(err).__name__}: {err}", _replayed_record(err))
        return
    report.replay = result
    if result.verdict == "diverged":
        report.add("error", "diverged", _replay_difference(result))
    elif result.verdict == "inconclusive":
        message = _replay_difference(result) if result.first else "the callable returned no field"
        report.add("warning", "inconclusive", message)


def _replay_difference(result: ReplayReport) -> str:
    num_differing = result.counts["diverged"] + result.counts["inconclusive"]
    verb = "differs" if num_differing == 1 else "differ"
    return f"{num_differing:,} of {result.num_cycles:,} cycles {verb}; first: {result.first}"


def _replayed_record(error: BaseException) -> str:
    """Return the record that was being replayed, from the error's note."""
    notes: list[str] = getattr(error, "__notes__", [])
    return notes[0].removeprefix("while ").removesuffix(" was replayed") if notes else ""


def _compare(path: Path, other: Path, report: AuditReport) -> None:
    try:
        result = diff(path, other)
    except (CmetaError, OSError) as err:
        reason = _reason(other, err) if isinstance(err, OSError) else str(err)
        report.add("error", "comparison-failed", f"with {other}: {reason}")
        return
    report.against = result
    if result.same:
        report.add("info", "same", f"{result.verdict} to {other}")
    else:
        report.add("error", "differs", f"from {other}: {_difference(result)}")


def _difference(result: DiffReport) -> str:
    text = result.headline().removeprefix(f"{result.verdict}: ")
    if result.first is None:
        return text
    return f"{text}; first: {result.first.field} of record {result.first.ordinal:,}"


def audit(
    paths: Paths,
    replay: Any = None,
    against: PathLike | None = None,
    *,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> list[AuditReport]:
    """Audit chronicles: validity, gaps, seeds, losses, leftovers, reproducibility.

    Parameters
    ----------
    paths : path, or sequence of paths
        Files, folders and patterns, as for `cmeta.scan`; a folder without a chronicle, or a pattern
        without a match, has a report that says so.
    replay : callable or class, optional
        As for `cmeta.replay`; every file is replayed with it.
    against : path, optional
        A chronicle to compare every file with.
    jobs : int, optional
        Number of processes. Default: one for each CPU, at most one for each file. A callable that
        another process cannot import runs in this one.
    progress : callable, optional
        Called with bytes done and bytes in all.

    Returns
    -------
    list of AuditReport
        One for each file, in order; also for a file that is missing or cannot be read.

    Raises
    ------
    ValueError
        `jobs` is less than 1.

    Examples
    --------
    >>> import cmeta, tempfile
    >>> path = tempfile.mktemp(suffix=".cmeta")
    >>> with cmeta.Recorder(path, seed=7) as rec:
    ...     for _ in range(3):
    ...         with rec.cycle("train") as c:
    ...             c.log(loss=c.rng.random())
    >>> report, = audit(path, replay=lambda state: {"loss": state.rng.random()})
    >>> report.verdict, report.phases, report.replay.verdict
    ('sound', {'train': 3}, 'exact')
    """
    require_jobs(jobs)
    files = list(map(Path, find_files(paths, keep_empty=True).files))
    other = None if against is None else Path(expanded(against))
    files_done = FileProgress(files, progress)
    num_processes = min(jobs or os.cpu_count() or 1, len(files))
    if num_processes > 1 and is_importable(replay):
        return _in_processes(files, replay, other, num_processes, files_done)
    reports = []
    for place, file in enumerate(files):
        reports.append(audit_file(file, replay, other, files_done.within))
        files_done.finish([place])
    return reports


def _in_processes(
    files: Sequence[Path], cycle: Any, other: Path | None, num_processes: int,
    files_done: FileProgress,
) -> list[AuditReport]:  # fmt: skip
    reports = [AuditReport(str(file), "unreadable") for file in files]
    tasks = [(file, cycle, other) for file in files]
    for place, report in in_processes(audit_file, tasks, num_processes):
        if report is None:
            reports[place].add("error", "unreadable", DIED)
            reports[place].close()
        else:
            reports[place] = report
        files_done.finish([place])
    return reports
