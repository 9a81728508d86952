"""The wall time of records: a field that a recorder fills, if the schema of the file has it.

The schema decides, and `Schema.with_wall_time` declares the field. ``Recorder(wall_time=True)`` and
the environment variable add it to the schema of a new file only. The variable is a wish for every
run that can have the field; it never makes a recorder refuse a file or a schema.
"""

from __future__ import annotations

import os
import time

from cmeta.errors import EncodeError
from cmeta.recorder.row_builder import Row, Slot

VARIABLE = "CMETA_WALL_TIME"
_NANOSECONDS = 1_000_000  # in a millisecond

clock = time.time_ns  # replaced by tests


def is_wished() -> bool:
    """Return whether the environment asks for wall times.

    Raises
    ------
    EncodeError
        The variable is neither 0 nor 1.
    """
    value = os.environ.get(VARIABLE, "").strip()
    if value not in ("", "0", "1"):
        raise EncodeError(f"{VARIABLE}: found {value!r}, expected 0 or 1")
    return value == "1"


def fill(row: Row, slot: Slot) -> None:
    """Give a record the present time, unless it has one from the user."""
    if not row.present & slot.bit:
        row.values[slot.position] = max(0, clock() // _NANOSECONDS)
        row.present |= slot.bit
