r"""CSV: a header of dotted names, then a line a record, every value exact.

The columns are known before the first line: the fields that occur in the selection. A vector takes
a column for each component, ``name[0]``; what is absent is an empty cell, which is not ``NaN``.
Lines end in ``\n``.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import click

from cmeta.cli.console import (
    emit,
    emit_data,
    has_colour,
    is_terminal,
    len_shown,
    note,
    printable,
    terminal_width,
)
from cmeta.cli.errors import reading
from cmeta.cli.rows import RowBlock, RowStream
from cmeta.cli.values import EXACT, JSON, SHOWN, Style, json_line, json_string, texts
from cmeta.extras import require
from cmeta.reader.reader import Reader
from cmeta.schema.types import Field
from cmeta.tools.imports.native import preamble_of

_NOTHING = '""'
_NEEDS_QUOTES = re.compile(r'[",\r\n]')


def write_csv(stream: RowStream, write: Callable[[str], None] = emit_data) -> None:
    """Write a stream of rows."""
    shown = printable if write is emit_data and is_terminal(sys.stdout) else str
    style = replace(EXACT, label=lambda label: quoted(shown(label)))
    fields = stream.occurring
    _emit([[style.label(name) for field in fields for name in _header_of(field)]], write)
    for block in stream:
        columns = [column for field in fields for column in _columns_of(field, block, style)]
        _emit(zip(*columns, strict=True), write)


def quoted(text: str) -> str:
    """Return a cell, in quotes if it needs them (RFC 4180); numbers never do.

    Examples
    --------
    >>> quoted("train"), quoted("train, test")
    ('train', '"train, test"')
    """
    return '"' + text.replace('"', '""') + '"' if _NEEDS_QUOTES.search(text) else text


def _emit(rows: Iterable[Iterable[str]], write: Callable[[str], None]) -> None:
    # A line with a single empty cell would be no record for most readers.
    write("".join(f"{','.join(row) or _NOTHING}\n" for row in rows))


def _header_of(field: Field) -> list[str]:
    if not field.num_components:
        return [field.path]
    return [f"{field.path}[{i}]" for i in range(field.num_components)]


def _columns_of(field: Field, block: RowBlock, style: Style) -> list[list[str]]:
    if field not in block.columns:
        return [[""] * block.num_rows] * field.num_columns
    values, present = block.columns[field]
    parts = [values[:, i] for i in range(field.num_components)] or [values]
    found = [texts(field, part, style) for part in parts]
    if present is None:
        return found
    there = present.tolist()
    return [[text if p else "" for text, p in zip(col, there, strict=True)] for col in found]


Members = list[str | None]  # of one field: '"name":value', or None where it is absent


def write_jsonl(stream: RowStream, write: Callable[[str], None] = emit_data) -> None:
    """Write a stream of rows."""
    for block in stream:
        members = _members(block)
        if stream.heading:
            members = [[f'"file":{json_string(stream.heading)}'] * block.num_rows, *members]
        write("".join(f"{line}\n" for line in _objects(members, block.num_rows)))


def write_preamble(
    reader: Reader, num_records: int | None, write: Callable[[str], None] = emit_data
) -> None:
    """Write the line that makes JSON lines a whole chronicle.

    Parameters
    ----------
    num_records : int or None
        How many records follow; None: nobody knows yet.
    """
    with reading(Path(reader.name)):
        plain = preamble_of(reader.schema, reader.configs, num_records)
    write(json_line(plain))


def _members(block: RowBlock) -> list[Members]:
    """Return the members of the outer objects: a field's, or a group's when its last is known."""
    plain: dict[str, list[Members]] = {}
    for field in block.columns:
        home = f"group {field.group}" if field.group else f"field {field.name}"
        plain.setdefault(home, []).append(_members_of(field, block))
    members = []
    for home, found in plain.items():
        kind, _, name = home.partition(" ")
        members.append(found[0] if kind == "field" else _nested(name, found, block.num_rows))
    return members


def _members_of(field: Field, block: RowBlock) -> Members:
    values, present = block.columns[field]
    if field.num_components:
        parts = [texts(field, values[:, i], JSON) for i in range(field.num_components)]
        found = [f"[{','.join(vector)}]" for vector in zip(*parts, strict=True)]
    else:
        found = texts(field, values, JSON)
    key = json_string(field.name)
    if present is None:
        return [f"{key}:{text}" for text in found]
    pairs = zip(found, present.tolist(), strict=True)
    return [f"{key}:{text}" if there else None for text, there in pairs]


def _nested(name: str, columns: Sequence[Members], num_rows: int) -> Members:
    key = json_string(name)
    return [f"{key}:{inner}" if inner != "{}" else None for inner in _objects(columns, num_rows)]


def _objects(columns: Sequence[Members], num_rows: int) -> list[str]:
    if not columns:
        return ["{}"] * num_rows
    return ["{" + ",".join(filter(None, row)) + "}" for row in zip(*columns, strict=True)]


_ROWS_PER_GROUP = 1 << 16  # of a row group: small ones are slow to read


def write_parquet(schema: Any, batches: Iterable[Any], file: BinaryIO) -> None:
    """Write batches of Arrow as row groups, one of them in memory at a time.

    Parameters
    ----------
    schema : pyarrow.Schema
    batches : iterable of pyarrow.RecordBatch
    file : binary file
    """
    arrow, parquet = require("pyarrow", "arrow"), require("pyarrow.parquet", "arrow")
    readable = arrow.schema(map(_readable, schema), schema.metadata)
    with parquet.ParquetWriter(file, readable, compression="zstd") as writer:
        for group in _groups(batches):
            writer.write_table(arrow.Table.from_batches(group, schema).cast(readable))


def _readable(field: Any) -> Any:
    arrow = require("pyarrow", "arrow")
    if not require("pyarrow.types", "arrow").is_fixed_size_list(field.type):
        return field
    return field.with_type(arrow.list_(field.type.value_field))


def _groups(batches: Iterable[Any]) -> Iterator[list[Any]]:
    group: list[Any] = []
    for batch in batches:
        group.append(batch)
        if sum(part.num_rows for part in group) >= _ROWS_PER_GROUP:
            yield group
            group = []
    if group:
        yield group


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


FORMATS: Mapping[str, Callable[[RowStream], None]] = {
    "table": write_table,
    "jsonl": write_jsonl,
    "csv": write_csv,
}
