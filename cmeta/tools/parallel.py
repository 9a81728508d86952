"""Work on many files in several processes: results as they come, progress, and workers that die."""

from __future__ import annotations

import os
import pickle
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import TYPE_CHECKING, Any

from cmeta.aliases import PathLike, Progress

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

DIED = "the process that read it died; try jobs=1"
_MAIN = "__main__"
_SAFE_PATH = "PYTHONSAFEPATH"  # not empty: Python does not search the current folder
_HERE_ONLY = "cmeta"  # its value in processes that begin here
_PATIENCE = 10  # seconds for the end of a process that has nothing to do


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
        The result is None if the process died, for example for lack of memory; another process
        takes over its other tasks.

    Raises
    ------
    Exception
        Whatever `work` raises; tasks that have not begun are left out.
    """
    from multiprocessing.connection import wait

    waiting = deque(enumerate(tasks))
    workers: list[_Worker] = []
    idle: list[_Worker] = []
    try:
        while waiting or workers:
            while waiting and len(workers) < num_processes:
                workers.append(_Worker(work, *waiting.popleft()))
            ready = wait([worker.pipe for worker in workers])
            for worker in [worker for worker in workers if worker.pipe in ready]:
                yield worker.place, worker.result()
                if worker.is_alive and waiting:
                    worker.begin(*waiting.popleft())
                else:
                    workers.remove(worker)
                    idle.append(worker)
                    worker.pipe.close()  # which ends it
    finally:
        for worker in (*workers, *idle):
            worker.end()


class _Worker:
    """A process that does one task after another.

    Each has a pipe of its own: in a queue that is shared, a process that is killed while it holds
    the queue's lock stops all others.
    """

    def __init__(self, work: Callable[..., Any], place: int, task: tuple[Any, ...]) -> None:
        from multiprocessing import get_context

        # A new interpreter each: a fork of a process with threads, such as torch's, may deadlock.
        context = get_context("spawn")
        self.pipe, inner = context.Pipe()
        self._process = context.Process(target=_serve, args=(work, inner))
        with _hidden_script():
            self._process.start()
        inner.close()  # so that the pipe ends with the process
        self.is_alive, self._is_busy = True, False
        self.begin(place, task)

    def begin(self, place: int, task: tuple[Any, ...]) -> None:
        """Begin a task."""
        self.place, self._is_busy = place, True
        with suppress(OSError):  # it has died, which `result` finds
            self.pipe.send(task)

    def result(self) -> Any:
        """Wait for the result; None if the process has died."""
        try:
            is_error, value = self.pipe.recv()
        except (EOFError, OSError):
            self.is_alive = False
            return None
        self._is_busy = False
        if is_error:
            raise value
        return value

    def end(self) -> None:
        """End the process, whatever it is doing."""
        self.pipe.close()
        if not self._is_busy:  # it ends by itself, in good order
            self._process.join(_PATIENCE)
        self._process.terminate()
        self._process.join()


def _serve(work: Callable[..., Any], pipe: Connection) -> None:
    """Do tasks until the other side has gone."""
    _begin()
    while True:
        try:
            task = pipe.recv()
        except (EOFError, OSError):
            return
        except Exception as err:  # a task that cannot be loaded here
            pipe.send((True, err))
            continue
        try:
            answer = False, work(*task)
        except Exception as err:  # raised again on the other side
            answer = True, err
        try:
            pipe.send(answer)
        except BrokenPipeError:
            return
        except Exception as err:  # whatever pickling the answer raises
            text = f"{type(err).__name__}: {err}"
            pipe.send((True, RuntimeError(f"its result cannot be passed on: {text}")))


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
