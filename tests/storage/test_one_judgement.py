"""Journals that break a rule which only the main file shows: everybody judges them alike.

The intact entries before count, for everybody; the file is damaged, for everybody; nobody goes on
writing after it, and `recover` saves the rest.
"""

import struct

import pytest

import cmeta
from cmeta.format.grammar import grammar_of
from cmeta.format.journal import Framer, RowLayout, read_journal_header
from cmeta.schema.load import shipped_format
from cmeta.source import BytesSource
from cmeta.storage.open import journal_path

SCHEMA = cmeta.default_schema().with_batch_records(16)
GRAMMAR = grammar_of(shipped_format())
NUM_SEALED, NUM_ROWS = 16, 5
LAST = 2**32 - 1


@pytest.fixture
def opened(tmp_path):
    """An open chronicle whose writer died: a batch with a name, then rows with another one."""
    path = tmp_path / "run.cmeta"
    rec = cmeta.Recorder(path, SCHEMA, config={"lr": 0.1})
    for i in range(NUM_SEALED + NUM_ROWS):
        if i == NUM_SEALED:
            rec._session._sealer.rotate()
        rec.log("train", loss=1 / (i + 1), metrics={"a" if i < NUM_SEALED else "b": i}, step=i)
    rec._session._sealer.stop()
    rec._session.is_closed = True
    return path


class Entries:
    """Appends intact entries to the journal of a file."""

    def __init__(self, path):
        self.path = journal_path(path)
        header = read_journal_header(BytesSource(self.path.read_bytes()), GRAMMAR)
        self.framer = Framer(GRAMMAR, header.salt)
        self.ordinal, self.timestamp = NUM_SEALED + NUM_ROWS, 10**18
        self.layout = RowLayout(SCHEMA, GRAMMAR)

    def add(self, kind, body):
        with self.path.open("ab") as file:
            file.write(self.framer.frame(kind, self.ordinal, body))
        self.ordinal += kind == "ROW"

    def define(self, kind, number, body):
        self.add(kind, struct.pack("<I", number) + body)

    def row(self, names=()):
        self.timestamp += 1
        values = [0] * sum(field.num_columns for field in SCHEMA.fields)
        place = 0
        for field in SCHEMA.fields:
            values[place] = {"timestamp": self.timestamp, "phase": 1}.get(field.path, 0)
            place += field.num_columns
        present = (0b11).to_bytes(self.layout.len_present, "little")
        body = struct.pack("<" + self.layout.codes, present, *values, len(names))
        self.add("ROW", body + b"".join(struct.pack("<Id", number, 0.5) for number in names))


def many_names(entries, count):
    for number in range(2, count + 2):
        entries.define("NAME", number, f"name-{number}".encode())


def wide_row(entries):
    many_names(entries, 5000)
    entries.row(range(2, 5002))


def rows_too_wide_together(entries):
    many_names(entries, 5000)
    for start in range(2, 5002, 2500):
        entries.row(range(start, start + 2500))


BROKEN = {
    "the greatest NAME": lambda e: e.define("NAME", LAST, b"c"),
    "the greatest CONFIG": lambda e: e.define("CONFIG", LAST, b'{"lr":1}'),
    "a NAME after a gap": lambda e: e.define("NAME", 3, b"c"),
    "another name for a NAME of the main file": lambda e: e.define("NAME", 0, b"c"),
    "another body for a CONFIG of the main file": lambda e: e.define("CONFIG", 0, b'{"lr":1}'),
    "a new number for a name of the main file": lambda e: e.define("NAME", 2, b"a"),
    "a row with too many names for a batch": wide_row,
    "rows with too many names for their batch": rows_too_wide_together,
}


@pytest.mark.parametrize("name", BROKEN)
def test_everybody_judges_alike(opened, tmp_path, name):
    entries = Entries(opened)
    BROKEN[name](entries)
    entries.row()  # which is lost, whatever it is
    good = NUM_SEALED + NUM_ROWS + (name == "rows with too many names for their batch")
    report = cmeta.validate(opened)
    assert (report.state, report.num_records) == ("damaged", good)
    (finding,) = report.findings
    assert finding.path == "journal"
    with cmeta.open(opened, partial=True) as run:
        assert (run.state, len(run)) == ("damaged", good)
        assert run.problem.message == finding.message
        assert run.read(["step"])["step"].tolist()[: NUM_SEALED + NUM_ROWS] == list(range(21))
        assert {"a", "b"} <= set(run.names)
        assert run.configs[0]["lr"] == 0.1
        assert len(run.configs) == 1
    (info,) = cmeta.scan(opened, cache=False)
    assert (info.state, info.num_records) == ("damaged", good)
    assert finding.message in info.problem
    (audited,) = cmeta.audit(opened)
    assert (audited.verdict, audited.num_records) == ("corrupt", good)
    before = opened.read_bytes(), journal_path(opened).read_bytes()
    with pytest.raises(cmeta.RecorderError, match="cmeta recover"):
        cmeta.Recorder(opened, mode="resume")
    assert (opened.read_bytes(), journal_path(opened).read_bytes()) == before
    recovered = cmeta.recover(opened, tmp_path / "new.cmeta")
    assert recovered.num_records >= good
    assert cmeta.validate(tmp_path / "new.cmeta").ok


def test_numbers_that_continue_those_of_the_main_file(opened):
    entries = Entries(opened)
    entries.define("NAME", 0, b"a")
    entries.define("NAME", 2, b"c")
    entries.row([0, 1, 2])
    report = cmeta.validate(opened)
    assert (report.state, report.findings) == ("open", [])
    with cmeta.open(opened) as run:
        assert run.names == ("a", "b", "c")
        assert len(run) == NUM_SEALED + NUM_ROWS + 1


def test_a_torn_end_is_no_damage(opened):
    with journal_path(opened).open("ab") as file:
        file.write(b"\x07" * 30)
    assert cmeta.validate(opened).findings == []
    with cmeta.Recorder(opened, mode="resume") as rec:
        assert len(rec) == NUM_SEALED + NUM_ROWS
