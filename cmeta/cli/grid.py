"""A small table as lines: columns in groups, rows in sections, cut where the terminal ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import click

from cmeta.cli.console import len_shown

GAP = "  "


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes
    ----------
    title, group : str
        The group stands above neighbouring columns.
    cells : list of str
        One for each row; without colour.
    is_left : bool
        Aligned left, as names are.
    alarms : callable, optional
        Whether a cell is one that must be seen.
    at_least : int
        Width, whatever stands in it.
    """

    title: str
    cells: Sequence[str]
    group: str = ""
    is_left: bool = False
    alarms: Callable[[str], bool] | None = None
    at_least: int = 0

    @property
    def width(self) -> int:
        """Columns of a terminal that it takes."""
        return max(self.at_least, *map(len_shown, (self.title, *self.cells)))


@dataclass(frozen=True)
class Grid:
    """A table.

    Attributes
    ----------
    columns : sequence of Column
    sections : sequence of (str, int)
        Heading and number of rows of each.
    """

    columns: Sequence[Column]
    sections: Sequence[tuple[str, int]]

    def num_fitting(self, room: int | None) -> int:
        """Return how many columns fit into a terminal; None: all."""
        used = 0
        for i, column in enumerate(self.columns):
            used += column.width + (len(GAP) if i else 0)
            if room is not None and used > room:
                return max(1, i)
        return len(self.columns)

    def lines(self, num_shown: int, *, colour: bool) -> list[str]:
        """Return the table's first columns as lines."""
        shown = self.columns[:num_shown]
        style = click.style if colour else _plain
        lines: list[str] = []
        if any(column.group for column in shown):
            lines.append(style(_groups(shown), bold=True))
        titles = (_aligned(column.title, column) for column in shown)
        lines.append(style(GAP.join(titles).rstrip(), bold=True))
        at = 0
        for heading, num_rows in self.sections:
            lines.append(style(heading, bold=True))
            for row in range(at, at + num_rows):
                cells = [_cell(column, row, style) for column in shown]
                lines.append(GAP.join(cells).rstrip())
            at += num_rows
        return lines


def _plain(text: str, **_: object) -> str:
    return text


def _cell(column: Column, row: int, style: Callable[..., str]) -> str:
    cell = column.cells[row]
    text = _aligned(cell, column)
    return style(text, fg="red") if column.alarms and column.alarms(cell) else text


def _aligned(text: str, column: Column) -> str:
    padding = " " * (column.width - len_shown(text))
    return text + padding if column.is_left else padding + text


def _groups(columns: Sequence[Column]) -> str:
    """Return the line of the groups, each above the first of its columns."""
    parts = []
    for name, members in groupby(columns, lambda column: column.group):
        widths = [column.width for column in members]
        room = sum(widths) + len(GAP) * (len(widths) - 1)
        parts.append(cut(name, room) + " " * (room - len_shown(cut(name, room))))
    return GAP.join(parts).rstrip()


def cut(text: str, room: int) -> str:
    """Return as much of a text as there is room for: its begin and its end, which tell most.

    Examples
    --------
    >>> cut("sweep/lr-0.1/seed-7", 12), cut("short", 8), cut("long", 3)
    ('sweep...ed-7', 'short', '...')
    """
    if len_shown(text) <= room:
        return text
    begin, end = text[: len(text) // 2], text[len(text) // 2 :]
    mark = "..."[: max(0, room)]
    while len_shown(begin + end) > room - len(mark) and (begin or end):
        if len(begin) > len(end):
            begin = begin[:-1]
        else:
            end = end[1:]
    return begin + mark + end
