"""Records as Arrow data and data frames: the methods of `Reader` that need an optional library.

A table is what `read` gives, converted. A stream decodes one batch of the file at a time; its
schema is known beforehand, so that a metric that begins late is null before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cmeta.aliases import Rows
from cmeta.extras import require
from cmeta.reader.read_columns import DEFAULT_MAX_BYTES, read_columns
from cmeta.reader.selection import Selection, num_rows
from cmeta.schema.rules import PHASE, TIMESTAMP
from cmeta.schema.types import Field
from cmeta.storage.open import AnyBatch, BatchInfo, OpenFile

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from cmeta.reader.reader import Reader

Phases = str | Sequence[str] | None


def to_arrow(
    self: Reader,
    fields: Sequence[str] | None = None,
    start: int | None = None,
    end: int | None = None,
    phase: Phases = None,
    *,
    threads: int = 1,
    max_bytes: int = DEFAULT_MAX_BYTES,
) -> pa.Table:
    """Return records as a table of Arrow; parameters and errors as `Reader.read`.

    Returns
    -------
    pyarrow.Table
        Of exactly the types of the fields, null where absent; see `Columns.to_arrow`.

    Raises
    ------
    MissingExtraError
        pyarrow is not installed.

    Examples
    --------
    >>> import tempfile, cmeta
    >>> path = tempfile.mktemp(suffix=".cmeta")
    >>> cmeta.write(path, {"phase": ["train", "validate"], "loss_value": [float("nan"), None]})
    2
    >>> with cmeta.open(path) as run:
    ...     run.to_arrow(["loss_value"]).to_pylist()
    [{'loss_value': nan}, {'loss_value': None}]
    """
    require("pyarrow", "arrow")  # before anything is read
    found = self.read(fields, start, end, phase, codes=True, threads=threads, max_bytes=max_bytes)
    return found.to_arrow()


def to_pandas(
    self: Reader,
    fields: Sequence[str] | None = None,
    start: int | None = None,
    end: int | None = None,
    phase: Phases = None,
    *,
    threads: int = 1,
    max_bytes: int = DEFAULT_MAX_BYTES,
) -> pd.DataFrame:
    """Return records as a data frame of pandas; parameters and errors as `Reader.read`.

    Returns
    -------
    pandas.DataFrame
        NA where absent, NaN where NaN was recorded; see `Columns.to_pandas`.

    Raises
    ------
    MissingExtraError
        pandas or pyarrow is not installed.
    """
    require("pandas", "pandas")
    found = self.read(fields, start, end, phase, codes=True, threads=threads, max_bytes=max_bytes)
    return found.to_pandas()


def to_polars(
    self: Reader,
    fields: Sequence[str] | None = None,
    start: int | None = None,
    end: int | None = None,
    phase: Phases = None,
    *,
    threads: int = 1,
    max_bytes: int = DEFAULT_MAX_BYTES,
) -> pl.DataFrame:
    """Return records as a data frame of polars; parameters and errors as `Reader.read`.

    Returns
    -------
    polars.DataFrame
        Null where absent; see `Columns.to_polars`.

    Raises
    ------
    MissingExtraError
        polars or pyarrow is not installed.
    """
    require("polars", "polars")
    found = self.read(fields, start, end, phase, codes=True, threads=threads, max_bytes=max_bytes)
    return found.to_polars()


def arrow_batches(
    self: Reader,
    fields: Sequence[str] | None = None,
    start: int | None = None,
    end: int | None = None,
    phase: Phases = None,
    *,
    max_bytes: int = DEFAULT_MAX_BYTES,
) -> pa.RecordBatchReader:
    """Return records as a stream of Arrow batches, one batch of the file in memory at a time.

    Parameters
    ----------
    fields, start, end, phase
        As `Reader.read`. Without `fields`, every batch of the range is looked at beforehand to
        learn which fields occur: it is read once more, but little of it is decoded.
    max_bytes : int
        Refuse a batch beyond this; its size is computed before it is made.

    Returns
    -------
    pyarrow.RecordBatchReader
        An iterator of RecordBatch, which has a ``schema`` before the first one, and which DuckDB,
        polars and the writers of pyarrow take. All batches have that schema, the one of `to_arrow`.
        Batches without a selected record are left out. Close the reader of the file after it.

    Raises
    ------
    DecodeError, KeyError
        As `Reader.read`; a batch that is corrupt, when it is its turn, if not before.
    MissingExtraError
        pyarrow is not installed.

    Examples
    --------
    >>> import tempfile, cmeta
    >>> path = tempfile.mktemp(suffix=".cmeta")
    >>> cmeta.write(path, {"phase": ["train"] * 10_000, "step": range(10_000)})
    10000
    >>> with cmeta.open(path) as run:
    ...     [batch.num_rows for batch in run.arrow_batches(["step"])]
    [4096, 4096, 1808]
    """
    arrow = require("pyarrow", "arrow")
    from cmeta.records.arrow import ArrowForm

    selection, wanted, configs = self._question(fields, start, end, phase)
    file = self._file
    chosen = _occurring(file, selection) if wanted is None else set(wanted)
    only_declared = all(field.declared for field in chosen)
    order = file.schema.fields if only_declared else file.fields
    found = [field for field in order if field in chosen]
    form = ArrowForm.of([field.path for field in found], file.schema, configs)
    options: dict[str, Any] = {
        "codes": True,
        "threads": 1,
        "max_bytes": max_bytes,
        "configs": configs,
    }
    parts = (
        read_columns(file, _OneBatch.within(selection, info), found, **options)
        for info in selection.infos(file)
    )
    batches = (form.batch(part) for part in parts if part.num_records)
    return arrow.RecordBatchReader.from_batches(form.schema, batches)


@dataclass(frozen=True)
class _OneBatch(Selection):
    """What a selection selects of one batch."""

    only: tuple[BatchInfo, ...] = ()

    @classmethod
    def within(cls, selection: Selection, info: BatchInfo) -> _OneBatch:
        return cls(**vars(selection), only=(info,))

    def infos(self, file: OpenFile) -> list[BatchInfo]:
        return list(self.only)


def _occurring(file: OpenFile, selection: Selection) -> set[Field]:
    """Return the fields for which a selected record has a value; timestamp and phase anyway."""
    found = {file.schema[name] for name in (TIMESTAMP, PHASE)}
    missing = set(file.fields) - found
    for info in selection.infos(file):
        if not missing:
            break
        batch = file.batch(info.ordinal)
        rows = selection.rows(batch)
        here = missing.intersection(batch.fields) if num_rows(rows) else set()
        if num_rows(rows) < batch.num_records:  # the directory does not tell which records
            here = {field for field in here if _has_value(batch, rows, field)}
        file.stats.num_columns += batch.num_columns_decoded
        missing -= here
        found |= here
    return found


def _has_value(batch: AnyBatch, rows: Rows, field: Field) -> bool:
    column = batch.column(field, 0)
    return column is not None and (column[1] is None or bool(column[1][rows].any()))
