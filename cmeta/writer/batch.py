"""A BATCH body: the columns of a batch behind their directory."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cmeta.chunk import Array, Chunk
from cmeta.codecs import classes
from cmeta.codecs.bits import U8
from cmeta.codecs.state import Cells, Phases, State
from cmeta.errors import EncodeError
from cmeta.grammar import Grammar
from cmeta.schema import Field, Schema
from cmeta.schema.rules import PHASE, TIMESTAMP


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
