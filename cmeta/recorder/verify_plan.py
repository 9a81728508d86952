"""What is verified: the recorded file that a recorder is compared with, and how.

`Recorder(path, mode="verify")` compares with the file of that path. The command
``cmeta replay FILE... -- COMMAND`` sets `PLAN_VARIABLE` for COMMAND, to a folder with a plan. Every
recorder that COMMAND opens, in any mode and in any process, then compares with one of the FILEs and
writes no file but a report in that folder:

1. the file of its path, or one that its path with placeholders may mean;
2. else the only FILE, if the process has not compared it with another path, and the recorder is not
   that of a further rank: a training often names its file anew each time, and a run is often
   replayed from a copy;
3. else the only FILE of that name.

A recorder for which this finds no file records nothing, and a report says so.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

from cmeta.aliases import PathLike
from cmeta.errors import RecorderError
from cmeta.recorder.options import PLAN_VARIABLE
from cmeta.source import read_file
from cmeta.storage.disk import new_stream

_PLAN = "plan.json"
_REPORTS = "report-*.json"
_PLACEHOLDER = re.compile(r"\{\w+\}")
_ANYTHING = f"[^{re.escape(os.sep)}]*"


@dataclass(frozen=True)
class VerifyPlan:
    """Which files are verified, and what of them.

    Attributes
    ----------
    files : tuple of str
        Absolute paths of the recorded files.
    start, end : int or None
        First and last timestamp that is compared, both included.
    phases : tuple of str
        Only these; empty: all.
    ignore : tuple of str
        Names of fields, or patterns of names, that are not compared.
    goes_on : bool
        Count every difference, instead of ending at the first divergence.
    volatile : bool
        Compare volatile fields too.
    folder : str or None
        Where the reports go.
    """

    files: tuple[str, ...]
    start: int | None = None
    end: int | None = None
    phases: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    goes_on: bool = False
    volatile: bool = False
    folder: str | None = None

    def save(self) -> None:
        """Write the plan into its folder, for the processes of a command."""
        with new_stream(Path(self.folder or "", _PLAN)) as stream:
            stream.write(json.dumps(asdict(self)).encode())

    @classmethod
    def from_environment(cls) -> VerifyPlan | None:
        """Return the plan of the command that has started this process; None without one."""
        folder = os.environ.get(PLAN_VARIABLE)
        if not folder:
            return None
        try:
            plan: dict[str, Any] = json.loads(read_file(Path(folder, _PLAN)))
        except (OSError, ValueError) as err:
            raise RecorderError(
                f"{PLAN_VARIABLE}={folder}: there is no plan of `cmeta replay`, which alone sets "
                "this variable; unset it"
            ) from err
        lists: dict[str, Any] = {
            name: tuple(plan.pop(name)) for name in ("files", "phases", "ignore")
        }
        return cls(**lists, **plan)

    def file_for(self, given: PathLike, path: Path, rank: int) -> Path | None:
        """Return the recorded file that a recorder is compared with.

        Parameters
        ----------
        given : path
            The path that the recorder was given; it may have placeholders.
        path : Path
            The file that it would write.
        rank : int
            Of its process.
        """
        own = os.path.realpath(path)
        named = {os.path.realpath(file): file for file in self.files}
        file = named.get(own) or self._of_template(os.fspath(given), rank)
        if file is None and len(self.files) == 1 and (rank == 0 or "{rank}" not in str(given)):
            file = self.files[0]
            if _CLAIMS.get(file, own) != own:
                return None
        if file is None:
            same = [file for file in self.files if os.path.basename(file) == path.name]
            file = same[0] if len(same) == 1 else None
        if file is not None:
            _CLAIMS[file] = own
        return None if file is None else Path(file)

    def _of_template(self, given: str, rank: int) -> str | None:
        template = os.path.realpath(os.path.expanduser(given.replace("{rank}", str(rank))))
        if not _PLACEHOLDER.search(template):
            return None
        literal = map(re.escape, _PLACEHOLDER.split(template))
        pattern = re.compile(_ANYTHING.join(literal))
        return next((f for f in self.files if pattern.fullmatch(os.path.realpath(f))), None)


_NUMBERS = count()  # of the reports of this process
_CLAIMS: dict[str, str] = {}  # by recorded file: the path of the recorder that it is compared with


def report_name() -> str:
    """Return a name for the next report of this process."""
    return f"{os.getpid()}-{next(_NUMBERS):04}"


def write_report(folder: str, name: str, report: dict[str, Any]) -> None:
    """Write a report for the command that has started this process; replaces an earlier one."""
    path = Path(folder, f"report-{name}.json")
    temporary = path.with_suffix(".tmp")
    with new_stream(temporary) as stream:
        stream.write(json.dumps(report, default=str).encode())
    os.replace(temporary, path)


def read_reports(folder: str) -> Sequence[dict[str, Any]]:
    """Return the reports in a folder, in the order of their names."""
    paths = sorted(Path(folder).glob(_REPORTS))
    return [json.loads(read_file(path)) for path in paths]
