"""The pending records: those that are not yet in a sealed batch, in memory and in the journal.

- One lock guards them: any thread may append, and the sealer takes from the front.
- A step takes effect by one assignment, of `state`. Ctrl-C may strike between any two lines; work
  without that assignment does not count, and the next step removes it (`_repair`).
- A record is acknowledged when its group has been written after the last one, at an offset that is
  kept here. Where a write has failed, nothing is ever written after its remains.
"""

from __future__ import annotations

import os
import struct
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence, Set
from typing import NamedTuple

import numpy as np

from cmeta.aliases import U64_MAX
from cmeta.errors import EncodeError, RecorderError
from cmeta.format.batch_room import BatchRoom, undeclared_max
from cmeta.format.encoder import order_error
from cmeta.format.grammar import Grammar
from cmeta.format.journal import Framer, RowLayout, Tables
from cmeta.recorder.row_builder import Row, fetch_tensors, value_positions
from cmeta.schema.rules import TIMESTAMP
from cmeta.storage.disk import File


class JournalFile:
    """The journal that is being written.

    Attributes
    ----------
    file : File
    framer : Framer
    defined : dict of str to set of int
        Numbers that it has defined, by kind of entry.
    config_in_force : bytes or None
        As it says last; None: nothing yet.
    """

    def __init__(self, file: File, framer: Framer) -> None:
        self.file, self.framer = file, framer
        self.defined: dict[str, set[int]] = {"CONFIG": set(), "NAME": set()}
        self.config_in_force: bytes | None = None


class JournalState(NamedTuple):
    """How far the journal has been written, and the group that is written next.

    Attributes
    ----------
    num_records : int
        Of the whole run, without the group.
    timestamp, phase : int
        Of the last of them.
    offset : int
        Of the next entry in the journal.
    num_configs, num_names : int
        Configurations and names of the run that these records use.
    group : list of Row
        Records that have been logged but not yet written.
    """

    num_records: int
    timestamp: int
    phase: int
    offset: int
    num_configs: int
    num_names: int
    group: list[Row]


_new_state = tuple.__new__  # a third of the time of calling the class


class PendingRecords:
    """The records that are not yet in a sealed batch.

    Parameters
    ----------
    layout : RowLayout
    grammar : Grammar
    first : int
        Ordinal of the first pending record.
    bodies : sequence of bytes
        Rows of an earlier session; `journal` is assigned when it has been written.
    tables : Tables
        Every configuration and name of the run so far.
    last : tuple of int
        Timestamp and code of the phase of the last record.
    config_in_force : bytes
        That of the next record unless it is given one of its own; b"" for none.
    flush_every : int
        Records of a group.
    is_durable : bool
        Whether a group is acknowledged when it is on disk, or when the system has it.
    max_records : int
        The number of newest records to keep for `newest`.

    Attributes
    ----------
    bodies : list of bytes
        Bodies of the rows that have been written; see `written` for those that count.
    failure : str
        Why the session has ended, or "".
    is_torn : bool
        A write has failed: a new journal must be written.
    left_out : list of EncodeError
        Records that were taken but could not be written, which have not been reported.
    needs_check : bool
        Recording must look for a reason to wait or to refuse before it continues.
    """

    def __init__(
        self, layout: RowLayout, grammar: Grammar, first: int, bodies: Sequence[bytes],
        tables: Tables, last: tuple[int, int], *, config_in_force: bytes = b"", flush_every: int,
        is_durable: bool, max_records: int,
    ) -> None:  # fmt: skip
        self._layout, self._grammar = layout, grammar
        self._flush_every, self.is_durable = flush_every, is_durable
        schema = layout.schema
        self._most_records = schema.format.limits.records_count_max
        positions, config = value_positions(schema), schema.config_field
        self._timestamp_position = positions[TIMESTAMP]
        self._config_position = positions[config.path] if config else -1  # never used without one
        head = grammar.journal_frame.upto("body")
        self._entry = struct.Struct("<" + head.codes + layout.codes)
        self._len_head = head.size
        self._len_fixed, self._len_present = layout.len_fixed, layout.len_present
        self._row_kind = grammar.format.journal.kinds["ROW"].kind
        self._metric = struct.Struct("<" + layout.entry_codes)
        self.lock = threading.Lock()
        self.first, self.bodies, self.tables = first, list(bodies), tables
        self._config_numbers = {body: number for number, body in tables.configs.items()}
        self._name_numbers = {name: number for number, name in tables.names.items()}
        self._newest = deque(enumerate(self.bodies, first), maxlen=max_records)
        num = first + len(self.bodies)
        self.state = JournalState(num, *last, 0, len(tables.configs), len(tables.names), [])
        self._batch_records = schema.batch_records
        begun = self.bodies[len(self.bodies) - num % self._batch_records :]
        names = [tables.names[number] for number in layout.names_in(begun)] if begun else []
        self._room = BatchRoom(schema, names, undeclared_max(schema))
        self.config_in_force = config_in_force
        self.journal: JournalFile | None = None
        self.failure = ""
        self.left_out: list[EncodeError] = []
        self._is_flushing = False  # still true when the next flush begins: it was interrupted
        self.is_torn = self._has_ended = self.needs_check = False

    # ------------------------------------------------------------------------------- recording

    @property
    def num_records(self) -> int:
        """Records of the whole run, including the group."""
        state = self.state
        return state.num_records + len(state.group)

    @property
    def num_waiting(self) -> int:
        """Records of the group that is not yet written."""
        return len(self.state.group)

    def append(self, row: Row) -> int:
        """Take a record, and return its ordinal; the caller holds the lock.

        Raises
        ------
        OrderError
            It would go back in (timestamp, phase).
        EncodeError
            No timestamp or ordinal is left, or the batch has no room for its metrics.
        OSError
            The journal cannot be written; the record has not been taken.
        """
        num, last_timestamp, last_phase, _, _, _, group = self.state
        if group:
            last_timestamp, last_phase = group[-1].timestamp or 0, group[-1].phase
            num += len(group)
        timestamp = row.timestamp
        if timestamp is None:
            timestamp = row.timestamp = last_timestamp + 1 if num else 0
            if timestamp > U64_MAX:
                raise EncodeError(f"timestamp: none is left to assign after {U64_MAX}")
        elif timestamp <= last_timestamp and num:
            last, key = (last_timestamp, last_phase), (timestamp, row.phase)
            if key < last:
                raise order_error(num, last, key, self._layout.schema)
        if num >= self._most_records:
            raise EncodeError(
                f"the file is full: a file holds at most {self._most_records:,} records; start "
                "another one"
            )
        new_names = self._require_room(row, num)
        row.values[self._timestamp_position] = timestamp
        group.append(row)
        if len(group) >= self._flush_every:
            try:
                self.flush()
            except Exception:
                if self.state.group and self.state.group[-1] is row:
                    self.state.group.pop()
                    self._room.names.difference_update(new_names)
                raise
        return num

    def _require_room(self, row: Row, ordinal: int) -> Set[str]:
        """Take the names of a record into the batch; return those that are new there.

        Raises
        ------
        EncodeError
            A batch with this record could not be sealed.
        """
        number = ordinal % self._batch_records
        if number == 0:
            tables = self.tables
            num_blocks = 1 + ordinal // self._batch_records + len(tables.configs)
            self._room.begin(num_blocks + len(tables.names))
        if not (row.undeclared or row.on_device or self._room.is_tight):
            return frozenset()
        names: Set[str] = row.undeclared.keys()
        if row.on_device:
            names = names | {item.name for item in row.on_device if item.position < 0}
        new = self._room.new_names(names, number)
        self._room.names.update(new)
        return new

    def flush(self) -> None:
        """Write the group to the journal; the caller holds the lock.

        A record whose tensors cannot be fetched is left out, and does not keep the others.

        Raises
        ------
        OSError
            The journal cannot be written; the group stays.
        RecorderError
            The journal cannot be synced.
        """
        state, journal = self.state, self.journal
        num, _, _, offset, _, _, group = state
        if not group:
            return
        if journal is None:
            raise RecorderError(self.failure or "the recorder is closed")
        if self._is_flushing:
            self._repair(state)
        self._is_flushing = True
        undefined: list[tuple[str, int]] = []
        if len(group) == 1 and group[0].on_device is None:  # the ordinary case, for its speed
            entries = [self._pack(group[0], num, journal, undefined)]
            data = journal.framer.seal(entries[0])
        else:
            self._fetch(group)
            if not group:
                self._is_flushing = False
                return
            entries = [self._pack(row, o, journal, undefined) for o, row in enumerate(group, num)]
            data = b"".join(map(journal.framer.seal, entries))
        if undefined:
            data = self._definitions(undefined, journal.framer, num) + data
        if journal.config_in_force != self.config_in_force:
            data = self._entry_of_config(journal, num) + data
        self._write(journal, data, offset)
        for ordinal, entry in enumerate(entries, num):
            body = entry[self._len_head :]
            self.bodies.append(body)
            self._newest.append((ordinal, body))
        last, tables = group[-1], self.tables
        self.state = _new_state(
            JournalState,
            (
                num + len(entries), last.timestamp, last.phase, offset + len(data),
                len(tables.configs), len(tables.names), [],
            ),
        )  # fmt: skip
        for kind, number in undefined:
            journal.defined[kind].add(number)
        journal.config_in_force = self.config_in_force
        self._is_flushing = False

    def _fetch(self, group: list[Row]) -> None:
        """Fetch the tensors of a group, and drop the rows of which one cannot be fetched."""
        failed = fetch_tensors(group) if any(row.on_device for row in group) else {}
        for row, err in failed.items():
            phase = self._layout.schema.phases[row.phase]
            self.left_out.append(
                EncodeError(
                    f"{err}; the record of timestamp {row.timestamp}, {phase}, was logged before "
                    "and is left out; the others of its group are recorded"
                )
            )
        if failed:
            group[:] = [row for row in group if row not in failed]

    def set_config_in_force(self, body: bytes) -> None:
        """Note the configuration in force from the next record on; the caller holds the lock.

        Raises
        ------
        OSError, RecorderError
            As `flush`, which writes the records before it; the former one is in force.
        """
        if body == self.config_in_force:
            return
        self.flush()
        before, self.config_in_force = self.config_in_force, body
        try:
            self._write_config_in_force()
        except BaseException:
            self.config_in_force = before  # also in the journal, with the next record
            raise

    def _write_config_in_force(self) -> None:
        state, journal = self.state, self.journal
        if journal is None:
            return
        data = self._entry_of_config(journal, state.num_records)
        self._write(journal, data, state.offset)
        self.state = state._replace(offset=state.offset + len(data))
        journal.config_in_force = self.config_in_force

    def _entry_of_config(self, journal: JournalFile, ordinal: int) -> bytes:
        """Return the entry that a journal lacks to say which configuration is in force, or b""."""
        if journal.config_in_force == self.config_in_force:
            return b""
        return journal.framer.frame("CONFIG_IN_FORCE", ordinal, self.config_in_force)

    def _write(self, journal: JournalFile, data: bytes, offset: int) -> None:
        """Write entries, and sync them if the group is acknowledged on disk only."""
        try:
            journal.file.write(data, offset)
            if self.is_durable:
                self.sync(journal.file.sync, journal.file.path)
        except (OSError, RecorderError):
            self.is_torn = self.needs_check = True
            raise

    def _repair(self, state: JournalState) -> None:
        """Remove the remains of an interrupted flush."""
        del self.bodies[state.num_records - self.first :]
        tables = self.tables
        for number in range(state.num_configs, len(tables.configs)):
            self._config_numbers.pop(tables.configs.pop(number), None)
        for number in range(state.num_names, len(tables.names)):
            self._name_numbers.pop(tables.names.pop(number), None)

    # --------------------------------------------------------------------------------- packing

    def _pack(
        self, row: Row, ordinal: int, journal: JournalFile, undefined: list[tuple[str, int]]
    ) -> bytes:
        """Return a row as an entry without its CRC; note the numbers to define before it."""
        values, num_undeclared, undeclared = row.values, 0, b""
        if row.config is not None:
            number = self._number_of_config(row.config)
            values[self._config_position] = number
            if number not in journal.defined["CONFIG"]:
                undefined.append(("CONFIG", number))
        if row.undeclared:
            metrics, num_undeclared = self._numbered(row.undeclared), len(row.undeclared)
            known = journal.defined["NAME"]
            undefined += [("NAME", number) for number, _ in metrics if number not in known]
            undeclared = b"".join([self._metric.pack(*metric) for metric in metrics])
        present = row.present.to_bytes(self._len_present, "little")
        entry = self._entry.pack(
            self._len_fixed + len(undeclared), self._row_kind, 0, 0, ordinal, present, *values,
            num_undeclared,
        )  # fmt: skip
        return entry + undeclared if undeclared else entry

    def _number_of_config(self, body: bytes) -> int:
        number = self._config_numbers.get(body)
        if number is None:
            number = len(self.tables.configs)
            self.tables.configs[number] = body
            self._config_numbers[body] = number
        return number

    def _numbered(self, undeclared: Mapping[str, float]) -> list[tuple[int, float]]:
        """Return metrics by number; new names get the numbers that the main file will give them."""
        numbers = self._name_numbers
        new = [name for name in undeclared if name not in numbers]
        for name in sorted(new, key=str.encode):
            number = len(self.tables.names)
            self.tables.names[number] = name
            numbers[name] = number
        return sorted([(numbers[name], value) for name, value in undeclared.items()])

    def _definitions(
        self, numbers: Sequence[tuple[str, int]], framer: Framer, ordinal: int
    ) -> bytes:
        """Return the entries that define numbers, before the ROW of this ordinal."""
        pieces = []
        for kind, number in dict.fromkeys(numbers):
            fields: dict[str, object] = {"number": number}
            if kind == "CONFIG":
                fields["config"] = self.tables.configs[number]
            else:
                fields["name"] = self.tables.names[number]
            body = self._grammar.journal_bodies[kind].build(fields)
            pieces.append(framer.frame(kind, ordinal, body))
        return b"".join(pieces)

    def entries_of(self, bodies: Sequence[bytes], first: int, journal: JournalFile) -> bytes:
        """Return rows as entries of another journal, after the entries that it still lacks."""
        config = self._entry_of_config(journal, first)
        journal.config_in_force = self.config_in_force
        if not bodies:
            return config
        used = {"CONFIG": self._configs_of(bodies), "NAME": set(self._layout.names_in(bodies))}
        undefined = [
            (kind, number)
            for kind, numbers in used.items()
            for number in sorted(numbers - journal.defined[kind])
        ]
        for kind, number in undefined:
            journal.defined[kind].add(number)
        rows = [journal.framer.frame("ROW", first + i, body) for i, body in enumerate(bodies)]
        return config + self._definitions(undefined, journal.framer, first) + b"".join(rows)

    def _configs_of(self, bodies: Sequence[bytes]) -> set[int]:
        fields = self._layout.schema.fields
        place = next((i for i, f in enumerate(fields) if f.type == "config"), None)
        if place is None:
            return set()
        fixed = self._layout.fixed(bodies)
        present = self._layout.presence(fixed)[:, place].astype(bool)
        return set(np.unique(fixed[f"v{place}"][present]).tolist())

    # ------------------------------------------------------------------- sealing and rotating

    def written(self, start: int = 0, end: int = sys.maxsize) -> list[bytes]:
        """Return the pending rows that the journal holds; the caller holds the lock.

        An interrupted flush may have left bodies after them, which do not count.
        """
        return self.bodies[start : min(end, self.state.num_records - self.first)]

    def drop(self, count: int) -> None:
        """Drop the first rows, which are in the main file now; the caller holds the lock."""
        del self.bodies[:count]
        self.first += count

    def switch(self, journal: JournalFile, offset: int) -> JournalFile | None:
        """Go on with another journal, and return the old one; the caller holds the lock."""
        old, self.journal = self.journal, journal
        self.state = self.state._replace(offset=offset)
        self.is_torn = False
        self.check()
        return old

    def newest(self) -> dict[int, bytes]:
        """Return the newest rows by ordinal; the caller holds the lock and has flushed."""
        num = self.state.num_records
        return {ordinal: body for ordinal, body in self._newest if ordinal < num}

    # ------------------------------------------------------------------------------------- end

    def sync(self, sync: Callable[[], None], path: os.PathLike[str]) -> None:
        """Sync a file or folder; a failure ends the session, since no later sync proves anything.

        Raises
        ------
        RecorderError
        """
        try:
            sync()
        except OSError as err:
            self.fail(
                f"{os.fspath(path)}: fsync failed ({err}); the data that it covers may be lost, so "
                "this session has ended. Every record that was acknowledged before is in the file "
                'and its journal; continue with mode="resume"'
            )
            raise RecorderError(self.failure) from err

    def fail(self, message: str) -> None:
        """End the session; the first failure is the one that is reported."""
        self.failure = self.failure or message
        self.needs_check = True

    def end(self) -> None:
        """Take no more records."""
        self._has_ended = self.needs_check = True

    def close_journal(self) -> None:
        """Close the journal; no other thread is writing to it then, and none can later."""
        with self.lock:
            journal, self.journal = self.journal, None
            if journal is not None:
                journal.file.close()

    def after_fork(self) -> None:
        """Take no more records in a forked child, whose parent may have held the lock."""
        self.end()
        self.lock = threading.Lock()

    def check(self) -> None:
        """Find out whether recording still needs a check; the caller holds the lock."""
        self.needs_check = self.is_torn or self._has_ended or bool(self.failure)
