"""Tables: what the numbers of configurations and names stand for, as far as that is certain.

A number that is not in its table is never guessed: what refers to it is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np

from cmeta.aliases import Array, Mask
from cmeta.errors import CorruptError, DecodeError, error_context
from cmeta.format.batch import Batch, BatchContext
from cmeta.format.block import Block, parse_config, parse_name, read_block
from cmeta.format.grammar import Grammar
from cmeta.format.source import Source
from cmeta.records.chunk import Chunk, Column
from cmeta.schema.rules import PHASE, TIMESTAMP
from cmeta.schema.schema import Schema
from cmeta.schema.types import Field
from cmeta.tools.recover.index import Index, Placing
from cmeta.tools.recover.recovery_report import Lost
from cmeta.tools.recover.scan import Found, Gap, Scan


class Tables:
    """Configurations and names by number.

    Attributes
    ----------
    names : list of str
        By NAME number; "" where it is not known.
    configs : dict of int to bytes
        Bodies, by CONFIG number.
    """

    def __init__(self, source: Source, grammar: Grammar, schema: Schema, *, newer: bool) -> None:
        self.source, self.grammar, self.schema, self.newer = source, grammar, schema, newer
        self.names: list[str] = []
        self.configs: dict[int, bytes] = {}
        self._numbers: dict[str, int] = {}

    def define(self, block: Found, number: int) -> None:
        """Take a CONFIG or NAME block; one that breaks a rule defines nothing."""
        read = read_block(
            self.source, self.grammar, block.offset, block.end, newer=self.newer
        )  # fmt: skip
        try:
            if block.name == "CONFIG":
                parse_config(read, self.schema)
                self.configs[number] = read.body
                return
            name = parse_name(read, self.schema)
        except DecodeError:
            return
        if name not in self._numbers:
            self.make_room(number)
            self.names[number] = name
            self._numbers[name] = number

    def make_room(self, number: int) -> None:
        """Let a NAME number be looked up, known or not."""
        self.names += [""] * (number + 1 - len(self.names))

    def forget(self, name: str, numbers: range) -> None:
        """Take back definitions of CONFIG or NAME that turned out to be doubtful."""
        for number in numbers:
            if name == "CONFIG":
                self.configs.pop(number, None)
            elif number < len(self.names):
                self._numbers.pop(self.names[number], None)
                self.names[number] = ""


_ANY_NUMBER = 1 << 32  # of configurations: each is looked up afterwards


@dataclass(frozen=True)
class Salvaged:
    """A batch as a chunk.

    Attributes
    ----------
    chunk : Chunk
    unknown_names : tuple of int
        NAME numbers of columns that were left out.
    num_unknown_configs : int
        Records whose configuration was left out.
    """

    chunk: Chunk
    unknown_names: tuple[int, ...] = ()
    num_unknown_configs: int = 0


@dataclass(frozen=True)
class BatchReader:
    """Reads batches with the tables as they stand.

    Attributes
    ----------
    tables : Tables
    """

    tables: Tables

    def read(self, found: Found) -> Block:
        """Read the block of a batch."""
        tables = self.tables
        return read_block(
            tables.source, tables.grammar, found.offset, found.end, newer=tables.newer
        )  # fmt: skip

    def name_numbers(self, block: Block) -> list[int]:
        """Return the NAME numbers of a batch, ascending.

        Raises
        ------
        DecodeError
        """
        layout = self.tables.grammar.bodies["BATCH"]
        with error_context(block.body_offset, "BATCH"):
            body = layout.parse(block.body, num_columns=self.tables.schema.num_columns)
        numbers: list[int] = body["undeclared"]["name_number"].tolist()
        # As many NAMEs as the file has room for: nothing is made from a number alone.
        if numbers and max(numbers) > self.tables.source.size // self.tables.grammar.len_frame:
            raise CorruptError(f"name {max(numbers)}", offset=block.offset, path="BATCH")
        return numbers

    def open(self, block: Block, found: Found, ordinal: int, numbers: list[int]) -> Batch:
        """Return a batch whose undeclared columns have the names that are known.

        Raises
        ------
        DecodeError
        """
        tables = self.tables
        tables.make_room(max(numbers, default=-1))
        row = dict(
            zip(("records_count", "first_timestamp", "last_timestamp"), found.row, strict=True)
        )
        names = cast("tuple[str, ...]", tables.names)
        around = BatchContext(ordinal, row, names, _ANY_NUMBER)
        return Batch(block, tables.schema, tables.grammar, around)

    def config_numbers(self, batch: Batch) -> list[int]:
        """Return the CONFIG numbers that a batch uses, ascending.

        Raises
        ------
        DecodeError
        """
        config = self.tables.schema.config_field
        column = batch.column(config, 0) if config else None
        if column is None:
            return []
        values, present = column
        used: list[int] = np.unique(values if present is None else values[present]).tolist()
        return used

    def salvage(self, batch: Batch, numbers: list[int]) -> Salvaged:
        """Return what is certain of a batch.

        Raises
        ------
        DecodeError
            A column cannot be decoded.
        """
        _ = batch.timestamps  # checks their order
        columns: dict[Field, Column] = {}
        configs: tuple[bytes, ...] = ()
        num_unknown = 0
        for declared in batch.fields:
            found = batch.column(declared, 0)
            if found is None:
                continue
            values, present = found
            if declared.type == "config":
                values, present, configs, num_unknown = self._look_up(values, present)
            if present is None or present.any():
                columns[declared] = Column(values, present)
        unknown = tuple(number for number in numbers if not self.tables.names[number])
        chunk = Chunk(batch.num_records, columns, configs)
        return Salvaged(chunk, unknown, num_unknown)

    def _look_up(
        self, values: Array, present: Mask | None
    ) -> tuple[Array, Mask | None, tuple[bytes, ...], int]:
        """Turn CONFIG numbers into places in a list; what is not known becomes absent."""
        known = self.tables.configs
        there = Column(values, present).mask()
        used = np.unique(values[there])
        good = np.array([number for number in used.tolist() if number in known], values.dtype)
        keep = there & np.isin(values, good)
        places = np.zeros(len(values), np.uint32)
        places[keep] = np.searchsorted(good, values[keep])
        num_unknown = int(np.count_nonzero(there) - np.count_nonzero(keep))
        bodies = tuple(known[number] for number in good.tolist())
        return places, None if keep.all() else keep, bodies, num_unknown


Pair = tuple[int, int]


def by_index(index: Index, placing: Placing, tables: Tables) -> Iterator[Salvaged | Lost]:
    """Yield what the batches of the INDEX are, one by one."""
    for found, number in placing.numbered:
        tables.define(found, number)
    reader = BatchReader(tables)
    ends = np.append(index.table["offset"][1:], np.uint64(index.end))
    for ordinal, (batch, row) in enumerate(placing.batches):
        _, _, _, count, offset, first, last = index.table[row].tolist()
        if batch is None:
            length = int(ends[row]) - offset
            yield Lost(offset, length, count, first, last, True, f"BATCH[{ordinal}] is damaged")
            continue
        yield _decoded(reader, batch, ordinal)


def _decoded(reader: BatchReader, found: Found, ordinal: int) -> Salvaged | Lost:
    try:
        block = reader.read(found)
        numbers = reader.name_numbers(block)
        return reader.salvage(reader.open(block, found, ordinal, numbers), numbers)
    except DecodeError as err:
        return lost_batch(found, str(err))


def lost_batch(found: Found, reason: str) -> Lost:
    """Return the loss of a batch that is intact as a block."""
    count, first, last = found.row
    length = found.end - found.offset
    return Lost(found.offset, length, count, first, last, True, reason)


def by_walking(scan: Scan, tables: Tables, *, in_order: bool) -> Iterator[Salvaged | Lost]:
    """Yield what the batches of a file without an INDEX are, and the gaps between them.

    Parameters
    ----------
    in_order : bool
        False: something shows that blocks have been exchanged, so that no number is certain.
    """
    walk = _Walk(tables, in_order)
    for piece in scan.pieces:
        if isinstance(piece, Gap):
            if not walk.is_damaged_schema(piece):
                yield walk.pass_over(piece)
        elif piece.name in walk.counts:
            walk.define(piece)
        elif piece.name == "BATCH":
            yield walk.batch(piece)


@dataclass
class _Count:
    """How many blocks of a kind there were, how many since the last batch, how many that no batch
    has confirmed, and whether that is sure.
    """

    total: int = 0
    since_batch: int = 0
    unconfirmed: int = 0
    is_certain: bool = True


class _Walk:
    def __init__(self, tables: Tables, in_order: bool) -> None:
        self._tables = tables
        self._reader = BatchReader(tables)
        self._ordinal = 0
        self.counts = {name: _Count(is_certain=in_order) for name in ("CONFIG", "NAME")}

    def define(self, found: Found) -> None:
        """Number a CONFIG or NAME, as long as numbers are certain."""
        count = self.counts[found.name]
        if count.is_certain:
            self._tables.define(found, count.total)
            count.total += 1
            count.since_batch += 1
            count.unconfirmed += 1

    def is_damaged_schema(self, gap: Gap) -> bool:
        """Return whether the gap is where the SCHEMA stood, and nothing else."""
        grammar = self._tables.grammar
        length = len(self._tables.schema.embedded) + grammar.len_frame
        return gap.offset == grammar.header.size and gap.end == gap.offset + length

    def pass_over(self, gap: Gap) -> Lost:
        """Take note of bytes that are no block."""
        reason = gap.problem.message
        if self._is_damaged_batch(gap):
            self._ordinal += 1
            for count in self.counts.values():
                count.since_batch = 0
            reason = f"a damaged BATCH: {reason}"
        else:
            self._end_certainty()
        return Lost(gap.offset, gap.end - gap.offset, None, None, None, False, reason)

    def batch(self, found: Found) -> Salvaged | Lost:
        """Decode a batch, once it has been held against the numbers before it."""
        ordinal, self._ordinal = self._ordinal, self._ordinal + 1
        try:
            block = self._reader.read(found)
            numbers = self._reader.name_numbers(block)
            self._confirm("NAME", numbers)
            batch = self._reader.open(block, found, ordinal, numbers)
            self._confirm("CONFIG", self._reader.config_numbers(batch))
            return self._reader.salvage(batch, numbers)
        except DecodeError as err:
            self._end_certainty()
            return lost_batch(found, str(err))

    def _confirm(self, name: str, numbers: list[int]) -> None:
        """Doubt numbers that the batch behind them does not use as a writer would have.

        A CONFIG or NAME stands just before the first batch that needs it, so the highest number
        that this batch uses is that of the last one.
        """
        count = self.counts[name]
        if not count.is_certain:
            return
        highest = max(numbers, default=-1)
        fits = highest == count.total - 1 if count.since_batch else highest < count.total
        if not fits:
            self._tables.forget(name, range(count.total - count.unconfirmed, count.total))
            count.is_certain = False
        elif highest == count.total - 1:
            count.unconfirmed = 0
        count.since_batch = 0

    def _end_certainty(self) -> None:
        """Number no more: a CONFIG or NAME may be missing."""
        for count in self.counts.values():
            count.is_certain = False

    def _is_damaged_batch(self, gap: Gap) -> bool:
        """Return whether the gap is one BATCH and nothing else, as head and directory say."""
        grammar, source, schema = self._tables.grammar, self._tables.source, self._tables.schema
        len_body, head_size = gap.end - gap.offset - grammar.len_frame, grammar.frame_head.size
        if len_body < 0:
            return False
        try:
            head = grammar.frame_head.parse(source.read(gap.offset, head_size))
            if head["kind"] != grammar.kinds["BATCH"] or head["len_body"] != len_body:
                return False
            body = source.read(gap.offset + head_size, len_body)
            fields = grammar.bodies["BATCH"].parse(body, num_columns=schema.num_columns)
        except DecodeError:
            return False
        total = int(fields["len_columns"].sum(dtype=np.uint64))
        total += int(fields["undeclared"]["len_column"].sum(dtype=np.uint64))
        return total == len(fields["columns"])


def ends_of(chunk: Chunk, tables: Tables) -> tuple[Pair, Pair]:
    """Return (timestamp, phase) of the first and the last record."""
    timestamps = chunk.columns[tables.schema[TIMESTAMP]].values
    phases = chunk.columns[tables.schema[PHASE]].values
    first, last = ((int(timestamps[i]), int(phases[i])) for i in (0, -1))
    return first, last
