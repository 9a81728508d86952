"""A writer of whole files in plain Python, as SPEC.md has it: numbers, blocks, INDEX, trailer.

Section numbers are those of SPEC.md; what stands in a column is written by `plain_writer`.
"""

import struct

import plain_writer
import rfc8785
from plain_columns import chain_of, scalar_of
from plain_reader import (
    BATCH,
    CONFIG,
    INDEX,
    MAGIC,
    NAME,
    SCHEMA,
    VERSION,
    columns_of,
    crc,
    masked,
    path_of,
)

QUANTA = 1000000


def write(schema, records, status=0):
    """Return the bytes of a closed file; records are as `plain_reader.read` gives them."""
    size = schema["record"]["batch_records"]
    file = File()
    file.add(SCHEMA, rfc8785.dumps(schema))
    file.running = crc(file.payload)
    configs, names = {}, {}
    for start in range(0, len(records), size):
        rows = records[start : start + size]
        for body in first_uses(config_bytes(rows, schema), configs):
            file.add(CONFIG, body)
        for name in new_names(rows, schema, names):
            file.add(NAME, name.encode())
        first, last = rows[0]["timestamp"], rows[-1]["timestamp"]
        body = batch(rows, schema, configs, names)
        file.add(BATCH, body, (len(rows), first, last))
        if len(rows) == size:
            file.running = crc(file.payload)
    return file.finish(len(records), status)


class File:
    """Blocks, and what INDEX must say of them (5)."""

    def __init__(self):
        self.payload, self.entries, self.running = b"", [], 0

    def add(self, kind, body, of_batch=(0, 0, 0)):
        count, first, last = of_batch
        offset = 10 + len(self.payload)
        self.entries.append(struct.pack("<BBHIQQQ", kind, 1, 0, count, offset, first, last))
        block = struct.pack("<BBHI", kind, 1, 0, len(body)) + body
        self.payload += block + struct.pack("<Q", masked(crc(block)))

    def finish(self, count, status=0):
        entries, offset = b"".join(self.entries), 10 + len(self.payload)
        head = struct.pack("<HHII", VERSION, status, count, len(self.entries))
        self.add(INDEX, head + entries + struct.pack("<QQ", self.running, offset))
        header = struct.pack("<IHI", MAGIC, VERSION, count)
        return header + self.payload + struct.pack("<Q", crc(self.payload))


def config_bytes(rows, schema):
    fields = [f["name"] for f in schema["record"]["fields"] if f["type"] == "config"]
    return [rfc8785.dumps(row[name]) for row in rows for name in fields if name in row]


def first_uses(used, known):
    """Number what is not known, in the order of its first use (8)."""
    new = [item for item in dict.fromkeys(used) if item not in known]
    for item in new:
        known[item] = len(known)
    return new


def new_names(rows, schema, known):
    """Number the undeclared metrics that are not known (8)."""
    declared = {path_of(field) for field in schema["record"]["fields"]}
    used = []
    for row in rows:
        undeclared = [path.partition(".")[2] for path in row if path not in declared]
        used += sorted(undeclared, key=str.encode)
    return first_uses(used, known)


def batch(rows, schema, configs, names):
    """Return the body of a BATCH (5.4)."""
    enumerations = schema["enumerations"]
    phases = [enumerations["phase"]["values"].index(row["phase"]) for row in rows]
    columns, places = [], {}
    for field in columns_of(schema):
        path = path_of(field)
        place = places[path] = places.get(path, -1) + 1
        cells = [row.get(path) for row in rows]
        if "[" in field["type"]:
            cells = [None if cell is None else cell[place] for cell in cells]
        elif field["type"] == "enum":
            labels = enumerations[field["enumeration"]]["values"]
            cells = [None if cell is None else labels.index(cell) for cell in cells]
        elif field["type"] == "config":
            cells = [None if cell is None else configs[rfc8785.dumps(cell)] for cell in cells]
        columns.append(column(cells, field, phases))
    group = next((g["name"] for g in schema["record"].get("groups", []) if g.get("open")), "")
    others = []
    for name, number in names.items():
        cells = [row.get(f"{group}.{name}") for row in rows]
        data = column(cells, {"type": "f64", "exact": True}, phases)
        others += [(number, data)] if data else []
    head = struct.pack("<IQQ", len(rows), rows[0]["timestamp"], rows[-1]["timestamp"])
    head += b"".join(struct.pack("<I", len(data)) for data in columns)
    head += struct.pack("<I", len(others))
    head += b"".join(struct.pack("<II", number, len(data)) for number, data in others)
    return head + b"".join(columns) + b"".join(data for _, data in others)


def column(cells, field, phases):
    """Return the bytes of a column; none if no record has the field."""
    if all(cell is None for cell in cells):
        return b""
    quanta = 0 if field.get("exact") else field.get("quanta_per_unit", QUANTA)
    kind = scalar_of(field)
    return plain_writer.column(cells, kind, phases, chain_of(field), quanta=quanta)
