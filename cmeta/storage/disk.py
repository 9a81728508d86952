"""Everything that a recorder does to the file system, and nothing else: the seam for tests.

Each method is one operation of the commit protocol. A test puts another `Disk` in its place, to
note the order of operations, to let one of them fail, or to stop at any of them.
"""

from __future__ import annotations

import os
from pathlib import Path


class File:
    """An open file that is written at stated offsets."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor

    def write(self, data: bytes, offset: int) -> None:
        """Write all of `data`.

        Raises
        ------
        OSError
            The disk is full, or worse; part of it may have been written.
        """
        try:
            written = os.pwrite(self.descriptor, data, offset)
            while written < len(data):  # a short write: the next one says why
                data, offset = data[written:], offset + written
                written = os.pwrite(self.descriptor, data, offset)
        except OSError as err:
            err.filename = os.fspath(self.path)
            raise

    def truncate(self, length: int) -> None:
        """Cut the file, or extend it by zeros."""
        os.ftruncate(self.descriptor, length)

    def sync(self) -> None:
        """Wait until everything written is on disk."""
        os.fsync(self.descriptor)

    def is_at(self, path: Path) -> bool:
        """Return whether a name still denotes this file."""
        try:
            return os.path.samestat(os.fstat(self.descriptor), path.stat())
        except FileNotFoundError:
            return False

    def read(self, length: int, offset: int) -> bytes:
        """Return up to `length` bytes."""
        return os.pread(self.descriptor, length, offset)

    def close(self) -> None:
        """Close the file; a second time does nothing."""
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
        """Give a file another name, over whatever has it."""
        os.replace(file.path, target)
        file.path = target

    def unlink(self, path: Path) -> None:
        """Remove a name, if it is there."""
        path.unlink(missing_ok=True)

    def sync_folder(self, folder: Path) -> None:
        """Wait until the names in a folder are on disk, where a system can."""
        if os.name != "posix":
            return
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


_FLAGS = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
