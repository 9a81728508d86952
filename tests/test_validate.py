"""`validate`: all that is wrong with a file, in one report."""

import numpy as np
import pytest

import cmeta
from cmeta import Report
from cmeta.format.encoder import Encoder
from cmeta.format.grammar import grammar_of
from cmeta.records.convert import Converter
from cmeta.schema.load import shipped_format

SCHEMA = cmeta.default_schema().with_batch_records(16)
GRAMMAR = grammar_of(shipped_format())
COLUMNS = {
    "phase": ["train", "validate"] * 25,
    "timestamp": np.arange(50) * 3,
    "loss_value": np.linspace(1, 2, 50, dtype=np.float32),
    "metrics.x": np.arange(50) / 8,
    "config": [{"a": i // 25} for i in range(50)],
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("checker") / "run.cmeta"
    cmeta.write(path, COLUMNS, SCHEMA)
    return path.read_bytes()


@pytest.fixture(scope="module")
def blocks(data):
    """Return (name, offset, end) of every block."""
    found, at = [], GRAMMAR.header.size
    while at < len(data) - GRAMMAR.trailer.size:
        head = GRAMMAR.frame_head.parse(data[at : at + GRAMMAR.frame_head.size])
        end = at + GRAMMAR.len_frame + head["len_body"]
        found.append((GRAMMAR.names[head["kind"]], at, end))
        at = end
    return found


def flipped(data, *offsets):
    damaged = bytearray(data)
    for offset in offsets:
        damaged[offset] ^= 1
    return bytes(damaged)


def test_a_valid_file(data, tmp_path):
    path = tmp_path / "run.cmeta"
    path.write_bytes(data)
    report = cmeta.validate(path)
    assert report == Report(str(path), "closed", False, 50, 4, len(data), [])
    assert report.ok
    assert str(report) == f"{path}: closed, 50 records in 4 batches, {len(data):,} bytes: valid"
    path.unlink()  # the file has been closed


@pytest.mark.parametrize("form", [bytes, bytearray, memoryview])
def test_bytes_are_validated_too(data, form):
    assert cmeta.validate(form(data)).ok
    assert cmeta.validate(form(data)).name == f"<{len(data)} bytes>"


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        cmeta.validate(tmp_path / "nowhere.cmeta")


@pytest.mark.parametrize("content", [b"", b"\0", b"not a chronicle", b"\x5e\xa5\x0d\x0c\x00\x01"])
def test_what_is_no_chronicle_is_unreadable(content):
    report = cmeta.validate(content)
    assert (report.state, report.ok, report.num_records) == ("unreadable", False, 0)
    (finding,) = report.findings
    assert finding.path.startswith("header.")
    assert str(report) == (
        f"<{len(content)} bytes>: unreadable, 0 records in 0 batches, {len(content)} bytes: "
        f"1 finding\n  {finding}"
    )


def test_all_that_is_wrong_is_found(data, blocks):
    """Two batches, the configuration between them, and with them the checksums of the whole."""
    wrong = [block for block in blocks if block[0] in ("BATCH", "CONFIG")][2:5]
    assert [name for name, _, _ in wrong] == ["CONFIG", "BATCH", "BATCH"]
    report = cmeta.validate(flipped(data, *(end - 9 for _, _, end in wrong)))
    assert report.state == "closed"
    assert [(f.kind, f.path) for f in report.findings] == [
        ("ChecksumError", "INDEX.running_crc"),
        ("ChecksumError", "trailer.checksum"),
        *[
            ("ChecksumError", f"{name}.masked_crc")
            for name in ("CONFIG[1]", "BATCH[1]", "BATCH[2]")
        ],
    ]
    assert [f.offset for f in report.findings[2:]] == [at for _, at, _ in wrong]


def test_a_damaged_file_is_examined_as_far_as_it_is_intact(data, blocks):
    end = [end for name, _, end in blocks if name == "BATCH"][1]
    report = cmeta.validate(data[: end + 40])
    assert (report.state, report.num_batches, report.num_records) == ("damaged", 2, 32)
    assert [f.kind for f in report.findings] == ["TruncatedError"]
    report = cmeta.validate(flipped(data[: end + 40], end - 12))
    assert (report.state, report.num_records) == ("damaged", 16)


def test_an_open_file_is_not_valid_but_nothing_is_wrong(data, blocks):
    encoder, converter = Encoder(SCHEMA), Converter(SCHEMA)
    content = encoder.begin()
    content += encoder.feed(converter.convert({"phase": ["train"] * 40}, None, 0))
    report = cmeta.validate(content)
    assert (report.state, report.num_records, report.findings) == ("open", 32, [])
    assert not report.ok
    report = cmeta.validate(content + b"\0")
    assert [f.kind for f in report.findings] == ["TruncatedError"]


def test_progress_reaches_the_end(data):
    steps = []
    cmeta.validate(data, progress=lambda done, size: steps.append((done, size)))
    done = [step[0] for step in steps]
    assert done == sorted(done)
    assert {size for _, size in steps} == {len(data)}
    assert 0 < done[0] < done[-1] <= len(data)


# --------------------------------------------------------------- canonical bytes, checksums right


def assemble(*blocks, num_records):
    """Return a closed file of (kind's name, body) blocks, whatever they hold."""
    encoder = Encoder(SCHEMA)
    content = encoder.begin()
    for name, body in blocks:
        row = (0, 0, 0)
        if name == "BATCH":
            head = GRAMMAR.batch_head.parse(body[: GRAMMAR.batch_head.size])
            row = tuple(head.values())
        content += encoder._block(name, body, row)
        if row[0] == SCHEMA.batch_records:
            encoder.progress.running_crc = encoder.progress.crc
    encoder.progress.num_records = num_records
    content += encoder.finish()
    return encoder.header(num_records) + content[GRAMMAR.header.size :]


def body_of(columns):
    """Return the body of the only BATCH that columns give, and what stands before it."""
    encoder = Encoder(SCHEMA)
    encoder.begin()
    content = encoder.feed(Converter(SCHEMA).convert(columns, None, 0)) + encoder.finish()
    at, found = 0, []
    while at < len(content) - GRAMMAR.trailer.size:
        head = GRAMMAR.frame_head.parse(content[at : at + GRAMMAR.frame_head.size])
        start = at + GRAMMAR.frame_head.size
        found.append((GRAMMAR.names[head["kind"]], content[start : start + head["len_body"]]))
        at = start + head["len_body"] + GRAMMAR.frame_tail.size
    return found[:-1]


A, B = b'{"a":1}', b'{"b":2}'
PLAIN = {"phase": ["train"] * 3}
NAMED = PLAIN | {"metrics.x": [1.0, 2.0, 4.0], "metrics.y": [1.0, 1.0, 2.0]}


def test_what_is_assembled_is_valid():
    for columns in (PLAIN, NAMED, PLAIN | {"config": [{"a": 1}] * 3}):
        assert cmeta.validate(assemble(*body_of(columns), num_records=3)).ok


def with_column(columns, place, text):
    """Return the blocks of columns with one column replaced."""
    *before, (name, body) = body_of(columns)
    fields = GRAMMAR.bodies["BATCH"].parse(body, num_columns=SCHEMA.num_columns)
    lengths = fields["len_columns"].tolist()
    at = sum(lengths[:place])
    rest = fields["columns"]
    column = bytes.fromhex(text)
    fields["columns"] = rest[:at] + column + rest[at + lengths[place] :]
    lengths[place] = len(column)
    fields["len_columns"] = lengths
    return [*before, (name, GRAMMAR.bodies["BATCH"].build(fields, num_columns=SCHEMA.num_columns))]


def test_a_name_twice():
    *_, batch = body_of(PLAIN)
    report = cmeta.validate(assemble(("NAME", b"z"), ("NAME", b"z"), batch, num_records=3))
    (finding,) = report.findings
    assert (finding.kind, finding.path) == ("CorruptError", "NAME")
    assert finding.message == "found the name 'z' twice"


def test_phases_that_go_back_from_batch_to_batch():
    """The INDEX tells timestamps only: at one timestamp a phase may go back unnoticed by it."""
    (first,) = body_of({"phase": ["validate"] * 16, "timestamp": [5] * 16})
    (second,) = body_of({"phase": ["dream"], "timestamp": [5]})
    report = cmeta.validate(assemble(first, second, num_records=17))
    (finding,) = report.findings
    assert (finding.kind, finding.path) == ("CorruptError", "BATCH[1]")
    assert "(timestamp 5, dream) comes after (timestamp 5, validate)" in finding.message


NAMES = body_of(NAMED)
CHOICES = {
    "a dense constant": (with_column(PLAIN, 1, "00" "0800" "02" "00"), "BATCH[0]"),
    "another form": (with_column(PLAIN, 0, "00" "0000" "01" "25"), "BATCH[0]"),
    "classes that are all 0": (
        with_column(PLAIN | {"loss_value": [1.0] * 3}, 14, "01" "00" "0400" "1c00" "80841e00"),
        "BATCH[0]",
    ),
    "a column without values": (with_column(PLAIN, 14, "01" "00" "0c00" "08"), "BATCH[0]"),
    "configurations without values": (with_column(PLAIN, 18, "01" "00" "0c00" "08"), "BATCH[0]"),
    "a configuration that is not used": ([("CONFIG", A), *body_of(PLAIN)], "CONFIG[0]"),
    "a configuration twice": (
        [("CONFIG", A), *body_of(PLAIN | {"config": [{"a": 1}] * 3})], "CONFIG[1]",
    ),
    "a name that is not used": ([("NAME", b"z"), *body_of(PLAIN)], "NAME[0]"),
    "names in another order": ([NAMES[1], NAMES[0], NAMES[2]], "NAME[0]"),
    "a name before a configuration": (
        [("NAME", b"x"), ("CONFIG", A), body_of(PLAIN | {"config": [{"a": 1}] * 3,
         "metrics.x": [1.0] * 3})[-1]], "NAME[0]",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("blocks", "place"), CHOICES.values(), ids=CHOICES)
def test_bytes_that_a_writer_must_not_choose(blocks, place):
    content = assemble(*blocks, num_records=3)
    with cmeta.open(content) as run:
        assert run.read().num_records == 3, "it can be read"
    report = cmeta.validate(content)
    (finding,) = report.findings
    assert finding.kind == "CanonicalError"
    assert finding.path.startswith(place)
    assert GRAMMAR.header.size < finding.offset < len(content)
    if "without values" not in finding.message:
        assert "where a writer must put" in finding.message
        assert cmeta.validate(content, canonical=False).ok


@pytest.mark.parametrize("place", [14, 18], ids=["loss_value", "config"])
def test_a_column_without_values_in_a_full_batch(place):
    blocks = with_column({"phase": ["train"] * 16}, place, "01000c0008")
    (finding,) = cmeta.validate(assemble(*blocks, num_records=16)).findings
    assert (finding.kind, finding.path.startswith("BATCH[0]")) == ("CanonicalError", True)
    assert finding.message == "found a column without values, expected it to be left out"


# ------------------------------------------------------------------- small files of many values


@pytest.fixture
def alike(tmp_path):
    """A small file of four million values, in two batches."""
    path = tmp_path / "alike.cmeta"
    schema = cmeta.default_schema().with_batch_records(16384)
    columns = {f"metrics.m{i}": np.zeros(32768) for i in range(128)}
    cmeta.write(path, {"timestamp": range(32768), "phase": ["train"] * 32768, **columns}, schema)
    return path


def test_more_values_than_allowed(alike):
    with pytest.raises(cmeta.LimitError, match=r"expected at most 1,000,000 \(max_cells\)"):
        cmeta.validate(alike, max_cells=1_000_000)
    with pytest.raises(cmeta.LimitError, match=r"BATCH\[1\]"):
        cmeta.validate(alike, max_cells=3_000_000)
    assert cmeta.validate(alike, max_cells=130 * 32768).ok


def test_progress_within_a_batch_and_an_interruption_there(alike):
    calls = []

    def interrupt(done, size):
        calls.append(done)
        if len(calls) == 50:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cmeta.validate(alike, progress=interrupt)
    assert len(calls) == 50
    assert calls == sorted(calls)
    calls.clear()
    cmeta.validate(alike, progress=lambda done, size: calls.append((done, size)))
    assert len(calls) > 2 * 128
    assert calls[-1][0] <= calls[-1][1]
