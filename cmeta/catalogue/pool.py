"""Reading many files: here, or in several processes when there is enough to do."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from cmeta.catalogue.info import RunInfo, encode
from cmeta.catalogue.look import look
from cmeta.catalogue.store import is_settled, stamp_of
from cmeta.processes import in_processes

_AT_ONCE = 32  # files of a task: what goes to and fro is then little against the reading
# A process is worth its start when it takes over about a second: estimates, of a file and a byte.
_SECONDS_PER_FILE, _SECONDS_PER_BYTE, _SECONDS_PER_PROCESS = 8e-3, 1e-7, 1.0


class Looked(NamedTuple):
    """What came of looking at a file.

    Attributes
    ----------
    place : int
        Which of the files.
    info : bytes
        The encoded `RunInfo`.
    stamp : bytes or None
        What it may be remembered with; None: it may not.
    """

    place: int
    info: bytes
    stamp: bytes | None


def look_at_all(files: Sequence[str], jobs: int | None) -> Iterator[list[Looked]]:
    """Yield what files hold, in parts, as they are done.

    Parameters
    ----------
    jobs : int, optional
        At most how many processes; default: as many as there are CPUs and work for.
    """
    numbered = list(enumerate(files))
    tasks = [numbered[begin : begin + _AT_ONCE] for begin in range(0, len(files), _AT_ONCE)]
    num_processes = min(jobs or _num_worthwhile(files), len(tasks))
    if num_processes > 1:
        yield from _in_processes(tasks, num_processes)
    else:
        yield from map(look_at, tasks)


def look_at(task: Sequence[tuple[int, str]]) -> list[Looked]:
    """Look at some files, given with their places."""
    found = []
    for place, path in task:
        now, before = time.time_ns(), stamp_of(path)
        info = look(path)
        holds = info.state == "closed" and before is not None and is_settled(before, now)
        stamp = before if holds and stamp_of(path) == before else None
        found.append(Looked(place, encode(info), stamp))
    return found


def _num_worthwhile(files: Sequence[str]) -> int:
    seconds = len(files) * _SECONDS_PER_FILE + sum(map(size_of, files)) * _SECONDS_PER_BYTE
    return min(os.cpu_count() or 1, int(seconds / _SECONDS_PER_PROCESS))


def size_of(path: str) -> int:
    """Return the length of a file in bytes; 0 if there is none."""
    try:
        return os.stat(path).st_size
    except (OSError, ValueError):
        return 0


def _in_processes(
    tasks: Sequence[Sequence[tuple[int, str]]], num_processes: int
) -> Iterator[list[Looked]]:
    for place, found in in_processes(look_at, [(task,) for task in tasks], num_processes):
        yield found or [_lost(number, path) for number, path in tasks[place]]


def _lost(place: int, path: str) -> Looked:
    problem = "a process that reads has died; try jobs=1"
    return Looked(place, encode(RunInfo(path, "unreadable", problem)), None)
