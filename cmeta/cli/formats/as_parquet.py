"""Parquet: the types of `Reader.arrow_batches`, with schema and configurations in the metadata.

Vectors are lists of variable size: pyarrow writes those of fixed size, but cannot read them
again if one is null.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from cmeta.extras import require

_ROWS_PER_GROUP = 1 << 16  # of a row group: small ones are slow to read


def write_parquet(schema: Any, batches: Iterable[Any], file: BinaryIO) -> None:
    """Write batches of Arrow as row groups, one of them in memory at a time.

    Parameters
    ----------
    schema : pyarrow.Schema
    batches : iterable of pyarrow.RecordBatch
    file : binary file
    """
    arrow, parquet = require("pyarrow", "arrow"), require("pyarrow.parquet", "arrow")
    readable = arrow.schema(map(_readable, schema), schema.metadata)
    with parquet.ParquetWriter(file, readable, compression="zstd") as writer:
        for group in _groups(batches):
            writer.write_table(arrow.Table.from_batches(group, schema).cast(readable))


def _readable(field: Any) -> Any:
    arrow = require("pyarrow", "arrow")
    if not require("pyarrow.types", "arrow").is_fixed_size_list(field.type):
        return field
    return field.with_type(arrow.list_(field.type.value_field))


def _groups(batches: Iterable[Any]) -> Iterator[list[Any]]:
    group: list[Any] = []
    for batch in batches:
        group.append(batch)
        if sum(part.num_rows for part in group) >= _ROWS_PER_GROUP:
            yield group
            group = []
    if group:
        yield group
