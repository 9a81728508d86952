"""DuckDB over a Parquet file that DuckDB wrote: SQL in, numpy arrays out."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, ClassVar

import duckdb
import numpy as np
import pyarrow as pa

from bench.competitors.base import TIMESTAMP, Array, Competitor, Table, joined, masked
from bench.competitors.parquet import arrow_of


class DuckDb(Competitor):
    """`COPY ... TO`, and `SELECT ... FROM` the file; a connection for each operation."""

    packages = ("duckdb", "pyarrow")
    threaded = frozenset({"write", "read", "column"})
    notes: ClassVar = {
        "append": "Parquet cannot append: the file is read and rewritten",
        "verify": "no checksums that DuckDB checks",
    }

    def write(self, table: Table) -> None:
        """Write one Parquet file, zstd, DuckDB's own choice of encodings."""
        self._copy(_arrow(table))

    def write_chunks(self, chunks: Iterator[Table]) -> None:
        """Write tables one after the other; DuckDB consumes them lazily."""
        first = _arrow(next(chunks))
        rest = (batch for chunk in chunks for batch in _arrow(chunk).to_batches())
        batches = itertools.chain(first.to_batches(), rest)
        self._copy(pa.RecordBatchReader.from_batches(first.schema, batches))

    def open(self) -> int:
        """Count the records, which the footer states."""
        return int(self._query("count(*) as n")["n"][0])

    def read_all(self) -> Table:
        """Select everything."""
        return self._query("*")

    def read_column(self, name: str) -> Array:
        """Select one column."""
        return self._query(f'"{name}"')[name]

    def read_range(self, start: int, end: int) -> Table:
        """Select by timestamp."""
        return self._query("*", f"where {TIMESTAMP} between {start} and {end}")

    def append(self, table: Table) -> None:
        """Read, join, write."""
        self.write(joined(self.read_all(), table))

    @property
    def _path(self) -> Any:
        return self.folder / "run.parquet"

    def _copy(self, given: Any) -> None:
        with self._connection() as base:
            base.register("given", given)
            base.execute(f"copy given to '{self._path}' (format parquet, compression zstd)")

    def _connection(self) -> Any:
        return duckdb.connect(config={"threads": self.threads})

    def _query(self, what: str, where: str = "") -> Table:
        with self._connection() as base:
            found = base.sql(f"select {what} from '{self._path}' {where}").fetchnumpy()
        return {
            name: masked(np.ma.getdata(values), np.ma.getmaskarray(values))
            for name, values in found.items()
        }


def _arrow(table: Table) -> pa.Table:
    return pa.table({name: arrow_of(values) for name, values in table.items()})
