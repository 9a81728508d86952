"""Work in several processes: each task once, results as they come, a process that dies told."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

_MAIN = "__main__"


def in_processes(
    work: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], num_processes: int
) -> Iterator[tuple[int, Any]]:
    """Yield the place of each task and what `work` returned for it, in the order of their ends.

    Parameters
    ----------
    work : callable
        Of a module; never returns None.
    tasks : sequence of tuple
        Its arguments, each time.

    Yields
    ------
    int, result
        The result is None if the process has died, killed for want of memory perhaps.

    Raises
    ------
    Exception
        Whatever `work` raises; what has not begun by then is given up.
    """
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    # A new interpreter each: a fork of a process with threads, torch's say, may never wake up.
    with ProcessPoolExecutor(num_processes, get_context("spawn"), _let_interrupts_end) as pool:
        with _script_hidden():
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
def _script_hidden() -> Iterator[None]:
    """Keep new processes from running the user's script again, which they else do to import it."""
    script = sys.modules[_MAIN]
    sys.modules[_MAIN] = ModuleType(_MAIN)
    try:
        yield
    finally:
        sys.modules[_MAIN] = script


def _let_interrupts_end() -> None:
    """Let ctrl-C end a worker without a word; the parent says what there is to say."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
