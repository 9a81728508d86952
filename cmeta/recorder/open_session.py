"""Which session a recorder has: one that records, one that verifies, or one that does neither.

- A process that is a further rank of a training leaves recording to rank 0, unless every rank has a
  file of its own.
- A run is compared with its file by ``mode="verify"``, or because the command that has started this
  process says so; it may also say that the run is not concerned.
- Otherwise the session records. Where the path means a new file, the next name is tried if one is
  taken.

What only a comparison needs is imported when there is one: most runs are recorded.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cmeta.errors import ExistsError, LockedError
from cmeta.recorder.idle import IdleSession
from cmeta.recorder.options import PLAN_VARIABLE, Options
from cmeta.recorder.ranks import launched_rank
from cmeta.recorder.run_path import RunPath
from cmeta.recorder.session import Session
from cmeta.storage.disk import Disk

if TYPE_CHECKING:
    from cmeta.recorder.verify_session import VerifySession

    AnySession = Session | VerifySession | IdleSession


def open_session(
    target: RunPath, options: Options, disk: Disk, ignore: Sequence[str]
) -> AnySession:
    """Return the session of a recorder.

    Parameters
    ----------
    target : RunPath
        Where it records.
    options : Options
    disk : Disk
    ignore : sequence of str
        Fields that ``mode="verify"`` does not compare.

    Raises
    ------
    ExistsError, LockedError, RecorderError, OSError
        As `Recorder`.
    """
    rank = options.place.rank
    if rank and not target.has_rank:
        return _idle(target, options)
    if options.mode == "verify" or os.environ.get(PLAN_VARIABLE):
        return _comparing(target, options, ignore)
    return _recording(target, options, disk)


def _comparing(
    target: RunPath, options: Options, ignore: Sequence[str]
) -> VerifySession | IdleSession:
    from cmeta.recorder.verify_plan import VerifyPlan, report_name, write_report
    from cmeta.recorder.verify_session import VerifySession

    rank = options.place.rank
    path = next(target.files(rank))
    plan = VerifyPlan.from_environment()
    if plan is None:
        goes_on = options.on_error == "warn"
        plan = VerifyPlan((str(path),), ignore=tuple(ignore), goes_on=goes_on)
        return VerifySession(path, path, options, plan)
    recorded = plan.file_for(target.text, path, rank)
    if recorded is not None:
        return VerifySession(path, recorded, options, plan)
    if plan.folder is not None:
        write_report(plan.folder, report_name(), {"state": "other", "path": str(path)})
    return _idle(target, options)


def _idle(target: RunPath, options: Options) -> IdleSession:
    """Return a session that takes the same steps as one that records or verifies.

    Under a command that verifies, a run begins again: the file that it left is not resumed.
    """
    if os.environ.get(PLAN_VARIABLE) and options.resume_at is None:
        options = dataclasses.replace(options, mode="new")
    return IdleSession(target, options)


def _recording(target: RunPath, options: Options, disk: Disk) -> Session:
    if target.is_new:
        options = dataclasses.replace(options, mode="new")
    error: ExistsError | LockedError | None = None
    for path in target.files(options.place.rank, to_write=True):
        try:
            return Session(path, options, disk)
        except (ExistsError, LockedError) as err:  # for a new file, the next name may be free
            error = err
    if error is None:
        raise AssertionError("a path means at least one file")
    _add_remedy(error, options)
    raise error


def _add_remedy(error: Exception, options: Options) -> None:
    """Say what a rank of one training should do about a file that is taken."""
    number = launched_rank()
    if number and not options.place.evidence:
        error.add_note(
            f"This process has the number {number} of its launcher, but nothing shows that it is "
            f"a rank of one training. If it is: rank={number}, or create the recorder after "
            "torch.distributed is initialised. If it is a run of its own, give it its own path."
        )
