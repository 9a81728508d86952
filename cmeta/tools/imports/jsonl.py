"""JSON lines: an object a record, of whatever tool; or a whole chronicle, by `cmeta cat --full`.

Nested objects are flattened: a member of a group of the schema gets its dotted name, anything else
a name with slashes. Python's bare NaN and Infinity are taken as well as the strings that stand for
them. A last line that is cut off, as a killed process leaves it, is left out and reported.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cmeta.errors import EncodeError
from cmeta.schema.schema import Schema, default_schema
from cmeta.tools.imports.model import Imported, ImportOptions
from cmeta.tools.imports.tables import RawTable, TableBuilder, is_preamble, parse_preamble
from cmeta.tools.imports.text import head_of, imported_of

_DEPTH_MAX = 32
_PROGRESS_LINES = 4096
_KINDS = {list: "a list", str: "a string", type(None): "null", bool: "a boolean"}


def looks_like(path: Path) -> bool:
    """Return whether a file begins with a line that is a JSON object."""
    head, is_all = head_of(path)
    line, newline, _ = head.partition(b"\n")
    if not line.startswith(b"{"):
        return False
    if not newline and not is_all:
        return True  # the line goes on: that of a large schema
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def read(source: Path, options: ImportOptions) -> Imported:
    """Return what a file of JSON lines holds.

    Raises
    ------
    EncodeError
        A line is no JSON object; names line and column.
    """
    lines = _Lines(source, options)
    schema, preamble = options.schema or default_schema(), None
    builder, numbers = TableBuilder(), array("Q")
    flatten: _Flatten | None = None
    for number, plain in lines:
        if flatten is None:
            if is_preamble(plain):
                preamble = parse_preamble(plain, f"{source}, line {number}")
                schema = options.schema or preamble.schema
            flatten = _Flatten(schema, str(source))
            if preamble is not None:
                lines.is_whole = True
                continue
        builder.add_row(flatten(plain, number))
        numbers.append(number)
    columns = builder.finish()
    table = RawTable(
        str(source), builder.num_records, columns, lambda row: f"line {numbers[row]}",
        is_text=True, preamble=preamble, damage=lines.damage,
    )  # fmt: skip
    return imported_of(table, options)


class _Lines:
    """The objects of a file, with the numbers of their lines.

    Attributes
    ----------
    is_whole : bool
        The file says that it is a whole chronicle: a torn line is an error.
    damage : list of str
    """

    def __init__(self, source: Path, options: ImportOptions) -> None:
        self._source, self._options = source, options
        self.is_whole = False
        self.damage: list[str] = []

    def __iter__(self) -> Iterator[tuple[int, dict[str, Any]]]:
        size, done = self._source.stat().st_size, 0
        with self._source.open("rb") as file:
            for number, line in enumerate(file, 1):
                done += len(line)
                if number % _PROGRESS_LINES == 0:
                    self._options.progress(done, size)
                if number == 1:
                    line = line.removeprefix(b"\xef\xbb\xbf")
                if not line.strip():
                    continue
                found = self._parse(line, number)
                if found is not None:
                    yield number, found
        self._options.progress(size, size)

    def _parse(self, line: bytes, number: int) -> dict[str, Any] | None:
        where = f"{self._source}, line {number}"
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as err:
            if not line.endswith(b"\n") and number > 1 and not self.is_whole:
                self.damage.append(f"line {number} is cut off: {len(line):,} bytes")
                return None
            raise EncodeError(f"{where}{_reason(err)}; expected a JSON object a line") from err
        if isinstance(found, dict):
            return found
        kind = _KINDS.get(type(found), "a number")
        hint = "; a list becomes lines with `jq -c '.[]'`" if isinstance(found, list) else ""
        raise EncodeError(f"{where}: found {kind}, expected a JSON object a line{hint}")


def _reason(err: Exception) -> str:
    if isinstance(err, json.JSONDecodeError):
        return f", column {err.colno}: no JSON: {err.msg}"
    if isinstance(err, UnicodeDecodeError):
        return f", byte {err.start + 1}: no UTF-8"
    return f": no JSON: {'nested too deeply' if isinstance(err, RecursionError) else err}"


class _Flatten:
    """Makes one level of an object's levels."""

    def __init__(self, schema: Schema, name: str) -> None:
        self._groups = set(schema.groups)
        self._config = schema.config_field.path if schema.config_field else None
        self._name = name

    def __call__(self, plain: Mapping[str, Any], number: int) -> dict[str, Any]:
        flat: dict[str, Any] = {}
        for key, value in plain.items():
            if type(value) is dict and key != self._config:
                self._nested(value, f"{key}{'.' if key in self._groups else '/'}", flat, number)
            else:
                self._put(key, value, flat, number)
        return flat

    def _nested(
        self, plain: Mapping[str, Any], prefix: str, flat: dict[str, Any], number: int,
        depth: int = 1,
    ) -> None:  # fmt: skip
        if depth > _DEPTH_MAX:
            raise EncodeError(f"{self._name}, line {number}: nested beyond {_DEPTH_MAX} levels")
        for key, value in plain.items():
            if type(value) is dict:
                self._nested(value, f"{prefix}{key}/", flat, number, depth + 1)
            else:
                self._put(f"{prefix}{key}", value, flat, number)

    def _put(self, name: str, value: Any, flat: dict[str, Any], number: int) -> None:
        if name in flat:
            raise EncodeError(f"{self._name}, line {number}: {name!r} twice, expected it once")
        flat[name] = value
