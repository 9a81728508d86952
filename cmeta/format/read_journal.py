"""A whole journal: its rows, as far as it is intact and follows the rules (SPEC, Journal).

Reading stops at the first entry that is not intact, or that breaks a rule. A crash leaves the
former; the latter, which `Journal.breaks_rule` states, is damage. No other place judges that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from cmeta.aliases import Array, Mask
from cmeta.errors import CorruptError, DecodeError
from cmeta.format.grammar import Grammar
from cmeta.format.journal import (
    Entry,
    Framer,
    JournalHeader,
    RowLayout,
    Tables,
    read_journal_header,
)
from cmeta.records.chunk import Chunk, goes_back
from cmeta.schema import canonical_json
from cmeta.schema.rules import PHASE, TIMESTAMP, require_name
from cmeta.schema.schema import Schema
from cmeta.source import Source


@dataclass(frozen=True)
class Journal:
    """The content of a journal, as far as it is intact.

    Attributes
    ----------
    header : JournalHeader
    main : Tables or None
        What the main file defines before the rows; None: unknown.
    schema : Schema
        The schema of its rows.
    layout : RowLayout
    bodies : list of bytes
        The rows.
    tables : Tables
        The configurations and names that they refer to.
    config_in_force : bytes or None
        The configuration, as canonical JSON, that the next record has unless it is given one of
        its own; b"" for none; None if the journal does not say.
    end : int
        Length of the intact part in bytes.
    len_file : int
        Length of the whole file in bytes.
    problem : str
        Why the intact part ends before the end of the file, or "".
    breaks_rule : bool
        Whether what ends it is an intact entry that breaks a rule, which no crash leaves.
    """

    header: JournalHeader
    main: Tables | None
    schema: Schema
    layout: RowLayout
    bodies: list[bytes]
    tables: Tables
    config_in_force: bytes | None
    end: int
    len_file: int
    problem: str
    breaks_rule: bool

    @cached_property
    def chunk(self) -> Chunk:
        """The rows as a chunk."""
        return self.layout.chunk_of(self.bodies, self.tables)


def read_journal(
    source: Source, schema: Schema, grammar: Grammar, main: Tables | None = None
) -> Journal:
    """Return the content of a journal, as far as it is intact and obeys the rules.

    Parameters
    ----------
    source : Source
        The journal.
    schema : Schema
        The schema of the main file.
    main : Tables, optional
        The configurations and names that the main file defines before the journal's rows, by
        number. Without them, numbers that only the main file can confirm are not checked, nor
        whether the rows fit into batches.

    Raises
    ------
    DecodeError
        The header is damaged, or the journal belongs to a file of another schema.
    """
    header = read_journal_header(source, grammar)
    digest = grammar.checksum(schema.embedded)
    if header.schema_digest != digest:
        raise CorruptError(
            f"found schema digest {header.schema_digest:#018x}, expected {digest:#018x}: the "
            "journal belongs to a file of another schema",
            path="journal.header.schema_digest",
        )
    scan = _Scan(schema, grammar, header.base_records, main)
    framer = Framer(grammar, header.salt)
    end = grammar.journal_header.size
    for entry in framer.scan(source, end):
        try:
            scan.take(entry)
        except DecodeError as err:
            scan.problem = err.message
            break
        end = entry.end
    num_good, problem = scan.num_good_rows()
    if num_good < len(scan.bodies):
        end = scan.starts[num_good]
    broken = problem or scan.problem
    return Journal(
        header, main, schema, scan.layout, scan.bodies[:num_good], scan.tables,
        scan.config_in_force(num_good), end, source.size,
        broken or ("a torn entry" if end < source.size else ""), bool(broken),
    )  # fmt: skip


_NO_ROOM = "a row with metrics of more names than its batch can hold"


class _Scan:
    """Collects entries as long as they conform to the rules."""

    def __init__(self, schema: Schema, grammar: Grammar, base: int, main: Tables | None) -> None:
        self._schema, self._grammar, self._base, self._main = schema, grammar, base, main
        # Until the main file is known, any number may be one of its own.
        known = main or Tables()
        self._next = {"CONFIG": len(known.configs), "NAME": len(known.names)}
        self._sealed = {*known.configs.values(), *known.names.values()}
        self.layout = RowLayout(schema, grammar)
        self.tables = Tables()
        self.bodies: list[bytes] = []
        self.starts: list[int] = []
        self._numbered: set[Any] = set()  # the configurations and names that have a number
        self._defined: dict[str, dict[int, int]] = {
            "CONFIG": {},
            "NAME": {},
        }  # from which row each number is defined
        self._in_force: list[tuple[int, bytes]] = []  # from which row each configuration is
        self.problem = ""
        kinds = grammar.format.journal.kinds
        self._row, self._config, self._name, self._config_in_force = (
            kinds[name].kind for name in ("ROW", "CONFIG", "NAME", "CONFIG_IN_FORCE")
        )

    def take(self, entry: Entry) -> None:
        """Take an entry.

        Raises
        ------
        DecodeError
            It breaks a rule that can be checked on this entry alone.
        """
        expected = self._base + len(self.bodies)
        if entry.ordinal != expected:
            raise CorruptError(f"found an entry of ordinal {entry.ordinal}, expected {expected}")
        if entry.kind == self._row:
            self._take_row(entry)
        elif entry.kind in (self._config, self._name):
            self._define(entry)
        elif entry.kind == self._config_in_force:
            body = entry.body and self._checked_config(entry.body)
            self._in_force.append((len(self.bodies), body))
        else:
            raise CorruptError(f"found an entry of unknown kind {entry.kind}")

    def _take_row(self, entry: Entry) -> None:
        layout = self.layout
        rest = len(entry.body) - layout.len_fixed
        if rest < 0 or rest % layout.entry.itemsize:
            raise CorruptError(
                f"found a row of {len(entry.body)} bytes, expected {layout.len_fixed} and "
                f"{layout.entry.itemsize} for each undeclared metric"
            )
        self.bodies.append(entry.body)
        self.starts.append(entry.offset)

    def _define(self, entry: Entry) -> None:
        is_config = entry.kind == self._config
        kind = "CONFIG" if is_config else "NAME"
        fields = self._grammar.journal_bodies[kind].parse(entry.body)
        number = fields["number"]
        value: Any
        table: dict[int, Any]
        if is_config:
            value, table = self._checked_config(fields["config"]), self.tables.configs
        else:
            value, table = self._checked_name(fields["name"]), self.tables.names
        self._check_number(kind, number, value)
        if number not in table and value in self._numbered:
            raise CorruptError(
                f"{kind} {number} repeats a definition that already has another number"
            )
        if table.setdefault(number, value) != value:
            raise CorruptError(f"{kind} {number} is defined twice, with different bodies")
        self._numbered.add(value)
        self._defined[kind].setdefault(number, len(self.bodies))

    def _check_number(self, kind: str, number: int, value: Any) -> None:
        """Require a number of the main file with its body, one given before, or the next one."""
        if self._main is None:
            return
        known: Mapping[int, Any] = self._main.configs if kind == "CONFIG" else self._main.names
        if number > self._next[kind]:
            raise CorruptError(f"found {kind} {number}, expected at most {self._next[kind]}")
        if number in known and known[number] != value:
            raise CorruptError(f"{kind} {number} differs from that of the main file")
        if number == self._next[kind] and value in self._sealed:
            raise CorruptError(f"{kind} {number} repeats a definition of the main file")
        self._next[kind] = max(self._next[kind], number + 1)

    def _checked_config(self, body: bytes) -> bytes:
        if not isinstance(canonical_json.loads(body, self._grammar.format.limits), dict):
            raise CorruptError("found a configuration that is not an object")
        return body

    def _checked_name(self, name: str) -> str:
        group = self._schema.open_group
        if group is None:
            raise CorruptError("found the name of a metric, but the schema has no open group")
        require_name(name, self._grammar.format, CorruptError)
        if f"{group}.{name}" in self._schema:
            raise CorruptError(f"found the name {name!r}, which is declared")
        return name

    def _is_known(self, kind: str, numbers: Array, rows: Array) -> Mask:
        """Return which numbers are defined before the row that uses them."""
        defined = self._defined[kind]
        unused = len(self.bodies) + 1
        used, places = np.unique(numbers, return_inverse=True)
        since = np.array([defined.get(number, unused) for number in used.tolist()], np.int64)
        known: Mask = since[places] <= rows
        return known

    def config_in_force(self, num_rows: int) -> bytes | None:
        """Return the configuration in force after some rows; None if no entry says."""
        return next((body for row, body in reversed(self._in_force) if row <= num_rows), None)

    def num_good_rows(self) -> tuple[int, str]:
        """Return how many rows conform to the rules, and the problem of the next one."""
        if not self.bodies:
            return 0, ""
        problems = [(row, text) for row, text in self._bad_rows() if row < len(self.bodies)]
        return min(problems) if problems else (len(self.bodies), "")

    def _bad_rows(self) -> list[tuple[int, str]]:
        """Return the first row that breaks each rule."""
        layout, schema = self.layout, self._schema
        fixed = layout.fixed(self.bodies)
        bits = layout.presence(fixed)
        bad = [_first(bits[:, len(schema.fields) :].any(axis=1), "presence bits of no field")]
        for i, f in enumerate(schema.fields):
            values, present = fixed[f"v{i}"], bits[:, i].astype(bool)
            if f.name in (TIMESTAMP, PHASE) and not f.group:
                bad.append(_first(~present, f"no {f.path}"))
            raw = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
            filled = raw.reshape(len(values), -1).any(axis=1)
            bad.append(_first(filled & ~present, f"{f.path}: an absent value that is not 0"))
            if f.labels:
                bad.append(_first(values >= len(f.labels), f"{f.path}: a code without a label"))
            elif f.type == "bool":
                codes = raw.reshape(len(values), -1)
                bad.append(_first((codes > 1).any(axis=1), f"{f.path}: neither 0 nor 1"))
            elif f.type == "config":
                known = self._is_known("CONFIG", values, np.arange(len(values)))
                bad.append(_first(present & ~known, "a configuration that is not defined"))
        return bad + self._bad_metrics(fixed) + self._bad_order(fixed) + self._bad_room()

    def _bad_metrics(self, fixed: Array) -> list[tuple[int, str]]:
        entries, rows = self.layout.undeclared_of(self.bodies)
        counts = np.bincount(rows, minlength=len(self.bodies))
        numbers = entries["name_number"]
        known = self._is_known("NAME", numbers, rows)
        back = np.zeros(len(rows), bool)
        back[1:] = (rows[1:] == rows[:-1]) & (numbers[1:] <= numbers[:-1])
        bad = [_first(counts != fixed["num_undeclared"], "a wrong number of undeclared metrics")]
        for wrong, text in ((~known, "a name that is not defined"), (back, "names out of order")):
            if wrong.any():
                bad.append((int(rows[np.argmax(wrong)]), text))
        return bad

    def _bad_room(self) -> list[tuple[int, str]]:
        """Find the first row without room in a batch: by itself, or after those before it."""
        limits, size = self._schema.format.limits, self._schema.batch_records
        length, num_declared = self.layout.len_fixed, self._schema.num_columns
        sizes = np.array([len(body) - length for body in self.bodies]) // self.layout.entry.itemsize
        bad = [_first(sizes + num_declared > limits.columns_max, _NO_ROOM)]
        for start in range(0, len(self.bodies), size) if self._main is not None else ():
            entries, rows = self.layout.undeclared_of(self.bodies[start : start + size])
            _, firsts = np.unique(entries["name_number"], return_index=True)
            records = np.arange(min(size, len(self.bodies) - start))
            num_names = np.searchsorted(np.sort(rows[firsts]), records, side="right")
            columns = num_declared + num_names
            cells = columns * (records + 1)
            wrong = (columns > limits.columns_max) | (cells > limits.cells_max)
            if wrong.any():
                bad.append((start + int(np.argmax(wrong)), _NO_ROOM))
                break
        return bad

    def _bad_order(self, fixed: Array) -> list[tuple[int, str]]:
        places = {f.path: f"v{i}" for i, f in enumerate(self._schema.fields)}
        timestamps, phases = fixed[places[TIMESTAMP]], fixed[places[PHASE]]
        back = np.zeros(len(fixed), bool)
        back[1:] = goes_back(timestamps, phases)
        return [_first(back, "a row that goes back in (timestamp, phase)")]


def _first(wrong: Any, text: str) -> tuple[int, str]:
    """Return the first wrong row, or the number of rows, and a text."""
    return (int(np.argmax(wrong)) if wrong.any() else len(wrong), text)
