"""The sessions of this process: let go of with their recorder, closed at exit, released by a fork.

- A recorder that is collected while it is open is closed by its own thread, as it would be at the
  end of the process: every record is acknowledged already, and lock, thread and files are free.
- Opening a file that this process still has open waits for such a close. ``mode="replace"`` and
  ``"resume"`` also take over from a recorder that nobody holds: one in a cycle of references, in a
  finished call that only a traceback keeps, or under a name that the running code is about to
  assign again.
- In a notebook or another interactive session they take over from any recorder of the same thread:
  a cell that runs a second time means this, and the history of outputs holds whatever was shown.
  The recorder that was closed says so when it is used again.
"""

from __future__ import annotations

import dis
import gc
import os
import sys
import threading
import weakref
from collections.abc import Callable
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_GENERATOR, CO_OPTIMIZED
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

from cmeta.errors import LockedError
from cmeta.storage.lock import Lock

_PACKAGE = "cmeta"
_ABANDONED_MAX = 8  # sessions that may be closing at once, after their recorders were let go of
_SUSPENDED = CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR


class LiveSession(Protocol):
    """A session as this module needs it."""

    path: Path
    is_closed: bool
    successor: str

    def abandon(self) -> bool:
        """Close it without waiting, and without a lock; return whether this call did.

        A finaliser calls this.
        """

    def wait(self) -> None:
        """Wait for the end of a close."""

    def after_fork(self) -> None:
        """Release everything in a forked child."""


# By session: its recorder, and the thread that opened it. Those of closed recorders are removed.
_RECORDERS: dict[LiveSession, weakref.ref[Any]] = {}
_THREADS: weakref.WeakKeyDictionary[LiveSession, int] = weakref.WeakKeyDictionary()


def hold(session: LiveSession, recorder: Any, at_end: Callable[[], None]) -> None:
    """Close the session when its recorder is collected; `at_end` says what its `close` would."""
    _RECORDERS[session] = weakref.ref(recorder)
    _THREADS[session] = threading.get_ident()
    weakref.finalize(recorder, _abandon, session, at_end).atexit = False  # `close_all` is for that


def _abandon(session: LiveSession, at_end: Callable[[], None]) -> None:
    if session.abandon():
        at_end()


def let_go(session: LiveSession) -> None:
    """Forget a session that has ended; any thread may call this."""
    _RECORDERS.pop(session, None)


def close_all() -> None:
    """Close every recorder at the end of the process; the first error is raised at the end."""
    first: BaseException | None = None
    for session, reference in list(_RECORDERS.items()):
        try:
            _close(reference)
            session.wait()
        except Exception as err:
            if first is not None:
                first.add_note(f"{type(err).__name__}: {err}")
            first = first or err
    if first is not None:
        raise first


def _close(reference: weakref.ref[Any]) -> None:
    recorder = reference()
    if recorder is not None:
        recorder.close()


def forget_all() -> None:
    """Release everything in a forked child."""
    for session in list(_RECORDERS):
        session.after_fork()
    _RECORDERS.clear()


# ------------------------------------------------------------------------------------- the lock


def lock_of(path: Path, mode: str) -> Lock:
    """Take the lock of a file, from a recorder of this process that nobody holds if need be.

    Raises
    ------
    LockedError
        Another process has it, or a recorder of this process that is held.
    OSError
    """
    caller = _caller()
    place = f"{caller.f_code.co_filename}:{caller.f_lineno}" if caller else ""
    _limit_abandoned()
    while True:
        try:
            return Lock(path, place)
        except LockedError:
            session = _session_at(path)
            if session is None or not _is_free(session, mode, caller, place):
                raise


def _limit_abandoned() -> None:
    """Wait while many are closing: a loop may let go of recorders faster than they are closed."""
    abandoned = [session for session, recorder in list(_RECORDERS.items()) if recorder() is None]
    for session in abandoned[:-_ABANDONED_MAX]:
        session.wait()
        let_go(session)


def _session_at(path: Path) -> LiveSession | None:
    real = os.path.realpath(path)
    for session in list(_RECORDERS):
        if os.path.realpath(session.path) == real:
            return session
    return None


def _is_free(session: LiveSession, mode: str, caller: FrameType | None, place: str) -> bool:
    """Close a session that nobody holds, and wait for it; return whether it was one."""
    reference = _RECORDERS.get(session)
    if reference is not None and reference() is not None:
        gc.collect()
        if mode in ("resume", "replace"):
            _clear_finished_calls(reference)
            if _is_interactive(session) or _is_about_to_be_replaced(reference, caller):
                session.successor = place
                _close(reference)
        if reference() is not None and not session.is_closed:
            return False
    session.wait()
    let_go(session)
    return True


# ------------------------------------------------------------------------------- who holds what


def _is_interactive(session: LiveSession) -> bool:
    """Return whether a person runs this thread's code piece by piece, and opened the session so."""
    ipython = sys.modules.get("IPython")
    is_notebook = ipython is not None and ipython.get_ipython() is not None
    return (is_notebook or hasattr(sys, "ps1")) and _THREADS.get(session) == threading.get_ident()


def _caller() -> FrameType | None:
    """Return the innermost frame outside of the package."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name.partition(".")[0] != _PACKAGE:
            break
        frame = frame.f_back
    return frame


def _clear_finished_calls(reference: weakref.ref[Any]) -> None:
    """Clear the calls that have ended and hold a recorder only because a traceback keeps them."""
    for holder in gc.get_referrers(reference()):
        if isinstance(holder, FrameType) and not holder.f_code.co_flags & _SUSPENDED:
            try:
                holder.clear()
            except RuntimeError:  # it still runs
                continue


def _is_about_to_be_replaced(reference: weakref.ref[Any], caller: FrameType | None) -> bool:
    """Return whether the only references are names that the calling code assigns again.

    Only code of a module or a cell is considered: its names outlive it, and so it is run again.
    """
    recorder = reference()
    if recorder is None or caller is None or caller.f_code.co_flags & CO_OPTIMIZED:
        return False
    names = {name for name, value in list(caller.f_locals.items()) if value is recorder}
    del recorder
    return names <= _assigned_names(caller) and _num_references(reference) == len(names) > 0


def _assigned_names(frame: FrameType) -> set[str]:
    stores = ("STORE_NAME", "STORE_GLOBAL")
    return {i.argval for i in dis.get_instructions(frame.f_code) if i.opname in stores}


def _num_references(reference: weakref.ref[Any]) -> int:
    """Return how many references there are, as the interpreter counts those of a fresh object."""
    fresh = _Fresh()
    one = sys.getrefcount(weakref.ref(fresh)())
    return sys.getrefcount(reference()) - one + 1


class _Fresh:
    """An object with one reference."""
