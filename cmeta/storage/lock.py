"""The lock that allows one writer at a time, names its holder, and is not inherited by a fork.

The lock is the operating system's, on a separate file beside the chronicle, so it ends with the
process in every case; the text in that file only tells others who holds it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cmeta.errors import LockedError
from cmeta.source import linked

SUFFIX = "-lock"
_HOLDER = re.compile(r"host (.*), pid (\d+)")


class Lock:
    """The lock of a chronicle, held from construction to `release`.

    Parameters
    ----------
    path : Path
        Of the chronicle.
    place : str
        Where this process opens it, such as ``train.py:12``.

    Raises
    ------
    LockedError
        Another writer holds it; the message names its host and process id, or its place in this
        process.
    OSError
        The folder cannot be written.
    """

    def __init__(self, path: Path, place: str = "") -> None:
        self._place = place
        self._path = _lock_path(path)
        self._descriptor = -1
        while self._descriptor < 0:
            self._try(path)

    def _try(self, path: Path) -> None:
        descriptor = os.open(
            self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666
        )
        try:
            if not _acquire(descriptor):
                raise _locked(path, descriptor)
            # The holder before us may have removed the file before we got the lock on it.
            if not _is_at(descriptor, self._path):
                os.close(descriptor)
                return
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, _holder(), 0)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        _PLACES[_identity(descriptor)] = self._place

    def release(self) -> None:
        """Release the lock and remove its file."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            _PLACES.pop(_identity(descriptor), None)
            self._path.unlink(missing_ok=True)
            os.close(descriptor)

    def forget(self) -> None:
        """Close the copy that a forked child has; its parent keeps the lock."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            _PLACES.pop(_identity(descriptor), None)
            os.close(descriptor)


_PLACES: dict[tuple[int, int], str] = {}  # of the locks that this process holds


def _identity(descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


def _locked(path: Path, descriptor: int) -> LockedError:
    place = _PLACES.get(_identity(descriptor))
    if place is not None:
        return LockedError(
            f"{path}: is being written by this process, opened at {place or 'an unknown place'}; "
            "close that recorder first"
        )
    holder = os.pread(descriptor, 1000, 0).decode("utf-8", "replace").strip()
    return LockedError(
        f"{path}: is being written by {holder or 'another process'}; only one writer at a time is "
        "possible"
    )


@contextmanager
def held_lock(path: Path) -> Iterator[None]:
    """Hold the lock of a file while all of it is written.

    Where it cannot be made, as on a file system without locks, writing goes on without it.

    Raises
    ------
    LockedError
        A recorder has the file open.
    """
    lock = None
    with suppress(OSError):
        lock = Lock(path)
    try:
        yield
    finally:
        if lock is not None:
            lock.release()


def has_live_holder(path: Path) -> bool:
    """Return whether a process may be writing a chronicle, by what its lock says.

    The lock itself is not tried: a writer that begins at that moment would be refused.
    """
    try:
        text = _lock_path(path).read_text("utf-8", "replace")
    except FileNotFoundError:
        return False
    except OSError:
        return True  # not to be told
    match = _HOLDER.match(text)
    if match is None or os.name != "posix" or match[1] != _host():
        return True
    try:
        os.kill(int(match[2]), 0)  # sends nothing
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # of another user
        return True
    return True


def _lock_path(path: Path) -> Path:
    return Path(linked(os.fspath(path)) + SUFFIX)


def _host() -> str:
    import socket  # reading needs no network, so it does not load this

    return socket.gethostname()


def _holder() -> bytes:
    return f"host {_host()}, pid {os.getpid()}\n".encode()


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _acquire(descriptor: int) -> bool:
    """Try to lock, without waiting; return whether it worked."""
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
        except OSError:
            return False
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
