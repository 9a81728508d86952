"""`Recorder`: records each cycle of a run through one call, and never loses one."""

from __future__ import annotations

import atexit
import os
import warnings
import weakref
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Literal

from cmeta.errors import CmetaWarning, OrderError
from cmeta.recorder.cycle import Cycle
from cmeta.recorder.options import Wishes
from cmeta.recorder.ranks import place_of, rank_of
from cmeta.recorder.row_builder import Draft
from cmeta.recorder.session import Session
from cmeta.records import seeds
from cmeta.records.config import as_mapping
from cmeta.records.record import CycleRecord, flatten
from cmeta.schema.rules import PHASE, TIMESTAMP
from cmeta.schema.schema import Schema, default_schema
from cmeta.storage.disk import Disk


class Recorder:
    """Records the cycles of a run into a chronicle; a context manager.

    A record is acknowledged when `log` returns and its group of `flush_every` is complete (or
    `flush` has returned): from then on no death of the process loses it, and with
    ``durability="fsync"`` no loss of power either. The closed file depends on the records alone,
    not on crashes, pauses and resumptions.

    Parameters
    ----------
    path : path
        Of the chronicle. With ``{rank}`` in it, every process of a distributed run records into a
        file of its own; without, only rank 0 records.
    schema : Schema, optional
        Default: that of the file that is resumed, else `default_schema()`.
    mode : "new", "resume" or "replace"
        What to do with an existing chronicle: refuse it, continue it (or begin), begin anew.
    seed : int, optional
        u64; the root from which `cycle` derives its seeds. Default: that of the file that is
        resumed, else one is drawn when the first cycle begins. It is part of the configuration.
    config : mapping, dataclass or Namespace, optional
        The configuration in force, from the next record on. Default: that of the file.
    max_records : int, optional
        How many of the newest records `records` gives; 1,024 unless stated.
    flush_every : int
        Records of a group, written together.
    durability : "os" or "fsync"
        Whether a group is acknowledged when the system has it, or when the disk has it.
    rank : int or "auto"
        "auto": from RANK, SLURM_PROCID or OMPI_COMM_WORLD_RANK, else 0.
    resume_at : int or mapping, optional
        A timestamp, or what `state_dict` gave: keep the records up to and including it, and move
        later ones to a chronicle beside it (`num_dropped`, `dropped_to`).
    on_error : "raise" or "warn"
        What to do with a record that goes back in (timestamp, phase): raise `OrderError`, or count
        it (`num_refused`) and say so at close.

    Raises
    ------
    ExistsError
        There is a chronicle, and `mode` is "new".
    LockedError
        Another writer has it.
    RecorderError
        It cannot be continued: damaged, of another schema or seed.
    EncodeError
        A parameter is not what it must be.
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
        mode: Literal["new", "resume", "replace"] = "new",
        seed: int | None = None,
        config: Any = None,
        max_records: int | None = None,
        flush_every: int = 1,
        durability: Literal["os", "fsync"] = "os",
        rank: int | Literal["auto"] = "auto",
        *,
        resume_at: int | Mapping[str, Any] | None = None,
        on_error: Literal["raise", "warn"] = "raise",
        disk: Disk | None = None,
    ) -> None:
        wishes = Wishes(
            schema, mode, seed, max_records, flush_every, durability, resume_at, on_error
        )
        self._warns, self._max_records, self._next_index = on_error == "warn", wishes.num_kept, 0
        self.num_refused = self._num_idle = 0
        self.path = place_of(path, rank_of(rank))
        self._session: Session | None = None
        if self.path is not None:
            self._session = Session(self.path, wishes, disk or Disk())
            _RECORDERS.add(self)
        session = self._session
        self.schema = session.schema if session else schema or default_schema()
        self.num_dropped = session.num_dropped if session else 0
        self.dropped_to = session.dropped_to if session else None
        self._root = session.root if session else wishes.root
        self._config: Mapping[str, Any] | None = None
        self._config_body: bytes | None = None
        self._config_bit = 0
        try:
            self._set_config(session.config if config is None and session else config)
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
        phase : str
            "dream", "train", "validate" ("val", "eval"), or a further phase of the schema.
        timestamp : int, optional
            u64; default: the last one + 1, so that ordinary loops cannot be out of order.
        step, epoch : int, optional
            Your own counters; free to repeat.
        metrics : mapping of str to float, optional
            Any names; those that the schema does not declare are stored without loss.
        **fields : value
            Fields of the schema: ``loss`` (or ``loss_value``), ``coherence``, ``tensor_signature``,
            ``action_code``, ``seed_state``, ``state_digest``, ``config`` (for this record alone).
            Tensors are detached and copied; None is absent.

        Raises
        ------
        EncodeError
            A value does not fit; names field, what was found and what was expected.
        OrderError
            The record would go back in (timestamp, phase).
        OSError
            The journal cannot be written.
        RecorderError
            The recorder is closed, or its session has ended.
        """
        session = self._session
        if session is None:
            self._num_idle += 1
            return
        if step is not None:
            fields["step"] = step
        if epoch is not None:
            fields["epoch"] = epoch
        self._record(session, session.drafter.draft(phase, timestamp, fields, metrics))

    def record_cycle(self, record: CycleRecord) -> None:
        """Record a cycle given as a record; see `log`."""
        session = self._session
        if session is None:
            self._num_idle += 1
            return
        flat = flatten(record, self.schema)
        phase, timestamp = flat.pop(PHASE), flat.pop(TIMESTAMP, None)
        self._record(session, session.drafter.draft(phase, timestamp, flat, None))

    def _record(self, session: Session, draft: Draft) -> None:
        if draft.config is None and self._config_body is not None:
            draft.config = self._config_body
            draft.present |= self._config_bit
        try:
            session.record(draft)
        except OrderError:
            if not self._warns:
                raise
            self.num_refused += 1

    def cycle(self, phase: str, *, seed_globals: bool = True, **fields: Any) -> Cycle:
        """Return a cycle, to be entered by ``with``.

        Parameters
        ----------
        phase : str
            As for `log`.
        seed_globals : bool
            Also seed the global generators of `random`, of numpy, and of torch if it is imported.
        **fields : value
            As for `log`: fields known beforehand, such as `step`.
        """
        if self._root is None:
            self._root = int.from_bytes(os.urandom(8), "little")
            self._set_config(self._config)
        index = max(len(self), self._next_index)
        self._next_index = index + 1
        seed = seeds.seed_of(self._root, index)
        return Cycle(self, phase, seed, index, seed_globals=seed_globals, stated=fields)

    def _release_seed(self, index: int) -> None:
        """Give a seed back whose cycle has committed nothing, if it was the last."""
        if self._next_index == index + 1:
            self._next_index = index

    def flush(self) -> None:
        """Write what is waiting for its group; returns when it is acknowledged.

        Raises
        ------
        OSError, RecorderError
        """
        if self._session is not None:
            self._session.flush()

    def seal(self) -> int:
        """Wait until every full batch is in the file; return how many records those hold.

        Raises
        ------
        OSError, RecorderError
        """
        return self._session.seal() if self._session is not None else 0

    # ----------------------------------------------------------------------------- what there is

    def __len__(self) -> int:
        """Return the number of records of the whole run."""
        return self._session.ledger.num_records if self._session else self._num_idle

    @property
    def last(self) -> CycleRecord | None:
        """The last record, with exactly the values that the file will return."""
        newest = self._newest(1)
        return newest[-1] if newest else None

    @property
    def records(self) -> list[CycleRecord]:
        """The newest `max_records` records, with exactly the values that the file will return."""
        return self._newest(self._max_records)

    def _newest(self, count: int) -> list[CycleRecord]:
        if self._session is None or count == 0:
            return []
        self._session.flush()
        return self._session.recent.newest(count)

    @property
    def config(self) -> Mapping[str, Any] | None:
        """The configuration in force; assigning another one holds from the next record on."""
        return self._config

    @config.setter
    def config(self, config: Any) -> None:
        self._set_config(config)

    def _set_config(self, config: Any) -> None:
        stated = None if config is None else as_mapping(config)
        if self._root is not None and seeds.root_in(stated) != self._root:
            stated = seeds.with_root(stated, self._root)
        body, bit = None, 0
        if self._session is not None and stated is not None:
            slot = self._session.drafter.config_slot
            if slot is not None or config is not None:
                body = self._session.drafter.config_body(stated)
                bit = slot.bit if slot else 0
        self._config, self._config_body, self._config_bit = stated, body, bit

    def state_dict(self) -> dict[str, Any]:
        """Return what belongs into a checkpoint: pass it as `resume_at` to go on from there."""
        self.flush()
        if self._session is None:
            return {"num_records": len(self), "timestamp": 0}
        tail = self._session.ledger.tail
        return {"num_records": tail.num_records, "timestamp": tail.timestamp}

    # ------------------------------------------------------------------------------------- end

    def close(self) -> None:
        """Close the chronicle: everything is in place and on disk when this returns.

        A second time does nothing. If it fails, or is interrupted, the file stays open with its
        journal and can be resumed.

        Raises
        ------
        OSError, RecorderError
        """
        if self._session is None:
            return
        did = self._session.close()
        _RECORDERS.discard(self)
        if did and self.num_refused:
            warnings.warn(
                f"{self.path}: {self.num_refused} records went back in (timestamp, phase) and "
                "were not recorded",
                CmetaWarning,
                stacklevel=2,
            )

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()

    def __repr__(self) -> str:
        what = "closed" if self._session and self._session.is_closed else "recording"
        return f"<Recorder of {self.path}: {what}, {len(self)} records>"


_RECORDERS: weakref.WeakSet[Recorder] = weakref.WeakSet()


def _close_all() -> None:
    for recorder in list(_RECORDERS):
        recorder.close()


def _forget_all() -> None:
    for recorder in list(_RECORDERS):
        if recorder._session is not None:
            recorder._session.after_fork()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
