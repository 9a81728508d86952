"""A session: a chronicle that has been opened for writing, until it is closed.

It takes the lock, finds out where to begin, and puts ledger, store and background together; what a
user sees of it is `Recorder`.
"""

from __future__ import annotations

import os
import threading
from glob import escape
from pathlib import Path

from cmeta.errors import ExistsError, RecorderError
from cmeta.format.grammar import grammar_of
from cmeta.format.journal_rows import RowLayout
from cmeta.recorder.commit import Store
from cmeta.recorder.options import Wishes
from cmeta.recorder.pending import Ledger
from cmeta.recorder.recent import RecentRecords
from cmeta.recorder.resume import Beginning, Continuation, begin_anew, look, require_resumable
from cmeta.recorder.row_builder import Draft, Drafter
from cmeta.recorder.sealer import Background
from cmeta.records import seeds
from cmeta.schema.load import shipped_format
from cmeta.schema.schema import default_schema
from cmeta.storage.atomic import RECORDER_TEMPORARY
from cmeta.storage.disk import Disk
from cmeta.storage.file_state import FileState, journal_path
from cmeta.storage.lock import Lock
from cmeta.storage.source import FileSource


class Session:
    """See the module.

    Raises
    ------
    ExistsError, LockedError, RecorderError, OSError
        As `Recorder`.
    """

    def __init__(self, path: Path, wishes: Wishes, disk: Disk) -> None:
        self.path, self._wishes = path, wishes
        self._pid = os.getpid()
        self._is_forked = self.is_closed = False
        self._lock = Lock(path)
        try:
            self._begin(disk)
        except BaseException:
            self._lock.release()
            raise

    def _begin(self, disk: Disk) -> None:
        wishes = self._wishes
        _remove_leftovers(self.path, disk)
        main, standing = look(self.path, grammar_of(shipped_format()))
        try:
            found, beginning = self._find_beginning(main, standing, disk)
        finally:
            if main is not None:
                main.close()
        grammar = found.encoder.grammar
        self.schema, self.root, self.config = found.schema, self._root_of(found), found.config
        self.num_dropped, self.dropped_to = found.num_dropped, found.dropped_to
        layout = RowLayout(found.schema, grammar)
        self.drafter = Drafter(layout, defer=wishes.flush_every > 1)
        self.ledger = Ledger(
            layout, grammar, flush_every=wishes.flush_every, durable=wishes.durability == "fsync",
            max_records=max(1, wishes.num_kept),
        )  # fmt: skip
        self.ledger.timestamp_place = self.drafter.timestamp_place
        if self.drafter.config_slot is not None:
            self.ledger.config_place = self.drafter.config_slot.place
        base = found.encoder.progress.num_records
        self.ledger.begin(base, found.bodies, found.tables, found.last)
        self.recent = RecentRecords(layout, self.ledger, self.path, base)
        store = Store(disk, self.path, found.schema, grammar, found.encoder, found.last_masked_crc)
        self._store = store
        try:
            if beginning and standing.kind not in ("absent", "closed"):
                disk.unlink(self.path)
                disk.sync_folder(self.path.parent)
            if beginning:
                store.create(self.ledger, beginning)
            else:
                store.reopen(self.ledger, found.encoder.header())
        except BaseException:
            store.let_go(self.ledger)
            raise
        self._last_of_batch = found.schema.batch_records - 1
        self._background = Background(store, self.ledger, layout, self._let_go)
        self._background.wake()  # what was found may fill a batch

    def _find_beginning(
        self, main: FileSource | None, standing: FileState, disk: Disk
    ) -> tuple[Beginning, bytes]:
        """Return where to begin, and for a new chronicle the bytes of its main file."""
        path, wishes = self.path, self._wishes
        if wishes.mode == "new" and standing.kind != "absent":
            raise ExistsError(_existing(path, standing.kind))
        if wishes.mode != "resume" or standing.kind == "absent":
            if wishes.resume_at is not None:
                raise RecorderError(f"{path}: does not exist, so there is nothing to resume at")
            return begin_anew(wishes.schema or default_schema())
        require_resumable(path, standing)
        if main is None:
            raise AssertionError("without a main file nothing can be continued")
        keep, timestamp = wishes.limit
        grammar = grammar_of(shipped_format())
        place = Continuation(path, main, standing, grammar, disk)
        if wishes.schema is not None and wishes.schema != place.schema:
            raise RecorderError(
                f"{path}: was recorded with another schema; schema=None takes the file's"
            )
        place.require_root(wishes.root)
        place.require_state(wishes.resume_at)
        return place.beginning(keep, timestamp), b""

    def _root_of(self, found: Beginning) -> int | None:
        return self._wishes.root if self._wishes.root is not None else seeds.root_in(found.config)

    # ------------------------------------------------------------------------------- recording

    def record(self, draft: Draft) -> None:
        """Take a record; returns when it has been taken, and acknowledged if its group is full.

        Raises
        ------
        EncodeError, OrderError, OSError, RecorderError
            As `Recorder.log`.
        """
        ledger = self.ledger
        if ledger.is_troubled:
            self._look_into_trouble()
        with ledger.lock:
            ordinal = ledger.append(draft)
        if ordinal & 15 == 15:  # no batch is shorter than 16, nor does one end elsewhere
            self._wake(ordinal)

    def _wake(self, ordinal: int) -> None:
        if ordinal % (self._last_of_batch + 1) == self._last_of_batch:
            self._background.wake()
            if self._background.is_behind:
                self.ledger.is_troubled = True  # the next record waits: this one has been taken

    def _look_into_trouble(self) -> None:
        """Refuse to go on, begin a new journal where a write failed, or let the rest catch up."""
        if self._is_forked:
            raise RecorderError(
                f"{self.path}: belongs to the process that opened it ({self._pid}); a forked child "
                "does not write"
            )
        if self.ledger.refusal is not None:
            raise RecorderError(str(self.ledger.refusal))
        if self.is_closed:
            raise RecorderError(f"{self.path}: the recorder is closed")
        if self.ledger.is_torn:
            self._background.mend()
        else:
            self._background.catch_up()
            with self.ledger.lock:
                self.ledger.look_again()

    def flush(self) -> None:
        """Write what is waiting for its group; returns when it is acknowledged."""
        if self.is_closed or self._is_forked:
            return
        if self.ledger.is_torn:
            self._background.mend()
        with self.ledger.lock:
            self.ledger.flush()

    def seal(self) -> int:
        """Wait until every full batch is in the main file; return how many records that holds."""
        self.flush()
        if not self.is_closed and not self._is_forked:
            self._background.catch_up()
        return self.ledger.first

    # ------------------------------------------------------------------------------------- end

    def close(self) -> bool:
        """Close the chronicle; return whether this call did."""
        if self._is_forked:
            return False
        if self.is_closed:  # or an interrupted close, which goes on in the background
            self._background.wait()
            return False
        try:
            self._close()
        except OSError as err:
            err.add_note(
                f"{self.path} could not be closed. Every acknowledged record is in it and its "
                'journal; mode="resume" goes on'
            )
            raise
        return True

    def _close(self) -> None:
        try:
            if self.ledger.refusal is None:
                self.flush()
        except Exception:
            self._end()
            self._background.stop()
            raise
        self._end()
        self._background.close()

    def _let_go(self) -> None:
        try:
            self._store.let_go(self.ledger)
        finally:
            self._lock.release()

    def _end(self) -> None:
        self.is_closed = True
        self.ledger.end()

    def after_fork(self) -> None:
        """In a forked child: let go of everything, and write nothing."""
        self._is_forked = True
        self.ledger.end()
        self.ledger.lock = threading.Lock()  # the parent may have held it
        self._lock.forget()


def _existing(path: Path, kind: str) -> str:
    what = {
        "journal without main file": "its journal holds records, but the file itself is missing; "
        f"`cmeta recover {path} OUT` saves them",
        "closed": "exists already",
    }.get(kind, f"exists already ({kind})")
    return f'{path}: {what}; mode="resume" continues it, mode="replace" begins anew'


def _remove_leftovers(path: Path, disk: Disk) -> None:
    """Remove the temporary files of recorders that died; the caller holds the lock."""
    for name in (path.name, journal_path(path).name):
        for leftover in path.parent.glob(f".{escape(name)}.*{RECORDER_TEMPORARY}"):
            disk.unlink(leftover)
