"""`Recorder`: records each cycle of a run by one call, and never loses one."""

from __future__ import annotations

import atexit
import dataclasses
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Never

from cmeta.errors import (
    CmetaWarning,
    DivergedError,
    EncodeError,
    RecorderError,
    counted,
    held_file,
    warn,
)
from cmeta.recorder import live_sessions
from cmeta.recorder import wall_time as wall_times
from cmeta.recorder.cycle import Cycle
from cmeta.recorder.idle import IdleSession
from cmeta.recorder.open_session import open_session
from cmeta.recorder.options import Options
from cmeta.recorder.ranks import find_place
from cmeta.recorder.refusals import Refusals
from cmeta.recorder.row_builder import Row
from cmeta.recorder.run_path import RunPath, shown
from cmeta.records import seeds
from cmeta.records.config import as_mapping, config_json
from cmeta.records.record import CycleRecord, flatten
from cmeta.safe_text import printable
from cmeta.schema.rules import PHASE, TIMESTAMP
from cmeta.schema.schema import Schema
from cmeta.storage.disk import Disk

if TYPE_CHECKING:
    from cmeta.compare.replay_report import ReplayReport
    from cmeta.recorder.open_session import AnySession


class Recorder:
    """Records the cycles of a run into a chronicle; a context manager.

    A record is acknowledged when `log` returns and its group of `flush_every` is complete, or when
    `flush` returns: from then on it survives the death of the process, and with
    ``durability="fsync"`` a loss of power too. The bytes of the closed file depend on the records
    alone, not on crashes, pauses and resumptions.

    Parameters
    ----------
    path : path
        Of the chronicle. ``~`` is expanded, missing folders are made. The attribute `path` is
        absolute, and in every rank that of the file that is recorded; None where only rank 0 knows.
        ``{time}`` is the local time and ``{name}`` the name of the script; a folder means
        ``{name}-{time}.cmeta`` in it. With ``{rank}`` every process of a training records into a
        file of its own; without, only rank 0 records, and the others say so once.
    schema : Schema, optional
        Default: that of the file that is resumed, else `default_schema()`.
    mode : "new", "resume", "replace" or "verify"
        If the chronicle exists: raise an error, continue it, or replace it. "verify" writes
        nothing: each record is compared with the one that the chronicle has (`verified`).
    seed : int, optional
        u64; the root from which `cycle` derives its seeds, other ones in every rank. Default: that
        of the file that is resumed, else one is drawn when the first cycle begins. It is part of
        the configuration.
    config : mapping, dataclass or Namespace, optional
        The configuration, from the next record on. Default: that of the file.
    max_records : int, optional
        The number of newest records in `records`; 1,024 by default.
    flush_every : int
        Records of a group, which are written together.
    durability : "os" or "fsync"
        Whether a group is acknowledged when the system has it, or when it is on disk.
    rank : int or "auto"
        "auto": from `torch.distributed` if that is initialised, or from the environment if
        MASTER_ADDR and more than one process show that this process is one of several; else 0.
    resume_at : int or mapping, optional
        A timestamp, or the result of `state_dict`: keep the records up to and including it, and
        move later ones to a chronicle beside it (`num_dropped`, `dropped_to`).
    on_error : "raise" or "warn"
        For a record that goes back in (timestamp, phase), has a bad value, or finds the disk full:
        raise the error; or leave the record out, count it (`num_refused`, `refused`), and warn at
        the first of each kind and at the end. With ``mode="verify"``: raise `DivergedError` at the
        first divergence, or go on and warn at the end.
    ignore : str or sequence of str
        Fields that ``mode="verify"`` does not compare, by name or pattern: ``"time/*"``.
    wall_time : bool, optional
        Give a new file the field ``wall_time``: when each record was taken, in milliseconds since
        1970, UTC. It is volatile: comparisons of runs leave it out. Default: whether the
        environment has CMETA_WALL_TIME=1. A file that is resumed has it if it had it before.

    Raises
    ------
    ExistsError
        The chronicle exists, and `mode` is "new".
    LockedError
        Another writer has it open.
    RecorderError
        It cannot be continued: it is damaged, or has another schema or seed.
    EncodeError
        A parameter is invalid.
    SchemaError
        `schema` has another field ``wall_time``.
    OSError
        The folder cannot be written.

    Examples
    --------
    >>> import tempfile, cmeta
    >>> path = tempfile.mktemp(suffix=".cmeta")
    >>> with cmeta.Recorder(path, seed=7, config={"lr": 0.1}) as rec:
    ...     for step in range(3):
    ...         with rec.cycle("train") as c:
    ...             c.log(loss=float(c.rng.random()), step=step)
    ...     rec.log("val", metrics={"val_accuracy": 0.5, "top5": 0.9})
    >>> with cmeta.open(path) as run:
    ...     len(run), [record.phase for record in run]
    (4, ['train', 'train', 'train', 'validate'])
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        schema: Schema | None = None,
        mode: Literal["new", "resume", "replace", "verify"] = "new",
        seed: int | None = None,
        config: Any = None,
        max_records: int | None = None,
        flush_every: int = 1,
        durability: Literal["os", "fsync"] = "os",
        rank: int | Literal["auto"] = "auto",
        *,
        resume_at: int | Mapping[str, Any] | None = None,
        on_error: Literal["raise", "warn"] = "raise",
        ignore: str | Sequence[str] = (),
        wall_time: bool | None = None,
        disk: Disk | None = None,
    ) -> None:
        target = RunPath.of(path, mode)
        place = find_place(rank, is_asked=target.has_rank)
        options = Options(
            schema,
            mode,
            seed,
            max_records,
            flush_every,
            durability,
            resume_at,
            on_error,
            place,
            config,
            wall_time,
        )
        self._warns, self._max_records, self._next_index = on_error == "warn", options.num_kept, 0
        self._refusals = Refusals()
        if ignore and mode != "verify":
            raise EncodeError('ignore requires mode="verify"')
        ignore = _names(ignore)
        self._session = session = open_session(target, options, disk or Disk(), ignore)
        self.path = session.path
        if isinstance(session, IdleSession):
            if session.notice:
                warnings.warn(session.notice, CmetaWarning, stacklevel=2)
        else:
            live_sessions.hold(session, self, partial(_warn_of_refusals, self.path, self._refusals))
        self.schema, self._steps = session.schema, session.steps
        self.num_dropped, self.dropped_to = session.num_dropped, session.dropped_to
        self._wall_time = session.row_builder.wall_time_slot
        self._origin = session.origin  # as the configuration states it: that of rank 0, if idle
        is_idle = isinstance(session, IdleSession)
        self._rank = place.rank if is_idle else session.origin.rank or 0
        self._config: Mapping[str, Any] | None = None
        self._config_body: bytes | None = None
        self._config_bit = 0
        self._is_config_guessed = False
        try:
            self._set_config(session.config if config is None else config)
            self._is_config_guessed = config is None and session.is_config_guessed
        except BaseException:
            self.close()
            raise

    # ------------------------------------------------------------------------------- recording

    def log(
        self,
        phase: str | int,
        timestamp: int | None = None,
        step: int | None = None,
        epoch: int | None = None,
        metrics: Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> None:
        """Record a cycle.

        Parameters
        ----------
        phase : str or int
            "dream", "train", "validate", or a further phase of the schema; also a usual synonym,
            such as "val", "eval" or "training", or a code.
        timestamp : int, optional
            u64; default: the last one + 1, so that ordinary loops are always in order.
        step, epoch : int, optional
            Your own counters; they may repeat.
        metrics : mapping of str to float, optional
            Any names; those that the schema does not declare are stored without loss.
        **fields : value
            Fields of the schema: ``loss`` (short for ``loss_value``), ``coherence``,
            ``tensor_signature``, ``action_code``, ``seed_state``, ``state_digest``, ``config`` (for
            this record alone). Any other keyword with a number is a metric: ``lr=0.1``. Tensors are
            detached and copied. None is absent, as is any other "no value", such as pandas.NA.

        Raises
        ------
        EncodeError
            A value is invalid; the message names the field, the value and what was expected.
        OrderError
            The record would go back in (timestamp, phase).
        OSError
            The journal cannot be written.
        RecorderError
            The recorder is closed, or its session has ended.
        """
        session = self._session
        if step is not None:
            fields["step"] = step
        if epoch is not None:
            fields["epoch"] = epoch
        try:
            self._record(session, session.row_builder.build(phase, timestamp, fields, metrics))
        except (EncodeError, OSError, RecorderError) as err:
            self._refuse(err)

    def record_cycle(self, record: CycleRecord) -> None:
        """Record a cycle that is given as a record; see `log`."""
        session = self._session
        try:
            fields = flatten(record, self.schema)
            phase, timestamp = fields.pop(PHASE), fields.pop(TIMESTAMP, None)
            self._record(session, session.row_builder.build(phase, timestamp, fields, None))
        except (EncodeError, OSError, RecorderError) as err:
            self._refuse(err)

    def _record(self, session: AnySession, row: Row) -> None:
        if row.config is None and self._config_body is not None:
            if self._is_config_guessed:
                self._warn_of_guess()
            row.config = self._config_body
            row.present |= self._config_bit
        if self._wall_time is not None:
            wall_times.fill(row, self._wall_time)
        if self._steps is not None:
            self._steps.see(row)
            if self._steps.is_done:
                self._steps = None
        session.record(row)
        if session.pending.left_out:
            self._report_left_out()

    def _report_left_out(self) -> None:
        """Count the records that could not be written after they were taken, or raise the error."""
        left_out = self._session.pending.left_out
        while left_out:
            error = left_out.pop(0)
            if not self._warns:
                for another in left_out:
                    error.add_note(str(another))
                left_out.clear()
                raise error
            self._refuse(error)

    def _refuse(self, error: Exception) -> None:
        """Count a record that was not taken, or raise its error."""
        if not (self._warns and self._refusals.add(error, has_ended=self._has_session_ended)):
            raise error

    @property
    def _has_session_ended(self) -> bool:
        """Whether the session can take no more records, though nobody has closed it."""
        return bool(self._session.pending.failure) and not self._session.is_closed

    @property
    def _name(self) -> str:
        """The file, for a message: that of rank 0, if this process does not record."""
        return self._session.name if isinstance(self._session, IdleSession) else str(self.path)

    @property
    def num_refused(self) -> int:
        """The number of records that ``on_error="warn"`` has left out."""
        return self._refusals.counts.total()

    @property
    def refused(self) -> Mapping[str, int]:
        """The same by reason: "order", "value", "disk", or "session" after its end."""
        return dict(self._refusals.counts)

    def cycle(self, phase: str, *, seed_globals: bool = True, **fields: Any) -> Cycle:
        """Return a cycle, to be entered by ``with``; it records once, at the end of the block.

        Parameters
        ----------
        phase : str
            As for `log`.
        seed_globals : bool
            Also seed the global generators of `random`, of numpy, and of torch if it is imported.
        **fields : value
            As for `log`: fields that are known in advance, such as `step`.
        """
        if self._origin.root is None:
            self._draw_root()
        index = max(len(self), self._next_index)
        self._next_index = index + 1

        def commit(metrics: Mapping[str, Any], values: dict[str, Any]) -> None:
            self.log(phase, metrics=metrics or None, **values)

        def cancel() -> None:  # the next cycle gets this seed, if it was the last one given
            if self._next_index == index + 1:
                self._next_index = index

        seed = seeds.seed_of(self._origin.root or 0, index, self._rank)
        return Cycle(seed, fields, seed_globals=seed_globals, commit=commit, cancel=cancel)

    def _draw_root(self) -> None:
        """Draw the root of the seeds; there is none until the configuration states it."""
        drawn, before = self._session.drawn_root(), self._origin
        root = int.from_bytes(os.urandom(8), "little") if drawn is None else drawn
        self._origin = dataclasses.replace(before, root=root)
        try:
            self._set_config(self._config)
        except BaseException:
            self._origin = before
            raise

    @property
    def is_recording(self) -> bool:
        """Whether records go to a file: not if rank 0 does it for this rank, nor after the end."""
        return self._session.is_recording

    def flush(self) -> None:
        """Write the records that wait for their group; they are acknowledged on return.

        Raises
        ------
        OSError, RecorderError
        EncodeError
            A tensor cannot be fetched from its device; the other records are written.
        """
        try:
            self._session.flush()
            self._report_left_out()
        except OSError as err:
            if not self._warns:
                raise
            message = f"{self.path}: records wait to be written: {err}"
            warnings.warn(message, CmetaWarning, stacklevel=2)

    def seal(self) -> int:
        """Wait until every full batch is in the file; return the number of records in those.

        Raises
        ------
        OSError, RecorderError
        """
        return self._session.seal()

    # --------------------------------------------------------------------------------- contents

    def __len__(self) -> int:
        """Return the number of records of the whole run."""
        return self._session.pending.num_records

    @property
    def last(self) -> CycleRecord | None:
        """The last record, with exactly the values that the file will return."""
        newest = self._session.newest(1)
        return newest[-1] if newest else None

    @property
    def records(self) -> list[CycleRecord]:
        """The newest `max_records` records, with exactly the values that the file will return."""
        return self._session.newest(self._max_records)

    @property
    def verified(self) -> ReplayReport | None:
        """What ``mode="verify"`` has found so far; None in any other mode."""
        return self._session.verified()

    @property
    def config(self) -> Mapping[str, Any] | None:
        """The configuration; a new one applies from the next record on."""
        return self._config

    @config.setter
    def config(self, config: Any) -> None:
        self._set_config(config)
        self._is_config_guessed = False

    def _set_config(self, given: Any) -> None:
        config = None if given is None else as_mapping(given)
        if self._origin.is_stated and seeds.origin_in(config) != self._origin:
            config = seeds.with_origin(config, self._origin)
        body, bit = None, 0
        slot = self._session.row_builder.config_slot
        # The origin alone needs no field for it.
        origin = seeds.with_origin({}, self._origin) if self._origin.is_stated else None
        if config is not None and (slot is not None or config != origin):
            body = self._session.row_builder.config_body(config)
            bit = slot.bit if slot else 0
        in_force = b"" if config is None else body or config_json(config)
        try:
            self._session.set_config_in_force(in_force)
        except (OSError, RecorderError) as err:
            if not (self._warns and (isinstance(err, OSError) or self._has_session_ended)):
                raise
            warn(f"{self._name}: the configuration waits to be written with a record: {err}")
            self._session.pending.config_in_force = in_force
        self._config, self._config_body, self._config_bit = config, body, bit

    def _warn_of_guess(self) -> None:
        self._is_config_guessed = False
        warnings.warn(
            f"{self.path}: a closed file does not say which of its configurations was in force, so "
            "that of the last record is; if it was given for that record alone, state the "
            "configuration of the run: Recorder(..., config=...)",
            CmetaWarning,
            stacklevel=4,
        )

    def state_dict(self) -> dict[str, Any]:
        """Return a state to store in a checkpoint; `resume_at` takes it, to continue from there.

        Returns
        -------
        dict
            JSON values: the number of records, the last timestamp, the configuration in force, and
            a digest of all records, by which the state of another run is recognised. On a rank that
            does not record, the digest is None once it has logged.

        Raises
        ------
        OSError, RecorderError
        """
        import json  # not needed to record

        config = self._config and json.loads(config_json(self._config))
        return self._session.state()._replace(config=config).as_dict()

    # ------------------------------------------------------------------------------------- end

    def close(self) -> None:
        """Close the chronicle: every record is in the file and on disk on return.

        A second call does nothing. If closing fails or is interrupted, the file stays open with its
        journal and can be resumed.

        Raises
        ------
        OSError, RecorderError
        """
        self._close(None)

    def finish(
        self, status: Literal["finished", "failed", "interrupted", "pruned"] = "finished"
    ) -> None:
        """Close the chronicle, and state how the run ended, which `cmeta runs` shows.

        A plain `close` states nothing. Leaving a ``with`` block by an exception states "failed", or
        "interrupted" for Ctrl-C and `sys.exit`, or "pruned" for Optuna's `TrialPruned`. Resuming
        takes the status away.

        Parameters
        ----------
        status : str
            "pruned": ended early on purpose, such as a bad trial of a sweep.

        Raises
        ------
        EncodeError
            There is no such status; the recorder stays open.
        OSError, RecorderError
            As `close`.

        Examples
        --------
        >>> import tempfile, cmeta
        >>> path = tempfile.mktemp(suffix=".cmeta")
        >>> rec = cmeta.Recorder(path)
        >>> rec.log("train", loss=float("nan"))
        >>> rec.finish("pruned")
        >>> with cmeta.open(path) as run:
        ...     run.status
        'pruned'
        """
        self._close(status)

    def _close(self, status: str | None) -> None:
        code = self.schema.format.status_code(status)
        try:
            has_closed = self._session.close(code)
        except (OSError, RecorderError) as err:
            if not self._warns or isinstance(err, DivergedError):
                raise
            has_closed = True
            message = f'{self.path}: could not be closed: {err}. mode="resume" continues it'
            warnings.warn(message, CmetaWarning, stacklevel=3)
            if waiting := self._session.pending.num_waiting:
                self._refusals.counts["disk" if isinstance(err, OSError) else "session"] += waiting
        if not isinstance(self._session, IdleSession):
            live_sessions.let_go(self._session)
        self._session.row_builder.precision.warn()
        try:
            self._report_left_out()
        finally:
            if has_closed and self.num_refused:
                message = f"{self._name}: {self._refusals}"
                warnings.warn(message, CmetaWarning, stacklevel=3)

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self._close(_status_of(error))

    def __bool__(self) -> bool:
        """Return True: a recorder without records is one, too."""
        return True

    def __reduce__(self) -> Never:
        raise held_file(self)

    def __repr__(self) -> str:
        session, records = self._session, counted(len(self), "record")
        if isinstance(session, IdleSession):
            return printable(f"<Recorder {session.name}: {session.status}, {records}>")
        state = "closed" if session.is_closed else session.activity
        return printable(f"<Recorder {shown(session.path)}: {state}, {records}>")


def _warn_of_refusals(path: Path | None, refusals: Refusals) -> None:
    if refusals.counts:
        warn(f"{path}: {refusals}")


def _names(given: Any) -> tuple[str, ...]:
    """Return names; one may be given alone."""
    names = (given,) if isinstance(given, str) else given
    if not isinstance(names, Iterable) or not all(isinstance(name, str) for name in names):
        raise EncodeError(f"ignore: found {given!r}, expected names or patterns of fields")
    return tuple(names)


def _status_of(error: BaseException | None) -> str | None:
    """Return how a run ended that an exception has left."""
    if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
        return None
    if any(kind.__name__ == "TrialPruned" for kind in type(error).__mro__):  # of Optuna
        return "pruned"
    return "failed" if isinstance(error, Exception) else "interrupted"


atexit.register(live_sessions.close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=live_sessions.forget_all)
