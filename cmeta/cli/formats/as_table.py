"""A table for people: aligned, floats rounded to six digits, only the columns that occur.

It is streamed as well: widths follow from the first thousand rows, and when later ones need more
room, the header comes again. On a terminal, columns that do not fit are left out, and that is
said; in a pipe all are there (``| less -S``).
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from itertools import chain

import click

from cmeta.cli.console import emit, has_colour, len_shown, note, printable, terminal_width
from cmeta.cli.rows import RowBlock, RowStream
from cmeta.cli.values import SHOWN, texts
from cmeta.schema import Field

Cells = list[list[str]]  # of some rows, column by column

_GAP = "  "
_ROWS_FOR_WIDTHS = 1000
_VECTOR_MAX = 6  # components that are shown of a vector


def write_table(stream: RowStream) -> None:
    """Write a stream of rows."""
    fields = stream.occurring
    pages = ([_cells_of(field, block) for field in fields] for block in stream)
    first = [] if stream.is_live else _take(pages)
    table = _Table(fields, stream.heading)
    table.make_room(first)
    for page in chain(first, pages):
        table.write(page)
    table.finish()


def _take(pages: Iterator[Cells]) -> list[Cells]:
    """Take pages until they hold enough rows to tell the widths from."""
    found: list[Cells] = []
    while sum(map(_num_rows, found)) < _ROWS_FOR_WIDTHS and (page := next(pages, None)) is not None:
        found.append(page)
    return found


def _num_rows(page: Cells) -> int:
    return len(page[0]) if page else 0


class _Table:
    """The widths so far, and whether the last header that was printed has them."""

    def __init__(self, fields: tuple[Field, ...], heading: str) -> None:
        self._heading = heading
        self._is_left = [bool(field.labels) for field in fields]
        self._titles = _titles(fields)
        self._widths = list(map(len_shown, self._titles))
        self._num_shown = len(fields)
        self._num_rows = 0
        self._has_header = False
        self._has_colour = has_colour(sys.stdout)

    def make_room(self, pages: list[Cells]) -> None:
        """Widen the columns for these rows; then a header must come again."""
        for page in pages:
            wider = list(map(max, map(_width, page), self._widths))
            if wider != self._widths:
                self._widths, self._has_header = wider, False
        self._num_shown = self._num_fitting()

    def write(self, page: Cells) -> None:
        """Write some rows, below a header if there is none that fits."""
        self.make_room([page])
        lines = [] if self._has_header else self._header()
        if self._heading and not self._num_rows:
            lines = [f"{self._heading}:", *lines]
        lines += self._lines(page)
        self._num_rows += _num_rows(page)
        self._has_header = True
        emit("".join(f"{line}\n" for line in lines))

    def finish(self) -> None:
        """Say what was not shown."""
        num_columns = len(self._titles)
        if self._num_rows and self._heading:
            emit("\n")
        if self._num_rows and self._num_shown < num_columns:
            note(
                f"{self._num_shown} of {num_columns} columns fit here; choose with --fields, "
                "or pipe into `less -S`"
            )

    def _num_fitting(self) -> int:
        room = terminal_width()
        if room is None:
            return len(self._widths)
        used = 0
        for i, width in enumerate(self._widths):
            used += width + (len(_GAP) if i else 0)
            if used > room:
                return max(1, i)
        return len(self._widths)

    def _header(self) -> list[str]:
        (title,) = self._lines([[title] for title in self._titles])
        rule = _GAP.join("-" * width for width in self._widths[: self._num_shown])
        again = [""] if self._num_rows else []
        return [*again, click.style(title, bold=True) if self._has_colour else title, rule]

    def _lines(self, page: Cells) -> list[str]:
        shown = list(zip(page, self._widths, self._is_left, strict=True))[: self._num_shown]
        aligned = [_aligned(cells, width, is_left) for cells, width, is_left in shown]
        return [_GAP.join(row).rstrip() for row in zip(*aligned, strict=True)]


def _titles(fields: tuple[Field, ...]) -> list[str]:
    """Return the names, without their group where that is unique."""
    times = Counter(field.name for field in fields)
    return [printable(field.name if times[field.name] == 1 else field.path) for field in fields]


def _cells_of(field: Field, block: RowBlock) -> list[str]:
    if field not in block.columns:
        return [""] * block.num_rows
    values, present = block.columns[field]
    if field.num_components:
        num_shown = min(field.num_components, _VECTOR_MAX)
        parts = [texts(field, values[:, i], SHOWN) for i in range(num_shown)]
        more = " ..." if num_shown < field.num_components else ""
        found = [f"[{' '.join(vector)}{more}]" for vector in zip(*parts, strict=True)]
    else:
        found = texts(field, values, SHOWN)
    if present is None:
        return found
    return [text if there else "" for text, there in zip(found, present.tolist(), strict=True)]


def _width(cells: list[str]) -> int:
    return max(map(len if "".join(cells).isascii() else len_shown, cells), default=0)


def _aligned(cells: list[str], width: int, is_left: bool) -> list[str]:
    if "".join(cells).isascii():
        return [cell.ljust(width) if is_left else cell.rjust(width) for cell in cells]
    padding = [" " * (width - len_shown(cell)) for cell in cells]
    pairs = zip(cells, padding, strict=True)
    return [cell + pad if is_left else pad + cell for cell, pad in pairs]
