"""The background: a thread that seals full batches and rotates the journal while recording goes on.

All work on the main file is done in it, closing included: ctrl-C strikes the main thread only, so
no step of the protocol is ever cut in two by an exception.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue

from cmeta.errors import RecorderError
from cmeta.format.journal_rows import RowLayout
from cmeta.recorder.commit import Store
from cmeta.recorder.pending import Ledger

_ROTATE_EVERY = 4  # batches: the journal holds a few times as many rows, and three fsyncs are rare
_BEHIND_MOST = 16  # batches that may wait; beyond that, recording waits

Answer = SimpleQueue[BaseException | None]  # all in C: an interrupt cannot leave it half done
Job = tuple[Callable[[], None], Answer]


class Background:
    """See the module.

    Parameters
    ----------
    store : Store
    ledger : Ledger
    layout : RowLayout
    at_end : callable
        Called in the thread when all work is done: closes files and lets others write.
    """

    def __init__(
        self, store: Store, ledger: Ledger, layout: RowLayout, at_end: Callable[[], None]
    ) -> None:
        self._store, self._ledger, self._layout = store, ledger, layout
        self._at_end = at_end
        self._batch_records = layout.schema.batch_records
        self._since_rotation = 0
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="cmeta-background", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Say that there may be a full batch; never waits."""
        self._jobs.put(None)

    @property
    def is_behind(self) -> bool:
        """Whether so much waits to be sealed that recording should wait too."""
        return len(self._ledger.rows) > _BEHIND_MOST * self._batch_records

    def catch_up(self) -> None:
        """Wait until what is full has been sealed.

        Raises
        ------
        OSError, RecorderError
            It cannot be.
        """
        self._do(self._seal_ready)

    def mend(self) -> None:
        """Begin a new journal after a failed write, and wait for it.

        Raises
        ------
        OSError
            That fails too.
        """
        self._do(self._rotate)

    def close(self) -> None:
        """Seal everything, commit, and wait for it; the thread ends.

        Raises
        ------
        OSError, RecorderError
        """
        self._do(self._close)
        self.wait()

    def stop(self) -> None:
        """End the thread, and leave the file as it is."""
        self._do(self._stop)
        self.wait()

    def wait(self) -> None:
        """Wait for the end of the thread, once it has been asked to end."""
        self._thread.join()

    # ---------------------------------------------------------------------------- in the thread

    def _do(self, work: Callable[[], None]) -> None:
        done: Answer = SimpleQueue()
        self._jobs.put((work, done))
        error = done.get()
        if error is not None:
            raise error

    def _run(self) -> None:
        while True:
            job = self._jobs.get()
            if job is None:
                self._try_to_seal()
                continue
            work, done = job
            error: BaseException | None = None
            try:
                work()
            except BaseException as err:
                error = err
            is_end = work in (self._close, self._stop)
            if is_end:
                self._at_end()  # first: whoever waits for the answer may open the file again
            done.put(error)
            if is_end:
                return

    def _stop(self) -> None:
        """Do nothing more."""

    def _try_to_seal(self) -> None:
        """Seal what is full; what fails is tried again, and told when somebody waits for it."""
        with suppress(OSError, RecorderError):
            self._seal_ready()

    def _seal_ready(self) -> None:
        if self._ledger.refusal is not None:
            raise self._ledger.refusal
        while self._store.has_rest or len(self._ledger.rows) >= self._batch_records:
            if not self._seal_one():
                return
            self._since_rotation += 1
            if self._since_rotation >= _ROTATE_EVERY:
                self._rotate()

    def _seal_one(self) -> bool:
        """Move one batch from the ledger to the main file."""
        ledger, num = self._ledger, self._batch_records
        if self._store.has_rest:
            self._store.write_rest()
        else:
            with ledger.lock:
                # Not more than counts: an interrupted flush may have left rows that do not.
                end = ledger.tail.num_records - ledger.first
                bodies = ledger.rows[:num] if end >= num else []
            if not bodies:
                return False
            self._store.seal(self._layout.chunk_of(bodies, ledger.tables))
        with ledger.lock:
            del ledger.rows[:num]
            ledger.first += num
        return True

    def _rotate(self) -> None:
        if self._store.has_rest:
            self._seal_one()
        self._store.rotate(self._ledger)
        self._since_rotation = 0

    def _close(self) -> None:
        ledger = self._ledger
        if ledger.refusal is not None:
            raise RecorderError(str(ledger.refusal))
        while self._store.has_rest or len(ledger.rows) >= self._batch_records:
            if not self._seal_one():
                break
        with ledger.lock:
            end = ledger.tail.num_records - ledger.first
            bodies = ledger.rows[:end]
        chunk = self._layout.chunk_of(bodies, ledger.tables) if bodies else None
        self._store.close(ledger, chunk)
