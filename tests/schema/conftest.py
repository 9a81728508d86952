"""A small legal schema as TOML, and a loader that takes changes to its text."""

import pytest

from cmeta import Schema, SchemaError

BASE = """\
[enumerations.phase]
values = ["dream", "train"]

[enumerations.mood]
doc = "How it feels."
values = [{ name = "calm", doc = "No news." }, "tense"]

[record]
batch_records = 64

[[record.groups]]
name = "metrics"
open = true

[[record.groups]]
name = "host"

[[record.fields]] # 0
name = "timestamp"
type = "u64"
codec = ["split", "delta", "rice"]

[[record.fields]] # 1
name = "phase"
type = "enum"
enumeration = "phase"
codec = ["delta", "rice"]

[[record.fields]] # 2
name = "loss"
group = "metrics"
type = "f32"
unit = "nat"

[[record.fields]] # 3
name = "position"
type = "f64[3]"
quanta_per_unit = 1000

[[record.fields]] # 4
name = "mood"
type = "enum"
enumeration = "mood"

[[record.fields]] # 5
name = "settings"
type = "config"

[[record.fields]] # 6
name = "load"
group = "host"
type = "u8"
"""


def changed(*changes):
    """Return the base with each (old, new) replaced; an old text must stand there exactly once."""
    text = BASE
    for old, new in changes:
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in the base"
        text = text.replace(old, new)
    return text


@pytest.fixture
def schema_file(tmp_path):
    """Write a changed base and return its path."""

    def write(*changes):
        path = tmp_path / "mine.toml"
        path.write_text(changed(*changes), "utf-8")
        return path

    return write


@pytest.fixture
def load(schema_file):
    """Load a changed base."""
    return lambda *changes: Schema.load(schema_file(*changes))


@pytest.fixture
def refuse(schema_file):
    """Load a changed base that must be refused: by file, key path, and words of the message."""

    def check(changes, key, words):
        path = schema_file(*changes)
        with pytest.raises(SchemaError) as caught:
            Schema.load(path)
        error = caught.value
        assert (error.source, error.key) == (str(path), key)
        assert str(error) == f"{path}: {key}: {error.message}"
        for word in words:
            assert word in error.message

    return check
