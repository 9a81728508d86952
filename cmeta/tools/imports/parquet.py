"""Parquet of any tool.

Numbers keep their type, null is absent, NaN is NaN. Members of a struct get names with slashes;
dates and times become seconds since 1970. In the files of `cmeta convert`, schema and
configurations are in the metadata, and the chronicle comes back as it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cmeta.aliases import Array
from cmeta.errors import EncodeError
from cmeta.extras import require
from cmeta.records.chunk import Column
from cmeta.records.columns import Columns
from cmeta.tools.imports.columns import SourceTable, column_of
from cmeta.tools.imports.formats import Imported, ImportOptions
from cmeta.tools.imports.infer import infer

_MAGIC = b"PAR1"
_SCHEMA_KEY = b"cmeta.schema"


def looks_like(path: Path) -> bool:
    """Return whether a file begins with Parquet's signature."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def read(source: Path, options: ImportOptions) -> Imported:
    """Read a Parquet file.

    Raises
    ------
    EncodeError
        The file is damaged.
    MissingExtraError
        pyarrow is not installed.
    """
    arrow, parquet = require("pyarrow", "arrow"), require("pyarrow.parquet", "arrow")
    try:
        with parquet.ParquetFile(source) as file:
            table = file.read()
    except (arrow.ArrowException, OSError) as err:
        raise EncodeError(f"{source}: not Parquet, or damaged: {err}") from err
    options.progress(*[source.stat().st_size] * 2)
    if _SCHEMA_KEY in (table.schema.metadata or {}):
        return _read_native(table, source, options)
    return infer(_source_table(table, source), options)


def _read_native(table: Any, source: Path, options: ImportOptions) -> Imported:
    """Return a table of `cmeta convert` as the chronicle that it was."""
    try:
        columns = Columns.from_arrow(table, options.schema, codes=True)
    except EncodeError as err:
        raise EncodeError(f"{source}: {err}") from err
    masked = {name: columns.masked(name) for name in columns}
    return Imported(masked, columns.schema, columns.configs, is_schema_stated=True)


def _source_table(table: Any, source: Path) -> SourceTable:
    columns: dict[str, Column] = {}
    lost = []
    for name, chunked in zip(table.column_names, table.columns, strict=True):
        for path, array in _flattened(name, chunked.combine_chunks()):
            if path in columns:
                lost.append(f"{path}: a second column of this name is left out")
            else:
                columns[path] = _column(array)
    return SourceTable(str(source), table.num_rows, columns, lambda row: f"row {row}", lost=lost)


def _flattened(name: str, array: Any) -> Iterator[tuple[str, Any]]:
    """Yield an array, or the members of a struct one by one."""
    types = require("pyarrow.types", "arrow")
    if not types.is_struct(array.type):
        yield name, array
        return
    members = [array.type.field(i).name for i in range(array.type.num_fields)]
    for member, inner in zip(members, array.flatten(), strict=True):
        yield from _flattened(f"{name}/{member}", inner)


def _column(array: Any) -> Column:
    types = require("pyarrow.types", "arrow")
    present: Array = np.asarray(array.is_valid().to_numpy(zero_copy_only=False))
    kind = array.type
    if types.is_dictionary(kind):
        return _column(array.cast(kind.value_type))
    if types.is_timestamp(kind) or types.is_date(kind):
        return Column(_seconds(array), present)
    if types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind):
        filled = array.fill_null(False if types.is_boolean(kind) else 0)
        return Column(_widest(filled.to_numpy(zero_copy_only=False)), present)
    return Column(column_of(array.to_pylist()).values, present)


def _widest(values: Array) -> Array:
    wide = {"f": np.float64, "i": np.int64, "u": np.uint64, "b": np.bool_}
    return values.astype(wide[values.dtype.kind])


def _seconds(array: Any) -> Array:
    """Return times as seconds since 1970, float64."""
    arrow = require("pyarrow", "arrow")
    nanoseconds = array.cast(arrow.timestamp("ns"), safe=False).cast(arrow.int64()).fill_null(0)
    whole = nanoseconds.to_numpy(zero_copy_only=False)
    return np.asarray(whole // 10**9 + (whole % 10**9) / 1e9)
