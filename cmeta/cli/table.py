"""The table that every command prints.

Rows come in pages, so that a table may be as long as a run. Columns are as wide as the cells seen
so far; when a later page needs more room, the header is printed again. On a terminal only the
columns that fit are printed, unless some can be folded; in a file or a pipe, all of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import click

from cmeta.cli.console import display_width, print_lines, terminal_width

GAP = "  "
_FOLDED_MIN = 10  # columns of a terminal; a folded column is not made narrower

Cells = Sequence[Sequence[str]]  # of some rows, column by column


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes
    ----------
    title : str
    is_left : bool
        Whether cells are aligned to the left, as names are.
    group : str
        Printed above neighbouring columns of the same group.
    min_width : int
    is_folded : bool
        Whether long cells may be broken into several lines on a narrow terminal.
    is_alarming : callable, optional
        Whether a cell is highlighted.
    """

    title: str
    is_left: bool = False
    group: str = ""
    min_width: int = 0
    is_folded: bool = False
    is_alarming: Callable[[str], bool] | None = None


class Table:
    """A table on stdout.

    Parameters
    ----------
    columns : sequence of Column
    has_rule : bool
        Whether a line of dashes follows the titles.
    has_header : bool
    indent : str
        Printed before each row.
    room : callable, optional
        Returns the width to which the table is fitted, None for no limit; default: the terminal's.
    """

    def __init__(
        self, columns: Sequence[Column], *, has_rule: bool = False, has_header: bool = True,
        indent: str = "", room: Callable[[], int | None] | None = None,
    ) -> None:  # fmt: skip
        self.columns = columns
        self.num_rows = 0
        self._has_rule, self._has_header, self._indent = has_rule, has_header, indent
        self._room = room or (lambda: terminal_width())
        titles = [column.title if has_header else "" for column in columns]
        self._needed = [
            max(column.min_width, display_width(title))
            for column, title in zip(columns, titles, strict=True)
        ]
        self._widths: list[int] = []
        self._is_header_due = has_header
        self.num_shown = len(columns)
        self.fit([])

    @property
    def hidden(self) -> list[str]:
        """The titles of the columns that do not fit."""
        return [f"{c.group} {c.title}".strip() for c in self.columns[self.num_shown :]]

    def fit(self, cells: Cells) -> None:
        """Make the columns wide enough for some rows."""
        if cells:
            self._needed = list(map(max, map(_max_width, cells), self._needed))
        widths = self._shrunk(self._needed)
        if widths != self._widths:
            self._widths, self._is_header_due = widths, self._has_header
        self.num_shown = self._num_fitting()

    def write(self, cells: Cells, heading: str = "", styles: Sequence[str] = ()) -> None:
        """Print some rows, with a header if there is none yet or the columns have become wider.

        Parameters
        ----------
        cells : sequence of sequence of str
            Column by column; without control characters.
        heading : str
            Printed above these rows.
        styles : sequence of str
            A colour for each row, or "dim", or "".
        """
        self.fit(cells)
        lines = self._header() if self._is_header_due else []
        if heading:
            lines.append(click.style(heading, bold=True))
        lines += self._rows(cells, styles)
        self.num_rows += len(cells[0]) if cells else 0
        self._is_header_due = False
        print_lines(lines)

    def _shrunk(self, widths: Sequence[int]) -> list[int]:
        """Return the widths with the widest of the folded columns made narrower until all fit."""
        room, shrunk = self._room(), list(widths)
        folded = [i for i, column in enumerate(self.columns) if column.is_folded]
        while room is not None and folded and self._total(shrunk) > room:
            widest = max(folded, key=lambda i: shrunk[i])
            if shrunk[widest] <= _FOLDED_MIN:
                break
            shrunk[widest] -= 1
        return shrunk

    def _total(self, widths: Sequence[int]) -> int:
        return len(self._indent) + sum(widths) + len(GAP) * (len(widths) - 1)

    def _num_fitting(self) -> int:
        room = self._room()
        if room is None or any(column.is_folded for column in self.columns):
            return len(self.columns)
        used = len(self._indent) - len(GAP)
        for i, width in enumerate(self._widths):
            used += len(GAP) + width
            if used > room:
                return max(1, i)
        return len(self._widths)

    def _header(self) -> list[str]:
        shown = self.columns[: self.num_shown]
        lines = [""] if self.num_rows else []
        if any(column.group for column in shown):
            lines.append(click.style(self._groups(), bold=True))
        titles = (
            _aligned([column.title], width, is_left=column.is_left)[0]
            for column, width in zip(shown, self._widths, strict=False)
        )
        lines.append(click.style((self._indent + GAP.join(titles)).rstrip(), bold=True))
        if self._has_rule:
            rule = GAP.join("-" * width for width in self._widths[: self.num_shown])
            lines.append(self._indent + rule)
        return lines

    def _groups(self) -> str:
        """Return the line of group names, each above the first column of its group."""
        parts = []
        shown = zip(self.columns[: self.num_shown], self._widths, strict=False)
        for name, members in groupby(shown, lambda member: member[0].group):
            widths = [width for _, width in members]
            room = sum(widths) + len(GAP) * (len(widths) - 1)
            short = shortened(name, room)
            parts.append(short + " " * (room - display_width(short)))
        return (self._indent + GAP.join(parts)).rstrip()

    def _rows(self, cells: Cells, styles: Sequence[str]) -> list[str]:
        shown = list(zip(self.columns, cells, self._widths, strict=True))[: self.num_shown]
        if any(column.is_folded and _max_width(texts) > width for column, texts, width in shown):
            return self._folded_rows(cells, styles)
        columns = [_column(column, texts, width) for column, texts, width in shown]
        lines = [(self._indent + GAP.join(row)).rstrip() for row in zip(*columns, strict=True)]
        return [
            _styled(line, styles[i]) if i < len(styles) else line for i, line in enumerate(lines)
        ]

    def _folded_rows(self, cells: Cells, styles: Sequence[str]) -> list[str]:
        """Return rows of which some take several lines."""
        lines = []
        for i, row in enumerate(zip(*cells, strict=True)):
            parts = [folded(cell, width) for cell, width in zip(row, self._widths, strict=True)]
            height = max(map(len, parts))
            padded = [[*part, *[""] * (height - len(part))] for part in parts]
            lines += self._rows(padded, [styles[i]] * height if styles else ())
        return lines


def _column(column: Column, texts: Sequence[str], width: int) -> list[str]:
    cells = _aligned(texts, width, is_left=column.is_left)
    if column.is_alarming is None:
        return cells
    pairs = zip(cells, texts, strict=True)
    return [click.style(cell, fg="red") if column.is_alarming(t) else cell for cell, t in pairs]


def _styled(line: str, style: str) -> str:
    if not style:
        return line
    return click.style(line, dim=True) if style == "dim" else click.style(line, fg=style)


def _max_width(cells: Sequence[str]) -> int:
    return max(map(len if "".join(cells).isascii() else display_width, cells), default=0)


def _aligned(cells: Sequence[str], width: int, *, is_left: bool) -> list[str]:
    if "".join(cells).isascii():
        return [cell.ljust(width) if is_left else cell.rjust(width) for cell in cells]
    padding = [" " * (width - display_width(cell)) for cell in cells]
    pairs = zip(cells, padding, strict=True)
    return [cell + pad if is_left else pad + cell for cell, pad in pairs]


def shortened(text: str, room: int) -> str:
    """Return a text with its middle left out if it does not fit; the ends are most telling.

    Examples
    --------
    >>> shortened("sweep/lr-0.1/seed-7", 12), shortened("short", 8), shortened("long", 3)
    ('sweep...ed-7', 'short', '...')
    """
    if display_width(text) <= room:
        return text
    start, end = text[: len(text) // 2], text[len(text) // 2 :]
    ellipsis = "..."[: max(0, room)]
    while display_width(start + end) > room - len(ellipsis) and (start or end):
        if len(start) > len(end):
            start = start[:-1]
        else:
            end = end[1:]
    return start + ellipsis + end


def folded(text: str, width: int) -> list[str]:
    """Return a text as lines, broken between words where possible.

    Examples
    --------
    >>> folded("dream, train, validate", 10), folded("0123456789", 4)
    (['dream,', 'train,', 'validate'], ['0123', '4567', '89'])
    """
    lines, line = [], ""
    for word in re.findall(r"\S+\s*|\s+", text):
        if line and display_width(line + word.rstrip()) > width:
            lines.append(line.rstrip())
            line = ""
        while display_width(word.rstrip()) > width:
            length = next(n for n in range(len(word), 0, -1) if _fits(word[:n], width) or n == 1)
            lines.append(word[:length])
            word = word[length:]
        line += word
    return [*lines, line.rstrip()] if line or not lines else lines


def _fits(text: str, width: int) -> bool:
    return display_width(text) <= width


def write_pairs(pairs: Iterable[tuple[str, str]]) -> None:
    """Print names and values as two columns, the names in bold."""
    names, values = zip(*pairs, strict=True)
    room, width = terminal_width(), _max_width(names)
    lines = []
    for name, value in zip(names, values, strict=True):
        parts = (
            [value] if room is None else folded(value, max(_FOLDED_MIN, room - width - len(GAP)))
        )
        (title,) = _aligned([name], width, is_left=True)
        lines.append(click.style(title, bold=True) + GAP + parts[0])
        lines += [" " * width + GAP + part for part in parts[1:]]
    print_lines(line.rstrip() for line in lines)
