"""Sources: bytes that can be read at any offset.

Each read returns a private copy, so bytes that have been checked cannot change while they are
decoded. Files are in `cmeta.storage.source`.
"""

from __future__ import annotations

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
