"""What an open file holds beyond what its journal vouches for.

The journal's rows are the truth there. But where rows are missing, batches that were sealed since
the journal was begun hold them, too: they are taken if they follow without a gap, and agree with
every row that is left.
"""

from __future__ import annotations

from collections.abc import Iterator

from cmeta.journal import Journal
from cmeta.salvager.scan import Found, Scan
from cmeta.schema.rules import TIMESTAMP


def end_of_use(found: Scan, journal: Journal) -> tuple[int, int]:
    """Return up to where to use the main file, and how many records stand before."""
    length, num_records = journal.header.base_length, journal.header.base_records
    sealed = list(_sealed(found, length, journal.schema.batch_records))
    size = journal.schema.batch_records
    if len(journal.bodies) >= len(sealed) * size or not _agree(sealed, journal):
        return length, num_records
    return sealed[-1].end, num_records + len(sealed) * size


def _sealed(found: Scan, offset: int, size: int) -> Iterator[Found]:
    """Yield the full batches from an offset on, as far as all is intact."""
    for piece in found.pieces:
        if piece.offset < offset:
            continue
        if not isinstance(piece, Found) or piece.name == "INDEX":
            return
        if piece.name == "BATCH":
            if piece.row[0] != size:
                return
            yield piece


def _agree(sealed: list[Found], journal: Journal) -> bool:
    """Return whether batches begin and end as the rows do that are left of the journal."""
    if not journal.bodies:
        return True
    column = journal.chunk.columns[journal.schema[TIMESTAMP]]
    timestamps = column.values.tolist()
    size = journal.schema.batch_records
    for place, batch in enumerate(sealed):
        _, *ends = batch.row
        for at, expected in zip((place * size, (place + 1) * size - 1), ends, strict=True):
            if at < len(timestamps) and timestamps[at] != expected:
                return False
    return True
