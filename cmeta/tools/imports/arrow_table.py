"""Arrow tables of any tool, as the columns of a source.

Numbers keep their type, null is absent, NaN is NaN. Members of a struct get names with slashes;
dates, times and durations become seconds (`cmeta.records.arrow_values`). Decimals and times that no
float64 is are rounded to the nearest one, and that is reported as lost. A column of a type that has
neither numbers nor text nor lists of numbers is noted: no chronicle holds such values.

Importing this module needs pyarrow.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from cmeta.aliases import Array, Mask
from cmeta.errors import counted
from cmeta.extras import require
from cmeta.records.arrow_values import (
    SINCE_1970,
    Numbers,
    is_list,
    is_text,
    numbers_of,
    one_array,
    plain,
    text_of,
)
from cmeta.records.chunk import Column
from cmeta.tools.imports.cells import Cells
from cmeta.tools.imports.columns import SourceTable, column_of

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.types as kinds
else:
    pa = require("pyarrow", "arrow")
    kinds = require("pyarrow.types", "arrow")

_BYTES = ("binary", "large_binary", "fixed_size_binary", "binary_view")


def source_table(table: pa.Table, name: str) -> SourceTable:
    """Return a table as a source of this name."""
    reader = _ColumnReader()
    for path, chunked in zip(table.column_names, table.columns, strict=True):
        reader.read(path, chunked)
    columns = {path: Cells.of_column(column) for path, column in reader.columns.items()}
    return SourceTable(
        name, table.num_rows, columns, lambda row: f"row {row}",
        lost=reader.lost, notes=reader.notes,
    )  # fmt: skip


class _ColumnReader:
    """The columns read so far, and what is to be said of them."""

    def __init__(self) -> None:
        self.columns: dict[str, Column] = {}
        self.lost: list[str] = []
        self.notes: list[str] = []

    def read(self, name: str, chunked: pa.ChunkedArray) -> None:
        """Take a column of a table; of a struct, its members one by one."""
        try:
            for path, array in _flattened(name, one_array(chunked)):
                if path in self.columns:
                    self.lost.append(f"{path}: a second column of this name is left out")
                elif column := self._column(path, array):
                    self.columns[path] = column
        except pa.ArrowException as err:  # a type that this version of pyarrow cannot take apart
            self.lost.append(f"{name}: a column of {chunked.type} cannot be read: {err}")

    def _column(self, path: str, array: pa.Array) -> Column | None:
        kind = array.type
        present: Mask = np.asarray(array.is_valid().to_numpy(zero_copy_only=False))
        if numbers := numbers_of(array):
            self._report(path, array, numbers)
            return Column(_widest(numbers.values, present), present)
        if is_text(kind):
            return Column(_texts(array), present)
        if _is_bytes(kind) or _is_list_of_numbers(kind) or kinds.is_null(kind):
            return Column(column_of(array.to_pylist()).values, present)
        if present.any():
            count = counted(int(present.sum()), "record")
            self.notes.append(f"{path}: {kind} of {count} is not kept")
        return None

    def _report(self, path: str, array: pa.Array, numbers: Numbers) -> None:
        if numbers.meaning not in ("", SINCE_1970):
            self.notes.append(f"{path}: {array.type} is kept in {numbers.meaning}")
        if numbers.rounded.any():
            row, count = int(np.argmax(numbers.rounded)), int(numbers.rounded.sum())
            self.lost.append(
                f"{path}: {array.type} of {counted(count, 'record')} is rounded to float64, such "
                f"as {text_of(array, row)} (row {row})"
            )


def _flattened(name: str, array: pa.Array) -> Iterator[tuple[str, pa.Array]]:
    """Yield an array, or the members of a struct one by one."""
    if not kinds.is_struct(array.type):
        yield name, array
        return
    members = [array.type.field(i).name for i in range(array.type.num_fields)]
    for member, inner in zip(members, array.flatten(), strict=True):
        yield from _flattened(f"{name}/{member}", plain(inner))


def _is_bytes(kind: pa.DataType) -> bool:
    return any(getattr(kinds, f"is_{name}")(kind) for name in _BYTES)


def _is_list_of_numbers(kind: pa.DataType) -> bool:
    if not (is_list(kind) or kinds.is_fixed_size_list(kind)):
        return False
    item = kind.value_type
    return bool(kinds.is_integer(item) or kinds.is_floating(item) or kinds.is_boolean(item))


def _texts(array: pa.Array) -> Array:
    """Return texts as objects, those of a dictionary once each."""
    is_dictionary = kinds.is_dictionary(array.type)
    words = (array.dictionary if is_dictionary else array).to_pylist()
    objects = np.fromiter([*words, None], object, len(words) + 1)
    places = np.arange(len(words))
    if is_dictionary:
        places = array.indices.cast(pa.int64()).fill_null(len(words)).to_numpy(zero_copy_only=False)
    return objects[places]


def _widest(values: Array, present: Mask) -> Array:
    wide = {"f": np.float64, "i": np.int64, "u": np.uint64, "b": np.bool_}
    filled: Array = np.where(present, values, values.dtype.type(0))
    return filled.astype(wide[values.dtype.kind])
