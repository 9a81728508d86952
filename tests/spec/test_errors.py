"""Section 17 of SPEC.md: every condition of its table is met by files, and gives its class."""

import json
import re

import pytest
from craft import Draft, Piece

import cmeta
from cmeta.schema import canonical_json
from tools.specgen.samples import THREE_RECORDS

SCHEMA = THREE_RECORDS.schema
LIMITS = SCHEMA.format.limits
VALID = THREE_RECORDS.data()
NEWER = {"version": SCHEMA.format.version + 1}
TIMESTAMP, PHASE, LOSS, SEED, CONFIG, ACCURACY = range(6)  # columns of the sample


def draft(**changes):
    made = Draft.of(VALID, SCHEMA)
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def with_piece(name, **changes):
    """Return the sample with a block changed."""
    made = draft()
    for key, value in changes.items():
        setattr(made.piece(name), key, value)
    return made.data()


def inserted(*pieces, at=1, **changes):
    """Return the sample with blocks more."""
    made = draft(**changes)
    made.pieces[at:at] = pieces
    return made.data()


def with_batch(change):
    """Return the sample with the fields of its BATCH changed."""
    made = draft()
    batch = made.batch()
    change(batch)
    made.set_batch(batch)
    return made.data()


def with_column(place, hex_digits):
    """Return the sample with another column."""

    def change(batch):
        batch["columns"][place] = bytes.fromhex(hex_digits)

    return with_batch(change)


def with_schema(change):
    """Return the sample with another SCHEMA."""
    plain = json.loads(SCHEMA.embedded)
    change(plain)
    return with_piece("SCHEMA", body=canonical_json.dumps(plain, LIMITS, "schema"))


def with_bytes(at, change):
    data = bytearray(VALID)
    data[at] = change(data[at])
    return bytes(data)


def many_columns(batch):
    batch["numbers"] = list(range(LIMITS.columns_max))
    batch["columns"] = batch["columns"][:-1] + [b"\0"] * LIMITS.columns_max


def set_timestamps(first, last, digits):
    def change(batch):
        batch |= {"first_timestamp": first, "last_timestamp": last}
        batch["columns"][TIMESTAMP] = bytes.fromhex(digits)

    return with_batch(change)


def long_json(opening, closing, length):
    return opening.encode() + b'"' + b"x" * length + b'"' + closing.encode()


# Each condition of the table, by its text, with files that meet it.
CASES = {
    "the file ends within the header": [b"", VALID[:9]],
    "a wrong `signature`": [with_bytes(0, lambda b: b ^ 1), b"not a chronicle at all"],
    "another major version": [with_bytes(5, lambda b: 2), with_bytes(5, lambda b: 0)],
    "a block extends beyond the end of the file": [
        VALID[:12],
        VALID[:40],
        with_bytes(10 + 7, lambda b: 0x7F),
    ],
    "a block extends beyond its end according to INDEX": [
        with_piece("CONFIG", len_more=1),
        with_piece("NAME", entry={"offset": 423}),
    ],
    "a reserved field of a block is not 0": [
        with_piece("SCHEMA", reserved=1),
        with_piece("BATCH", reserved=256),
    ],
    "a block's `masked_crc` does not match": [
        with_piece("CONFIG", crc_more=1),
        with_bytes(414, lambda b: b ^ 1),
    ],
    "a block of an unknown kind, or other flags, in a file of the reader's minor version or an "
    "older one": [
        inserted(Piece("", b"?", kind=200, flags=0)),
        inserted(Piece("", b"?", kind=200, flags=1)),
        with_piece("NAME", flags=0),
        with_piece("NAME", flags=3),
    ],
    "a critical block of an unknown kind in a file of a newer minor version": [
        inserted(Piece("", b"?", kind=200, flags=1), header=NEWER, index=NEWER),
    ],
    "the first block is not SCHEMA": [inserted(Piece("CONFIG", b"{}"), at=0)],
    "SCHEMA or CONFIG is longer than `json_bytes_max`, or nested deeper than `json_depth_max`": [
        with_piece("SCHEMA", body=long_json("", "", LIMITS.json_bytes_max)),
        with_piece("SCHEMA", body=b"[" * 33 + b"]" * 33),
        with_piece("CONFIG", body=long_json('{"a":', "}", LIMITS.json_bytes_max)),
        with_piece("CONFIG", body=b'{"a":' + b"[" * 32 + b"]" * 32 + b"}"),
    ],
    "SCHEMA or CONFIG is not canonical JSON": [
        with_piece("SCHEMA", body=SCHEMA.embedded + b"\n"),
        with_piece("CONFIG", body=b'{"lr": 0.01}'),
        with_piece("CONFIG", body=b'{"lr":0.010}'),
        with_piece("CONFIG", body=b'{"b":1,"a":1}'),
        with_piece("CONFIG", body=b'{"a":1,"a":1}'),
        with_piece("CONFIG", body=b'{"a":NaN}'),
        with_piece("CONFIG", body=b"{"),
        with_piece("CONFIG", body=b"\xff"),
    ],
    "SCHEMA is not a legal schema, or has explicit defaults": [
        with_piece("SCHEMA", body=b"[]"),
        with_piece("SCHEMA", body=b"{}"),
        with_schema(lambda plain: plain["enumerations"].pop("phase")),
        with_schema(lambda plain: plain["record"].update(batch_records=15)),
        with_schema(lambda plain: plain["record"].update(colour="red")),
        with_schema(lambda plain: plain["record"]["fields"].reverse()),
        with_schema(lambda plain: plain["record"]["fields"][2].update(type="f16")),
        with_schema(lambda plain: plain["record"]["fields"][2].update(exact=False)),
        with_schema(lambda plain: plain["record"]["fields"][2].update(quanta_per_unit=1000000)),
    ],
    "`batch_records` in SCHEMA is above `batch_records_max`": [
        with_schema(lambda plain: plain["record"].update(batch_records=2**32)),
        with_schema(lambda plain: plain["record"].update(batch_records=65537)),
    ],
    "CONFIG is not an object": [with_piece("CONFIG", body=b"[]"), with_piece("CONFIG", body=b"1")],
    "NAME is empty, too long, not UTF-8, a declared metric, or a duplicate": [
        with_piece("NAME", body=b""),
        with_piece("NAME", body=b"x" * 256),
        with_piece("NAME", body=b"\xff"),
        inserted(Piece("NAME", b"accuracy"), at=2),
    ],
    "the file is not open and ends before INDEX": [VALID[:404], VALID[:584]],
    "the file ends within the trailer": [VALID[:-1], VALID[:-8]],
    "there are bytes after the trailer": [VALID + b"\0", draft(behind=b"\n").data()],
    "INDEX contradicts the header, its own offset, or a rule of [5.5](#55-index)": [
        with_bytes(6, lambda b: 4),
        with_bytes(4, lambda b: 1),
        draft(index={"index_offset": 404}).data(),
        draft(index={"version": 0x0101}).data(),
        draft(index={"records_count": 4}).data(),
        with_piece("SCHEMA", entry={"offset": 11}),
        with_piece("CONFIG", entry={"kind": 1}),
        with_piece("CONFIG", entry={"kind": 5}),
        with_piece("CONFIG", entry={"reserved": 1}),
        with_piece("CONFIG", entry={"records_count": 1}),
        with_piece("CONFIG", entry={"first_timestamp": 1}),
        with_piece("CONFIG", entry={"last_timestamp": 1}),
        with_piece("BATCH", entry={"records_count": 17}),
        with_piece("BATCH", entry={"first_timestamp": 8}),
        draft(pieces=[*draft().pieces, draft().pieces[-1]]).data(),
    ],
    "an unknown `status`, in a file of the reader's minor version or an older one": [
        draft(index={"status": 5}).data(),
        draft(index={"status": 0xFFFF}).data(),
    ],
    "a block or the head of a BATCH contradicts its entry in INDEX": [
        with_piece("CONFIG", entry={"kind": 3}),
        with_piece("CONFIG", entry={"flags": 0}),
        with_piece("BATCH", entry={"first_timestamp": 5}),
        with_piece("BATCH", entry={"last_timestamp": 8}),
    ],
    "`running_crc` or the trailer's `checksum` does not match": [
        draft(index={"running_crc": 1}).data(),
        draft(checksum_more=1).data(),
    ],
    "a BATCH has too many columns or cells": [with_batch(many_columns)],
    "the directory of a BATCH breaks a rule of [5.4](#54-batch)": [
        with_batch(lambda batch: batch.update(numbers=[1])),
        with_batch(lambda b: b.update(numbers=[0, 0], columns=[*b["columns"], b["columns"][-1]])),
        with_column(ACCURACY, ""),
        with_column(TIMESTAMP, ""),
        with_column(PHASE, ""),
        with_piece("BATCH", body=draft().piece("BATCH").body + b"\0"),
    ],
    "a directory has more items than fit in the remaining bytes": [
        with_piece("BATCH", body=draft().piece("BATCH").body[:40] + b"\xff" * 40),
    ],
    "a column ends before its flags, run headers, k bytes, remainders or quotients do": [
        with_column(SEED, "00"),
        with_column(SEED, "00 26"),
        with_column(SEED, "00 26 03 26 c9"),
        with_column(PHASE, "00 00 00"),
        with_column(PHASE, "00 00 00 05 00"),
        with_column(PHASE, "00 00 00 01"),
        with_column(PHASE, "00 00 00 01 03"),
        with_column(SEED, "02"),
        with_column(LOSS, "01"),
    ],
    "a column breaks another requirement of [11](#11-reading-a-column)": [
        with_column(CONFIG, "08 04 00"),
        with_column(PHASE, "01 00 00 01 0b"),
        with_column(PHASE, "04 00 00 01 0b"),
        with_column(TIMESTAMP, "02 09 00 0e 01 0e"),
        with_column(CONFIG, "02 02 00 04 00"),
        with_column(CONFIG, "00 04 80"),
        with_column(CONFIG, "00 2c 00 00"),
        with_column(CONFIG, "00 0c 00 00"),
        with_column(CONFIG, "00 04 02 02"),
        with_column(CONFIG, "00 00 10 02"),
        with_column(CONFIG, "00 04 01 ff ff ff ff ff ff ff ff"),
        with_column(CONFIG, "00 04 10 03"),
        with_column(CONFIG, "00 00 00 42"),
        with_column(CONFIG, "00 0c 00 02"),
        with_column(CONFIG, "00 0c 00 01"),
        with_column(PHASE, "00 00 00 01 23"),
        with_column(LOSS, "01 00 0c 00 0a de 02 60 e3 16 00 8f d0 03 00 01"),
        with_column(LOSS, "00 24 00 ff ff ff ff ff ff ff 7f"),
    ],
    "bytes are left after the last quotient": [with_column(CONFIG, "00 04 00 00")],
    "timestamps or phases go back, or contradict the BATCH": [
        set_timestamps(6, 7, "00 09 00 0c 01 0e"),
        set_timestamps(5, 7, "00 09 00 0e 01 0e"),
        with_column(PHASE, "00 00 00 01 0d"),
    ],
    "the file can be read, but a rule of [13](#13-canonical-rules) is broken": [
        inserted(Piece("CONFIG", b"{}"), at=2),
        inserted(Piece("NAME", b"never"), at=3),
        with_column(CONFIG, "00 00 00 00"),
        with_column(SEED, "01 00 04 00 26 03 26 c9 12 f6 24 a8 08 a7 ea 83 b5 80 46 86 c8 61 01"),
        with_column(PHASE, "00 01 00 01 13"),
    ],
}
ELSEWHERE = {"the result of a query would exceed `max_bytes`"}


@pytest.fixture(scope="module")
def conditions(text):
    """Return the class of each condition of the table."""
    section = text.split("## 17. Error conditions")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (.+?) \| (\w+) \|$", section.split("| Condition |")[1], re.MULTILINE)
    return dict(rows)


def test_every_condition_has_a_case(conditions):
    assert set(conditions) == set(CASES) | ELSEWHERE


def test_the_sample_is_put_together_as_it_was():
    assert draft().data() == VALID
    made = draft()
    made.set_batch(made.batch())
    assert made.data() == VALID


@pytest.mark.parametrize("condition", CASES)
def test_a_condition_gives_its_class(conditions, condition):
    for number, data in enumerate(CASES[condition]):
        report = cmeta.validate(data)
        assert not report.ok, number
        found = [finding.kind.removesuffix("Error") for finding in report.findings]
        assert conditions[condition] in found, (number, [str(f) for f in report.findings])


def test_nothing_else_leaves_the_reader():
    outside = False
    for files in CASES.values():
        for data in files:
            try:
                with cmeta.open(data) as run:
                    run.read()
            except cmeta.DecodeError as error:
                outside |= not 0 <= error.offset <= len(data)
    assert not outside


def test_an_answer_beyond_max_bytes(conditions):
    with cmeta.open(VALID) as run, pytest.raises(cmeta.LimitError):
        run.read(max_bytes=10)
    assert conditions["the result of a query would exceed `max_bytes`"] == "Limit"


def test_a_newer_minor_version_may_add_what_can_be_skipped():
    added = Piece("", b"later", kind=200, flags=0)
    made = Draft.of(VALID, SCHEMA)
    made.pieces.insert(3, added)
    made.header = made.index = NEWER
    plain = json.loads(SCHEMA.embedded)
    plain["colour"] = "red"
    plain["record"]["colour"] = "red"
    plain["record"]["fields"][2] |= {"colour": "red", "quanta_per_unit": 1000000}
    made.piece("SCHEMA").body = canonical_json.dumps(plain, LIMITS, "schema")
    made.piece("NAME").flags = 3
    data = made.data()
    assert cmeta.validate(data).ok
    with cmeta.open(data) as run, cmeta.open(VALID) as known:
        assert list(run) == list(known)
