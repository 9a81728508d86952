"""A file on disk as a `Source`: positioned reads, each a private copy.

So checked bytes cannot change while they are decoded. The file is not mapped: a mapped file that
shrinks kills its reader.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

from cmeta.aliases import Buffer, PathLike
from cmeta.format.source import BytesSource, Source


class FileSource(Source):
    """A file on disk.

    Raises
    ------
    OSError
        The file cannot be opened.
    """

    def __init__(self, path: PathLike) -> None:
        self.name = str(path)
        self._file = Path(path).open("rb", buffering=0)  # noqa: SIM115  (closed by `close`)
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


def open_source(source: PathLike | Buffer) -> Source:
    """Return a path, or bytes in memory, as a source."""
    if isinstance(source, Buffer):
        return BytesSource(source)
    return FileSource(source)
