"""What stands beside a file: what an interrupted session left, and what a resumption set aside."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

from cmeta.auditor.report import AuditReport
from cmeta.journal import journal_path
from cmeta.recorder.lock import SUFFIX

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
