"""Hypothesis strategies for chronicles, and what a chronicle promises to give back.

`schemas`, `records`, `columns` and `files` draw anything that is legal; `expected` says, value by
value and without the codecs, what reading must return, and `identical` compares bit by bit.

Needs Hypothesis: ``pip install "cmeta-format[testing]"``.

Examples
--------
>>> from hypothesis import given, settings, strategies as st
>>> import cmeta
>>> from cmeta.testing import files
>>> @settings(max_examples=3, database=None, derandomize=True, deadline=None)
... @given(files())
... def every_file_is_valid(data):
...     assert cmeta.validate(data).ok
>>> every_file_is_valid()
"""

try:
    import hypothesis as _hypothesis  # noqa: F401  (says what is missing, before anything else)
except ImportError as _err:
    raise ImportError(
        "cmeta.testing needs Hypothesis, which is not installed: "
        'pip install "cmeta-format[testing]"'
    ) from _err

from cmeta.testing.oracle import expected, identical
from cmeta.testing.runs import columns, files, records
from cmeta.testing.schemas import schemas

__all__ = ["schemas", "records", "columns", "files", "expected", "identical"]
