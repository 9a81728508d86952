"""Results as data: stored as JSON, rendered as tables and as a picture."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from bench.report import Section
from bench.telemetry import FOLDER

STORED = FOLDER / "results.json"
PARTIAL = FOLDER / "partial.json"

# Operations and their units, in the order of the tables.
OPERATIONS = {
    "size": "bytes", "write": "s", "read": "s", "column": "s", "range": "s", "append": "s",
    "open": "s", "verify": "s", "memory, write": "bytes", "memory, read": "bytes",
}  # fmt: skip
LARGE_ONLY = {"scan": "s"}  # tables too long to be read at once


@dataclass(frozen=True)
class Cell:
    """One figure, or the reason for having none.

    Attributes
    ----------
    competitor, workload : str
    num_records : int
    operation : str
        One of `OPERATIONS`.
    threads : int
    value : float or None
        Seconds or bytes.
    spread : float
        Of a time: the interquartile range as a share of the median.
    rounds : int
    reason : str
        The reason for having no value.
    """

    competitor: str
    workload: str
    num_records: int
    operation: str
    threads: int = 1
    value: float | None = None
    spread: float = 0.0
    rounds: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Loss:
    """Columns that a competitor does not read back as they were written."""

    competitor: str
    workload: str
    num_records: int
    columns: list[str]


@dataclass
class Results:
    """The results of a run of the bench.

    Attributes
    ----------
    head : list of (label, text)
        Date, machine, versions, commands.
    cells : list of Cell
    losses : list of Loss
    notes : dict of str to dict of str to str
        Notes on a competitor's figures, by operation.
    syncs : dict of str to str
        What each competitor syncs before a write returns.
    sections : list of Section
        The parts apart from the matrix.
    complete : bool
        Whether everything was measured.
    """

    head: list[tuple[str, str]] = field(default_factory=list)
    cells: list[Cell] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    notes: dict[str, dict[str, str]] = field(default_factory=dict)
    syncs: dict[str, str] = field(default_factory=dict)
    sections: list[Section] = field(default_factory=list)
    complete: bool = False

    def save(self, path: Path) -> None:
        """Write the results atomically."""
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".new")
        temporary.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1))
        os.replace(temporary, path)

    def of(self, workload: str, num_records: int, threads: int = 1) -> Grid:
        """Return the cells of a workload of one length."""
        return Grid(
            cell
            for cell in self.cells
            if (cell.workload, cell.num_records, cell.threads) == (workload, num_records, threads)
        )

    def lost(self, competitor: str, workload: str) -> list[str]:
        """Return the columns that a competitor loses of a workload of any length."""
        found = [
            x.columns for x in self.losses if (x.competitor, x.workload) == (competitor, workload)
        ]
        return list(dict.fromkeys(name for names in found for name in names))


class Grid:
    """Cells by competitor and operation."""

    def __init__(self, cells: Iterable[Cell]) -> None:
        self._cells = {(cell.competitor, cell.operation): cell for cell in cells}

    def __bool__(self) -> bool:
        return bool(self._cells)

    @property
    def competitors(self) -> list[str]:
        """Names in the order in which they were measured."""
        return list(dict.fromkeys(name for name, _ in self._cells))

    @property
    def operations(self) -> list[str]:
        """Operations that have a cell."""
        found = {operation for _, operation in self._cells}
        return [name for name in OPERATIONS | LARGE_ONLY if name in found]

    def cell(self, competitor: str, operation: str) -> Cell | None:
        """Return a cell."""
        return self._cells.get((competitor, operation))

    def ratio(self, own: str, other: str, operation: str) -> float | None:
        """Return one figure divided by the other; None unless both exist."""
        one, two = self.cell(own, operation), self.cell(other, operation)
        if one is None or two is None or one.value is None or not two.value:
            return None
        return one.value / two.value


def load(path: Path) -> Results:
    """Return stored results.

    Raises
    ------
    OSError, msgspec.ValidationError
    """
    return msgspec.json.decode(path.read_bytes(), type=Results)
