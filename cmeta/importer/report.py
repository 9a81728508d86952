"""`ImportReport`: what an import wrote, what it changed on the way, and what it left behind."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any


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
