"""Gathering: the columns of the selected batches, put into arrays that are sized beforehand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cmeta.aliases import Array, Rows
from cmeta.errors import LimitError
from cmeta.reader.selection import Selection, num_rows
from cmeta.records.chunk import Column
from cmeta.records.columns import Columns
from cmeta.schema.rules import PHASE, TIMESTAMP
from cmeta.schema.types import Field
from cmeta.storage.open import AnyBatch, BatchInfo, OpenFile

DEFAULT_MAX_BYTES = 4 << 30
_LEN_RECORD, _LEN_VALUE = 400, 100  # what Python objects take, in bytes, generously
Found = tuple[int, dict[Field, Column]]


def read_columns(
    file: OpenFile,
    selection: Selection,
    fields: Sequence[Field] | None,
    *,
    codes: bool,
    threads: int,
    max_bytes: int,
    configs: Sequence[Mapping[str, Any]],
) -> Columns:
    """Return the selected records as arrays; see `Reader.read`."""
    infos = selection.infos(file)
    most = sum(info.num_records for info in infos)
    _bound(most, fields or file.fields, codes, max_bytes)
    target = _Target(most, codes)
    for field in fields or ():
        target.add(field)
    if fields is None:
        for name in (TIMESTAMP, PHASE):
            target.add(file.schema[name])
    for num_records, found in _decode_all(file, infos, selection, fields, threads):
        target.put(num_records, found)
    only_declared = fields is not None and all(field.declared for field in fields)
    order = file.schema.fields if only_declared else file.fields
    return target.columns(order, file, configs)


class _Target:
    """The arrays of an answer while they are being filled."""

    def __init__(self, num_records: int, codes: bool) -> None:
        self._most, self._codes = num_records, codes
        self._at = 0
        self._arrays: dict[Field, Array] = {}
        self._present: dict[Field, npt.NDArray[np.bool_]] = {}

    def add(self, field: Field) -> None:
        """Make room for a field, absent so far."""
        shape = (self._most, field.num_components) if field.num_components else (self._most,)
        dtype = field.dtype.newbyteorder("=")
        self._arrays[field] = np.full(shape, np.nan if field.is_float else 0, dtype)
        self._present[field] = np.zeros(self._most, bool)

    def put(self, num_records: int, found: dict[Field, Column]) -> None:
        """Append the records of a batch."""
        here = slice(self._at, self._at + num_records)
        for field, (values, present) in found.items():
            if field not in self._arrays:
                self.add(field)
            self._arrays[field][here] = values
            self._present[field][here] = True if present is None else present
        self._at += num_records

    def columns(
        self, order: Sequence[Field], file: OpenFile, configs: Sequence[Mapping[str, Any]]
    ) -> Columns:
        """Return the answer, its fields in this order."""
        arrays, masks = {}, {}
        for field in order:
            if field not in self._arrays:
                continue
            present = self._present.pop(field)[: self._at]
            values = self._arrays.pop(field)[: self._at]
            if field.labels and not self._codes:
                values = _names(values, present, field.labels)
            arrays[field.path], masks[field.path] = values, present
        return Columns(arrays, masks, file.schema, configs)


def _names(codes: Array, present: npt.NDArray[np.bool_], labels: Sequence[str]) -> Array:
    table = np.array([*labels, ""])
    return table[codes if present.all() else np.where(present, codes, len(labels))]


def _decode_all(
    file: OpenFile,
    infos: Sequence[BatchInfo],
    selection: Selection,
    fields: Sequence[Field] | None,
    threads: int,
) -> Iterator[Found]:
    """Yield what each batch holds, in order; with threads some batches ahead."""

    def decode(info: BatchInfo) -> Found:
        batch = file.batch(info.ordinal)
        rows = selection.rows(batch)
        if num_rows(rows) == 0:
            found: Found = (0, {})
        else:
            found = (num_rows(rows), _decode(batch, rows, fields))
        file.stats.num_columns += batch.num_columns_decoded
        return found

    if threads <= 1:
        yield from map(decode, infos)
        return
    from concurrent.futures import ThreadPoolExecutor  # costs 5 ms that most readers do not need

    ahead = 4 * threads  # bounds what is decoded but not yet put into its place
    with ThreadPoolExecutor(threads) as pool:
        for begin in range(0, len(infos), ahead):
            yield from pool.map(decode, infos[begin : begin + ahead])


def _decode(batch: AnyBatch, rows: Rows, fields: Sequence[Field] | None) -> dict[Field, Column]:
    found = {}
    for field in batch.fields if fields is None else fields:
        column = batch.column(field, np.nan if field.is_float else 0)
        if column is None:
            continue
        column = column.rows(rows)
        if fields is None and column.present is not None and not column.present.any():
            continue
        found[field] = column
    return found


def bound_records(num_records: int, fields: Sequence[Field], max_bytes: int) -> None:
    """Refuse a list of records that would be too large, before any of it is made."""
    per_record = _LEN_RECORD + _LEN_VALUE * sum(field.num_columns for field in fields)
    if num_records * per_record > max_bytes:
        raise LimitError(
            f"the answer may take {num_records * per_record:,} bytes ({num_records:,} records of "
            f"{per_record}), more than max_bytes = {max_bytes:,}; iterate, read a range, or raise "
            "max_bytes",
            path="query_range",
        )


def _bound(num_records: int, fields: Sequence[Field], codes: bool, max_bytes: int) -> None:
    """Refuse an answer that would be too large, before any of it is made."""
    per_record = 0
    for field in fields:
        size = field.dtype.itemsize * field.num_columns + 1
        if field.labels and not codes:
            size += 4 * max(map(len, field.labels))
        per_record += size
    if num_records * per_record > max_bytes:
        raise LimitError(
            f"the answer may take {num_records * per_record:,} bytes ({num_records:,} records of "
            f"{per_record}), more than max_bytes = {max_bytes:,}; read a range, fewer fields, or "
            "raise max_bytes",
            path="read",
        )
