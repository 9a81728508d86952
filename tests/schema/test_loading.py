"""Loading a schema file: what is no file, no TOML, or of the wrong shape."""

import pytest
import tomli

from cmeta import Schema, SchemaError, default_schema
from cmeta.schema import load
from cmeta.schema.language import Format, Mask
from cmeta.schema.load import convert, shipped_format, shipped_path

LOAD = 'name = "load"\ngroup = "host"\ntype = "u8"'
PHASES = 'values = ["dream", "train"]'

SHAPES = {
    "an unknown section": (
        [("[enumerations.mood]", "[enumeration.mood]")], "", ["enumeration", "enumerations"],
    ),
    "an unknown key of the record": (
        [("batch_records = 64", "batch_records = 64\nbatches = 2")],
        "record", ["batches", "batch_records"],
    ),
    "an unknown key of a field": (
        [(LOAD, f"{LOAD}\ncolour = 1")], "record.fields[6]", ["colour", "quanta_per_unit"],
    ),
    "an unknown key of a group": (
        [('name = "host"', 'name = "host"\nopened = true')],
        "record.groups[1]", ["opened", "open"],
    ),
    "an unknown key of an enumeration": (
        [(PHASES, f"{PHASES}\ndefault = 1")], "enumerations.phase", ["default", "values"],
    ),
    "an unknown key of a value": (
        [('{ name = "calm", doc', '{ name = "calm", docs')],
        "enumerations.mood.values[0]", ["docs", "doc"],
    ),
    "a number for an enumeration's value": (
        [(PHASES, 'values = ["dream", 3]')], "enumerations.phase.values[1]", ["found 3", "str"],
    ),
    "an empty value": (
        [(PHASES, 'values = ["dream", ""]')],
        "enumerations.phase.values[1]", ["found ''", "length >= 1"],
    ),
    "no size of a batch": ([("batch_records = 64\n", "")], "record", ["missing", "batch_records"]),
    "no type": (
        [(LOAD, 'name = "load"\ngroup = "host"')], "record.fields[6]", ["missing", "type"],
    ),
    "no name of a group": ([('name = "host"', "")], "record.groups[1]", ["missing", "name"]),
    "an empty name of a field": (
        [('name = "load"', 'name = ""')], "record.fields[6].name", ["found ''", "length >= 1"],
    ),
    "text for a number": (
        [("batch_records = 64", 'batch_records = "64"')],
        "record.batch_records", ["found '64'", "int"],
    ),
    "a truth for a number": (
        [("batch_records = 64", "batch_records = true")],
        "record.batch_records", ["found True", "int"],
    ),
    "a float for an integer": (
        [("batch_records = 64", "batch_records = 64.0")],
        "record.batch_records", ["found 64.0", "int"],
    ),
    "a number for a truth": (
        [("open = true", "open = 1")], "record.groups[0].open", ["found 1", "bool"],
    ),
    "text for a list": (
        [(PHASES, 'values = "dream"')], "enumerations.phase.values", ["found 'dream'", "array"],
    ),
    "a number for a type": (
        [(LOAD, 'name = "load"\ngroup = "host"\ntype = 8')],
        "record.fields[6].type", ["found 8", "str"],
    ),
    "an unknown type": (
        [(LOAD, 'name = "load"\ngroup = "host"\ntype = "u9"')],
        "record.fields[6].type", ["found 'u9'", "u8, u16", "f32"],
    ),
    "a vector without components": (
        [(LOAD, 'name = "load"\ngroup = "host"\ntype = "f32[0]"')],
        "record.fields[6].type", ["found 'f32[0]'", "a vector such as f32[3]"],
    ),
    "a vector of an enumeration": (
        [(LOAD, 'name = "load"\ngroup = "host"\ntype = "enum[2]"')],
        "record.fields[6].type", ["found 'enum[2]'", "a vector such as f32[3]"],
    ),
    "an unknown stage": (
        [('codec = ["split", "delta", "rice"]', 'codec = ["split", "lz4", "rice"]')],
        "record.fields[0].codec[1]", ["found 'lz4'", "delta"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "key", "words"), SHAPES.values(), ids=SHAPES)
def test_a_wrong_shape_is_named(schema_file, changes, key, words):
    path = schema_file(*changes)
    with pytest.raises(SchemaError) as caught:
        Schema.load(path)
    assert caught.value.source == str(path)
    assert caught.value.key == key
    for word in words:
        assert word in caught.value.message


def test_a_missing_file_is_named(tmp_path):
    path = tmp_path / "nowhere.toml"
    with pytest.raises(SchemaError, match="cannot be read: No such file") as caught:
        Schema.load(path)
    assert caught.value.source == str(path)


def test_a_folder_is_no_schema(tmp_path):
    with pytest.raises(SchemaError, match="cannot be read: Is a directory"):
        Schema.load(tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[record", "not TOML: Expected ']' at the end of a table declaration"),
        (b"[record]\nbatch_records = 16\nbatch_records = 17\n", "not TOML: Cannot overwrite"),
        (b"name = '\xff'", "not TOML: 'utf-8' codec can't decode byte 0xff in position 8"),
    ],
)
def test_what_is_not_toml_is_refused_with_its_place(tmp_path, content, words):
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    with pytest.raises(SchemaError) as caught:
        Schema.load(str(path))
    assert words in caught.value.message
    assert caught.value.source == str(path)


@pytest.mark.parametrize(
    ("content", "missing"), [("", "enumerations"), ("[enumerations]", "record")]
)
def test_both_sections_are_required(tmp_path, content, missing):
    path = tmp_path / "mine.toml"
    path.write_text(content)
    with pytest.raises(SchemaError, match=f"missing required field '{missing}'"):
        Schema.load(path)


def test_the_format_part_may_be_repeated(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_bytes(shipped_path().read_bytes())
    assert Schema.load(path) == default_schema()
    assert Schema.load(path).format is shipped_format()


@pytest.mark.parametrize(
    ("old", "new", "key", "words"),
    [
        ("magic = 0x0C0DA55E", "magic = 7", "format.magic", ["found 7", "202220894"]),
        ("major = 1", "major = 2", "format.major", ["found 2", "fixes 1"]),
        ("width = 64", "width = 32", "checksum.width", ["found 32", "fixes 64"]),
        ("rotate = 17", "rotate = 18", "checksum.mask.rotate", ["found 18", "fixes 17"]),
        ("values_min = 8 ", "values_min = 9 ", "codecs.palette.values_min", ["found 9", "fixes 8"]),
        ('"-journal"', '"-wal"', "journal.suffix", ["found '-wal'", "fixes '-journal'"]),
        ("critical_flag = 0x01", "flag = 1", "blocks.", ["blocks."]),
    ],
)
def test_a_format_part_that_differs_is_refused(tmp_path, old, new, key, words):
    text = shipped_path().read_text("utf-8")
    assert text.count(old) == 1
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(old, new), "utf-8")
    with pytest.raises(SchemaError) as caught:
        Schema.load(path)
    assert caught.value.source == str(path)
    assert caught.value.key.startswith(key)
    for word in [*words, "leave the section out, or make it equal"]:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ("[checksum]\nwidth = 64\n", "checksum."),
        ("[format]\nmagic = 0x0C0DA55E\n", "format."),
        ("[codecs.palette]\nvalues_min = 8\n", "codecs."),
        ('[trailer]\ndoc = "The last bytes of a closed file."\n', "trailer."),
    ],
)
def test_a_section_in_part_names_what_is_missing(schema_file, section, key):
    path = schema_file(("[record]\n", f"{section}[record]\n"))
    with pytest.raises(SchemaError) as caught:
        Schema.load(path)
    assert caught.value.key.startswith(key)
    assert "None" not in caught.value.message, "a newcomer has written no None"
    assert len(caught.value.message) < 200, "nor do whole sections help"


def test_the_first_difference_in_the_order_of_the_file_is_named(schema_file):
    """Not one that depends on the hashes of strings, which change from process to process."""
    section = "[format]\nmagic = 7\nmajor = 7\nminor = 7\nopen_records_count = 7\nname = 'x'\n"
    path = schema_file(("[record]\n", f"{section}[record]\n"))
    with pytest.raises(SchemaError) as caught:
        Schema.load(path)
    assert caught.value.key == "format.magic"


EDGES = {
    "the smallest batch": [("batch_records = 64", "batch_records = 16")],
    "the largest batch, 2^24 cells": [
        ("batch_records = 64", "batch_records = 65536"),
        ('type = "f64[3]"', 'type = "f64[250]"'),
    ],
    "4,096 columns": [
        (LOAD, 'name = "load"\ngroup = "host"\ntype = "u8[1021]"'),
        ('type = "f64[3]"', 'type = "f64[1024]"'),
        ('type = "f32"\n', 'type = "f32[1024]"\n'),
        ('type = "enum"\nenumeration = "mood"', 'type = "u8[1024]"'),
    ],
    "256 values": [(PHASES, f"values = {[f'p{i}' for i in range(256)]}")],
    "names of 255 bytes": [('name = "load"', f'name = "{"ä" * 127}a"')],
    "names with dots, in a group": [('name = "load"', 'name = "cpu.0/load"')],
    "the finest quanta": [
        ("quanta_per_unit = 1000", "quanta_per_unit = 1000000000000"),
        ('unit = "nat"', "quanta_per_unit = 10000000"),
    ],
}


@pytest.mark.parametrize("changes", EDGES.values(), ids=EDGES)
def test_a_schema_at_the_edge_is_legal(load, changes):
    schema = load(*changes)
    assert Schema.from_embedded(schema.embedded, schema.format) == schema


def test_the_shortest_chains_are_legal(load):
    schema = load(
        (LOAD, f'{LOAD}\ncodec = ["class", "delta", "rice"]'),
        ('codec = ["split", "delta", "rice"]', "codec = ['delta', 'rice']"),
    )
    assert schema["timestamp"].chain == ("delta", "rice")
    assert schema["host.load"].chain == ("class", "delta", "rice")


def test_an_error_of_the_shipped_schema_is_named_too():
    """Whoever changes a constant of the format is told as precisely as a user is."""
    toml = tomli.loads(shipped_path().read_text("utf-8"))
    part = {key: toml[key] for key in Format.__struct_fields__}
    assert convert(part, Format, "shipped") == shipped_format()
    part["structs"]["row_metric"]["fields"][1]["colour"] = 1
    with pytest.raises(SchemaError) as caught:
        convert(part, Format, "shipped")
    assert caught.value.key.startswith("structs.")
    assert caught.value.key.endswith(".fields[1]")
    part = {key: toml[key] for key in Format.__struct_fields__} | {"structs": {"a": {"fields": 3}}}
    with pytest.raises(SchemaError, match="found int, expected array"):
        convert(part, Format, "shipped")


@pytest.mark.parametrize("add", ["9E37", "0x", "0x123456789ABCDEF01", "0xG", "-0x1"])
def test_a_large_integer_is_a_hex_string(add):
    with pytest.raises(SchemaError) as caught:
        convert({"rotate": 17, "add": add}, Mask, "mine.toml")
    assert caught.value.key == "add"
    assert f"found {add!r}, expected a hex string" in caught.value.message


def test_a_shipped_schema_that_is_not_there_says_where_it_was_sought(tmp_path, monkeypatch):
    monkeypatch.setattr(load, "_HERE", tmp_path / "cmeta" / "schema")
    with pytest.raises(SchemaError, match="not found; expected it at") as caught:
        load.shipped_path()
    for place in ("cmeta/schema/data", "schema"):
        assert str(tmp_path / place / "cmeta_schema.toml") in caught.value.message


def test_a_byte_order_mark_is_no_part_of_the_file(tmp_path):
    path = tmp_path / "schema.toml"
    path.write_bytes(b"\xef\xbb\xbf" + shipped_path().read_bytes())
    assert Schema.load(path) == default_schema()
