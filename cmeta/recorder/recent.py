"""The newest records of a run that is being recorded, as the file will return them."""

from __future__ import annotations

from pathlib import Path

from cmeta.format.journal_rows import RowBatch, RowLayout
from cmeta.reader.reader import Reader
from cmeta.reader.records import records_of
from cmeta.recorder.pending import Ledger
from cmeta.records.record import CycleRecord
from cmeta.schema import canonical_json


class RecentRecords:
    """See the module.

    Parameters
    ----------
    layout : RowLayout
    ledger : Ledger
    path : Path
        Of the chronicle, for records of an earlier session.
    num_before : int
        How many records of earlier sessions are not rows of the ledger.
    """

    def __init__(self, layout: RowLayout, ledger: Ledger, path: Path, num_before: int) -> None:
        self._layout, self._ledger, self._path = layout, ledger, path
        self._num_before = num_before

    def newest(self, count: int) -> list[CycleRecord]:
        """Return up to `count` of the newest records, the last one last."""
        with self._ledger.lock:
            rows = self._ledger.newest()
            num_records = self._ledger.tail.num_records
        ordinals = [o for o in range(max(0, num_records - count), num_records) if o in rows]
        records = self._records([rows[o] for o in ordinals])
        missing = min(count, num_records) - len(records)
        if missing > 0 and self._num_before:
            records = self._earlier(num_records - len(records), missing) + records
        return records

    def _records(self, bodies: list[bytes]) -> list[CycleRecord]:
        if not bodies:
            return []
        tables = self._ledger.tables
        chunk = self._layout.chunk_of(bodies, tables)
        limits = self._layout.schema.format.limits
        configs = [canonical_json.loads(body, limits) for body in chunk.configs]
        batch = RowBatch(chunk, self._layout.schema, 0)
        return list(records_of(batch, slice(0, len(bodies)), configs))

    def _earlier(self, before: int, count: int) -> list[CycleRecord]:
        """Return records of an earlier session: what was there at its end is never changed."""
        with Reader(self._path, partial=True) as run:
            size, _ = run.schema.batch_records, run.names  # which batches must know
            found: list[CycleRecord] = []
            start = max(0, before - count)
            for ordinal in range(start // size, (before - 1) // size + 1):
                batch = run.batch(ordinal)
                first = max(start - ordinal * size, 0)
                rows = slice(first, min(before - ordinal * size, batch.num_records))
                found += records_of(batch, rows, run.configs)
            return found
