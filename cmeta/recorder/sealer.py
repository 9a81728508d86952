"""The sealer: a thread that seals full batches and rotates the journal while recording goes on.

All work on the main file is done in this thread, including the close: Ctrl-C interrupts the main
thread only, so no step of the commit protocol is ever cut in two by an exception.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue

from cmeta.errors import RecorderError
from cmeta.format.journal import RowLayout
from cmeta.recorder.commit import Committer
from cmeta.recorder.pending import PendingRecords

_ROTATE_EVERY = 4  # batches: the journal holds a few times as many rows, and three fsyncs are rare
_MAX_WAITING = 16  # batches that may wait to be sealed; beyond that, recording waits

Answer = SimpleQueue[BaseException | None]  # written in C: an interrupt cannot leave it half done
Job = tuple[Callable[[], None], Answer]


class Sealer:
    """The thread that does all work on the main file.

    Parameters
    ----------
    committer : Committer
    pending : PendingRecords
    layout : RowLayout
    at_end : callable
        Called in the thread when all work is done: closes files and releases the lock.
    """

    def __init__(
        self, committer: Committer, pending: PendingRecords, layout: RowLayout,
        at_end: Callable[[], None],
    ) -> None:  # fmt: skip
        self._committer, self._pending, self._layout = committer, pending, layout
        self._at_end = at_end
        self._batch_records = layout.schema.batch_records
        self._num_since_rotation = 0  # batches
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="cmeta-sealer", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Report that there may be a full batch; never waits."""
        self._jobs.put(None)

    @property
    def is_behind(self) -> bool:
        """Whether so many batches wait to be sealed that recording should wait too."""
        return len(self._pending.bodies) > _MAX_WAITING * self._batch_records

    def catch_up(self) -> None:
        """Wait until all full batches have been sealed.

        Raises
        ------
        OSError, RecorderError
            A batch cannot be sealed.
        """
        self._do(self._seal_ready)

    def rotate(self) -> None:
        """Start a new journal and wait for it, such as after a failed write.

        Raises
        ------
        OSError, RecorderError
            It cannot be written.
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
        """Wait for the end of the thread, after `close` or `stop`."""
        self._thread.join()

    def _do(self, work: Callable[[], None]) -> None:
        """Have work done in the thread, and raise its error here."""
        answer: Answer = SimpleQueue()
        self._jobs.put((work, answer))
        error = answer.get()
        if error is not None:
            raise error

    # ---------------------------------------------------------------------------- in the thread

    def _run(self) -> None:
        while True:
            job = self._jobs.get()
            if job is None:
                with suppress(OSError, RecorderError):  # tried again, and raised by the next wait
                    self._seal_ready()
                continue
            work, answer = job
            error: BaseException | None = None
            try:
                work()
            except BaseException as err:
                error = err
            is_end = work in (self._close, self._stop)
            if is_end:
                self._at_end()  # before the answer: its receiver may open the file again
            answer.put(error)
            if is_end:
                return

    def _stop(self) -> None:
        """Do nothing more."""

    def _seal_ready(self) -> None:
        self._require_session()
        while self._seal_one():
            self._num_since_rotation += 1
            if self._num_since_rotation >= _ROTATE_EVERY:
                self._rotate()

    def _seal_one(self) -> bool:
        """Move one batch to the main file, and return whether there was a full one."""
        pending, num = self._pending, self._batch_records
        if self._committer.has_rest:
            self._committer.write_rest()
        else:
            with pending.lock:
                bodies = pending.written(end=num)
            if len(bodies) < num:
                return False
            self._committer.seal(self._layout.chunk_of(bodies, pending.tables))
        with pending.lock:
            pending.drop(num)
        return True

    def _rotate(self) -> None:
        if self._committer.has_rest:
            self._seal_one()
        self._committer.rotate()
        self._num_since_rotation = 0

    def _close(self) -> None:
        self._require_session()
        while self._seal_one():
            pass
        with self._pending.lock:
            bodies = self._pending.written()
        tables = self._pending.tables
        self._committer.close(self._layout.chunk_of(bodies, tables) if bodies else None)

    def _require_session(self) -> None:
        if self._pending.failure:
            raise RecorderError(self._pending.failure)
