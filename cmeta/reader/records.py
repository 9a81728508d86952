"""Records of a batch as `CycleRecord` objects, with plain Python values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cmeta.aliases import Array, Mask, Rows
from cmeta.reader.selection import num_rows
from cmeta.records.chunk import Column
from cmeta.records.record import CycleRecord, Nester
from cmeta.schema.types import Field
from cmeta.storage.open import AnyBatch

_ROWS_AT_ONCE = 1024


def records_of(
    batch: AnyBatch, rows: Rows, configs: Sequence[Mapping[str, Any]]
) -> Iterator[CycleRecord]:
    """Yield the selected records of a batch; objects are made for some of them at a time."""
    fields = batch.fields
    nester = Nester(fields)
    columns = [_select(batch.column(field, 0), rows) for field in fields]
    for begin in range(0, num_rows(rows), _ROWS_AT_ONCE):
        window = slice(begin, begin + _ROWS_AT_ONCE)
        lists = [
            _values(field, *column.rows(window), configs)
            for field, column in zip(fields, columns, strict=True)
        ]
        yield from map(nester.record, zip(*lists, strict=True))


def _select(column: Column | None, rows: Rows) -> Column:
    if column is None:
        raise AssertionError("a field of the batch has a column")
    return column.rows(rows)


def _values(
    field: Field, array: Array, present: Mask | None, configs: Sequence[Mapping[str, Any]]
) -> list[Any]:
    """Return a field's values as Python objects, None where absent."""
    values: list[Any] = array.tolist()
    if field.labels:
        values = [field.labels[code] for code in values]
    elif field.type == "config":
        values = [configs[number] if number < len(configs) else None for number in values]
    elif field.num_components:
        values = [tuple(vector) for vector in values]
    if present is None:
        return values
    return [v if there else None for v, there in zip(values, present.tolist(), strict=True)]
