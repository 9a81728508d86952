"""Parquet of any tool.

`cmeta.tools.imports.arrow_table` says what becomes of the columns. In the files of `cmeta convert`,
schema, configurations and status are in the metadata, and the chronicle comes back as it was.

The metadata says how many values there are before any is read: a file of a few kilobytes may state
billions of them, all equal. Texts are read as dictionaries, each of them once.

The checksums of pages are verified. They are optional: `cmeta convert` writes them, most other
tools do not unless they are asked to, so that a file without them is not remarked upon.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cmeta.errors import EncodeError
from cmeta.extras import require
from cmeta.records.columns import Columns
from cmeta.source import regular_file
from cmeta.tools.imports.cells import Cells
from cmeta.tools.imports.formats import Imported, ImportOptions
from cmeta.tools.imports.infer import infer

_MAGIC = b"PAR1"
_SCHEMA_KEY = b"cmeta.schema"
_VALUES_FREE, _VALUES_A_BYTE = 1 << 24, 16  # any file may have the first number of values


def looks_like(path: Path) -> bool:
    """Return whether a file begins with Parquet's signature."""
    if not path.is_file():
        return False
    with open(path, "rb", opener=regular_file) as file:
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
    from cmeta.tools.imports.arrow_table import source_table

    try:
        with parquet.ParquetFile(source) as file:
            _require_size(file.metadata, source)
            texts = _texts_of(file.metadata)
        with parquet.ParquetFile(
            source, page_checksum_verification=True, read_dictionary=texts
        ) as file:
            table = _read_columns(file)
        table.validate(full=True)
    except UnicodeDecodeError as err:
        raise EncodeError(f"{source}: the name of a column is not UTF-8: {err}") from err
    except (arrow.ArrowException, OSError) as err:
        raise EncodeError(f"{source}: not Parquet, or damaged: {err}") from err
    options.progress(*[source.stat().st_size] * 2)
    if _SCHEMA_KEY in (table.schema.metadata or {}):
        return _read_native(table, source, options)
    return infer(source_table(table, str(source)), options)


def _require_size(metadata: Any, source: Path) -> None:
    """Raise if a file has far more values than bytes.

    Raises
    ------
    EncodeError
    """
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    num_values = sum(group.num_rows * group.num_columns for group in groups)
    num_values += sum(_num_listed(group) for group in groups)
    size = source.stat().st_size
    most = max(_VALUES_FREE, _VALUES_A_BYTE * size)
    if num_values > most:
        raise EncodeError(
            f"{source}: found {num_values:,} values in {size:,} bytes, expected at most {most:,}; "
            "import the file in parts, or write its columns that never change as configuration"
        )


def _num_listed(group: Any) -> int:
    """Return how many more values than rows the lists of a row group have."""
    columns = (group.column(i) for i in range(group.num_columns))
    return sum(max(column.num_values - group.num_rows, 0) for column in columns)


def _texts_of(metadata: Any) -> list[str]:
    """Return the columns of text, outside of lists and structs."""
    columns = (metadata.schema.column(i) for i in range(metadata.num_columns))
    return [
        column.path
        for column in columns
        if column.physical_type == "BYTE_ARRAY"
        and column.path == column.name
        and column.logical_type.type in ("STRING", "NONE")
    ]


def _read_columns(file: Any) -> Any:
    """Return a file as a table; an error names the column that it comes from."""
    arrow = require("pyarrow", "arrow")
    try:
        return file.read()
    except (arrow.ArrowException, OSError):
        for name in file.schema_arrow.names:
            try:
                file.read(columns=[name])
            except (arrow.ArrowException, OSError) as err:
                message = f"column {name!r}: {err} (pyarrow {arrow.__version__})"
                raise arrow.ArrowInvalid(message) from err
        raise


def _read_native(table: Any, source: Path, options: ImportOptions) -> Imported:
    """Return a table of `cmeta convert` as the chronicle that it was."""
    try:
        columns = Columns.from_arrow(table, options.schema, codes=True)
    except EncodeError as err:
        raise EncodeError(f"{source}: {err}") from err
    cells = {name: Cells.of_masked(columns.masked(name)) for name in columns}
    return Imported(
        cells, columns.schema, columns.configs, is_schema_stated=True, status=columns.status
    )
