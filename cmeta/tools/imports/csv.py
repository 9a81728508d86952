"""CSV: a line of names, then one line for each record, separated by comma, tab or semicolon.

An empty cell is absent. ``NaN`` and the infinities are recognised in the spellings of Python, numpy
and pandas, ``True`` and ``False`` are booleans, and a column of an enumeration stays text.
"""

from __future__ import annotations

import csv
import re
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from cmeta.errors import EncodeError, counted
from cmeta.schema.schema import Schema, default_schema
from cmeta.tools.imports.columns import ROWS_AT_ONCE, SourceTable, TableBuilder
from cmeta.tools.imports.formats import Imported, ImportOptions, text_head
from cmeta.tools.imports.infer import PHASE_COLUMNS, infer, inferred_field

_DELIMITERS = ",\t;"
_SUFFIXES = (".csv", ".tsv")
_INTEGER = re.compile(r"[+-]?\d{1,40}")
_FLOAT = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_WORDS: dict[str, Any] = {"true": True, "false": False, "nan": float("nan")} | {
    f"{sign}{word}": float(f"{sign}inf") for sign in ("", "+", "-") for word in ("inf", "infinity")
}


def looks_like(path: Path) -> bool:
    """Return whether a file's first line has several names, and its second line as many cells."""
    head, is_all = text_head(path)
    try:
        lines = head.decode().splitlines()
    except UnicodeDecodeError as err:
        if is_all or err.start < len(head) - 4:  # a character cut in half
            return False
        lines = head[: err.start].decode().splitlines()
    if not lines or head[:1] in (b"{", b"["):
        return False
    if path.suffix.lower() in _SUFFIXES:
        return True
    rows = list(csv.reader(lines[:2], delimiter=_delimiter_of(lines[0])))
    names = rows[0] if rows else []
    is_head = len(names) > 1 and all(name and not _FLOAT.fullmatch(name) for name in names[1:])
    if len(rows) > 1:
        return is_head and len(rows[1]) == len(names)
    return is_head and any(inferred_field(name, default_schema(), ()) for name in names)


def read(source: Path, options: ImportOptions) -> Imported:
    """Read a CSV file.

    Raises
    ------
    EncodeError
        A line has more or fewer cells than names, two names are equal, or text is not UTF-8.
    """
    schema = options.schema or default_schema()
    builder, numbers = TableBuilder(), array("Q")
    with source.open(encoding="utf-8-sig", newline="") as file:
        rows = _Rows(source, file, options)
        parsers = [_parser_of(name, schema) for name in rows.names]
        for block in _blocks(rows, numbers):
            cells = zip(*block, strict=True)
            parsed = {
                name: list(map(parse, column))
                for name, parse, column in zip(rows.names, parsers, cells, strict=True)
                if name
            }
            builder.add_block(parsed, len(block))
    table = SourceTable(
        str(source), builder.num_records, builder.finish(), lambda row: f"line {numbers[row]}",
        is_text=True, lost=_nameless(rows.names),
    )  # fmt: skip
    return infer(table, options)


class _Rows:
    """The rows of a file, each with the number of its last line."""

    def __init__(self, source: Path, file: IO[str], options: ImportOptions) -> None:
        self._source, self._options, self._file = source, options, file
        first = self._first_line()
        self._reader = csv.reader(file, delimiter=_delimiter_of(first), strict=True)
        self.names = next(self._cells(), [])
        named = [name for name in self.names if name]
        duplicate = next((name for name in named if named.count(name) > 1), None)
        if duplicate is not None:
            raise EncodeError(f"{source}, line 1: found two columns {duplicate!r}, expected one")

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        size = self._source.stat().st_size
        for row in self._cells():
            number = self._reader.line_num
            if not row:
                continue
            if len(row) != len(self.names):
                raise EncodeError(
                    f"{self._source}, line {number}: found {counted(len(row), 'cell')}, expected "
                    f"{len(self.names)}, one for each name in the first line"
                )
            if number % ROWS_AT_ONCE == 0:
                self._options.progress(min(self._file.buffer.tell(), size), size)  # type: ignore[attr-defined]
            yield number, row
        self._options.progress(size, size)

    def _first_line(self) -> str:
        try:
            first = self._file.readline()
        except UnicodeDecodeError as err:
            raise EncodeError(_not_utf8(self._source)) from err
        self._file.seek(0)
        return first

    def _cells(self) -> Iterator[list[str]]:
        while True:
            try:
                row = next(self._reader, None)
            except UnicodeDecodeError as err:
                raise EncodeError(_not_utf8(self._source)) from err
            except csv.Error as err:
                number = self._reader.line_num
                raise EncodeError(f"{self._source}, line {number}: not CSV: {err}") from err
            if row is None:
                return
            yield row


def _not_utf8(source: Path) -> str:
    """Return where a file is not UTF-8; the decoder itself reads ahead of the lines."""
    with source.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError as err:
                return f"{source}, line {number}, byte {err.start + 1}: not UTF-8"
    return f"{source}: not UTF-8"


def _delimiter_of(line: str) -> str:
    return max(_DELIMITERS, key=line.count)


def _blocks(rows: _Rows, numbers: array[int]) -> Iterator[list[list[str]]]:
    block: list[list[str]] = []
    for number, row in rows:
        numbers.append(number)
        block.append(row)
        if len(block) == ROWS_AT_ONCE:
            yield block
            block = []
    if block:
        yield block


def _parser_of(name: str, schema: Schema) -> Callable[[str], Any]:
    field = inferred_field(name, schema, ())
    is_text = name in PHASE_COLUMNS or (field is not None and field.labels)
    return _text if is_text else _value


def _text(cell: str) -> str | None:
    return cell or None


def _value(cell: str) -> Any:
    """Return a cell as the simplest value that it may be.

    Examples
    --------
    >>> [_value(cell) for cell in ("", "3", "1e-3", "-inf", "True", "n/a")]
    [None, 3, 0.001, -inf, True, 'n/a']
    """
    if _INTEGER.fullmatch(cell):
        return int(cell)
    if _FLOAT.fullmatch(cell):
        return float(cell)
    return _WORDS.get(cell.lower(), cell) if cell else None


def _nameless(names: list[str]) -> list[str]:
    count = sum(not name for name in names)
    if not count:
        return []
    verb = "is" if count == 1 else "are"
    columns = counted(count, "column")
    return [f"{columns} without a name, as pandas writes its index, {verb} left out"]
