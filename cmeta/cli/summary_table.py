"""Summaries as a table: one run with all of its statistics, or several side by side."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from cmeta.cli.console import len_shown, printable
from cmeta.cli.grid import GAP, Column, Grid
from cmeta.cli.sparkline import sparkline
from cmeta.schema.canonical_json import float_name
from cmeta.tools.summary.summary_report import FieldSummary, Summary

Row = tuple[str, str]  # a phase and a field
Text = Callable[[FieldSummary], str]

_NAME_MAX = 20  # characters of a run's name for which columns are widened
_COURSE, _BRIEF_COURSE = 16, 8  # characters


@dataclass(frozen=True)
class Statistic:
    """A column of the table.

    Attributes
    ----------
    title : str
    text : callable
    is_count : bool
        A count that is worth a column only where it is not 0.
    alarms : callable, optional
        Which of its cells are to be seen.
    """

    title: str
    text: Text
    is_count: bool = False
    alarms: Callable[[str], bool] | None = None


def number(value: float | int | None, digits: int = 5) -> str:
    """Return a number for people; nothing for None.

    Examples
    --------
    >>> number(0.123456789), number(12), number(float("-inf")), number(None)
    ('0.12346', '12', '-Infinity', '')
    """
    if value is None:
        return ""
    if isinstance(value, int):
        return str(value)
    return f"{value:.{digits}g}" if math.isfinite(value) else float_name(value)


def _is_not_finite(cell: str) -> bool:
    return cell == "NaN" or cell.endswith("Infinity")


def _is_some(cell: str) -> bool:
    return cell not in ("", "0")


STATISTICS: Mapping[str, Statistic] = {
    "count": Statistic("count", lambda f: f"{f.num_values:,}"),
    "nan": Statistic("NaN", lambda f: f"{f.num_nan:,}", True, _is_some),
    "infinite": Statistic("infinite", lambda f: f"{f.num_infinite:,}", True, _is_some),
    "last": Statistic("last", lambda f: number(f.last), False, _is_not_finite),
    "course": Statistic("course", lambda f: sparkline(f.bins, _COURSE)),
    "min": Statistic("min", lambda f: number(f.min)),
    "max": Statistic("max", lambda f: number(f.max)),
    "mean": Statistic("mean", lambda f: number(f.mean)),
    "deviation": Statistic("deviation", lambda f: number(f.deviation, 3)),
    "slope": Statistic("slope", lambda f: number(f.slope, 3)),
    "first": Statistic("first", lambda f: number(f.first), False, _is_not_finite),
    "absent": Statistic("absent", lambda f: f"{f.num_absent:,}", True),
}
_OF_ONE = tuple(name for name in STATISTICS if name != "first")
# What stands beside what other runs have, the most telling first.
_OF_SEVERAL = (
    "last", "min", "max", "nan", "infinite", "course", "mean", "deviation", "slope", "count",
)  # fmt: skip
_AT_LEAST = ("last", "nan", "infinite")  # the last to go when there is no room


def grid_of(
    summaries: Mapping[str, Summary], wanted: Sequence[str], room: int | None
) -> tuple[Grid, Sequence[str]]:
    """Return the table, and the statistics that it has no room for.

    Parameters
    ----------
    summaries : mapping of label to Summary
    wanted : sequence of str
        Statistics; empty: those that there is room for.
    room : int or None
        Columns of the terminal.
    """
    table = _Table(summaries)
    if wanted or len(summaries) == 1:
        return table.grid(wanted or table.default, is_asked_for=bool(wanted)), ()
    names = [name for name in table.default if any(table.has_some(name, s) for s in summaries)]
    left_out: list[str] = []
    while len(names) > 1:
        grid = table.grid(names)
        if grid.num_fitting(room) == len(grid.columns):
            break
        droppable = [n for n in names if n not in _AT_LEAST] or names
        left_out.append(droppable[-1])
        names.remove(droppable[-1])
    return table.grid(names), left_out


class _Table:
    """The rows that any of the summaries has, and the columns to choose from."""

    def __init__(self, summaries: Mapping[str, Summary]) -> None:
        self._summaries = summaries
        self._cells = {
            label: {(f.phase, f.name): f for f in summary} for label, summary in summaries.items()
        }
        self._rows = list(self._in_order())
        self.default = _OF_ONE if len(summaries) == 1 else _OF_SEVERAL

    def _in_order(self) -> Iterator[Row]:
        """Yield phases in the order of the first run that has them, and fields likewise."""
        phases = dict.fromkeys(row[0] for cells in self._cells.values() for row in cells)
        for phase in phases:
            yield from dict.fromkeys(
                row for cells in self._cells.values() for row in cells if row[0] == phase
            )

    def has_some(self, name: str, label: str) -> bool:
        """Return whether a statistic of a run is worth a column."""
        statistic, found = STATISTICS[name], self._cells[label].values()
        return not statistic.is_count or any(_is_some(statistic.text(f)) for f in found)

    def grid(self, names: Sequence[str], *, is_asked_for: bool = False) -> Grid:
        """Return the table with these statistics; a count only of a run that has some."""
        found = (f for cells in self._cells.values() for f in cells.values())
        titles = _titles({f.name: f.short_name for f in found})
        columns = [Column("field", [f"  {titles[name]}" for _, name in self._rows], is_left=True)]
        for label in self._summaries:
            here = [n for n in names if is_asked_for or self.has_some(n, label)]
            group = [self._column(STATISTICS[name], label) for name in here]
            columns += _with_room_for(group[0].group, group) if group else []
        return Grid(columns, self._sections())

    def _column(self, statistic: Statistic, label: str) -> Column:
        is_alone = len(self._summaries) == 1
        is_course = statistic is STATISTICS["course"]
        text = _brief_course if is_course and not is_alone else statistic.text
        here = (self._cells[label].get(row) for row in self._rows)
        cells = ["" if one is None else text(one) for one in here]
        group = "" if is_alone else label
        return Column(statistic.title, cells, group, is_course, statistic.alarms)

    def _sections(self) -> list[tuple[str, int]]:
        counts = Counter(phase for phase, _ in self._rows)
        return [(self._heading(phase), count) for phase, count in counts.items()]

    def _heading(self, phase: str) -> str:
        if len(self._summaries) > 1:
            return printable(phase)
        (summary,) = self._summaries.values()
        return f"{printable(phase)}: {summary.phases[phase]:,} records"


def _with_room_for(name: str, columns: list[Column]) -> list[Column]:
    """Widen the last of a group's columns so that the group's name fits above them."""
    room = sum(column.width for column in columns) + len(GAP) * (len(columns) - 1)
    lacking = max(0, min(len_shown(name), _NAME_MAX) - room)
    *others, last = columns
    return [*others, replace(last, at_least=last.width + lacking)]


def _brief_course(found: FieldSummary) -> str:
    return sparkline(found.bins, _BRIEF_COURSE)


def _titles(short_names: Mapping[str, str]) -> dict[str, str]:
    """Return what to call fields, by their name: without their group where that is unique."""
    times = Counter(short_names.values())
    return {
        name: printable(short if times[short] == 1 else name) for name, short in short_names.items()
    }
