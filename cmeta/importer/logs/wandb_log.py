"""Reading the log of a W&B run (``run-ID.wandb``): a LevelDB log of `Record` messages.

After a header of 7 bytes the file is cut into blocks of 32 KiB. A chunk has a CRC-32 of its type
and data (u32), its length (u16) and its type (u8): the whole of a record, or its first, a middle,
its last part. Fewer than 7 bytes at the end of a block are padding. The messages are decoded by
W&B's own classes; recent versions have no reader of the frames in Python.

Reading ends at the first chunk that is cut short or whose checksum does not match, and says so.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

_FILE_HEADER = struct.Struct("<4sHB")
_BEGIN = (b":W&B", 0xBEE1, 0)  # identification, magic number, version
_CHUNK = struct.Struct("<IHB")
_LEN_BLOCK = 32 * 1024
_FULL_OR_FIRST, _MIDDLE_OR_LAST, _ENDS = (1, 2), (3, 4), (1, 4)  # types of a chunk


def begins_like_log(path: Path) -> bool:
    """Return whether a file has the header of a log."""
    with open(path, "rb") as file:
        head = file.read(_FILE_HEADER.size)
    return len(head) == _FILE_HEADER.size and _FILE_HEADER.unpack(head) == _BEGIN


def read_records(path: Path, said: Callable[[str], None]) -> Iterator[bytes]:
    """Yield the data of every intact record.

    Parameters
    ----------
    path : Path
    said : callable
        Is given a sentence if the file does not end with an intact record.
    """
    parts: list[bytes] = []
    begun = num_records = 0
    try:
        for offset, kind, data in _chunks(path):
            if kind not in (_MIDDLE_OR_LAST if parts else _FULL_OR_FIRST):
                raise _Broken(offset, "a part of a record is out of its order")
            begun = begun if parts else offset
            parts.append(data)
            if kind in _ENDS:
                yield b"".join(parts)
                num_records += 1
                parts = []
        if parts:
            raise _Broken(begun, _CUT)
    except _Broken as err:
        offset = begun if parts else err.offset
        said(
            f"{path.name}: {err.problem} at byte {offset:,} of {path.stat().st_size:,}; the "
            f"{num_records:,} records before it were read, nothing after it"
        )


_CUT = "the file ends within a record"


class _Broken(Exception):  # noqa: N818  (never leaves this module)
    """Where reading ends, and why."""

    def __init__(self, offset: int, problem: str) -> None:
        super().__init__(problem)
        self.offset, self.problem = offset, problem


def _chunks(path: Path) -> Iterator[tuple[int, int, bytes]]:
    """Yield offset, type and data of each chunk."""
    with open(path, "rb") as file:
        offset = len(file.read(_FILE_HEADER.size))
        while True:
            room = _LEN_BLOCK - offset % _LEN_BLOCK
            if room < _CHUNK.size:
                offset += len(file.read(room))
            head = file.read(_CHUNK.size)
            if not head:
                return
            crc, len_data, kind = _CHUNK.unpack(head.ljust(_CHUNK.size, b"\0"))
            data = file.read(len_data)
            if len(head) < _CHUNK.size or len(data) < len_data:
                raise _Broken(offset, _CUT)
            if zlib.crc32(data, zlib.crc32(head[-1:])) != crc:
                raise _Broken(offset, "the checksum of a record does not match")
            yield offset, kind, data
            offset += _CHUNK.size + len_data
