"""The report of a replay: verdict, counts, and the first and the worst difference."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from cmeta.errors import counted
from cmeta.safe_text import printable

_FIELDS_SHOWN_MAX = 10
Verdict = Literal["exact", "within one quantum", "diverged", "inconclusive"]
VERDICTS: tuple[Verdict, ...] = ("exact", "within one quantum", "diverged", "inconclusive")


@dataclass(frozen=True)
class Difference:
    """A value that differs from the recorded one.

    Attributes
    ----------
    ordinal, timestamp : int
    phase : str
    field : str
        Dotted name.
    recorded, replayed : value
        None: absent.
    quanta : int or None
        The distance in quanta; None if it cannot be measured.
    step : int or None
        The user's own counter, if it was recorded.
    """

    ordinal: int
    timestamp: int
    phase: str
    field: str
    recorded: Any
    replayed: Any
    quanta: int | None
    step: int | None = None

    def __str__(self) -> str:
        quanta = self.quanta
        apart = "" if quanta is None else f", {quanta_apart(quanta)}"
        step = "" if self.step in (None, self.timestamp) else f"step {self.step}, "
        where = f"timestamp {self.timestamp}, {step}{self.phase}"
        return printable(
            f"record {self.ordinal} ({where}), {self.field}: recorded {text_of(self.recorded)}, "
            f"replayed {text_of(self.replayed)}{apart}"
        )


@dataclass
class ReplayReport:
    """The result of a replay.

    Attributes
    ----------
    name : str
        The file.
    num_cycles, num_values : int
        Cycles that were run again, values that were compared.
    counts : dict of str to int
        Cycles by verdict.
    first : Difference or None
        The first divergence; within one quantum, the first difference.
    worst : Difference or None
        The value that is the most quanta away.
    fields : dict of str to int
        Number of differing cycles by field.
    environment : dict of str to tuple
        Where the recorded environment differs from the present one: recorded, present.
    not_replayed : tuple of str
        Recorded fields that the callable never returned.
    num_skipped : int
        Records without a seed, for which the callable asked.
    num_missing, num_surplus : int
        Of a training that was run again: recorded records that it has not logged, and records that
        it has logged after the last recorded one.
    config : dict of str to tuple
        Where its configuration differs: recorded, now. This alone is no divergence.
    notes : tuple of str
        What else is to be known.
    """

    name: str
    num_cycles: int = 0
    num_values: int = 0
    counts: dict[str, int] = dataclasses.field(default_factory=lambda: dict.fromkeys(VERDICTS, 0))
    first: Difference | None = None
    worst: Difference | None = None
    fields: dict[str, int] = dataclasses.field(default_factory=dict)
    environment: Mapping[str, tuple[Any, Any]] = dataclasses.field(default_factory=dict)
    not_replayed: tuple[str, ...] = ()
    num_skipped: int = 0
    num_missing: int = 0
    num_surplus: int = 0
    config: dict[str, tuple[Any, Any]] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The verdict on the worst cycle; "inconclusive" if nothing was compared."""
        for verdict in ("diverged", "inconclusive"):
            if self.counts[verdict]:
                return verdict
        if self.num_missing or self.num_surplus:
            return "inconclusive" if self.environment else "diverged"
        if self.counts["within one quantum"]:
            return "within one quantum"
        return "exact" if self.num_values else "inconclusive"

    @property
    def headline(self) -> str:
        """The first difference, or what is missing, in one line; "" if there is neither."""
        if self.first is not None:
            return str(self.first)
        if self.num_missing:
            count = counted(self.num_missing, "recorded one was", "recorded ones were")
            return f"{count} not logged again"
        if self.num_surplus:
            were = "were" if self.num_surplus > 1 else "was"
            return (
                f"{counted(self.num_surplus, 'record')} {were} logged after the last recorded one"
            )
        return ""

    @property
    def ok(self) -> bool:
        """Whether the run is reproducible: exact or within one quantum."""
        return self.verdict in ("exact", "within one quantum")

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "file": self.name,
            "verdict": self.verdict,
            "num_cycles": self.num_cycles,
            "num_values": self.num_values,
            "counts": self.counts,
            "first": None if self.first is None else dataclasses.asdict(self.first),
            "worst": None if self.worst is None else dataclasses.asdict(self.worst),
            "fields": self.fields,
            "environment": {name: list(pair) for name, pair in self.environment.items()},
            "not_replayed": list(self.not_replayed),
            "num_skipped": self.num_skipped,
            "num_missing": self.num_missing,
            "num_surplus": self.num_surplus,
            "config": {key: list(pair) for key, pair in self.config.items()},
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        cycles, values = counted(self.num_cycles, "cycle"), counted(self.num_values, "value")
        lines = [f"{self.name}: {self.verdict}: {cycles}, {values} compared"]
        if not self.num_values and not self.notes:
            lines.append(f"  nothing was compared: {self._reason()}")
        elif self.num_skipped:
            lines.append(f"  skipped: {counted(self.num_skipped, 'record')} without a seed")
        by_verdict = [f"{self.counts[v]:,} {v}" for v in VERDICTS if self.counts[v]]
        if len(by_verdict) > 1:
            lines.append(f"  {', '.join(by_verdict)}")
        if self.first is not None:
            lines.append(f"  first difference: {self.first}")
        if self.worst is not None and self.worst != self.first:
            lines.append(f"  worst: {self.worst}")
        lines += _lines_by_field(self.fields)
        if self.num_missing or self.num_surplus:
            rest = dataclasses.replace(self, first=None)
            lines.append(f"  number of records: {rest.headline}")
        lines += _lines_of_pairs("environment", self.environment)
        lines += _lines_of_pairs("configuration", self.config)
        if self.not_replayed:
            lines.append(f"  not replayed: {', '.join(self.not_replayed)}")
        lines += [f"  {note}" for note in self.notes]
        return "\n".join(map(printable, lines))

    def _reason(self) -> str:
        """Return why nothing was compared."""
        if self.num_cycles:
            return "the callable returned no field"
        if self.num_skipped == 1:
            return "the only record has no seed; rec.cycle gives a record one"
        if self.num_skipped:
            return f"none of {self.num_skipped:,} records has a seed; rec.cycle gives them one"
        if self.num_missing:
            return "no record was logged again"
        return "no record is selected"


def _lines_of_pairs(title: str, pairs: Mapping[str, tuple[Any, Any]]) -> list[str]:
    lines = [
        f"  {title}, {name}: recorded {recorded!r}, now {present!r}"
        for name, (recorded, present) in list(pairs.items())[:_FIELDS_SHOWN_MAX]
    ]
    if len(pairs) > _FIELDS_SHOWN_MAX:
        lines.append(f"  {title}: {counted(len(pairs) - _FIELDS_SHOWN_MAX, 'more key')}")
    return lines


def _lines_by_field(fields: Mapping[str, int]) -> list[str]:
    """Return lines with the number of differing records of each field, largest first."""
    ordered = sorted(fields.items(), key=lambda item: -item[1])
    lines = ["  differing records by field:"] if ordered else []
    width = max((len(name) for name in fields), default=0)
    lines += [f"    {name:{width}} {count:>9,}" for name, count in ordered[:_FIELDS_SHOWN_MAX]]
    if len(ordered) > _FIELDS_SHOWN_MAX:
        lines.append(f"    and {counted(len(ordered) - _FIELDS_SHOWN_MAX, 'more field')}")
    return lines


def quanta_apart(quanta: int) -> str:
    """Return a distance in words.

    Examples
    --------
    >>> quanta_apart(1), quanta_apart(124_187), quanta_apart(4_216_944_383_229_952)
    ('1 quantum apart', '124,187 quanta apart', '4.2e+15 quanta apart')
    """
    return f"{short_quanta(quanta)} {'quantum' if quanta == 1 else 'quanta'} apart"


def short_quanta(quanta: int | None) -> str:
    """Return a number of quanta; a large one, as of floats without a quantum, by its magnitude."""
    if quanta is None:
        return ""
    return f"{quanta:,}" if quanta < 10**9 else f"{quanta:.1e}"


def text_of(value: Any) -> str:
    """Return a value as text; a float32 as the shortest decimal that reads back as the same."""
    if value is None:
        return "nothing"
    if isinstance(value, tuple | list):
        return f"({', '.join(map(text_of, value))})"
    if isinstance(value, float):
        with np.errstate(over="ignore"):
            narrow = np.float32(value)
        return str(narrow) if float(narrow) == value else repr(value)
    return repr(value)
