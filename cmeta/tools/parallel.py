"""Work on many files in several processes: results as they come, progress, and workers that die."""

from __future__ import annotations

import os
import pickle
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from cmeta.aliases import PathLike, Progress

DIED = "a worker process died; try jobs=1"
_MAIN = "__main__"
_SAFE_PATH = "PYTHONSAFEPATH"  # not empty: Python does not search the current folder
_HERE_ONLY = "cmeta"  # its value in processes that begin here


def require_jobs(jobs: int | None) -> None:
    """Refuse a number of processes that is less than 1.

    Raises
    ------
    ValueError
    """
    if jobs is not None and jobs < 1:
        raise ValueError(f"jobs: found {jobs}, expected 1 or more")


def is_importable(work: Any) -> bool:
    """Return whether another process can import a callable: it is not part of the script."""
    if getattr(work, "__module__", None) == _MAIN or type(work).__module__ == _MAIN:
        return False
    try:
        pickle.dumps(work)
    except Exception:  # pickling runs the object's own code, which may raise anything
        return False
    return True


def in_processes(
    work: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], num_processes: int
) -> Iterator[tuple[int, Any]]:
    """Yield the place of each task and its result, in the order in which they finish.

    Parameters
    ----------
    work : callable
        A function of a module, which never returns None.
    tasks : sequence of tuple
        The arguments of each call.

    Yields
    ------
    int, result
        The result is None if the process died, for example for lack of memory.

    Raises
    ------
    Exception
        Whatever `work` raises; tasks that have not begun are cancelled.
    """
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    # A new interpreter each: a fork of a process with threads, such as torch's, may deadlock.
    with _hidden_script():  # its locks start a process, too
        executor = ProcessPoolExecutor(num_processes, get_context("spawn"), _begin)
    with executor as pool:
        with _hidden_script():
            futures = {pool.submit(work, *task): place for place, task in enumerate(tasks)}
        try:
            for future in as_completed(futures):
                try:
                    yield futures[future], future.result()
                except BrokenProcessPool:
                    yield futures[future], None
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


@contextmanager
def _hidden_script() -> Iterator[None]:
    """Keep new processes from importing the user's script, which would run it again.

    Nor do they import modules from the current folder before they have this process's search path:
    whatever a folder with chronicles holds under the name of a module would be run.
    """
    script = sys.modules[_MAIN]
    sys.modules[_MAIN] = ModuleType(_MAIN)
    is_set = bool(os.environ.get(_SAFE_PATH))
    if not is_set:
        os.environ[_SAFE_PATH] = _HERE_ONLY
    try:
        yield
    finally:
        sys.modules[_MAIN] = script
        if not is_set:
            del os.environ[_SAFE_PATH]


def _begin() -> None:
    """Let ctrl-C end a worker silently, which the parent reports; restore the environment."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if os.environ.get(_SAFE_PATH) == _HERE_ONLY:
        del os.environ[_SAFE_PATH]


class FileProgress:
    """The bytes done of many files; without a callable, it does nothing.

    Parameters
    ----------
    progress : callable, optional
        Called with bytes done and bytes in all.
    """

    def __init__(self, files: Sequence[PathLike], progress: Progress | None) -> None:
        self._sizes = [len_file(file) for file in files] if progress else [0] * len(files)
        self._report = progress or (lambda done, total: None)
        self._total, self._done = sum(self._sizes), 0

    def within(self, done: int, total: int) -> None:
        """Report the bytes done of the next file, which is not finished."""
        self._report(self._done + done, self._total)

    def finish(self, places: Iterable[int]) -> None:
        """Report that the files at these places are done."""
        self._done += sum(self._sizes[place] for place in places)
        self._report(self._done, self._total)


def len_file(path: PathLike) -> int:
    """Return the length of a file in bytes; 0 if it does not exist."""
    try:
        return os.stat(path).st_size
    except (OSError, ValueError):
        return 0
