r"""CSV: a header of dotted names, then a line a record, every value exact.

The columns are known before the first line: the fields that occur in the selection. A vector takes
a column for each component, ``name[0]``; what is absent is an empty cell, which is not ``NaN``.
Lines end in ``\n``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace

from cmeta.cli.console import emit_data, is_terminal, printable
from cmeta.cli.rows import RowBlock, RowStream
from cmeta.cli.values import EXACT, Style, texts
from cmeta.schema import Field

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
