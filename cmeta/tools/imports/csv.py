"""CSV: a line of names, then one line for each record, separated by comma, tab or semicolon.

- A cell is a number, ``True`` or ``False``, or absent: empty, ``NA``, ``null``, ``None``, ``-``.
  NaN and the infinities are recognised in the spellings of Python, numpy and pandas. Blanks around
  names and numbers do not count. Between semicolons, ``1,5`` is a number.
- A column of an enumeration stays text.
- Where names are those of a chronicle (timestamp, phase), names and labels are as `cmeta convert`
  wrote them: exact, but for the apostrophe before what a spreadsheet would take for a formula.
- Lines before the names that begin with ``#`` are comments; JSON objects in them, as in the
  ``monitor.csv`` of Stable-Baselines, are the configuration.
- A line of names that comes again, as a resumed run appends it, is skipped. Names that are numbers
  are refused: such a file has no line of names, and the user has to state them.
- A last line without an end may be cut off in the middle of a number, so it is left out.
"""

from __future__ import annotations

import csv
import re
from array import array
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from cmeta.errors import EncodeError, counted
from cmeta.records import strict_json
from cmeta.safe_text import from_spreadsheet_text
from cmeta.schema.rules import PHASE, TIMESTAMP
from cmeta.schema.schema import Schema, default_schema
from cmeta.source import regular_file
from cmeta.tools.imports.bounded import lines, too_long
from cmeta.tools.imports.columns import (
    ROWS_AT_ONCE,
    SourceTable,
    TableBuilder,
    is_absent,
    is_number,
    number_of_text,
)
from cmeta.tools.imports.formats import BadLines, Imported, ImportOptions, text_head
from cmeta.tools.imports.infer import infer, inferred_field

_DELIMITERS = ",\t;"
_SUFFIXES = (".csv", ".tsv")
_ENDS = ("\n", "\r")
_QUOTED = re.compile(r'"[^"]*"')
_EXCEL_HINT = re.compile(r"sep=([,\t;])\s*", re.IGNORECASE)
_COMMENT = "#"
_DECIMAL_COMMA = re.compile(r"\s*+[+-]?\d*+,\d++(?:[eE][+-]?\d++)?\s*+")


def looks_like(path: Path) -> bool:
    """Return whether a file's first line has several names, and its second line as many cells."""
    head, is_all = text_head(path)
    if path.suffix.lower() in _SUFFIXES:
        return head[:1] not in (b"", b"{", b"[")
    try:
        texts = head.decode().splitlines()
    except UnicodeDecodeError as err:
        if is_all or err.start < len(head) - 4:  # a character cut in half
            return False
        texts = head[: err.start].decode().splitlines()
    if not texts or head[:1] in (b"{", b"["):
        return False
    texts = [line for line in texts if not line.startswith(_COMMENT)][:2]
    rows = list(csv.reader(texts, delimiter=_delimiter_of(texts[0]))) if texts else []
    names = rows[0] if rows else []
    is_head = len(names) > 1 and all(name and not is_number(name) for name in names[1:])
    if len(rows) > 1:
        return is_head and len(rows[1]) == len(names) and any(map(is_number, rows[1]))
    return is_head and any(inferred_field(name, default_schema(), ()) for name in names)


def read(source: Path, options: ImportOptions) -> Imported:
    """Read a CSV file.

    Raises
    ------
    EncodeError
        The file is empty; a line has more or fewer cells than names; a name is a number; two names
        are equal; or text is not UTF-8.
    """
    schema = options.schema or default_schema()
    builder, numbers = TableBuilder(), array("Q")
    with open(
        source, encoding="utf-8-sig", errors="surrogateescape", newline="", opener=regular_file
    ) as file:
        rows = _Rows(source, file, options)
        parsers = [rows.parser_of(name, schema) for name in rows.names]
        for block in _blocks(rows, numbers):
            cells = zip(*block, strict=True)
            parsed = {
                name: list(map(parse, column))
                for name, parse, column in zip(rows.names, parsers, cells, strict=True)
                if name
            }
            builder.add_block(parsed, len(block))
    rows.require_one_decimal_sign()
    table = SourceTable(
        str(source), builder.num_records, builder.finish(), lambda row: f"line {numbers[row]}",
        is_text=True, lost=builder.lost(), damage=rows.damage(), notes=rows.notes(),
        config=rows.lines.config,
    )  # fmt: skip
    return infer(table, options)


class _Lines:
    """The lines of a file, as the csv module takes them, after the comments at the beginning.

    Attributes
    ----------
    number : int
        Of the last line that was given.
    first : str
        The first line that is no comment.
    row : list of str
        The lines that were given for the row being read.
    cut : str or None
        A last line without an end.
    config : dict
    num_comments : int
        Comments that are no JSON object.
    """

    def __init__(self, source: Path, file: IO[str], bad: BadLines) -> None:
        self._source, self._bad = source, bad
        self._again = deque[str]()
        self._file = lines(file)
        self.number, self.row = 0, list[str]()
        self.cut: str | None = None
        self.config: dict[str, Any] = {}
        self.num_comments = 0
        self.first = self._take_comments()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        """Return the next line; after the end, lines may come that are given again."""
        line = self._next()
        if line is None:
            raise StopIteration
        self.row.append(line)
        return line

    def skip_first_of_row(self) -> None:
        """Give the lines of a row again, without the first."""
        self._again.extendleft(reversed(self.row[1:]))
        self.number -= len(self.row) - 1

    def _next(self) -> str | None:
        if self._again:
            self.number += 1
            return self._again.popleft()
        for line, length in self._file:
            self.number += 1
            if length > len(line):
                self._bad.add(self.number, too_long(length))
                continue
            if not line.endswith(_ENDS):
                self.cut = line
                return None
            if line.isascii() or self._is_utf8(line):
                return line
        return None

    def _is_utf8(self, line: str) -> bool:
        try:
            line.encode()
        except UnicodeEncodeError as err:  # a byte that is kept as a surrogate
            place = len(line[: err.start].encode()) + 1
            self._bad.add(self.number, f", byte {place}: not UTF-8", err)
            return False
        return True

    def _take_comments(self) -> str:
        first = self._next()
        while first is not None and (first.startswith(_COMMENT) or not first.strip()):
            if first.strip():
                self._take_comment(first.removeprefix(_COMMENT).strip())
            first = self._next()
        if first is None:
            if self.cut is None:
                raise EncodeError(f"{self._source}: found an empty file, expected a line of names")
            return ""
        if hint := _EXCEL_HINT.fullmatch(first):
            return hint[1]  # shows nothing but the delimiter
        self._again.append(first)
        self.number -= 1
        return first

    def _take_comment(self, text: str) -> None:
        try:
            value = strict_json.loads(text) if text.startswith("{") else None
        except ValueError:
            value = None
        if isinstance(value, dict):
            self.config |= value
        else:
            self.num_comments += 1


class _Rows:
    """The rows of a file, each with the number of its last line."""

    def __init__(self, source: Path, file: IO[str], options: ImportOptions) -> None:
        self._source, self._options, self._file = source, options, file
        self._bad = BadLines(source, options.skip_bad_lines)
        self.lines = _Lines(source, file, self._bad)
        delimiter = _delimiter_of(self.lines.first)
        self._has_commas = delimiter == ";"
        self._commas, self._points = list[str](), list[str]()
        self._reader = csv.reader(
            self.lines, delimiter=delimiter, strict=True,
            skipinitialspace=f"{delimiter} " in self.lines.first,
        )  # fmt: skip
        self._repeated: list[int] = []
        self.names = list(options.names or self._names_of_file())
        self._is_own = {TIMESTAMP, PHASE} <= {*self.names}
        self._require_names()

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        size = self._source.stat().st_size
        for count, row in enumerate(self._cells()):
            number = self.lines.number
            if not row:
                continue
            if len(row) != len(self.names):
                self._bad.add(
                    number,
                    f": found {counted(len(row), 'cell')}, expected {len(self.names)}, one for "
                    "each name",
                )
                continue
            if row[0].strip() == self.names[0] and self._is_header(row):
                self._repeated.append(number)
                continue
            if count % ROWS_AT_ONCE == 0:
                self._options.progress(min(self._file.buffer.tell(), size), size)  # type: ignore[attr-defined]
            yield number, row
        self._options.progress(size, size)

    def parser_of(self, name: str, schema: Schema) -> Callable[[str], Any]:
        """Return the function for the cells of a column."""
        field = inferred_field(name, schema, ())
        if name.lower() == PHASE or (field is not None and field.labels):
            return _label if self._is_own else _word
        return self._decimal if self._has_commas else number_of_text

    def require_one_decimal_sign(self) -> None:
        """Raise if a file has both decimal commas and decimal points.

        Raises
        ------
        EncodeError
        """
        if self._commas and self._points:
            raise EncodeError(
                f"{self._source}: found both {self._commas[0]} and {self._points[0]}, expected "
                "either decimal commas or decimal points"
            )

    def notes(self) -> list[str]:
        """Return what was left out without loss."""
        sentences = []
        if nameless := sum(not name for name in self.names):
            columns, verb = counted(nameless, "column"), "is" if nameless == 1 else "are"
            sentences.append(
                f"{columns} without a name, as pandas writes its index, {verb} left out"
            )
        if num_comments := self.lines.num_comments:
            sentences.append(f"{counted(num_comments, 'comment')} before the names left out")
        if self._repeated:
            repeated = counted(len(self._repeated), "repeated line")
            sentences.append(f"{repeated} of names skipped, the first: line {self._repeated[0]}")
        return sentences

    def damage(self) -> list[str]:
        """Return what was skipped or cut off."""
        sentences = self._bad.sentences()
        if self.lines.cut is not None:
            sentences.append(
                f"line {self.lines.number} has no end and may be cut off, so it is left out: "
                f"{self.lines.cut.strip()!r:.60}; if it is complete, end it with a line break"
            )
        return sentences

    def _names_of_file(self) -> Sequence[str]:
        names = next(self._cells(), [])
        if {TIMESTAMP, PHASE} <= {*names}:
            return list(map(from_spreadsheet_text, names))
        return [name.strip() for name in names]

    def _require_names(self) -> None:
        number, names = self.lines.number, [name for name in self.names if name]
        bad = [name for name in names if is_number(name)]
        if bad:
            raise EncodeError(
                f"{self._source}, line {number}: found the name {bad[0]!r}, which is a number; if "
                "the file begins with a record, state the names: names=['step', 'loss', ...] "
                "(--names step,loss,...); otherwise rename the column"
            )
        duplicate, count = next(iter(Counter(names).most_common(1)), ("", 0))
        if count > 1:
            raise EncodeError(
                f"{self._source}, line {number}: found two columns {duplicate!r}, expected one"
            )

    def _is_header(self, row: list[str]) -> bool:
        if self._is_own:
            return list(map(from_spreadsheet_text, row)) == self.names
        return [cell.strip() for cell in row] == self.names

    def _cells(self) -> Iterator[list[str]]:
        while True:
            self.lines.row.clear()
            try:
                row = next(self._reader, None)
            except csv.Error as err:
                if self.lines.cut is not None:  # within quotes
                    self.lines.cut = "".join([*self.lines.row, self.lines.cut])
                    return
                first = self.lines.number - len(self.lines.row) + 1
                self._bad.add(first, f": not CSV: {err}", err)
                self.lines.skip_first_of_row()
                continue
            if row is None:
                return
            yield row

    def _decimal(self, cell: str) -> Any:
        value = number_of_text(cell)
        if isinstance(value, str) and _DECIMAL_COMMA.fullmatch(value):
            self._commas = self._commas or [cell]
            return number_of_text(value.replace(",", "."))
        if isinstance(value, float) and "." in cell:
            self._points = self._points or [cell]
        return value


def _delimiter_of(line: str) -> str:
    bare = _QUOTED.sub("", line)
    return max(_DELIMITERS, key=bare.count)


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


def _label(cell: str) -> str | None:
    return from_spreadsheet_text(cell) or None  # as cmeta wrote it


def _word(cell: str) -> str | None:
    return None if is_absent(cell) else cell.strip()
