"""Rice coding: residuals as quotients in unary and remainders in binary (SPEC, Rice).

Residuals are cut into blocks; each block has one byte, 0 for all zero, else k + 1. All sequences
of a stream share three byte strings: k bytes, remainders, quotients.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cmeta.aliases import U8, U64
from cmeta.errors import CorruptError, TruncatedError, error_context
from cmeta.format.stages.bits import (
    bit_length,
    low_mask,
    pack_fields,
    pack_unary,
    unpack_fields,
    unpack_unary,
)
from cmeta.format.stages.split import cut

Ints = npt.NDArray[np.intp]

_MAX_K_BYTE = 64
_EXACT = np.uint64(1 << 56)
_LOW_HALF = np.uint64((1 << 32) - 1)


def block_sizes(lengths: Sequence[int], block: int) -> Ints:
    """Return the number of residuals of each block of consecutive sequences.

    Examples
    --------
    >>> block_sizes([300, 0, 5], 128).tolist()
    [128, 128, 44, 5]
    """
    sizes: list[int] = []
    for length in lengths:
        full, rest = divmod(length, block)
        sizes += [block] * full
        if rest:
            sizes.append(rest)
    return np.array(sizes, np.intp)


def starts_of(sizes: Ints) -> Ints:
    """Return the offsets at which consecutive pieces of `sizes` begin."""
    starts: Ints = np.cumsum(sizes) - sizes
    return starts


def parameters(residuals: U64, sizes: Ints) -> U8:
    """Return the k byte of each block: 0 for all zero, else k + 1.

    ``k = max(0, bitlength(S div n) - 1)``, with S the exact sum of the block, which may take 71
    bits: it is added up in two halves.
    """
    if sizes.size == 0:
        return np.zeros(0, np.uint8)
    starts = starts_of(sizes)
    if residuals.max() < _EXACT:
        sums = np.add.reduceat(residuals, starts)
        mean = sums // sizes.astype(np.uint64)
        empty = sums == 0
    else:
        half = np.uint64(32)
        high = np.add.reduceat(residuals >> half, starts)
        low = np.add.reduceat(residuals & _LOW_HALF, starts)
        exact = [
            ((int(h) << 32) + int(s)) // int(n) for h, s, n in zip(high, low, sizes, strict=True)
        ]
        mean = np.array(exact, np.uint64)
        empty = (high | low) == 0
    k_bytes: U8 = np.where(empty, 0, np.maximum(bit_length(mean), 1)).astype(np.uint8)
    return k_bytes


def encode(sequences: Sequence[U64], block: int) -> bytes:
    """Return the k bytes, remainders and quotients of `sequences`.

    Parameters
    ----------
    sequences : sequence of uint64 arrays
        Residuals; each sequence begins a new block.
    block : int
        Residuals of a block.

    Examples
    --------
    >>> encode([np.uint64([5, 6, 7])], 128).hex()
    '03392a'
    """
    sizes = block_sizes([len(s) for s in sequences], block)
    residuals = np.concatenate(sequences) if sequences else np.zeros(0, np.uint64)
    k_bytes = parameters(residuals, sizes)
    coded = np.repeat(k_bytes, sizes)
    if not k_bytes.all():
        residuals, coded = residuals[coded > 0], coded[coded > 0]
    k = coded.astype(np.uint64) - np.uint64(1)
    remainders = pack_fields(residuals & low_mask(k), k)
    return k_bytes.tobytes() + remainders + pack_unary(residuals >> k)


def decode(data: U8, lengths: Sequence[int], block: int) -> tuple[list[U64], int]:
    """Undo `encode`, reading from the beginning of `data`.

    Parameters
    ----------
    data : uint8 array
        May continue after the stream.
    lengths : sequence of int
        Residuals of each sequence; the caller has bounded them.
    block : int
        Residuals of a block.

    Returns
    -------
    sequences : list of uint64 arrays
    len_used : int
        Bytes that they take.

    Raises
    ------
    TruncatedError, CorruptError
        Offsets are relative to `data`.
    """
    sizes = block_sizes(lengths, block)
    k_bytes = data[: len(sizes)]
    if len(k_bytes) < len(sizes):
        raise TruncatedError(f"{len(k_bytes)} k bytes, expected {len(sizes)}", offset=len(data))
    if k_bytes.size and k_bytes.max() > _MAX_K_BYTE:
        at = int(np.argmax(k_bytes > _MAX_K_BYTE))
        raise CorruptError(f"k byte {k_bytes[at]}, at most {_MAX_K_BYTE}", offset=at)
    coded = np.repeat(k_bytes, sizes)
    nonzero = None if k_bytes.all() else coded > 0
    k = (coded if nonzero is None else coded[nonzero]).astype(np.uint64) - np.uint64(1)
    begin = len(sizes)
    end = begin + (int(k.sum()) + 7) // 8
    if end > len(data):
        raise TruncatedError(f"remainders end at {end}, the data at {len(data)}", offset=len(data))
    with error_context(begin):
        remainders = unpack_fields(data[begin:end], k)
    with error_context(end):
        quotients, len_unary = unpack_unary(data[end:], len(k))
        _bound_residuals(quotients, k)
    values = quotients << k | remainders
    if nonzero is not None:
        values, dense = np.zeros(len(coded), np.uint64), values
        values[nonzero] = dense
    return cut(values, lengths), end + len_unary


def _bound_residuals(quotients: U64, k: U64) -> None:
    """Refuse a quotient that its k would shift out of 64 bits."""
    # The largest of each bounds all, and is almost always enough.
    if quotients.size and int(quotients.max()).bit_length() + int(k.max()) <= 64:
        return
    if (bit_length(quotients) + k.astype(np.intp) > 64).any():
        raise CorruptError("a residual beyond 64 bits")
