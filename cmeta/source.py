"""Sources: bytes that can be read at any offset, in memory or in a file.

Each read is a private copy, so what has been checked cannot change while it is decoded; a mapped
file that shrinks would kill its reader.

Every file that this package reads is opened by `regular_file`: a FIFO or a device would be waited
for, or would never end.
"""

from __future__ import annotations

import errno
import os
import stat
import threading

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

    def read_upto(self, offset: int, length: int) -> bytes:
        """Return `length` bytes, or fewer if the source ends before."""
        return self._read(offset, max(0, min(length, self.size - offset)))

    @property
    def len_on_disk(self) -> int:
        """Its length in bytes without holes, or as little as they take on the disk."""
        return self.size

    def next_data(self, offset: int) -> int:
        """Return the first offset from `offset` on whose bytes need to be searched.

        The bytes before it are zeros that are not on disk.
        """
        return offset

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
        self._file = open(expanded(path), "rb", 0, opener=regular_file)  # noqa: SIM115  (`close`)
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

    @property
    def len_on_disk(self) -> int:
        """Its length in bytes without holes, or as little as they take on the disk."""
        len_block = 512  # whatever the file system's own is
        return min(self.size, getattr(self.status(), "st_blocks", self.size) * len_block)

    def next_data(self, offset: int) -> int:
        """Return the first offset from `offset` on that is not in a hole of the file."""
        if not hasattr(os, "SEEK_DATA") or offset >= self.size:
            return offset
        try:
            with self._lock:
                return max(offset, os.lseek(self._file.fileno(), offset, os.SEEK_DATA))
        except OSError as err:  # ENXIO: only a hole is left; others: a file system without holes
            return self.size if err.errno == errno.ENXIO else offset

    def close(self) -> None:
        """Close the file; closing it again does nothing."""
        self._file.close()


class RefusedSource(Source):
    """A file that cannot be opened: an error only once something in it is needed."""

    def __init__(self, path: PathLike, error: OSError) -> None:
        self.name, self.size, self._error = os.fsdecode(path), 0, error

    def read(self, offset: int, length: int) -> bytes:
        """Raise the error of opening the file."""
        raise self._error


def regular_file(path: str, flags: int) -> int:
    """Open a regular file: the `opener` of all that is read.

    Raises
    ------
    OSError
        It does not exist, may not be read, or is something else, such as a FIFO.
    """
    try:
        descriptor = os.open(path, flags | _NEVER_WAIT)
    except OSError as err:
        if err.errno == errno.ENXIO:  # a socket, or a device without hardware
            raise _irregular(path, os.stat(path).st_mode) from err
        raise
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):  # Python has its own error for a folder
        return descriptor
    os.close(descriptor)
    raise _irregular(path, mode)


def _irregular(path: str, mode: int) -> OSError:
    kinds = {
        stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }  # fmt: skip
    kind = kinds.get(stat.S_IFMT(mode), "something else")
    return OSError(errno.EINVAL, f"{kind}, expected a regular file", path)


def read_file(path: PathLike, most: int = -1) -> bytes:
    """Return the bytes of a regular file, or the first `most` of them.

    Raises
    ------
    OSError
        It cannot be opened.
    """
    with open(path, "rb", opener=regular_file) as file:
        return file.read(most)


# A regular file does not notice any of them.
_NEVER_WAIT = sum(
    getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY")
)


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
