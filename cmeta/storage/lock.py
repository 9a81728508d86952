"""One writer at a time: a lock that names its holder, and that a forked child does not keep.

The lock is the system's, on a file of its own beside the chronicle, so it ends with the process
whatever happens; what stands in the file only tells others whom they meet.
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
        Another writer holds it; names host and process id.
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
                    f"{path}: is being written by {holder or 'another process'}; one writer at a "
                    "time"
                )
            # Whoever had it may have removed the file before we got the lock on it.
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
        """Let others write."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            self._path.unlink(missing_ok=True)
            os.close(descriptor)

    def forget(self) -> None:
        """In a forked child: drop the copy; the parent keeps the lock."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)


def _holder() -> bytes:
    import socket  # here: reading needs no network

    return f"host {socket.gethostname()}, pid {os.getpid()}\n".encode()


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _acquire(descriptor: int) -> bool:
    """Lock without waiting."""
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
