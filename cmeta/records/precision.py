"""`PrecisionTally`: what declared floats lose by being stored, and the warning where it matters.

It matters when a value that is not zero becomes zero, when a finite one becomes infinite, or when
most of a field's values lose more than 0.1%. A recorder asks at the end of each batch, `write` at
the end of the file; each field is mentioned once.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np

from cmeta.aliases import Array
from cmeta.errors import PrecisionWarning, counted, warn
from cmeta.records.chunk import Chunk
from cmeta.schema.schema import Schema, default_schema
from cmeta.schema.types import Field

_TOLERANCE = 1e-3  # relative
_QUANTA_OF_TOLERANCE = 0.5 / _TOLERANCE  # from this many quanta on, rounding loses less


@dataclass
class _Losses:
    """What one field has lost since the last question."""

    num_values: int = 0
    num_imprecise: int = 0  # those below included
    num_vanished: int = 0
    num_overflowed: int = 0
    example: tuple[float, float] | None = None  # a value, and what is stored; of the worst kind
    severity: int = 0

    def show(self, severity: int, given: float, stored: float) -> None:
        """Keep an example, unless there is one of a worse kind."""
        if severity > self.severity:
            self.severity, self.example = severity, (given, stored)


class PrecisionTally:
    """Counts the losses of declared floats, for one file; any thread may add.

    Parameters
    ----------
    schema : Schema
    """

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._losses: dict[Field, _Losses] = {}
        self._mentioned: set[Field] = set()
        self._due: list[str] = []
        self._lock = threading.Lock()

    def add_chunk(self, chunk: Chunk) -> None:
        """Add the columns of a chunk, as far as their types lost nothing."""
        for field, column in chunk.columns.items():
            if field.quanta_per_unit and field.declared and field not in self._mentioned:
                values = column.recorded()
                self.add(field, values, values)

    def add(self, field: Field, given: Array, typed: Array) -> None:
        """Add values: as given, and rounded to the type of the field."""
        with self._lock:
            losses = self._losses.setdefault(field, _Losses())
            losses.num_values += given.size
            _count(losses, given, typed, field)

    def add_value(self, field: Field, given: float, typed: float) -> None:
        """Add one value that the type of the field changes more than it may; not to be counted."""
        with self._lock:
            losses = self._losses.setdefault(field, _Losses())
            _count(losses, np.array([given]), np.array([typed]), field)

    def settle(self) -> bool:
        """Find the fields to be warned of; return whether there are any. Counting begins anew."""
        with self._lock:
            for field, losses in self._losses.items():
                if field not in self._mentioned and _matters(losses):
                    self._mentioned.add(field)
                    self._due.append(_message(field, losses, self._schema))
            self._losses.clear()
            return bool(self._due)

    def warn(self) -> None:
        """Warn of the fields that `settle` has found; the warnings point at the user's line."""
        with self._lock:
            due, self._due = self._due, []
        for text in due:
            warn(text, PrecisionWarning)


def _matters(losses: _Losses) -> bool:
    return bool(
        losses.num_vanished or losses.num_overflowed or 2 * losses.num_imprecise > losses.num_values
    )


def _count(losses: _Losses, given: Array, typed: Array, field: Field) -> None:
    quanta = field.quanta_per_unit
    # Rounding changes a value by half a quantum at most, so only a small one can lose as much; and
    # one beyond the range of the type.
    least = _QUANTA_OF_TOLERANCE / quanta if quanta else float(np.finfo(field.dtype.name).tiny)
    with np.errstate(invalid="ignore"):  # a signalling NaN
        magnitude = np.abs(given)
        suspect = (magnitude > 0) & (magnitude < least)
        suspect |= np.isfinite(given) & ~np.isfinite(typed)
    if not suspect.any():
        return
    values = given[suspect].astype(np.float64)
    stored = typed[suspect].astype(np.float64)
    if quanta:
        with np.errstate(over="ignore"):
            stored = np.where(np.isfinite(stored), np.rint(stored * quanta) / quanta, stored)
    with np.errstate(invalid="ignore"):
        imprecise = np.abs(stored - values) > _TOLERANCE * np.abs(values)
    kinds = (imprecise, stored == 0, np.isinf(stored))
    losses.num_imprecise += int(imprecise.sum())
    losses.num_vanished += int(kinds[1].sum())
    losses.num_overflowed += int(kinds[2].sum())
    for severity, chosen in enumerate(kinds, 1):
        if severity > losses.severity and chosen.any():
            place = int(np.argmax(chosen))
            losses.show(severity, float(values[place]), float(stored[place]))


def _message(field: Field, losses: _Losses, schema: Schema) -> str:
    given, stored = losses.example or (0.0, 0.0)
    if losses.num_overflowed:
        loss, num = "as inf", losses.num_overflowed
    elif losses.num_vanished:
        loss, num = "as 0", losses.num_vanished
    else:
        loss, num = "with an error of more than 0.1%", losses.num_imprecise
    verb = "is" if num == 1 else "are"
    is_type = bool(losses.num_overflowed) or field.exact
    reason = f"its type is {field.type}" if is_type else f"its quantum is 1/{field.quanta_per_unit}"
    options = "type='f64', exact=True" if is_type else "exact=True"
    source = "cmeta.default_schema()" if schema == default_schema() else "schema"
    return (
        f"{field.path}: {counted(num, 'value')} {verb} stored {loss}, such as {given:.6g} as "
        f"{stored:.6g}, because {reason}; to keep them, use "
        f"schema={source}.with_options({field.path!r}, {options})"
    )
