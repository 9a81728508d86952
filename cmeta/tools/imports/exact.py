"""Keeping floats as they are: which declared fields a schema must make exact for that.

A declared float is fixed point, or float32, or both. An import is no place to round anything: a
field whose values would come back as others is declared exact instead, as float32 where that holds
all of them and as float64 where not. A schema that was stated stays as it is; then what it rounds
is said.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from cmeta.aliases import Array, Mask
from cmeta.format.stages import fixed_point
from cmeta.records.chunk import Column
from cmeta.records.convert import as_array
from cmeta.schema.schema import Schema
from cmeta.schema.types import Field


@dataclass(frozen=True)
class Settled:
    """A schema that keeps the floats of an import, and what was done for it.

    Attributes
    ----------
    schema : Schema
    lost, notes : tuple of str
        As `Imported` has them.
    """

    schema: Schema
    lost: tuple[str, ...]
    notes: tuple[str, ...]


def wide_column(value: Any, field: Field) -> Column:
    """Return a column as a user may give it, a declared float as float64: nothing is rounded yet.

    Raises
    ------
    EncodeError
    """
    wide = dataclasses.replace(field, type="f64", quanta_per_unit=0) if field.is_float else field
    return as_array(value, wide)


def settle(columns: dict[Field, Column], schema: Schema, *, is_stated: bool) -> Settled:
    """Return a schema that keeps all floats bit for bit, unless it was stated.

    Parameters
    ----------
    columns : dict of Field to Column
        Floats as float64.
    schema : Schema
    is_stated : bool
        Whether the schema must stay as it is.

    Examples
    --------
    >>> from cmeta.schema import default_schema
    >>> field = default_schema()["loss_value"]
    >>> given = {field: wide_column([0.1, 0.2], field)}
    >>> settle(given, default_schema(), is_stated=False).schema["loss_value"].type_name
    'f64'
    """
    lost, notes = [], []
    for field, column in columns.items():
        if not (field.is_float and field.declared):
            continue
        given = column.recorded().astype(np.float64)
        changed = ~same_bits(given, stored(given, field))
        if not changed.any():
            continue
        if is_stated:
            lost.append(_rounded(field, given[changed], stored(given[changed], field)))
            continue
        schema = schema.with_options(field.path, **_options(given, field))
        notes.append(
            f"{field.path} is declared {schema[field.path].type_name} exact: "
            f"{counted(int(changed.sum()), 'value')} would otherwise have been rounded"
        )
    return Settled(schema, tuple(lost), tuple(notes))


def stored(values: Array, field: Field) -> Array:
    """Return what a declared float field gives back for these values.

    Parameters
    ----------
    values : float64 array, (...)

    Returns
    -------
    float64 array, (...)
    """
    dtype = field.dtype.newbyteorder("=")
    with np.errstate(over="ignore", invalid="ignore"):
        typed = values.astype(dtype)
    if field.quanta_per_unit:
        finite = np.isfinite(typed)
        bits = _product_bits()
        quanta = fixed_point.encode(typed[finite], field.quanta_per_unit, bits)
        typed[finite] = fixed_point.decode(quanta, dtype, field.quanta_per_unit, bits)
    return typed.astype(np.float64)


def same_bits(first: Array, second: Array) -> Mask:
    """Return where two arrays of float64 hold the same; all NaNs are one, 0.0 is not -0.0."""
    same: Mask = first.view(np.int64) == second.view(np.int64)
    return same | (np.isnan(first) & np.isnan(second))


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
    found = ~np.isfinite(values)
    found[steps] = np.rint(values[steps] * _STEPS) / _STEPS == values[steps]
    for place in np.flatnonzero(~found).tolist():
        found.flat[place] = float(str(narrow.flat[place])) == values.flat[place]
    return found


def as_printed(values: Array, present: Mask, field: Field) -> Array:
    """Return decimals as float32s if they are what cmeta prints for the values of such a field.

    Any others stay float64, so that what a field would make of them is noticed.
    """
    if field.type != "f32" or values.dtype != np.float64:
        return values
    there = values[present]
    if not is_shortest(there).all():
        return values
    with np.errstate(over="ignore", invalid="ignore"):
        narrow = values.astype(np.float32)
    same = same_bits(stored(there, field), narrow[present].astype(np.float64))
    return narrow if same.all() else values


def counted(count: int, what: str) -> str:
    """Return a count with its noun.

    Examples
    --------
    >>> counted(1, "value"), counted(2000, "value")
    ('1 value', '2,000 values')
    """
    return f"{count:,} {what}{'' if count == 1 else 's'}"


# Below 16 neighbours of float32 are less than 1e-6 apart, so that no shorter decimal than a
# multiple of 1e-6 is another's.
_STEPS, _ONE_STEP_BELOW = 1e6, 16.0


def _product_bits() -> int:
    from cmeta.schema.load import shipped_format

    return shipped_format().codecs.quantise.product_bits


def _options(given: Array, field: Field) -> dict[str, Any]:
    with np.errstate(over="ignore", invalid="ignore"):
        is_narrow = bool(same_bits(given, given.astype(np.float32).astype(np.float64)).all())
    scalar = "f32" if is_narrow and field.type == "f32" else "f64"
    size = f"[{field.num_components}]" if field.num_components else ""
    return {"type": f"{scalar}{size}", "exact": True}


def _rounded(field: Field, given: Array, kept: Array) -> str:
    far = np.abs(np.nan_to_num(kept - given, nan=0.0, posinf=np.inf)).argmax()
    return (
        f"{field.path}: {counted(len(given), 'value')} rounded, as the schema says; the furthest "
        f"from {given.flat[far]:.9g} to {kept.flat[far]:.9g}"
    )
