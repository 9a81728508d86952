"""A session: a chronicle that is open for writing, from taking its lock to releasing it.

It connects the pending records, the committer and the sealer; `Recorder` is its public face.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from cmeta.errors import CmetaWarning, RecorderError, counted, warn
from cmeta.format.journal import RowLayout
from cmeta.recorder.commit import Committer
from cmeta.recorder.live_sessions import let_go, lock_of
from cmeta.recorder.newest import NewestRecords
from cmeta.recorder.options import Options
from cmeta.recorder.pending import PendingRecords
from cmeta.recorder.resume import StartingPoint, find_start
from cmeta.recorder.row_builder import Row, RowBuilder
from cmeta.recorder.sealer import Sealer
from cmeta.recorder.state import State
from cmeta.records import seeds
from cmeta.records.chunk import Chunk
from cmeta.records.config import config_json
from cmeta.records.record import CycleRecord
from cmeta.storage.atomic import RECORDER_TEMPORARY, require_replaceable, temporary_pattern
from cmeta.storage.disk import Disk, make_folders, remove_folders
from cmeta.storage.links import resolved_to_write
from cmeta.storage.open import journal_path


class Session:
    """A chronicle that is open for writing.

    Raises
    ------
    ExistsError, LockedError, RecorderError, OSError
        As `Recorder`.
    """

    activity = "recording"

    def __init__(self, path: Path, options: Options, disk: Disk) -> None:
        self.path = path = resolved_to_write(path)
        self._pid = os.getpid()
        self._is_forked = self.is_closed = self._is_abandoned = False
        self.successor = ""  # where its file was opened again, by which it was closed
        require_replaceable(path)
        made = make_folders(path.parent)
        try:
            self._lock = lock_of(path, options.mode)
            try:
                _remove_leftovers(path, disk)
                self._open(find_start(path, options, disk), options, disk)
            except BaseException:
                self._lock.release()
                raise
        except BaseException:
            remove_folders(made)
            raise

    def _open(self, start: StartingPoint, options: Options, disk: Disk) -> None:
        encoder = start.encoder
        self.schema = encoder.schema
        self.config = start.config if self.schema.config_field else None
        self.is_config_guessed, self.steps = start.is_config_guessed, start.steps
        self.origin = options.origin.after(seeds.origin_in(start.config))
        self.num_dropped, self.dropped_to = start.num_dropped, start.dropped_to
        layout = RowLayout(self.schema, encoder.grammar)
        self.row_builder = RowBuilder(layout, leave_on_device=options.flush_every > 1)
        self.precision = self.row_builder.precision
        num_before = encoder.progress.num_records
        self.pending = PendingRecords(
            layout, encoder.grammar, num_before, start.bodies, start.tables,
            start.last,
            config_in_force=b"" if start.config is None else config_json(start.config),
            flush_every=options.flush_every,
            is_durable=options.durability == "fsync", max_records=max(1, options.num_kept),
        )  # fmt: skip
        self._newest = NewestRecords(self.path, layout, self.pending, num_before)
        self._committer = committer = Committer(disk, self.path, self._lock, encoder, self.pending)
        # Its thread comes first: without one, nothing may be created.
        self._sealer = Sealer(committer, self.pending, layout, self._release, self._count_losses)
        try:
            if start.data:
                committer.create(start.data, replaces=start.replaces)
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
            raise RecorderError(self._foreign)
        self.precision.warn()
        if self.pending.failure:
            raise RecorderError(self.pending.failure)
        if self.is_closed:
            by = (
                f", because its file was opened again at {self.successor}" if self.successor else ""
            )
            raise RecorderError(f"{self.path}: the recorder is closed{by}")
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

    @property
    def _foreign(self) -> str:
        return (
            f"{self.path}: belongs to the process that opened it ({self._pid}); a forked child "
            "cannot write to it"
        )

    @property
    def is_recording(self) -> bool:
        """Whether records are taken."""
        return not (self.is_closed or self._is_forked or self.pending.failure)

    def flush(self) -> None:
        """Write the records that wait for their group; they are acknowledged on return."""
        if self.is_closed or self._is_forked:
            return
        if self.pending.failure:
            raise RecorderError(self.pending.failure)
        if not self.pending.num_waiting:  # a torn journal may wait for the next record, too
            return
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

    # --------------------------------------------------------------------------------- contents

    def newest(self, count: int) -> list[CycleRecord]:
        """Return up to `count` of the newest records, in order, as the file will return them."""
        if count == 0:
            return []
        if not self.pending.failure:
            self.flush()
        return self._newest.get(count)

    def verified(self) -> None:
        """Return None: nothing is compared."""

    def state(self) -> State:
        """Return the state to resume at: of all records that have been logged.

        Raises
        ------
        OSError
            The journal cannot be written.
        RecorderError
            The file could not be closed, or this is a forked child.
        """
        if self._is_forked:
            raise RecorderError(self._foreign)
        if not self.is_closed:
            self.flush()
            return self._sealer.state()
        if not self._committer.is_finished:
            raise RecorderError(
                f'{self.path}: could not be closed; mode="resume" continues it, and has its state'
            )
        state = self.pending.state
        return State(state.num_records, state.timestamp, self._committer.digest(()))

    # ------------------------------------------------------------------------------------- end

    def close(self, status: int = 0) -> bool:
        """Close the chronicle; return whether this call did.

        Parameters
        ----------
        status : int
            How the run ended, as INDEX states it.
        """
        if self._is_forked:
            return False
        if self.is_closed:  # or the sealer is still busy with a close that was interrupted
            self._sealer.wait()
            return False
        self._committer.status = status
        try:
            self._close()
        except OSError as err:
            waiting = counted(self.pending.num_waiting, "record")
            lost = f"; {waiting} of the last group may be lost" if self.pending.num_waiting else ""
            err.add_note(
                f"{self.path} could not be closed. Every acknowledged record is in the file and "
                f'its journal; mode="resume" continues it{lost}'
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
            if self._is_abandoned:
                self._say_the_rest()

    def _say_the_rest(self) -> None:
        """Warn, in the sealer's thread, of what a recorder says when it is closed."""
        with suppress(CmetaWarning):  # where warnings are errors, nobody is there to get this one
            self.precision.warn()
            for error in self.pending.left_out:
                warn(f"{self.path}: {error}")

    def abandon(self) -> bool:
        """Close the chronicle without waiting, because nobody holds its recorder any more.

        A finaliser calls this, in any thread, which may be the sealer's own: it takes no lock.
        """
        if self.is_closed or self._is_forked:
            return False
        self._is_abandoned = True
        self._end()
        self._sealer.abandon()
        return True

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
    patterns = [temporary_pattern(target) for target in (path, journal_path(path))]
    for name in os.listdir(path.parent):
        matches = [match for pattern in patterns if (match := pattern.fullmatch(name))]
        if any(match["suffix"] == RECORDER_TEMPORARY for match in matches):
            disk.unlink(path.with_name(name))
