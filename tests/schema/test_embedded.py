"""The SCHEMA block: canonical JSON without documentation and defaults, and back."""

import json

import pytest

from cmeta import CorruptError, LimitError, Schema, SchemaError, default_schema
from cmeta.schema.load import shipped_format

SMALLEST = (
    b'{"enumerations":{"mood":{"values":["calm","tense"]},"phase":{"values":["dream","train"]}},'
    b'"record":{"batch_records":64,"fields":['
    b'{"codec":["split","delta","rice"],"name":"timestamp","type":"u64"},'
    b'{"codec":["delta","rice"],"enumeration":"phase","name":"phase","type":"enum"},'
    b'{"group":"metrics","name":"loss","type":"f32","unit":"nat"},'
    b'{"name":"position","quanta_per_unit":1000,"type":"f64[3]"},'
    b'{"enumeration":"mood","name":"mood","type":"enum"},'
    b'{"name":"settings","type":"config"},'
    b'{"group":"host","name":"load","type":"u8"}],'
    b'"groups":[{"name":"metrics","open":true},{"name":"host"}]}}'
)


def dumps(document):
    """Return canonical JSON, as far as ASCII and integers go."""
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def edited(edit):
    """Return the smallest schema after an edit of its data."""
    document = json.loads(SMALLEST)
    edit(document)
    return dumps(document)


def parse(data, *, newer=False):
    return Schema.from_embedded(data, shipped_format(), newer=newer)


def test_the_bytes_are_canonical_and_without_defaults(load):
    assert load().embedded == SMALLEST


def test_the_default_schema_keeps_no_documentation():
    plain = json.loads(default_schema().embedded)
    assert set(plain) == {"enumerations", "record"}
    assert set(plain["record"]) == {"batch_records", "fields", "groups"}
    assert plain["record"]["fields"][3] == {
        "group": "metrics",
        "name": "grad_energy",
        "type": "f32",
    }
    assert b"doc" not in default_schema().embedded
    assert dumps(plain) == default_schema().embedded


def test_what_was_embedded_comes_back(load):
    schema = parse(SMALLEST)
    assert schema == load()
    assert schema.embedded == SMALLEST
    assert [f.path for f in schema.fields] == [f.path for f in load().fields]
    assert [f.chain for f in schema.fields] == [f.chain for f in load().fields]
    assert schema["position"].quanta_per_unit == 1000


@pytest.mark.parametrize(
    "schema",
    [
        default_schema().with_metrics("η", "train/loss", lr={"exact": True}),
        default_schema().with_phases("tést").with_batch_records(65536),
        default_schema().with_metrics(q={"type": "f64[3]", "quanta_per_unit": 7, "unit": "m"}),
    ],
)
def test_derived_schemas_come_back(schema):
    assert parse(schema.embedded) == schema


FIELD = {"name": "load2", "type": "u8"}
CORRUPT = {
    "no JSON": (b"{", "", "not JSON"),
    "no UTF-8": (b'{"enumerations":"\xff"}', "", "not JSON"),
    "a list": (b"[]", "", "not a schema"),
    "a number": (b"1", "", "not a schema"),
    "spaces": (SMALLEST.replace(b":64", b": 64"), "", "not canonical JSON"),
    "keys out of order": (
        SMALLEST.replace(b'"name":"load","type":"u8"', b'"type":"u8","name":"load"'),
        "",
        "not canonical JSON",
    ),
    "a key twice": (
        SMALLEST.replace(b'"batch_records":64', b'"batch_records":64,"batch_records":64'),
        "",
        "not canonical JSON",
    ),
    "an unknown key": (
        edited(lambda d: d["record"]["fields"][6].update(colour=1)),
        "record.fields[6]",
        "'colour'",
    ),
    "an unknown section": (edited(lambda d: d.update(future={})), "", "'future'"),
    "no record": (edited(lambda d: d.pop("record")), "", "record"),
    "a bad type": (
        edited(lambda d: d["record"]["fields"][6].update(type="u9")),
        "record.fields[6].type",
        "'u9'",
    ),
    "a broken rule": (
        edited(lambda d: d["record"]["fields"].append(FIELD | {"name": "mood"})),
        "record.fields[7].name",
        "found 'mood' twice",
    ),
    "no fields": (
        edited(lambda d: d["record"].update(fields=[])),
        "record.fields",
        "found 0 fields, expected 'timestamp'",
    ),
    "a single field": (
        edited(lambda d: d["record"].update(fields=d["record"]["fields"][:1])),
        "record.fields",
        "found 1 fields, expected 'phase'",
    ),
    "no phase": (
        edited(lambda d: d["enumerations"].pop("phase")),
        "enumerations",
        "enumeration 'phase'",
    ),
    "a short batch": (
        edited(lambda d: d["record"].update(batch_records=15)),
        "record.batch_records",
        "16 to 65536",
    ),
    "a negative batch": (
        edited(lambda d: d["record"].update(batch_records=-1)),
        "record.batch_records",
        "16 to 65536",
    ),
    "a lone surrogate": (SMALLEST.replace(b"tense", b"\\ud800"), "", "JSON"),
}


@pytest.mark.parametrize(("data", "path", "words"), CORRUPT.values(), ids=CORRUPT)
def test_what_is_no_schema_is_corrupt(data, path, words):
    with pytest.raises(CorruptError) as caught:
        parse(data)
    assert caught.value.path == path
    assert words in caught.value.message


@pytest.mark.parametrize(
    "edit",
    [
        lambda d: d["record"]["fields"][6].update(doc=""),
        lambda d: d["record"]["fields"][6].update(doc="Its load."),
        lambda d: d["record"]["fields"][6].update(unit=""),
        lambda d: d["record"]["fields"][2].update(quanta_per_unit=1_000_000),
        lambda d: d["record"]["fields"][2].update(exact=False),
        lambda d: d["record"]["groups"][1].update(open=False),
        lambda d: d["record"]["groups"][1].update(doc="The machine."),
        lambda d: d["record"]["fields"][6].update(
            codec=["class", "palette", "split", "delta", "rice"]
        ),
        lambda d: d["enumerations"]["mood"].update(doc="How it feels."),
        lambda d: d["enumerations"]["mood"].update(values=[{"name": "calm"}, "tense"]),
    ],
)
def test_defaults_and_documentation_must_be_left_out(edit):
    with pytest.raises(CorruptError, match="not the canonical schema"):
        parse(edited(edit))


def test_an_offset_points_at_the_first_byte_that_is_not_canonical():
    data = SMALLEST.replace(b":64", b": 64")
    with pytest.raises(CorruptError) as caught:
        parse(data)
    assert caught.value.offset == data.index(b" 64")


@pytest.mark.parametrize("batch_records", [65537, 2**32, 2**53 - 1])
def test_a_limit_may_be_lowered_but_not_raised(batch_records):
    with pytest.raises(LimitError) as caught:
        parse(edited(lambda d: d["record"].update(batch_records=batch_records)))
    assert caught.value.path == "record.batch_records"
    assert (
        f"found {batch_records:,} records a batch, expected at most 65,536" in caught.value.message
    )


def test_nesting_is_bounded_before_it_is_parsed():
    limits = shipped_format().limits
    depth = limits.json_depth_max
    with pytest.raises(CorruptError, match="not a schema"):
        parse(b"[" * depth + b"]" * depth)
    with pytest.raises(LimitError, match="nested beyond 32 levels") as caught:
        parse(b"[" * 100_000)
    assert caught.value.offset == depth


def test_length_is_bounded_before_it_is_parsed():
    limits = shipped_format().limits
    with pytest.raises(LimitError, match="1048577 bytes of JSON, at most 1048576"):
        parse(b" " * (limits.json_bytes_max + 1))
    with pytest.raises(CorruptError, match="not JSON"):
        parse(b" " * limits.json_bytes_max)


NEWER = {
    "a section": lambda d: d.update(future={"a": 1}),
    "a key of the record": lambda d: d["record"].update(future=1),
    "a key of a field": lambda d: d["record"]["fields"][6].update(future=[1]),
    "a key of a group": lambda d: d["record"]["groups"][1].update(future=True),
    "a key of an enumeration": lambda d: d["enumerations"]["mood"].update(future=True),
}


@pytest.mark.parametrize("edit", NEWER.values(), ids=NEWER)
def test_a_newer_minor_version_may_have_further_keys(edit):
    data = edited(edit)
    with pytest.raises(CorruptError):
        parse(data)
    assert parse(data, newer=True).embedded == SMALLEST


@pytest.mark.parametrize(
    "edit",
    [
        lambda d: d.update(record=[]),
        lambda d: d["record"].update(fields={}),
        lambda d: d["record"].update(fields=[1]),
        lambda d: d["record"]["fields"][6].update(type="u9"),
        lambda d: d.update(enumerations=3),
    ],
)
def test_a_newer_minor_version_is_still_held_to_what_is_known(edit):
    with pytest.raises(CorruptError, match="not a schema"):
        parse(edited(edit), newer=True)


@pytest.mark.parametrize("data", [b"[]", b"1", b"null"])
def test_a_newer_minor_version_is_still_an_object(data):
    with pytest.raises(CorruptError, match="not a schema"):
        parse(data, newer=True)


def test_a_schema_that_would_be_too_large_is_no_schema():
    names = [f"{i:0255d}" for i in range(4050)]  # 4,096 columns at most, each of 255 bytes
    with pytest.raises(SchemaError, match="1048576"):
        default_schema().with_batch_records(16).with_metrics(*names)
