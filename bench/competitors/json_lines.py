"""JSON lines by orjson: one object per record, absent keys left out; plain and gzip.

Floats are the shortest decimals that give the same float32. JSON has no NaN and no infinities:
orjson writes null for them, and they are lost.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable
from typing import Any, BinaryIO, ClassVar

import numpy as np
import orjson

from bench.competitors.base import TIMESTAMP, Array, Competitor, Table, column_of, rows_of

_DTYPES = {TIMESTAMP: "u8", "seed_state": "u8", "phase": "u1", "action_code": "u1"}


class JsonLines(Competitor):
    """One file, one line per record."""

    packages = ("orjson",)
    rowwise = True
    suffix: ClassVar[str] = "jsonl"
    notes: ClassVar = {
        "column": "every line is parsed",
        "range": "every line up to the end of the range is parsed",
        "open": "lines are counted",
        "verify": "no checksums",
    }

    def opened(self, mode: str) -> BinaryIO:
        """Return the open file."""
        return open(self._path, mode)

    def write(self, table: Table) -> None:
        """Write all lines."""
        self._put(table, "wb")

    def append(self, table: Table) -> None:
        """Write further lines."""
        self._put(table, "ab")

    def open(self) -> int:
        """Count the lines."""
        with self.opened("rb") as file:
            return sum(1 for _ in file)

    def read_all(self) -> Table:
        """Parse all lines."""
        with self.opened("rb") as file:
            return _table(list(map(orjson.loads, file)))

    def read_column(self, name: str) -> Array:
        """Parse all lines, and keep one value of each."""
        with self.opened("rb") as file:
            found = [orjson.loads(line).get(name) for line in file]
        return column_of(found, _dtype(name))

    def read_range(self, start: int, end: int) -> Table:
        """Parse lines until the range has ended."""
        found = []
        with self.opened("rb") as file:
            for record in map(orjson.loads, file):
                if record[TIMESTAMP] > end:
                    break
                if record[TIMESTAMP] >= start:
                    found.append(record)
        return _table(found)

    @property
    def _path(self) -> Any:
        return self.folder / f"run.{self.suffix}"

    def _put(self, table: Table, mode: str) -> None:
        names = list(table)
        dumps: Callable[[Any], bytes] = orjson.dumps
        with self.opened(mode) as file:
            file.writelines(
                dumps({n: x for n, x in zip(names, row, strict=True) if x is not None}) + b"\n"
                for row in rows_of(table)
            )


class GzipJsonLines(JsonLines):
    """The same through gzip, level 6."""

    suffix = "jsonl.gz"
    notes: ClassVar = JsonLines.notes | {
        "append": "another gzip member",
        "verify": "everything is decompressed and checked against gzip's CRC-32",
    }

    def opened(self, mode: str) -> Any:
        """Return the open file."""
        return gzip.open(self._path, mode, compresslevel=6)

    def verify(self) -> None:
        """Decompress everything."""
        with self.opened("rb") as file:
            while file.read(1 << 20):
                pass


def _table(records: list[dict[str, Any]]) -> Table:
    names: Iterable[str] = dict.fromkeys(name for record in records for name in record)
    return {name: column_of([r.get(name) for r in records], _dtype(name)) for name in names}


def _dtype(name: str) -> np.dtype[Any]:
    return np.dtype(_DTYPES.get(name, "f4"))
