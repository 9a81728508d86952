"""`rerun`: the command of a training runs again, and what it logs is compared with its record.

The recorders of the command compare (`cmeta.recorder.verify_plan`); this starts it, ends it when
there is nothing left to compare, and collects the reports. While it runs, the locks of the recorded
files are held, so that nothing that the command starts can write to them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from cmeta.errors import LockedError
from cmeta.recorder.options import PLAN_VARIABLE
from cmeta.recorder.verify_plan import VerifyPlan, read_reports
from cmeta.storage.links import resolved
from cmeta.storage.lock import Lock

_POLL = 0.05  # seconds
GRACE = 10.0  # seconds for a command to end by itself, and again after it was asked to


@dataclass(frozen=True)
class Rerun:
    """What running a command again has shown.

    Attributes
    ----------
    reports : list of dict
        One for each recorder: ``file``, ``path``, ``verdict``, ``text``, ``report``; and
        ``state``: "diverged", "finished" (all of the range was compared), "closed", or "running"
        if the recorder was never closed.
    others : list of str
        Files of recorders that were not compared.
    code : int
        The exit code of the command, negative for a signal.
    was_ended : bool
        It was ended on purpose: there was nothing left to compare.
    """

    reports: list[dict[str, Any]] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    code: int = 0
    was_ended: bool = False

    @property
    def has_failed(self) -> bool:
        """Whether the command has failed by itself, and not because of a divergence."""
        has_diverged = any(report["state"] == "diverged" for report in self.reports)
        return self.code != 0 and not self.was_ended and not has_diverged


def rerun(plan: VerifyPlan, command: Sequence[str]) -> Rerun:
    """Run a command, and return what its recorders report.

    Its standard output goes to standard error, so that a report can be redirected by itself.

    Raises
    ------
    OSError
        The command cannot be started.
    """
    with tempfile.TemporaryDirectory(prefix="cmeta-replay-") as folder, _locked(plan.files):
        replace(plan, folder=folder).save()
        child = subprocess.Popen(
            command, env={**os.environ, PLAN_VARIABLE: folder}, stdout=_descriptor(sys.stderr)
        )
        try:
            was_ended = _wait(child, folder, plan)
        except BaseException:  # Ctrl-C, which the command gets too
            with suppress(subprocess.TimeoutExpired):
                child.wait(GRACE)
            _end(child)
            raise
        contents = read_reports(folder)
        others = [report["path"] for report in contents if report["state"] == "other"]
        reports = [report for report in contents if report["state"] != "other"]
        return Rerun(reports, others, child.returncode, was_ended)


def _wait(child: subprocess.Popen[bytes], folder: str, plan: VerifyPlan) -> bool:
    """Wait for the end; return whether the command was ended, as nothing is left to compare."""
    diverged_at: float | None = None
    while True:
        with suppress(subprocess.TimeoutExpired):
            child.wait(_POLL)
            return False
        states = [report["state"] for report in read_reports(folder)]
        compared = [state for state in states if state != "other"]
        if len(compared) >= len(plan.files) and all(state == "finished" for state in compared):
            _end(child)
            return True
        if "diverged" in states and diverged_at is None:
            diverged_at = time.monotonic()
        # The exception of one process does not end the others, which may wait for it for ever.
        if diverged_at is not None and time.monotonic() - diverged_at > GRACE:
            _end(child)
            return True


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is not None:
        return
    child.terminate()
    try:
        child.wait(GRACE)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


@contextmanager
def _locked(files: Sequence[str]) -> Iterator[None]:
    """Hold the locks of files; one that somebody records, or in a read-only folder, stays free."""
    with ExitStack() as stack:
        for file in files:
            with suppress(LockedError, OSError):
                stack.callback(Lock(resolved(file)).release)
        yield


def _descriptor(stream: Any) -> Any:
    """Return the stream for a child process; None, its own, for one that is no file."""
    try:
        stream.flush()
        stream.fileno()
    except (AttributeError, OSError, ValueError):
        return None
    return stream
