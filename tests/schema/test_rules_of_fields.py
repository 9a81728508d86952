"""The rules of a field: name, group, type, enumeration, quantum, chain."""

import pytest

HOST_LOAD = 'name = "load"\ngroup = "host"\ntype = "u8"\n'
LONG = "ä" * 128  # 256 bytes of UTF-8 in 128 characters
MOOD = 'type = "enum"\nenumeration = "mood"'
POSITION = 'type = "f64[3]"\nquanta_per_unit = 1000'


SETTINGS = 'name = "settings"\ntype = "config"\n'
FIFTH = '[[record.fields]]\nname = "fifth"\ntype = "u8"\n'


def host_load(*lines, type_="u8"):
    """Change the last field of the base, number 6."""
    return (HOST_LOAD, "\n".join([f'name = "load"\ngroup = "host"\ntype = "{type_}"', *lines, ""]))


def further(*lines):
    """Append a field to the base; it is number 7."""
    return (HOST_LOAD, HOST_LOAD + "\n".join(["[[record.fields]]", *lines, ""]))


NAMES = {
    "a long vector": (
        [host_load(type_="u8[1025]")],
        "record.fields[6].type", ["found 'u8[1025]'", "at most 1024 components"],
    ),
    "a dot without a group": (
        [('name = "mood"\ntype', 'name = "my.mood"\ntype')],
        "record.fields[4].name", ["found 'my.mood'", "without a dot"],
    ),
    "an unknown group": (
        [('group = "host"', 'group = "hosts"')],
        "record.fields[6].group", ["found 'hosts'", "a group of record.groups"],
    ),
    "an unknown enumeration": (
        [('enumeration = "mood"', 'enumeration = "moods"')],
        "record.fields[4].enumeration", ["found 'moods'", "expected one of: phase, mood"],
    ),
    "no enumeration": (
        [(MOOD, 'type = "enum"')],
        "record.fields[4].enumeration", ["found ''", "expected one of: phase, mood"],
    ),
    "an enumeration of numbers": (
        [host_load('enumeration = "mood"')],
        "record.fields[6].enumeration", ["u8", "only enums have one"],
    ),
    "a config in a group": (
        [host_load(type_="config"), ("[[record.fields]] # 5\n", FIFTH), (SETTINGS, "")],
        "record.fields[6].group", ["found 'host'", "a config outside all groups"],
    ),
    "a long unit": (
        [('unit = "nat"', f'unit = "{LONG}"')],
        "record.fields[2].unit", ["found a unit of 256 bytes", "at most 255"],
    ),
    "a long name": (
        [('name = "load"', f'name = "{LONG}"')],
        "record.fields[6].name", ["found a name of 256 bytes", "1 to 255"],
    ),
    "a name twice": (
        [further('name = "mood"', 'type = "u8"')],
        "record.fields[7].name", ["found 'mood' twice", "unique"],
    ),
    "a name twice in a group": (
        [further('name = "load"', 'group = "host"', 'type = "u8"')],
        "record.fields[7].name", ["found 'host.load' twice", "unique"],
    ),
    "the name of a group": (
        [further('name = "metrics"', 'type = "u8"')],
        "record.fields[7].name", ["found 'metrics' twice", "unique"],
    ),
    "two configs": (
        [further('name = "more"', 'type = "config"')],
        "record.fields[7].type", ["found a second config", "at most one"],
    ),
}  # fmt: skip

QUANTA = {
    "exact integers": (
        [host_load("exact = true")], "record.fields[6].exact", ["u8", "expected a float field"],
    ),
    "quanta of integers": (
        [host_load("quanta_per_unit = 10")],
        "record.fields[6].quanta_per_unit", ["u8", "expected a float"],
    ),
    "quanta and exact": (
        [(POSITION, f"{POSITION}\nexact = true")],
        "record.fields[3].quanta_per_unit", ["beside exact = true", "only one of the two"],
    ),
    "no quanta": (
        [('unit = "nat"', "quanta_per_unit = 0")],
        "record.fields[2].quanta_per_unit", ["found 0", "1 to 10000000 for f32", "exact = true"],
    ),
    "too fine for float32": (
        [('unit = "nat"', "quanta_per_unit = 10000001")],
        "record.fields[2].quanta_per_unit", ["found 10000001", "1 to 10000000 for f32"],
    ),
    "too fine for float64": (
        [("quanta_per_unit = 1000", "quanta_per_unit = 1000000000001")],
        "record.fields[3].quanta_per_unit", ["found 1000000000001", "1 to 1000000000000 for f64"],
    ),
}  # fmt: skip

CHAINS = {
    "out of order": (
        [host_load('codec = ["class", "delta", "palette", "rice"]')],
        ["found ['class', 'delta', 'palette', 'rice']", "['class', 'palette', 'split', 'delta'"],
    ),
    "a stage twice": (
        [host_load('codec = ["class", "class", "delta", "rice"]')],
        ["found ['class', 'class', 'delta', 'rice']", "['class', 'palette', 'split', 'delta'"],
    ),
    "no class": (
        [host_load('codec = ["delta", "rice"]')],
        ["found ['delta', 'rice']", "only palette and split may be left out"],
    ),
    "no rice": (
        [host_load('codec = ["class", "delta"]')],
        ["found ['class', 'delta']", "only palette and split may be left out"],
    ),
    "quantised integers": (
        [host_load('codec = ["class", "quantise", "delta", "rice"]')],
        ["found ['class', 'quantise', 'delta', 'rice']", "['class', 'palette', 'split', 'delta'"],
    ),
    "unquantised floats": (
        [host_load('codec = ["class", "delta", "rice"]', type_="f32")],
        ["found ['class', 'delta', 'rice']", "['class', 'quantise', 'palette', 'split', 'delta'"],
    ),
}  # fmt: skip

CASES = {
    **{f"names: {name}": case for name, case in NAMES.items()},
    **{f"quanta: {name}": case for name, case in QUANTA.items()},
    **{
        f"chains: {name}": (changes, "record.fields[6].codec", words)
        for name, (changes, words) in CHAINS.items()
    },
}


@pytest.mark.parametrize(("changes", "key", "words"), CASES.values(), ids=CASES)
def test_a_broken_rule_is_named(refuse, changes, key, words):
    refuse(changes, key, words)
