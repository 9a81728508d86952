"""The size of the same records in other formats, each with its best settings.

JSON lines contain a configuration only where it changes. Parquet gets each field in its type in the
chronicle, enumerations and configurations as numbers, and vectors as one column per component.
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import cmeta

DICTIONARY, PLAIN = "DICTIONARY", "PLAIN"


def sizes(records: Sequence[cmeta.CycleRecord], columns: cmeta.Columns) -> dict[str, int]:
    """Return the size in bytes of each format.

    Parameters
    ----------
    records : sequence of CycleRecord
        As recorded.
    columns : Columns
        The same, as read from a chronicle with ``codes=True``.
    """
    lines = json_lines(records)
    table = arrow_table(columns)
    return {
        "JSON lines": len(lines),
        "JSON lines, gzip": len(gzip.compress(lines)),
        "Parquet, zstd": len_parquet(table, dict.fromkeys(table.column_names, DICTIONARY)),
        "Parquet, zstd, best encodings": len_parquet(table, best_encodings(table)),
    }


def json_lines(records: Sequence[cmeta.CycleRecord]) -> bytes:
    """Return records as JSON, one per line."""
    lines, config = [], None
    for record in records:
        plain = record.as_dict()
        if record.config == config:
            plain.pop("config", None)
        config = record.config
        lines.append(json.dumps(plain, separators=(",", ":")) + "\n")
    return "".join(lines).encode()


def arrow_table(columns: cmeta.Columns) -> pa.Table:
    """Return columns as an Arrow table; what is absent is null."""
    arrays: dict[str, pa.Array] = {}
    for name, values in columns.items():
        parts = {name: values}
        if values.ndim == 2:
            parts = {f"{name}.{i}": part for i, part in enumerate(values.T)}
        for part_name, part in parts.items():
            arrays[part_name] = pa.array(np.ascontiguousarray(part), mask=~columns.present[name])
    return pa.table(arrays)


def best_encodings(table: pa.Table) -> dict[str, str]:
    """Return, for each column, the encoding that makes it smallest."""
    best = {}
    for field in table.schema:
        special = "BYTE_STREAM_SPLIT" if pa.types.is_floating(field.type) else "DELTA_BINARY_PACKED"
        column = table.select([field.name])
        lengths = {
            encoding: len_parquet(column, {field.name: encoding})
            for encoding in (DICTIONARY, PLAIN, special)
        }
        best[field.name] = min(lengths, key=lambda encoding: lengths[encoding])
    return best


def len_parquet(table: pa.Table, encodings: dict[str, str]) -> int:
    """Return the size in bytes of a Parquet file with these encodings of its columns."""
    file = io.BytesIO()
    pq.write_table(
        table,
        file,
        compression="zstd",
        compression_level=9,
        use_dictionary=[n for n, encoding in encodings.items() if encoding == DICTIONARY],
        column_encoding={n: e for n, e in encodings.items() if e != DICTIONARY},
    )
    return file.tell()
