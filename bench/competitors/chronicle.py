"""cmeta itself, called as users call it; phases and actions as codes, as the others store them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

import cmeta
from bench.competitors.base import Array, Competitor, Table, masked


class Chronicle(Competitor):
    """A closed `.cmeta` file of the default schema."""

    packages = ("cmeta-format",)
    sync = "file and folder"
    threaded = frozenset({"read", "column"})
    notes: ClassVar = {
        "append": '`Recorder`, `mode="resume"`, one call per record; also closes the file',
        "verify": "`validate`: every byte against every rule, canonical choices included",
    }

    def write(self, table: Table) -> None:
        """Write arrays as users do."""
        self.write_chunks(table)

    def write_chunks(self, chunks: Table | Iterator[Table]) -> None:
        """Write a table, or tables one after the other."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", cmeta.PrecisionWarning)
            cmeta.write(self._path, chunks)

    def open(self) -> int:
        """Open; header, INDEX and schema are read and checked."""
        with cmeta.open(self._path) as run:
            return len(run)

    def read_all(self) -> Table:
        """Read all."""
        return self._read()

    def read_column(self, name: str) -> Array:
        """Read one column."""
        return self._read([name])[name]

    def read_range(self, start: int, end: int) -> Table:
        """Read the batches that the range meets."""
        return self._read(None, start, end)

    def append(self, table: Table) -> None:
        """Resume the file, log each record, close it."""
        metrics = [name for name in table if name.startswith("metrics.")]
        others = [name for name in table if name not in metrics]
        columns = {name.removeprefix("metrics."): _numbers(table[name]) for name in table}
        short = [name.removeprefix("metrics.") for name in metrics]
        with cmeta.Recorder(self._path, mode="resume") as recorder:
            for place in range(len(table["timestamp"])):
                fields = {name: columns[name][place] for name in others}
                values = {name: columns[name][place] for name in short}
                recorder.log(**fields, metrics=values)

    def verify(self) -> None:
        """Check everything."""
        if not cmeta.validate(self._path).ok:
            raise AssertionError("the file just written is not valid")

    @property
    def _path(self) -> Any:
        return self.folder / "run.cmeta"

    def _read(
        self, fields: list[str] | None = None, start: int | None = None, end: int | None = None
    ) -> Table:
        with cmeta.open(self._path) as run:
            found = run.read(fields, start, end, codes=True, threads=self.threads)
            return {name: masked(found[name], ~found.present[name]) for name in found}


def _numbers(values: Array) -> list[Any]:
    """Return Python numbers; None where absent."""
    plain = np.ma.getdata(values).tolist()
    mask = np.ma.getmaskarray(values).tolist()
    return [None if absent else x for x, absent in zip(plain, mask, strict=True)]
