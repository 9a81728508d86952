"""The newest records of a session, with exactly the values that the file will return."""

from __future__ import annotations

from pathlib import Path

from cmeta.format.batch import RowBatch
from cmeta.format.journal import RowLayout
from cmeta.reader.reader import Reader
from cmeta.reader.selection import take
from cmeta.recorder.pending import PendingRecords
from cmeta.records.record import CycleRecord, records_of
from cmeta.schema import canonical_json


class NewestRecords:
    """The newest records: from the rows in memory, and before them from the file.

    Parameters
    ----------
    path : Path
    layout : RowLayout
    pending : PendingRecords
        Flushed by the caller.
    num_before : int
        Records in the file that earlier sessions have sealed.
    """

    def __init__(
        self, path: Path, layout: RowLayout, pending: PendingRecords, num_before: int
    ) -> None:
        self._path, self._layout, self._pending = path, layout, pending
        self._num_before = num_before

    def get(self, count: int) -> list[CycleRecord]:
        """Return up to `count` of the newest records, in order."""
        with self._pending.lock:
            bodies = self._pending.newest()
            num_records = self._pending.state.num_records
        ordinals = range(max(0, num_records - count), num_records)
        records = self._records([bodies[o] for o in ordinals if o in bodies])
        missing = min(count, num_records) - len(records)
        if missing > 0 and self._num_before:
            records = self._earlier(num_records - len(records), missing) + records
        return records

    def _records(self, bodies: list[bytes]) -> list[CycleRecord]:
        if not bodies:
            return []
        schema = self._layout.schema
        chunk = self._layout.chunk_of(bodies, self._pending.tables)
        configs = [canonical_json.loads(body, schema.format.limits) for body in chunk.configs]
        batch = RowBatch(chunk, schema, 0)
        return list(records_of(take(batch, slice(0, len(bodies))), configs))

    def _earlier(self, end: int, count: int) -> list[CycleRecord]:
        """Return records of an earlier session from the file, where they no longer change."""
        with Reader(self._path, partial=True) as run:
            size = run.schema.batch_records
            records: list[CycleRecord] = []
            start = max(0, end - count)
            for number in range(start // size, (end - 1) // size + 1):
                batch, first = run.batch(number), number * size
                rows = slice(max(start - first, 0), min(end - first, batch.num_records))
                records += records_of(take(batch, rows), run.configs)
            return records
