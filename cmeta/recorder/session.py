"""A session: a chronicle that is open for writing, from taking its lock to releasing it.

It connects the pending records, the committer and the sealer; `Recorder` is its public face.
"""

from __future__ import annotations

import os
from glob import escape
from pathlib import Path

from cmeta.errors import RecorderError
from cmeta.format.batch import RowBatch
from cmeta.format.journal import RowLayout
from cmeta.reader.reader import Reader
from cmeta.reader.selection import take
from cmeta.recorder.commit import Committer
from cmeta.recorder.live_sessions import let_go, lock_of
from cmeta.recorder.options import Options
from cmeta.recorder.pending import PendingRecords
from cmeta.recorder.resume import StartingPoint, find_start
from cmeta.recorder.row_builder import Row, RowBuilder
from cmeta.recorder.sealer import Sealer
from cmeta.records import seeds
from cmeta.records.chunk import Chunk
from cmeta.records.config import config_json
from cmeta.records.record import CycleRecord, records_of
from cmeta.schema import canonical_json
from cmeta.storage.atomic import RECORDER_TEMPORARY
from cmeta.storage.disk import Disk
from cmeta.storage.open import journal_path


class Session:
    """A chronicle that is open for writing.

    Raises
    ------
    ExistsError, LockedError, RecorderError, OSError
        As `Recorder`.
    """

    def __init__(self, path: Path, options: Options, disk: Disk) -> None:
        self.path = path
        self._pid = os.getpid()
        self._is_forked = self.is_closed = False
        self._lock = lock_of(path, options.mode)
        try:
            _remove_leftovers(path, disk)
            self._open(find_start(path, options, disk), options, disk)
        except BaseException:
            self._lock.release()
            raise

    def _open(self, start: StartingPoint, options: Options, disk: Disk) -> None:
        encoder = start.encoder
        self.schema = encoder.schema
        self.config = start.config if self.schema.config_field else None
        self.is_config_guessed = start.is_config_guessed
        self.root = options.root if options.root is not None else seeds.root_in(start.config)
        self.num_dropped, self.dropped_to = start.num_dropped, start.dropped_to
        self._layout = layout = RowLayout(self.schema, encoder.grammar)
        self.row_builder = RowBuilder(layout, leave_on_device=options.flush_every > 1)
        self.precision = self.row_builder.precision
        self._num_sealed_before = encoder.progress.num_records
        self.pending = PendingRecords(
            layout, encoder.grammar, self._num_sealed_before, start.bodies, start.tables,
            start.last,
            config_in_force=b"" if start.config is None else config_json(start.config),
            flush_every=options.flush_every,
            is_durable=options.durability == "fsync", max_records=max(1, options.num_kept),
        )  # fmt: skip
        self._committer = committer = Committer(disk, self.path, encoder, self.pending)
        # Its thread comes first: without one, nothing may be created.
        self._sealer = Sealer(committer, self.pending, layout, self._release, self._count_losses)
        try:
            if start.replaces:
                disk.unlink(self.path)
                disk.sync_folder(self.path.parent)
            if start.data:
                committer.create(start.data)
            else:
                committer.reopen()
        except BaseException:
            self._sealer.stop()
            raise
        self._batch_records = self.schema.batch_records
        self._sealer.wake()  # the rows of an earlier session may fill a batch

    def drawn_root(self) -> int | None:
        """Return the root of seeds that a run without one must take; None: it draws one."""
        return None

    # ------------------------------------------------------------------------------- recording

    def record(self, row: Row) -> None:
        """Take a record; it is acknowledged on return if its group is full.

        Raises
        ------
        EncodeError, OrderError, OSError, RecorderError
            As `Recorder.log`.
        """
        pending = self.pending
        if pending.needs_check:
            self._check()
        with pending.lock:
            ordinal = pending.append(row)
        if (ordinal + 1) % self._batch_records == 0:
            self._sealer.wake()
            if self._sealer.is_behind:
                pending.needs_check = True  # the next record waits; this one has been taken

    def set_config_in_force(self, body: bytes) -> None:
        """Note the configuration in force from the next record on; b"" for none.

        Raises
        ------
        OSError, RecorderError
        """
        if self.pending.needs_check:
            self._check()
        with self.pending.lock:
            self.pending.set_config_in_force(body)

    def _check(self) -> None:
        """Raise an error, start a new journal after a failed write, or let the sealer catch up."""
        if self._is_forked:
            raise RecorderError(
                f"{self.path}: belongs to the process that opened it ({self._pid}); a forked child "
                "cannot write to it"
            )
        self.precision.warn()
        if self.pending.failure:
            raise RecorderError(self.pending.failure)
        if self.is_closed:
            raise RecorderError(f"{self.path}: the recorder is closed")
        if self.pending.is_torn:
            self._sealer.rotate()
        else:
            self._sealer.catch_up()
            with self.pending.lock:
                self.pending.check()

    def _count_losses(self, chunk: Chunk) -> None:
        """Count what a batch has lost; the next record warns of it, in the user's thread."""
        self.precision.add_chunk(chunk)
        if self.precision.settle():
            self.pending.needs_check = True

    def flush(self) -> None:
        """Write the records that wait for their group; they are acknowledged on return."""
        if self.is_closed or self._is_forked:
            return
        if self.pending.failure:
            raise RecorderError(self.pending.failure)
        if self.pending.is_torn:
            self._sealer.rotate()
        with self.pending.lock:
            self.pending.flush()

    def seal(self) -> int:
        """Wait until every full batch is in the main file; return the number of its records."""
        self.flush()
        if not self.is_closed and not self._is_forked:
            self._sealer.catch_up()
        return self.pending.first

    # -------------------------------------------------------------------------- newest records

    def newest(self, count: int) -> list[CycleRecord]:
        """Return up to `count` of the newest records, in order, as the file will return them."""
        if count == 0:
            return []
        if not self.pending.failure:
            self.flush()
        with self.pending.lock:
            bodies = self.pending.newest()
            num_records = self.pending.state.num_records
        ordinals = range(max(0, num_records - count), num_records)
        records = self._records([bodies[o] for o in ordinals if o in bodies])
        missing = min(count, num_records) - len(records)
        if missing > 0 and self._num_sealed_before:
            records = self._earlier(num_records - len(records), missing) + records
        return records

    def _records(self, bodies: list[bytes]) -> list[CycleRecord]:
        if not bodies:
            return []
        chunk = self._layout.chunk_of(bodies, self.pending.tables)
        limits = self.schema.format.limits
        configs = [canonical_json.loads(body, limits) for body in chunk.configs]
        batch = RowBatch(chunk, self.schema, 0)
        return list(records_of(take(batch, slice(0, len(bodies))), configs))

    def _earlier(self, end: int, count: int) -> list[CycleRecord]:
        """Return records of an earlier session from the file, where they no longer change."""
        with Reader(self.path, partial=True) as run:
            size = run.schema.batch_records
            records: list[CycleRecord] = []
            start = max(0, end - count)
            for number in range(start // size, (end - 1) // size + 1):
                batch, first = run.batch(number), number * size
                rows = slice(max(start - first, 0), min(end - first, batch.num_records))
                records += records_of(take(batch, rows), run.configs)
            return records

    # ------------------------------------------------------------------------------------- end

    def close(self) -> bool:
        """Close the chronicle; return whether this call did."""
        if self._is_forked:
            return False
        if self.is_closed:  # or the sealer is still busy with a close that was interrupted
            self._sealer.wait()
            return False
        try:
            self._close()
        except OSError as err:
            err.add_note(
                f"{self.path} could not be closed. Every acknowledged record is in the file and "
                'its journal; mode="resume" continues it'
            )
            raise
        return True

    def _close(self) -> None:
        try:
            if not self.pending.failure:
                self.flush()
            elif not self.pending.is_torn:  # the journal is good, and keeps what is not yet in it
                with self.pending.lock:
                    self.pending.flush()
        except Exception:
            self._end()
            self._sealer.stop()
            raise
        self._end()
        self._sealer.close()

    def _end(self) -> None:
        self.is_closed = True
        self.pending.end()

    def _release(self) -> None:
        try:
            self._committer.close_files()
        finally:
            self._lock.release()
            let_go(self)

    def abandon(self) -> None:
        """Close the chronicle without waiting, because nobody holds its recorder any more.

        A finaliser calls this, in any thread, which may be the sealer's own: it takes no lock.
        """
        if not (self.is_closed or self._is_forked):
            self._end()
            self._sealer.abandon()

    def wait(self) -> None:
        """Wait for the end of a close; the chronicle is then closed, or can be resumed."""
        self._sealer.wait()

    def after_fork(self) -> None:
        """Release everything in a forked child, without writing."""
        self._is_forked = True
        self.pending.after_fork()
        self._lock.forget()


def _remove_leftovers(path: Path, disk: Disk) -> None:
    """Remove the temporary files of recorders that died; the caller holds the lock."""
    for name in (path.name, journal_path(path).name):
        for leftover in path.parent.glob(f".{escape(name)}.*{RECORDER_TEMPORARY}"):
            disk.unlink(leftover)
