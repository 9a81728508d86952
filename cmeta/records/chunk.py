"""A chunk: some consecutive records as checked, typed columns, before they are cut into batches.

The encoder takes chunks only: of a user's arrays, of a decoded batch, of the rows of a journal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cmeta.aliases import Array, Mask, Rows
from cmeta.schema.types import Field


class Column(NamedTuple):
    """Values and which of them are present.

    Attributes
    ----------
    values : array, (n_records,) or (n_records, num_components)
    present : bool array, (n_records,), or None
        None: all are. The value of an absent cell has no meaning.
    """

    values: Array
    present: Mask | None

    def mask(self) -> Mask:
        """Return `present` as an array, all True if every record has a value."""
        return np.ones(len(self.values), bool) if self.present is None else self.present

    def rows(self, rows: Rows) -> Column:
        """Return the column of some records."""
        return Column(self.values[rows], None if self.present is None else self.present[rows])

    def recorded(self) -> Array:
        """Return the values that are present."""
        return self.values if self.present is None else self.values[self.present]

    def masked(self) -> Array:
        """Return the values, as a masked array if any are absent."""
        if self.present is None or self.present.all():
            return self.values
        absent = ~self.present
        width = self.values.shape[1:]
        mask = np.repeat(absent[:, None], width[0], 1) if width else absent
        return np.ma.MaskedArray(self.values, mask)

    def components(self) -> Iterator[Column]:
        """Yield the columns of a vector's components, contiguous; of a scalar, itself."""
        for part in self.values.T if self.values.ndim == 2 else (self.values,):
            yield Column(np.ascontiguousarray(part), self.present)

    @classmethod
    def of_components(cls, parts: list[Column], field: Field) -> Column:
        """Return the column of a field from those of its components."""
        if not field.num_components:
            return parts[0]
        return cls(np.stack([part.values for part in parts], axis=1), parts[0].present)


@dataclass(frozen=True)
class Chunk:
    """Some consecutive records.

    Attributes
    ----------
    num_records : int
    columns : dict of Field to Column
        Fields that at least one record has; always timestamp and phase.
    configs : tuple of bytes
        Canonical configurations; the config column holds places in it.
    """

    num_records: int
    columns: Mapping[Field, Column]
    configs: tuple[bytes, ...] = ()

    @property
    def fields(self) -> Iterable[Field]:
        """The fields that at least one record has."""
        return self.columns.keys()

    def column(self, field: Field) -> Column | None:
        """Return the column of a field, or None if no record has it."""
        return self.columns.get(field)

    def slice(self, start: int, end: int) -> Chunk:
        """Return the records from `start` up to `end`."""
        return self._of(slice(start, end), end - start)

    def take(self, rows: npt.NDArray[np.intp]) -> Chunk:
        """Return some records, by number, in order."""
        return self._of(rows, len(rows))

    def _of(self, rows: Rows, num_records: int) -> Chunk:
        columns = {}
        for field, column in self.columns.items():
            part = column.rows(rows)
            if part.present is None or part.present.any():
                columns[field] = part
        return Chunk(num_records, columns, self.configs)


def goes_back(timestamps: Array, phases: Array) -> Mask:
    """Return which records, from the second on, go back in (timestamp, phase): (n_records - 1,)."""
    back: Mask = timestamps[1:] == timestamps[:-1]
    back &= phases[1:] < phases[:-1]
    back |= timestamps[1:] < timestamps[:-1]
    return back


def join(pieces: list[Chunk]) -> Chunk:
    """Return consecutive chunks as one."""
    configs: dict[bytes, int] = {}
    num_records = sum(piece.num_records for piece in pieces)
    fields = {f: None for piece in pieces for f in piece.columns}
    columns = {}
    for declared in fields:
        parts, masks = [], []
        for piece in pieces:
            column = piece.columns.get(declared)
            if column is None:
                width = (declared.num_components,) if declared.num_components else ()
                shape = (piece.num_records, *width)
                parts.append(np.zeros(shape, declared.dtype.newbyteorder("=")))
                masks.append(np.zeros(piece.num_records, bool))
                continue
            values = column.values
            if declared.type == "config" and piece.configs:
                places = [configs.setdefault(c, len(configs)) for c in piece.configs]
                values = np.array(places, np.uint32)[np.minimum(values, len(places) - 1)]
            parts.append(values)
            masks.append(column.mask())
        present = np.concatenate(masks)
        columns[declared] = Column(np.concatenate(parts), None if present.all() else present)
    return Chunk(num_records, columns, tuple(configs))
