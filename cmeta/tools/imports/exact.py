"""Keeping floats exact: the declared fields that a schema must make exact for an import.

A declared float is fixed point, or float32, or both. An import does not round: a field whose values
would come back changed is declared exact instead, as float32 if that holds all of them and as
float64 otherwise. A schema that came from the source or the user stays as it is; the values that it
rounds are then reported.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cmeta.aliases import Array, Mask
from cmeta.errors import counted
from cmeta.format.column import as_stored
from cmeta.records.arrays import as_array
from cmeta.records.chunk import Column
from cmeta.schema.schema import Schema
from cmeta.schema.types import Field
from cmeta.tools.imports.cells import Cells

# Below 16, neighbours of float32 are less than 1e-6 apart, so that a multiple of 1e-6 is the
# shortest decimal of its nearest float32.
_STEPS, _ONE_STEP_BELOW = 1e6, 16.0


@dataclass(frozen=True)
class ExactSchema:
    """A schema that keeps the floats of an import, and the changes made for that.

    Attributes
    ----------
    schema : Schema
    lost, notes : tuple of str
        As in `Imported`.
    """

    schema: Schema
    lost: tuple[str, ...]
    notes: tuple[str, ...]


def wide_column(value: Any, field: Field) -> Column:
    """Return a column from a user's values, a declared float as float64: not yet rounded.

    Raises
    ------
    EncodeError
    """
    wide = dataclasses.replace(field, type="f64", quanta_per_unit=0) if field.is_float else field
    return as_array(value, wide)


def make_exact(
    columns: Mapping[Field, Column | Cells], schema: Schema, *, is_stated: bool
) -> ExactSchema:
    """Return a schema that keeps all floats bit for bit, unless the schema is fixed.

    Parameters
    ----------
    columns : mapping of Field to Column or Cells
        Floats as float64.
    schema : Schema
    is_stated : bool
        Whether the schema must stay as it is.

    Examples
    --------
    >>> from cmeta.schema import default_schema
    >>> field = default_schema()["loss_value"]
    >>> columns = {field: wide_column([0.1, 0.2], field)}
    >>> make_exact(columns, default_schema(), is_stated=False).schema["loss_value"].type_name
    'f64'
    """
    lost, notes = [], []
    for field, column in columns.items():
        if not (field.is_float and field.declared):
            continue
        given = column.recorded().astype(np.float64)
        kept = as_stored_float64(given, field)
        changed = ~same_bits(given, kept)
        if not changed.any():
            continue
        if is_stated:
            lost.append(_rounded(field, given[changed], kept[changed]))
            continue
        schema = schema.with_options(field.path, **_options(given, field))
        notes.append(
            f"{field.path} is declared {schema[field.path].type_name} exact: "
            f"{counted(int(changed.sum()), 'value')} would otherwise have been rounded"
        )
    return ExactSchema(schema, tuple(lost), tuple(notes))


def _options(given: Array, field: Field) -> dict[str, Any]:
    """Return the options that make a field exact for some values."""
    with np.errstate(over="ignore", invalid="ignore"):
        is_narrow = bool(same_bits(given, given.astype(np.float32).astype(np.float64)).all())
    scalar = "f32" if is_narrow and field.type == "f32" else "f64"
    size = f"[{field.num_components}]" if field.num_components else ""
    return {"type": f"{scalar}{size}", "exact": True}


def _rounded(field: Field, given: Array, kept: Array) -> str:
    worst = np.abs(np.nan_to_num(kept - given, nan=0.0, posinf=np.inf)).argmax()
    return (
        f"{field.path}: {counted(len(given), 'value')} rounded, as the schema requires; the "
        f"largest change is from {given.flat[worst]:.9g} to {kept.flat[worst]:.9g}"
    )


def as_stored_float64(values: Array, field: Field) -> Array:
    """Return the values that a declared float field gives back for float64s, as float64."""
    with np.errstate(over="ignore", invalid="ignore"):
        typed = values.astype(field.dtype.newbyteorder("="))
        return as_stored(Column(typed, None), field).values.astype(np.float64)


def same_bits(first: Array, second: Array) -> Mask:
    """Return where two arrays of float64 hold equal bits; all NaNs count as equal."""
    same: Mask = first.view(np.int64) == second.view(np.int64)
    return same | (np.isnan(first) & np.isnan(second))


def as_printed(values: Array, present: Mask, field: Field) -> Array:
    """Return decimals as float32s if they are those that cmeta prints for such a field.

    Any others stay float64, so that rounding by the field is detected.
    """
    if field.type != "f32" or values.dtype != np.float64:
        return values
    used = values[present]
    if not is_shortest(used).all():
        return values
    with np.errstate(over="ignore", invalid="ignore"):
        narrow = values.astype(np.float32)
    is_same = same_bits(as_stored_float64(used, field), narrow[present].astype(np.float64))
    return narrow if is_same.all() else values


def is_shortest(values: Array) -> Mask:
    """Return which float64s are those of the shortest decimals of their nearest float32.

    Examples
    --------
    >>> is_shortest(np.array([0.1, 0.5, 1 / 3, np.nan])).tolist()
    [True, True, False, True]
    """
    with np.errstate(over="ignore", invalid="ignore"):
        narrow = values.astype(np.float32)
    steps = np.isfinite(values) & (np.abs(values) < _ONE_STEP_BELOW)
    shortest = ~np.isfinite(values)
    shortest[steps] = np.rint(values[steps] * _STEPS) / _STEPS == values[steps]
    for place in np.flatnonzero(~shortest).tolist():
        shortest.flat[place] = float(str(narrow.flat[place])) == values.flat[place]
    return shortest
