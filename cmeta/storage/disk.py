"""The operations on the file system that writing consists of: the seam for fault injection.

Each method is one operation of the commit protocol. Tests substitute another `Disk` that records
the order of operations, makes one of them fail, or stops at any of them.

No other module opens a file for writing. In a folder where others may write, they can put a link to
somebody's file under any name, or a device, and change the names at any moment. So a new file is
created exclusively, and an existing one is opened without following a link, without waiting, and
used only if its name is the only one it has (`open_existing`). A file that takes the place of
another, or is written beside it, takes its permissions before its first byte.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


class File:
    """An open file, written at explicit offsets."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor

    def write(self, data: bytes, offset: int) -> None:
        """Write all of `data`.

        Raises
        ------
        OSError
            Such as a full disk; part of the data may have been written.
        """
        try:
            written = os.pwrite(self.descriptor, data, offset)
            while written < len(data):  # after a short write, the next one gives the reason
                data, offset = data[written:], offset + written
                written = os.pwrite(self.descriptor, data, offset)
        except OSError as err:
            err.filename = os.fspath(self.path)
            raise

    def stream(self) -> BinaryIO:
        """Return a buffered stream that writes to the file; closing it leaves the file open."""
        return open(self.descriptor, "wb", closefd=False)

    def truncate(self, length: int) -> None:
        """Cut the file, or extend it by zeros."""
        os.ftruncate(self.descriptor, length)

    def sync(self) -> None:
        """Wait until everything written is on disk."""
        os.fsync(self.descriptor)

    def is_at(self, path: Path) -> bool:
        """Return whether a path still refers to this file."""
        return is_at(self.descriptor, path)

    def read(self, length: int, offset: int) -> bytes:
        """Return up to `length` bytes."""
        return os.pread(self.descriptor, length, offset)

    def close(self) -> None:
        """Close the file; closing it again does nothing."""
        if self.descriptor >= 0:
            descriptor, self.descriptor = self.descriptor, -1
            os.close(descriptor)


class Disk:
    """The file system."""

    def create(self, path: Path, like: os.stat_result | None = None) -> File:
        """Create a file that must not exist, with the permissions of another if that is given."""
        return File(path, create(path, like))

    def open(self, path: Path) -> File:
        """Open an existing file for writing, as `open_existing`."""
        return File(path, open_existing(path))

    def rename(self, file: File, target: Path) -> None:
        """Rename a file, replacing any file of that name."""
        os.replace(file.path, target)
        file.path = target

    def publish(self, file: File, target: Path) -> None:
        """Rename a file to a name that must be free.

        Raises
        ------
        FileExistsError
            It is taken.
        """
        try:
            os.link(file.path, target)
        except FileExistsError:
            raise
        except OSError as err:  # a file system without links
            if os.path.lexists(target):
                message = os.strerror(errno.EEXIST)
                raise FileExistsError(errno.EEXIST, message, str(target)) from err
            os.rename(file.path, target)
        else:
            os.unlink(file.path)
        file.path = target

    def unlink(self, path: Path) -> None:
        """Remove a file if it exists."""
        path.unlink(missing_ok=True)

    def sync_folder(self, folder: Path) -> None:
        """Wait until the names in a folder are on disk."""
        sync_folder(folder)


# ----------------------------------------------------------------------------- opening for writing


def create(path: Path, like: os.stat_result | None = None, *, mode: int = 0o666) -> int:
    """Create a file that must not exist, and return its descriptor.

    Parameters
    ----------
    path : Path
    like : os.stat_result, optional
        Of the file whose permissions it takes. Default: those of `mode` that the umask leaves.
    mode : int
    """
    mode = mode if like is None else stat.S_IMODE(like.st_mode) & 0o600
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _FLAGS, mode)
    if like is not None and os.name == "posix":
        with suppress(OSError):  # a file system without permissions
            _take_permissions(descriptor, like)
    return descriptor


def _take_permissions(descriptor: int, like: os.stat_result) -> None:
    """Give a file the permissions of another, but nobody more than that one gives."""
    own = os.fstat(descriptor)
    mode = stat.S_IMODE(like.st_mode) & 0o777
    if own.st_uid != like.st_uid:
        mode &= 0o755  # who has made that file does not decide who may write to ours
    if own.st_gid != like.st_gid:
        try:
            os.fchown(descriptor, -1, like.st_gid)
        except OSError:
            mode &= ~0o070  # its group is another one
    if mode != stat.S_IMODE(own.st_mode):
        os.fchmod(descriptor, mode)


def permissions_at(path: Path) -> os.stat_result | None:
    """Return the status of a regular file, for `create`; None if there is none."""
    with suppress(OSError):
        status = path.stat()
        return status if stat.S_ISREG(status.st_mode) else None
    return None


def open_existing(path: Path) -> int:
    """Open a file for writing, and return its descriptor.

    Raises
    ------
    FileNotFoundError
    OSError
        It is a link, no regular file, or has a further name, whose content would change too.
    """
    for _ in range(_TRIES):
        descriptor = _open(path, os.O_RDWR)
        try:
            # One look at the name: it tells the file and the number of its names at one moment.
            named = os.lstat(path)
            if os.path.samestat(named, os.fstat(descriptor)):
                _require_regular(path, named)
                _require_one_name(path, named)
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
    raise OSError(errno.EAGAIN, "is replaced again and again; find out by whom", str(path))


def open_to_lock(path: Path) -> int:
    """Open a regular file that nothing is written to, and return its descriptor.

    Raises
    ------
    FileNotFoundError
    OSError
        As `open_existing`, but it may have further names.
    """
    try:
        descriptor = _open(path, os.O_RDWR)  # network file systems lock no other
    except PermissionError:
        descriptor = _open(path, os.O_RDONLY)
    try:
        _require_regular(path, os.fstat(descriptor))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _open(path: Path, flags: int) -> int:
    try:
        return os.open(path, flags | _FLAGS)
    except OSError as err:
        if os.path.islink(path):
            reason = "is a link, which is not followed where a file is written; remove it"
            raise OSError(errno.ELOOP, reason, str(path)) from err
        if err.errno in (errno.ENXIO, errno.ENODEV):  # a socket, or a device without a driver
            raise OSError(errno.EEXIST, _NOT_REGULAR, str(path)) from err
        raise


def _require_regular(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EEXIST, _NOT_REGULAR, str(path))


def _require_one_name(path: Path, status: os.stat_result) -> None:
    if status.st_nlink > 1:
        reason = (
            f"has {status.st_nlink} names (hard links), and what is written would appear under "
            "all of them; put a copy in its place"
        )
        raise OSError(errno.EMLINK, reason, str(path))


@contextmanager
def new_stream(path: Path) -> Iterator[BinaryIO]:
    """Create a file that must not exist, and yield a stream that writes to it."""
    with open(create(path), "wb") as stream:
        yield stream


def is_at(descriptor: int, path: Path) -> bool:
    """Return whether a path is a name of an open file; a link to it is none."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False


# ----------------------------------------------------------------------------------------- folders


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on disk, on systems that can sync folders."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folders(folder: Path) -> list[Path]:
    """Make a folder and those above it, where they are missing, so that they survive a crash.

    Returns those that it made, the innermost first.
    """
    missing = [f for f in (folder, *folder.parents) if not f.exists()]
    for made in (*reversed(missing), folder):  # the last one is refused where it is a file
        made.mkdir(exist_ok=True)
    for made in missing:
        sync_folder(made.parent)
    return missing


def remove_folders(folders: list[Path]) -> None:
    """Remove folders, the innermost first, as far as they are empty."""
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()


_FLAGS = 0
for _name in ("O_CLOEXEC", "O_BINARY", "O_NOFOLLOW", "O_NONBLOCK", "O_NOCTTY"):
    _FLAGS |= getattr(os, _name, 0)
NOT_WRITABLE = (errno.ELOOP, errno.EEXIST, errno.EMLINK, errno.EISDIR)  # whoever may write there
_TRIES = 100  # somebody would have to replace the file between two of our steps in each of them
_NOT_REGULAR = "is not a regular file, which alone can be written; remove it"
