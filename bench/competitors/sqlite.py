"""SQLite by Python's module: one table, its primary key the timestamp, one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np

from bench.competitors.base import TIMESTAMP, Array, Competitor, Table, column_of, rows_of


class Sqlite(Competitor):
    """One table; u64 as signed integers of the same bits, since SQLite has no others."""

    rowwise = True
    sync = "synchronous=FULL, a rollback journal (SQLite's defaults)"
    notes: ClassVar = {"verify": "`pragma integrity_check`: structure; the values have no checksum"}

    def write(self, table: Table) -> None:
        """Create the table and insert every record, in one transaction."""
        self._path.unlink(missing_ok=True)
        columns = ", ".join(
            f'"{name}" {"real" if values.dtype.kind == "f" else "integer"}'
            f"{' primary key' if name == TIMESTAMP else ''}"
            for name, values in table.items()
        )
        with self._base() as base:
            base.execute(f"create table run ({columns})")
            dtypes = [(name, values.dtype.str) for name, values in table.items()]
            base.execute("create table columns (name text, dtype text)")
            base.executemany("insert into columns values (?, ?)", dtypes)
            self._insert(base, table)

    def append(self, table: Table) -> None:
        """Insert, in one transaction."""
        with self._base() as base:
            self._insert(base, table)

    def open(self) -> int:
        """Count the records by the largest primary key."""
        with self._base() as base:
            return base.execute("select max(rowid) from run").fetchone()[0] + 1

    def read_all(self) -> Table:
        """Select everything."""
        return self._select("*")

    def read_column(self, name: str) -> Array:
        """Select one column."""
        return self._select(f'"{name}"')[name]

    def read_range(self, start: int, end: int) -> Table:
        """Select by primary key."""
        return self._select("*", f"where {TIMESTAMP} between {start} and {end}")

    def verify(self) -> None:
        """Check the structure."""
        with self._base() as base:
            if base.execute("pragma integrity_check").fetchone() != ("ok",):
                raise AssertionError("the database just written is not valid")

    @property
    def _path(self) -> Any:
        return self.folder / "run.sqlite"

    @contextmanager
    def _base(self) -> Iterator[sqlite3.Connection]:
        base = sqlite3.connect(self._path)
        try:
            with base:
                yield base
        finally:
            base.close()

    def _insert(self, base: sqlite3.Connection, table: Table) -> None:
        marks = ", ".join("?" * len(table))
        signed = {n: v.view(np.int64) if v.dtype == np.uint64 else v for n, v in table.items()}
        base.executemany(f"insert into run values ({marks})", rows_of(signed))

    def _select(self, what: str, where: str = "") -> Table:
        with self._base() as base:
            dtypes = dict(base.execute("select name, dtype from columns").fetchall())
            cursor = base.execute(f"select {what} from run {where} order by {TIMESTAMP}")
            names = [item[0] for item in cursor.description]
            columns = list(zip(*cursor.fetchall(), strict=True)) or [()] * len(names)
        return {
            name: _column(list(numbers), np.dtype(dtypes[name]))
            for name, numbers in zip(names, columns, strict=True)
        }


def _column(numbers: list[Any], dtype: np.dtype[Any]) -> Array:
    if dtype == np.uint64:
        return column_of(numbers, np.dtype(np.int64)).view(np.uint64)
    return column_of(numbers, dtype)
