"""`Competitor`: the operations that a format needs to be measured.

A table maps names to arrays of ``(n_records,)``, masked where values are absent; ``timestamp``
ascends. A competitor writes a table and reads tables. An operation that its format lacks is None
(`append`, `verify`), or is done the way its users have to do it, which `notes` states.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Table = dict[str, Array]
TIMESTAMP = "timestamp"


class Competitor(ABC):
    """A format under test, in a folder of its own.

    Parameters
    ----------
    folder : Path
        Its own folder, created if it does not exist.
    threads : int
        How many it may use.

    Attributes
    ----------
    packages : tuple of str
        Distributions that it needs; the results state their versions.
    sync : str
        What it syncs before a write returns, to survive a loss of power.
    notes : dict of str to str
        Notes on its figures, by operation.
    threaded : frozenset of str
        Operations that use several threads if allowed to.
    rowwise : bool
        Whether records pass through Python one at a time.
    is_logger : bool
        Whether its users write with one call per record.
    memory_elsewhere : bool
        Whether a child process does part of the work, which the peak does not include.
    """

    packages: ClassVar[tuple[str, ...]] = ()
    sync: ClassVar[str] = "none"
    notes: ClassVar[Mapping[str, str]] = {}
    threaded: ClassVar[frozenset[str]] = frozenset()
    rowwise: ClassVar[bool] = False
    is_logger: ClassVar[bool] = False
    memory_elsewhere: ClassVar[bool] = False

    append: Callable[[Table], None] | None = None
    verify: Callable[[], None] | None = None

    def __init__(self, folder: Path, threads: int = 1) -> None:
        self.folder = folder
        self.threads = threads
        folder.mkdir(parents=True, exist_ok=True)

    @abstractmethod
    def write(self, table: Table) -> None:
        """Write a table, replacing any earlier one."""

    @abstractmethod
    def open(self) -> int:
        """Open the file, and return the number of records; nothing stays open."""

    @abstractmethod
    def read_all(self) -> Table:
        """Open, and return everything."""

    def read_column(self, name: str) -> Array:
        """Open, and return one column."""
        return self.read_all()[name]

    def read_range(self, start: int, end: int) -> Table:
        """Open, and return the records with ``start <= timestamp <= end``."""
        return between(self.read_all(), start, end)

    def length(self) -> int:
        """Return the bytes on disk, of all files."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())


def between(table: Table, start: int, end: int) -> Table:
    """Return the records of a table with ``start <= timestamp <= end``."""
    begin, stop = np.searchsorted(table[TIMESTAMP], (start, end + 1)).tolist()
    return {name: values[begin:stop] for name, values in table.items()}


def joined(first: Table, second: Table) -> Table:
    """Return two tables end to end."""
    return {name: np.ma.concatenate([first[name], second[name]]) for name in first}


def mask_of(values: Array) -> npt.NDArray[np.bool_] | None:
    """Return the mask of absent values; None if all are present."""
    mask = np.ma.getmask(values)
    return mask if mask is not np.ma.nomask and mask.any() else None


def masked(values: Array, mask: npt.NDArray[np.bool_] | None) -> Array:
    """Return a masked array, or a plain one if all values are present."""
    return values if mask is None or not mask.any() else np.ma.MaskedArray(values, mask)


def decimals(values: Array) -> Array:
    """Return float64 whose shortest decimal notation is that of the float32 of the telemetry.

    Telemetry is a multiple of a millionth wherever float32 is finer than that, so six decimals
    give the same float32; text formats need not write 17 digits.
    """
    with np.errstate(over="ignore"):
        return np.round(values.astype(np.float64), 6)


def rows_of(table: Table) -> Iterator[tuple[Any, ...]]:
    """Yield records as tuples of Python numbers; None where absent."""
    return zip(*map(_numbers, table.values()), strict=True)


def _numbers(values: Array) -> list[Any]:
    plain = np.ma.getdata(values)
    numbers = (decimals(plain) if plain.dtype.kind == "f" else plain).tolist()
    mask = mask_of(values)
    if mask is None:
        return numbers
    return [None if absent else x for x, absent in zip(numbers, mask.tolist(), strict=True)]


def column_of(numbers: list[Any] | tuple[Any, ...], dtype: np.dtype[Any]) -> Array:
    """Return an array of Python numbers; masked where there is None."""
    try:
        if dtype.kind != "f" or None not in numbers:
            return np.array(numbers, dtype)
    except TypeError:
        pass
    mask = np.array([x is None for x in numbers])
    return masked(np.array([0 if x is None else x for x in numbers], dtype), mask)
