"""The rows of a journal, also those behind damaged entries.

Every entry has a CRC that begins with the journal's salt, and every row its ordinal: an entry that
is intact is this journal's, wherever it stands, and a gap in the ordinals says how many are lost.
Numbers of configurations and names mean the same in the whole run, so a definition holds for all
rows; where it is lost, so are the values that refer to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from cmeta.chunk import Chunk
from cmeta.grammar import Grammar
from cmeta.journal import Journal, RowLayout, read_journal
from cmeta.journal.entries import Entry, Framer
from cmeta.journal.rows import Tables
from cmeta.salvager.report import Lost

Gap = tuple[int, int]


@dataclass(frozen=True)
class Rows:
    """Consecutive rows.

    Attributes
    ----------
    first : int
        Ordinal of the first.
    chunk : Chunk
    num_stripped : int
        Records that lack a value whose configuration or name is lost.
    """

    first: int
    chunk: Chunk
    num_stripped: int = 0


def salvage_rows(
    data: bytes, journal: Journal, grammar: Grammar, known: Tables
) -> Iterator[Rows | Lost]:
    """Yield what a journal holds, in the order of its ordinals, and what is missing between.

    Parameters
    ----------
    data : bytes
        The whole journal.
    journal : Journal
        Its intact beginning.
    known : Tables
        What the main file defines.
    """
    if journal.end == journal.len_file:  # the ordinary case
        if journal.bodies:
            yield Rows(journal.header.base_records, journal.chunk)
        return
    yield from _Salvage(data, journal, grammar, known).run()


class _Salvage:
    def __init__(self, data: bytes, journal: Journal, grammar: Grammar, known: Tables) -> None:
        self._data, self._journal, self._grammar = data, journal, grammar
        self._framer = Framer(grammar, journal.header.salt)
        self._layout = RowLayout(journal.schema, grammar)
        kinds = grammar.format.journal.kinds
        self._row = kinds["ROW"].kind
        self._codes = bytes(kind.kind for kind in kinds.values())
        self._tables, self._known = Tables(), known
        self._gaps: list[Gap] = []

    def run(self) -> Iterator[Rows | Lost]:
        """Go through all intact entries."""
        entries = self._entries()
        rows: dict[int, Entry] = {}
        for entry in entries:
            if entry.kind != self._row:
                self._define(entry)
            elif self._is_row(entry.body):
                rows.setdefault(entry.ordinal, entry)
        self._define_the_rest()
        expected = self._journal.header.base_records
        last: int | None = None
        for group in _consecutive([rows[ordinal] for ordinal in sorted(rows)]):
            found = self._validated(group)
            if found is None or group[0].ordinal < expected:
                continue
            first, timestamps = found.first, self._timestamps(found.chunk)
            if first > expected:
                yield self._lost(first - expected, last, timestamps[0])
            yield found
            expected, last = first + found.chunk.num_records, timestamps[-1]
        if self._has_lost_tail():
            yield self._lost(None, last, None)

    def _entries(self) -> list[Entry]:
        """Return all intact entries, and note the gaps between them."""
        data, entries = self._data, []
        offset = self._grammar.journal_header.size
        while True:
            found = list(self._framer.scan(data, offset))
            entries += found
            offset = found[-1].end if found else offset
            if offset >= len(data):
                return entries
            end = self._search(offset + 1)
            self._gaps.append((offset, end))
            offset = end

    def _search(self, start: int) -> int:
        """Return the offset of the next intact entry, or the end."""
        kinds = re.escape(self._codes)
        head = re.compile(b"(?=(?s:.{4})[" + kinds + b"]\0\0\0)")
        for match in head.finditer(self._data, start):
            if next(self._framer.scan(self._data, match.start()), None) is not None:
                return match.start()
        return len(self._data)

    def _define(self, entry: Entry) -> None:
        name = next(
            n for n, k in self._grammar.format.journal.kinds.items() if k.kind == entry.kind
        )
        fields = self._grammar.journal_bodies[name].parse(entry.body)
        if name == "CONFIG":
            self._tables.configs.setdefault(fields["number"], fields["config"])
        else:
            self._tables.names.setdefault(fields["number"], fields["name"])

    def _define_the_rest(self) -> None:
        """Take from the main file what the journal does not say itself."""
        pairs: tuple[tuple[dict[int, Any], dict[int, Any]], ...] = (
            (self._tables.configs, self._known.configs), (self._tables.names, self._known.names),
        )  # fmt: skip
        for own, known in pairs:
            taken = set(own.values())
            own.update({n: v for n, v in known.items() if n not in own and v not in taken})

    def _is_row(self, body: bytes) -> bool:
        rest = len(body) - self._layout.len_fixed
        return rest >= 0 and rest % self._layout.entry.itemsize == 0

    def _validated(self, group: list[Entry]) -> Rows | None:
        """Hold consecutive rows against every rule, as a journal of their own."""
        bodies = [self._stripped(entry.body) for entry in group]
        num_stripped = sum(b != e.body for b, e in zip(bodies, group, strict=True))
        ordinal, frame = group[0].ordinal, self._framer.frame
        used = self._used(bodies)
        entries = [
            frame(kind, ordinal, self._grammar.journal_bodies[kind].build(fields))
            for kind, fields in used
        ]
        entries += [frame("ROW", ordinal + i, body) for i, body in enumerate(bodies)]
        header = self._journal.header
        layout = self._grammar.journal_header
        fields = {**vars(header), "base_records": ordinal}
        head = layout.upto("masked_crc").build(fields)
        head = layout.build({**fields, "masked_crc": self._grammar.checksum.masked(head)})
        again = read_journal(head + b"".join(entries), self._journal.schema, self._grammar)
        return Rows(ordinal, again.chunk, num_stripped) if again.bodies else None

    def _used(self, bodies: list[bytes]) -> list[tuple[str, dict[str, object]]]:
        """Return the definitions that rows use."""
        metrics, _ = self._layout.undeclared_of(bodies)
        names = sorted(set(metrics["name_number"].tolist()) & self._tables.names.keys())
        found: list[tuple[str, dict[str, object]]] = [
            ("CONFIG", {"number": n, "config": body}) for n, body in self._tables.configs.items()
        ]
        return found + [("NAME", {"number": n, "name": self._tables.names[n]}) for n in names]

    def _stripped(self, body: bytes) -> bytes:
        """Return a row without the values that refer to what nobody knows."""
        layout = self._layout
        fixed = np.frombuffer(body[: layout.len_fixed], layout.dtype).copy()
        metrics = np.frombuffer(body[layout.len_fixed :], layout.entry)
        kept = metrics[np.isin(metrics["name_number"], list(self._tables.names))]
        fixed["num_undeclared"] = len(kept)
        for place, field in enumerate(self._journal.schema.fields):
            number = int(fixed[f"v{place}"][0]) if field.type == "config" else 0
            if field.type == "config" and number not in self._tables.configs:
                fixed[f"v{place}"] = 0
                fixed["present"][0, place // 8] &= ~(1 << place % 8) & 0xFF
        return fixed.tobytes() + kept.tobytes()

    def _timestamps(self, chunk: Chunk) -> list[int]:
        field = next(f for f in chunk.fields if f.path == "timestamp")
        column = chunk.column(field)
        return [] if column is None else column.values.tolist()

    def _has_lost_tail(self) -> bool:
        """Return whether more than one entry that was cut off is missing at the end.

        A process that dies leaves a part of what it was writing, which nobody was told is safe.
        """
        if not self._gaps or self._gaps[-1][1] < len(self._data):
            return False
        rest = self._data[self._gaps[-1][0] :]
        layout = self._grammar.journal_frame.upto("body")
        if len(rest) < layout.size:
            return False
        head = layout.parse(rest[: layout.size])
        is_head = head["kind"] in self._codes and not head["reserved"] and not head["reserved2"]
        return not is_head or self._framer.len_frame + head["len_body"] <= len(rest)

    def _lost(self, num: int | None, before: int | None, after: int | None) -> Lost:
        offset, length = self._gaps[0][0], sum(end - start for start, end in self._gaps)
        return Lost(offset, length, num, before, after, False, "damaged entries of the journal")


def _consecutive(entries: list[Entry]) -> Iterator[list[Entry]]:
    """Yield runs of entries whose ordinals follow one another."""
    group: list[Entry] = []
    for entry in entries:
        if group and entry.ordinal != group[-1].ordinal + 1:
            yield group
            group = []
        group.append(entry)
    if group:
        yield group
