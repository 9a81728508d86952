"""Wide tables: a batch has a limited number of columns, and each of them a cell for each record.

Where nearly all cells of the batches would be absent, the batches are made shorter, so that neither
memory nor time is spent on them.

The fields of the schema come first, then the metrics in the order of the source. A metric that does
not fit into every batch that has a value of it is left out whole, and reported as lost.
"""

from __future__ import annotations

import numpy as np

from cmeta.errors import counted
from cmeta.schema.schema import Schema
from cmeta.schema.types import Field
from cmeta.tools.imports.cells import Cells
from cmeta.tools.imports.formats import listed

_COLUMN = 1000  # cells that take as long as what each column takes besides
_CELLS_FREE, _CELLS_A_VALUE = 1 << 17, 32


def with_short_batches(
    columns: dict[Field, Cells], schema: Schema, num_records: int
) -> tuple[Schema, tuple[str, ...]]:
    """Return a schema with the size of batch that costs least if nearly all cells are absent.

    Parameters
    ----------
    columns : dict of Field to Cells
        In the order in which the records will be written.
    schema : Schema
    num_records : int

    Returns
    -------
    schema : Schema
    notes : tuple of str
    """

    def num_columns(size: int) -> int:
        return sum(_num_batches(cells, size, num_records) for cells in columns.values())

    def cost(size: int) -> int:
        return num_columns(size) * (min(size, num_records) + _COLUMN)

    least, size = schema.format.limits.batch_records_min, schema.batch_records
    num_values = sum(len(cells.values) for cells in columns.values())
    num_cells = num_columns(size) * min(size, num_records)
    if num_cells <= max(_CELLS_FREE, _CELLS_A_VALUE * num_values):
        return schema, ()
    sizes = [size >> i for i in range(size.bit_length()) if size >> i >= least]
    best = min(sizes, key=cost)
    if best == size:
        return schema, ()
    note = f"batches have {best:,} records, because nearly all values of {size:,} would be absent"
    return schema.with_batch_records(best), (note,)


def _num_batches(cells: Cells, size: int, num_records: int) -> int:
    """Return how many batches a column is in."""
    if cells.rows is None:
        return -(-num_records // size)
    return 1 + int(np.count_nonzero(np.diff(cells.rows // size))) if len(cells.rows) else 0


def fitting(
    columns: dict[Field, Cells], schema: Schema, num_records: int
) -> tuple[dict[Field, Cells], tuple[str, ...]]:
    """Return the columns that fit, and the sentence about those that do not.

    Parameters
    ----------
    columns : dict of Field to Cells
        In the order in which the records will be written.
    schema : Schema
        All of its fields count in every batch.
    num_records : int
    """
    limits, size = schema.format.limits, max(min(schema.batch_records, num_records), 1)
    num_max = min(limits.columns_max, limits.cells_max // size)
    room = num_max - schema.num_columns
    if sum(not field.declared for field in columns) <= room:
        return columns, ()
    num_used = np.zeros(-(-num_records // size), np.int64)  # columns of each batch
    kept, names = {}, []
    for field, cells in columns.items():
        batches = slice(None) if cells.rows is None else np.unique(cells.rows // size)
        if not field.declared and (num_used[batches] >= room).any():
            names.append(field.name)
            continue
        kept[field] = cells
        num_used[batches] += not field.declared
    if not names:
        return columns, ()
    sentence = (
        f"{counted(len(names), 'metric')} beyond the {num_max:,} columns of a batch, those that "
        f"come first being kept: {listed(names)}"
    )
    return kept, (sentence,)
