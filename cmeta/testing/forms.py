"""A run in its forms: columns as a user gives them, records, plain Python values, and bytes."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cmeta.errors import PrecisionWarning
from cmeta.format.encoder import Encoder
from cmeta.records.columns import Columns
from cmeta.records.convert import Converter
from cmeta.records.record import NAMED_FIELDS, CycleRecord
from cmeta.schema.schema import Schema


def plain_values(column: Any) -> list[Any]:
    """Return a column in any form as Python values: None where absent, a vector as a tuple.

    Examples
    --------
    >>> plain_values(np.ma.array([[1, 2], [3, 4]], mask=[[0, 0], [1, 1]]))
    [(1, 2), None]
    """
    if isinstance(column, np.ma.MaskedArray):
        mask: Any = np.ma.getmaskarray(column)
        absent: Any = mask.all(axis=1) if mask.ndim == 2 else mask
        values = np.asarray(column.data).tolist()
        column = [None if a else value for a, value in zip(absent.tolist(), values, strict=True)]
    elif isinstance(column, np.ndarray):
        column = column.tolist()
    return [tuple(value) if isinstance(value, list) else value for value in column]


def to_records(columns: Mapping[str, Any], schema: Schema) -> list[CycleRecord]:
    """Return columns as records, with plain Python values.

    Examples
    --------
    >>> import cmeta
    >>> columns = {"phase": ["train"], "metrics.lr": np.ma.array([0.5], mask=[False])}
    >>> to_records(columns, cmeta.default_schema())[0].metrics.lr
    0.5
    """
    rows = zip(*map(plain_values, columns.values()), strict=True)
    return [_record(dict(zip(columns, row, strict=True)), schema) for row in rows]


def to_bytes(
    run: Mapping[str, Any] | Sequence[Mapping[str, Any] | Sequence[CycleRecord]],
    schema: Schema,
    config: Any = None,
    present: Mapping[str, Any] | None = None,
) -> bytes:
    """Return the bytes that `cmeta.write` writes to disk.

    Parameters
    ----------
    run : mapping of columns, or sequence of such mappings and of lists of records
        A sequence is encoded chunk by chunk.
    schema, config, present
        As `cmeta.write` takes them.

    Examples
    --------
    >>> import cmeta
    >>> len(cmeta.open(to_bytes({"phase": ["dream", "train"]}, cmeta.default_schema())))
    2
    """
    if isinstance(run, Columns):
        config = config or run.configs or None
    encoder = Encoder(schema)
    converter = Converter(schema, config)
    payload = encoder.begin()[len(encoder.header()) :]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PrecisionWarning)
        for part in [run] if isinstance(run, Mapping) else run:
            start = encoder.next_timestamp
            chunk = (
                converter.convert(part, present, start)
                if isinstance(part, Mapping)
                else converter.convert_records(part, start)
            )
            payload += encoder.feed(chunk)
    payload += encoder.finish()
    return encoder.header(encoder.num_records) + payload


def _record(row: Mapping[str, Any], schema: Schema) -> CycleRecord:
    """Return the record with these values, given by dotted name."""
    nested: dict[str, Any] = {}
    for path, value in row.items():
        group, _, name = path.partition(".")
        if value is None:
            continue
        if name:
            nested.setdefault(group, {})[name] = value
        else:
            nested[path] = value
    named = set(NAMED_FIELDS) - {"metrics"} | ({"metrics"} & set(schema.groups))
    extra = {name: value for name, value in nested.items() if name not in named}
    known = {name: value for name, value in nested.items() if name in named}
    return CycleRecord(**known, extra=extra)
