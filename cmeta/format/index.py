"""The table of a file's blocks: checked, and found by the INDEX or by walking from block to block.

The table is checked by itself, without reading the blocks that it lists, so the time to open a
file does not depend on its size. A block is compared with its row when it is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from cmeta.errors import (
    CorruptError,
    DecodeError,
    TruncatedError,
    UnsupportedVersionError,
    error_context,
)
from cmeta.format.block import Block, Header, read_block, read_header, walk
from cmeta.format.grammar import Grammar
from cmeta.schema.schema import Schema
from cmeta.source import Source

Table = npt.NDArray[Any]
State = Literal["closed", "open", "damaged"]


@dataclass(frozen=True)
class FileMap:
    """The header, the schema and the table of blocks of a file.

    Attributes
    ----------
    state : str
        "closed"; "open": still being written, or its writer died; "damaged".
    header : Header
    schema : Schema
    table : structured array, (n_blocks,)
        Rows as in the INDEX: of a closed file all blocks before the INDEX, otherwise those of the
        intact beginning.
    end : int
        Offset at which the last of these blocks ends.
    running_crc : int
        As stored in the INDEX; 0 without an INDEX.
    status : int
        How the run ended, as stored in the INDEX; 0: not stated.
    problem : DecodeError or None
        Why the file is damaged, or why the intact beginning of an open file ends.
    """

    state: State
    header: Header
    schema: Schema
    table: Table
    end: int
    running_crc: int = 0
    status: int = 0
    problem: DecodeError | None = None

    @cached_property
    def ends(self) -> npt.NDArray[np.int64]:
        """The offset at which each block of the table ends."""
        return np.append(self.table["offset"][1:], np.uint64(self.end)).astype(np.int64)

    @property
    def end_of_full(self) -> int:
        """The offset at which the last full batch ends, or SCHEMA if none is full."""
        full = np.flatnonzero(self.table["records_count"] == self.schema.batch_records)
        return int(self.ends[full[-1] if len(full) else 0])

    def num_before(self, kind: int, row: int) -> int:
        """Return the number of blocks of a kind before a row of the table."""
        return int(np.count_nonzero(self.table["kind"][:row] == kind))

    def number_of(self, row: int) -> int:
        """Return the number of a block of the table among those of its kind."""
        return self.num_before(self.table["kind"][row], row)


def map_file(source: Source, grammar: Grammar) -> FileMap:
    """Return the map of a file, reading its header, trailer, INDEX and SCHEMA only.

    A file that is not closed is walked block by block, as far as it is intact.

    Raises
    ------
    DecodeError
        Header or SCHEMA cannot be read, and without them nothing else.
    """
    header, schema = read_beginning(source, grammar)
    if header.is_open:
        return _map_by_walking(source, grammar, header, schema, "open", None)
    try:
        return map_closed(source, grammar, header, schema)
    except DecodeError as problem:
        return _map_by_walking(source, grammar, header, schema, "damaged", problem)


def read_beginning(source: Source, grammar: Grammar) -> tuple[Header, Schema]:
    """Return header and schema.

    Raises
    ------
    DecodeError
        One of them cannot be read, and without it nothing else.
    """
    header, start = read_header(source, grammar), grammar.header.size
    block = read_block(source, grammar, start, source.size, newer=header.is_newer)
    if block.name != "SCHEMA":
        message = f"found a {block.name or 'block of another kind'}, expected the SCHEMA"
        raise CorruptError(message, offset=start, path="SCHEMA")
    with error_context(block.body_offset, "SCHEMA"):
        schema = Schema.from_embedded(block.body, grammar.format, newer=header.is_newer)
    return header, schema


# ---------------------------------------------------------------------------------- by the INDEX


def map_closed(source: Source, grammar: Grammar, header: Header, schema: Schema) -> FileMap:
    """Return the map of a closed file, from its INDEX.

    Raises
    ------
    DecodeError
        It is not closed.
    """
    end = source.size - grammar.trailer.size
    tail_size = grammar.index_tail.size + grammar.frame_tail.size
    tail_at = end - tail_size
    if tail_at < grammar.header.size + grammar.len_frame:
        message = "the file is too short for an INDEX and a trailer"
        raise TruncatedError(message, offset=source.size, path="INDEX")
    tail = grammar.index_tail.parse(source.read(tail_at, grammar.index_tail.size))
    offset = tail["index_offset"]
    if not grammar.header.size <= offset < end:
        raise CorruptError(
            f"found the INDEX at {offset}, outside the payload; the end of the file is missing or "
            "damaged",
            offset=tail_at + grammar.index_tail.upto("index_offset").size,
            path="INDEX.index_offset",
        )
    block = read_block(source, grammar, offset, end, newer=header.is_newer)
    if block.name != "INDEX" or block.end != end:
        raise CorruptError(
            f"found a {block.name or 'block'} up to {block.end}, expected an INDEX up to {end}",
            offset=offset,
            path="INDEX",
        )
    fields = parse_index(block, header, grammar)
    _check_kinds(fields["entries"], header, grammar)
    for error in check_table(fields["entries"], offset, header, schema, grammar):
        raise error
    crc, status = fields["running_crc"], fields["status"]
    return FileMap("closed", header, schema, fields["entries"], offset, crc, status)


def _check_kinds(table: Table, header: Header, grammar: Grammar) -> None:
    """Refuse blocks of an unknown kind that may not be skipped, before any block is read."""
    unknown = ~np.isin(table["kind"], list(grammar.names))
    critical = unknown & (table["flags"] & grammar.format.blocks.critical_flag != 0)
    refused = critical if header.is_newer else unknown
    if refused.any():
        row = int(np.argmax(refused))
        kind = UnsupportedVersionError if header.is_newer else CorruptError
        raise kind(
            f"found kind {table['kind'][row]}, which this version does not have",
            offset=int(table["offset"][row]),
            path=f"INDEX.entries[{row}].kind",
        )


def parse_index(block: Block, header: Header, grammar: Grammar) -> dict[str, Any]:
    """Return the fields of an INDEX that agrees with the header and with its own offset.

    Raises
    ------
    DecodeError
    """
    with error_context(block.body_offset, "INDEX"):
        fields = grammar.bodies["INDEX"].parse(block.body)
    expected = {
        "version": (header.version, "the header says"),
        "records_count": (header.records_count, "the header says"),
        "index_offset": (block.offset, "it is at"),
    }
    for name, (value, witness) in expected.items():
        if fields[name] != value:
            raise CorruptError(
                f"found {fields[name]}, but {witness} {value}",
                offset=block.body_offset,
                path=f"INDEX.{name}",
            )
    known = grammar.format.format.statuses
    if fields["status"] > len(known) and not header.is_newer:
        raise CorruptError(
            f"found {fields['status']}, expected 0 to {len(known)}",
            offset=block.body_offset + grammar.bodies["INDEX"].upto("status").size,
            path="INDEX.status",
        )
    return fields


def check_table(
    table: Table, end: int, header: Header | None, schema: Schema, grammar: Grammar
) -> Iterator[CorruptError]:
    """Yield every error of a table of blocks.

    Parameters
    ----------
    table : structured array, (n_blocks,)
    end : int
        Offset at which the last block ends.
    header : Header or None
        Its `records_count` must be the sum of the batches; None for a file that is not closed.
    """

    def error(row: int, name: str, message: str) -> CorruptError:
        at = int(table["offset"][row]) if header is None else end
        return CorruptError(message, offset=at, path=f"INDEX.entries[{row}].{name}")

    if len(table) == 0:
        message = "found no entry, expected at least that of SCHEMA"
        yield CorruptError(message, offset=end, path="INDEX.entries")
        return
    yield from _check_offsets(table, end, grammar, error)
    kinds = table["kind"]
    schemas = np.flatnonzero(kinds == grammar.kinds["SCHEMA"])
    if schemas.tolist() != [0]:
        row = int(schemas[1]) if len(schemas) > 1 else 0
        yield error(row, "kind", "SCHEMA must be the first block, and only the first")
    for row in np.flatnonzero(kinds == grammar.kinds["INDEX"]).tolist():
        yield error(row, "kind", "found an INDEX among the entries")
    is_batch = kinds == grammar.kinds["BATCH"]
    for name in ("records_count", "first_timestamp", "last_timestamp"):
        for row in np.flatnonzero(~is_batch & (table[name] != 0)).tolist():
            yield error(row, name, f"found {table[name][row]}, expected 0: it is not a BATCH")
    for row in np.flatnonzero(table["reserved"] != 0).tolist():
        yield error(row, "reserved", f"found {table['reserved'][row]}, expected 0")
    yield from _check_batches(table, np.flatnonzero(is_batch), schema, error)
    total = int(table["records_count"][is_batch].sum(dtype=np.uint64))
    if header is not None and total != header.records_count:
        yield error(
            len(table) - 1, "records_count",
            f"the batches hold {total} records, the header says {header.records_count}",
        )  # fmt: skip


def _check_offsets(table: Table, end: int, grammar: Grammar, error: Any) -> Iterator[CorruptError]:
    offsets = table["offset"]
    if offsets[0] != grammar.header.size:
        yield error(0, "offset", f"found {offsets[0]}, expected {grammar.header.size}")
    ends = np.append(offsets[1:], np.uint64(end))
    short = (ends < offsets) | (ends - offsets < np.uint64(grammar.len_frame))
    for row in np.flatnonzero(short):
        message = f"found {offsets[row]}, too close to the next block at {ends[row]}"
        yield error(int(row), "offset", message)


def _check_batches(
    table: Table, batches: npt.NDArray[np.intp], schema: Schema, error: Any
) -> Iterator[CorruptError]:
    counts = table["records_count"][batches]
    first, last = table["first_timestamp"][batches], table["last_timestamp"][batches]
    full = schema.batch_records
    for i in np.flatnonzero((counts[:-1] != full) if len(counts) else []):
        message = f"found {counts[i]} records, expected {full}: only the last batch may be shorter"
        yield error(int(batches[i]), "records_count", message)
    if len(counts) and not 1 <= counts[-1] <= full:
        message = f"found {counts[-1]} records, expected 1 to {full}"
        yield error(int(batches[-1]), "records_count", message)
    for i in np.flatnonzero(last < first):
        message = f"found {last[i]}, before the first timestamp {first[i]}"
        yield error(int(batches[i]), "last_timestamp", message)
    for i in np.flatnonzero(first[1:] < last[:-1]):
        message = f"found {first[i + 1]}, before the end of the previous batch at {last[i]}"
        yield error(int(batches[i + 1]), "first_timestamp", message)


# ------------------------------------------------------------------------------------ by walking


def _map_by_walking(
    source: Source,
    grammar: Grammar,
    header: Header,
    schema: Schema,
    state: State,
    problem: DecodeError | None,
) -> FileMap:
    """Map the intact beginning of a file that is not closed."""
    rows: list[tuple[int, ...]] = []
    end = grammar.header.size
    try:
        for block in walk(source, grammar, end, newer=header.is_newer):
            if block.name == "INDEX":
                _check_trailer(source, grammar, block)
                break
            rows.append(
                _row(block.kind, block.flags, block.offset, block.body, block.body_offset, grammar)
            )
            end = block.end
        else:
            if state == "damaged":
                message = f"the file ends at {source.size}, before its INDEX"
                raise TruncatedError(message, offset=source.size, path="INDEX")
    except DecodeError as err:
        problem = err  # more precise than the problem of the INDEX
    table = np.array(rows, grammar.index_entry.dtype)
    bad = [_row_in_path(e) for e in check_table(table, end, None, schema, grammar)]
    if bad:
        first = min(bad)
        problem = problem or next(iter(check_table(table, end, None, schema, grammar)))
        end = int(table["offset"][first])
        table = table[:first]
    return FileMap(state, header, schema, table, end, problem=problem)


def _check_trailer(source: Source, grammar: Grammar, index: Block) -> None:
    """Require that the trailer, and nothing else, follows the INDEX."""
    left = source.size - index.end
    if left < grammar.trailer.size:
        message = f"{left} bytes left, expected {grammar.trailer.size}"
        raise TruncatedError(message, offset=index.end, path="trailer")
    if left > grammar.trailer.size:
        message = f"{left - grammar.trailer.size} bytes after the trailer"
        raise CorruptError(message, offset=index.end + grammar.trailer.size, path="trailer")


def _row(
    kind: int, flags: int, offset: int, body: bytes, body_offset: int, grammar: Grammar
) -> tuple[int, ...]:
    """Return the row that the INDEX would have for a block, given the beginning of its body."""
    count = first = last = 0
    if kind == grammar.kinds["BATCH"]:
        with error_context(body_offset, "BATCH"):
            head = grammar.batch_head.parse(body[: grammar.batch_head.size])
        count, first, last = head.values()
    return (kind, flags, 0, count, offset, first, last)


def _row_in_path(error: CorruptError) -> int:
    return int(error.path.partition("[")[2].partition("]")[0] or 0)


def map_heads(
    source: Source, grammar: Grammar, header: Header, schema: Schema, length: int
) -> FileMap:
    """Return the map of the first `length` bytes of a file: whole blocks, and full batches only.

    Raises
    ------
    DecodeError
        There are fewer bytes, no block ends at `length`, or the blocks break a rule.
    """
    if source.size < length:
        message = f"the file ends at {source.size}, expected at least {length} bytes"
        raise TruncatedError(message, offset=source.size)
    rows = []
    offset = grammar.header.size
    while offset < length:
        row, offset = _read_head(source, grammar, offset, length)
        rows.append(row)
    table = np.array(rows, grammar.index_entry.dtype)
    for error in check_table(table, length, None, schema, grammar):
        raise error
    is_batch = table["kind"] == grammar.kinds["BATCH"]
    if (table["records_count"][is_batch] != schema.batch_records).any():
        raise CorruptError("found a short batch in a file that is still open", offset=length)
    return FileMap("open", header, schema, table, length)


def _read_head(
    source: Source, grammar: Grammar, offset: int, length: int
) -> tuple[tuple[int, ...], int]:
    """Return the row of the block at `offset`, and the offset at which the block ends."""
    head_size = grammar.frame_head.size
    with error_context(offset, "block"):
        head = grammar.frame_head.parse(source.read(offset, min(head_size, length - offset)))
    end = offset + grammar.len_frame + head["len_body"]
    if end > length:
        message = f"found a block up to {end}, expected its end at {length} at the latest"
        raise CorruptError(message, offset=offset, path="block.len_body")
    body_offset = offset + head_size
    is_batch = head["kind"] == grammar.kinds["BATCH"]
    len_read = min(grammar.batch_head.size, head["len_body"]) if is_batch else 0
    body = source.read(body_offset, len_read) if len_read else b""
    return _row(head["kind"], head["flags"], offset, body, body_offset, grammar), end


def last_masked_crc(source: Source, grammar: Grammar, end: int) -> int:
    """Return the stored CRC of the block that ends at `end`."""
    size = grammar.frame_tail.size
    stored: int = grammar.frame_tail.parse(source.read(end - size, size))["masked_crc"]
    return stored
