"""Conditions on columns, such as ``loss_value < 0.1 and phase == 'validate'``.

They are parsed and evaluated over numpy, never by `eval`.

- The grammar is that of Python expressions, cut down to a list of allowed parts (`parse`);
  everything else is a `QueryError` that shows the text and points at the place.
- An absent value is unknown, in the logic of SQL and Kleene: a comparison with it is unknown, and
  so is its `not`; unknown rows are not selected (`evaluate`).
- NaN is a value, as in IEEE 754: it compares false, also with itself; the `not` of that is true.
- Integers are exact to the 64th bit, also against floats (`values`, `arithmetic`).
- The answer for a record depends on this record alone.
"""

from cmeta.query.parse import Expression, parse
from cmeta.query.values import column_of

__all__ = ["Expression", "parse", "column_of"]
