"""Conditions on columns: ``loss_value < 0.1 and phase == 'validate'``, parsed and evaluated over
numpy, never by `eval`.

- The grammar is that of Python expressions, cut down to a list of what is allowed (`parse`);
  everything else is a `QueryError` that shows the text and points at the place.
- What is absent is unknown, in the logic of SQL and Kleene: a comparison with it is unknown,
  `not` of that as well, and what is unknown is not selected.
- NaN is a value, as IEEE 754 has it: it compares false, also with itself, and `not` of that is
  true.
- Integers are exact to the 64th bit, also against floats (`exact`).

`parse` is the grammar; `evaluate` walks what it allows; `logic` is the three-valued part, `exact`
the exact arithmetic, `mixed` columns of more than one type, such as those of configurations.
"""

from cmeta.query.parse import Expression, parse
from cmeta.query.values import column_of

__all__ = ["Expression", "parse", "column_of"]
