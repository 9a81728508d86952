"""The rows of a damaged journal, including those after damaged entries.

The CRC of every entry begins with the journal's salt, and every row has its ordinal: an intact
entry belongs to this journal, wherever it is, and a gap in the ordinals gives the number of rows
lost. Numbers of configurations and names mean the same in the whole run, so a definition holds for
all rows; without it, the values that refer to it are left out.

Where rows are missing, batches that were sealed since the journal was begun may hold them, too:
`merged_end` returns the end of the part that can be used.
"""

from __future__ import annotations

import dataclasses
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from cmeta.errors import DecodeError
from cmeta.format.block import DEFINITIONS, Block
from cmeta.format.grammar import Grammar
from cmeta.format.journal import Entry, Framer, RowLayout, Tables, encode_header
from cmeta.format.read_journal import Journal, read_journal
from cmeta.records.chunk import Chunk
from cmeta.schema.rules import TIMESTAMP
from cmeta.source import BytesSource, Source
from cmeta.tools.recover.recovery_report import Lost
from cmeta.tools.recover.scan import IntactBlock, Scan, SearchBudget

_WINDOWS = (1 << 12, 1 << 20)  # bytes searched at once: at first, and at most
_BAD_ROWS_MAX = 16  # intact rows that break a rule, which no damage explains; then the rest is left


@dataclass(frozen=True)
class Rows:
    """Rows in the order of their ordinals.

    Attributes
    ----------
    chunk : Chunk
    num_stripped : int
        Records that lack a value whose configuration or name is lost.
    """

    chunk: Chunk
    num_stripped: int = 0


def salvage_rows(
    source: Source, journal: Journal, grammar: Grammar, known: Tables, base: int
) -> Iterator[Rows | Lost]:
    """Yield the rows of a journal in the order of their ordinals, and the losses between them.

    Parameters
    ----------
    source : Source
        The journal.
    journal : Journal
        Its intact beginning.
    known : Tables
        The definitions in the main file.
    base : int
        Ordinal of the first row to return.
    """
    if journal.end == journal.len_file and base == journal.header.base_records:  # undamaged
        if journal.bodies:
            yield Rows(journal.chunk)
        return
    yield from _Salvage(source, journal, grammar, known, base).run()


class _Salvage:
    def __init__(
        self, source: Source, journal: Journal, grammar: Grammar, known: Tables, base: int
    ) -> None:
        self._source, self._journal, self._grammar, self._base = source, journal, grammar, base
        self._framer = Framer(grammar, journal.header.salt)
        self._layout = journal.layout
        self._kinds = {code: name for name, code in self._framer.kinds.items()}
        self._known = known
        self._tables = Tables()
        self._defined: set[str | bytes] = set()

    def run(self) -> Iterator[Rows | Lost]:
        """Go through all intact entries."""
        len_header = self._grammar.journal_header.size
        finder = EntryFinder(self._source, self._framer, self._grammar)
        entries, rest = finder.find(len_header)
        all_rows = self._sorted_rows(entries)
        rows = [row for row in all_rows if row.ordinal >= self._base]
        self._add_known()
        expected, at, last = self._base, len_header, None
        places = _DamagedPlaces(entries)
        for group, salvaged in self._valid(rows):
            field = self._journal.schema[TIMESTAMP]
            timestamps = salvaged.chunk.columns[field].values.tolist()
            for row, timestamp in zip(group, timestamps, strict=True):
                if row.ordinal > expected:
                    start, end = places.between(at, row.offset)
                    yield _lost(start, end, row.ordinal - expected, last, timestamp)
                expected, at, last = row.ordinal + 1, row.end, timestamp
            yield salvaged
        num_missing = rows[-1].ordinal + 1 - expected if rows else 0
        if num_missing > 0:
            yield _lost(at, max(row.end for row in rows), num_missing, last, None)
        highest = all_rows[-1].ordinal if all_rows else self._journal.header.base_records - 1
        is_damaged = rest < self._source.size and not finder.is_torn(rest, self._layout)
        if is_damaged or highest < self._base - 1:  # batches prove that there were more rows
            yield _lost(rest, self._source.size, None, last, None)

    def _sorted_rows(self, entries: list[Entry]) -> list[Entry]:
        """Return the rows by ordinal, and take the definitions."""
        rows: dict[int, Entry] = {}
        for entry in entries:
            kind = self._kinds.get(entry.kind)
            if kind == "ROW":
                if self._is_row(entry):
                    rows.setdefault(entry.ordinal, entry)
            elif kind in DEFINITIONS:
                self._define(kind, entry)
        return [rows[ordinal] for ordinal in sorted(rows)]

    def _is_row(self, entry: Entry) -> bool:
        len_metrics = len(entry.body) - self._layout.len_fixed
        is_ours = entry.ordinal >= self._journal.header.base_records
        return is_ours and len_metrics >= 0 and len_metrics % self._layout.entry.itemsize == 0

    # ------------------------------------------------------------------------------ definitions

    def _define(self, kind: str, entry: Entry) -> None:
        """Take a definition; one that breaks a rule defines nothing."""
        schema = self._journal.schema
        try:
            fields = self._grammar.journal_bodies[kind].parse(entry.body)
            value = fields[kind.lower()]
            body = value if isinstance(value, bytes) else value.encode()
            block = Block(kind, entry.kind, 0, entry.offset, entry.end, entry.offset, body)
            DEFINITIONS[kind](block, schema)
        except DecodeError:
            return
        table = _table(self._tables, kind)
        if fields["number"] not in table and value not in self._defined:
            table[fields["number"]] = value
            self._defined.add(value)

    def _add_known(self) -> None:
        """Take the definitions of the main file that the journal lacks."""
        for kind in ("CONFIG", "NAME"):
            table = _table(self._tables, kind)
            for number, value in _table(self._known, kind).items():
                if number not in table and value not in self._defined:
                    table[number] = value

    # ------------------------------------------------------------------------------------- rows

    def _valid(self, rows: list[Entry]) -> Iterator[tuple[list[Entry], Rows]]:
        """Yield the rows that obey every rule, in groups."""
        bodies = [self._stripped(row.body) for row in rows]
        is_stripped = [body != row.body for body, row in zip(bodies, rows, strict=True)]
        start = 0
        for _ in range(_BAD_ROWS_MAX):
            if start >= len(rows):
                return
            chunk = self._chunk_before_bad_row(bodies[start:])
            end = start + (chunk.num_records if chunk else 0)
            if chunk:
                yield rows[start:end], Rows(chunk, sum(is_stripped[start:end]))
            start = end + 1

    def _chunk_before_bad_row(self, bodies: list[bytes]) -> Chunk | None:
        """Check rows as a journal of their own, without gaps; return those before a bad one."""
        frame, layouts = self._framer.frame, self._grammar.journal_bodies
        entries = [
            frame(kind, 0, layouts[kind].build(fields)) for kind, fields in self._used(bodies)
        ]
        entries += [frame("ROW", ordinal, body) for ordinal, body in enumerate(bodies)]
        header = dataclasses.replace(self._journal.header, base_records=0)
        data = encode_header(header, self._grammar) + b"".join(entries)
        journal = read_journal(BytesSource(data), self._journal.schema, self._grammar)
        return journal.chunk if journal.bodies else None

    def _used(self, bodies: list[bytes]) -> list[tuple[str, dict[str, object]]]:
        """Return the definitions that rows use."""
        fixed, (metrics, _) = self._layout.fixed(bodies), self._layout.undeclared_of(bodies)
        tables, config = self._tables, self._journal.schema.config_field
        names = set(metrics["name_number"].tolist()) & tables.names.keys()
        configs: set[int] = set()
        if config is not None:
            index = self._journal.schema.fields.index(config)
            configs = set(fixed[f"v{index}"].tolist()) & tables.configs.keys()
        return [
            *(("CONFIG", {"number": n, "config": tables.configs[n]}) for n in sorted(configs)),
            *(("NAME", {"number": n, "name": tables.names[n]}) for n in sorted(names)),
        ]

    def _stripped(self, body: bytes) -> bytes:
        """Return a row without the values whose configuration or name is lost."""
        layout, tables = self._layout, self._tables
        fixed = np.frombuffer(body[: layout.len_fixed], layout.dtype).copy()
        metrics = np.frombuffer(body[layout.len_fixed :], layout.entry)
        is_known = [number in tables.names for number in metrics["name_number"].tolist()]
        kept = metrics[np.array(is_known, bool)]
        fixed["num_undeclared"] -= np.uint32(len(metrics) - len(kept))
        config = self._journal.schema.config_field
        if config is not None:
            index = self._journal.schema.fields.index(config)
            byte, bit = index // 8, 1 << index % 8
            is_present = bool(fixed["present"][0, byte] & bit)
            if is_present and int(fixed[f"v{index}"][0]) not in tables.configs:
                fixed[f"v{index}"] = 0
                fixed["present"][0, byte] &= ~bit & 0xFF
        stripped: bytes = fixed.tobytes() + kept.tobytes()
        return stripped


def _table(tables: Tables, kind: str) -> dict[int, Any]:
    return tables.configs if kind == "CONFIG" else tables.names


class _DamagedPlaces:
    """Narrows the bytes between two rows down to those without an entry."""

    def __init__(self, entries: list[Entry]) -> None:
        self._ends = {entry.offset: entry.end for entry in entries}
        self._starts = {entry.end: entry.offset for entry in entries}

    def between(self, start: int, end: int) -> tuple[int, int]:
        """Return where the damage begins and ends."""
        while self._ends.get(start, end) < end:
            start = self._ends[start]
        while self._starts.get(end, start) > start:
            end = self._starts[end]
        return start, end


def _lost(start: int, end: int, num: int | None, before: int | None, after: int | None) -> Lost:
    length = max(0, end - start)
    return Lost(start, length, num, before, after, False, "damaged entries of the journal")


class EntryFinder:
    """Finds the intact entries of one journal.

    Parameters
    ----------
    source : Source
        The journal.
    framer : Framer
        With the journal's salt.
    """

    def __init__(self, source: Source, framer: Framer, grammar: Grammar) -> None:
        self._source, self._framer = source, framer
        self.budget = SearchBudget(source.len_on_disk)
        self._head = struct.Struct("<" + grammar.journal_frame.upto("body").codes)
        kinds = [self._head.pack(0, kind, 0, 0, 0)[4:8] for kind in framer.kinds.values()]
        self._pattern = re.compile(b"(?=(?s:.{4})(?:" + b"|".join(map(re.escape, kinds)) + b"))")

    def find(self, offset: int) -> tuple[list[Entry], int]:
        """Return all intact entries from an offset on, and the end of the last one."""
        entries: list[Entry] = []
        while True:
            run = list(self._framer.scan(self._source, offset))
            entries += run
            rest = run[-1].end if run else offset
            offset = self._search(rest + 1)
            if offset >= self._source.size:
                return entries, entries[-1].end if entries else rest

    def _search(self, start: int) -> int:
        """Return the offset of the next intact entry, or the end."""
        for offset, len_body in self._candidates(start):
            if offset + self._framer.len_frame + len_body > self._source.size:
                continue
            if len_body > self._framer.len_body_max:
                continue
            if next(self._framer.scan(self._source, offset), None) is not None:
                return offset
            self.budget.spend(len_body)
            if self.budget.is_spent:
                break
        return self._source.size

    def _candidates(self, start: int) -> Iterator[tuple[int, int]]:
        """Yield the offsets where an entry may begin, and the length of its body there.

        A hole in the file holds none; an entry may begin in its last bytes, before the kind.
        """
        source, size = self._source, self._head.size
        len_window, most = _WINDOWS
        while start + size <= source.size:
            start = max(start, source.next_data(start) - size)
            window = source.read_upto(start, len_window)
            len_window = min(2 * len_window, most)
            for match in self._pattern.finditer(window):
                at = match.start()
                yield start + at, int.from_bytes(window[at : at + 4], "little")
            start += max(1, len(window) - size)

    def is_torn(self, offset: int, layout: RowLayout) -> bool:
        """Return whether the bytes from `offset` on are the beginning of an entry that was cut off.

        A process that dies leaves a part of its last write, which was not yet acknowledged.
        """
        len_rest = self._source.size - offset
        rest = self._source.read_upto(offset, self._head.size + layout.len_fixed)
        if len(rest) < self._head.size:
            return True
        len_body, kind, reserved, reserved2, _ = self._head.unpack_from(rest)
        body = rest[self._head.size :]
        if kind == self._framer.kinds["ROW"] and len(body) >= layout.len_fixed:
            # The row itself gives its length: another one is damage.
            fixed = np.frombuffer(body[: layout.len_fixed], layout.dtype)
            num_metrics = int(fixed["num_undeclared"][0])
            if len_body != layout.len_fixed + num_metrics * layout.entry.itemsize:
                return False
        is_head = kind in self._framer.kinds.values() and not reserved and not reserved2
        return is_head and self._framer.len_frame + len_body > len_rest


def merged_end(scan: Scan, journal: Journal) -> tuple[int, int]:
    """Return the end of the main file's part to use, and the number of records in it.

    The journal's rows are authoritative. If some are missing, batches after the journal's base are
    used, provided that they follow without a gap and agree with every row that is left.
    """
    length, num_records = journal.header.base_length, journal.header.base_records
    size = journal.schema.batch_records
    sealed = list(_sealed(scan, length, size))
    if len(journal.bodies) >= len(sealed) * size or not _agree(sealed, journal):
        return length, num_records
    return sealed[-1].end, num_records + len(sealed) * size


def _sealed(scan: Scan, offset: int, size: int) -> Iterator[IntactBlock]:
    """Yield the full batches from an offset on, up to the first damage."""
    for piece in scan.pieces:
        if piece.offset < offset:
            continue
        if not isinstance(piece, IntactBlock) or piece.name == "INDEX":
            return
        if piece.name == "BATCH":
            if piece.row[0] != size:
                return
            yield piece


def _agree(sealed: list[IntactBlock], journal: Journal) -> bool:
    """Return whether batches begin and end at the timestamps of the rows that are left."""
    if not journal.bodies:
        return True
    timestamps = journal.chunk.columns[journal.schema[TIMESTAMP]].values.tolist()
    size = journal.schema.batch_records
    for number, batch in enumerate(sealed):
        _, *ends = batch.row
        rows = (number * size, (number + 1) * size - 1)
        for row, expected in zip(rows, ends, strict=True):
            if row < len(timestamps) and timestamps[row] != expected:
                return False
    return True
