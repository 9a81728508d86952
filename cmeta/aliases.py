"""Type aliases and constants that several rooms share, each defined once."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Mask: TypeAlias = npt.NDArray[np.bool_]
U8: TypeAlias = npt.NDArray[np.uint8]
I64: TypeAlias = npt.NDArray[np.int64]
U64: TypeAlias = npt.NDArray[np.uint64]
F64: TypeAlias = npt.NDArray[np.float64]

Rows: TypeAlias = slice | npt.NDArray[np.intp]  # which rows of a batch
PathLike: TypeAlias = str | os.PathLike[str]
Buffer: TypeAlias = bytes | bytearray | memoryview
Progress: TypeAlias = Callable[[int, int], None]  # called with bytes done and bytes in all

I64_MIN, I64_MAX, U64_MAX = -(2**63), 2**63 - 1, 2**64 - 1
FLOAT64_INTEGER_MAX = 2**53  # up to here every integer is a float64, exactly
