"""The selected records of a file as arrays, whose size is known before anything is decoded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from cmeta.aliases import Array, Mask
from cmeta.errors import LimitError
from cmeta.reader.selection import Selection, num_rows, take
from cmeta.records.chunk import Chunk
from cmeta.records.columns import Columns
from cmeta.schema.rules import PHASE, TIMESTAMP
from cmeta.schema.types import Field
from cmeta.storage.open import BatchInfo, OpenFile

DEFAULT_MAX_BYTES = 4 << 30
_LEN_RECORD, _LEN_VALUE = 400, 100  # upper estimates of Python objects, in bytes


def read_columns(
    file: OpenFile,
    selection: Selection,
    infos: Sequence[BatchInfo],
    fields: Sequence[Field] | None,
    *,
    codes: bool,
    threads: int,
    max_bytes: int,
    configs: Sequence[Mapping[str, Any]],
) -> Columns:
    """Return the selected records of some batches as arrays; see `Reader.read`.

    Parameters
    ----------
    infos : sequence of BatchInfo
        The batches; their `num_records` are upper bounds.
    """
    most = sum(info.num_records for info in infos)
    _require_size(most, fields or file.fields, codes, max_bytes)
    always = [file.schema[TIMESTAMP], file.schema[PHASE]]
    arrays = _Arrays(most, always if fields is None else fields)

    def decode(info: BatchInfo) -> Chunk:
        batch = file.batch(info.ordinal)
        chunk = take(batch, selection.rows(batch, info), fields)
        file.stats.num_columns += batch.num_columns_decoded
        return chunk

    if threads <= 1:
        for info in infos:
            arrays.append(decode(info))
    else:
        from concurrent.futures import ThreadPoolExecutor  # costs 5 ms that most reads do not need

        ahead = 4 * threads  # bounds what has been decoded and not yet been copied
        with ThreadPoolExecutor(threads) as pool:
            for begin in range(0, len(infos), ahead):
                for chunk in pool.map(decode, infos[begin : begin + ahead]):
                    arrays.append(chunk)
    only_declared = fields is not None and all(field.declared for field in fields)
    order = file.schema.fields if only_declared else file.fields
    return arrays.columns(order, file, codes, configs)


class _Arrays:
    """The arrays of a result while they are being filled."""

    def __init__(self, num_records: int, fields: Iterable[Field]) -> None:
        self._size, self._num_records = num_records, 0
        self._arrays: dict[Field, Array] = {}
        self._present: dict[Field, Mask] = {}
        for field in fields:
            self._add(field)

    def _add(self, field: Field) -> None:
        """Make room for a field, absent so far."""
        shape = (self._size, field.num_components) if field.num_components else (self._size,)
        dtype = field.dtype.newbyteorder("=")
        self._arrays[field] = np.full(shape, np.nan if field.is_float else 0, dtype)
        self._present[field] = np.zeros(self._size, bool)

    def append(self, chunk: Chunk) -> None:
        """Append the records of a batch."""
        rows = slice(self._num_records, self._num_records + chunk.num_records)
        for field, (values, present) in chunk.columns.items():
            if field not in self._arrays:
                self._add(field)
            self._arrays[field][rows] = values
            self._present[field][rows] = True if present is None else present
        self._num_records += chunk.num_records

    def columns(
        self,
        order: Iterable[Field],
        file: OpenFile,
        codes: bool,
        configs: Sequence[Mapping[str, Any]],
    ) -> Columns:
        """Return the result, its fields in this order."""
        arrays, masks = {}, {}
        for field in order:
            if field not in self._arrays:
                continue
            present = self._present.pop(field)[: self._num_records]
            values = self._arrays.pop(field)[: self._num_records]
            if field.labels and not codes:
                labels = np.array([*field.labels, ""])
                absent = len(field.labels)
                values = labels[values if present.all() else np.where(present, values, absent)]
            arrays[field.path], masks[field.path] = values, present
        return Columns(arrays, masks, file.schema, configs, file.status)


def non_empty(file: OpenFile, selection: Selection) -> list[BatchInfo]:
    """Return the batches that hold a selected record, with the number of those.

    Decodes only what the selection itself needs.
    """
    infos = []
    for info in selection.infos(file):
        batch = file.batch(info.ordinal)
        count = num_rows(selection.rows(batch, info))
        file.stats.num_columns += batch.num_columns_decoded
        if count:
            infos.append(replace(info, num_records=count))
    return infos


def require_size_of_records(num_records: int, fields: Sequence[Field], max_bytes: int) -> None:
    """Refuse a list of records that may be too large, before any of it is made."""
    len_record = _LEN_RECORD + _LEN_VALUE * sum(field.num_columns for field in fields)
    _require(num_records, len_record, max_bytes, "query_range", "iterate, read a range")


def _require_size(num_records: int, fields: Sequence[Field], codes: bool, max_bytes: int) -> None:
    """Refuse arrays that would be too large, before any of them is made."""
    len_record = 0
    for field in fields:
        len_record += field.dtype.itemsize * field.num_columns + 1
        if field.labels and not codes:
            len_record += 4 * max(map(len, field.labels))
    _require(num_records, len_record, max_bytes, "read", "read a range, fewer fields")


def _require(num_records: int, len_record: int, max_bytes: int, path: str, remedy: str) -> None:
    if num_records * len_record > max_bytes:
        raise LimitError(
            f"the result may take {num_records * len_record:,} bytes ({num_records:,} records of "
            f"{len_record}), more than max_bytes = {max_bytes:,}; {remedy}, or raise max_bytes",
            path=path,
        )
