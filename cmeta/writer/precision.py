"""The warning of a declared field that loses too much of a value, and its remedy."""

from __future__ import annotations

import sys
import warnings

import numpy as np

from cmeta.errors import PrecisionWarning
from cmeta.schema import Field


def warn_imprecise(
    field: Field, imprecise: tuple[float, float] | None, warned: set[Field] | None = None
) -> None:
    """Warn, once for each field, that a value will be stored as another one.

    Parameters
    ----------
    imprecise : tuple of float or None
        What was given and what will be stored; None: nothing to warn of.
    warned : set of Field, optional
        Fields that have been warned of; the field is added.
    """
    if imprecise is None or (warned is not None and field in warned):
        return
    if warned is not None:
        warned.add(field)
    given, stored = imprecise
    warnings.warn(
        f"{field.path}: {given:.6g} will be stored as {stored:.6g}; " + _remedy(field, stored),
        PrecisionWarning,
        stacklevel=_depth_of_caller(),
    )


def _remedy(field: Field, stored: float) -> str:
    """Say why a field is imprecise, and what helps."""
    if field.exact or not np.isfinite(stored):
        remedy = f"schema.with_options({field.path!r}, type='f64', exact=True)"
        return f"its type is {field.type}. Remedy: {remedy}"
    remedy = f"a larger quanta_per_unit, or schema.with_options({field.path!r}, exact=True)"
    return f"its quantum is 1/{field.quanta_per_unit}. Remedy: {remedy}"


def _depth_of_caller() -> int:
    """Return the `stacklevel`, for the caller, of the first frame outside this package."""
    depth, frame = 0, sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").startswith("cmeta."):
        depth, frame = depth + 1, frame.f_back
    return depth + 1
