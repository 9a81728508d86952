"""The JSON Schema of a schema file, by which editors complete and check it."""

import pytest

from cmeta.schema.language import Document, Format, to_int
from cmeta.schema.load import shipped_document, shipped_format
from tools.specgen.json_schema import shape


def definition(name):
    return shape()["$defs"][name]


def test_it_describes_every_section_of_a_schema_file():
    assert set(definition("Document")["properties"]) == set(Document.__struct_fields__)
    assert definition("Document")["required"] == ["enumerations", "record"]


@pytest.mark.parametrize(
    "name", ["Document", "Record", "RecordField", "Group", "Enumeration", "EnumerationValue"]
)
def test_it_takes_no_unknown_key(name):
    assert definition(name)["additionalProperties"] is False


def test_it_names_the_stages_and_the_types():
    field = definition("RecordField")["properties"]
    assert field["codec"]["items"]["enum"] == sorted(
        ["class", "quantise", "palette", "split", "delta", "rice"]
    )
    assert field["type"]["pattern"]
    assert field["type"]["description"]


def test_the_shipped_file_states_the_whole_format():
    document = shipped_document()
    for key in Format.__struct_fields__:
        assert getattr(document, key) == getattr(shipped_format(), key)


@pytest.mark.parametrize(
    ("value", "integer"), [(7, 7), ("0x1F", 31), ("0xFFFFFFFFFFFFFFFF", 2**64 - 1)]
)
def test_integers_beyond_toml_are_hex_strings(value, integer):
    assert to_int(value) == integer


def test_constants_are_key_paths_or_numbers():
    fmt = shipped_format()
    assert fmt.const("format.magic") == 0x0C0DA55E
    assert fmt.const("journal.magic") == fmt.journal.magic
    assert fmt.const(0) == 0
    assert fmt.const(None) is None
