"""A run of 100 records in batches of 16: every kind of field, some absent, two metrics undeclared.

Timestamps are 10, 10, 20, 20, ...: every one stands twice.
"""

from itertools import pairwise

import numpy as np
import pytest

import cmeta
from cmeta import CycleRecord
from cmeta.format.block import encode_block
from cmeta.format.encoder import Encoder
from cmeta.format.grammar import grammar_of
from cmeta.records.convert import Converter
from cmeta.records.record import flatten
from cmeta.schema.load import shipped_format

NUM = 100
SCHEMA = cmeta.default_schema().with_batch_records(16).with_phases("test")
CONFIGS = [{"lr": 0.1}, {"lr": 0.01}]
STATES = ["stable", "oscillating", "degrading", "diverging"]


def record(i):
    """Return record i, as plain as its definition."""
    metrics = {"entropy": i / 4, "accuracy": i / 64, "late": 1.0 / (i + 1), "state": STATES[i % 4]}
    if i < 50:
        del metrics["late"]
    if i % 3:
        del metrics["state"]
    return CycleRecord(
        phase="train" if i % 2 == 0 else "validate",
        timestamp=10 + i // 2 * 10,
        metrics=metrics,
        tensor_signature=(i / 2, -1.0, 0.0) if i % 5 else None,
        loss_value=(NUM - i) / 64 if i % 7 else None,
        seed_state=(i * 0x9E3779B97F4A7C15) % 2**64,
        config=CONFIGS[i // 60],
        epoch=i // 10,
    )


@pytest.fixture(scope="session")
def records():
    """Return the run as records."""
    return [record(i) for i in range(NUM)]


@pytest.fixture(scope="session")
def path(records, tmp_path_factory):
    """Return the path of the run as a closed file."""
    found = tmp_path_factory.mktemp("reader") / "run.cmeta"
    cmeta.write(found, records, SCHEMA)
    return found


@pytest.fixture(scope="session")
def data(path):
    """Return the bytes of the closed file."""
    return path.read_bytes()


@pytest.fixture(scope="session")
def open_data(records):
    """Return the bytes of the file while it is being written: 96 records in full batches."""
    encoder, converter = Encoder(SCHEMA), Converter(SCHEMA)
    begin = encoder.begin()
    return begin + encoder.feed(
        converter.convert_records([flatten(record, SCHEMA) for record in records], 0)
    )


@pytest.fixture
def run(path):
    """Return the run, opened."""
    with cmeta.open(path) as reader:
        yield reader


@pytest.fixture(scope="session")
def blocks(data):
    """Return (kind's name, offset, end) of every block of the closed file."""
    grammar = grammar_of(shipped_format())
    found, at = [], grammar.header.size
    while at < len(data) - grammar.trailer.size:
        head = grammar.frame_head.parse(data[at : at + grammar.frame_head.size])
        end = at + grammar.len_frame + head["len_body"]
        found.append((grammar.names[head["kind"]], at, end))
        at = end
    return found


def flip(data, offset):
    """Return the bytes with one bit of one byte turned."""
    damaged = bytearray(data)
    damaged[offset] ^= 0x10
    return bytes(damaged)


@pytest.fixture(scope="session")
def damage():
    """Return `flip`."""
    return flip


@pytest.fixture(scope="session")
def assert_same():
    """Return a comparison of `Columns`, NaN equal to NaN."""

    def compare(found, expected):
        assert list(found) == list(expected)
        for name in expected:
            assert found[name].dtype == expected[name].dtype
            np.testing.assert_array_equal(found[name], expected[name])
            np.testing.assert_array_equal(found.present[name], expected.present[name])

    return compare


# ---------------------------------- files whose checksums are right, but something else is not

GRAMMAR = grammar_of(shipped_format())


class Crafted:
    """The blocks of a file, to be changed and put together again with every CRC made right.

    Attributes
    ----------
    blocks : list of [kind's name, body]
        Without the INDEX, which is made anew.
    index : dict
        What the INDEX shall say otherwise; `entries` is a function of the table.
    header : dict
        What the header shall say otherwise.
    """

    def __init__(self, data):
        with cmeta.open(data) as run:
            self.num_columns = run.schema.num_columns
            self.batch_records = run.schema.batch_records
        self.blocks, self.index, self.header = [], {}, {}
        at = GRAMMAR.header.size
        while at < len(data) - GRAMMAR.trailer.size:
            head = GRAMMAR.frame_head.parse(data[at : at + GRAMMAR.frame_head.size])
            start = at + GRAMMAR.frame_head.size
            body = data[start : start + head["len_body"]]
            self.blocks.append([GRAMMAR.names[head["kind"]], body])
            at += GRAMMAR.len_frame + head["len_body"]
        self.blocks.pop()

    def batch(self, ordinal=0):
        """Return the fields of a BATCH, its columns as a list."""
        body = self._batches()[ordinal][1]
        fields = GRAMMAR.bodies["BATCH"].parse(body, num_columns=self.num_columns)
        lengths = [*fields["len_columns"].tolist(), *fields["undeclared"]["len_column"].tolist()]
        cuts = np.cumsum([0, *lengths]).tolist()
        fields["columns"] = [fields["columns"][a:b] for a, b in pairwise(cuts)]
        return fields

    def put_batch(self, fields, ordinal=0):
        """Replace a BATCH; where `len_columns` is None, the lengths are those of the columns."""
        fields = dict(fields)
        columns = fields["columns"]
        if fields.get("len_columns") is None:
            lengths = [len(column) for column in columns]
            fields["len_columns"] = lengths[: self.num_columns]
            fields["undeclared"] = fields["undeclared"].copy()
            fields["undeclared"]["len_column"] = lengths[self.num_columns :]
        fields["columns"] = b"".join(columns)
        body = GRAMMAR.bodies["BATCH"].build(fields, num_columns=self.num_columns)
        self._batches()[ordinal][1] = body

    def put_column(self, place, data, ordinal=0):
        """Replace one column of a BATCH."""
        fields = self.batch(ordinal)
        fields["columns"][place] = data
        self.put_batch(fields | {"len_columns": None}, ordinal)

    def _batches(self):
        return [block for block in self.blocks if block[0] == "BATCH"]

    def build(self):
        """Return the file."""
        at, crc, running, rows, parts, total = GRAMMAR.header.size, None, 0, [], [], 0
        for name, body in self.blocks:
            block = body if name == "raw" else encode_block(name, body, GRAMMAR)[0]
            row = (0, 0, 0)
            if name == "BATCH" and len(body) >= GRAMMAR.batch_head.size:
                head = GRAMMAR.batch_head.parse(body[: GRAMMAR.batch_head.size])
                row = tuple(head.values())
            crc = GRAMMAR.checksum(block, crc)
            if name == "SCHEMA" or row[0] == self.batch_records:
                running = crc
            rows.append((block[0], block[1], 0, row[0], at, row[1], row[2]))
            total += row[0]
            parts.append(block)
            at += len(block)
        header = {"version": 0x0100, "records_count": total} | self.header
        table = np.array(rows, GRAMMAR.index_entry.dtype)
        fields = header | {
            "status": 0,
            "entries": table,
            "running_crc": running,
            "index_offset": at,
        }
        fields["num_blocks"] = len(table)
        changes = dict(self.index)
        if change := changes.pop("entries", None):
            fields["entries"] = change(table.copy())
            fields["num_blocks"] = len(fields["entries"])
        parts.append(
            encode_block("INDEX", GRAMMAR.bodies["INDEX"].build(fields | changes), GRAMMAR)[0]
        )
        payload = b"".join(parts)
        trailer = GRAMMAR.trailer.build({"checksum": GRAMMAR.checksum(payload)})
        return GRAMMAR.header.build(header) + payload + trailer


@pytest.fixture
def crafted(data):
    """Return the run, taken apart."""
    return Crafted(data)
