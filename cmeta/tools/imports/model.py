"""`ImportReport`: what an import wrote, what it changed on the way, and what it left behind."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cmeta.schema.schema import Schema


@dataclass(frozen=True)
class ImportReport:
    """What became of another tool's file.

    Attributes
    ----------
    source, out : str
        Where it was read from, and the chronicle.
    format : str
        Of the source, such as ``csv``.
    num_records : int
    fields : tuple of str
        Dotted names of the fields that have a value, declared ones first.
    lost : tuple of str
        What the source holds and the chronicle does not, a sentence each.
    notes : tuple of str
        What was changed on the way without loss, a sentence each.
    damage : tuple of str
        Where the source was cut off or corrupt, so that records may be missing, a sentence each.
    """

    source: str
    out: str
    format: str
    num_records: int
    fields: tuple[str, ...]
    lost: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    damage: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether everything was kept."""
        return not self.lost and not self.damage

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {key: _plain(value) for key, value in dataclasses.asdict(self).items()}

    def __str__(self) -> str:
        counted = f"{self.num_records:,} records of {len(self.fields)} fields"
        lines = [f"{self.source}: {counted} imported from {self.format}, to {self.out}"]
        lines += [f"  note  {note}" for note in self.notes]
        lines += [f"  lost  {lost}" for lost in self.lost]
        lines += [f"  damaged  {damage}" for damage in self.damage]
        return "\n".join(lines)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


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
