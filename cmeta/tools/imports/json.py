"""A history in one JSON document, as Keras and pandas give it.

- Lists by name: ``json.dump(history.history, file)``; or the whole History with its ``epoch`` and
  ``params``, which become the field and the configuration.
- Objects by name whose keys count the rows: ``frame.to_json()``.
- A list of objects, one for each record: ``frame.to_json(orient="records")``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cmeta.errors import EncodeError
from cmeta.records import strict_json
from cmeta.schema.schema import default_schema
from cmeta.tools.imports.bounded import load_json
from cmeta.tools.imports.columns import SourceTable, TableBuilder
from cmeta.tools.imports.formats import Imported, ImportOptions, text_head
from cmeta.tools.imports.infer import infer
from cmeta.tools.imports.jsonl import Flatten, NoRecordError
from cmeta.tools.imports.scalar_log import EPOCH

_HISTORY, _PARAMS = "history", "params"
_NAME = rb'"(?:[^"\\]|\\.)*"'
# How a document begins that is too long to be looked at whole.
_BEGINS = re.compile(
    rb'\[\s*\{|\{\s*(?:"history"\s*:\s*\{|' + _NAME + rb'\s*:\s*(?:\[|\{\s*"0"\s*:))'
)


def looks_like(path: Path) -> bool:
    """Return whether a file is one JSON document with a history."""
    head, is_all = text_head(path)
    if head[:1] not in (b"{", b"["):
        return False
    if not is_all:
        first, newline, _ = head.partition(b"\n")
        return bool(_BEGINS.match(head)) and not (newline and _is_json(first))
    try:
        return _table_of(strict_json.loads(head)) is not None
    except (ValueError, NoRecordError):
        return False


def read(source: Path, options: ImportOptions) -> Imported:
    """Read a history.

    Raises
    ------
    EncodeError
        The file is not JSON, or no history; names line and column.
    """
    document = load_json(source)
    options.progress(*[source.stat().st_size] * 2)
    try:
        table = _table_of(document)
    except NoRecordError as err:
        raise EncodeError(f"{source}: {err}") from err
    if table is None:
        raise EncodeError(
            f"{source}: found JSON of another kind, expected lists of numbers by name, as in "
            "`history.history` of Keras, or a list of objects"
        )
    builder, config = table
    columns = builder.finish()
    found = SourceTable(
        str(source), builder.num_records, columns, "entry {}".format, is_text=True,
        lost=builder.lost(), config=config,
    )  # fmt: skip
    return infer(found, options)


def _is_json(line: bytes) -> bool:
    try:
        strict_json.loads(line)
    except ValueError:
        return False
    return True


def _table_of(document: Any) -> tuple[TableBuilder, Mapping[str, Any]] | None:
    """Return the table of a document and its configuration, or None if it is no history."""
    builder = TableBuilder()
    if isinstance(document, list):
        if not document or not all(isinstance(row, dict) for row in document):
            return None
        flatten = Flatten(default_schema())
        for row in document:
            builder.add_row(flatten(row))
        return builder, {}
    if not isinstance(document, dict):
        return None
    history, config = document, {}
    if isinstance(document.get(_HISTORY), dict):
        history, params = dict(document[_HISTORY]), document.get(_PARAMS)
        config = params if isinstance(params, dict) else {}
        if isinstance(document.get(EPOCH), list):
            history = {EPOCH: document[EPOCH], **history}
    lists = {name: cells for name, value in history.items() if (cells := _cells(value)) is not None}
    if not lists or len(lists) < len(history) or len({*map(len, lists.values())}) > 1:
        return None
    if any(isinstance(cell, list | dict) for cells in lists.values() for cell in cells):
        return None
    builder.add_block(lists, len(next(iter(lists.values()))))
    return builder, config


def _cells(value: Any) -> list[Any] | None:
    """Return a list, or the values of an object whose keys are 0, 1, 2, ..."""
    if isinstance(value, dict):
        return list(value.values()) if [*value] == [*map(str, range(len(value)))] else None
    return value if isinstance(value, list) else None
