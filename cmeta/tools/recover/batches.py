"""The batches of a damaged file in order, decoded, and the losses between them.

With an INDEX every block has its place. Without one, CONFIG and NAME blocks are numbered by walking
from the SCHEMA on, until bytes are missing in which another one may have been: later numbers are
not certain. A number without a certain meaning is never guessed: the values that refer to it are
left out. A batch is decoded completely before any of it is used; a column that cannot be decoded
loses the batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np

from cmeta.errors import CorruptError, DecodeError, error_context
from cmeta.format.batch import Batch, BatchContext
from cmeta.format.block import Block, parse_config, parse_name
from cmeta.records.chunk import Chunk, Column
from cmeta.schema.schema import Schema
from cmeta.schema.types import Field
from cmeta.tools.recover.placement import Index, Placement
from cmeta.tools.recover.recovery_report import Lost
from cmeta.tools.recover.scan import Gap, IntactBlock, Scan

_ANY_NUMBER = 1 << 32  # of configurations: each is looked up afterwards


@dataclass(frozen=True)
class Salvaged:
    """A batch as a chunk.

    Attributes
    ----------
    chunk : Chunk
    unknown_names : tuple of int
        NAME numbers of the columns that were left out.
    num_unknown_configs : int
        Records whose configuration was left out.
    """

    chunk: Chunk
    unknown_names: tuple[int, ...] = ()
    num_unknown_configs: int = 0


class BatchDecoder:
    """Decodes batches with the configurations and names that are known so far.

    Attributes
    ----------
    scan : Scan
    schema : Schema
    names : list of str
        By NAME number; "" if it is not known.
    configs : dict of int to bytes
        Bodies, by CONFIG number.
    """

    def __init__(self, scan: Scan, schema: Schema) -> None:
        self.scan, self.schema = scan, schema
        self.names: list[str] = []
        self.configs: dict[int, bytes] = {}
        self._numbers: dict[str, int] = {}

    def define(self, place: IntactBlock, number: int) -> None:
        """Take a CONFIG or NAME block; one that breaks a rule defines nothing."""
        block = self.scan.read(place)
        try:
            if block.name == "CONFIG":
                parse_config(block, self.schema)
                self.configs[number] = block.body
                return
            name = parse_name(block, self.schema)
        except DecodeError:
            return
        if name not in self._numbers:
            self._make_room(number)
            self.names[number] = name
            self._numbers[name] = number

    def forget(self, kind: str, numbers: range) -> None:
        """Remove definitions of CONFIG or NAME that turned out to be doubtful."""
        for number in numbers:
            if kind == "CONFIG":
                self.configs.pop(number, None)
            elif number < len(self.names):
                self._numbers.pop(self.names[number], None)
                self.names[number] = ""

    def _make_room(self, number: int) -> None:
        """Extend `names` so that it covers a NAME number."""
        self.names += [""] * (number + 1 - len(self.names))

    def name_numbers(self, block: Block) -> list[int]:
        """Return the NAME numbers of a batch, ascending.

        Raises
        ------
        DecodeError
        """
        grammar = self.scan.grammar
        with error_context(block.body_offset, "BATCH"):
            body = grammar.bodies["BATCH"].parse(block.body, num_columns=self.schema.num_columns)
        numbers: list[int] = body["undeclared"]["name_number"].tolist()
        # The file has no room for more NAMEs: nothing is allocated for a number alone.
        if numbers and max(numbers) > self.scan.source.size // grammar.len_frame:
            message = f"found name {max(numbers)}, more than the file has room for"
            raise CorruptError(message, offset=block.offset, path="BATCH")
        return numbers

    def open(self, block: Block, row: tuple[int, int, int], ordinal: int) -> Batch:
        """Return a batch whose undeclared columns have the names that are known.

        Raises
        ------
        DecodeError
        """
        columns = ("records_count", "first_timestamp", "last_timestamp")
        names = cast("tuple[str, ...]", self.names)
        context = BatchContext(
            ordinal, dict(zip(columns, row, strict=True)), names, _ANY_NUMBER
        )  # fmt: skip
        return Batch(block, self.schema, self.scan.grammar, context)

    def config_numbers(self, batch: Batch) -> list[int]:
        """Return the CONFIG numbers that a batch uses, ascending.

        Raises
        ------
        DecodeError
        """
        field = self.schema.config_field
        column = batch.column(field, 0) if field else None
        used: list[int] = [] if column is None else np.unique(column.recorded()).tolist()
        return used

    def salvage(self, batch: Batch, name_numbers: list[int]) -> Salvaged:
        """Return the part of a batch that is certain.

        Raises
        ------
        DecodeError
            A column cannot be decoded.
        """
        _ = batch.timestamps  # checks their order
        columns: dict[Field, Column] = {}
        configs: tuple[bytes, ...] = ()
        num_unknown = 0
        for field in batch.fields:
            column = batch.column(field, 0)
            if column is None:
                continue
            if field.type == "config":
                column, configs, num_unknown = self._look_up(column)
            if column.present is None or column.present.any():
                columns[field] = column
        unknown = tuple(number for number in name_numbers if not self.names[number])
        return Salvaged(Chunk(batch.num_records, columns, configs), unknown, num_unknown)

    def _look_up(self, column: Column) -> tuple[Column, tuple[bytes, ...], int]:
        """Turn CONFIG numbers into indices of a list; unknown ones become absent."""
        values, present = column.values, column.mask()
        used = np.unique(values[present]).tolist()
        good = np.array([number for number in used if number in self.configs], values.dtype)
        keep = present & np.isin(values, good)
        indices = np.zeros(len(values), np.uint32)
        indices[keep] = np.searchsorted(good, values[keep])
        num_unknown = int(np.count_nonzero(present) - np.count_nonzero(keep))
        bodies = tuple(self.configs[number] for number in good.tolist())
        return Column(indices, None if keep.all() else keep), bodies, num_unknown

    def decode(
        self, place: IntactBlock, ordinal: int, numbering: _Numbering | None = None
    ) -> Salvaged | Lost:
        """Decode a batch, once its numbers were compared with those of `numbering`."""
        try:
            block = self.scan.read(place)
            names = self.name_numbers(block)
            if numbering:
                numbering.confirm("NAME", names)
            self._make_room(max(names, default=-1))
            batch = self.open(block, place.row, ordinal)
            if numbering:
                numbering.confirm("CONFIG", self.config_numbers(batch))
            return self.salvage(batch, names)
        except DecodeError as err:
            if numbering:
                numbering.end_certainty()
            count, first, last = place.row
            return Lost(place.offset, place.length, count, first, last, True, str(err))


def by_index(
    index: Index, placement: Placement, decoder: BatchDecoder
) -> Iterator[Salvaged | Lost]:
    """Yield the batches of the INDEX, one by one."""
    for block, number in placement.numbered:
        decoder.define(block, number)
    ends = np.append(index.table["offset"][1:], np.uint64(index.end))
    for ordinal, (place, row) in enumerate(placement.batches):
        _, _, _, count, offset, first, last = index.table[row].tolist()
        if place is None:
            length = int(ends[row]) - offset
            yield Lost(offset, length, count, first, last, True, f"BATCH[{ordinal}] is damaged")
        else:
            yield decoder.decode(place, ordinal)


def by_walking(scan: Scan, decoder: BatchDecoder, *, in_order: bool) -> Iterator[Salvaged | Lost]:
    """Yield the batches of a file without an INDEX, and the gaps between them.

    Parameters
    ----------
    in_order : bool
        False: blocks have evidently been exchanged, so that no number is certain.
    """
    numbering = _Numbering(decoder, in_order)
    ordinal = 0
    for piece in scan.pieces:
        if isinstance(piece, Gap):
            if _is_damaged_schema(piece, scan, decoder.schema):
                continue
            is_batch = _is_damaged_batch(piece, scan, decoder.schema)
            ordinal += is_batch
            yield numbering.skip(piece, is_batch=is_batch)
        elif piece.name in numbering.counts:
            numbering.define(piece)
        elif piece.name == "BATCH":
            yield decoder.decode(piece, ordinal, numbering)
            ordinal += 1


@dataclass
class _Count:
    """Blocks of a kind: in all, since the last batch, and not yet confirmed by a batch."""

    total: int = 0
    since_batch: int = 0
    unconfirmed: int = 0
    is_certain: bool = True


class _Numbering:
    """Numbers CONFIG and NAME blocks in the order of the file, as long as that is certain."""

    def __init__(self, decoder: BatchDecoder, in_order: bool) -> None:
        self._decoder = decoder
        self.counts = {name: _Count(is_certain=in_order) for name in ("CONFIG", "NAME")}

    def define(self, block: IntactBlock) -> None:
        """Number a CONFIG or NAME."""
        count = self.counts[block.name]
        if count.is_certain:
            self._decoder.define(block, count.total)
            count.total += 1
            count.since_batch += 1
            count.unconfirmed += 1

    def skip(self, gap: Gap, *, is_batch: bool) -> Lost:
        """Take note of a gap."""
        reason = gap.problem.message
        if is_batch:
            for count in self.counts.values():
                count.since_batch = 0
            reason = f"a damaged BATCH: {reason}"
        else:
            self.end_certainty()
        return Lost(gap.offset, gap.end - gap.offset, None, None, None, False, reason)

    def confirm(self, name: str, numbers: list[int]) -> None:
        """Mark the numbers so far as uncertain if the next batch uses them as no writer would.

        A CONFIG or NAME directly precedes the first batch that needs it, so the highest number
        that this batch uses is that of the last one.
        """
        count = self.counts[name]
        if not count.is_certain:
            return
        highest = max(numbers, default=-1)
        fits = highest == count.total - 1 if count.since_batch else highest < count.total
        if not fits:
            self._decoder.forget(name, range(count.total - count.unconfirmed, count.total))
            count.is_certain = False
        elif highest == count.total - 1:
            count.unconfirmed = 0
        count.since_batch = 0

    def end_certainty(self) -> None:
        """Stop numbering: a CONFIG or NAME may be missing."""
        for count in self.counts.values():
            count.is_certain = False


def _is_damaged_schema(gap: Gap, scan: Scan, schema: Schema) -> bool:
    """Return whether a gap is the place of the SCHEMA and nothing else."""
    length = len(schema.embedded) + scan.grammar.len_frame
    return gap.offset == scan.grammar.header.size and gap.end == gap.offset + length


def _is_damaged_batch(gap: Gap, scan: Scan, schema: Schema) -> bool:
    """Return whether a gap is one BATCH and nothing else, judging by its head and directory."""
    grammar, source = scan.grammar, scan.source
    len_body, len_head = gap.end - gap.offset - grammar.len_frame, grammar.frame_head.size
    if len_body < 0:
        return False
    try:
        head = grammar.frame_head.parse(source.read(gap.offset, len_head))
        if head["kind"] != grammar.kinds["BATCH"] or head["len_body"] != len_body:
            return False
        body = source.read(gap.offset + len_head, len_body)
        fields = grammar.bodies["BATCH"].parse(body, num_columns=schema.num_columns)
    except DecodeError:
        return False
    total = int(fields["len_columns"].sum(dtype=np.uint64))
    total += int(fields["undeclared"]["len_column"].sum(dtype=np.uint64))
    return total == len(fields["columns"])
