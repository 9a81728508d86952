"""`cmeta summary`: the statistics of runs, by phase and field.

One run is shown with all its statistics; several are shown side by side.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path

import click

from cmeta.cli.chart import sparkline
from cmeta.cli.console import (
    display_width,
    file_name,
    print_data,
    print_note,
    print_text,
    progress,
)
from cmeta.cli.files import note_if_open
from cmeta.cli.options import RecordOptions, files_argument, json_option, names, record_options
from cmeta.cli.run_set import Run, RunSet
from cmeta.cli.table import GAP, Column, Table
from cmeta.cli.values import json_line
from cmeta.errors import counted
from cmeta.safe_text import printable
from cmeta.schema.canonical_json import float_name
from cmeta.tools.summary.summarise import summary_of
from cmeta.tools.summary.summary_report import FieldSummary, Summary

Row = tuple[str, str]  # a phase and a field

_NAME_MAX = 20  # characters of a run's name for which columns are widened
_COURSE, _SHORT_COURSE = 16, 8  # characters


@dataclass(frozen=True)
class Statistic:
    """A column of the table.

    Attributes
    ----------
    title : str
    text : callable
    is_count : bool
        Whether it is a count that is shown only if any is not 0.
    is_alarming : callable, optional
        Whether a cell is highlighted.
    """

    title: str
    text: Callable[[FieldSummary], str]
    is_count: bool = False
    is_alarming: Callable[[str], bool] | None = None


def number(value: float | int | None, digits: int = 5) -> str:
    """Return a number as rounded text; nothing for None.

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


def _is_nonzero(cell: str) -> bool:
    return cell not in ("", "0")


STATISTICS: Mapping[str, Statistic] = {
    "count": Statistic("count", lambda f: f"{f.num_values:,}"),
    "nan": Statistic("NaN", lambda f: f"{f.num_nan:,}", True, _is_nonzero),
    "infinite": Statistic("infinite", lambda f: f"{f.num_infinite:,}", True, _is_nonzero),
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
_FOR_ONE_RUN = tuple(name for name in STATISTICS if name != "first")
_FOR_SEVERAL_RUNS = (  # the most important first
    "last", "min", "max", "nan", "infinite", "course", "mean", "deviation", "slope", "count",
)  # fmt: skip
_ESSENTIAL = ("last", "nan", "infinite")  # dropped last when there is no room


def statistics(text: str) -> tuple[str, ...]:
    """Return the statistics of a comma-separated list.

    Raises
    ------
    click.BadParameter
    """
    chosen = tuple(name.lower() for name in names(text))
    for name in chosen:
        if name not in STATISTICS:
            known = ", ".join(STATISTICS)
            raise click.BadParameter(f"{name!r} is not one of: {known}.")
    return chosen


@click.command(
    epilog="""\b
Examples:
  cmeta summary run.cmeta
  cmeta summary run.cmeta --phase val --fields loss,val_accuracy
  cmeta summary first.cmeta second.cmeta --stats last,min,course
  cmeta summary --json run.cmeta | jq '.fields[] | select(.num_nan > 0)'

`min`, `max`, `mean`, `deviation` and `slope` ignore NaN and infinities, which are counted. The
deviation is that of the population. The slope is the least-squares fit, in units of the field per
timestamp. The course is a sparkline from the first value to the last; each character is a mean, and
`!` means that all values were NaN or infinite.

A damaged batch is left out: everything intact is summarised, then the errors follow, and the exit
code is 3. If there are several files, the highest exit code counts."""
)
@files_argument
@record_options
@click.option(
    "--stats", type=statistics, multiple=True, metavar="A,B,...",
    help=f"Only these columns, in this order: {', '.join(STATISTICS)}.",
)  # fmt: skip
@json_option
def summary(
    files: tuple[Path, ...],
    wanted: RecordOptions,
    stats: tuple[tuple[str, ...], ...],
    as_json: bool,
) -> None:
    """Summarise runs: extremes, mean, deviation, slope, NaN.

    Several runs are shown side by side.
    """
    runs = RunSet(files, wanted)
    summaries: dict[str, Summary] = {}
    for run in runs:
        with progress(run.path.name) as update:
            report = runs.attempt(
                run.path, summary_of, run.reader, run.fields, run.selection,
                partial=True, progress=update,
            )  # fmt: skip
        if report is None:
            continue
        if as_json:
            print_data(json_line({**report.as_json(), "file": file_name(run.path)}))
        else:
            summaries[run.label] = report
            print_text(f"{_headline(run, report)}\n")
        note_if_open(run.path, run.reader)
        runs.print_problems(run.path, report.problems)
    if summaries:
        _print(summaries, [name for part in stats for name in part])
    raise click.exceptions.Exit(runs.code)


def _headline(run: Run, report: Summary) -> str:
    text = f"{file_name(run.path)}: {report.state}, {counted(report.num_records, 'record')}"
    if report.first_timestamp is not None:
        text += f", timestamps {report.first_timestamp} to {report.last_timestamp}"
    return text


def _print(summaries: dict[str, Summary], wanted: list[str]) -> None:
    if not any(len(report) for report in summaries.values()):
        print_note("no numeric values to summarise")
        return
    comparison = _Comparison(summaries)
    table, omitted = comparison.fitting_table(wanted)
    print_text("\n")
    comparison.write(table)
    titles = [STATISTICS[name].title for name in omitted] + table.hidden
    if titles:
        print_note(f"no room for: {', '.join(titles)}; choose with --stats, or pipe into `less -S`")


class _Comparison:
    """The rows that any of the summaries has, and the columns to choose from."""

    def __init__(self, summaries: Mapping[str, Summary]) -> None:
        self._summaries = summaries
        self._fields = {
            label: {(f.phase, f.name): f for f in report} for label, report in summaries.items()
        }
        self._rows = list(self._ordered_rows())
        self._cells: list[list[str]] = []

    def _ordered_rows(self) -> Iterator[Row]:
        """Yield phases in the order of the first run that has them, and fields likewise."""
        phases = dict.fromkeys(row[0] for fields in self._fields.values() for row in fields)
        for phase in phases:
            yield from dict.fromkeys(
                row for fields in self._fields.values() for row in fields if row[0] == phase
            )

    def fitting_table(self, wanted: Sequence[str]) -> tuple[Table, list[str]]:
        """Return the table, and the statistics for which it has no room.

        Parameters
        ----------
        wanted : sequence of str
            Statistics; empty: those that fit.
        """
        if wanted or len(self._summaries) == 1:
            return self._table(wanted or _FOR_ONE_RUN, is_requested=bool(wanted)), []
        chosen = [n for n in _FOR_SEVERAL_RUNS if any(self._has(n, s) for s in self._summaries)]
        omitted: list[str] = []
        while True:
            table = self._table(chosen)
            if not table.hidden or len(chosen) == 1:
                return table, omitted
            droppable = [name for name in chosen if name not in _ESSENTIAL] or chosen
            omitted.append(droppable[-1])
            chosen.remove(droppable[-1])

    def write(self, table: Table) -> None:
        """Print the table, phase by phase."""
        counts = Counter(phase for phase, _ in self._rows)
        ends = list(accumulate(counts.values()))
        for (phase, count), end in zip(counts.items(), ends, strict=True):
            heading = printable(phase)
            if len(self._summaries) == 1:
                (report,) = self._summaries.values()
                heading += f": {counted(report.phases[phase], 'record')}"
            table.write([column[end - count : end] for column in self._cells], heading)

    def _has(self, name: str, label: str) -> bool:
        """Return whether a statistic of a run is worth a column."""
        statistic, fields = STATISTICS[name], self._fields[label].values()
        return not statistic.is_count or any(_is_nonzero(statistic.text(f)) for f in fields)

    def _table(self, chosen: Sequence[str], *, is_requested: bool = False) -> Table:
        """Return the table with these statistics; counts only for runs that have any."""
        fields = (f for by_row in self._fields.values() for f in by_row.values())
        titles = _titles({f.name: f.short_name for f in fields})
        columns = [Column("field", is_left=True)]
        self._cells = [[f"  {titles[name]}" for _, name in self._rows]]
        for label in self._summaries:
            own = [name for name in chosen if is_requested or self._has(name, label)]
            group = [self._column(STATISTICS[name], label) for name in own]
            self._cells += [cells for _, cells in group]
            columns += _widened(group) if group else []
        table = Table(columns)
        table.fit(self._cells)
        return table

    def _column(self, statistic: Statistic, label: str) -> tuple[Column, list[str]]:
        is_alone = len(self._summaries) == 1
        is_course = statistic is STATISTICS["course"]
        text = _short_course if is_course and not is_alone else statistic.text
        fields = (self._fields[label].get(row) for row in self._rows)
        cells = ["" if field is None else text(field) for field in fields]
        group = "" if is_alone else label
        column = Column(
            statistic.title, is_left=is_course, group=group, is_alarming=statistic.is_alarming
        )
        return column, cells


def _widened(group: list[tuple[Column, list[str]]]) -> list[Column]:
    """Return a group's columns, the last one widened so that the group's name fits above them."""
    columns = [column for column, _ in group]
    widths = [max(map(display_width, (column.title, *cells))) for column, cells in group]
    room = sum(widths) + len(GAP) * (len(widths) - 1)
    lacking = max(0, min(display_width(columns[0].group), _NAME_MAX) - room)
    return [*columns[:-1], replace(columns[-1], min_width=widths[-1] + lacking)]


def _short_course(field: FieldSummary) -> str:
    return sparkline(field.bins, _SHORT_COURSE)


def _titles(short_names: Mapping[str, str]) -> dict[str, str]:
    """Return the titles of fields by name: without their group where that is unique."""
    counts = Counter(short_names.values())
    return {
        name: printable(short if counts[short] == 1 else name)
        for name, short in short_names.items()
    }
