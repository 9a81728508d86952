"""Tables of the constants: limits, checksum, bit layouts, the codecs' numbers."""

from __future__ import annotations

from typing import Any

from cmeta.format.checksum import Checksum
from cmeta.schema.language import BitLayout, to_int
from tools.specgen.facts import Facts
from tools.specgen.markdown import code, hex_integer, integer, table


def limits(facts: Facts) -> str:
    """Return the table of the format's limits."""
    return _numbers(facts, "format.limits", facts.format.limits)


def statuses(facts: Facts) -> str:
    """Return the table of how a run may end."""
    names = facts.format.format.statuses
    rows = [[0, "not stated"], *([number, code(name)] for number, name in enumerate(names, 1))]
    return table(["`status`", "The run"], rows)


def checksum(facts: Facts) -> str:
    """Return the parameters of the CRC, of its mask, and check values of both."""
    crc = facts.format.checksum
    mask = crc.mask
    masked = Checksum(crc).mask(to_int(crc.check))
    rows: list[tuple[str, object]] = [
        ("name", crc.name),
        ("width", crc.width),
        ("poly", _hex(crc.poly)),
        ("poly with its bits reversed", hex_integer(reversed_bits(to_int(crc.poly), crc.width))),
        ("init", _hex(crc.init)),
        ("refin", str(crc.refin).lower()),
        ("refout", str(crc.refout).lower()),
        ("xorout", _hex(crc.xorout)),
        ("check: CRC of the nine ASCII bytes `123456789`", _hex(crc.check)),
        ("mask: rotate right by", mask.rotate),
        ("mask: then add", _hex(mask.add)),
        ("masked check value", hex_integer(masked)),
    ]
    return table(["Parameter", "Value"], [[name, code(value)] for name, value in rows])


def reversed_bits(value: int, width: int) -> int:
    """Return an integer with its bits in reversed order.

    Examples
    --------
    >>> reversed_bits(0b0011, 4)
    12
    """
    return int(f"{value:0{width}b}"[::-1], 2)


def column_flags(facts: Facts) -> str:
    """Return the bits of a column's first byte."""
    return bit_table(facts.format.codecs.column_flags)


def run_header(facts: Facts) -> str:
    """Return the bits of a run header's first bytes."""
    return bit_table(facts.format.codecs.rice.run_header)


def widths(facts: Facts) -> str:
    """Return the widths in bytes by code."""
    widths = facts.format.codecs.rice.widths
    return table(["Width code", "Bytes"], enumerate(widths))


def bit_table(layout: BitLayout) -> str:
    """Return the table of a bit layout."""
    rows = []
    at = 0
    for field in layout.bits:
        last = at + field.bits - 1
        rows.append([f"{at}-{last}" if last > at else at, code(field.name), field.doc])
        at += field.bits
    return table(["Bits", "Name", "Description"], rows)


def classes(facts: Facts) -> str:
    """Return the codes of the class stage."""
    codes = _items(facts.format.codecs.classes)
    rows = [[number, name.replace("_", " ")] for name, number in codes]
    return table(["Class", "Meaning"], sorted(rows))


def modes(facts: Facts) -> str:
    """Return the modes of a lossless float."""
    quantise, comments = facts.format.codecs.quantise, facts.comments
    decimals = (f"0 to {quantise.decimals_max}", "decimals of `mode` digits: `integer / 10^mode`")
    names = ("mode_float32", "mode_float64")
    rows = [(getattr(quantise, name), comments.get(f"codecs.quantise.{name}")) for name in names]
    return table(["`mode`", "Meaning"], [decimals, *rows])


def codec_constants(facts: Facts) -> str:
    """Return the numbers of the codecs that no other table has."""
    codecs = facts.format.codecs
    parts = {"quantise": codecs.quantise, "palette": codecs.palette, "rice": codecs.rice}
    rows = []
    for part, node in parts.items():
        for name, number in _items(node):
            if not name.startswith("mode_"):
                comment = facts.comments.get(f"codecs.{part}.{name}", "")
                rows.append([code(name), integer(number), part, comment])
    return table(["Constant", "Value", "Stage", "Meaning"], rows)


def delta_forms(facts: Facts) -> str:
    """Return the forms of the delta stage."""
    rows = [
        [number, form.name, form.heads, "yes" if form.step else "no", code(form.doc)]
        for number, form in enumerate(facts.format.codecs.delta.forms)
    ]
    return table(["`form`", "Name", "Heads", "Step", "Rule"], rows)


def seeds(facts: Facts) -> str:
    """Return the scheme of seeds, and the keys by which a configuration states it."""
    node = facts.format.seeds
    rows = [
        [code(name), code(getattr(node, name)), facts.comments.get(f"seeds.{name}", "")]
        for name in node.__struct_fields__
        if name != "doc"
    ]
    return table(["Constant", "Value", "Meaning"], rows)


def chains(facts: Facts) -> str:
    """Return the default chains."""
    defaults = facts.format.codecs.defaults
    rows = [
        ["`f32`, `f64`", _chain(defaults.float)],
        ["all others", _chain(defaults.integer)],
    ]
    return table(["Type", "Default `codec`"], rows)


def _chain(stages: tuple[str, ...]) -> str:
    return ", ".join(map(code, stages))


def _numbers(facts: Facts, path: str, node: Any) -> str:
    rows = [
        [code(name), integer(number), facts.comments.get(f"{path}.{name}", "")]
        for name, number in _items(node)
    ]
    return table(["Limit", "Value", "Meaning"], rows)


def _items(node: Any) -> list[tuple[str, int]]:
    """Return the integers of a node of the document."""
    values = [(name, getattr(node, name)) for name in node.__struct_fields__]
    return [(name, value) for name, value in values if type(value) is int]


def _hex(value: int | str) -> str:
    return hex_integer(to_int(value))
