"""Run headers: two bytes of codes, then base, divisor - 1, step, sparse count in minimal widths."""

from __future__ import annotations

from typing import NamedTuple

from cmeta.errors import CorruptError, TruncatedError
from cmeta.format.stages import delta
from cmeta.format.stages.bits import BitFields
from cmeta.schema.language import RiceFacts

_ONES = 0xFFFFFFFFFFFFFFFF
_FIELDS: dict[int, tuple[RiceFacts, BitFields]] = {}
_NUMBERS = ("base", "divisor", "step", "count")


class RunHeader(NamedTuple):
    """What a run header says.

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


def build(header: RunHeader, rice: RiceFacts) -> bytes:
    """Return the bytes of a run header.

    Examples
    --------
    >>> from cmeta.schema import shipped_format
    >>> build(RunHeader(0, 1000, 1, 0, 0), shipped_format().codecs.rice).hex()
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
        code = next(c for c, width in enumerate(rice.widths) if width >= length)
        codes[name] = code
        tail += number.to_bytes(rice.widths[code], "little")
    fields = _fields(rice)
    return fields.pack(codes).to_bytes(fields.size, "little") + tail


def parse(data: bytes, offset: int, rice: RiceFacts) -> tuple[RunHeader, int]:
    """Return the run header at `offset` and where it ends.

    Raises
    ------
    TruncatedError, CorruptError
        Bytes are missing; a reserved bit is set; a width is not minimal or not needed.
    """
    fields = _fields(rice)
    codes = fields.unpack(int.from_bytes(_take(data, offset, fields.size), "little"))
    if codes["reserved"]:
        raise CorruptError("a reserved bit of a run header is set", offset=offset)
    at = offset + fields.size
    numbers = []
    for name in _NUMBERS:
        if codes[name] >= len(rice.widths):
            raise CorruptError(f"width code {codes[name]} of {name}", offset=offset)
        width = rice.widths[codes[name]]
        number = int.from_bytes(_take(data, at, width), "little")
        if width and number >> 8 * rice.widths[codes[name] - 1] == 0:
            raise CorruptError(f"{name} {number} in {width} bytes, fewer hold it", offset=at)
        numbers.append(number)
        at += width
    base, divisor_less_one, step, count = numbers
    form = codes["form"]
    if not delta.HAS_STEP[form] and step:
        raise CorruptError(f"a step in form F{form}, which has none", offset=offset)
    if not codes["sparse"] and count:
        raise CorruptError("a count in a run that is not sparse", offset=offset)
    if divisor_less_one == _ONES:
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
    return (value << 1 ^ value >> 63) & _ONES


def unzigzag(value: int) -> int:
    """Undo `zigzag`."""
    return value >> 1 ^ -(value & 1)


def _fields(rice: RiceFacts) -> BitFields:
    """Return the layout, found by identity: hashing the facts would cost more than the parsing."""
    known = _FIELDS.get(id(rice))
    if known is None or known[0] is not rice:
        known = _FIELDS[id(rice)] = (rice, BitFields(rice.run_header))
    return known[1]


def _take(data: bytes, offset: int, length: int) -> bytes:
    piece = data[offset : offset + length]
    if len(piece) < length:
        raise TruncatedError("a run header is cut off", offset=len(data))
    return piece
