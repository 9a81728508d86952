"""`digest`: 64 bits that stand for the exact state of arrays."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from cmeta.errors import EncodeError
from cmeta.records.convert import from_tensor
from cmeta.schema.load import shipped_format

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


_NUM_COMPONENTS = 3
_HALVES = 32  # bits: sums of so many bits cannot overflow 64 in any array that fits into memory


def signature(tensor: Any) -> tuple[float, ...]:
    """Return the mean over all axes but the last, in exact integer arithmetic of quanta.

    Parameters
    ----------
    tensor : array or tensor, (..., 3)
        Of any real type, on any device. Each element is rounded to a quantum (a millionth), half to
        even.

    Returns
    -------
    tuple of float, (3,)
        Means, rounded to a quantum, half to even. A component with NaN in it is NaN, as is one with
        infinities of both signs; one with infinities of one sign is that infinity.

    Raises
    ------
    EncodeError
        The last axis is not of size 3, or there is no element.

    Examples
    --------
    >>> signature([[0.1, 0.2, 0.3], [0.3, 0.2, 0.1]])
    (0.2, 0.2, 0.2)
    """
    values = np.asarray(from_tensor(tensor))
    if values.dtype.kind not in "biuf":
        raise EncodeError(f"tensor: found {values.dtype}, expected numbers")
    if values.ndim == 0 or values.shape[-1] != _NUM_COMPONENTS:
        raise EncodeError(
            f"tensor: found shape {values.shape}, expected a last axis of size {_NUM_COMPONENTS}"
        )
    if values.size == 0:
        raise EncodeError(f"tensor: found shape {values.shape}, which has no element to average")
    columns = values.reshape(-1, _NUM_COMPONENTS).T
    return tuple(_mean(np.ascontiguousarray(column)) for column in columns)


def _mean(column: np.ndarray[Any, Any]) -> float:
    quanta_per_unit = shipped_format().codecs.quantise.quanta_per_unit
    if column.dtype.kind == "f" and not np.isfinite(column).all():
        with np.errstate(invalid="ignore"):
            return float(column[~np.isfinite(column)].astype(np.float64).sum())
    total = _sum_of_quanta(column, quanta_per_unit)
    return round(Fraction(total, len(column))) / quanta_per_unit


def _sum_of_quanta(column: np.ndarray[Any, Any], quanta_per_unit: int) -> int:
    """Return the exact sum of the elements' quanta."""
    if column.dtype.kind != "f":
        return int(sum(column.tolist())) * quanta_per_unit
    wide = column.astype(np.float64)
    near = np.abs(wide) < 2**62 / quanta_per_unit
    quanta = np.rint(wide[near] * quanta_per_unit).astype(np.int64)
    low = int((quanta & ((1 << _HALVES) - 1)).sum(dtype=np.int64))
    high = int((quanta >> _HALVES).sum(dtype=np.int64))
    # So far out a float is an integer number of quanta by itself, or nearly: exact in Python.
    far = sum(round(Fraction(value) * quanta_per_unit) for value in wide[~near].tolist())
    return (high << _HALVES) + low + far
