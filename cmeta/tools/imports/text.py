"""What the formats of lines share: finding out what a file is, and turning a table into columns."""

from __future__ import annotations

from pathlib import Path

from cmeta.tools.imports.infer import import_foreign
from cmeta.tools.imports.model import Imported, ImportOptions
from cmeta.tools.imports.native import import_stated
from cmeta.tools.imports.tables import RawTable

_LEN_HEAD = 1 << 16
_BOM = b"\xef\xbb\xbf"


def imported_of(table: RawTable, options: ImportOptions) -> Imported:
    """Return a table as columns: as it stands if cmeta wrote it whole, else as names tell."""
    if table.preamble is not None:
        return import_stated(table, table.preamble, options)
    return import_foreign(table, options)


def head_of(path: Path) -> tuple[bytes, bool]:
    """Return how a file begins, without what may stand before its text, and whether that is all."""
    if not path.is_file():
        return b"", True
    with path.open("rb") as file:
        head = file.read(_LEN_HEAD)
        return head.removeprefix(_BOM).lstrip(), not file.read(1)
