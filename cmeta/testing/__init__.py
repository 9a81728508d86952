"""Hypothesis strategies for chronicles, and an oracle for the values that reading returns.

`schemas`, `records`, `columns` and `files` draw any legal input. `expected` returns the value that
reading must give, computed without the codecs; `identical` compares values bit by bit.

Needs Hypothesis: ``pip install "cmeta-format[testing]"``.

Examples
--------
>>> from hypothesis import given, settings, strategies as st
>>> import cmeta
>>> from cmeta.testing import files
>>> @settings(max_examples=3, database=None, derandomize=True, deadline=None)
... @given(files())
... def check(data):
...     assert cmeta.validate(data).ok
>>> check()
"""

try:
    import hypothesis as _hypothesis  # noqa: F401  (reports that it is missing before other imports fail)
except ImportError as _err:
    raise ImportError(
        "cmeta.testing needs Hypothesis, which is not installed: "
        'pip install "cmeta-format[testing]"'
    ) from _err

from cmeta.testing.oracle import expected, identical
from cmeta.testing.runs import columns, files, records
from cmeta.testing.schemas import schemas

__all__ = ["schemas", "records", "columns", "files", "expected", "identical"]
