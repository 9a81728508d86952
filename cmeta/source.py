"""Sources: bytes that can be read at any offset, in memory or in a file.

Each read is a private copy, so what has been checked cannot change while it is decoded; a mapped
file that shrinks would kill its reader.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

from cmeta.aliases import Buffer, PathLike
from cmeta.errors import TruncatedError


class Source:
    """Bytes that can be read at any offset, also from several threads.

    Attributes
    ----------
    name : str
        Its name in messages.
    size : int
        Its length in bytes.
    len_read : int
        Bytes read so far.
    """

    name: str
    size: int
    len_read: int = 0

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly `length` bytes from `offset` on.

        Raises
        ------
        TruncatedError
            The source is shorter; nothing is allocated.
        """
        if length < 0 or offset < 0 or offset + length > self.size:
            left = max(0, self.size - offset)
            raise TruncatedError(
                f"{left} bytes left, expected {length}", offset=min(offset, self.size)
            )
        data = self._read(offset, length)
        self.len_read += len(data)
        if len(data) < length:
            raise TruncatedError(
                f"the file shrank: {len(data)} bytes left, expected {length}", offset=offset
            )
        return data

    def close(self) -> None:
        """Release the file."""

    def _read(self, offset: int, length: int) -> bytes:
        raise NotImplementedError


class BytesSource(Source):
    """Bytes in memory."""

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._data = bytes(data)
        self.name, self.size = f"<{len(self._data)} bytes>", len(self._data)

    def _read(self, offset: int, length: int) -> bytes:
        return self._data[offset : offset + length]


class FileSource(Source):
    """A file on disk.

    Raises
    ------
    OSError
        The file cannot be opened.
    """

    def __init__(self, path: PathLike) -> None:
        self.name = os.fsdecode(path)
        self._file = Path(expanded(path)).open("rb", buffering=0)  # noqa: SIM115  (closed by `close`)
        self._lock = threading.Lock()
        self.size = os.fstat(self._file.fileno()).st_size

    def status(self) -> os.stat_result:
        """Return the status of the open file."""
        return os.fstat(self._file.fileno())

    def _read(self, offset: int, length: int) -> bytes:
        pieces = []
        while length:
            piece = self._read_some(offset, length)
            if not piece:
                break
            pieces.append(piece)
            offset, length = offset + len(piece), length - len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _read_some(self, offset: int, length: int) -> bytes:
        if hasattr(os, "pread"):
            return os.pread(self._file.fileno(), length, offset)
        with self._lock:  # a system without positioned reads
            self._file.seek(offset)
            return self._file.read(length) or b""

    def close(self) -> None:
        """Close the file; closing it again does nothing."""
        self._file.close()


def expanded(path: PathLike) -> str:
    """Return a path as text, with ``~`` as the home folder."""
    return os.path.expanduser(os.fsdecode(path))


def linked(path: str) -> str:
    """Return the file that a link means, or the path itself.

    The journal and the lock of a file are beside that file, and not beside a link to it.
    """
    return os.path.realpath(path) if os.path.islink(path) else path


def open_source(source: PathLike | Buffer) -> Source:
    """Return a path, or bytes in memory, as a source."""
    if isinstance(source, Buffer):
        return BytesSource(source)
    return FileSource(source)
