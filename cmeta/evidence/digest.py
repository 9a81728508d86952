"""`digest`: 64 bits that stand for the exact state of arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cmeta.errors import EncodeError
from cmeta.writer.values import from_tensor

_LEN_DIGEST = 8


def digest(*arrays: Any) -> int:
    """Return 64 bits of a hash over types, shapes and exact bytes, for ``state_digest``.

    Parameters
    ----------
    *arrays : array, tensor, or mapping of str to those
        In an order that counts. A mapping, such as a ``state_dict()``, stands for its names and
        values in the order of the names. Byte order and memory layout do not count; the type does,
        and so does the sign of zero.

    Returns
    -------
    int
        u64: BLAKE2b, 8 bytes, read little-endian.

    Raises
    ------
    EncodeError
        Something that is no array of numbers.

    Examples
    --------
    >>> digest([1.0, 2.0]) == digest([1.0, 2.0]), digest([0.0]) == digest([-0.0])
    (True, False)
    """
    import hashlib  # here: what only records needs no OpenSSL

    found = hashlib.blake2b(digest_size=_LEN_DIGEST)
    for place, item in enumerate(arrays):
        _add(found, item, f"arrays[{place}]")
    return int.from_bytes(found.digest(), "little")


def _add(found: Any, item: Any, path: str) -> None:
    if isinstance(item, Mapping):
        found.update(f"mapping {len(item)}\n".encode())
        for name in sorted(item):
            found.update(f"{len(str(name).encode())} {name}\n".encode())
            _add(found, item[name], f"{path}[{name!r}]")
        return
    array = np.asarray(from_tensor(item))
    if array.dtype.kind not in "biufc":
        raise EncodeError(f"{path}: found {array.dtype}, expected an array of numbers")
    array = array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
    # The shape ends in a line, so that no two sequences of arrays give the same bytes.
    found.update(f"{_type_of(item, array)} {array.shape}\n".encode())
    found.update(array.tobytes())


def _type_of(item: Any, array: np.ndarray[Any, Any]) -> str:
    """Return the name of the type, also of one that numpy does not have."""
    stated = str(getattr(item, "dtype", array.dtype)).rpartition(".")[2]
    return stated if stated == "bfloat16" else array.dtype.newbyteorder("=").name
