"""Parquet by pyarrow, in three ways: plain, floats split into bytes, floats as quanta.

Absent values are null. A file has one row group for each million records, pyarrow's default.
pyarrow writes with one thread and reads with as many as it is given.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench.competitors.base import TIMESTAMP, Array, Competitor, Table, joined, mask_of, masked
from cmeta.format.stages import fixed_point
from cmeta.schema.load import shipped_format

_CLASS = " class"  # suffix of a column of classes; no name ends with it


class Plain(Competitor):
    """Values as they are: no dictionaries, no compression."""

    packages = ("pyarrow",)
    threaded = frozenset({"read", "column"})
    notes: ClassVar = {
        "append": "a closed file cannot grow: it is read and rewritten",
        "verify": "everything is read and checked against its page checksums",
    }

    def write(self, table: Table) -> None:
        """Write one file."""
        self.write_chunks(table)

    def write_chunks(self, chunks: Table | Iterator[Table]) -> None:
        """Write a table, or tables one after the other, a row group each."""
        self._limit_threads()
        if isinstance(chunks, dict):
            given = self.to_arrow(chunks)
            pq.write_table(given, self._path, write_page_checksum=True, **self.options(given))
            return
        first = self.to_arrow(next(chunks))
        options = self.options(first)
        with pq.ParquetWriter(
            self._path, first.schema, write_page_checksum=True, **options
        ) as writer:
            writer.write_table(first)
            for chunk in chunks:
                writer.write_table(self.to_arrow(chunk).cast(first.schema))

    def open(self) -> int:
        """Read the footer."""
        return pq.ParquetFile(self._path).metadata.num_rows

    def read_all(self) -> Table:
        """Read all."""
        return self._read(None)

    def read_column(self, name: str) -> Array:
        """Read one column, and its classes where it has them."""
        return self._read([name])[name]

    def read_range(self, start: int, end: int) -> Table:
        """Read with a filter on the timestamp, which skips row groups by their statistics."""
        wanted = (pc.field(TIMESTAMP) >= start) & (pc.field(TIMESTAMP) <= end)
        return self._read(None, filters=wanted)

    def append(self, table: Table) -> None:
        """Read, join, write."""
        self.write(joined(self.read_all(), table))

    def verify(self) -> None:
        """Read all, each page against its checksum."""
        pq.read_table(self._path, use_threads=self.threads > 1, page_checksum_verification=True)

    @property
    def _path(self) -> Any:
        return self.folder / "run.parquet"

    def _limit_threads(self) -> None:
        pa.set_cpu_count(self.threads)
        pa.set_io_thread_count(self.threads)

    def _read(self, names: list[str] | None, **options: Any) -> Table:
        self._limit_threads()
        if names is not None:
            present = set(pq.read_schema(self._path).names)
            names = [n for name in names for n in (name, name + _CLASS) if n in present]
        found = pq.read_table(self._path, columns=names, use_threads=self.threads > 1, **options)
        return self.from_arrow(found)

    # ------------------------------------------------------------------ what differs

    def options(self, given: pa.Table) -> dict[str, Any]:
        """Return the options of `write_table`."""
        return {"compression": "none", "use_dictionary": False}

    def to_arrow(self, table: Table) -> pa.Table:
        """Return the columns as they are stored."""
        return pa.table({name: arrow_of(values) for name, values in table.items()})

    def from_arrow(self, found: pa.Table) -> Table:
        """Return the columns as they were given."""
        return {name: numpy_of(found[name]) for name in found.column_names}


class Split(Plain):
    """Floats in BYTE_STREAM_SPLIT, the others with dictionaries; zstd."""

    def options(self, given: pa.Table) -> dict[str, Any]:
        """Return the options of `write_table`."""
        floats = [field.name for field in given.schema if pa.types.is_floating(field.type)]
        return {
            "compression": "zstd",
            "use_dictionary": [name for name in given.column_names if name not in floats],
            "column_encoding": dict.fromkeys(floats, "BYTE_STREAM_SPLIT"),
        }


class Quanta(Plain):
    """Floats as cmeta's integers and, like all integers, in DELTA_BINARY_PACKED; zstd.

    An integer cannot be NaN or infinite: a column with such values gets a column of classes.
    """

    def options(self, given: pa.Table) -> dict[str, Any]:
        """Return the options of `write_table`."""
        wide = [f.name for f in given.schema if f.type in (pa.int32(), pa.int64(), pa.uint64())]
        return {
            "compression": "zstd",
            "use_dictionary": [name for name in given.column_names if name not in wide],
            "column_encoding": dict.fromkeys(wide, "DELTA_BINARY_PACKED"),
        }

    def to_arrow(self, table: Table) -> pa.Table:
        """Return the columns as they are stored."""
        columns = {}
        for name, values in table.items():
            if values.dtype.kind != "f":
                columns[name] = arrow_of(values)
                continue
            quanta, classes = quanta_of(np.ma.getdata(values))
            columns[name] = arrow_of(masked(quanta, mask_of(values)))
            if classes is not None:
                columns[name + _CLASS] = arrow_of(classes)
        return pa.table(columns)

    def from_arrow(self, found: pa.Table) -> Table:
        """Return the columns as they were given."""
        plain = super().from_arrow(found)
        return {
            name: _floats(values, plain.get(name + _CLASS)) if values.dtype.kind == "i" else values
            for name, values in plain.items()
            if not name.endswith(_CLASS)
        }


def arrow_of(values: Array) -> pa.Array:
    """Return an arrow array; null where absent."""
    return pa.array(np.ma.getdata(values), mask=mask_of(values))


def numpy_of(column: pa.ChunkedArray) -> Array:
    """Return a numpy array of the column's own type, masked where null."""
    if not column.null_count:
        return column.to_numpy()
    absent = column.is_null().to_numpy()
    return masked(column.fill_null(0).to_numpy(), absent)


def quanta_of(values: Array) -> tuple[Array, Array | None]:
    """Return the integers of float32 values, and their classes unless all are finite.

    The integers have the narrowest type of Parquet; classes are 0 finite, 1 NaN, 2 and 3 infinite.
    """
    facts = shipped_format().codecs.quantise
    finite = np.isfinite(values)
    classes = None
    if not finite.all():
        classes = np.select([finite, np.isnan(values), values > 0], [0, 1, 2], 3).astype(np.uint8)
        values = np.where(finite, values, np.float32(0))
    quanta = fixed_point.encode(values, facts.quanta_per_unit, facts.product_bits)
    limits = np.iinfo(np.int32)
    fits = quanta.size == 0 or (quanta.min() >= limits.min and quanta.max() <= limits.max)
    return quanta.astype(np.int32) if fits else quanta, classes


def floats_of(quanta: Array, classes: Array | None) -> Array:
    """Return the float32 values that `quanta_of` was given."""
    facts = shipped_format().codecs.quantise
    wide = quanta.astype(np.int64)
    values = fixed_point.decode(
        wide, np.dtype(np.float32), facts.quanta_per_unit, facts.product_bits
    )
    if classes is not None:
        for number, special in ((1, np.nan), (2, np.inf), (3, -np.inf)):
            values[classes == number] = special
    return values


def _floats(values: Array, classes: Array | None) -> Array:
    plain = None if classes is None else np.ma.getdata(classes)
    return masked(floats_of(np.ma.getdata(values), plain), mask_of(values))
