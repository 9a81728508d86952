"""A BATCH body: the columns of a batch behind their directory."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from cmeta.aliases import U8, Array, Mask
from cmeta.errors import CorruptError, EncodeError, LimitError, error_context
from cmeta.format.block import Block
from cmeta.format.column import Cells, Phases, State
from cmeta.format.grammar import Grammar
from cmeta.format.stages import classes
from cmeta.records.chunk import Chunk, Column
from cmeta.schema.rules import PHASE, TIMESTAMP
from cmeta.schema.schema import Schema
from cmeta.schema.types import Field, undeclared


def build_batch(
    batch: Chunk, schema: Schema, grammar: Grammar, name_numbers: Mapping[str, int]
) -> bytes:
    """Return the body of a BATCH block.

    Parameters
    ----------
    batch : Chunk
        At least one record; its config column holds CONFIG numbers.
    schema : Schema
    grammar : Grammar
    name_numbers : mapping of str to int
        NAME numbers of the undeclared metrics.
    """
    phases = Phases(required(batch, schema[PHASE]))
    timestamps = required(batch, schema[TIMESTAMP])
    fields = set(batch.fields)
    lengths: list[int] = []
    columns: list[bytes] = []
    for field in schema.fields:
        parts = [b""] * field.num_columns
        if field in fields:
            parts = build_columns(field, batch, phases, grammar)
        lengths += map(len, parts)
        columns += parts
    entries = []
    for number, field in sorted((name_numbers[f.name], f) for f in fields if not f.declared):
        (part,) = build_columns(field, batch, phases, grammar)
        entries.append((number, len(part)))
        columns.append(part)
    return grammar.bodies["BATCH"].build(
        {
            "records_count": batch.num_records,
            "first_timestamp": int(timestamps[0]),
            "last_timestamp": int(timestamps[-1]),
            "len_columns": lengths,
            "num_undeclared": len(entries),
            "undeclared": np.array(entries, grammar.undeclared_entry.dtype),
            "columns": b"".join(columns),
        },
        num_columns=schema.num_columns,
    )


def build_columns(field: Field, batch: Chunk, phases: Phases, grammar: Grammar) -> list[bytes]:
    """Return the bytes of each column of a field: one, or one for each component."""
    con = grammar.column(field)
    facts = grammar.format.codecs.classes
    built = []
    for values, present in batch.components(field):
        codes: U8 | None = classes.encode(values, present, facts)
        finite = values if codes is None else values[codes == facts.value]
        state = State(len(values), phases)
        built.append(bytes(con.build(Cells(finite, codes), state=state)))
    return built


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
        raise EncodeError(f"a batch of {num_columns} columns, at most {limits.columns_max}")
    if num_columns * num_records > limits.cells_max:
        raise EncodeError(
            f"a batch of {num_columns} columns and {num_records} records, at most "
            f"{limits.cells_max} cells; take fewer batch_records or fewer metrics"
        )


@dataclass(frozen=True)
class BatchContext:
    """What stands before a batch, which its columns refer to.

    Attributes
    ----------
    ordinal : int
        Which BATCH of the file it is.
    row : structured scalar
        Its row of the table.
    names : tuple of str
        Names of the NAME blocks before it; "" for one whose name has not been read.
    num_configs : int
        Number of CONFIG blocks before it.
    """

    ordinal: int
    row: Any
    names: tuple[str, ...]
    num_configs: int


class Piece(NamedTuple):
    """Where a column stands in the body."""

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
        self, block: Block, schema: Schema, grammar: Grammar, around: BatchContext
    ) -> None:
        self._block, self._schema, self._grammar, self._around = block, schema, grammar, around
        self.path = f"BATCH[{around.ordinal}]"
        self.num_columns_decoded = 0
        with error_context(block.body_offset, self.path):
            self._read_head()
            self._read_directory()

    def _read_head(self) -> None:
        """Check the count and the cells before anything else is made of the body."""
        size = self._grammar.batch_head.size
        head = self._grammar.batch_head.parse(self._block.body[:size])
        for name in ("records_count", "first_timestamp", "last_timestamp"):
            if head[name] != self._around.row[name]:
                expected = self._around.row[name]
                raise CorruptError(f"{head[name]}, but the INDEX says {expected}", path=name)
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
                f"{num_columns} columns of {self.num_records} records, at most "
                f"{limits.columns_max} columns and {limits.cells_max} cells",
                path="num_undeclared",
            )
        numbers = body["undeclared"]["name_number"]
        others = body["undeclared"]["len_column"]
        if (numbers[1:] <= numbers[:-1]).any():
            raise CorruptError("name numbers do not ascend strictly", path="undeclared")
        if len(numbers) and numbers[-1] >= len(self._around.names):
            known = len(self._around.names)
            raise CorruptError(f"name {numbers[-1]}, but {known} NAMEs so far", path="undeclared")
        if len(others) and not others.all():
            raise CorruptError("an undeclared column of length 0", path="undeclared")
        lengths = np.concatenate([body["len_columns"], others]).astype(np.int64)
        if lengths.sum() != len(body["columns"]):
            raise CorruptError(
                f"columns of {lengths.sum()} bytes, but {len(body['columns'])} are there",
                path="len_columns",
            )
        starts = (np.cumsum(lengths) - lengths + len(self._block.body) - lengths.sum()).tolist()
        self._pieces = list(map(Piece, starts, lengths.tolist()))
        self._places = self._place_fields(numbers.tolist())
        for name in (TIMESTAMP, PHASE):
            if not self._pieces[self._places[self._schema[name]]].length:
                raise CorruptError("absent, expected in every record", path=name)

    def _place_fields(self, name_numbers: list[int]) -> dict[Field, int]:
        """Map each field to the place of its first column."""
        places: dict[Field, int] = {}
        at = 0
        for field in self._schema.fields:
            places[field] = at
            at += field.num_columns
        group = self._schema.open_group
        if name_numbers and group is None:
            raise CorruptError("undeclared metrics without an open group", path="num_undeclared")
        for i, number in enumerate(name_numbers):
            name = self._around.names[number]
            if name:
                places[undeclared(name, group or "", self._grammar.format.codecs)] = at + i
        return places

    @property
    def fields(self) -> tuple[Field, ...]:
        """Fields that occur in this batch: declared ones, then undeclared by NAME number."""
        return tuple(
            field
            for field, place in self._places.items()
            if any(piece.length for piece in self._pieces[place : place + field.num_columns])
        )

    @cached_property
    def phases(self) -> Phases:
        """The phases, whose order the split stage follows."""
        codes: U8 = self._decode(self._schema[PHASE], 0, None).finite
        return Phases(codes)

    @cached_property
    def timestamps(self) -> Array:
        """The timestamps, uint64, checked for their order."""
        field = self._schema[TIMESTAMP]
        found = self._decode(field, 0, self.phases).finite
        codes = self.phases.codes
        with error_context(*self.place_of(field, 0)):
            if found[0] != self.first_timestamp or found[-1] != self.last_timestamp:
                raise CorruptError(f"{found[0]} to {found[-1]}, but the batch says otherwise")
            back = (found[1:] < found[:-1]) | (found[1:] == found[:-1]) & (codes[1:] < codes[:-1])
            if back.any():
                row = int(np.argmax(back)) + 1
                raise CorruptError(f"record {row} goes back in (timestamp, phase)")
        return found

    def components(self, field: Field, fill: Any) -> Iterator[Column]:
        """Yield the columns of a field: values, and which records have it (None: all).

        One for each component of a vector, decoded when it is its turn; none if the field is
        absent in the whole batch.

        Parameters
        ----------
        fill : scalar
            What stands in an absent cell.

        Raises
        ------
        DecodeError
        """
        place = self._places.get(field)
        if place is None:
            return
        if field in (self._schema[PHASE], self._schema[TIMESTAMP]):
            values = self.phases.codes if field.name == PHASE else self.timestamps
            yield Column(values, None)
            return
        pieces = self._pieces[place : place + field.num_columns]
        if not any(piece.length for piece in pieces):
            return
        facts = self._grammar.format.codecs.classes
        first_mask: Mask | None = None
        for component in range(field.num_columns):
            values, codes = self._decode(field, component, self.phases)
            present: Mask | None = None
            if codes is not None:
                values, present = classes.decode(codes, values, fill, facts)
                present = None if present.all() else present
            if component == 0:
                first_mask = present
            with error_context(*self.place_of(field, component)):
                self._check(field, values, present, first_mask)
            yield Column(values, present)

    def column(self, field: Field, fill: Any) -> Column | None:
        """Return a field's column, or None if no record of the batch has it.

        Parameters
        ----------
        fill : scalar
            What stands in an absent cell.

        Raises
        ------
        DecodeError
        """
        parts = list(self.components(field, fill))
        if not parts:
            return None
        if not field.num_components:
            return parts[0]
        return Column(np.stack([part.values for part in parts], axis=1), parts[0].present)

    def _check(
        self, field: Field, values: Array, present: Mask | None, first_mask: Mask | None
    ) -> None:
        same = (present is None) == (first_mask is None)
        if not same or (present is not None and (present != first_mask).any()):
            raise CorruptError("a vector that is absent in part")
        if field.type == "config":
            used = values if present is None else values[present]
            if used.size and used.max() >= self._around.num_configs:
                raise CorruptError(
                    f"configuration {used.max()}, but {self._around.num_configs} CONFIGs so far"
                )

    def place_of(self, field: Field, component: int) -> tuple[int, str]:
        """Return where a column begins in the file, and its path."""
        start = self._pieces[self._places[field] + component].start
        label = f"{field.path}[{component}]" if field.num_components else field.path
        return self._block.body_offset + start, f"{self.path}.{label}"

    def _decode(self, field: Field, component: int, phases: Phases | None) -> Cells:
        """Decode one column."""
        start, length = self._pieces[self._places[field] + component]
        with error_context(*self.place_of(field, component)):
            if not length:
                raise CorruptError("a vector that is absent in part")
            data = self._block.body[start : start + length]
            cells = _decode(self._grammar.column(field), data, State(self.num_records, phases))
        self.num_columns_decoded += 1
        return cells


def _decode(construct: Any, data: bytes, state: State) -> Cells:
    stream = io.BytesIO(data)
    cells: Cells = construct.parse_stream(stream, state=state)
    if stream.tell() != len(data):
        raise CorruptError(
            f"{len(data) - stream.tell()} bytes behind the last quotient", offset=stream.tell()
        )
    return cells
