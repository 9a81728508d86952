"""Tables wider than a chronicle: a batch has a limited number of columns.

The fields of the schema come first, then the metrics in the order of the source. A metric that does
not fit into every batch that has a value of it is left out whole, and reported as lost.
"""

from __future__ import annotations

import numpy as np

from cmeta.errors import counted
from cmeta.records.chunk import Column
from cmeta.schema.schema import Schema
from cmeta.schema.types import Field
from cmeta.tools.imports.scalar_log import listed


def fitting(
    columns: dict[Field, Column], schema: Schema, num_records: int
) -> tuple[dict[Field, Column], tuple[str, ...]]:
    """Return the columns that fit, and the sentence about those that do not.

    Parameters
    ----------
    columns : dict of Field to Column
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
    starts = np.arange(0, num_records, size)
    num_used = np.zeros(len(starts), np.int64)
    kept, names = {}, []
    for field, column in columns.items():
        is_used = np.logical_or.reduceat(column.mask(), starts)
        if not field.declared and (num_used[is_used] >= room).any():
            names.append(field.name)
            continue
        kept[field] = column
        num_used += 0 if field.declared else is_used
    if not names:
        return columns, ()
    sentence = (
        f"{counted(len(names), 'metric')} beyond the {num_max:,} columns of a batch, those that "
        f"come first being kept: {listed(names)}"
    )
    return kept, (sentence,)
