"""Times: wall times in seconds, and records that state no time of their own."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from cmeta.chunk import Array, Mask
from cmeta.importer.tables.raw import RawColumn
from cmeta.importer.tables.typed import Misfit, as_field
from cmeta.schema import Field


def as_seconds(column: RawColumn) -> Array | None:
    """Return wall times as seconds since 1970, or None if they are none.

    Numbers are taken as they are; text must be dates of ISO 8601, in UTC unless it says otherwise.

    Examples
    --------
    >>> from cmeta.importer.tables.raw import as_raw
    >>> as_seconds(as_raw(["1970-01-01T00:01:00", "1970-01-02"])).tolist()
    [60.0, 86400.0]
    """
    if column.values.dtype != object:
        return _plain_seconds(column)
    found = np.zeros(len(column.values))
    for row in np.flatnonzero(column.present).tolist():
        seconds = _of_text(column.values[row])
        if seconds is None:
            return None
        found[row] = seconds
    return found


def _plain_seconds(column: RawColumn) -> Array | None:
    try:
        return as_field(column, Field("seconds", "f64"))
    except Misfit:
        return None


def _of_text(text: object) -> float | None:
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    if found is None:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def carried_on(values: Array, present: Mask) -> Array:
    """Return values with those of the record before where absent; 0 before the first.

    Examples
    --------
    >>> carried_on(np.array([0, 5, 0, 7]), np.array([False, True, False, True])).tolist()
    [0, 5, 5, 7]
    """
    if present.all():
        return values
    last = np.maximum.accumulate(np.where(present, np.arange(len(values)), -1))
    return np.where(last >= 0, values[np.maximum(last, 0)], values.dtype.type(0))
