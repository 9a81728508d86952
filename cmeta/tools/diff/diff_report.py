"""What comparing two chronicles has found; it does not grow with their length."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from cmeta.tools.replay.replay_report import text_of

Verdict = Literal["identical", "equal", "differs"]

_WIDEST = 60  # characters of one value in a line of text


@dataclass(frozen=True)
class Deviation:
    """A value of a that is another one in b.

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
        How many quanta of the field apart, or floats if it is lossless; None if no number of
        quanta brings them together, or the field has none.
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
        Records in which it does.
    first : Deviation
    worst : Deviation or None
        The most quanta apart; None if nothing could be measured.
    """

    num_records: int
    first: Deviation
    worst: Deviation | None


@dataclass(frozen=True)
class SchemaDifference:
    """What the two schemas say differently.

    Attributes
    ----------
    where : str
        Such as ``loss_value.unit``.
    a, b : value
        None: it is not there.
    """

    where: str
    a: Any
    b: Any


@dataclass(frozen=True)
class ConfigDifference:
    """A value of the configurations in force that differs.

    Attributes
    ----------
    ordinal : int
        First record of a at which it does.
    key : str
        Key path, such as ``optimiser.lr``.
    a, b : JSON value
        None: it is not there, or null.
    """

    ordinal: int
    key: str
    a: Any
    b: Any


@dataclass
class DiffReport:
    """The answer to how two chronicles differ.

    Attributes
    ----------
    a, b : str
        The files.
    identical : bool
        Whether every byte is the same; then nothing else had to be looked at.
    num_records : tuple of int, (2,)
        Records of a and of b in the range that was asked for.
    num_differing : int
        Records that both have and that differ in a field.
    first : Deviation or None
        The first difference; of fields that both have, and not of their configurations, if there
        is one.
    worst : Deviation or None
        The most quanta apart; floats that are stored without loss count if nothing else does.
    fields : dict of str to FieldDiff
        Fields that both have and that differ.
    only_in : tuple of dict of str to int, (2,)
        Fields that only one has, and in how many of the records that both have.
    configs : list of ConfigDifference
        What differs in the configurations in force, each key at its first difference.
    num_config_keys : int
        Keys that differ; `configs` lists the first of them.
    schema : tuple of SchemaDifference
        What the schemas say differently. Another unit makes the files differ; the rest does not:
        values are compared as numbers and names, a float at the coarser of two precisions.
    other_units : tuple of str
        Fields that were recorded in another unit.
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
        """How many records both have."""
        return min(self.num_records)

    @property
    def num_behind(self) -> tuple[int, int]:
        """How many records a and b have behind the last one that both have."""
        a, b = self.num_records
        return max(0, a - b), max(0, b - a)

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        found = dataclasses.asdict(self)
        names = {"a": found.pop("a"), "b": found.pop("b"), "verdict": self.verdict}
        only_in = dict(zip("ab", found.pop("only_in"), strict=True))
        lists = {name: list(found.pop(name)) for name in ("num_records", "schema", "other_units")}
        return {**names, "num_compared": self.num_compared, **lists, **found, "only_in": only_in}

    def lines(self) -> Iterator[str]:
        """Yield the report as lines of text; one thing a line."""
        names = zip(("a:", "b:"), (self.a, self.b), map(_count, self.num_records), strict=True)
        yield from columns(list(names), "", "llr")
        yield self.headline()
        yield from self._about_first()
        yield from self._about_fields()
        for name, found in zip("ab", self.only_in, strict=True):
            occurrences = [(path, _count(count)) for path, count in found.items()]
            yield from _section(f"only in {name}", occurrences, "lr")
        keys = [(c.key, *_sides(c.a, c.b), f"from record {c.ordinal:,}") for c in self.configs]
        yield from _section("configuration", keys, "llll")
        if more := self.num_config_keys - len(self.configs):
            yield f"  and {more:,} more keys"
        facts = [(s.where, *_sides(s.a, s.b)) for s in self.schema]
        yield from _section("schema", facts, "lll")

    def headline(self) -> str:
        """Return the verdict in a line."""
        if self.identical:
            return "identical: every byte is the same"
        behind = [
            f"{name} goes on for {count:,} more"
            for name, count in zip("ab", self.num_behind, strict=True)
            if count
        ]
        both = _count(self.num_compared)
        if self.num_differing:
            found = f"{self.num_differing:,} of {both} differ"
        elif not self.num_compared:
            found = "no record in common" if behind else "neither has a record"
        else:
            found = f"the first {both} are equal" if behind else f"all {both} are equal"
        units = [f"{path} is in another unit" for path in self.other_units]
        return f"{self.verdict}: {'; '.join([found, *behind, *units])}"

    def _about_first(self) -> Iterator[str]:
        if (first := self.first) is None:
            return
        yield ""
        yield f"first difference: record {first.ordinal:,}, {first.phase}, at {first.timestamp}"
        found = (first.field, *_sides(first.a, first.b), _apart(first.quanta))
        yield from columns([found], "  ", "llll")

    def _about_fields(self) -> Iterator[str]:
        rows: list[Sequence[str]] = []
        for path, found in self.fields.items():
            worst = found.worst
            far = "" if worst is None else _short(worst.quanta)
            at = "" if worst is None else f"at record {worst.ordinal:,}"
            mark = " (worst)" if worst is not None and worst is self.worst else ""
            rows.append(
                (path, f"{found.num_records:,}", f"{found.first.ordinal:,}", far, at + mark)
            )
        if rows:
            rows.insert(0, ("", "records", "from record", "quanta apart", ""))
        yield from _section("fields that differ", rows, "lrrrl")

    def __str__(self) -> str:
        return "\n".join(self.lines())


def columns(rows: Sequence[Sequence[str]], indent: str, sides: str) -> Iterator[str]:
    """Yield rows as aligned lines; `sides` says ``l`` or ``r`` for each column."""
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
        yield from columns(rows, "  ", sides)


def _count(number: int) -> str:
    return f"{number:,} record{'' if number == 1 else 's'}"


def _sides(a: Any, b: Any) -> tuple[str, str]:
    return f"a {_text(a)}", f"b {_text(b)}"


def _apart(quanta: int | None) -> str:
    if quanta is None:
        return ""
    return f"{_short(quanta)} {'quantum' if quanta == 1 else 'quanta'} apart"


def _short(quanta: int | None) -> str:
    """Return a number of quanta; beyond what anybody reads, its size."""
    if quanta is None:
        return ""
    return f"{quanta:,}" if quanta < 10**9 else f"{quanta:.1e}"


def _text(value: Any) -> str:
    if isinstance(value, str):
        text = value
    elif value is None or isinstance(value, float | tuple):
        text = text_of(value)
    else:
        text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 3]}..."
