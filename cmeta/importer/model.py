"""What stands between a source and the engine: what an import may be asked for, and what a source
makes of another tool's file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cmeta.schema import Schema


def _ignore(done: int, size: int) -> None:
    """Take progress, and do nothing."""


@dataclass(frozen=True)
class ImportOptions:
    """What a source is asked for.

    Attributes
    ----------
    phase : str or None
        The phase of records that do not state theirs; None: "train".
    run : str or None
        Which run, of a source that holds several.
    schema : Schema or None
        The schema that the user has stated; None: `default_schema`, or the one that the file
        carries.
    progress : callable
        Called with bytes done and bytes in all; a source need not.
    """

    phase: str | None = None
    run: str | None = None
    schema: Schema | None = None
    progress: Callable[[int, int], None] = _ignore

    @property
    def default_phase(self) -> str:
        """The phase of records that do not state theirs."""
        return self.phase or "train"


@dataclass(frozen=True)
class Imported:
    """A run that another tool has kept, ready to be written.

    Attributes
    ----------
    columns : mapping of str to array, (n_records,) or (n_records, k)
        By dotted name, masked where a value is absent; in any order of records: the engine sorts
        them by (timestamp, phase), stably, and says so if it had to. Phases by name or code.
    schema : Schema
        The engine makes declared floats exact where their values would not be kept as they are.
    configs : sequence of mapping
        The configurations that a column ``config`` of places points to; without that column a
        single one holds for every record.
    lost : sequence of str
        What the file holds and a chronicle cannot, a sentence each.
    notes : sequence of str
        What was understood or changed on the way without loss, a sentence each.
    damage : sequence of str
        Where the file was cut off or corrupt, so that records may be missing, a sentence each.
    is_schema_stated : bool
        The schema came with the file or from the user: the engine leaves it as it is.
    """

    columns: Mapping[str, Any]
    schema: Schema
    configs: Sequence[Mapping[str, Any]] = ()
    lost: Sequence[str] = field(default=())
    notes: Sequence[str] = field(default=())
    damage: Sequence[str] = field(default=())
    is_schema_stated: bool = False
