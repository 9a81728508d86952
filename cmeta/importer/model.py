"""What a source makes of another tool's file: columns as `cmeta.write` takes them, and what it had
to leave behind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cmeta.schema import Schema


@dataclass(frozen=True)
class Imported:
    """A run that another tool has kept, ready to be written.

    Attributes
    ----------
    columns : mapping of str to array, (n_records,) or (n_records, k)
        By dotted name, masked where a value is absent; in any order of records: the engine sorts
        them by (timestamp, phase), stably, and says so if it had to. Phases by name.
    schema : Schema
    configs : sequence of mapping
        The configurations that a column ``config`` of places points to; without that column a
        single one holds for every record.
    lost : sequence of str
        What the file holds and a chronicle cannot, a sentence each.
    """

    columns: Mapping[str, Any]
    schema: Schema
    configs: Sequence[Mapping[str, Any]] = ()
    lost: Sequence[str] = field(default=())
