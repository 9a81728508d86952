"""The sealer: a thread that seals full batches and rotates the journal while recording goes on.

- All work on the main file is done in this thread, including the close: Ctrl-C interrupts the main
  thread only, so no step of the commit protocol is ever cut in two by an exception.
- A write that fails is tried again. Any other exception ends the session: the next call raises it,
  and the journal has the records. However the thread ends, it closes the files, releases the lock
  and answers whoever waits.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue

from cmeta.errors import CmetaWarning, RecorderError
from cmeta.format.journal import RowLayout
from cmeta.recorder.commit import Committer
from cmeta.recorder.pending import PendingRecords
from cmeta.recorder.state import State
from cmeta.records.chunk import Chunk

_ROTATE_EVERY = 4  # batches: the journal holds a few times as many rows, and three fsyncs are rare
_MAX_WAITING = 16  # batches that may wait to be sealed; beyond that, recording waits
_LOOK_EVERY = 1.0  # seconds: whoever waits looks whether the thread is still there

Answer = SimpleQueue[BaseException | None]  # written in C: an interrupt cannot leave it half done
Job = tuple[Callable[[], None], Answer | None]


class Sealer:
    """The thread that does all work on the main file.

    Parameters
    ----------
    committer : Committer
    pending : PendingRecords
    layout : RowLayout
    at_end : callable
        Called in the thread when all work is done: closes files and releases the lock.
    on_chunk : callable
        Called in the thread with the records of each batch, before they are sealed.

    Raises
    ------
    RecorderError
        The system has no thread left.
    """

    def __init__(
        self, committer: Committer, pending: PendingRecords, layout: RowLayout,
        at_end: Callable[[], None], on_chunk: Callable[[Chunk], None],
    ) -> None:  # fmt: skip
        self._committer, self._pending, self._layout = committer, pending, layout
        self._at_end, self._on_chunk = at_end, on_chunk
        self._batch_records = layout.schema.batch_records
        self._num_since_rotation = 0  # batches
        self._has_ended = False
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="cmeta-sealer", daemon=True)
        try:
            self._thread.start()
        except RuntimeError as err:
            raise RecorderError(
                f"{committer.path}: the thread that writes the file cannot be started: {err}; "
                "close recorders that are no longer used"
            ) from err

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

    def state(self) -> State:
        """Return the state to resume at: of all records that the journal holds.

        Raises
        ------
        RecorderError
            The session has ended.
        """
        states: list[State] = []
        self._do(lambda: states.append(self._state()))
        return states[0]

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

    def abandon(self) -> None:
        """Write and close everything in the thread, without waiting; called by a finaliser.

        A finaliser may run at any place in any thread, even in this one, so it takes no lock.
        """
        self._jobs.put((self._abandoned, None))

    def wait(self) -> None:
        """Wait for the end of the thread, after `close`, `stop` or `abandon`."""
        self._thread.join()

    def _do(self, work: Callable[[], None]) -> None:
        """Have work done in the thread, and raise its error here."""
        answer: Answer = SimpleQueue()
        self._jobs.put((work, answer))
        error = self._received(answer)
        if error is not None:
            raise error

    def _received(self, answer: Answer) -> BaseException | None:
        """Wait for an answer, but never for a thread that has ended."""
        while True:
            is_alive = self._thread.is_alive()  # before looking: it may answer and then end
            with suppress(Empty):
                return answer.get(timeout=_LOOK_EVERY if is_alive else 0)
            if not is_alive:
                return RecorderError(self._pending.failure or self._ended("has ended"))

    # ---------------------------------------------------------------------------- in the thread

    def _run(self) -> None:
        try:
            while not self._has_ended:
                self._serve(self._jobs.get())  # in a frame of its own: it keeps nothing alive
        except BaseException as err:
            self._fail(err)
        finally:
            if not self._has_ended:
                self._end()

    def _serve(self, job: Job | None) -> None:
        """Do a job, and answer it."""
        work, answer = job or (self._seal_ready, None)
        error: BaseException | None = None
        try:
            work()
        except (OSError, RecorderError) as err:  # tried again, and raised by the next wait
            error = err
        except BaseException as err:
            error = self._fail(err)
        if work in (self._close, self._stop, self._abandoned):
            end_error = self._end()  # before the answer: its receiver may open the file again
            error = error or end_error
            if answer is None and error is not None:
                _warn_unclosed(error)
        if answer is not None:
            answer.put(error)

    def _fail(self, error: BaseException) -> RecorderError:
        """End the session, because its state is no longer certain."""
        name = type(error).__name__
        message = self._ended(f"failed ({name}: {error})" if str(error) else f"failed ({name})")
        self._pending.fail(message)
        refusal = RecorderError(message)
        refusal.__cause__ = error
        return refusal

    def _ended(self, how: str) -> str:
        return (
            f"{self._committer.path}: the thread that writes the file {how}, so this session has "
            "ended. Every record that was acknowledged before is in the file and its journal; "
            'continue with mode="resume"'
        )

    def _end(self) -> BaseException | None:
        """Close the files and release the lock; return the error of doing so."""
        self._has_ended = True
        try:
            self._at_end()
        except BaseException as err:
            return err
        return None

    def _stop(self) -> None:
        """Do nothing more."""

    def _abandoned(self) -> None:
        """Write what nobody will close."""
        pending = self._pending
        if not pending.failure:
            if pending.is_torn:
                self._rotate()
            with pending.lock:
                pending.flush()
        self._close()

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
            self._committer.seal(self._chunk_of(bodies))
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
        self._committer.close(self._chunk_of(bodies) if bodies else None)

    def _chunk_of(self, bodies: list[bytes]) -> Chunk:
        chunk = self._layout.chunk_of(bodies, self._pending.tables)
        self._on_chunk(chunk)
        return chunk

    def _state(self) -> State:
        """Return the state, from the encoder as it is: this needs no room on a full disk."""
        self._require_session()
        pending, size = self._pending, self._batch_records
        with pending.lock:
            bodies, state = pending.written(), pending.state
        start = self._committer.num_records - pending.first  # blocks may wait to be written
        chunks = (
            self._layout.chunk_of(bodies[i : i + size], pending.tables)
            for i in range(start, len(bodies), size)
        )
        return State(state.num_records, state.timestamp, self._committer.digest(chunks))

    def _require_session(self) -> None:
        if self._pending.failure:
            raise RecorderError(self._pending.failure)


def _warn_unclosed(error: BaseException) -> None:
    """Report that a recorder which nobody holds could not be closed; nobody else can raise it."""
    with suppress(Warning):  # made an error, it would have nobody to catch it
        warnings.warn(
            f"a recorder that nobody holds could not be closed: {error}. Every acknowledged record "
            'is in the file and its journal; mode="resume" continues it',
            CmetaWarning,
            stacklevel=2,
        )
