r"""The formats of records: table, JSON lines, CSV and Parquet.

- Table: aligned, floats rounded to six digits, the first components of a vector.
- JSON lines: an object per record, nested as the schema; absent values are left out. A first line
  with the schema and the configurations makes it a whole chronicle.
- CSV: a header of dotted names, then a line per record with exact values. A vector takes a column
  for each component, ``name[0]``; an absent value is an empty cell, which is not ``NaN``. Lines end
  in ``\n``. Names and labels that a spreadsheet would take for formulas have an apostrophe before
  them, which `cmeta import` takes away. In a file or a pipe they are exact otherwise, since CSV has
  no escapes; a terminal gets them printable.
- Parquet: exact types and nulls, by pyarrow.

The columns of a table or of CSV are known before the first line: the fields that occur in the
selection.
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

import numpy as np

from cmeta.cli.console import is_terminal, print_data, print_note, print_text
from cmeta.cli.errors import reading
from cmeta.cli.rows import RowStream
from cmeta.cli.table import Cells, Column, Table
from cmeta.cli.values import EXACT, JSON, ROUNDED, Style, json_line, json_string, value_texts
from cmeta.extras import require
from cmeta.reader.reader import Reader
from cmeta.records.chunk import Chunk
from cmeta.safe_text import printable, spreadsheet_text
from cmeta.schema.types import Field
from cmeta.tools.imports.native import preamble_of

Write = Callable[[str], None]

# ---------------------------------------------------------------------------------------- table

_ROWS_FOR_WIDTHS = 1000
_COMPONENTS_MAX = 6  # shown of a vector


def write_table(stream: RowStream) -> None:
    """Write a stream of rows as a table."""
    fields = stream.occurring
    columns = [
        Column(title, is_left=bool(field.labels))
        for title, field in zip(short_names(fields), fields, strict=True)
    ]
    table = Table(columns, has_rule=True)
    pages = ([_cells(field, block) for field in fields] for block in stream)
    first_pages = [] if stream.is_live else _first_pages(pages)
    for page in first_pages:
        table.fit(page)
    for page in chain(first_pages, pages):
        if stream.heading and not table.num_rows:
            print_text(f"{stream.heading}:\n")
        table.write(page)
    if table.num_rows and stream.heading:
        print_text("\n")
    if table.num_rows and table.hidden:
        num_columns = len(columns)
        print_note(
            f"{table.num_shown} of {num_columns} columns fit here; choose with --fields, "
            "or pipe into `less -S`"
        )


def _first_pages(pages: Iterator[Cells]) -> list[Cells]:
    """Take pages until they have enough rows to choose the widths."""
    taken: list[Cells] = []
    num_rows = 0
    while num_rows < _ROWS_FOR_WIDTHS and (page := next(pages, None)) is not None:
        taken.append(page)
        num_rows += len(page[0]) if page else 0
    return taken


def short_names(fields: Sequence[Field]) -> list[str]:
    """Return printable names, without the group where that is unique."""
    counts = Counter(field.name for field in fields)
    return [printable(field.name if counts[field.name] == 1 else field.path) for field in fields]


def _cells(field: Field, block: Chunk) -> list[str]:
    if field not in block.columns:
        return [""] * block.num_records
    values, present = block.columns[field]
    if field.num_components:
        num_shown = min(field.num_components, _COMPONENTS_MAX)
        components = [value_texts(field, values[:, i], ROUNDED) for i in range(num_shown)]
        more = " ..." if num_shown < field.num_components else ""
        texts = [f"[{' '.join(vector)}{more}]" for vector in zip(*components, strict=True)]
    else:
        texts = value_texts(field, values, ROUNDED)
    if present is None:
        return texts
    return [text if p else "" for text, p in zip(texts, present.tolist(), strict=True)]


# ----------------------------------------------------------------------------------- JSON lines

Members = list[str | None]  # of one field: '"name":value', or None where it is absent


def write_jsonl(stream: RowStream, write: Write = print_data) -> None:
    """Write a stream of rows as JSON lines."""
    for block in stream:
        members = _members(block)
        if stream.heading:
            members = [[f'"file":{json_string(stream.heading)}'] * block.num_records, *members]
        write("".join(f"{line}\n" for line in _objects(members, block.num_records)))


def write_preamble(reader: Reader, num_records: int | None, write: Write = print_data) -> None:
    """Write the line that makes JSON lines a whole chronicle.

    Parameters
    ----------
    num_records : int or None
        How many records follow; None: not known yet.
    """
    with reading(Path(reader.name)):
        preamble = preamble_of(reader.schema, reader.configs, num_records, reader.status)
    write(json_line(preamble))


def _members(block: Chunk) -> list[Members]:
    """Return the members of the outer objects: each field without a group, and each group."""
    by_group: dict[tuple[str, str], list[Members]] = {}
    for field in block.columns:
        key = ("", field.name) if not field.group else (field.group, "")
        by_group.setdefault(key, []).append(_field_members(field, block))
    return [
        _nested(group, members, block.num_records) if group else members[0]
        for (group, _), members in by_group.items()
    ]


def _field_members(field: Field, block: Chunk) -> Members:
    values, present = block.columns[field]
    if field.num_components:
        components = [value_texts(field, values[:, i], JSON) for i in range(field.num_components)]
        texts = [f"[{','.join(vector)}]" for vector in zip(*components, strict=True)]
    else:
        texts = value_texts(field, values, JSON)
    key = json_string(field.name)
    if present is None:
        return [f"{key}:{text}" for text in texts]
    pairs = zip(texts, present.tolist(), strict=True)
    return [f"{key}:{text}" if p else None for text, p in pairs]


def _nested(name: str, columns: Sequence[Members], num_rows: int) -> Members:
    key = json_string(name)
    return [f"{key}:{inner}" if inner != "{}" else None for inner in _objects(columns, num_rows)]


def _objects(columns: Sequence[Members], num_rows: int) -> list[str]:
    if not columns:
        return ["{}"] * num_rows
    return ["{" + ",".join(filter(None, row)) + "}" for row in zip(*columns, strict=True)]


# ------------------------------------------------------------------------------------------ CSV

_EMPTY_CELL = '""'
_NEEDS_QUOTES = re.compile(r'[",;\t\r\n]')  # a spreadsheet may split at semicolons and tabs


def write_csv(stream: RowStream, write: Write = print_data, *, is_stdout: bool = True) -> None:
    """Write a stream of rows as CSV.

    Parameters
    ----------
    is_stdout : bool
        Whether `write` writes to standard output, which may be a terminal.
    """
    text = printable if is_stdout and is_terminal(sys.stdout) else str
    style = replace(EXACT, label=lambda label: quoted(text(spreadsheet_text(label))))
    fields = stream.occurring
    _write_lines([[style.label(name) for field in fields for name in _csv_names(field)]], write)
    for block in stream:
        columns = [column for field in fields for column in _csv_columns(field, block, style)]
        _write_lines(zip(*columns, strict=True), write)


def quoted(text: str) -> str:
    """Return a cell, in quotes if it needs them (RFC 4180); numbers never do.

    Examples
    --------
    >>> quoted("train"), quoted("train, test")
    ('train', '"train, test"')
    """
    return '"' + text.replace('"', '""') + '"' if _NEEDS_QUOTES.search(text) else text


def _write_lines(rows: Iterable[Iterable[str]], write: Write) -> None:
    # Most readers would skip an empty line, which is what a single empty cell would be.
    write("".join(f"{','.join(row) or _EMPTY_CELL}\n" for row in rows))


def _csv_names(field: Field) -> list[str]:
    if not field.num_components:
        return [field.path]
    return [f"{field.path}[{i}]" for i in range(field.num_components)]


def _csv_columns(field: Field, block: Chunk, style: Style) -> list[list[str]]:
    if field not in block.columns:
        return [[""] * block.num_records] * field.num_columns
    values, present = block.columns[field]
    components = [values[:, i] for i in range(field.num_components)] or [values]
    columns = [value_texts(field, component, style) for component in components]
    if present is None:
        return columns
    mask = present.tolist()
    return [[text if p else "" for text, p in zip(c, mask, strict=True)] for c in columns]


# -------------------------------------------------------------------------------------- Parquet

_MIN_ROW_GROUP = 1 << 16  # rows; small groups are slow to read


def write_parquet(schema: Any, batches: Iterable[Any], file: BinaryIO) -> None:
    """Write Arrow batches as row groups, one of them in memory at a time.

    Parameters
    ----------
    schema : pyarrow.Schema
    batches : iterable of pyarrow.RecordBatch
    file : binary file
    """
    arrow, parquet = require("pyarrow", "arrow"), require("pyarrow.parquet", "arrow")
    portable = arrow.schema(map(_portable, schema), schema.metadata)
    options = {"compression": "zstd", "write_page_checksum": True}
    with parquet.ParquetWriter(file, portable, **options) as writer:
        for group in _row_groups(batches):
            columns = map(_portable_array, arrow.Table.from_batches(group, schema).columns)
            writer.write_table(arrow.Table.from_arrays([*columns], schema=portable))


def _portable(field: Any) -> Any:
    """Return a field with a plain list in place of one of fixed size."""
    if not require("pyarrow.types", "arrow").is_fixed_size_list(field.type):
        return field
    return field.with_type(require("pyarrow", "arrow").list_(field.type.value_field))


def _portable_array(column: Any) -> Any:
    """Return a column with plain lists, empty where null; pyarrow's own cast keeps null vectors.

    Before version 25 it cannot write those.
    """
    arrow = require("pyarrow", "arrow")
    if not require("pyarrow.types", "arrow").is_fixed_size_list(column.type):
        return column
    array = column.combine_chunks()
    present = array.is_valid().to_numpy(zero_copy_only=False)
    offsets = np.concatenate([[0], np.cumsum(present * array.type.list_size)]).astype(np.int32)
    mask = None if present.all() else arrow.array(~present)
    return arrow.ListArray.from_arrays(
        arrow.array(offsets), array.flatten(), arrow.list_(array.type.value_field), mask=mask
    )


def _row_groups(batches: Iterable[Any]) -> Iterator[list[Any]]:
    group: list[Any] = []
    for batch in batches:
        group.append(batch)
        if sum(part.num_rows for part in group) >= _MIN_ROW_GROUP:
            yield group
            group = []
    if group:
        yield group


FORMATS: Mapping[str, Callable[[RowStream], None]] = {
    "table": write_table,
    "jsonl": write_jsonl,
    "csv": write_csv,
}
