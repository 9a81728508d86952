"""Three-valued logic, after Kleene: true, false and unknown, over whole columns."""

from __future__ import annotations

from dataclasses import dataclass

from cmeta.query.exact import Array
from cmeta.query.mixed import Mask


@dataclass(frozen=True)
class Value:
    """A column, a constant, or a condition.

    Attributes
    ----------
    values : array, (n,) or ()
        A constant has no dimension.
    known : bool array, or None
        Where it has a value; None: everywhere.
    """

    values: Array
    known: Mask | None = None

    @property
    def kind(self) -> str:
        """Return "condition", "number", "text" or "mixed"."""
        kinds = {"b": "condition", "U": "text", "O": "mixed"}
        return kinds.get(self.values.dtype.kind, "number")

    @property
    def has_any(self) -> bool:
        """Return whether there is a value at all."""
        return self.values.size > 0 and (self.known is None or bool(self.known.any()))

    def is_true(self) -> Mask:
        """Return where a condition is known to be true."""
        return self.values if self.known is None else self.values & self.known

    def is_false(self) -> Mask:
        """Return where a condition is known to be false."""
        return ~self.values if self.known is None else ~self.values & self.known


def both(left: Value, right: Value) -> Value:
    """Return ``left and right``: false as soon as one is, whatever the other."""
    true, false = left.is_true() & right.is_true(), left.is_false() | right.is_false()
    return Value(true, true | false)


def either(left: Value, right: Value) -> Value:
    """Return ``left or right``: true as soon as one is, whatever the other."""
    true, false = left.is_true() | right.is_true(), left.is_false() & right.is_false()
    return Value(true, true | false)


def opposite(value: Value) -> Value:
    """Return ``not value``: what is unknown stays so."""
    return Value(~value.values, value.known)


def known_in(*masks: Mask | None) -> Mask | None:
    """Return where all of several values are known.

    Examples
    --------
    >>> import numpy as np
    >>> known_in(None, np.array([True, False])).tolist()
    [True, False]
    """
    found: Mask | None = None
    for mask in masks:
        if mask is not None:
            found = mask if found is None else found & mask
    return found
