"""A session that compares instead of recording; it has the interface of `Session`, and no file.

Values take the same way as in `Session`: the row builder, then a row as the journal would hold it,
then the values that a reader would return. The journal's bytes are dropped.
"""

from __future__ import annotations

import dataclasses
import os
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from cmeta.compare.replay_report import ReplayReport
from cmeta.errors import DivergedError, RecorderError, warn
from cmeta.format.batch import RowBatch
from cmeta.format.grammar import grammar_of
from cmeta.format.journal import Framer, RowLayout, Tables
from cmeta.reader.reader import Reader, numbered_records
from cmeta.reader.selection import Selection, take
from cmeta.recorder.options import Options
from cmeta.recorder.pending import JournalFile, PendingRecords
from cmeta.recorder.resume import require_state
from cmeta.recorder.row_builder import Row, RowBuilder
from cmeta.recorder.run_path import shown
from cmeta.recorder.state import State
from cmeta.recorder.verification import Verification
from cmeta.recorder.verify_plan import VerifyPlan, report_name, write_report
from cmeta.records import seeds
from cmeta.records.record import CycleRecord, records_of
from cmeta.schema import canonical_json
from cmeta.schema.load import shipped_format
from cmeta.storage.disk import File


class VerifySession:
    """A run that is compared with its recorded file.

    Parameters
    ----------
    path : Path
        The file that the recorder would write.
    recorded : Path
        The file to compare with.
    options : Options
    plan : VerifyPlan

    Raises
    ------
    RecorderError
        The recorded file is missing, damaged, or of another schema.
    """

    activity = "verifying"
    is_recording = is_config_guessed = False
    num_dropped, dropped_to, steps = 0, None, None
    successor = ""

    def __init__(self, path: Path, recorded: Path, options: Options, plan: VerifyPlan) -> None:
        self.path, self._recorded, self._plan = path, recorded, plan
        # A command that waits may run in another folder.
        self._name_shown = str(shown(recorded) if plan.folder is None else recorded)
        self._pid = os.getpid()
        self._is_forked = self.is_closed = False
        self._run = _opened(recorded, options)
        try:
            self._begin(recorded, options, plan)
        except BaseException:
            self._run.close()
            raise

    def _begin(self, recorded: Path, options: Options, plan: VerifyPlan) -> None:
        self.schema = self._run.schema
        previous = _previous(recorded, options)
        self._first = previous.pending.num_records if previous else _first(self._run, options)
        before = next(self._from(self._first - 1), None) if self._first else None
        self.config = before.config if before else None
        stated = seeds.origin_in(next(iter(self._run.configs), None))
        root = seeds.origin_in(self.config).root  # one that was drawn is drawn again
        self.origin = options.origin.after(dataclasses.replace(stated, root=root))
        grammar = grammar_of(shipped_format())
        self._layout = RowLayout(self.schema, grammar)
        self.row_builder = RowBuilder(self._layout, leave_on_device=options.flush_every > 1)
        last = (0, 0)
        if before is not None:
            last = (before.timestamp or 0, self.schema.phases.index(before.phase))
        self.pending: PendingRecords = PendingRecords(
            self._layout, grammar, self._first, [], Tables(), last,
            flush_every=options.flush_every, is_durable=False,
            max_records=max(1, options.num_kept),
        )  # fmt: skip
        self.pending.journal = JournalFile(_NoFile(self.path, -1), Framer(grammar, 0))
        self._num_compared = self._first
        self._are_assigned: deque[bool] = deque()
        self._configs: dict[bytes, Any] = {}
        if previous is None:
            self.verification = Verification(self._run, plan, self._first, self._name_shown)
            self._name = report_name()
        else:
            self.verification, self._name = previous.verification, previous._name
            self.verification.reopen(self._run)
        self._report("running")

    def drawn_root(self) -> int | None:
        """Return the root that the recorded run has drawn, which is drawn again."""
        roots = (seeds.origin_in(config).root for config in self._run.configs)
        return next((root for root in roots if root is not None), None)

    # ------------------------------------------------------------------------------- recording

    def set_config_in_force(self, body: bytes) -> None:
        """Do nothing: there is no journal to say it in."""

    def record(self, row: Row) -> None:
        """Take a record, and compare it when its group is full.

        Raises
        ------
        DivergedError
            The first divergence, unless the plan goes on.
        EncodeError, OrderError, RecorderError
            As `Recorder.log`.
        """
        if self._is_forked:
            raise RecorderError(
                f"{self.path}: belongs to the process that opened it ({self._pid}); a forked child "
                "cannot log to it"
            )
        if self.is_closed:
            raise RecorderError(f"{self.path}: the recorder is closed")
        if self._is_stopped:
            raise self._divergence(self.verified())
        is_assigned = row.timestamp is None
        with self.pending.lock:
            self.pending.append(row)
            self._are_assigned.append(is_assigned)
            self._compare()

    def flush(self) -> None:
        """Compare the records that wait for their group."""
        if self.is_closed or self._is_forked or self._is_stopped:
            return
        with self.pending.lock:
            self.pending.flush()
            self._compare()

    def seal(self) -> int:
        """Return the number of records in full batches."""
        self.flush()
        size = self.schema.batch_records
        return self.pending.num_records // size * size

    def _compare(self) -> None:
        """Compare the rows that are complete, and drop them."""
        pending, verification = self.pending, self.verification
        bodies = pending.written()
        pending.drop(len(bodies))
        was_past_end = verification.is_past_end
        for record in self._records(bodies):
            self._num_compared += 1
            verification.add(record, is_assigned=self._are_assigned.popleft())
            if self._is_stopped:
                raise self._divergence(self._report("diverged"))
        if verification.is_past_end:
            if not was_past_end:
                self._report("finished")
        elif self._plan.folder is not None and time.monotonic() - self._reported_at > _REPORT_EVERY:
            self._report("running")

    @property
    def _is_stopped(self) -> bool:
        return self.verification.has_diverged and not self._plan.goes_on

    def _divergence(self, report: ReplayReport) -> DivergedError:
        return DivergedError(self._headline(report), report)

    def _headline(self, report: ReplayReport) -> str:
        return f"{self._name_shown}: {report.headline or 'nothing was compared'}"

    # -------------------------------------------------------------------------- newest records

    def newest(self, count: int) -> list[CycleRecord]:
        """Return up to `count` of the newest records, in order, as a file would return them."""
        if count == 0:
            return []
        self.flush()
        with self.pending.lock:
            bodies = self.pending.newest()
            records = self._records([bodies[ordinal] for ordinal in sorted(bodies)][-count:])
        missing = count - len(records)
        if missing > 0 and self._first and len(bodies) == self.pending.num_records - self._first:
            begin = max(0, self._first - missing)
            records = list(islice(self._from(begin), self._first - begin)) + records
        return records

    def _records(self, bodies: list[bytes]) -> list[CycleRecord]:
        if not bodies:
            return []
        chunk = self._layout.chunk_of(bodies, self.pending.tables)
        configs = [self._config(body) for body in chunk.configs]
        batch = RowBatch(chunk, self.schema, 0)
        return list(records_of(take(batch, slice(0, len(bodies))), configs))

    def _config(self, body: bytes) -> Any:
        if body not in self._configs:
            self._configs[body] = canonical_json.loads(body, self.schema.format.limits)
        return self._configs[body]

    def _from(self, first: int) -> Iterator[CycleRecord]:
        """Yield the recorded records from an ordinal on."""
        return (record for _, record in numbered_records(self._run, Selection(first=first)))

    # ------------------------------------------------------------------------------------- end

    def close(self, status: int = 0) -> bool:
        """Compare the last records and report; return whether this call did.

        Parameters
        ----------
        status : int
            How the run ended, which is no part of the comparison.

        Raises
        ------
        DivergedError
            Records of the file have not been logged; not while another exception is under way.
        """
        if self.is_closed or self._is_forked:
            return False
        try:
            self.flush()
        finally:
            self.is_closed = True
            has_diverged = self.verification.has_diverged
            report = self._report(
                "diverged" if has_diverged and not self._plan.goes_on else "closed"
            )
            self._run.close()
            _CLOSED[str(self._recorded)] = self
        if self._plan.folder is None and not report.ok and report.num_cycles + report.num_missing:
            self._announce(report, is_left=status != 0)
        return True

    def _announce(self, report: ReplayReport, *, is_left: bool) -> None:
        """Report a divergence, unless an exception that leaves the block is the better report."""
        if self._plan.goes_on:
            warn(self._headline(report))
        elif self._is_stopped:
            return
        elif sys.exc_info()[0] is None:
            raise self._divergence(report)
        elif not is_left:  # one is under way, or has been caught around this
            warn(self._headline(report))

    def abandon(self) -> bool:
        """End the comparison, because nobody holds its recorder any more."""
        with suppress(Exception):
            return self.close()
        return False

    def wait(self) -> None:
        """Return at once; nothing is closed in the background."""

    def after_fork(self) -> None:
        """Take no more records in a forked child."""
        self._is_forked = True
        self.pending.after_fork()

    def state(self) -> State:
        """Return the state to resume at; it has no digest, because nothing is recorded."""
        self.flush()
        state = self.pending.state
        return State(state.num_records, state.timestamp, None)

    def verified(self) -> ReplayReport:
        """Return what has been found so far."""
        return self.verification.report(is_stopped=not self.is_closed)

    def _report(self, state: str) -> ReplayReport:
        """Return the report as of now, and write it for the command that waits for it."""
        report = self.verification.report(is_stopped=state != "closed")
        self._reported_at = time.monotonic()
        if self._plan.folder is not None:
            content = {
                "state": state, "path": str(self.path), "file": str(self._recorded),
                "verdict": report.verdict, "text": str(report), "report": report.as_json(),
            }  # fmt: skip
            write_report(self._plan.folder, self._name, content)
        return report


_REPORT_EVERY = 1.0  # seconds: what is known of a training that is killed
_CLOSED: dict[str, VerifySession] = {}  # by recorded file


def _previous(recorded: Path, options: Options) -> VerifySession | None:
    """Return the session that this one continues, if the training has closed its run before."""
    previous = _CLOSED.pop(str(recorded), None)
    return previous if options.mode == "resume" and options.resume_at is None else None


def _opened(recorded: Path, options: Options) -> Reader:
    try:
        run = Reader(recorded)
    except FileNotFoundError:
        raise RecorderError(f"{recorded}: does not exist; there is no run to verify") from None
    problem: object = run.problem if run.state == "damaged" else None
    if problem is None and not options.fits(run.schema):
        problem = "it was recorded with another schema than that of the recorder"
    if problem is not None:
        run.close()
        raise RecorderError(f"{recorded}: cannot be verified: {problem}")
    return run


def _first(run: Reader, options: Options) -> int:
    """Return the ordinal of the first record that the training will log."""
    keep, timestamp = options.resume_limit
    if timestamp is not None:
        return sum(1 for _ in numbered_records(run, Selection(end=timestamp)))
    if options.state is not None:
        require_state(Path(run.name), options.state)
    return keep or 0


class _NoFile(File):
    """A journal whose bytes nobody needs."""

    def write(self, data: bytes, offset: int) -> None:
        pass
