"""A BATCH body, encoded and decoded: a directory of columns, and the columns.

`encode_columns` and `Batch.columns` are the only places where the columns of a batch are encoded
and decoded together.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from cmeta.aliases import U8, Array
from cmeta.errors import CorruptError, EncodeError, LimitError, error_context
from cmeta.format.block import Block
from cmeta.format.column import PhaseCodes, as_stored, decode_column, encode_column
from cmeta.format.grammar import Grammar
from cmeta.records.chunk import Chunk, Column, goes_back
from cmeta.schema.rules import PHASE, TIMESTAMP
from cmeta.schema.schema import Schema
from cmeta.schema.types import Field


def encode_batch(
    batch: Chunk,
    configs: Column | None,
    schema: Schema,
    grammar: Grammar,
    name_numbers: Mapping[str, int],
) -> bytes:
    """Return the body of a BATCH block.

    Parameters
    ----------
    batch : Chunk
        At least one record.
    configs : Column or None
        CONFIG numbers, in place of the batch's own column of configurations.
    schema : Schema
    grammar : Grammar
    name_numbers : mapping of str to int
        NAME numbers of the undeclared metrics.
    """
    fields = set(batch.fields)
    numbered = sorted((name_numbers[f.name], f) for f in fields if not f.declared)
    present = [field for field in schema.fields if field in fields]
    encoded = encode_columns([*present, *(f for _, f in numbered)], batch, configs, schema, grammar)
    declared = [
        part for field in schema.fields for part in encoded.get(field, [b""] * field.num_columns)
    ]
    undeclared = [encoded[field][0] for _, field in numbered]
    entries = [(number, len(part)) for (number, _), part in zip(numbered, undeclared, strict=True)]
    timestamps = required(batch, schema[TIMESTAMP])
    return grammar.bodies["BATCH"].build(
        {
            "records_count": batch.num_records,
            "first_timestamp": int(timestamps[0]),
            "last_timestamp": int(timestamps[-1]),
            "len_columns": list(map(len, declared)),
            "num_undeclared": len(entries),
            "undeclared": np.array(entries, grammar.undeclared_entry.dtype),
            "columns": b"".join([*declared, *undeclared]),
        },
        num_columns=schema.num_columns,
    )


def encode_columns(
    fields: Iterable[Field], batch: Chunk, configs: Column | None, schema: Schema, grammar: Grammar
) -> dict[Field, list[bytes]]:
    """Return the encoded columns of the given fields: one, or one for each component of a vector.

    The parameters are those of `encode_batch`; each of the fields occurs in the batch.
    """
    phases = PhaseCodes(required(batch, schema[PHASE]))
    encoded = {}
    for field in fields:
        own = configs if field.type == "config" else None
        column = batch.columns[field] if own is None else own
        codec = grammar.column(field)
        encoded[field] = [encode_column(codec, part, phases) for part in column.components()]
    return encoded


def required(batch: Chunk, field: Field) -> Array:
    """Return the values of a field that every record has."""
    column = batch.column(field)
    if column is None:
        raise EncodeError(f"{field.path}: missing; every record has one")
    return column.values


def check_size(num_columns: int, num_records: int, schema: Schema) -> None:
    """Refuse a batch beyond the limits of the format.

    Raises
    ------
    EncodeError
        Too many columns, or too many cells.
    """
    limits = schema.format.limits
    if num_columns > limits.columns_max:
        raise EncodeError(
            f"found a batch of {num_columns:,} columns, expected at most {limits.columns_max:,}"
        )
    if num_columns * num_records > limits.cells_max:
        raise EncodeError(
            f"found a batch of {num_columns:,} columns and {num_records:,} records, expected at "
            f"most {limits.cells_max:,} cells; use a smaller batch_records or fewer metrics"
        )


@dataclass(frozen=True)
class BatchContext:
    """What the columns of a batch need from earlier blocks.

    Attributes
    ----------
    ordinal : int
        Number of the BATCH in the file.
    row : structured scalar
        Its row of the table.
    names : sequence of str
        Names of the NAME blocks before it, read only for undeclared metrics; "" for a name that is
        lost, whose metric is left out.
    num_configs : int
        Number of CONFIG blocks before it.
    """

    ordinal: int
    row: Any
    names: Sequence[str]
    num_configs: int


class ColumnPlace(NamedTuple):
    """The place of a column in the body."""

    start: int
    length: int


class Batch:
    """The records of one BATCH block.

    Raises
    ------
    DecodeError
        Head or directory contradict the format; offsets are from the start of the file.
    """

    def __init__(
        self, block: Block, schema: Schema, grammar: Grammar, context: BatchContext
    ) -> None:
        self._block, self._schema, self._grammar, self._context = block, schema, grammar, context
        self.path = f"BATCH[{context.ordinal}]"
        self.num_columns_decoded = 0
        with error_context(block.body_offset, self.path):
            self._read_head()
            self._read_directory()

    def _read_head(self) -> None:
        """Check the fixed part of the body against the row of the table."""
        size = self._grammar.batch_head.size
        head = self._grammar.batch_head.parse(self._block.body[:size])
        for name in ("records_count", "first_timestamp", "last_timestamp"):
            if head[name] != self._context.row[name]:
                expected = self._context.row[name]
                message = f"found {head[name]}, but the table of blocks says {expected}"
                raise CorruptError(message, path=name)
        self.num_records: int = head["records_count"]
        self.first_timestamp: int = head["first_timestamp"]
        self.last_timestamp: int = head["last_timestamp"]

    def _read_directory(self) -> None:
        body = self._grammar.bodies["BATCH"].parse(
            self._block.body, num_columns=self._schema.num_columns
        )
        limits = self._grammar.format.limits
        num_columns = self._schema.num_columns + body["num_undeclared"]
        if num_columns > limits.columns_max or num_columns * self.num_records > limits.cells_max:
            raise LimitError(
                f"found {num_columns:,} columns of {self.num_records:,} records, expected at most "
                f"{limits.columns_max:,} columns and {limits.cells_max:,} cells",
                path="num_undeclared",
            )
        numbers = body["undeclared"]["name_number"]
        others = body["undeclared"]["len_column"]
        if (numbers[1:] <= numbers[:-1]).any():
            raise CorruptError("name numbers do not ascend strictly", path="undeclared")
        if len(numbers) and numbers[-1] >= len(self._context.names):
            known = len(self._context.names)
            message = f"found name {numbers[-1]}, but only {known} NAME blocks precede it"
            raise CorruptError(message, path="undeclared")
        if len(others) and not others.all():
            raise CorruptError("found an undeclared column of length 0", path="undeclared")
        lengths = np.concatenate([body["len_columns"], others]).astype(np.int64)
        if lengths.sum() != len(body["columns"]):
            raise CorruptError(
                f"found {len(body['columns'])} bytes of columns, expected {lengths.sum()}",
                path="len_columns",
            )
        starts = (np.cumsum(lengths) - lengths + len(self._block.body) - lengths.sum()).tolist()
        self._directory = list(map(ColumnPlace, starts, lengths.tolist()))
        if len(numbers) and self._schema.open_group is None:
            message = "found undeclared metrics, but no group is open"
            raise CorruptError(message, path="num_undeclared")
        self._name_numbers: list[int] = numbers.tolist()
        for name in (TIMESTAMP, PHASE):
            if not self.has(self._schema[name]):
                raise CorruptError("found no column, expected one for every record", path=name)

    @cached_property
    def _declared(self) -> dict[Field, int]:
        """The declared fields, and the place of their first column."""
        fields = self._schema.fields
        places = itertools.accumulate((field.num_columns for field in fields), initial=0)
        return dict(zip(fields, places, strict=False))

    @cached_property
    def _undeclared(self) -> dict[Field, int]:
        """The undeclared metrics that occur, and the place of their column."""
        group, codecs = self._schema.open_group or "", self._grammar.format.codecs
        names = [self._context.names[number] for number in self._name_numbers]
        places = enumerate(names, self._schema.num_columns)
        return {codecs.undeclared(name, group): place for place, name in places if name}

    def _places(self, field: Field) -> dict[Field, int]:
        """Return the places of fields of this kind; only undeclared metrics need their names."""
        return self._declared if field.declared else self._undeclared

    @property
    def fields(self) -> tuple[Field, ...]:
        """Fields that occur in this batch: declared ones, then undeclared by NAME number.

        Raises
        ------
        DecodeError
            The name of a metric cannot be read.
        """
        return tuple(filter(self.has, (*self._declared, *self._undeclared)))

    @property
    def num_cells(self) -> int:
        """Values of the columns that occur, absent ones included."""
        return self.num_records * sum(column.length > 0 for column in self._directory)

    def has(self, field: Field) -> bool:
        """Return whether a record of this batch has a field; decodes nothing."""
        place = self._places(field).get(field)
        if place is None:
            return False
        return any(column.length for column in self._directory[place : place + field.num_columns])

    @cached_property
    def phases(self) -> PhaseCodes:
        """The phases, whose order the split stage follows."""
        codes: U8 = self._decode(self._schema[PHASE], 0, None, 0).values
        return PhaseCodes(codes)

    @cached_property
    def timestamps(self) -> Array:
        """The timestamps, uint64, checked for their order."""
        field = self._schema[TIMESTAMP]
        times = self._decode(field, 0, self.phases, 0).values
        with error_context(*self.place_of(field, 0)):
            if times[0] != self.first_timestamp or times[-1] != self.last_timestamp:
                raise CorruptError(
                    f"found {times[0]} to {times[-1]}, expected "
                    f"{self.first_timestamp} to {self.last_timestamp} as in the batch's head"
                )
            back = goes_back(times, self.phases.codes)
            if back.any():
                row = int(np.argmax(back)) + 1
                raise CorruptError(f"record {row} goes back in (timestamp, phase)")
        return times

    def columns(self, fields: Iterable[Field], fill: float = 0) -> Iterator[tuple[Field, Column]]:
        """Yield each given field that occurs, with its column; see `column`."""
        for field in fields:
            column = self.column(field, fill)
            if column is not None:
                yield field, column

    def column(self, field: Field, fill: float = 0) -> Column | None:
        """Return a field's column, or None if no record of the batch has it.

        Parameters
        ----------
        fill : float
            The value of an absent float; an absent integer is 0.

        Raises
        ------
        DecodeError
        """
        if not self.has(field):
            return None
        _ = self.phases  # decoded before any other column (SPEC, Reading a column)
        if not field.num_components:
            return self._component(field, 0, fill, None)
        return Column.of_components(list(self.components(field, fill)), field)

    def components(self, field: Field, fill: float = 0) -> Iterator[Column]:
        """Yield the columns of a field's components, decoding one at a time.

        One for a scalar; none if the field is absent in the whole batch.

        Raises
        ------
        DecodeError
        """
        first: Column | None = None
        for component in range(field.num_columns if self.has(field) else 0):
            column = self._component(field, component, fill, first)
            first = first or column
            yield column

    def _component(self, field: Field, component: int, fill: float, first: Column | None) -> Column:
        """Return one column, decoded and checked; `first` is that of the first component."""
        if field == self._schema[PHASE]:
            return Column(self.phases.codes, None)
        if field == self._schema[TIMESTAMP]:
            return Column(self.timestamps, None)
        column = self._decode(field, component, self.phases, fill if field.is_float else 0)
        with error_context(*self.place_of(field, component)):
            self._check(field, column, first or column)
        return column

    def _check(self, field: Field, column: Column, first: Column) -> None:
        same = (column.present is None) == (first.present is None)
        if not same or (column.present is not None and (column.present != first.present).any()):
            raise CorruptError("found a vector of which only some components are absent")
        if field.type == "config":
            used = column.recorded()
            if used.size and used.max() >= self._context.num_configs:
                raise CorruptError(
                    f"found configuration {used.max()}, but only {self._context.num_configs} "
                    "CONFIG blocks precede it"
                )

    def place_of(self, field: Field, component: int) -> tuple[int, str]:
        """Return the offset of a column in the file, and its path."""
        start = self._directory[self._places(field)[field] + component].start
        label = f"{field.path}[{component}]" if field.num_components else field.path
        return self._block.body_offset + start, f"{self.path}.{label}"

    def _decode(
        self, field: Field, component: int, phases: PhaseCodes | None, fill: float
    ) -> Column:
        start, length = self._directory[self._places(field)[field] + component]
        with error_context(*self.place_of(field, component)):
            if not length:
                raise CorruptError("found a vector of which only some components are absent")
            data = self._block.body[start : start + length]
            codec = self._grammar.column(field)
            column = decode_column(codec, data, self.num_records, phases, fill)
        self.num_columns_decoded += 1
        return column


class RowBatch:
    """A chunk with the interface of a `Batch`: rows of a journal.

    Parameters
    ----------
    chunk : Chunk
        At least one record; places in its list of configurations are CONFIG numbers already.
    schema : Schema
    ordinal : int
        Number of the batch in the file.
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
    def phases(self) -> PhaseCodes:
        """The phases."""
        return PhaseCodes(self._required(PHASE))

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

    def has(self, field: Field) -> bool:
        """Return whether a record of this batch has a field."""
        return field in self._chunk.columns

    def columns(self, fields: Iterable[Field], fill: float = 0) -> Iterator[tuple[Field, Column]]:
        """Yield each given field that occurs, with its column; see `column`."""
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
        values, present = as_stored(column, field)
        if present is not None:
            mask = present[:, None] if field.num_components else present
            values = np.where(mask, values, np.asarray(fill if field.is_float else 0, values.dtype))
        return Column(values, present)

    def _required(self, name: str) -> Array:
        column = self._chunk.column(self._schema[name])
        if column is None:
            raise AssertionError("every record has one")
        return column.values
