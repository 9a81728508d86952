"""Tables that cmeta itself wrote whole: schema and configurations came along, so every name and
every value must fit, and what does not is an error that names the line.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cmeta.errors import EncodeError
from cmeta.schema.schema import Schema
from cmeta.schema.types import Field
from cmeta.tools.imports.exact import as_printed
from cmeta.tools.imports.model import Imported, ImportOptions
from cmeta.tools.imports.tables import Misfit, Preamble, RawColumn, RawTable, as_field


def import_stated(table: RawTable, preamble: Preamble, options: ImportOptions) -> Imported:
    """Return a table as the chronicle that it was.

    Raises
    ------
    EncodeError
        A name or value that the schema does not take, or records that are missing.
    """
    expected = preamble.num_records
    if expected not in (None, table.num_records):
        raise EncodeError(
            f"{table.name}: found {table.num_records:,} records, but its first line says "
            f"{expected:,}: it is not complete; export it again, or remove num_records to import "
            "what is there"
        )
    schema = options.schema or preamble.schema
    for name in table.columns:
        _require_known(name, schema, table)
    columns = {
        name: as_masked(column, _values(table, name, column, schema, len(preamble.configs)))
        for name, column in table.columns.items()
    }
    if not table.num_records:
        columns = {"phase": np.zeros(0, np.uint8)}
    notes = (*table.notes, *preamble.notes)
    return Imported(columns, schema, preamble.configs, tuple(table.lost), notes, (), True)


def as_masked(column: RawColumn, values: Any) -> Any:
    """Return values as a masked array, masked where the column is absent."""
    if column.present.all():
        return values
    absent = ~column.present
    mask = absent if values.ndim == 1 else np.repeat(absent[:, None], values.shape[1], 1)
    return np.ma.MaskedArray(values, mask)


def _values(table: RawTable, name: str, column: RawColumn, schema: Schema, num_configs: int) -> Any:
    field = schema.field(name)
    try:
        values = as_field(column, field)
        if field.type == "config":
            _require_configs(values, column, num_configs)
        return as_printed(values, column.present, field) if table.is_text else values
    except Misfit as misfit:
        raise _misfit_error(table, name, field, misfit) from None


def _require_known(name: str, schema: Schema, table: RawTable) -> None:
    try:
        schema.field(name)
    except EncodeError as err:
        raise EncodeError(f"{table.name}: {err}") from err


def _require_configs(values: Any, column: RawColumn, num_configs: int) -> None:
    bad = column.present & (values >= num_configs)
    if bad.any():
        row = int(np.argmax(bad))
        raise Misfit(row, f"configuration {values[row]} of {num_configs}")


def _misfit_error(table: RawTable, name: str, field: Field, misfit: Misfit) -> EncodeError:
    where = table.where(misfit.row)
    expected = "one of: " + ", ".join(field.labels) if field.labels else field.type_name
    return EncodeError(
        f"{table.name}, {where}, {name}: found {misfit.found!r:.80}, expected {expected}"
    )
