"""Runs as bytes: a header for each, then the residuals of all of them, Rice coded.

A run header is two bytes of codes, then base, divisor - 1, step and sparse count in minimal
widths. A sparse run has two sequences of residuals: gaps and values.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cmeta.aliases import U64, U64_MAX
from cmeta.errors import CorruptError, TruncatedError, error_context
from cmeta.format.stages import delta, rice, sparse
from cmeta.format.stages.bits import BitFields
from cmeta.format.stages.delta import Delta
from cmeta.schema.language import RiceFacts

_FIELDS: dict[int, tuple[RiceFacts, BitFields]] = {}
_NUMBERS = ("base", "divisor", "step", "count")


def encode(runs: Sequence[Delta], is_sparse: Sequence[bool], facts: RiceFacts) -> bytes:
    """Return the bytes of runs.

    Parameters
    ----------
    runs : sequence of Delta
    is_sparse : sequence of bool
        Which of them are written as gaps and values.
    facts : RiceFacts
        The constants of the stage.
    """
    headers = b""
    sequences: list[U64] = []
    for run, is_sparse_run in zip(runs, is_sparse, strict=True):
        num_nonzero = None
        if is_sparse_run:
            gaps, values = sparse.encode(run.residuals)
            sequences += [gaps, values]
            num_nonzero = len(values)
        else:
            sequences.append(run.residuals)
        header = RunHeader(run.form, run.base, run.divisor, run.step, num_nonzero)
        headers += encode_header(header, facts)
    return headers + rice.encode(sequences, facts.block_residuals)


def decode(
    data: bytes, offset: int, run_lengths: Sequence[int], facts: RiceFacts
) -> tuple[list[Delta], int]:
    """Return the runs at `offset` and where they end; undoes `encode`.

    Parameters
    ----------
    data : bytes
        May go on after the runs.
    offset : int
    run_lengths : sequence of int
        Values of each run; the caller has bounded them.
    facts : RiceFacts

    Raises
    ------
    TruncatedError, CorruptError
        Offsets are relative to `data`.
    """
    headers: list[RunHeader] = []
    lengths: list[int] = []
    for run_length in run_lengths:
        start = offset
        header, offset = decode_header(data, offset, facts)
        num_residuals = run_length - delta.NUM_HEADS[header.form]
        if num_residuals < 1:
            raise CorruptError(f"form F{header.form} for a run of {run_length}", offset=start)
        headers.append(header)
        if header.num_nonzero is None:
            lengths.append(num_residuals)
            continue
        if facts.sparse_residuals * header.num_nonzero > facts.sparse_nonzero * num_residuals:
            raise CorruptError(
                f"{header.num_nonzero} of {num_residuals} residuals in a sparse run", offset=start
            )
        lengths += [header.num_nonzero, header.num_nonzero]
    with error_context(offset):
        sequences, len_used = rice.decode(
            np.frombuffer(data, np.uint8, offset=offset), lengths, facts.block_residuals
        )
    runs = []
    rest = iter(sequences)
    for header, length in zip(headers, run_lengths, strict=True):
        residuals = next(rest)
        if header.num_nonzero is not None:
            num_residuals = length - delta.NUM_HEADS[header.form]
            residuals = sparse.decode(residuals, next(rest), num_residuals)
        runs.append(Delta(header.form, header.base, header.divisor, header.step, residuals))
    return runs, offset + len_used


class RunHeader(NamedTuple):
    """The header of a run.

    Attributes
    ----------
    form : int
        Form of the delta stage.
    base, step : int
        Signed; `step` is 0 for forms without one.
    divisor : int
        At least 1.
    num_nonzero : int or None
        Number of non-zero residuals of a sparse run; None for a dense one.
    """

    form: int
    base: int
    divisor: int
    step: int
    num_nonzero: int | None


def encode_header(header: RunHeader, facts: RiceFacts) -> bytes:
    """Return the bytes of a run header.

    Examples
    --------
    >>> from cmeta.schema import shipped_format
    >>> encode_header(RunHeader(0, 1000, 1, 0, 0), shipped_format().codecs.rice).hex()
    '1400d007'
    """
    numbers = (
        zigzag(header.base),
        header.divisor - 1,
        zigzag(header.step),
        header.num_nonzero or 0,
    )
    codes = {"form": header.form, "sparse": header.num_nonzero is not None}
    tail = b""
    for name, number in zip(_NUMBERS, numbers, strict=True):
        length = (number.bit_length() + 7) // 8
        code = next(c for c, width in enumerate(facts.widths) if width >= length)
        codes[name] = code
        tail += number.to_bytes(facts.widths[code], "little")
    fields = _fields(facts)
    return fields.pack(codes).to_bytes(fields.size, "little") + tail


def decode_header(data: bytes, offset: int, facts: RiceFacts) -> tuple[RunHeader, int]:
    """Return the run header at `offset` and where it ends.

    Raises
    ------
    TruncatedError, CorruptError
        Bytes are missing; a reserved bit is set; a width is not minimal or not needed.
    """
    fields = _fields(facts)
    codes = fields.unpack(int.from_bytes(_take(data, offset, fields.size), "little"))
    if codes["reserved"]:
        raise CorruptError("a reserved bit of a run header is set", offset=offset)
    at = offset + fields.size
    numbers = []
    for name in _NUMBERS:
        if codes[name] >= len(facts.widths):
            raise CorruptError(f"width code {codes[name]} of {name}", offset=offset)
        width = facts.widths[codes[name]]
        number = int.from_bytes(_take(data, at, width), "little")
        if width and number >> 8 * facts.widths[codes[name] - 1] == 0:
            raise CorruptError(f"{name} {number} in {width} bytes, fewer hold it", offset=at)
        numbers.append(number)
        at += width
    base, divisor_less_one, step, count = numbers
    form = codes["form"]
    if not delta.HAS_STEP[form] and step:
        raise CorruptError(f"a step in form F{form}, which has none", offset=offset)
    if not codes["sparse"] and count:
        raise CorruptError("a count in a run that is not sparse", offset=offset)
    if divisor_less_one == U64_MAX:
        raise CorruptError("a divisor beyond 64 bits", offset=offset)
    header = RunHeader(
        form,
        unzigzag(base),
        divisor_less_one + 1,
        unzigzag(step),
        count if codes["sparse"] else None,
    )
    return header, at


def zigzag(value: int) -> int:
    """Map a signed integer of 64 bits to an unsigned one."""
    return (value << 1 ^ value >> 63) & U64_MAX


def unzigzag(value: int) -> int:
    """Undo `zigzag`."""
    return value >> 1 ^ -(value & 1)


def _fields(facts: RiceFacts) -> BitFields:
    """Return the layout, found by identity: hashing the facts would cost more than the parsing."""
    known = _FIELDS.get(id(facts))
    if known is None or known[0] is not facts:
        known = _FIELDS[id(facts)] = (facts, BitFields(facts.run_header))
    return known[1]


def _take(data: bytes, offset: int, length: int) -> bytes:
    piece = data[offset : offset + length]
    if len(piece) < length:
        raise TruncatedError("a run header is cut off", offset=len(data))
    return piece
