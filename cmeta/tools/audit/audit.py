"""`audit`: many files, in as many processes as there are CPUs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cmeta.aliases import PathLike, Progress
from cmeta.storage.find import Paths, find_files
from cmeta.tools.audit.audit_file import audit_file
from cmeta.tools.audit.audit_report import AuditReport
from cmeta.tools.parallel import DIED, FileProgress, in_processes, is_importable, require_jobs


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
    other = None if against is None else Path(against)
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
