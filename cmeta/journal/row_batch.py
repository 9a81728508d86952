"""Rows of a journal, as a reader sees a batch: with exactly the values that the file will return.

A row holds a float as it was recorded; a batch will hold its quantum. So every value goes through
the quantiser of its field here, and a record reads the same before and after its batch is sealed.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np

from cmeta.chunk import Array, Chunk, Column, Mask
from cmeta.codecs import fixed_point
from cmeta.codecs.state import Phases
from cmeta.schema import Field, Schema, shipped_format
from cmeta.schema.rules import PHASE, TIMESTAMP


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

    def column(self, field: Field, fill: Any) -> tuple[Array, Mask | None] | None:
        """Return a field's values, ``(n_records,)`` or ``(n_records, k)``, and its mask."""
        column = self._chunk.column_of(field)
        if column is None:
            return None
        self.num_columns_decoded += field.num_columns
        values, present, _ = stored(column, field)
        if present is not None:
            mask = present[:, None] if field.num_components else present
            values = np.where(mask, values, np.asarray(fill, values.dtype))
        return values, present

    def components(self, field: Field, fill: Any) -> Iterator[tuple[Array, Mask | None]]:
        """Yield the columns of a field: one, or one for each component, with its mask."""
        found = self.column(field, fill)
        if found is not None:
            values, present = found
            for part in values.T if field.num_components else (values,):
                yield np.ascontiguousarray(part), present

    def _required(self, name: str) -> Array:
        column = self._chunk.column_of(self._schema[name])
        if column is None:
            raise AssertionError("every record has one")
        return column.values


def stored(column: Column, field: Field) -> Column:
    """Return a column with the values that a batch gives back."""
    values, present, _ = column
    if not field.is_float:
        return Column(values, present)
    finite = np.isfinite(values)
    kept = values.copy()
    kept[np.isnan(values)] = np.nan  # NaN has no payload
    if field.quanta_per_unit:
        bits = shipped_format().codecs.quantise.product_bits
        quanta = fixed_point.encode(values[finite], field.quanta_per_unit, bits)
        kept[finite] = fixed_point.decode(quanta, values.dtype, field.quanta_per_unit, bits)
    return Column(kept, present)
