"""Every intact entry of a journal, wherever it stands."""

from __future__ import annotations

import re
import struct

import numpy as np

from cmeta.grammar import Grammar
from cmeta.journal import RowLayout
from cmeta.journal.entries import Entry, Framer
from cmeta.salvager.scan import VAIN_LEAST, VAIN_PER_BYTE, VAIN_PER_TRY


class EntryFinder:
    """Finds the entries of one journal.

    Parameters
    ----------
    data : bytes
        The whole journal.
    framer : Framer
        With the journal's salt.
    """

    def __init__(self, data: bytes, framer: Framer, grammar: Grammar) -> None:
        self._data, self._framer = data, framer
        self._vain = VAIN_LEAST + VAIN_PER_BYTE * len(data)
        self._head = struct.Struct("<" + grammar.journal_frame.upto("body").codes)
        kinds = [self._head.pack(0, kind, 0, 0, 0)[4:8] for kind in framer.kinds.values()]
        self._pattern = re.compile(b"(?=(?s:.{4})(?:" + b"|".join(map(re.escape, kinds)) + b"))")

    def find(self, offset: int) -> tuple[list[Entry], int]:
        """Return all intact entries from an offset on, and where the last of them ends.

        The work is linear: where too much was tried in vain, the search gives up.
        """
        entries: list[Entry] = []
        while True:
            found = list(self._framer.scan(self._data, offset))
            entries += found
            rest = found[-1].end if found else offset
            offset = self._search(rest + 1)
            if offset >= len(self._data):
                return entries, entries[-1].end if entries else rest

    def _search(self, start: int) -> int:
        """Return the offset of the next intact entry, or the end."""
        for match in self._pattern.finditer(self._data, start):
            offset = match.start()
            len_body = int.from_bytes(self._data[offset : offset + 4], "little")
            if offset + self._framer.len_frame + len_body > len(self._data):
                continue
            if next(self._framer.scan(self._data, offset), None) is not None:
                return offset
            self._vain -= len_body + VAIN_PER_TRY
            if self._vain < 0:
                break
        return len(self._data)

    def is_torn(self, offset: int, layout: RowLayout) -> bool:
        """Return whether the bytes from `offset` on are the beginning of an entry that was cut off.

        A process that dies leaves a part of what it was writing, which nobody was told is safe.
        """
        rest = self._data[offset:]
        if len(rest) < self._head.size:
            return True
        len_body, kind, reserved, reserved2, _ = self._head.unpack_from(rest)
        body = rest[self._head.size :]
        if kind == self._framer.kinds["ROW"] and len(body) >= layout.len_fixed:
            # The row says itself how long it is: another length is damage.
            fixed = np.frombuffer(body[: layout.len_fixed], layout.dtype)
            num_metrics = int(fixed["num_undeclared"][0])
            if len_body != layout.len_fixed + num_metrics * layout.entry.itemsize:
                return False
        is_head = kind in self._framer.kinds.values() and not reserved and not reserved2
        return is_head and self._framer.len_frame + len_body > len(rest)
