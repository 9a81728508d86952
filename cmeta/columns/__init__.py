"""Records as arrays: `columns` is what `read` gives and `write` takes; `to_arrow`, `from_arrow` and
`frames` turn it into what other libraries take, and back.
"""

from cmeta.columns.columns import Columns

__all__ = ["Columns"]
