"""The two files that SPEC.md explains: their bytes, their annotations, and the golden copies."""

import json
import re

import plain_reader
import pytest

import cmeta
from cmeta.format.encoder import Encoder
from cmeta.schema.schema import default_schema
from tools.specgen.annotate import explain, text_of
from tools.specgen.samples import SAMPLES, SMALLEST, THREE_RECORDS
from tools.specgen.vectors import expected, write_vectors

LINE = re.compile(r"^ *(\d+)  ((?:[0-9a-f]{2} )*[0-9a-f]{2})(?: |$)")

by_name = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)


def bytes_of(dump):
    """Return the bytes that the lines of a dump hold, each at its offset."""
    data = b""
    for line in dump.split("```text\n")[1].splitlines()[1:-1]:
        offset, digits = LINE.match(line).groups()
        assert int(offset) == len(data)
        data += bytes.fromhex(digits)
    return data


@by_name
def test_a_dump_is_the_file_that_a_writer_makes(sample, written, tmp_path):
    path = tmp_path / "run.cmeta"
    cmeta.write(path, sample.columns, schema=sample.schema, config=sample.config)
    assert bytes_of(written[f"dump-{sample.name}"]) == path.read_bytes()


@by_name
def test_a_golden_file_is_what_a_writer_makes(sample, root):
    golden = root / "tests" / "vectors" / f"{sample.name}.cmeta"
    assert golden.read_bytes() == sample.data()
    assert cmeta.validate(golden).ok


@by_name
def test_a_golden_file_gives_back_what_was_written(sample, root):
    folder = root / "tests" / "vectors"
    wanted = json.loads((folder / f"{sample.name}.json").read_text("utf-8"))
    assert wanted == expected(sample)
    schema, records = plain_reader.read((folder / f"{sample.name}.cmeta").read_bytes())
    assert schema == wanted["schema"]
    assert [{path: as_json(v) for path, v in row.items()} for row in records] == wanted["records"]


def as_json(value):
    if isinstance(value, int) and abs(value) >= 2**53:
        return f"0x{value:X}"
    return "NaN" if value != value else value


@by_name
def test_every_byte_is_explained_once(sample):
    data = sample.data()
    rows = explain(data, sample.schema)
    assert b"".join(row.data for row in rows) == data
    at = 0
    for row in rows:
        assert row.offset == at
        assert row.data
        at += len(row.data)
    paths = [row.path for row in rows]
    assert len(set(paths)) == len(paths)


def test_annotations_are_the_values():
    rows = {row.path: row for row in explain(THREE_RECORDS.data(), THREE_RECORDS.schema)}
    assert rows["header.signature"].value == "0x0C0DA55E"
    assert rows["CONFIG[0].config"].value == '{"lr":0.01}'
    assert rows["NAME[0].name"].value == "accuracy"
    assert rows["BATCH[0].records_count"].value == "3"
    assert rows["BATCH[0].loss.flags"].value == "has_classes = 1"
    assert rows["BATCH[0].loss.classes.quotients"].value == "0, 1, 0"
    assert rows["BATCH[0].metrics.accuracy.run[0].base"].value == "9"
    assert rows["INDEX.index_offset"].value == str(rows["INDEX.kind"].offset)
    stored = int.from_bytes(rows["trailer.checksum"].data, "little")
    assert rows["trailer.checksum"].value == f"0x{stored:016X}"


def test_other_files_are_explained_too(tmp_path):
    """Palettes, split, sparse runs, vectors and several batches, which the samples lack."""
    schema = default_schema().with_batch_records(16)
    path = tmp_path / "run.cmeta"
    cmeta.write(
        path,
        {
            "phase": ["train", "validate"] * 20,
            "timestamp": [i // 2 for i in range(40)],
            "loss_value": [0.9, 0.1, 0.4, 0.1] * 10,
            "tensor_signature": [[0.25, i / 8, 1.5] for i in range(40)],
            "epoch": [5, 1003, 0, 5, 5, 0, 1003, 5, 0, 0, 5, 1003, 5, 0, 1003, 5] * 2 + [0] * 8,
            "metrics.lr": [None] * 39 + [0.1],
            "step": ([0] * 5 + [7] + [0] * 7 + [900, 0, 0]) * 2 + [0] * 8,
        },
        schema=schema,
    )
    rows = explain(path.read_bytes(), schema)
    assert b"".join(row.data for row in rows) == path.read_bytes()
    paths = " ".join(row.path for row in rows)
    assert "palette_count" in paths
    assert "BATCH[2].tensor_signature[2].run[0]" in paths
    assert "run[1]" in paths
    assert "remainders" in paths
    assert "step.run[0].count" in paths
    assert "BATCH[2].metrics.lr" in paths
    assert text_of(rows).count("\n") > 200


def test_no_valid_file_is_shorter():
    """Whatever is taken out of the smallest file's schema makes it illegal."""
    encoder = Encoder(SMALLEST.schema)
    assert len(SMALLEST.data()) == len(encoder.begin() + encoder.finish())
    plain = json.loads(SMALLEST.schema.embedded)
    assert plain["record"]["batch_records"] == SMALLEST.schema.format.limits.batch_records_min
    assert [len(f["codec"]) for f in plain["record"]["fields"]] == [2, 2]
    assert plain["enumerations"] == {"phase": {"values": ["a"]}}


def test_vectors_are_written_by_their_own_command_only(tmp_path):
    paths = write_vectors(tmp_path)
    assert sorted(path.name for path in paths) == sorted(
        f"{sample.name}.{suffix}" for sample in SAMPLES for suffix in ("cmeta", "json")
    )
    assert all(path.stat().st_size for path in paths)
