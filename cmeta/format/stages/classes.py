"""Class: takes NaN, infinities and absent cells out of the stream, so a run may log them.

A cell is a value, NaN, an infinity or absent; all NaNs are the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cmeta.aliases import U8, Array, Mask
from cmeta.schema.language import ClassFacts


def encode(values: Array, present: Mask | None, facts: ClassFacts) -> U8 | None:
    """Return the class of each cell, or None if all are finite values.

    Parameters
    ----------
    values : array, (n,)
        Of any type; the value of an absent cell has no meaning.
    present : bool array, (n,), or None
        None: all are present.

    Examples
    --------
    >>> from cmeta.schema import shipped_format
    >>> facts = shipped_format().codecs.classes
    >>> encode(np.array([1.0, np.nan, -np.inf, 2.0]), np.array([1, 1, 1, 0], bool), facts).tolist()
    [0, 1, 3, 4]
    """
    finite = np.isfinite(values) if values.dtype.kind == "f" else None
    if (finite is None or finite.all()) and (present is None or present.all()):
        return None
    classes = np.full(len(values), facts.value, np.uint8)
    if finite is not None and not finite.all():
        classes[np.isnan(values)] = facts.nan
        classes[np.isposinf(values)] = facts.positive_infinity
        classes[np.isneginf(values)] = facts.negative_infinity
    if present is not None:
        classes[~present] = facts.absent
    return classes


def decode(classes: U8, finite: Array, fill: Any, facts: ClassFacts) -> tuple[Array, Mask]:
    """Undo `encode`.

    Parameters
    ----------
    classes : uint8 array, (n,)
    finite : array
        The finite values, in order.
    fill : scalar
        The value of an absent cell.

    Returns
    -------
    values : array, (n,)
    present : bool array, (n,)
    """
    values = np.full(len(classes), fill, finite.dtype)
    values[classes == facts.value] = finite
    if finite.dtype.kind == "f":
        values[classes == facts.nan] = np.nan
        values[classes == facts.positive_infinity] = np.inf
        values[classes == facts.negative_infinity] = -np.inf
    return values, classes != facts.absent
