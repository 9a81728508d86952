"""JSON lines: one object for each record, of any tool; or a full chronicle of `cmeta cat --full`.

Nested objects are flattened: a member of a group of the schema gets its dotted name, any other a
name with slashes. Python's bare NaN and Infinity are accepted, and so are numbers in quotes. A
last line that is cut off, as a killed process leaves it, is left out and reported.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from cmeta.errors import EncodeError
from cmeta.records import strict_json
from cmeta.schema.schema import Schema, default_schema
from cmeta.source import regular_file
from cmeta.tools.imports.bounded import lines, too_long
from cmeta.tools.imports.columns import SourceTable, TableBuilder
from cmeta.tools.imports.formats import BadLines, Imported, ImportOptions, text_head
from cmeta.tools.imports.infer import infer
from cmeta.tools.imports.native import import_native, is_preamble, parse_preamble

_DEPTH_MAX = 32
_OWN, _PREAMBLE_MAX = b'{"cmeta":', 1 << 30
_PROGRESS_LINES = 4096
_KINDS = {list: "a list", str: "a string", type(None): "null", bool: "a boolean"}


def looks_like(path: Path) -> bool:
    """Return whether a file begins with a line that is a JSON object."""
    head, is_all = text_head(path)
    line, newline, _ = head.partition(b"\n")
    if not line.startswith(b"{"):
        return False
    if not newline and not is_all:
        return True  # a long line, such as that of a large schema
    try:
        return isinstance(strict_json.loads(line), dict)
    except strict_json.UnkeptError:  # a record all the same
        return True
    except ValueError:
        return False


def read(source: Path, options: ImportOptions) -> Imported:
    """Read a file of JSON lines.

    Raises
    ------
    EncodeError
        The file is empty, or a line is not a JSON object; names line and column.
    """
    bad = BadLines(source, options.skip_bad_lines)
    objects = _Lines(source, options, bad)
    schema, preamble = options.schema or default_schema(), None
    builder, numbers = TableBuilder(), array("Q")
    flatten: Flatten | None = None
    for number, value in objects:
        if flatten is None:
            if is_preamble(value):
                preamble = parse_preamble(value, f"{source}, line {number}")
                schema = options.schema or preamble.schema
            flatten = Flatten(schema)
            if preamble is not None:
                continue
        try:
            builder.add_row(flatten(value))
        except NoRecordError as err:
            bad.add(number, f": {err}")
            continue
        numbers.append(number)
    damage = bad.sentences() + objects.damage
    if flatten is None and not damage:
        raise EncodeError(f"{source}: found an empty file, expected one JSON object a line")
    columns = builder.finish()
    table = SourceTable(
        str(source), builder.num_records, columns, lambda row: f"line {numbers[row]}",
        is_text=True, lost=builder.lost(), damage=damage,
    )  # fmt: skip
    return infer(table, options) if preamble is None else import_native(table, preamble, options)


class _Lines:
    """The objects of a file, with the numbers of their lines.

    Attributes
    ----------
    damage : list of str
    """

    def __init__(self, source: Path, options: ImportOptions, bad: BadLines) -> None:
        self._source, self._options, self._bad = source, options, bad
        self.damage: list[str] = []

    def __iter__(self) -> Iterator[tuple[int, dict[str, Any]]]:
        size, done = self._source.stat().st_size, 0
        with open(self._source, "rb", opener=regular_file) as file:
            for number, (line, length) in enumerate(self._lines(file), 1):
                done += length
                if number % _PROGRESS_LINES == 0:
                    self._options.progress(done, size)
                is_long = length > len(line)
                if number == 1:
                    line = line.removeprefix(b"\xef\xbb\xbf")
                if not line.strip():
                    continue
                if is_long:
                    self._bad.add(number, too_long(length))
                    continue
                value = self._parse(line, number)
                if value is not None:
                    yield number, value
        self._options.progress(size, size)

    def _lines(self, file: BinaryIO) -> Iterator[tuple[bytes, int]]:
        is_own = file.peek(len(_OWN))[: len(_OWN)] == _OWN  # type: ignore[attr-defined]
        if is_own:  # a preamble has all configurations
            yield next(lines(file, _PREAMBLE_MAX))
        yield from lines(file)

    def _parse(self, line: bytes, number: int) -> dict[str, Any] | None:
        try:
            value = strict_json.loads(line.rstrip())  # with its end, an error has column 1
        except ValueError as err:
            is_whole = isinstance(err, strict_json.UnkeptError)
            if not is_whole and not line.endswith(b"\n") and number > 1:
                self.damage.append(f"line {number} is cut off: {len(line):,} bytes")
            else:
                self._bad.add(number, f"{_reason(err)}; expected one JSON object a line", err)
            return None
        if isinstance(value, dict):
            return value
        kind = _KINDS.get(type(value), "a number")
        hint = "; `jq -c '.[]'` makes lines of a list" if isinstance(value, list) else ""
        self._bad.add(number, f": found {kind}, expected one JSON object a line{hint}")
        return None


def _reason(err: Exception) -> str:
    if isinstance(err, json.JSONDecodeError):
        return f", column {err.colno}: not JSON: {err.msg}"
    if isinstance(err, UnicodeDecodeError):
        return f", byte {err.start + 1}: not UTF-8"
    return f": not JSON: {err}"


class NoRecordError(Exception):
    """An object that is no record."""


class Flatten:
    """Flattens nested objects to one level."""

    def __init__(self, schema: Schema) -> None:
        self._groups = set(schema.groups)
        self._config = schema.config_field.path if schema.config_field else None

    def __call__(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Return the members of a record by flat name.

        Raises
        ------
        NoRecordError
            It is nested too deeply, or has a name twice.
        """
        flat: dict[str, Any] = {}
        for key, value in record.items():
            if type(value) is dict and key != self._config:
                self._nested(value, f"{key}{'.' if key in self._groups else '/'}", flat)
            else:
                self._put(key, value, flat)
        return flat

    def _nested(
        self, inner: Mapping[str, Any], prefix: str, flat: dict[str, Any], depth: int = 1
    ) -> None:
        if depth > _DEPTH_MAX:
            raise NoRecordError(f"nested beyond {_DEPTH_MAX} levels")
        for key, value in inner.items():
            if type(value) is dict:
                self._nested(value, f"{prefix}{key}/", flat, depth + 1)
            else:
                self._put(f"{prefix}{key}", value, flat)

    def _put(self, name: str, value: Any, flat: dict[str, Any]) -> None:
        if name in flat:
            raise NoRecordError(f"found {name!r} twice, expected it once")
        flat[name] = value
