"""Entries of a journal: framing them, and scanning for those that are intact.

An entry's CRC begins with the journal's salt, so that entries of another journal, left in a
recycled part of the disk, are none of ours. Scanning stops at the first entry that is not intact.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from cmeta.grammar import Grammar


class Entry(NamedTuple):
    """An intact entry.

    Attributes
    ----------
    kind, ordinal : int
    body : bytes
    offset, end : int
        Where it stands in the journal.
    """

    kind: int
    ordinal: int
    body: bytes
    offset: int
    end: int


class Framer:
    """Frames the entries of one journal.

    Parameters
    ----------
    grammar : Grammar
    salt : int
        u64; the journal's.
    """

    def __init__(self, grammar: Grammar, salt: int) -> None:
        self.salt = salt
        layout = grammar.journal_frame
        self._head = struct.Struct("<" + layout.upto("body").codes)
        self._tail = struct.Struct("<" + layout.after("body").codes)
        self._pack_crc = self._tail.pack
        self._masked = grammar.checksum.masked_function()
        salt_layout = next(f for f in grammar.journal_header.fields if f.name == "salt")
        self.salt_crc = grammar.checksum(grammar.pack_scalar(salt_layout.type, salt))
        self.kinds = {n: k.kind for n, k in grammar.format.journal.kinds.items()}
        self.len_head, self.len_frame = self._head.size, self._head.size + self._tail.size

    def frame(self, kind: str, ordinal: int, body: bytes) -> bytes:
        """Return a whole entry."""
        return self.seal(self._head.pack(len(body), self.kinds[kind], 0, 0, ordinal) + body)

    def seal(self, entry: bytes) -> bytes:
        """Return an entry, complete but for its CRC, with it."""
        return entry + self._pack_crc(self._masked(entry, self.salt_crc))

    def scan(self, data: bytes, offset: int) -> Iterator[Entry]:
        """Yield the intact entries from `offset` on."""
        view = memoryview(data)
        while offset + self.len_frame <= len(data):
            len_body, kind, reserved, reserved2, ordinal = self._head.unpack_from(data, offset)
            tail_at = offset + self.len_head + len_body
            end = tail_at + self._tail.size
            if end > len(data) or reserved or reserved2:
                return
            crc = self._masked(view[offset:tail_at], self.salt_crc)
            if self._tail.unpack_from(data, tail_at)[0] != crc:
                return
            yield Entry(kind, ordinal, data[offset + self.len_head : tail_at], offset, end)
            offset = end
