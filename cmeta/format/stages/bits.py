"""Bits: of integers and floats, and bit strings of fields of varying width and of unary numbers.

All bit strings are least significant bit first, padded with zeros to a whole byte. Integers are
modulo 2^64.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from cmeta.aliases import I64, U8, U64, Array
from cmeta.errors import CorruptError, TruncatedError
from cmeta.schema.language import BitLayout

_ONE = np.uint64(1)
_POWERS = _ONE << np.arange(64, dtype=np.uint64)


def zigzag(values: I64) -> U64:
    """Map signed to unsigned: 0, -1, 1, -2 become 0, 1, 2, 3."""
    unsigned: U64 = ((values << 1) ^ (values >> 63)).view(np.uint64)
    return unsigned


def unzigzag(values: U64) -> I64:
    """Undo `zigzag`."""
    signed: I64 = ((values >> _ONE) ^ (~(values & _ONE) + _ONE)).view(np.int64)
    return signed


def bit_length(values: U64) -> npt.NDArray[np.intp]:
    """Return the number of bits of each value; 0 has none."""
    return np.searchsorted(_POWERS, values, side="right")


def low_mask(widths: U64) -> U64:
    """Return 2^width - 1 for widths of 0 to 63."""
    mask: U64 = (_ONE << widths) - _ONE
    return mask


def integer_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the signed integer type of a float type's size."""
    return np.dtype(f"i{dtype.itemsize}")


def magnitude_bits(values: Array) -> Array:
    """Return the bits of ``abs(values)``, signed integers of the same size."""
    return np.abs(values).view(integer_dtype(values.dtype))


def to_ordered(values: Array) -> Array:
    """Return integers in the order of the floats; -0.0 is just below 0.0.

    Examples
    --------
    >>> to_ordered(np.array([-0.0, 0.0, 1e-45], np.float32)).tolist()
    [-1, 0, 1]
    """
    dtype = integer_dtype(values.dtype)
    bits = np.ascontiguousarray(values).view(dtype)
    ordered: Array = bits ^ ((bits >> (dtype.itemsize * 8 - 1)) & np.iinfo(dtype).max)
    return ordered


def from_ordered(ordered: Array, dtype: np.dtype[Any]) -> Array:
    """Undo `to_ordered`: the map on bits is its own inverse."""
    ints = ordered.astype(integer_dtype(dtype))
    bits: Array = ints ^ ((ints >> (dtype.itemsize * 8 - 1)) & np.iinfo(ints.dtype).max)
    return bits.view(dtype)


def pack_fields(values: U64, widths: U64) -> bytes:
    """Concatenate the low `widths` bits of `values`.

    Parameters
    ----------
    values : uint64 array, (n,)
        Each below ``2**width``.
    widths : uint64 array, (n,)
        0 to 63 bits each.

    Returns
    -------
    bytes
        ``ceil(sum(widths) / 8)`` of them.

    Examples
    --------
    >>> pack_fields(np.uint64([1, 2, 3]), np.uint64([1, 3, 4])).hex()
    '35'
    """
    ends = np.cumsum(widths, dtype=np.uint64)
    num_bits = int(ends[-1]) if ends.size else 0
    if num_bits == 0:
        return b""
    starts = ends - widths
    word = (starts >> np.uint64(6)).astype(np.intp)
    shift = starts & np.uint64(63)
    words = np.zeros(num_bits // 64 + 2, np.uint64)
    # Fields that begin in the same word are adjacent: one reduction for each word that has some.
    first = np.flatnonzero(np.diff(word, prepend=-1))
    words[word[first]] = np.bitwise_or.reduceat(values << shift, first)
    # The bits that spill into the next word; shifting twice avoids a shift by 64.
    spill = (values >> _ONE) >> (np.uint64(63) - shift)
    words[word[first] + 1] |= np.bitwise_or.reduceat(spill, first)
    return words.astype("<u8").tobytes()[: (num_bits + 7) // 8]


def unpack_fields(data: U8, widths: U64) -> U64:
    """Undo `pack_fields`.

    Parameters
    ----------
    data : uint8 array
        Exactly ``ceil(sum(widths) / 8)`` bytes.
    widths : uint64 array, (n,)
        0 to 63 bits each.

    Raises
    ------
    CorruptError
        The padding is not zero.
    """
    ends = np.cumsum(widths, dtype=np.uint64)
    num_bits = int(ends[-1]) if ends.size else 0
    if num_bits % 8 and int(data[-1]) >> num_bits % 8:
        raise CorruptError("padding bits are not 0", offset=len(data) - 1)
    words = np.zeros(num_bits // 64 + 2, "<u8")
    words.view(np.uint8)[: len(data)] = data
    words = words.astype(np.uint64, copy=False)
    starts = ends - widths
    word = (starts >> np.uint64(6)).astype(np.intp)
    shift = starts & np.uint64(63)
    both = words[word] >> shift | (words[word + 1] << _ONE) << (np.uint64(63) - shift)
    fields: U64 = both & low_mask(widths)
    return fields


def pack_unary(values: U64) -> bytes:
    """Write each value in unary: as many 0 bits, then a 1.

    Examples
    --------
    >>> pack_unary(np.uint64([0, 2, 1])).hex()
    '29'
    """
    if values.size == 0:
        return b""
    ones = np.cumsum(values + _ONE) - _ONE
    bits = np.zeros(int(ones[-1]) + 1, np.uint8)
    bits[ones.astype(np.intp)] = 1
    return np.packbits(bits, bitorder="little").tobytes()


def unpack_unary(data: U8, num_values: int) -> tuple[U64, int]:
    """Undo `pack_unary`, reading from the beginning of `data`.

    Returns
    -------
    values : uint64 array, (num_values,)
    len_used : int
        Bytes that they take, up to the 1 of the last value.

    Raises
    ------
    TruncatedError
        `data` has fewer than `num_values` set bits.
    CorruptError
        The last byte has another set bit.
    """
    if num_values == 0:
        return np.zeros(0, np.uint64), 0
    counts = np.bitwise_count(data)
    num_set = int(counts.sum(dtype=np.int64))
    if num_set < num_values:
        raise TruncatedError(
            f"{num_set} quotients, expected {num_values}: bytes are missing", offset=len(data)
        )
    len_used = len(data)
    if num_set > num_values or not data[-1]:  # other streams follow
        so_far = np.cumsum(counts, dtype=np.int64)
        len_used = int(np.searchsorted(so_far, num_values)) + 1
        if so_far[len_used - 1] != num_values:
            raise CorruptError("a set bit after the last quotient", offset=len_used - 1)
    ones = np.flatnonzero(np.unpackbits(data[:len_used], bitorder="little"))
    values = ones.astype(np.uint64)
    values[1:] -= values[:-1] + _ONE
    return values, len_used


class BitFields:
    """Packs and unpacks one bit layout.

    Examples
    --------
    >>> from cmeta.schema import shipped_format
    >>> flags = BitFields(shipped_format().codecs.column_flags)
    >>> flags.pack({"has_classes": 1, "mode": 16})
    129
    >>> flags.unpack(129)
    {'has_classes': 1, 'palette': 0, 'split': 0, 'mode': 16}
    """

    def __init__(self, layout: BitLayout) -> None:
        self._fields = []
        shift = 0
        for field in layout.bits:
            self._fields.append((field.name, shift, (1 << field.bits) - 1))
            shift += field.bits
        self.size = (shift + 7) // 8

    def pack(self, values: Mapping[str, int]) -> int:
        """Return the integer; a field that is not given is 0."""
        return sum(values.get(name, 0) << shift for name, shift, _ in self._fields)

    def unpack(self, word: int) -> dict[str, int]:
        """Return the fields of the integer."""
        return {name: word >> shift & mask for name, shift, mask in self._fields}
