"""CSV: a line of names, then a line a record; comma, tab or semicolon, whatever the first line has.

An empty cell is absent. ``NaN`` and the infinities are recognised in the spellings of Python, numpy
and pandas, ``True`` and ``False`` are booleans, and a column that means an enumeration stays text.
"""

from __future__ import annotations

import csv
import re
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from cmeta.errors import EncodeError
from cmeta.schema.schema import Schema, default_schema
from cmeta.tools.imports.infer import PHASE_COLUMNS, field_meant
from cmeta.tools.imports.model import Imported, ImportOptions
from cmeta.tools.imports.tables import ROWS_AT_ONCE, RawTable, TableBuilder
from cmeta.tools.imports.text import head_of, imported_of

_DELIMITERS = ",\t;"
_SUFFIXES = (".csv", ".tsv")
_INTEGER = re.compile(r"[+-]?\d{1,40}")
_FLOAT = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_WORDS: dict[str, Any] = {"true": True, "false": False, "nan": float("nan")} | {
    f"{sign}{word}": float(f"{sign}inf") for sign in ("", "+", "-") for word in ("inf", "infinity")
}


def looks_like(path: Path) -> bool:
    """Return whether a file's first line is one of several names, and its second as long."""
    head, is_all = head_of(path)
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
    return is_head and any(field_meant(name, default_schema(), ()) for name in names)


def read(source: Path, options: ImportOptions) -> Imported:
    """Return what a CSV file holds.

    Raises
    ------
    EncodeError
        A line with more or fewer cells than names; two equal names; text that is not UTF-8.
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
    table = RawTable(
        str(source), builder.num_records, builder.finish(), lambda row: f"line {numbers[row]}",
        is_text=True, lost=_nameless(rows.names),
    )  # fmt: skip
    return imported_of(table, options)


class _Rows:
    """The rows of a file, each with the number of its last line."""

    def __init__(self, source: Path, file: IO[str], options: ImportOptions) -> None:
        self._source, self._options, self._file = source, options, file
        first = self._first_line()
        self._reader = csv.reader(file, delimiter=_delimiter_of(first), strict=True)
        self.names = next(self._plain(), [])
        named = [name for name in self.names if name]
        twice = next((name for name in named if named.count(name) > 1), None)
        if twice is not None:
            raise EncodeError(f"{source}, line 1: two columns {twice!r}, expected one")

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        size = self._source.stat().st_size
        for row in self._plain():
            number = self._reader.line_num
            if not row:
                continue
            if len(row) != len(self.names):
                raise EncodeError(
                    f"{self._source}, line {number}: found {len(row)} cells, expected "
                    f"{len(self.names)}, as the first line has names"
                )
            if number % ROWS_AT_ONCE == 0:
                self._options.progress(min(self._file.buffer.tell(), size), size)  # type: ignore[attr-defined]
            yield number, row
        self._options.progress(size, size)

    def _first_line(self) -> str:
        try:
            first = self._file.readline()
        except UnicodeDecodeError as err:
            raise EncodeError(_no_utf8(self._source)) from err
        self._file.seek(0)
        return first

    def _plain(self) -> Iterator[list[str]]:
        while True:
            try:
                row = next(self._reader, None)
            except UnicodeDecodeError as err:
                raise EncodeError(_no_utf8(self._source)) from err
            except csv.Error as err:
                number = self._reader.line_num
                raise EncodeError(f"{self._source}, line {number}: no CSV: {err}") from err
            if row is None:
                return
            yield row


def _no_utf8(source: Path) -> str:
    """Return where a file is no UTF-8; the decoder itself is ahead of the lines."""
    with source.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError as err:
                return f"{source}, line {number}, byte {err.start + 1}: no UTF-8"
    return f"{source}: no UTF-8"


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
    field = field_meant(name, schema, ())
    is_text = name in PHASE_COLUMNS or (field is not None and field.labels)
    return _text if is_text else _value


def _text(cell: str) -> str | None:
    return cell or None


def _value(cell: str) -> Any:
    """Return a cell as the simplest thing that it may be.

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
    return [f"{count} column without a name, as pandas writes its index, is left out"] * bool(count)
