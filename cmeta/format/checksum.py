"""The CRC and its mask, built from the schema's parameters.

`fastcrc` computes the algorithms that it knows at memory speed; `crcmod` builds any other. Both
must give the schema's check value.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from cmeta.aliases import Buffer
from cmeta.errors import SchemaError
from cmeta.schema.language import ChecksumFacts, to_int
from cmeta.source import Source

Crc = Callable[[Buffer, int | None], int]

_LEN_READ = 1 << 20  # bytes of a source in memory
_CHECK_INPUT = b"123456789"
_FASTCRC = {"CRC-64/XZ": ("crc64", "xz")}


class Checksum:
    """A CRC and its mask.

    Examples
    --------
    >>> from cmeta.schema import shipped_format
    >>> crc = Checksum(shipped_format().checksum)
    >>> hex(crc(b"123456789"))
    '0x995dc9bbdf1939fa'
    >>> crc(b"6789", crc(b"12345")) == crc(b"123456789")
    True
    """

    def __init__(self, facts: ChecksumFacts) -> None:
        self._crc = _implementation(facts)
        self._bits = facts.width
        self._rotate = facts.mask.rotate
        self._add = to_int(facts.mask.add)

    def __call__(self, data: Buffer, running: int | None = None) -> int:
        """Return the CRC of `data`; `running` is the CRC of the bytes before it."""
        return self._crc(data, running)

    def over(self, source: Source, start: int, end: int, running: int | None = None) -> int:
        """Return the CRC of a source from `start` to `end`; `running` as in a call."""
        crc = self._crc(b"", running)
        while start < end:
            data = source.read(start, min(_LEN_READ, end - start))
            crc = self._crc(data, crc)
            start += len(data)
        return crc

    def mask(self, crc: int) -> int:
        """Return the stored form of a block's CRC (SPEC, Checksums)."""
        ones = (1 << self._bits) - 1
        rotated = (crc >> self._rotate | crc << (self._bits - self._rotate)) & ones
        return (rotated + self._add) & ones

    def masked_function(self) -> Callable[[Buffer, int], int]:
        """Return a function of data and a running CRC that gives the masked CRC of both.

        For entries of a journal, one record each: everything but the data is looked up once.
        """
        crc, right, left, add = self._crc, self._rotate, self._bits - self._rotate, self._add
        ones = (1 << self._bits) - 1

        def masked(data: Buffer, running: int) -> int:
            value = crc(data, running)
            return ((value >> right | (value << left & ones)) + add) & ones

        return masked

    def masked(self, *parts: Buffer) -> int:
        """Return the masked CRC of the concatenated `parts`."""
        crc = None
        for part in parts:
            crc = self._crc(part, crc)
        return self.mask(self._crc(b"", crc))


@cache
def _implementation(facts: ChecksumFacts) -> Crc:
    crc = _fast(facts) or build_with_crcmod(facts)
    if crc(_CHECK_INPUT, None) != to_int(facts.check):
        message = f"the parameters give {crc(_CHECK_INPUT, None):#x}, expected {facts.check}"
        raise SchemaError(message, key="checksum.check")
    return crc


def _fast(facts: ChecksumFacts) -> Crc | None:
    """Return fastcrc's implementation, if it has one with the same check value."""
    import fastcrc

    module, name = _FASTCRC.get(facts.name, ("", ""))
    known = getattr(getattr(fastcrc, module, None), name, None)
    if known is None or known(_CHECK_INPUT) != to_int(facts.check):
        return None
    crc: Crc = known  # (data, the finished CRC of the bytes before it or None)
    return crc


def build_with_crcmod(facts: ChecksumFacts) -> Crc:
    """Return the CRC that `facts` describe, built by crcmod.

    Raises
    ------
    SchemaError
        `refin` and `refout` differ, which crcmod does not support.
    """
    from crcmod import mkCrcFun

    if facts.refin != facts.refout:
        message = f"found refin {facts.refin} and refout {facts.refout}, expected equal values"
        raise SchemaError(message, key="checksum.refin")
    init, xorout = to_int(facts.init), to_int(facts.xorout)
    polynomial = 1 << facts.width | to_int(facts.poly)
    crc = mkCrcFun(polynomial, initCrc=init ^ xorout, rev=facts.refin, xorOut=xorout)
    return lambda data, running: crc(data) if running is None else crc(data, running)
