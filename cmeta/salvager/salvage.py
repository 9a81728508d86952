"""Salvaging: the batches of a file in order, decoded, and what is lost between them.

With an INDEX every block has its place. Without one they are numbered as they come, from the
SCHEMA on, until bytes are missing in which a CONFIG or a NAME may have stood; what is numbered
behind that is not certain any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cmeta.chunk import Chunk
from cmeta.errors import DecodeError
from cmeta.salvager.by_index import Index, Placing
from cmeta.salvager.decode import BatchReader, Salvaged
from cmeta.salvager.report import Lost
from cmeta.salvager.scan import Found, Gap, Scan
from cmeta.salvager.tables import Tables
from cmeta.schema.rules import PHASE, TIMESTAMP

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
