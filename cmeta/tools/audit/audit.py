"""`audit`: many files, in as many processes as there are CPUs."""

from __future__ import annotations

import os
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cmeta.aliases import Progress
from cmeta.storage.find import Paths, find_files
from cmeta.tools.audit.audit_file import examine
from cmeta.tools.audit.audit_report import AuditReport
from cmeta.tools.parallel import in_processes

_MAIN = "__main__"


def audit(
    paths: Paths,
    replay: Any = None,
    against: str | os.PathLike[str] | None = None,
    *,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> list[AuditReport]:
    """Say all that can be said of chronicles: validity, gaps, seeds, leftovers, reproducibility.

    Parameters
    ----------
    paths : path, or sequence of paths
        Files, folders and patterns, as for `cmeta.scan`; a folder without a chronicle, or a pattern
        without a match, has a report that says so.
    replay : callable or class, optional
        As for `cmeta.replay`; every file is replayed with it.
    against : path, optional
        A chronicle that every file is compared with.
    jobs : int, optional
        How many processes. Default: one for each CPU, as far as there are files. A callable that
        another process cannot import is run in this one, file by file.
    progress : callable, optional
        Called with bytes done and bytes in all.

    Returns
    -------
    list of AuditReport
        One for each file, in the order given; also of a file that is missing or cannot be read.

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
    if jobs is not None and jobs < 1:
        raise ValueError(f"jobs: found {jobs}, expected 1 or more")
    files = list(map(Path, find_files(paths, keep_empty=True).files))
    other = None if against is None else Path(against)
    tell = _Meter(files, progress or (lambda done, total: None))
    num_processes = min(jobs or os.cpu_count() or 1, len(files))
    if num_processes > 1 and _can_travel(replay):
        return _in_processes(files, replay, other, num_processes, tell)
    reports = []
    for file in files:
        reports.append(examine(file, replay, other, tell.within(file)))
        tell.done(file)
    return reports


class _Meter:
    """Progress over files of different lengths."""

    def __init__(self, files: Sequence[Path], progress: Progress) -> None:
        self._sizes = {file: _size(file) for file in files}
        self._total = sum(self._sizes[file] for file in files)
        self._done, self._progress = 0, progress

    def within(self, file: Path) -> Progress:
        """Return the progress of a file that is being looked at."""
        return lambda done, size: self._progress(self._done + done, self._total)

    def done(self, file: Path) -> None:
        self._done += self._sizes[file]
        self._progress(self._done, self._total)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _can_travel(cycle: Any) -> bool:
    """Return whether another process gets the callable: by import, and not from the script."""
    if getattr(cycle, "__module__", None) == _MAIN or type(cycle).__module__ == _MAIN:
        return False
    try:
        pickle.dumps(cycle)
    except Exception:  # pickling runs the object's own code, which may raise anything
        return False
    return True


def _in_processes(
    files: Sequence[Path], cycle: Any, other: Path | None, num_processes: int, tell: _Meter
) -> list[AuditReport]:
    reports = [AuditReport(str(file), "unreadable") for file in files]
    for place, found in in_processes(examine, [(f, cycle, other) for f in files], num_processes):
        if found is None:
            reports[place].add("error", "unreadable", "a process that audits has died; try jobs=1")
            reports[place].close()
        else:
            reports[place] = found
        tell.done(files[place])
    return reports
