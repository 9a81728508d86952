"""The parts of a journal, encoded and decoded: header, entries, and rows (SPEC, Journal).

The CRC of an entry begins with the journal's salt, so entries of another journal, left in a
recycled part of the disk, do not pass. A journal is read entry by entry, and no entry is longer
than the limits of the schema allow. `cmeta.format.read_journal` judges what they say.

The fixed part of a row is a packed structure, so many rows are one structured array: turning
thousands of them into a chunk takes a few numpy calls.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cmeta.aliases import Array, Mask
from cmeta.errors import ChecksumError, TruncatedError, error_context
from cmeta.format.grammar import Grammar
from cmeta.records.chunk import Chunk, Column
from cmeta.schema.schema import Schema
from cmeta.schema.types import FIELD_TYPES, Field
from cmeta.source import Source

# ------------------------------------------------------------------------------------ the header


@dataclass(frozen=True)
class JournalHeader:
    """The header of a journal; its fields are those of SPEC, Layout of the journal."""

    version: int
    schema_digest: int
    salt: int
    base_records: int
    base_length: int
    running_crc: int
    last_masked_crc: int


def encode_header(header: JournalHeader, grammar: Grammar) -> bytes:
    """Return the bytes of a header."""
    layout, fields = grammar.journal_header, asdict(header)
    checked = layout.upto("masked_crc").build(fields)
    return layout.build({**fields, "masked_crc": grammar.checksum.masked(checked)})


def read_journal_header(source: Source, grammar: Grammar) -> JournalHeader:
    """Return the header of a journal; undoes `encode_header`.

    Raises
    ------
    DecodeError
    """
    layout = grammar.journal_header
    head = source.read(0, min(layout.size, source.size))
    if len(head) < layout.size:
        message = f"found {len(head)} bytes, expected at least {layout.size}"
        raise TruncatedError(message, offset=len(head), path="journal.header")
    with error_context(0, "journal.header"):
        fields = layout.parse(head)
    crc = grammar.checksum.masked(head[: layout.upto("masked_crc").size])
    if fields["masked_crc"] != crc:
        message = f"the bytes give {crc:#018x}, stored is {fields['masked_crc']:#018x}"
        raise ChecksumError(message, path="journal.header.masked_crc")
    names = JournalHeader.__dataclass_fields__
    return JournalHeader(**{name: fields[name] for name in names})


# ----------------------------------------------------------------------------------- the entries


class Entry(NamedTuple):
    """An intact entry.

    Attributes
    ----------
    kind, ordinal : int
    body : bytes
    offset, end : int
        Its place in the journal.
    """

    kind: int
    ordinal: int
    body: bytes
    offset: int
    end: int


_LEN_WINDOW = 1 << 16  # bytes read at once


class Framer:
    """Encodes and decodes the frames of the entries of one journal.

    Parameters
    ----------
    grammar : Grammar
    salt : int
        The journal's salt, u64.
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
        number = grammar.journal_bodies["CONFIG"].upto("config").size
        # No row of as many columns as a batch may have is as long as the longest configuration.
        self.len_body_max = number + grammar.format.limits.json_bytes_max

    def frame(self, kind: str, ordinal: int, body: bytes) -> bytes:
        """Return an entry."""
        return self.seal(self._head.pack(len(body), self.kinds[kind], 0, 0, ordinal) + body)

    def seal(self, entry: bytes) -> bytes:
        """Return an entry with its CRC, given all before it."""
        return entry + self._pack_crc(self._masked(entry, self.salt_crc))

    def scan(self, source: Source, offset: int) -> Iterator[Entry]:
        """Yield the intact entries from `offset` on."""
        window, start = b"", offset  # the bytes at hand, and where they begin
        while (tail := offset + self.len_frame) <= source.size:
            if tail > start + len(window):
                window, start = _window(source, offset, tail), offset
            at = offset - start
            len_body, kind, reserved, reserved2, ordinal = self._head.unpack_from(window, at)
            end = tail + len_body
            if end > source.size or len_body > self.len_body_max or reserved or reserved2:
                return
            if end > start + len(window):
                window, start, at = _window(source, offset, end), offset, 0
            tail_at = end - start - self._tail.size
            crc = self._masked(memoryview(window)[at:tail_at], self.salt_crc)
            if self._tail.unpack_from(window, tail_at)[0] != crc:
                return
            yield Entry(kind, ordinal, window[at + self.len_head : tail_at], offset, end)
            offset = end


def _window(source: Source, start: int, end: int) -> bytes:
    """Return the bytes from `start` to `end`, and what follows if that is little."""
    return source.read(start, min(max(end - start, _LEN_WINDOW), source.size - start))


# -------------------------------------------------------------------------------------- the rows


@dataclass
class Tables:
    """The configurations and names that rows refer to by number.

    Attributes
    ----------
    configs : dict of int to bytes
        Canonical configurations, by CONFIG number.
    names : dict of int to str
        Names of undeclared metrics, by NAME number.
    """

    configs: dict[int, bytes] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)


class RowLayout:
    """The layout of a record in a ROW, and rows as chunks and back.

    Attributes
    ----------
    dtype : dtype
        The fixed part: ``present``, then ``v0``, ``v1``, ... for the fields, and
        ``num_undeclared``.
    codes : str
        The same in the letters of `struct`.
    entry : dtype
        An undeclared metric.
    """

    def __init__(self, schema: Schema, grammar: Grammar) -> None:
        self.schema = schema
        self.len_present = (len(schema.fields) + 7) // 8
        row = grammar.journal_bodies["ROW"]
        members: list[tuple[str, object, tuple[int, ...]]] = []
        codes = ""
        for part in row.fields:
            if part.name == "present":
                members.append(("present", "u1", (self.len_present,)))
                codes += f"{self.len_present}s"
            elif part.name == "values":
                for i, f in enumerate(schema.fields):
                    shape = (f.num_components,) if f.num_components else ()
                    members.append((f"v{i}", f.dtype, shape))
                    codes += FIELD_TYPES[f.type].code * f.num_columns
            elif part.name == "num_undeclared":
                type_ = FIELD_TYPES[part.type]
                members.append((part.name, type_.dtype, ()))
                codes += type_.code
        self.dtype = np.dtype(members)
        self.codes = codes
        entry = grammar.format.structs["row_metric"].fields
        self.entry = grammar.layout(entry).dtype
        self.entry_codes = grammar.layout(entry).codes

    @property
    def len_fixed(self) -> int:
        """Bytes of the fixed part."""
        return self.dtype.itemsize

    def _metric(self, name: str) -> Field:
        schema = self.schema
        return schema.format.codecs.undeclared(name, schema.open_group or "")

    def fixed(self, bodies: Sequence[bytes]) -> Array:
        """Return the fixed parts as a structured array."""
        length = self.len_fixed
        return np.frombuffer(b"".join([body[:length] for body in bodies]), self.dtype)

    def presence(self, fixed: Array) -> npt.NDArray[np.uint8]:
        """Return the presence bits, ``(n_rows, 8 * len_present)``."""
        return np.unpackbits(fixed["present"], axis=1, bitorder="little")

    def undeclared_of(self, bodies: Sequence[bytes]) -> tuple[Array, Array]:
        """Return all undeclared metrics of the rows, and the number of the row of each."""
        counts = np.array([len(body) - self.len_fixed for body in bodies]) // self.entry.itemsize
        return self._entries_of(bodies), np.repeat(np.arange(len(bodies)), counts)

    def _entries_of(self, bodies: Sequence[bytes]) -> Array:
        length = self.len_fixed
        return np.frombuffer(b"".join([memoryview(body)[length:] for body in bodies]), self.entry)

    def names_in(self, bodies: Sequence[bytes]) -> list[int]:
        """Return the NAME numbers that rows use, ascending."""
        numbers: list[int] = np.unique(self.undeclared_of(bodies)[0]["name_number"]).tolist()
        return numbers

    def chunk_of(self, bodies: Sequence[bytes], tables: Tables, *, numbered: bool = False) -> Chunk:
        """Return rows as a chunk.

        Parameters
        ----------
        bodies : sequence of bytes
            Bodies of ROW entries that conform to the layout.
        tables : Tables
            Defines every number that they use.
        numbered : bool
            Keep CONFIG numbers, instead of places in the chunk's own list.
        """
        fixed = self.fixed(bodies)
        bits = self.presence(fixed)
        columns: dict[Field, Column] = {}
        configs: tuple[bytes, ...] = ()
        for i, f in enumerate(self.schema.fields):
            present = bits[:, i].astype(bool)
            if not present.any():
                continue
            values = fixed[f"v{i}"].astype(f.dtype.newbyteorder("="))
            if f.type == "config" and not numbered:
                values, configs = _places(values, present, tables.configs)
            columns[f] = Column(values, None if present.all() else present)
        columns |= self._undeclared_columns(bodies, tables)
        return Chunk(len(bodies), columns, configs)

    def _undeclared_columns(self, bodies: Sequence[bytes], tables: Tables) -> dict[Field, Column]:
        """Return the undeclared metrics of rows as columns, by number.

        All columns are filled at once: a search for each name among the entries of all names would
        take time in the square of their number.
        """
        if (columns := self._equal_rows(bodies, tables)) is not None:
            return columns
        entries, rows = self.undeclared_of(bodies)
        numbers = np.unique(entries["name_number"])
        places = np.searchsorted(numbers, entries["name_number"])
        shape = len(bodies), len(numbers)  # filled in the order of the entries, then turned
        table, has = np.zeros(shape), np.zeros(shape, bool)
        table[rows, places], has[rows, places] = entries["value"], True
        values, present = table.T.copy(), has.T.copy()
        masks = [None if mask.all() else mask for mask in present]
        return {
            self._metric(tables.names[number]): Column(values[i], masks[i])
            for i, number in enumerate(numbers.tolist())
        }

    def _equal_rows(self, bodies: Sequence[bytes], tables: Tables) -> dict[Field, Column] | None:
        """Return the undeclared columns of rows with the same metrics: they are a table already."""
        if len({len(body) for body in bodies}) != 1:
            return None
        table = self._entries_of(bodies).reshape(len(bodies), -1)
        numbers = table["name_number"]
        if not (numbers == numbers[0]).all():
            return None
        values = table["value"].T.copy()
        names = [tables.names[number] for number in numbers[0].tolist()]
        return {self._metric(name): Column(values[i], None) for i, name in enumerate(names)}

    def bodies_of(
        self, chunk: Chunk, configs: Mapping[bytes, int], names: Mapping[str, int]
    ) -> list[bytes]:
        """Return a chunk as the bodies of rows.

        Parameters
        ----------
        configs, names : mapping to int
            Numbers of every configuration and name that the chunk uses.
        """
        fixed = np.zeros(chunk.num_records, self.dtype)
        bits = np.zeros((chunk.num_records, 8 * self.len_present), np.uint8)
        for i, f in enumerate(self.schema.fields):
            column = chunk.column(f)
            if column is None:
                continue
            values, present = column.values, column.present
            if f.type == "config":
                table = np.array([configs[c] for c in chunk.configs] or [0], np.uint32)
                values = table[np.minimum(values, len(table) - 1)]
            bits[:, i] = 1 if present is None else present
            if present is not None:
                values = np.where(present if values.ndim == 1 else present[:, None], values, 0)
            fixed[f"v{i}"] = values
        fixed["present"] = np.packbits(bits, axis=1, bitorder="little")
        rests = self._rests(chunk, names)
        fixed["num_undeclared"] = [len(rest) // self.entry.itemsize for rest in rests]
        data, length = fixed.tobytes(), self.len_fixed
        return [data[i * length : (i + 1) * length] + rest for i, rest in enumerate(rests)]

    def _rests(self, chunk: Chunk, names: Mapping[str, int]) -> list[bytes]:
        """Return the undeclared metrics of each row, which follow its fixed part."""
        rests = [b""] * chunk.num_records
        fields = [f for f in chunk.fields if not f.declared]
        for number, f in sorted((names[f.name], f) for f in fields):
            column = chunk.column(f)
            if column is None:
                continue
            present = column.present
            rows = np.arange(chunk.num_records) if present is None else np.flatnonzero(present)
            entries = np.zeros(len(rows), self.entry)
            entries["name_number"], entries["value"] = number, column.values[rows]
            data, size = entries.tobytes(), self.entry.itemsize
            for k, row in enumerate(rows.tolist()):
                rests[row] += data[k * size : (k + 1) * size]
        return rests


def _places(
    numbers: Array, present: Mask, configs: Mapping[int, bytes]
) -> tuple[Array, tuple[bytes, ...]]:
    """Turn CONFIG numbers into places in a list of those that are used."""
    used = np.unique(numbers[present]).tolist()
    places = np.zeros(len(numbers), np.uint32)
    places[present] = np.searchsorted(used, numbers[present])
    return places, tuple(configs[number] for number in used)
