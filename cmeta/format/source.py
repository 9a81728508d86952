"""Sources: bytes that can be read at any offset, a private copy at each read.

What has been checked cannot change while it is decoded. Files are in `cmeta.storage.source`.
"""

from __future__ import annotations

from cmeta.errors import TruncatedError


class Source:
    """Bytes that can be read at any offset, also from several threads.

    Attributes
    ----------
    name : str
        What to call it in messages.
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
            The source ends before; nothing is allocated for what it does not have.
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
        raise AssertionError("a source knows how to read")


class BytesSource(Source):
    """Bytes in memory."""

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._data = bytes(data)
        self.name, self.size = f"<{len(self._data)} bytes>", len(self._data)

    def _read(self, offset: int, length: int) -> bytes:
        return self._data[offset : offset + length]
