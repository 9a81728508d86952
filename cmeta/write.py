"""`write`: a closed file, complete or absent, chunk by chunk in flat memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, cast

from cmeta.aliases import PathLike
from cmeta.errors import EncodeError
from cmeta.format.encoder import Encoder
from cmeta.reader.reader import Reader
from cmeta.records.chunk import Chunk
from cmeta.records.columns import Columns
from cmeta.records.convert import Converter
from cmeta.records.record import CycleRecord
from cmeta.schema.schema import Schema, default_schema
from cmeta.storage.atomic import atomic_file
from cmeta.storage.lock import held_lock
from cmeta.storage.new_path import given_path

_RECORDS_AT_ONCE = 4096


def write(
    path: PathLike,
    columns: Mapping[str, Any] | Iterable[Mapping[str, Any]] | Iterable[CycleRecord],
    schema: Schema | None = None,
    config: Mapping[str, Any] | Iterable[Mapping[str, Any]] | None = None,
    *,
    present: Mapping[str, Any] | None = None,
    status: Literal["finished", "failed", "interrupted", "pruned"] | None = None,
) -> int:
    """Write a closed chronicle.

    The file appears under its name when it is complete and on disk; an error leaves an existing
    one as it was. The bytes depend on schema, records and configurations alone, not on the chunks.

    Parameters
    ----------
    path : path
        An existing file is replaced.
    columns : mapping, table, or an iterable of such chunks or of records
        Arrays by dotted name, such as ``metrics.accuracy``; ``loss`` is loss_value, and a metric
        needs no group, as in ``log``. A single phase is that of all records, as are other single
        values beside it. A table is one of pyarrow, pandas or polars. A record is a `CycleRecord`,
        or a mapping of single values by the same names: ``{"phase": "val", "acc": 0.9}``;
        ``metrics={}``, ``config`` and ``step`` are as in ``log``. Vectors as ``(n, k)``.
        Absent values: masked arrays, None in a list, nulls, or `present`; NaN is a value.
        Enumerations as names or codes; the phase ``val`` is validate. Without ``timestamp`` the
        next ones are assigned, from 0. A `Reader`, or the result of its `read`, is written as it
        was read.
    schema : Schema, optional
        Default: that of `columns`, if they were read, else `default_schema()`.
    config : mapping, or list of mappings, optional
        The configuration of every record that has none of its own; or the list that numbers in a
        column ``config`` refer to. A column ``config`` may also hold the mappings themselves.
    present : mapping of str to bool array, (n_records,), optional
        Which records have a field; only with a single mapping of columns.
    status : str, optional
        How the run ended; default: as `columns` state it, if they were read.

    Returns
    -------
    int
        Number of records.

    Raises
    ------
    EncodeError
        A value does not fit; names the field, what was found and what was expected.
    OrderError
        A record goes back in (timestamp, phase).
    LockedError
        The file is being recorded.
    OSError
        The file cannot be written; or `path` is a folder.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> path = tempfile.mktemp(suffix=".cmeta")
    >>> write(path, {"phase": ["train"] * 3, "loss": np.array([0.5, 0.25, 0.125])})
    3
    """
    if _is_table(columns):
        columns = Columns.from_arrow(columns, schema or _schema_of(columns))
    if isinstance(columns, Columns):
        config = (columns.configs or None) if config is None else config
    if isinstance(columns, Columns | Reader):
        schema = schema or columns.schema
        status = cast("Any", columns.status) if status is None else status
    encoder = Encoder(schema or default_schema())
    code = encoder.schema.format.status_code(status)
    converter = Converter(encoder.schema, config)
    chunks = _chunks(columns, present, converter, encoder)
    target = Path(given_path(path))
    with held_lock(target), atomic_file(target) as file:
        file.write(encoder.begin())
        for chunk in chunks:
            file.write(encoder.feed(chunk))
        converter.precision.settle()
        converter.precision.warn()
        file.write(encoder.finish(code))
        file.seek(0)
        file.write(encoder.header(encoder.num_records))
    return encoder.num_records


def _chunks(
    columns: Any, present: Mapping[str, Any] | None, converter: Converter, encoder: Encoder
) -> Iterator[Chunk]:
    """Yield what is to be written, each chunk converted when the one before has been encoded."""
    if isinstance(columns, Mapping):
        made, is_record = converter.prepare(columns)
        made = {path: [value] for path, value in made.items()} if is_record else made
        yield converter.convert(made, present, encoder.next_timestamp)
        return
    if present is not None:
        raise EncodeError("present requires a single mapping of columns; mask the arrays of chunks")
    if isinstance(columns, CycleRecord):
        columns = [columns]
    if not hasattr(columns, "__iter__"):
        kind = type(columns).__name__
        raise EncodeError(f"columns: found a {kind}, expected a mapping or an iterable")
    records: list[Any] = []
    for item in columns:
        made, is_record = converter.prepare(_chunk_or_record(item, encoder.schema))
        if is_record:
            records.append(made)
        if records and (not is_record or len(records) == _RECORDS_AT_ONCE):
            yield converter.convert_records(records, encoder.next_timestamp)
            records.clear()
        if not is_record:
            yield converter.convert(made, None, encoder.next_timestamp)
    if records:
        yield converter.convert_records(records, encoder.next_timestamp)


def _chunk_or_record(item: Any, schema: Schema) -> Mapping[str, Any] | CycleRecord:
    if _is_table(item):
        return Columns.from_arrow(item, schema)
    if isinstance(item, Mapping | CycleRecord):
        return item
    raise EncodeError(
        f"columns: found a {type(item).__name__} among the chunks, expected a mapping of columns, "
        "or a record as a mapping or a CycleRecord"
    )


def _is_table(data: Any) -> bool:
    """Return whether data are a table of another library."""
    is_stated = hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__")
    return is_stated and hasattr(data, "columns")  # a single column is none


def _schema_of(table: Any) -> Schema:
    """Return the schema in the metadata of a table, if cmeta made it, else the default one."""
    from cmeta.records.arrow import SCHEMA_KEY, as_table, schema_of

    arrow = as_table(table)
    return schema_of(arrow) if SCHEMA_KEY in (arrow.schema.metadata or {}) else default_schema()
