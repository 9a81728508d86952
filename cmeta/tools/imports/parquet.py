"""Parquet of any tool.

`cmeta.tools.imports.arrow_table` says what becomes of the columns. In the files of `cmeta convert`,
schema, configurations and status are in the metadata, and the chronicle comes back as it was.

The checksums of pages are verified. They are optional: `cmeta convert` writes them, most other
tools do not unless they are asked to, so that a file without them is not remarked upon.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cmeta.errors import EncodeError
from cmeta.extras import require
from cmeta.records.columns import Columns
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
    from cmeta.tools.imports.arrow_table import source_table

    try:
        with parquet.ParquetFile(source, page_checksum_verification=True) as file:
            table = _read_columns(file)
        table.validate(full=True)
    except (arrow.ArrowException, OSError, UnicodeDecodeError) as err:
        raise EncodeError(f"{source}: not Parquet, or damaged: {err}") from err
    options.progress(*[source.stat().st_size] * 2)
    if _SCHEMA_KEY in (table.schema.metadata or {}):
        return _read_native(table, source, options)
    return infer(source_table(table, str(source)), options)


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
    masked = {name: columns.masked(name) for name in columns}
    return Imported(
        masked, columns.schema, columns.configs, is_schema_stated=True, status=columns.status
    )
