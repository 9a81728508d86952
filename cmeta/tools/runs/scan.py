"""`scan`: the runs in a folder; those that have not changed come from the catalogue."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import NamedTuple

from msgspec import DecodeError, structs

from cmeta.aliases import Progress
from cmeta.storage.find import Paths, find_files
from cmeta.tools.parallel import DIED, FileProgress, in_processes, len_file, require_jobs
from cmeta.tools.runs.run_info import RunInfo, decode, describe, encode
from cmeta.tools.runs.store import Catalogue, Entry, catalogue_path, is_settled, key_of, stamp_of

_FILES_PER_TASK = 32  # the cost of sending a task is then small against that of reading
# A process is worth starting if it takes over about a second: estimates per file and per byte.
_SECONDS_PER_FILE, _SECONDS_PER_BYTE, _SECONDS_PER_PROCESS = 8e-3, 1e-7, 1.0


def scan(
    paths: Paths,
    *,
    jobs: int | None = None,
    cache: bool = True,
    progress: Progress | None = None,
) -> list[RunInfo]:
    """Return a description of each run: state, phases, last and best of each field, configuration.

    Closed runs are remembered in a catalogue in the user's cache folder (or in the folder that the
    environment variable ``CMETA_CACHE_DIR`` names), and are read again only if they have changed.

    Parameters
    ----------
    paths : path, or sequence of paths
        Files, folders and patterns such as ``runs/**/*.cmeta``. A folder is every ``.cmeta`` file
        below it, without following links to folders; an empty folder gives no run.
    jobs : int, optional
        The largest number of processes. Default: one for each CPU, as far as there is enough work.
    cache : bool
        Whether to use the catalogue.
    progress : callable, optional
        Called with bytes done and bytes in all.

    Returns
    -------
    list of RunInfo
        One for each file, sorted within each of the paths; also for a file that is missing,
        damaged or not a chronicle.

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
    require_jobs(jobs)
    listed = find_files(paths)
    with Catalogue(catalogue_path()) if cache else nullcontext() as catalogue:
        keys = list(map(key_of, listed.files))
        entries = {} if catalogue is None else catalogue.entries(keys)
        runs = _remembered(listed.files, keys, entries)
        _read_others(listed.files, keys, runs, catalogue, jobs, progress)
        if catalogue is not None:
            catalogue.prune(listed.folders, keys)
    return [run for run in runs if run is not None]


def _remembered(
    files: Sequence[str], keys: Sequence[bytes], entries: dict[bytes, Entry]
) -> list[RunInfo | None]:
    """Return the runs that the catalogue has; None for the others."""
    runs: list[RunInfo | None] = []
    for path, key in zip(files, keys, strict=True):
        stamp, info = entries.pop(key, (None, b""))
        is_valid = stamp is not None and stamp == stamp_of(path)
        runs.append(_decoded(info, path) if is_valid else None)
    return runs


def _decoded(info: bytes, path: str) -> RunInfo | None:
    """Return an entry under the path by which the file was found now."""
    try:
        run = decode(info)
    except DecodeError:
        return None
    structs.force_setattr(run, "path", path)  # safe: just decoded, and not shared yet
    return run


def _read_others(
    files: Sequence[str],
    keys: Sequence[bytes],
    runs: list[RunInfo | None],
    catalogue: Catalogue | None,
    jobs: int | None,
    progress: Progress | None,
) -> None:
    """Fill in the missing runs, and remember each task's results at once."""
    places = [place for place, run in enumerate(runs) if run is None]
    paths = [files[place] for place in places]
    paths_done = FileProgress(paths, progress)
    for results in _read(paths, jobs):
        for result in results:
            runs[places[result.place]] = _decoded(result.info, paths[result.place])
        if catalogue is not None:
            catalogue.store(
                (keys[places[at]], stamp, info) for at, info, stamp in results if stamp is not None
            )
        paths_done.finish(result.place for result in results)


class _Result(NamedTuple):
    """The description of a file.

    Attributes
    ----------
    place : int
        The file's place in the list.
    info : bytes
        The encoded `RunInfo`.
    stamp : bytes or None
        The stamp to remember it with; None: it must not be remembered.
    """

    place: int
    info: bytes
    stamp: bytes | None


def _read(files: Sequence[str], jobs: int | None) -> Iterator[list[_Result]]:
    """Yield the descriptions of files, task by task as they finish."""
    numbered = list(enumerate(files))
    step = _FILES_PER_TASK
    tasks = [numbered[begin : begin + step] for begin in range(0, len(files), step)]
    num_processes = min(jobs or _num_processes(files), len(tasks))
    if num_processes <= 1:
        yield from map(_describe_all, tasks)
        return
    one_by_one: list[tuple[int, str]] = []  # the files of tasks whose process died
    for place, results in in_processes(_describe_all, [(task,) for task in tasks], num_processes):
        if results is None:
            one_by_one += tasks[place]
        else:
            yield results
    again = [([file],) for file in one_by_one]
    for place, results in in_processes(_describe_all, again, num_processes):
        number, _ = one_by_one[place]
        yield results or [_Result(number, encode(RunInfo("", "unreadable", DIED)), None)]


def _num_processes(files: Sequence[str]) -> int:
    """Return how many processes are worth starting."""
    seconds = len(files) * _SECONDS_PER_FILE + sum(map(len_file, files)) * _SECONDS_PER_BYTE
    return min(os.cpu_count() or 1, int(seconds / _SECONDS_PER_PROCESS))


def _describe_all(task: Sequence[tuple[int, str]]) -> list[_Result]:
    """Describe some files, given with their places."""
    results = []
    for place, path in task:
        now, before = time.time_ns(), stamp_of(path)
        info = describe(path)
        is_stable = info.state == "closed" and before is not None and is_settled(before, now)
        stamp = before if is_stable and stamp_of(path) == before else None
        # The path may not be UTF-8; it is that of the scan, whoever has read the file.
        results.append(_Result(place, encode(structs.replace(info, path="")), stamp))
    return results
