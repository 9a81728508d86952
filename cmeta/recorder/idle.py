"""A session of a process that does not record, mostly because rank 0 of its training does.

It checks and counts as a session that records, and keeps its newest records in memory, so that
every rank of a training takes the same steps and sees the same errors. It reads the file that is
resumed, and writes nothing.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from cmeta.errors import RecorderError
from cmeta.format.journal import Framer, RowLayout
from cmeta.recorder.newest import NewestRecords
from cmeta.recorder.options import Options
from cmeta.recorder.pending import JournalFile, PendingRecords
from cmeta.recorder.resume import read_start
from cmeta.recorder.row_builder import Row, RowBuilder
from cmeta.recorder.run_path import RunPath, shown
from cmeta.recorder.state import State
from cmeta.records import seeds
from cmeta.records.record import CycleRecord
from cmeta.storage.disk import File


class IdleSession:
    """A session that writes nothing; as `Session` otherwise.

    Parameters
    ----------
    target : RunPath
        Of the file that rank 0 records.
    options : Options

    Raises
    ------
    RecorderError, OSError
        As `Recorder`.
    """

    is_recording = False
    num_dropped, dropped_to = 0, None  # rank 0 drops and moves

    def __init__(self, target: RunPath, options: Options) -> None:
        path = None if target.is_new else next(target.files(0))
        self.path = path  # of rank 0; None where only rank 0 knows the name
        self.name = target.text if path is None else str(shown(path))
        self.place = options.place
        options = dataclasses.replace(options, place=self.place.of_recorder)
        start = read_start(path, options)
        encoder = start.encoder
        self.schema = encoder.schema
        self.config = start.config if self.schema.config_field else None
        self.is_config_guessed, self.steps = start.is_config_guessed, start.steps
        self.origin = options.origin.after(seeds.origin_in(start.config))
        self.is_closed = False
        layout = RowLayout(self.schema, encoder.grammar)
        self.row_builder = RowBuilder(layout, leave_on_device=options.flush_every > 1)
        num_before = encoder.progress.num_records
        self.pending = PendingRecords(
            layout, encoder.grammar, num_before, start.bodies, start.tables, start.last,
            flush_every=options.flush_every, is_durable=False,
            max_records=max(1, options.num_kept),
        )  # fmt: skip
        journal = JournalFile(_Nowhere(), Framer(encoder.grammar, 0))
        with self.pending.lock:
            self.pending.switch(journal, 0)
        self._newest = NewestRecords(path or Path(), layout, self.pending, num_before)
        self._num_at_start, self._digest = self.pending.num_records, start.digest

    @property
    def status(self) -> str:
        """What it does, for a person."""
        return f"not recording, as {self.place}" if self.place.rank else "not recording"

    @property
    def notice(self) -> str:
        """What a user must know; "" if the process leaves nothing to rank 0."""
        if not self.place.rank:
            return ""
        return (
            f"{self.name}: this process does not record: it is {self.place} (by "
            f"{self.place.evidence}), and rank 0 records. {{rank}} in the path records every rank; "
            "rank=0 makes this process a run of its own"
        )

    def drawn_root(self) -> int | None:
        """Return None: a run without a root draws one."""
        return None

    def set_config_in_force(self, body: bytes) -> None:
        """Do nothing: there is no journal to say it in."""

    def record(self, row: Row) -> None:
        """Take a record, and forget those that would be a full batch."""
        pending = self.pending
        if self.is_closed:
            raise RecorderError(f"{self.name}: the recorder is closed")
        with pending.lock:
            pending.append(row)
            size = self.schema.batch_records
            if len(pending.bodies) >= size:
                pending.drop(size)

    def flush(self) -> None:
        """Take the records that wait for their group."""
        with self.pending.lock:
            self.pending.flush()

    def seal(self) -> int:
        """Return 0: no batch is in a file."""
        self.flush()
        return 0

    def newest(self, count: int) -> list[CycleRecord]:
        """Return up to `count` of the newest records, as this process has logged them."""
        if count == 0:
            return []
        self.flush()
        try:
            return self._newest.get(count)
        except FileNotFoundError:  # where the file of rank 0 cannot be seen
            return []

    def verified(self) -> None:
        """Return None: nothing is compared."""

    def state(self) -> State:
        """Return the state to resume at; without a digest once this process has logged.

        The other values of the records are rank 0's, and differ from those logged here.
        """
        self.flush()
        state = self.pending.state
        digest = self._digest if state.num_records == self._num_at_start else None
        return State(state.num_records, state.timestamp, digest)

    def close(self, status: int = 0) -> bool:
        """Take no more records."""
        was_closed, self.is_closed = self.is_closed, True
        return not was_closed

    def after_fork(self) -> None:
        """Do nothing: there is nothing that a child could spoil."""


class _Nowhere(File):
    """A file that keeps nothing."""

    def __init__(self) -> None:
        super().__init__(Path(), -1)

    def write(self, data: bytes, offset: int) -> None:
        """Do nothing."""

    def sync(self) -> None:
        """Do nothing."""
