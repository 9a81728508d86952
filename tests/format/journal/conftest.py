"""A journal with everything in it, and the means to write one that breaks a rule."""

import struct

import pytest

import cmeta
from cmeta.format.grammar import grammar_of
from cmeta.format.journal import Framer, RowLayout
from cmeta.schema.load import shipped_format
from cmeta.storage.open import journal_path

SCHEMA = cmeta.default_schema().with_batch_records(16)
GRAMMAR = grammar_of(shipped_format())
NUM_ROWS = 12


def die(rec):
    """End a recorder as if its process were killed."""
    rec._session._sealer.stop()
    rec._session.is_closed = True


@pytest.fixture(scope="session")
def dead(tmp_path_factory):
    """An open chronicle whose writer died: one batch in the file, twelve rows in the journal."""
    path = tmp_path_factory.mktemp("dead") / "run.cmeta"
    rec = cmeta.Recorder(path, SCHEMA, config={"lr": 0.1})
    for i in range(16 + NUM_ROWS):
        if i == 16:
            rec._session._sealer.rotate()
        metrics = {"a": i / 10, "b": float("nan")} if i % 2 else {"entropy": 0.25}
        if i == 20:
            rec.config = {"lr": 0.2}
        rec.log("train", loss=1 / (i + 1), metrics=metrics, step=i)
    die(rec)
    return path


@pytest.fixture
def journal(dead):
    return journal_path(dead).read_bytes()


class Forger:
    """Writes journals entry by entry."""

    def __init__(self, salt=7, base=0, **header):
        self.framer = Framer(GRAMMAR, salt)
        layout = GRAMMAR.journal_header
        fields = {
            "version": shipped_format().version, "salt": salt, "base_records": base,
            "schema_digest": GRAMMAR.checksum(SCHEMA.embedded), "base_length": 0,
            "running_crc": 0, "last_masked_crc": 0, **header,
        }  # fmt: skip
        head = layout.upto("masked_crc").build(fields)
        crc = GRAMMAR.checksum.masked(head)
        self.data = layout.build({**fields, "masked_crc": crc})
        self.layout = RowLayout(SCHEMA, GRAMMAR)
        self.base = self.next = base

    def row(self, present=0b11, timestamp=0, phase=1, metrics=(), count=None, **values):
        """Append a ROW; `values` by path, `present` as bits."""
        fixed = [0] * sum(f.num_columns for f in SCHEMA.fields)
        places, at = {}, 0
        for f in SCHEMA.fields:
            places[f.path] = at
            at += f.num_columns
        fixed[places["timestamp"]], fixed[places["phase"]] = timestamp, phase
        for path, value in values.items():
            fixed[places[path]] = value
        count = len(metrics) if count is None else count
        body = struct.pack(
            "<" + self.layout.codes,
            present.to_bytes(self.layout.len_present, "little"),
            *fixed,
            count,
        )
        body += b"".join(struct.pack("<Id", *metric) for metric in metrics)
        return self.entry("ROW", body)

    def define(self, kind, number, body):
        """Append a CONFIG or NAME."""
        return self.entry(kind, struct.pack("<I", number) + body)

    def entry(self, kind, body, ordinal=None):
        """Append any entry."""
        self.data += self.framer.frame(kind, self.next if ordinal is None else ordinal, body)
        self.next += kind == "ROW"
        return self


def bit(path):
    """Return the presence bit of a field."""
    return 1 << [f.path for f in SCHEMA.fields].index(path)
