"""The rows of a journal, also those behind damaged entries.

Every entry has a CRC that begins with the journal's salt, and every row its ordinal: an entry that
is intact is this journal's, wherever it stands, and a gap in the ordinals says how many are lost.
Numbers of configurations and names mean the same in the whole run, so a definition holds for all
rows; where it is lost, so are the values that refer to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cmeta.checks.blocks import Block
from cmeta.checks.metadata import parse_config, parse_name
from cmeta.chunk import Chunk
from cmeta.errors import DecodeError
from cmeta.grammar import Grammar
from cmeta.journal import Journal, RowLayout, read_journal
from cmeta.journal.entries import Entry, Framer
from cmeta.journal.rows import Tables
from cmeta.salvager.entries import EntryFinder
from cmeta.salvager.report import Lost
from cmeta.schema.rules import TIMESTAMP

_BAD_ROWS_MAX = 16  # intact rows that break a rule, which no damage makes; then nothing more


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
    data: bytes, journal: Journal, grammar: Grammar, known: Tables, base: int
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
    base : int
        Ordinal of the first row that is wanted.
    """
    if journal.end == journal.len_file and base == journal.header.base_records:  # ordinary
        if journal.bodies:
            yield Rows(journal.chunk)
        return
    yield from _Salvage(data, journal, grammar, known, base).run()


class _Salvage:
    def __init__(
        self, data: bytes, journal: Journal, grammar: Grammar, known: Tables, base: int
    ) -> None:
        self._data, self._journal, self._grammar, self._known = data, journal, grammar, known
        self._base = base
        self._framer = Framer(grammar, journal.header.salt)
        self._layout = RowLayout(journal.schema, grammar)
        self._kinds = {code: name for name, code in self._framer.kinds.items()}
        self._tables = Tables()
        self._taken: set[str | bytes] = set()

    def run(self) -> Iterator[Rows | Lost]:
        """Go through all intact entries."""
        header = self._grammar.journal_header
        finder = EntryFinder(self._data, self._framer, self._grammar)
        entries, rest = finder.find(header.size)
        all_rows = self._sort(entries)
        rows = [row for row in all_rows if row.ordinal >= self._base]
        self._define_the_rest()
        expected, at, last = self._base, header.size, None
        stretch = _Stretch(entries)
        for group, found in self._valid(rows):
            field = self._journal.schema[TIMESTAMP]
            timestamps = found.chunk.columns[field].values.tolist()
            for row, timestamp in zip(group, timestamps, strict=True):
                if row.ordinal > expected:
                    place = stretch.between(at, row.offset)
                    yield _lost(*place, row.ordinal - expected, last, timestamp)
                expected, at, last = row.ordinal + 1, row.end, timestamp
            yield found
        missing = rows[-1].ordinal + 1 - expected if rows else 0
        if missing > 0:
            yield _lost(at, max(row.end for row in rows), missing, last, None)
        highest = all_rows[-1].ordinal if all_rows else self._journal.header.base_records - 1
        is_damaged = rest < len(self._data) and not finder.is_torn(rest, self._layout)
        if is_damaged or highest < self._base - 1:  # batches show that there were more rows
            yield _lost(rest, len(self._data), None, last, None)

    def _sort(self, entries: list[Entry]) -> list[Entry]:
        """Return the rows by ordinal, and take the definitions."""
        rows: dict[int, Entry] = {}
        for entry in entries:
            kind = self._kinds.get(entry.kind)
            if kind == "ROW":
                if self._is_row(entry):
                    rows.setdefault(entry.ordinal, entry)
            elif kind is not None:
                self._define(kind, entry)
        return [rows[ordinal] for ordinal in sorted(rows)]

    def _is_row(self, entry: Entry) -> bool:
        rest = len(entry.body) - self._layout.len_fixed
        is_ours = entry.ordinal >= self._journal.header.base_records
        return is_ours and rest >= 0 and rest % self._layout.entry.itemsize == 0

    def _define(self, kind: str, entry: Entry) -> None:
        """Take a definition; one that breaks a rule defines nothing."""
        schema = self._journal.schema
        try:
            fields = self._grammar.journal_bodies[kind].parse(entry.body)
            value = fields[kind.lower()]
            body = value if isinstance(value, bytes) else value.encode()
            block = Block(kind, entry.kind, 0, entry.offset, entry.end, entry.offset, body)
            _ = parse_config(block, schema) if kind == "CONFIG" else parse_name(block, schema)
        except DecodeError:
            return
        table: dict[int, str | bytes] = vars(self._tables)[f"{kind.lower()}s"]
        if fields["number"] not in table and value not in self._taken:
            table[fields["number"]] = value
            self._taken.add(value)

    def _define_the_rest(self) -> None:
        """Take from the main file what the journal does not say itself."""
        for kind in ("configs", "names"):
            own: dict[int, str | bytes] = vars(self._tables)[kind]
            for number, value in vars(self._known)[kind].items():
                if number not in own and value not in self._taken:
                    own[number] = value

    def _valid(self, rows: list[Entry]) -> Iterator[tuple[list[Entry], Rows]]:
        """Yield rows that hold to every rule, and leave out those that do not."""
        bodies = [self._stripped(row.body) for row in rows]
        stripped = [body != row.body for body, row in zip(bodies, rows, strict=True)]
        start = 0
        for _ in range(_BAD_ROWS_MAX):
            if start >= len(rows):
                return
            chunk = self._checked(bodies[start:])
            end = start + (chunk.num_records if chunk else 0)
            if chunk:
                yield rows[start:end], Rows(chunk, sum(stripped[start:end]))
            start = end + 1

    def _checked(self, bodies: list[bytes]) -> Chunk | None:
        """Hold rows against every rule, as a journal of their own; return those before a bad one.

        There they follow one another, whatever is missing between them.
        """
        frame, layouts = self._framer.frame, self._grammar.journal_bodies
        entries = [
            frame(kind, 0, layouts[kind].build(fields)) for kind, fields in self._used(bodies)
        ]
        entries += [frame("ROW", ordinal, body) for ordinal, body in enumerate(bodies)]
        layout = self._grammar.journal_header
        fields = {**vars(self._journal.header), "base_records": 0}
        head = layout.upto("masked_crc").build(fields)
        head = layout.build({**fields, "masked_crc": self._grammar.checksum.masked(head)})
        again = read_journal(head + b"".join(entries), self._journal.schema, self._grammar)
        return again.chunk if again.bodies else None

    def _used(self, bodies: list[bytes]) -> list[tuple[str, dict[str, object]]]:
        """Return the definitions that rows use."""
        fixed, (metrics, _) = self._layout.fixed(bodies), self._layout.undeclared_of(bodies)
        tables, config = self._tables, self._journal.schema.config_field
        names = set(metrics["name_number"].tolist()) & tables.names.keys()
        configs: set[int] = set()
        if config is not None:
            place = self._journal.schema.fields.index(config)
            configs = set(fixed[f"v{place}"].tolist()) & tables.configs.keys()
        return [
            *(("CONFIG", {"number": n, "config": tables.configs[n]}) for n in sorted(configs)),
            *(("NAME", {"number": n, "name": tables.names[n]}) for n in sorted(names)),
        ]

    def _stripped(self, body: bytes) -> bytes:
        """Return a row without the values that refer to what nobody knows."""
        layout, tables = self._layout, self._tables
        fixed = np.frombuffer(body[: layout.len_fixed], layout.dtype).copy()
        metrics = np.frombuffer(body[layout.len_fixed :], layout.entry)
        is_known = [number in tables.names for number in metrics["name_number"].tolist()]
        kept = metrics[np.array(is_known, bool)]
        fixed["num_undeclared"] -= np.uint32(len(metrics) - len(kept))
        config = self._journal.schema.config_field
        if config is not None:
            place = self._journal.schema.fields.index(config)
            byte, bit = place // 8, 1 << place % 8
            is_there = bool(fixed["present"][0, byte] & bit)
            if is_there and int(fixed[f"v{place}"][0]) not in tables.configs:
                fixed[f"v{place}"] = 0
                fixed["present"][0, byte] &= ~bit & 0xFF
        stripped: bytes = fixed.tobytes() + kept.tobytes()
        return stripped


class _Stretch:
    """Narrows what is between two rows down to what is no entry."""

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
