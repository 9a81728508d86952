"""What has been measured, as data: kept as JSON, from which tables and picture are made."""

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

# In the order of the tables: what is measured, and in what.
OPERATIONS = {
    "size": "bytes", "write": "s", "read": "s", "column": "s", "range": "s", "append": "s",
    "open": "s", "verify": "s", "memory, write": "bytes", "memory, read": "bytes",
}  # fmt: skip
LARGE_ONLY = {"scan": "s"}  # of what is too long to be read at once


@dataclass(frozen=True)
class Cell:
    """One figure, or why there is none.

    Attributes
    ----------
    contestant, kind : str
    num_records : int
    operation : str
        One of `OPERATIONS`.
    threads : int
    value : float or None
        Seconds or bytes.
    spread : float
        Of a time: between the quartiles, as a share of the median.
    rounds : int
    reason : str
        Why there is no value.
    """

    contestant: str
    kind: str
    num_records: int
    operation: str
    threads: int = 1
    value: float | None = None
    spread: float = 0.0
    rounds: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Loss:
    """Columns that did not come back as they were given."""

    contestant: str
    kind: str
    num_records: int
    columns: list[str]


@dataclass
class Results:
    """Everything that a run of the bench has found.

    Attributes
    ----------
    head : list of (what, text)
        Date, machine, versions, commands.
    cells : list of Cell
    losses : list of Loss
    notes : dict of str to dict of str to str
        What must be known of a contestant's figures, by operation.
    syncs : dict of str to str
        What each does before a write returns.
    sections : list of Section
        The parts beside the matrix.
    complete : bool
        Whether the run went to its end.
    """

    head: list[tuple[str, str]] = field(default_factory=list)
    cells: list[Cell] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    notes: dict[str, dict[str, str]] = field(default_factory=dict)
    syncs: dict[str, str] = field(default_factory=dict)
    sections: list[Section] = field(default_factory=list)
    complete: bool = False

    def save(self, path: Path) -> None:
        """Write, complete or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".new")
        temporary.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1))
        os.replace(temporary, path)

    def of(self, kind: str, num_records: int, threads: int = 1) -> Grid:
        """Return the cells of a kind and a number of records."""
        return Grid(
            cell
            for cell in self.cells
            if (cell.kind, cell.num_records, cell.threads) == (kind, num_records, threads)
        )

    def lost(self, contestant: str, kind: str) -> list[str]:
        """Return the columns that a contestant lost of a kind, whatever the number of records."""
        found = [x.columns for x in self.losses if (x.contestant, x.kind) == (contestant, kind)]
        return list(dict.fromkeys(name for names in found for name in names))


class Grid:
    """Cells by contestant and operation."""

    def __init__(self, cells: Iterable[Cell]) -> None:
        self._cells = {(cell.contestant, cell.operation): cell for cell in cells}

    def __bool__(self) -> bool:
        return bool(self._cells)

    @property
    def contestants(self) -> list[str]:
        """Their names, in the order of measuring."""
        return list(dict.fromkeys(name for name, _ in self._cells))

    @property
    def operations(self) -> list[str]:
        """Those of which there is a cell."""
        found = {operation for _, operation in self._cells}
        return [name for name in OPERATIONS | LARGE_ONLY if name in found]

    def cell(self, contestant: str, operation: str) -> Cell | None:
        """Return a cell."""
        return self._cells.get((contestant, operation))

    def ratio(self, own: str, other: str, operation: str) -> float | None:
        """Return one's figure through the other's; None unless both have one."""
        one, two = self.cell(own, operation), self.cell(other, operation)
        if one is None or two is None or one.value is None or not two.value:
            return None
        return one.value / two.value


def load(path: Path) -> Results:
    """Return what was saved.

    Raises
    ------
    OSError, msgspec.ValidationError
    """
    return msgspec.json.decode(path.read_bytes(), type=Results)
