"""Reading many files: here, or in several processes when there is enough to do."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import NamedTuple

from msgspec import DecodeError, structs

from cmeta.aliases import Progress
from cmeta.storage.find import Paths, find_files
from cmeta.tools.parallel import in_processes
from cmeta.tools.runs.describe import look
from cmeta.tools.runs.run_info import RunInfo, decode, encode
from cmeta.tools.runs.store import Catalogue, Entry, catalogue_path, is_settled, key_of, stamp_of

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


def scan(
    paths: Paths,
    *,
    jobs: int | None = None,
    cache: bool = True,
    progress: Progress | None = None,
) -> list[RunInfo]:
    """Return what is known of runs: state, phases, last and best of every field, configuration.

    Closed runs are remembered in a catalogue in the user's cache folder (or in that of the
    environment's ``CMETA_CACHE_DIR``) and read again only when they have changed.

    Parameters
    ----------
    paths : path, or sequence of paths
        Files, folders and patterns, as `cmeta.storage.find` has it; an empty folder gives no run.
    jobs : int, optional
        At most how many processes. Default: one for each CPU, as far as there is work for it.
    cache : bool
        Whether to use the catalogue.
    progress : callable, optional
        Called with bytes done and bytes in all.

    Returns
    -------
    list of RunInfo
        One for each file, sorted within each of the paths; also of a file that is missing, damaged
        or no chronicle.

    Raises
    ------
    ValueError
        `jobs` is less than 1.

    Examples
    --------
    >>> import cmeta, os, tempfile
    >>> folder = tempfile.mkdtemp()
    >>> for lr in (0.1, 0.2):
    ...     with cmeta.Recorder(f"{folder}/{lr}.cmeta", config={"lr": lr}) as rec:
    ...         for i in range(3):
    ...             rec.log("train", loss=1.5 - lr * i)
    >>> runs = scan(folder, cache=False)
    >>> best = min(runs, key=lambda run: run.fields["loss_value"].min)
    >>> os.path.basename(best.path), best.config["lr"], best.state, best.phases
    ('0.2.cmeta', 0.2, 'closed', {'train': 3})
    """
    if jobs is not None and jobs < 1:
        raise ValueError(f"jobs: found {jobs}, expected 1 or more")
    found = find_files(paths)
    with Catalogue(catalogue_path()) if cache else nullcontext() as catalogue:
        keys = list(map(key_of, found.files))
        known = {} if catalogue is None else catalogue.entries(keys)
        runs = _remembered(found.files, keys, known)
        _read_others(found.files, keys, runs, catalogue, jobs, progress)
        if catalogue is not None:
            catalogue.prune(found.folders, keys)
    return [run for run in runs if run is not None]


def _remembered(
    files: Sequence[str], keys: Sequence[bytes], known: dict[bytes, Entry]
) -> list[RunInfo | None]:
    runs: list[RunInfo | None] = []
    for path, key in zip(files, keys, strict=True):
        stamp, info = known.pop(key, (None, b""))
        holds = stamp is not None and stamp == stamp_of(path)
        runs.append(_decoded(info, path) if holds else None)
    return runs


def _decoded(info: bytes, path: str) -> RunInfo | None:
    """Return what is known under the name by which the file was found now."""
    try:
        found = decode(info)
    except DecodeError:
        return None
    structs.force_setattr(found, "path", path)  # nobody else has it yet
    return found


def _read_others(
    files: Sequence[str],
    keys: Sequence[bytes],
    runs: list[RunInfo | None],
    catalogue: Catalogue | None,
    jobs: int | None,
    progress: Progress | None,
) -> None:
    """Fill the gaps, and remember what was read as soon as it was."""
    places = [place for place, run in enumerate(runs) if run is None]
    tell = progress or (lambda done, total: None)
    sizes = [size_of(files[place]) for place in places] if progress else [0] * len(places)
    done, total = 0, sum(sizes)
    for part in look_at_all([files[place] for place in places], jobs):
        for at, info, _ in part:
            runs[places[at]] = _decoded(info, files[places[at]])
            done += sizes[at]
        if catalogue is not None:
            catalogue.store((keys[places[at]], s, info) for at, info, s in part if s is not None)
        tell(done, total)
