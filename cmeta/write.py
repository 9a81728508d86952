"""`write`: a file at once, or chunk by chunk with flat memory; complete or not there at all."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from cmeta.errors import EncodeError
from cmeta.format.encoder import Encoder
from cmeta.records.chunk import Chunk
from cmeta.records.columns import Columns
from cmeta.records.convert import ChunkMaker, batched
from cmeta.records.record import CycleRecord
from cmeta.schema.schema import Schema, default_schema
from cmeta.storage.atomic import atomic_file

_RECORDS_AT_ONCE = 4096


def write(
    path: str | os.PathLike[str],
    columns: Mapping[str, Any] | Iterable[Mapping[str, Any]] | Iterable[CycleRecord],
    schema: Schema | None = None,
    config: Mapping[str, Any] | Iterable[Mapping[str, Any]] | None = None,
    *,
    present: Mapping[str, Any] | None = None,
) -> int:
    """Write a closed chronicle.

    The file appears under its name when it is complete and on disk; an error leaves what was there
    before. Its bytes depend on schema, records and configurations alone, not on the chunks.

    Parameters
    ----------
    path : path
        Of the file; an existing one is replaced.
    columns : mapping of str to array, or an iterable of such chunks, or of `CycleRecord`
        By dotted name, such as ``metrics.accuracy``; vectors as ``(n, k)``. Absent values: masked
        arrays, None in a list, or `present`. Phases and other enumerations as names or codes.
        Without ``timestamp`` the next ones are assigned, from 0. The result of `Reader.read` is
        written as it was.
    schema : Schema, optional
        Default: that of `columns`, if they were read, else `default_schema()`.
    config : mapping, or list of mappings, optional
        The configuration of every record that has none of its own; or the list that a column
        ``config`` of numbers points to. A column ``config`` may also hold the mappings themselves.
    present : mapping of str to bool array, (n_records,), optional
        Which records have a field; only with a single mapping of columns.

    Returns
    -------
    int
        Number of records.

    Raises
    ------
    EncodeError
        A value does not fit; names field, what was found and what was expected.
    OrderError
        A record goes back in (timestamp, phase).

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> path = tempfile.mktemp(suffix=".cmeta")
    >>> write(path, {"phase": ["train"] * 3, "loss_value": np.array([0.5, 0.25, 0.125])})
    3
    """
    if isinstance(columns, Columns):
        schema = schema or columns.schema
        config = (columns.configs or None) if config is None else config
    encoder = Encoder(schema or default_schema())
    maker = ChunkMaker(encoder.schema, config)
    chunks = _chunks(columns, present, maker, encoder)
    with atomic_file(Path(path)) as file:
        file.write(encoder.begin())
        for chunk in chunks:
            file.write(encoder.feed(chunk))
        file.write(encoder.finish())
        file.seek(0)
        file.write(encoder.header(encoder.num_records))
    return encoder.num_records


def _chunks(
    columns: Any, present: Mapping[str, Any] | None, maker: ChunkMaker, encoder: Encoder
) -> Iterator[Chunk]:
    if isinstance(columns, Mapping):
        yield maker.make(columns, present, encoder.next_timestamp)
        return
    if present is not None:
        raise EncodeError("present goes with one mapping of columns; mask the arrays of chunks")
    if isinstance(columns, CycleRecord) or not hasattr(columns, "__iter__"):
        found = type(columns).__name__
        raise EncodeError(f"columns: found a {found}, expected a mapping or an iterable")
    for item in _grouped(columns):
        if isinstance(item, Mapping):
            yield maker.make(item, None, encoder.next_timestamp)
        else:
            yield maker.make_from_records(item, encoder.next_timestamp)


def _grouped(items: Iterable[Any]) -> Iterator[Any]:
    """Yield chunks as they come, and records in lists."""
    iterator = iter(items)
    for item in iterator:
        if isinstance(item, CycleRecord):
            yield from batched(_records(item, iterator), _RECORDS_AT_ONCE)
        elif isinstance(item, Mapping):
            yield item
        else:
            raise EncodeError(
                f"columns: found a {type(item).__name__} among the chunks, expected a mapping of "
                "columns or a CycleRecord"
            )


def _records(first: CycleRecord, rest: Iterator[Any]) -> Iterator[CycleRecord]:
    yield first
    for item in rest:
        if not isinstance(item, CycleRecord):
            raise EncodeError(f"columns: found a {type(item).__name__} among the records")
        yield item
