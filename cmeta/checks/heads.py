"""Walking the heads of blocks, up to a length that somebody vouches for.

The journal of an open file states how much of the main file to trust; a resumed run must not read
all of it, so only heads are read here. Whoever reads a block checks its CRC.
"""

from __future__ import annotations

import numpy as np

from cmeta.checks.blocks import Header
from cmeta.checks.structure import FileMap, check_table
from cmeta.errors import CorruptError, TruncatedError, shifted
from cmeta.grammar import Grammar
from cmeta.schema import Schema
from cmeta.source import Source


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
        raise CorruptError("a short batch in a file that is still open", offset=length)
    return FileMap("open", header, schema, table, length)


def _read_head(
    source: Source, grammar: Grammar, offset: int, length: int
) -> tuple[tuple[int, ...], int]:
    """Return the row of the block at `offset`, and where it ends."""
    head_size = grammar.frame_head.size
    with shifted(offset, "block"):
        head = grammar.frame_head.parse(source.read(offset, min(head_size, length - offset)))
    end = offset + grammar.len_frame + head["len_body"]
    if end > length:
        message = f"a block up to {end}, beyond {length}"
        raise CorruptError(message, offset=offset, path="block.len_body")
    count = first = last = 0
    if head["kind"] == grammar.kinds["BATCH"]:
        with shifted(offset + head_size, "BATCH"):
            available = min(grammar.batch_head.size, head["len_body"])
            fields = grammar.batch_head.parse(source.read(offset + head_size, available))
        count, first, last = fields.values()
    return (head["kind"], head["flags"], 0, count, offset, first, last), end


def last_masked_crc(source: Source, grammar: Grammar, end: int) -> int:
    """Return the stored CRC of the block that ends at `end`."""
    size = grammar.frame_tail.size
    stored: int = grammar.frame_tail.parse(source.read(end - size, size))["masked_crc"]
    return stored
