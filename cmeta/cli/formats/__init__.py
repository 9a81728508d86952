"""Rows as lines: one file a format. A format is a function that writes a `RowStream` to stdout and
leaves its problems to the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cmeta.cli.formats.as_csv import write_csv
from cmeta.cli.formats.as_jsonl import write_jsonl
from cmeta.cli.formats.as_table import write_table
from cmeta.cli.rows import RowStream

FORMATS: Mapping[str, Callable[[RowStream], None]] = {
    "table": write_table,
    "jsonl": write_jsonl,
    "csv": write_csv,
}

__all__ = ["FORMATS"]
