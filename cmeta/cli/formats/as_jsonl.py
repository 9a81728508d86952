"""JSON lines: one object a record, nested as the schema nests it.

What is absent is left out; an enumeration is the name of its value, a configuration its number.
In full, a line before them holds schema and configurations, which makes the lines a whole chronicle
again (`cmeta.importer.tables.preamble`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from cmeta.cli.console import emit_data
from cmeta.cli.errors import reading
from cmeta.cli.rows import RowBlock, RowStream
from cmeta.cli.values import JSON, json_line, json_string, texts
from cmeta.importer.tables.preamble import preamble_of
from cmeta.reader import Reader
from cmeta.schema import Field

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
