"""The report of a comparison; it does not grow with the length of the files."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from cmeta.compare.replay_report import quanta_apart, short_quanta, text_of
from cmeta.errors import counted
from cmeta.safe_text import printable

Verdict = Literal["identical", "equal", "differs"]

_VALUE_MAX = 60  # characters of one value in a line of text


@dataclass(frozen=True)
class Deviation:
    """A value of a that differs in b.

    Attributes
    ----------
    ordinal : int
        Of the record, from 0, in a. Without a range it is the same in b.
    timestamp, phase : int, str
        Of the record in a.
    field : str
        Dotted name.
    a, b : value
        None: absent.
    quanta : int or None
        The distance in quanta of the field, or in floats if it is lossless; None if it cannot be
        measured.
    """

    ordinal: int
    timestamp: int
    phase: str
    field: str
    a: Any
    b: Any
    quanta: int | None


@dataclass(frozen=True)
class FieldDiff:
    """How a field differs.

    Attributes
    ----------
    num_records : int
        Records that differ.
    first : Deviation
    worst : Deviation or None
        The largest distance; None if none could be measured.
    """

    num_records: int
    first: Deviation
    worst: Deviation | None


@dataclass(frozen=True)
class SchemaDifference:
    """A property in which the two schemas differ.

    Attributes
    ----------
    where : str
        Such as ``loss_value.unit``.
    a, b : value
        None: absent.
    """

    where: str
    a: Any
    b: Any


@dataclass(frozen=True)
class ConfigDifference:
    """A key in which the configurations in force differ.

    Attributes
    ----------
    ordinal : int
        The first record of a at which it differs.
    key : str
        Key path, such as ``optimiser.lr``.
    a, b : JSON value
        None: absent or null.
    """

    ordinal: int
    key: str
    a: Any
    b: Any


@dataclass
class DiffReport:
    """How two chronicles differ.

    Attributes
    ----------
    a, b : str
        The files.
    identical : bool
        Whether all bytes are the same; then nothing else was compared.
    num_records : tuple of int, (2,)
        Records of a and of b in the range.
    num_differing : int
        Records that both files have and that differ in a field.
    first : Deviation or None
        The first difference; preferably in a field that both files have, and not in the
        configuration.
    worst : Deviation or None
        The largest distance in a fixed-point field, or else in a lossless one.
    fields : dict of str to FieldDiff
        Fields that both files have and that differ.
    only_in : tuple of dict of str to int, (2,)
        Fields that only one file has, with the number of records that have them, among those that
        both files have.
    configs : list of ConfigDifference
        Differences of the configurations in force, each key at its first one.
    num_config_keys : int
        Keys that differ; `configs` lists the first of them.
    schema : tuple of SchemaDifference
        Differences of the schemas. Only another unit makes the files differ: values are compared
        as numbers and names, a float at the coarser of two precisions.
    other_units : tuple of str
        Fields that were recorded in different units.
    status : tuple of str or None, (2,)
        How the runs ended; a difference does not make the records differ.
    """

    a: str
    b: str
    identical: bool = False
    num_records: tuple[int, int] = (0, 0)
    num_differing: int = 0
    first: Deviation | None = None
    worst: Deviation | None = None
    fields: dict[str, FieldDiff] = field(default_factory=dict)
    only_in: tuple[dict[str, int], dict[str, int]] = field(default_factory=lambda: ({}, {}))
    configs: list[ConfigDifference] = field(default_factory=list)
    num_config_keys: int = 0
    schema: tuple[SchemaDifference, ...] = ()
    other_units: tuple[str, ...] = ()
    status: tuple[str | None, str | None] = (None, None)

    @property
    def verdict(self) -> Verdict:
        """Whether they are identical byte for byte, equal record for record, or differ."""
        if self.identical:
            return "identical"
        return "equal" if self.same else "differs"

    @property
    def same(self) -> bool:
        """Whether both hold the same records."""
        same_number = self.num_records[0] == self.num_records[1]
        return same_number and not self.num_differing and not self.other_units

    @property
    def num_compared(self) -> int:
        """How many records both files have."""
        return min(self.num_records)

    @property
    def num_behind(self) -> tuple[int, int]:
        """How many records a and b have after the last one that both have."""
        a, b = self.num_records
        return max(0, a - b), max(0, b - a)

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        rest = dataclasses.asdict(self)
        names = {"a": rest.pop("a"), "b": rest.pop("b"), "verdict": self.verdict}
        only_in = dict(zip("ab", rest.pop("only_in"), strict=True))
        lists = {
            name: list(rest.pop(name))
            for name in ("num_records", "schema", "other_units", "status")
        }
        return {**names, "num_compared": self.num_compared, **lists, **rest, "only_in": only_in}

    def lines(self) -> Iterator[str]:
        """Yield the report as lines of printable text."""
        return map(printable, self._lines())

    def _lines(self) -> Iterator[str]:
        names = zip(("a:", "b:"), (self.a, self.b), map(_records, self.num_records), strict=True)
        yield from _aligned(list(names), "", "llr")
        yield self.headline()
        if self.status[0] != self.status[1]:
            ends = (status or "not stated" for status in self.status)
            yield f"status: {' and '.join(ends)}"
        yield from self._first_difference()
        yield from self._differing_fields()
        for name, counts in zip("ab", self.only_in, strict=True):
            rows = [(path, _records(count)) for path, count in counts.items()]
            yield from _section(f"only in {name}", rows, "lr")
        keys = [(c.key, *_sides(c.a, c.b), f"from record {c.ordinal:,}") for c in self.configs]
        yield from _section("configuration", keys, "llll")
        if more := self.num_config_keys - len(self.configs):
            yield f"  and {counted(more, 'more key')}"
        properties = [(s.where, *_sides(s.a, s.b)) for s in self.schema]
        yield from _section("schema", properties, "lll")

    def headline(self) -> str:
        """Return the verdict in a line."""
        if self.identical:
            return "identical: every byte is the same"
        longer = [
            f"{name} goes on for {count:,} more"
            for name, count in zip("ab", self.num_behind, strict=True)
            if count
        ]
        both = _records(self.num_compared)
        if self.num_differing:
            summary = f"{self.num_differing:,} of {both} differ"
        elif not self.num_compared:
            summary = "no record in common" if longer else "neither has a record"
        else:
            summary = f"the first {both} are equal" if longer else f"all {both} are equal"
        units = [f"{path} is in another unit" for path in self.other_units]
        return printable(f"{self.verdict}: {'; '.join([summary, *longer, *units])}")

    def _first_difference(self) -> Iterator[str]:
        if (first := self.first) is None:
            return
        yield ""
        yield f"first difference: record {first.ordinal:,}, {first.phase}, at {first.timestamp}"
        row = (first.field, *_sides(first.a, first.b), _apart(first.quanta))
        yield from _aligned([row], "  ", "llll")

    def _differing_fields(self) -> Iterator[str]:
        rows: list[Sequence[str]] = []
        for path, one in self.fields.items():
            worst = one.worst
            distance = "" if worst is None else short_quanta(worst.quanta)
            at = "" if worst is None else f"at record {worst.ordinal:,}"
            mark = " (worst)" if worst is not None and worst is self.worst else ""
            rows.append(
                (path, f"{one.num_records:,}", f"{one.first.ordinal:,}", distance, at + mark)
            )
        if rows:
            rows.insert(0, ("", "records", "from record", "quanta apart", ""))
        yield from _section("fields that differ", rows, "lrrrl")

    def __str__(self) -> str:
        return "\n".join(self.lines())


def _aligned(rows: Sequence[Sequence[str]], indent: str, sides: str) -> Iterator[str]:
    """Yield rows as aligned lines; `sides` has ``l`` or ``r`` for each column."""
    rows = [tuple(map(printable, row)) for row in rows]
    widths = [max((len(row[i]) for row in rows), default=0) for i in range(len(sides))]
    for row in rows:
        cells = [
            cell.rjust(width) if side == "r" else cell.ljust(width)
            for cell, width, side in zip(row, widths, sides, strict=True)
        ]
        yield (indent + "  ".join(cells)).rstrip()


def _section(title: str, rows: Sequence[Sequence[str]], sides: str) -> Iterator[str]:
    if rows:
        yield ""
        yield title
        yield from _aligned(rows, "  ", sides)


def _records(count: int) -> str:
    return counted(count, "record")


def _sides(a: Any, b: Any) -> tuple[str, str]:
    return f"a {_text(a)}", f"b {_text(b)}"


def _apart(quanta: int | None) -> str:
    return "" if quanta is None else quanta_apart(quanta)


def _text(value: Any) -> str:
    if isinstance(value, str):
        text = value
    elif value is None or isinstance(value, float | tuple):
        text = text_of(value)
    else:
        text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _VALUE_MAX else f"{text[: _VALUE_MAX - 3]}..."
