"""Columns written by hand, bit by bit, into a file of 16 records with one field `x`."""

import json
import struct

import numpy as np

from cmeta.schema.language import RecordField
from cmeta.testing.values import to_bytes
from tests.hostile.reseal import BATCH, take_apart
from tests.hostile.samples import schema_of

WIDTHS = (0, 1, 2, 4, 8)
HAS_CLASSES, PALETTE, SPLIT, MODE = 1, 2, 4, 8  # MODE times the mode


def run(form=0, sparse=0, base=b"", divisor=b"", step=b"", count=b"", reserved=0, codes=None):
    """A run header: zigzag(base), divisor - 1, zigzag(step) and the sparse count as they stand."""
    numbers = (base, divisor, step, count)
    word, shift = form | sparse << 2, 3
    for code in codes or [WIDTHS.index(len(number)) for number in numbers]:
        word |= code << shift
        shift += 3
    return struct.pack("<H", word | reserved << 15) + b"".join(numbers)


def constant(base=b""):
    """A run of one value: sparse, and no residual is not zero."""
    return run(sparse=1, base=base)


def zigzag(value, width):
    """A number of a run header, in so many bytes."""
    return (2 * value if value >= 0 else -2 * value - 1).to_bytes(width, "little")


def column_of(*parts, flags=0):
    return bytes([flags]) + b"".join(parts)


def bits(*numbers):
    """Numbers of so many bits, least significant first, padded to whole bytes."""
    string = "".join(format(value, f"0{width}b")[::-1] for value, width in numbers if width)
    string += "0" * (-len(string) % 8)
    return bytes(int(string[i : i + 8][::-1], 2) for i in range(0, len(string), 8))


def unary(*numbers):
    return bits(*[(1 << n, n + 1) for n in numbers])


def file_with(type_, values=None, **options):
    """A valid file of 16 records, phases 0 and 1 by turns, whose only further field is `x`."""
    if type_ == "enum":
        options.setdefault("enumeration", "phase")
    schema = schema_of(RecordField(name="x", type=type_, **options))
    n = np.arange(16)
    if values is None:
        values = [{}] * 16 if type_ == "config" else n % 2
    if "[" in type_:
        values = np.stack([n % 2] * 2, axis=1)
    return take_apart(to_bytes({"timestamp": n, "phase": n % 2, "x": values}, schema))


def body_of(columns, *, head=(16, 0, 15), lengths=None, undeclared=(), num_undeclared=None):
    """The body of a BATCH with these declared columns; lengths may lie."""
    lengths = [len(column) for column in columns] if lengths is None else lengths
    count = len(undeclared) if num_undeclared is None else num_undeclared
    directory = struct.pack(f"<{len(lengths)}I", *lengths) + struct.pack("<I", count)
    directory += b"".join(struct.pack("<II", *entry) for entry in undeclared)
    return struct.pack("<IQQ", *head) + directory + b"".join(columns)


def columns_of(body, num_columns):
    """The declared columns of a BATCH body without undeclared ones."""
    lengths = struct.unpack_from(f"<{num_columns}I", body, 20)
    at, found = 20 + 4 * num_columns + 4, []
    for length in lengths:
        found.append(body[at : at + length])
        at += length
    assert at == len(body)
    return found


def with_columns(file, change):
    """Change the list of the BATCH's columns; the directory follows."""
    place = file.place_of(BATCH)
    body = file.blocks[place].body
    num_columns = len(declared_columns(file))
    return file.with_body(place, body_of(change(columns_of(body, num_columns))))


def declared_columns(file):
    """The columns that the SCHEMA declares, one for each component."""
    found = []
    for field in json.loads(file.blocks[0].body)["record"]["fields"]:
        size = field["type"].partition("[")[2].rstrip("]")
        found += [field["name"]] * int(size or 1)
    return found
