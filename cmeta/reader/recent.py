"""The recent records of an open file: its journal's rows, as batches behind the sealed ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from cmeta import canonical
from cmeta.chunk import Chunk
from cmeta.errors import CorruptError
from cmeta.journal import Journal, RowBatch
from cmeta.reader.info import BatchInfo

T = TypeVar("T")


@dataclass(frozen=True)
class Recent:
    """The rows of a journal, cut as their batches will be.

    Attributes
    ----------
    journal : Journal or None
        None for a file that is not open, or has none.
    """

    journal: Journal | None = None

    @property
    def num_records(self) -> int:
        """How many there are."""
        return len(self.journal.bodies) if self.journal else 0

    @cached_property
    def _chunks(self) -> tuple[Chunk, ...]:
        journal = self.journal
        if journal is None or not journal.bodies:
            return ()
        size = journal.schema.batch_records
        return tuple(
            journal.layout.chunk_of(journal.bodies[i : i + size], journal.tables, numbered=True)
            for i in range(0, len(journal.bodies), size)
        )

    def batch(self, place: int, ordinal: int) -> RowBatch:
        """Return one of the batches."""
        if self.journal is None:
            raise AssertionError("only a journal has recent records")
        return RowBatch(self._chunks[place], self.journal.schema, ordinal)

    def infos(self, num_sealed: int, end: int) -> tuple[BatchInfo, ...]:
        """Return what an INDEX would say of them; they take no room in the file."""
        found = []
        for place in range(len(self._chunks)):
            b = self.batch(place, num_sealed + place)
            found.append(
                BatchInfo(
                    num_sealed + place, end, 0, b.num_records, b.first_timestamp, b.last_timestamp
                )
            )
        return tuple(found)

    def configs_after(self, sealed: tuple[Mapping[str, Any], ...]) -> tuple[Mapping[str, Any], ...]:
        """Return all configurations, given those of the main file."""
        if self.journal is None:
            return sealed
        limits = self.journal.schema.format.limits
        configs = self.journal.tables.configs.items()
        return _merged(sealed, {n: canonical.loads(body, limits) for n, body in configs}, "CONFIG")

    def names_after(self, sealed: tuple[str, ...]) -> tuple[str, ...]:
        """Return all names of undeclared metrics, given those of the main file."""
        return (
            sealed if self.journal is None else _merged(sealed, self.journal.tables.names, "NAME")
        )


def _merged(sealed: tuple[T, ...], recent: Mapping[int, T], kind: str) -> tuple[T, ...]:
    """Put the journal's definitions behind the main file's; where both define, they agree."""
    merged = list(sealed)
    for number, value in sorted(recent.items()):
        if number > len(merged):
            raise CorruptError(f"{kind} {number}, but {len(merged)} so far", path=f"journal.{kind}")
        if number == len(merged):
            merged.append(value)
        elif merged[number] != value:
            message = f"{kind} {number} is another one in the main file"
            raise CorruptError(message, path=f"journal.{kind}")
    return tuple(merged)
