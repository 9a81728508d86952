"""A reader of closed files in plain Python, as SPEC.md has it: no numpy, no construct, no cmeta.

Section numbers are those of SPEC.md; what stands in a column is read by `plain_columns`.
"""

import json
import struct

from plain_columns import ONES, Cursor, column, require, u64

# --------------------------------------------------------------------------------- 4. Checksums

POLY = 0x42F0E1EBA9EA3693
REVERSED_POLY = int(f"{POLY:064b}"[::-1], 2)


def _table_entry(byte):
    for _ in range(8):
        byte = (byte >> 1) ^ (REVERSED_POLY if byte & 1 else 0)
    return byte


TABLE = [_table_entry(byte) for byte in range(256)]


def crc(data):
    register = ONES
    for byte in data:
        register = TABLE[(register ^ byte) & 0xFF] ^ (register >> 8)
    return register ^ ONES


def masked(value):
    rotated = u64(value >> 17 | value << (64 - 17))
    return u64(rotated + 0x9E3779B97F4A7C15)


# ----------------------------------------------------------------- 3. Layout of a file, 5. Blocks

MAGIC, VERSION = 0x0C0DA55E, 0x0100
SCHEMA, CONFIG, NAME, BATCH, INDEX = 1, 2, 3, 4, 5


def read(data):
    """Return schema and records (by dotted name, what is present) of a closed file."""
    signature, version, count = struct.unpack_from("<IHI", data)
    require((signature, version) == (MAGIC, VERSION), "header")
    (checksum,) = struct.unpack_from("<Q", data, len(data) - 8)
    require(crc(data[10:-8]) == checksum, "checksum")
    schema, configs, names, records = None, [], [], []
    at, kind = 10, SCHEMA
    while kind != INDEX:
        kind, body, at = block(data, at)
        if kind == SCHEMA:
            schema = parse_json(body)
        elif kind == CONFIG:
            configs.append(parse_json(body))
        elif kind == NAME:
            names.append(body.decode())
        elif kind == BATCH:
            records += batch(body, schema, configs, names)
    require(at == len(data) - 8 and len(records) == count, "INDEX")
    return schema, records


def status(data):
    """Return how the run ended, by its number (5.5)."""
    (index_offset,) = struct.unpack_from("<Q", data, len(data) - 24)
    kind, body, _ = block(data, index_offset)
    (code,) = struct.unpack_from("<H", body, 2)
    require(kind == INDEX and code <= 4, "status")
    return code


def parse_json(body):
    """Parse JSON, whose numbers are binary64 also where they look like integers (6)."""
    return json.loads(body, parse_int=lambda digits: exact_or_float(int(digits)))


def exact_or_float(number):
    return number if abs(number) < 2**53 else float(number)


def block(data, at):
    kind, flags, reserved, length = struct.unpack_from("<BBHI", data, at)
    end = at + 8 + length + 8
    require(end <= len(data) and (flags, reserved) == (1, 0), "frame")
    (stored,) = struct.unpack_from("<Q", data, end - 8)
    require(masked(crc(data[at : end - 8])) == stored, "masked_crc")
    return kind, data[at + 8 : end - 8], end


def batch(body, schema, configs, names):
    count, first, last = struct.unpack_from("<IQQ", body)
    columns = columns_of(schema)
    cursor = Cursor(body)
    cursor.take(20)
    lengths = [cursor.uint(4) for _ in columns]
    group = next((g["name"] for g in schema["record"].get("groups", []) if g.get("open")), None)
    for _ in range(cursor.uint(4)):
        field = {"name": names[cursor.uint(4)], "group": group, "type": "f64", "exact": True}
        columns.append(field)
        lengths.append(cursor.uint(4))
    pieces = [cursor.take(length) for length in lengths]
    require(cursor.at == len(body), "directory")
    phases = column(pieces[1], columns[1], count, [0] * count)
    rows = [{} for _ in range(count)]
    for field, piece in zip(columns, pieces, strict=True):
        if piece:
            cells = column(piece, field, count, phases)
            for row, cell in zip(rows, cells, strict=True):
                if cell is not None:
                    _put(row, field, cell, schema, configs)
    require(rows[0]["timestamp"] == first and rows[-1]["timestamp"] == last, "timestamps")
    return rows


def columns_of(schema):
    """Return the field of each declared column; a vector's stands there for each component."""
    columns = []
    for field in schema["record"]["fields"]:
        size = field["type"].partition("[")[2].rstrip("]")
        columns += [field] * int(size or 1)
    return columns


def path_of(field):
    return f"{field['group']}.{field['name']}" if "group" in field else field["name"]


def _put(row, field, cell, schema, configs):
    path = path_of(field)
    if field["type"] == "enum":
        row[path] = schema["enumerations"][field["enumeration"]]["values"][cell]
    elif field["type"] == "config":
        row[path] = configs[cell]
    elif "[" in field["type"]:
        row[path] = (*row.get(path, ()), cell)
    else:
        row[path] = cell
