"""Columns that no field is meant by, as metrics: a number for each record, exactly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from cmeta.chunk import Array, Mask
from cmeta.importer.exact import counted
from cmeta.importer.tables.raw import FLOAT_SAFE, RawColumn, as_raw
from cmeta.importer.tables.typed import numbers

_KINDS = {str: "text", list: "list", dict: "object", bytes: "bytes", bool: "boolean"}


@dataclass(frozen=True)
class Metric:
    """What a column is as a metric.

    Attributes
    ----------
    values : array, (n_records,), or None
        None: nothing of it can be kept.
    present : bool array, (n_records,)
    type : str
        ``f64``, or the type of integers that a float64 cannot hold.
    lost, notes : tuple of str
    """

    values: Array | None
    present: Mask
    type: str = "f64"
    lost: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def as_metric(name: str, column: RawColumn, where: Callable[[int], str]) -> Metric:
    """Return what a column is as a metric.

    Examples
    --------
    >>> found = as_metric("note", as_raw(["warm-up", 1.5]), "line {}".format)
    >>> found.values.tolist(), found.lost
    ([0.0, 1.5], ("note: text of 1 record is not kept, such as 'warm-up' (line 0)",))
    """
    column = numbers(column)
    if column.values.ndim == 2:
        return _without(name, column, column.present, "list", where)
    if column.values.dtype == object:
        return _of_objects(name, column, where)
    kind = column.values.dtype.kind
    if kind == "b":
        notes = (f"{name}: true and false are kept as 1 and 0",)
        return Metric(column.values.astype(np.float64), column.present, notes=notes)
    if kind == "f":
        return Metric(column.values.astype(np.float64), column.present)
    there = column.values[column.present]
    is_safe = not there.size or (int(there.min()) >= -FLOAT_SAFE and int(there.max()) <= FLOAT_SAFE)
    if is_safe:
        return Metric(np.where(column.present, column.values, 0).astype(np.float64), column.present)
    type_ = "i64" if kind == "i" else "u64"
    notes = (f"{name} is declared {type_}: it has integers beyond 2^53",)
    return Metric(column.values.astype(type_.replace("64", "8")), column.present, type_, (), notes)


def _of_objects(name: str, column: RawColumn, where: Callable[[int], str]) -> Metric:
    """Keep the numbers among other things."""
    lost: list[str] = []
    left = column.present.copy()
    for kind, word in _KINDS.items():
        found = np.array([type(value) is kind for value in column.values], bool) & column.present
        if kind is not bool and found.any():
            lost += _without(name, column, found, word, where).lost
            left &= ~found
    if not left.any():
        return Metric(None, left, lost=tuple(lost))
    there = zip(column.values, left.tolist(), strict=True)
    kept: list[Any] = [value if is_there else None for value, is_there in there]
    plain = as_raw([int(value) if isinstance(value, bool) else value for value in kept])
    if plain.values.dtype != object:
        found_ = as_metric(name, plain, where)
        return Metric(found_.values, left, found_.type, (*lost, *found_.lost), found_.notes)
    return _rounded(name, kept, left, lost, where)


def _rounded(
    name: str, kept: list[Any], left: Mask, lost: list[str], where: Callable[[int], str]
) -> Metric:
    """Keep what float64 holds of integers that no one type does."""
    bad = np.array([type(v) is int and not _is_float(v) for v in kept], bool)
    sentence = _sentence(name, kept, bad, "an integer that no 64 bits hold with the others", where)
    fine = left & ~bad
    values = np.array([float(v) if ok else 0.0 for v, ok in zip(kept, fine.tolist(), strict=True)])
    return Metric(values if fine.any() else None, fine, lost=(*lost, sentence))


def _is_float(value: int) -> bool:
    try:
        return int(float(value)) == value
    except OverflowError:
        return False


def _without(
    name: str, column: RawColumn, found: Mask, word: str, where: Callable[[int], str]
) -> Metric:
    lost = (_sentence(name, column.values, found, word, where),) if found.any() else ()
    return Metric(None, column.present, lost=lost)


def _sentence(name: str, values: Any, found: Mask, word: str, where: Callable[[int], str]) -> str:
    row, count = int(np.argmax(found)), int(found.sum())
    value = values[row]
    shown = repr(value.tolist() if isinstance(value, np.ndarray) else value)
    shown = shown if len(shown) <= 40 else f"{shown[:37]}..."
    return (
        f"{name}: {word} of {counted(count, 'record')} is not kept, such as {shown} ({where(row)})"
    )
