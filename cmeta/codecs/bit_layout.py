"""Small integers made of bit fields, as the schema lays them out: column flags, run headers."""

from __future__ import annotations

from collections.abc import Mapping

from cmeta.schema.document import BitLayout


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

    def names_beyond(self, word: int) -> bool:
        """Tell whether bits are set that belong to no field."""
        last = self._fields[-1]
        return word >> last[1] > last[2]
