"""Records of a batch as `CycleRecord` objects, with plain Python values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cmeta.checks.batch import Batch
from cmeta.model import CycleRecord, Nester
from cmeta.reader.selection import Rows
from cmeta.schema import Field


def records_of(
    batch: Batch, rows: Rows, configs: Sequence[Mapping[str, Any]]
) -> Iterator[CycleRecord]:
    """Yield the selected records of a batch."""
    fields = batch.fields
    nester = Nester(fields)
    columns = [_values(batch, rows, field, configs) for field in fields]
    yield from map(nester.record, zip(*columns, strict=True))


def _values(
    batch: Batch, rows: Rows, field: Field, configs: Sequence[Mapping[str, Any]]
) -> list[Any]:
    """Return a field's values as Python objects, None where absent."""
    column = batch.column(field, 0)
    if column is None:
        raise AssertionError("a field of the batch has a column")
    array, present = column
    values: list[Any] = array[rows].tolist()
    if field.labels:
        values = [field.labels[code] for code in values]
    elif field.type == "config":
        values = [configs[number] if number < len(configs) else None for number in values]
    elif field.num_components:
        values = [tuple(vector) for vector in values]
    if present is None:
        return values
    return [v if there else None for v, there in zip(values, present[rows].tolist(), strict=True)]
