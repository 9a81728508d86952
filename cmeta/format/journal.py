"""Entries of a journal: framing them, and scanning for those that are intact.

An entry's CRC begins with the journal's salt, so that entries of another journal, left in a
recycled part of the disk, are none of ours. Scanning stops at the first entry that is not intact.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cmeta.aliases import Array
from cmeta.errors import ChecksumError, CorruptError, DecodeError, TruncatedError, error_context
from cmeta.format.grammar import Grammar
from cmeta.format.journal_rows import RowLayout, Tables
from cmeta.records.chunk import Chunk
from cmeta.schema import canonical_json
from cmeta.schema.rules import PHASE, TIMESTAMP
from cmeta.schema.schema import Schema


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


@dataclass(frozen=True)
class JournalHeader:
    """The header of a journal; SPEC, Layout of the journal."""

    version: int
    schema_digest: int
    salt: int
    base_records: int
    base_length: int
    running_crc: int
    last_masked_crc: int


@dataclass(frozen=True)
class Journal:
    """What an intact journal holds.

    Attributes
    ----------
    header : JournalHeader
    schema : Schema
        Of its rows.
    bodies : list of bytes
        The rows.
    tables : Tables
        What their numbers stand for.
    end : int
        Length of the intact part in bytes.
    len_file : int
        Length of the whole file in bytes.
    problem : str
        What ends the intact part before the end of the file, or "".
    """

    header: JournalHeader
    schema: Schema
    layout: RowLayout
    bodies: list[bytes]
    tables: Tables
    end: int
    len_file: int
    problem: str

    @cached_property
    def chunk(self) -> Chunk:
        """The rows as a chunk."""
        return self.layout.chunk_of(self.bodies, self.tables)


def read_header(data: bytes, grammar: Grammar) -> JournalHeader:
    """Return the header of a journal.

    Raises
    ------
    DecodeError
    """
    layout = grammar.journal_header
    if len(data) < layout.size:
        message = f"{len(data)} bytes, expected at least {layout.size}"
        raise TruncatedError(message, offset=len(data), path="journal.header")
    head = data[: layout.size]
    with error_context(0, "journal.header"):
        fields = layout.parse(head)
    found = grammar.checksum.masked(head[: layout.upto("masked_crc").size])
    if fields["masked_crc"] != found:
        message = f"the bytes give {found:#018x}, stored is {fields['masked_crc']:#018x}"
        raise ChecksumError(message, path="journal.header.masked_crc")
    names = JournalHeader.__dataclass_fields__
    return JournalHeader(**{name: fields[name] for name in names})


def read_journal(data: bytes, schema: Schema, grammar: Grammar) -> Journal:
    """Return what a journal holds.

    Parameters
    ----------
    data : bytes
        The whole journal.
    schema : Schema
        Of the main file.

    Raises
    ------
    DecodeError
        The header is not intact, or the journal's schema is another one.
    """
    header = read_header(data, grammar)
    digest = grammar.checksum(schema.embedded)
    if header.schema_digest != digest:
        raise CorruptError(
            f"its schema's digest is {header.schema_digest:#018x}, expected {digest:#018x}: it "
            "belongs to a file of another schema",
            path="journal.header.schema_digest",
        )
    scan = _Scan(schema, grammar, header.base_records)
    framer = Framer(grammar, header.salt)
    end = grammar.journal_header.size
    for entry in framer.scan(data, end):
        try:
            scan.take(entry)
        except DecodeError as err:
            scan.problem = err.message
            break
        end = entry.end
    num_good, problem = scan.num_good_rows()
    if num_good < len(scan.bodies):
        end = scan.starts[num_good]
    problem = problem or scan.problem or ("a torn entry" if end < len(data) else "")
    bodies = scan.bodies[:num_good]
    return Journal(header, schema, scan.layout, bodies, scan.tables, end, len(data), problem)


class _Scan:
    """Collects entries as long as they hold to the rules."""

    def __init__(self, schema: Schema, grammar: Grammar, base: int) -> None:
        self._schema, self._grammar, self._base = schema, grammar, base
        self.layout = RowLayout(schema, grammar)
        self.tables = Tables()
        self.bodies: list[bytes] = []
        self.starts: list[int] = []
        self._taken: set[Any] = set()  # what has a number
        self._defined: dict[str, dict[int, int]] = {"CONFIG": {}, "NAME": {}}  # from which row on
        self.problem = ""
        kinds = grammar.format.journal.kinds
        self._row, self._config, self._name = (kinds[n].kind for n in ("ROW", "CONFIG", "NAME"))

    def take(self, entry: Entry) -> None:
        """Take an entry.

        Raises
        ------
        DecodeError
            It breaks a rule that can be seen in this entry alone.
        """
        expected = self._base + len(self.bodies)
        if entry.ordinal != expected:
            raise CorruptError(f"an entry of ordinal {entry.ordinal}, expected {expected}")
        if entry.kind == self._row:
            self._take_row(entry)
        elif entry.kind in (self._config, self._name):
            self._define(entry)
        else:
            raise CorruptError(f"an entry of kind {entry.kind}")

    def _take_row(self, entry: Entry) -> None:
        layout = self.layout
        rest = len(entry.body) - layout.len_fixed
        if rest < 0 or rest % layout.entry.itemsize:
            raise CorruptError(f"a row of {len(entry.body)} bytes")
        self.bodies.append(entry.body)
        self.starts.append(entry.offset)

    def _define(self, entry: Entry) -> None:
        is_config = entry.kind == self._config
        kind = "CONFIG" if is_config else "NAME"
        fields = self._grammar.journal_bodies[kind].parse(entry.body)
        number = fields["number"]
        value: Any
        table: dict[int, Any]
        if is_config:
            value, table = self._checked_config(fields["config"]), self.tables.configs
        else:
            value, table = self._checked_name(fields["name"]), self.tables.names
        if number not in table and value in self._taken:
            raise CorruptError(f"{kind} {number}, which has another number already")
        if table.setdefault(number, value) != value:
            raise CorruptError(f"{kind} {number} for a second time, with another body")
        self._taken.add(value)
        self._defined[kind].setdefault(number, len(self.bodies))

    def _checked_config(self, body: bytes) -> bytes:
        if not isinstance(canonical_json.loads(body, self._grammar.format.limits), dict):
            raise CorruptError("a configuration that is no object")
        return body

    def _checked_name(self, name: str) -> str:
        group = self._schema.open_group
        length = len(name.encode())
        if not 1 <= length <= self._grammar.format.limits.name_bytes_max or group is None:
            raise CorruptError(f"a name of {length} bytes")
        if f"{group}.{name}" in self._schema:
            raise CorruptError(f"the name {name!r}, which is declared")
        return name

    def _is_known(self, kind: str, numbers: Array, rows: Array) -> npt.NDArray[np.bool_]:
        """Return which numbers have been defined before the row that uses them."""
        defined = self._defined[kind]
        unused = len(self.bodies) + 1
        used, places = np.unique(numbers, return_inverse=True)
        since = np.array([defined.get(number, unused) for number in used.tolist()], np.int64)
        known: npt.NDArray[np.bool_] = since[places] <= rows
        return known

    def num_good_rows(self) -> tuple[int, str]:
        """Return how many rows hold to the rules, and what ends them."""
        if not self.bodies:
            return 0, ""
        problems = [(row, what) for row, what in self._bad_rows() if row < len(self.bodies)]
        return min(problems) if problems else (len(self.bodies), "")

    def _bad_rows(self) -> list[tuple[int, str]]:
        """Return the first row that breaks each rule."""
        layout, schema = self.layout, self._schema
        fixed = layout.fixed(self.bodies)
        bits = layout.presence(fixed)
        bad = [_first(bits[:, len(schema.fields) :].any(axis=1), "presence bits beyond the fields")]
        for i, f in enumerate(schema.fields):
            values, present = fixed[f"v{i}"], bits[:, i].astype(bool)
            if f.name in (TIMESTAMP, PHASE) and not f.group:
                bad.append(_first(~present, f"no {f.path}"))
            raw = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
            filled = raw.reshape(len(values), -1).any(axis=1)
            bad.append(_first(filled & ~present, f"{f.path}: a value that is absent"))
            if f.labels:
                bad.append(_first(values >= len(f.labels), f"{f.path}: a code without a label"))
            elif f.type == "bool":
                codes = raw.reshape(len(values), -1)
                bad.append(_first((codes > 1).any(axis=1), f"{f.path}: neither 0 nor 1"))
            elif f.type == "config":
                known = self._is_known("CONFIG", values, np.arange(len(values)))
                bad.append(_first(present & ~known, "a configuration that is not defined"))
        return bad + self._bad_metrics(fixed) + self._bad_order(fixed)

    def _bad_metrics(self, fixed: Array) -> list[tuple[int, str]]:
        entries, rows = self.layout.undeclared_of(self.bodies)
        counts = np.bincount(rows, minlength=len(self.bodies))
        numbers = entries["name_number"]
        known = self._is_known("NAME", numbers, rows)
        back = np.zeros(len(rows), bool)
        back[1:] = (rows[1:] == rows[:-1]) & (numbers[1:] <= numbers[:-1])
        found = [_first(counts != fixed["num_undeclared"], "a count of metrics that is wrong")]
        for wrong, what in ((~known, "a name that is not defined"), (back, "names out of order")):
            if wrong.any():
                found.append((int(rows[np.argmax(wrong)]), what))
        return found

    def _bad_order(self, fixed: Array) -> list[tuple[int, str]]:
        places = {f.path: f"v{i}" for i, f in enumerate(self._schema.fields)}
        timestamps, phases = fixed[places[TIMESTAMP]], fixed[places[PHASE]]
        back = np.zeros(len(fixed), bool)
        same = timestamps[1:] == timestamps[:-1]
        back[1:] = (timestamps[1:] < timestamps[:-1]) | (same & (phases[1:] < phases[:-1]))
        return [_first(back, "a row that goes back in (timestamp, phase)")]


def _first(wrong: Any, what: str) -> tuple[int, str]:
    return (int(np.argmax(wrong)) if wrong.any() else len(wrong), what)
