"""Where a ledger ends: the journal that it writes, and its last record in there."""

from __future__ import annotations

import struct
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from cmeta.errors import EncodeError, RecorderError
from cmeta.format.encoder import order_error
from cmeta.format.grammar import Grammar
from cmeta.format.journal import Framer
from cmeta.format.journal_rows import RowLayout, Tables
from cmeta.recorder.row_builder import Draft, settle
from cmeta.storage.disk import File


class JournalFile:
    """The journal that is being written.

    Attributes
    ----------
    file : File
    framer : Framer
    defined : dict of str to set of int
        Numbers that it has defined, by kind of entry.
    """

    def __init__(self, file: File, framer: Framer) -> None:
        self.file, self.framer = file, framer
        self.defined: dict[str, set[int]] = {"CONFIG": set(), "NAME": set()}


class Tail(NamedTuple):
    """Where the ledger ends.

    Attributes
    ----------
    num_records : int
        Of the whole run, but for the group.
    timestamp, phase : int
        Of the last of them.
    offset : int
        Where the next entry goes in the journal.
    num_configs, num_names : int
        How many configurations and names of the run these records use.
    group : list of Draft
        What has been logged but not yet written.
    """

    num_records: int
    timestamp: int
    phase: int
    offset: int
    num_configs: int
    num_names: int
    group: list[Draft]


_MOST = int(np.iinfo(np.uint64).max)


_new_tail = tuple.__new__  # a third of the time of calling the class


class Ledger:
    """See the module.

    Parameters
    ----------
    layout : RowLayout
    grammar : Grammar
    flush_every : int
        Records of a group.
    durable : bool
        Whether a group must be on disk, or in the hands of the system.
    max_records : int
        How many of the newest records to keep for `newest`.
    """

    def __init__(
        self, layout: RowLayout, grammar: Grammar, *, flush_every: int, durable: bool,
        max_records: int,
    ) -> None:  # fmt: skip
        self._layout, self._grammar = layout, grammar
        self._flush_every, self.durable = flush_every, durable
        self._most_records = layout.schema.format.limits.records_count_max
        head = grammar.journal_frame.upto("body")
        self._entry = struct.Struct("<" + head.codes + layout.codes)
        self._len_head = head.size
        self._len_fixed = layout.len_fixed
        self._len_present = layout.len_present
        self._row_kind = grammar.format.journal.kinds["ROW"].kind
        self._metric = struct.Struct("<" + layout.entry_codes)
        self.lock = threading.Lock()
        self.tables = Tables()
        self._config_numbers: dict[bytes, int] = {}
        self._name_numbers: dict[str, int] = {}
        self.rows: list[bytes] = []
        self.first = 0  # ordinal of rows[0]
        self._newest: deque[tuple[int, bytes]] = deque(maxlen=max_records)
        self.journal: JournalFile | None = None
        self.tail = Tail(0, 0, 0, 0, 0, 0, [])
        self.refusal: RecorderError | None = None  # why nothing is taken any more
        self._is_midway = False  # a flush has begun: the one before was interrupted if it still is
        self.is_torn = False  # a write failed: the journal must be begun anew
        self.is_ended = False  # nothing is taken any more: closed, or in a forked child
        self.is_troubled = False  # what recording looks at first: any of these
        self.timestamp_place = self.config_place = 0  # in the list of values

    def begin(
        self, first: int, bodies: Sequence[bytes], tables: Tables, last: tuple[int, int]
    ) -> None:
        """Begin with the rows of an earlier session; the journal comes later."""
        self.first, self.rows, self.tables = first, list(bodies), tables
        self._config_numbers = {body: number for number, body in tables.configs.items()}
        self._name_numbers = {name: number for number, name in tables.names.items()}
        self._newest.extend(enumerate(self.rows, first))
        num = first + len(self.rows)
        self.tail = Tail(num, *last, 0, len(tables.configs), len(tables.names), [])

    # ------------------------------------------------------------------------------- recording

    @property
    def num_records(self) -> int:
        """Records of the whole run, those of the group included."""
        tail = self.tail
        return tail.num_records + len(tail.group)

    def append(self, draft: Draft) -> int:
        """Take a record, and return its ordinal; the caller holds the lock.

        Raises
        ------
        OrderError
            It would go back in (timestamp, phase).
        EncodeError
            No timestamp or ordinal is left.
        OSError
            The journal cannot be written; the record has not been taken.
        """
        num, last_timestamp, last_phase, _, _, _, group = self.tail
        if group:
            last_timestamp, last_phase = group[-1].timestamp or 0, group[-1].phase
            num += len(group)
        timestamp = draft.timestamp
        if timestamp is None:
            timestamp = draft.timestamp = last_timestamp + 1 if num else 0
            if timestamp > _MOST:
                raise EncodeError(f"timestamp: none is left to assign after {_MOST}")
        elif timestamp <= last_timestamp and num:
            before, found = (last_timestamp, last_phase), (timestamp, draft.phase)
            if found < before:
                raise order_error(num, before, found, self._layout.schema)
        if num >= self._most_records:
            raise EncodeError(
                f"a file holds at most {self._most_records} records; begin another one"
            )
        draft.values[self.timestamp_place] = timestamp
        group.append(draft)
        if len(group) >= self._flush_every:
            try:
                self.flush()
            except Exception:
                if self.tail.group and self.tail.group[-1] is draft:
                    self.tail.group.pop()
                raise
        return num

    def flush(self) -> None:
        """Write the group to the journal; the caller holds the lock.

        Raises
        ------
        OSError
            The journal cannot be written; the group stays.
        RecorderError
            It cannot be synced.
        """
        tail, journal = self.tail, self.journal
        num, _, _, offset, _, _, group = tail
        if not group or journal is None:
            return
        if self._is_midway:
            self._repair(tail)
        self._is_midway = True
        defined: list[tuple[str, int]] = []
        if len(group) == 1 and group[0].deferred is None:  # the ordinary case, for its speed
            entries = [self._pack(group[0], num, journal, defined)]
            data = journal.framer.seal(entries[0])
        else:
            settle(group)
            entries = [self._pack(d, o, journal, defined) for o, d in enumerate(group, num)]
            data = b"".join(map(journal.framer.seal, entries))
        if defined:
            data = self._definitions(defined, journal.framer, num) + data
        try:
            journal.file.write(data, offset)
        except OSError:
            self.is_torn = self.is_troubled = True
            raise
        if self.durable:
            self.sync(journal.file)
        for ordinal, entry in enumerate(entries, num):
            body = entry[self._len_head :]
            self.rows.append(body)
            self._newest.append((ordinal, body))
        last, tables = group[-1], self.tables
        self.tail = _new_tail(
            Tail,
            (
                num + len(entries), last.timestamp, last.phase, offset + len(data),
                len(tables.configs), len(tables.names), [],
            ),
        )  # fmt: skip
        for kind, number in defined:
            journal.defined[kind].add(number)
        self._is_midway = False

    def sync(self, file: File) -> None:
        """Wait until a file is on disk; a failure ends the session."""
        try:
            file.sync()
        except OSError as err:
            self.refuse(
                f"{file.path}: fsync failed ({err}); what it covers is unknown, so this session "
                "has ended. Every record that was acknowledged before is in the file and its "
                'journal; continue with mode="resume"'
            )
            raise RecorderError(str(self.refusal)) from err

    def refuse(self, why: str) -> None:
        """Take nothing any more."""
        self.refusal, self.is_troubled = RecorderError(why), True

    def end(self) -> None:
        """Take nothing any more, because the session has ended."""
        self.is_ended = self.is_troubled = True

    def look_again(self) -> None:
        """Find out whether there still is trouble; the caller holds the lock."""
        self.is_troubled = self.is_torn or self.is_ended or self.refusal is not None

    def _repair(self, tail: Tail) -> None:
        """Remove what an interrupted step has left behind."""
        expected = tail.num_records - self.first
        if len(self.rows) > expected:
            del self.rows[expected:]
        tables = self.tables
        for number in range(tail.num_configs, len(tables.configs)):
            self._config_numbers.pop(tables.configs.pop(number), None)
        for number in range(tail.num_names, len(tables.names)):
            self._name_numbers.pop(tables.names.pop(number), None)

    # --------------------------------------------------------------------------------- packing

    def _pack(
        self, draft: Draft, ordinal: int, journal: JournalFile, defined: list[tuple[str, int]]
    ) -> bytes:
        """Return a draft as an entry without its CRC; note what must be defined before it."""
        values, num_undeclared, undeclared = draft.values, 0, b""
        if draft.config is not None:
            number = self._number_of_config(draft.config)
            values[self.config_place] = number
            if number not in journal.defined["CONFIG"]:
                defined.append(("CONFIG", number))
        if draft.undeclared:
            metrics, num_undeclared = self._numbered(draft.undeclared), len(draft.undeclared)
            known = journal.defined["NAME"]
            defined += [("NAME", number) for number, _ in metrics if number not in known]
            undeclared = b"".join([self._metric.pack(*metric) for metric in metrics])
        present = draft.present.to_bytes(self._len_present, "little")
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
        """Return metrics by number; new names get theirs as the main file will number them."""
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
        """Return rows as entries of another journal, with the definitions that it still lacks."""
        if not bodies:
            return b""
        metrics, _ = self._layout.undeclared_of(bodies)
        names = set(np.unique(metrics["name_number"]).tolist())
        used = {"CONFIG": self._configs_of(bodies), "NAME": names}
        lacking = [
            (kind, number)
            for kind, numbers in used.items()
            for number in sorted(numbers - journal.defined[kind])
        ]
        for kind, number in lacking:
            journal.defined[kind].add(number)
        rows = [journal.framer.frame("ROW", first + i, body) for i, body in enumerate(bodies)]
        return self._definitions(lacking, journal.framer, first) + b"".join(rows)

    def _configs_of(self, bodies: Sequence[bytes]) -> set[int]:
        fields = self._layout.schema.fields
        place = next((i for i, f in enumerate(fields) if f.type == "config"), None)
        if place is None:
            return set()
        fixed = self._layout.fixed(bodies)
        present = self._layout.presence(fixed)[:, place].astype(bool)
        return set(np.unique(fixed[f"v{place}"][present]).tolist())

    def newest(self) -> dict[int, bytes]:
        """Return the newest rows by ordinal; the caller holds the lock and has flushed."""
        num = self.tail.num_records
        return {ordinal: body for ordinal, body in self._newest if ordinal < num}
