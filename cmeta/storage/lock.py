"""The lock that allows one writer at a time, names its holder, and is not inherited by a fork.

The lock is the operating system's, so it ends with the process in every case. It is taken

- on a lock file beside the chronicle, whose text tells others who holds it. Somebody may remove
  that file while it is held, so it is not enough;
- on the chronicle and its journal themselves, once they exist. Whoever replaces one of them holds
  the lock of the file that it replaces, and a name without a file is taken exclusively: so neither
  is taken away from a writer that lives, as long as its name is there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cmeta.errors import LockedError
from cmeta.source import read_file
from cmeta.storage.disk import (
    NOT_WRITABLE,
    create,
    is_at,
    open_existing,
    open_to_lock,
    permissions_at,
)
from cmeta.storage.links import resolved
from cmeta.storage.open import journal_path

SUFFIX = "-lock"
_HOLDER = re.compile(r"host (.*), pid (\d+)")
_LEN_HOLDER_MAX = 1000  # bytes
_TRIES = 100  # somebody would have to remove the lock file between two of our steps in each of them


class Lock:
    """The lock of a chronicle, held from construction to `release`.

    Parameters
    ----------
    path : Path
        Of the chronicle itself, not of a link to it.
    place : str
        Where this process opens it, such as ``train.py:12``.

    Attributes
    ----------
    journal : Path
        Of the chronicle's journal.

    Raises
    ------
    LockedError
        Another writer holds it; the message names its host and process id, or its place in this
        process. Or something else has the name of the lock file or of the journal.
    OSError
        The folder cannot be written.
    """

    def __init__(self, path: Path, place: str = "") -> None:
        self._chronicle, self._place = path, place
        self.journal = journal_path(path)
        self._path = path.with_name(path.name + SUFFIX)
        self._file = -1  # descriptor of the lock file
        self._held: dict[Path, int] = {}  # descriptors of the chronicle and the journal
        try:
            self._take()
            for name in (path, self.journal):
                with suppress(FileNotFoundError):
                    self._held[name] = self._locked(name)
        except BaseException:
            self.release()
            raise

    def _take(self) -> None:
        for _ in range(_TRIES):
            self._file = self._take_file()
            if self._file >= 0:
                return
        raise LockedError(f"{self._path}: is replaced again and again; find out by whom")

    def _take_file(self) -> int:
        """Lock the lock file, which is made if it is missing; -1: it was removed meanwhile."""
        try:
            descriptor = create(self._path, permissions_at(self._chronicle))
        except FileExistsError:
            try:
                descriptor = open_existing(self._path)
            except FileNotFoundError:
                return -1
            except OSError as err:
                if err.errno in NOT_WRITABLE:
                    raise LockedError(f"{self._path}: {err.strerror}") from err
                raise
        try:
            if not _acquire(descriptor):
                raise self._refusal(descriptor, _text_of(descriptor))
            # The holder before us may have removed the file before we got the lock on it.
            if not is_at(descriptor, self._path):
                os.close(descriptor)
                return -1
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, _holder(), 0)
        except BaseException:
            os.close(descriptor)
            raise
        _PLACES[_identity(descriptor)] = self._place
        return descriptor

    def _locked(self, path: Path) -> int:
        """Lock a file, and return its descriptor."""
        try:
            descriptor = open_to_lock(path)
        except OSError as err:
            if path == self.journal and err.errno in NOT_WRITABLE:
                raise LockedError(f"{path}: {err.strerror}") from err
            raise
        try:
            with suppress(OSError):  # a file system that locks no file like this one
                if not _acquire(descriptor):
                    raise self._refusal(descriptor, "another process, whose lock file was removed")
        except BaseException:
            os.close(descriptor)
            raise
        _PLACES[_identity(descriptor)] = self._place
        return descriptor

    def _refusal(self, descriptor: int, holder: str) -> LockedError:
        place = _PLACES.get(_identity(descriptor))
        if place is not None:
            return LockedError(
                f"{self._chronicle}: is being written by this process, opened at "
                f"{place or 'an unknown place'}; close that recorder first"
            )
        return LockedError(
            f"{self._chronicle}: is being written by {holder or 'another process'}; only one "
            "writer at a time is possible"
        )

    # ------------------------------------------------------------------- the chronicle, the journal

    def holds(self, path: Path) -> bool:
        """Return whether the file of this name is the one that is locked."""
        descriptor = self._held.get(path)
        return descriptor is not None and is_at(descriptor, path)

    @contextmanager
    def handing_over(self, path: Path, successor: Path) -> Iterator[None]:
        """Lock the file that gets a name in this block, and release the one that has it before."""
        descriptor = self._locked(successor)
        try:
            yield
        except BaseException:
            _close(descriptor)
            raise
        before, self._held[path] = self._held.get(path, -1), descriptor
        _close(before)

    def renew(self) -> None:
        """Make the lock file again if somebody has removed it, for others to see who writes."""
        if self._file < 0 or is_at(self._file, self._path):
            return
        with suppress(OSError, LockedError):  # another one tries to write, and will be refused
            descriptor = self._take_file()
            if descriptor >= 0:
                before, self._file = self._file, descriptor
                _close(before)

    # ------------------------------------------------------------------------------------- the end

    def release(self) -> None:
        """Release the lock and remove its file, unless that is another one by now."""
        for descriptor in self._held.values():
            _close(descriptor)
        self._held.clear()
        descriptor, self._file = self._file, -1
        if descriptor >= 0:
            with suppress(PermissionError):
                if is_at(descriptor, self._path):
                    self._path.unlink(missing_ok=True)
            _close(descriptor)

    def forget(self) -> None:
        """Close the copies that a forked child has; its parent keeps the lock."""
        for descriptor in (*self._held.values(), self._file):
            _close(descriptor, keep=True)
        self._held.clear()
        self._file = -1


_PLACES: dict[tuple[int, int], str] = {}  # of the locks that this process holds


def _identity(descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


def _close(descriptor: int, *, keep: bool = False) -> None:
    """Close a descriptor with its lock; `keep`: another process still has both."""
    if descriptor < 0:
        return
    _PLACES.pop(_identity(descriptor), None)
    if not keep:
        _unlock(descriptor)  # also for a child that was forked before it could be told
    os.close(descriptor)


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
        lock = Lock(resolved(path))
    try:
        yield
    finally:
        if lock is not None:
            lock.release()


def holder_of(lock: Path) -> str:
    """Return what a lock says of its holder.

    Raises
    ------
    OSError
        It does not exist, or cannot be read.
    """
    return read_file(lock, _LEN_HOLDER_MAX).decode("utf-8", "replace")


def has_live_holder(path: Path) -> bool:
    """Return whether a process may be writing a chronicle, by what its lock says.

    The lock itself is not tried: a writer that begins at that moment would be refused.
    """
    file = resolved(path)
    try:
        descriptor = open_to_lock(file.with_name(file.name + SUFFIX))
    except FileNotFoundError:
        return False
    except OSError:
        return True  # not to be told
    try:
        match = _HOLDER.match(_text_of(descriptor))
    finally:
        os.close(descriptor)
    if match is None or os.name != "posix" or match[1] != _host():
        return True
    try:
        os.kill(int(match[2]), 0)  # sends nothing
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # of another user
        return True
    return True


def _text_of(descriptor: int) -> str:
    return os.pread(descriptor, _LEN_HOLDER_MAX, 0).decode("utf-8", "replace").strip()


def _host() -> str:
    import socket  # reading needs no network, so it does not load this

    return socket.gethostname()


def _holder() -> bytes:
    return f"host {_host()}, pid {os.getpid()}\n".encode()


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


def _unlock(descriptor: int) -> None:
    with suppress(ImportError, OSError):
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_UN)
