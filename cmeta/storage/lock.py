"""The lock that allows one writer at a time, names its holder, and is not inherited by a fork.

The lock is the operating system's, on a separate file beside the chronicle, so it ends with the
process in every case; the text in that file only tells others who holds it.
"""

from __future__ import annotations

import os
from pathlib import Path

from cmeta.errors import LockedError

SUFFIX = "-lock"


class Lock:
    """The lock of a chronicle, held from construction to `release`.

    Raises
    ------
    LockedError
        Another writer holds it; the message names its host and process id.
    OSError
        The folder cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(path.name + SUFFIX)
        self._descriptor = -1
        while self._descriptor < 0:
            self._try(path)

    def _try(self, path: Path) -> None:
        descriptor = os.open(
            self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666
        )
        try:
            if not _acquire(descriptor):
                holder = os.pread(descriptor, 1000, 0).decode("utf-8", "replace").strip()
                raise LockedError(
                    f"{path}: is being written by {holder or 'another process'}; only one writer "
                    "at a time is possible"
                )
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

    def release(self) -> None:
        """Release the lock and remove its file."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            self._path.unlink(missing_ok=True)
            os.close(descriptor)

    def forget(self) -> None:
        """Close the copy that a forked child has; its parent keeps the lock."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)


def _holder() -> bytes:
    import socket  # reading needs no network, so it does not load this

    return f"host {socket.gethostname()}, pid {os.getpid()}\n".encode()


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
