"""The operations on the file system that writing consists of: the seam for fault injection.

Each method is one operation of the commit protocol. Tests substitute another `Disk` that records
the order of operations, makes one of them fail, or stops at any of them.
"""

from __future__ import annotations

import os
from contextlib import suppress
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
        try:
            return os.path.samestat(os.fstat(self.descriptor), path.stat())
        except FileNotFoundError:
            return False

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

    def create(self, path: Path) -> File:
        """Create a file that must not exist."""
        return File(path, os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _FLAGS, 0o666))

    def open(self, path: Path) -> File:
        """Open an existing file for writing."""
        return File(path, os.open(path, os.O_RDWR | _FLAGS))

    def rename(self, file: File, target: Path) -> None:
        """Rename a file, replacing any file of that name."""
        os.replace(file.path, target)
        file.path = target

    def unlink(self, path: Path) -> None:
        """Remove a file if it exists."""
        path.unlink(missing_ok=True)

    def sync_folder(self, folder: Path) -> None:
        """Wait until the names in a folder are on disk."""
        sync_folder(folder)


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


_FLAGS = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
