"""The layout of a record in a ROW, and rows as chunks and back (SPEC, Journal).

A row's fixed part is a packed structure, so many rows are one structured array: sealing thousands
of them costs a few numpy calls. Numbers of configurations and names are those of the main file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from cmeta.aliases import Array
from cmeta.format.column import Phases
from cmeta.format.grammar import Grammar
from cmeta.format.stages import fixed_point
from cmeta.records.chunk import Chunk, Column
from cmeta.schema.load import shipped_format
from cmeta.schema.rules import PHASE, TIMESTAMP
from cmeta.schema.schema import Schema
from cmeta.schema.types import FIELD_TYPES, Field


@dataclass
class Tables:
    """What the numbers in rows stand for.

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
    """How a schema's record stands in a ROW.

    Attributes
    ----------
    dtype : dtype
        Of the fixed part: ``present``, then ``v0``, ``v1``, ... for the fields, and
        ``num_undeclared``.
    codes : str
        The same in the letters of `struct`.
    entry : dtype
        Of an undeclared metric.
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
                members.append((part.name, "<u4", ()))
                codes += "I"
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
        """Return all undeclared metrics of the rows, and the row of each."""
        length = self.len_fixed
        rests = [body[length:] for body in bodies]
        entries = np.frombuffer(b"".join(rests), self.entry)
        counts = np.array([len(rest) for rest in rests]) // self.entry.itemsize
        return entries, np.repeat(np.arange(len(bodies)), counts)

    def chunk_of(self, bodies: Sequence[bytes], tables: Tables, *, numbered: bool = False) -> Chunk:
        """Return rows as a chunk.

        Parameters
        ----------
        bodies : sequence of bytes
            Of ROW entries that hold to the layout.
        tables : Tables
            Defines every number that they use.
        numbered : bool
            Leave CONFIG numbers as they are, instead of places in the chunk's own list.
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
        entries, rows = self.undeclared_of(bodies)
        for number in np.unique(entries["name_number"]).tolist():
            chosen = entries["name_number"] == number
            values, present = np.zeros(len(bodies)), np.zeros(len(bodies), bool)
            values[rows[chosen]], present[rows[chosen]] = entries["value"][chosen], True
            mask = None if present.all() else present
            columns[self._metric(tables.names[number])] = Column(values, mask)
        return Chunk(len(bodies), columns, configs)

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
        """Return what stands behind the fixed part of each row."""
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
    numbers: Array, present: npt.NDArray[np.bool_], configs: Mapping[int, bytes]
) -> tuple[Array, tuple[bytes, ...]]:
    """Turn CONFIG numbers into places in a list of those that are used."""
    used = np.unique(numbers[present]).tolist()
    places = np.zeros(len(numbers), np.uint32)
    places[present] = np.searchsorted(used, numbers[present])
    return places, tuple(configs[number] for number in used)


class RowBatch:
    """A chunk with the face of a batch.

    Parameters
    ----------
    chunk : Chunk
        At least one record; places in its list of configurations are CONFIG numbers already.
    schema : Schema
    ordinal : int
        Which batch of the file it is.
    """

    def __init__(self, chunk: Chunk, schema: Schema, ordinal: int) -> None:
        self._chunk, self._schema = chunk, schema
        self.path = f"BATCH[{ordinal}]"
        self.num_records = chunk.num_records
        self.num_columns_decoded = 0

    @cached_property
    def timestamps(self) -> Array:
        """The timestamps, uint64."""
        return self._required(TIMESTAMP)

    @cached_property
    def phases(self) -> Phases:
        """The phases."""
        return Phases(self._required(PHASE))

    @property
    def first_timestamp(self) -> int:
        """Timestamp of the first record."""
        return int(self.timestamps[0])

    @property
    def last_timestamp(self) -> int:
        """Timestamp of the last record."""
        return int(self.timestamps[-1])

    @property
    def fields(self) -> tuple[Field, ...]:
        """Fields that occur: declared ones, then undeclared ones."""
        return tuple(self._chunk.fields)

    def columns(self, fields: Iterable[Field], fill: float = 0) -> Iterator[tuple[Field, Column]]:
        """Yield those of some fields that occur, each with its column; see `column`."""
        for wanted in fields:
            column = self.column(wanted, fill)
            if column is not None:
                yield wanted, column

    def column(self, field: Field, fill: float = 0) -> Column | None:
        """Return a field's column, or None if no record has it.

        Parameters
        ----------
        fill : float
            The value of an absent float; an absent integer is 0.
        """
        column = self._chunk.column(field)
        if column is None:
            return None
        self.num_columns_decoded += field.num_columns
        values, present = stored(column, field)
        if present is not None:
            mask = present[:, None] if field.num_components else present
            values = np.where(mask, values, np.asarray(fill if field.is_float else 0, values.dtype))
        return Column(values, present)

    def _required(self, name: str) -> Array:
        column = self._chunk.column(self._schema[name])
        if column is None:
            raise AssertionError("every record has one")
        return column.values


def stored(column: Column, field: Field) -> Column:
    """Return a column with the values that a batch gives back."""
    values, present = column
    if not field.is_float:
        return column
    finite = np.isfinite(values)
    kept = values.copy()
    kept[np.isnan(values)] = np.nan  # NaN has no payload
    if field.quanta_per_unit:
        bits = shipped_format().codecs.quantise.product_bits
        quanta = fixed_point.encode(values[finite], field.quanta_per_unit, bits)
        kept[finite] = fixed_point.decode(quanta, values.dtype, field.quanta_per_unit, bits)
    return Column(kept, present)
