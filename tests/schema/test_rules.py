"""The rules of enumerations, groups, the two leading fields, and of a batch's size."""

import pytest

LONG = "ä" * 128  # 256 bytes of UTF-8 in 128 characters

PHASES = 'values = ["dream", "train"]'
MOODS = 'values = [{ name = "calm", doc = "No news." }, "tense"]'
MOOD = 'type = "enum"\nenumeration = "mood"'
HOST = 'name = "host"'
TIMESTAMP = 'name = "timestamp"\ntype = "u64"'
CHAIN_OF_TIMESTAMP = 'codec = ["split", "delta", "rice"]'
CHAIN_OF_PHASE = 'codec = ["delta", "rice"]'

ENUMERATIONS = {
    "no phase": (
        [("[enumerations.phase]", "[enumerations.kind]")],
        "enumerations", ["found no enumeration 'phase'", "every record has a phase"],
    ),
    "no values": ([(PHASES, "values = []")], "enumerations.phase.values", ["found 0", "1 to 256"]),
    "too many values": (
        [(PHASES, f"values = {[f'p{i}' for i in range(257)]}")],
        "enumerations.phase.values", ["found 257", "1 to 256"],
    ),
    "a value twice": (
        [(PHASES, 'values = ["dream", "train", "dream"]')],
        "enumerations.phase.values[2]", ["found 'dream' twice", "unique"],
    ),
    "a value that ends in NUL": (
        [(PHASES, 'values = ["dream", "train\\u0000"]')],
        "enumerations.phase.values[1]", ["found 'train\\x00'", "no NUL at its end"],
    ),
    "a documented value twice": (
        [(MOODS, 'values = ["calm", { name = "calm", doc = "Again." }]')],
        "enumerations.mood.values[1]", ["found 'calm' twice", "unique"],
    ),
    "a long value": (
        [(PHASES, f'values = ["dream", "{LONG}"]')],
        "enumerations.phase.values[1]", ["found a name of 256 bytes", "1 to 255"],
    ),
    "a long name": (
        [("[enumerations.mood]", f'[enumerations."{LONG}"]'), (MOOD, 'type = "u8"')],
        f"enumerations.{LONG}", ["found a name of 256 bytes", "1 to 255"],
    ),
    "an empty name": (
        [("[enumerations.mood]", '[enumerations.""]'), (MOOD, 'type = "u8"')],
        "enumerations.", ["found a name of 0 bytes", "1 to 255"],
    ),
}  # fmt: skip

GROUPS = {
    "a dot": ([(HOST, 'name = "a.b"')], "record.groups[1].name", ["found 'a.b'", "without a dot"]),
    "twice": (
        [(HOST, 'name = "metrics"')], "record.groups[1].name", ["found 'metrics' twice", "unique"],
    ),
    "two open ones": (
        [(HOST, f"{HOST}\nopen = true")],
        "record.groups[1].open", ["found a second open group", "at most one"],
    ),
    "a long name": (
        [(HOST, f'name = "{LONG}"')],
        "record.groups[1].name", ["found a name of 256 bytes", "1 to 255"],
    ),
}  # fmt: skip

LEADING = {
    "no timestamp": (
        [('name = "timestamp"', 'name = "time"')],
        "record.fields[0].name", ["found 'time'", "expected 'timestamp'"],
    ),
    "timestamp in a group": (
        [('name = "timestamp"', 'name = "timestamp"\ngroup = "host"')],
        "record.fields[0].group", ["found 'host'", "expected"],
    ),
    "timestamp of another type": (
        [(TIMESTAMP, 'name = "timestamp"\ntype = "i64"')],
        "record.fields[0].type", ["found 'i64'", "expected 'timestamp' to be 'u64'"],
    ),
    "timestamp may not be absent": (
        [(CHAIN_OF_TIMESTAMP, 'codec = ["class", "delta", "rice"]')],
        "record.fields[0].codec",
        ["found ['class', 'delta', 'rice']", "['split', 'delta', 'rice']"],
    ),
    "timestamp without a chain": (
        [(f"{CHAIN_OF_TIMESTAMP}\n", "")],
        "record.fields[0].codec", ["found []", "['split', 'delta', 'rice']"],
    ),
    "phase of another type": (
        [('type = "enum"\nenumeration = "phase"', 'type = "u8"')],
        "record.fields[1].type", ["found 'u8'", "expected 'phase' to be 'enum'"],
    ),
    "phase of another enumeration": (
        [('enumeration = "phase"', 'enumeration = "mood"')],
        "record.fields[1].enumeration", ["found 'mood'", "expected 'phase'"],
    ),
    "phase split by phase": (
        [(CHAIN_OF_PHASE, 'codec = ["split", "delta", "rice"] # by itself')],
        "record.fields[1].codec", ["found ['split', 'delta', 'rice']", "['delta', 'rice']"],
    ),
    "timestamp without rice": (
        [(CHAIN_OF_TIMESTAMP, 'codec = ["delta"]')],
        "record.fields[0].codec", ["found ['delta']", "['split', 'delta', 'rice']"],
    ),
    "phase out of order": (
        [(CHAIN_OF_PHASE, 'codec = ["rice", "delta"]')],
        "record.fields[1].codec", ["found ['rice', 'delta']", "['delta', 'rice']"],
    ),
    "phase in second place": (
        [('name = "phase"\n', 'name = "stage"\n')],
        "record.fields[1].name", ["found 'stage'", "expected 'phase'"],
    ),
}  # fmt: skip

SIZE = {
    "a short batch": (
        [("batch_records = 64", "batch_records = 15")],
        "record.batch_records", ["found 15", "16 to 65536"],
    ),
    "a long batch": (
        [("batch_records = 64", "batch_records = 65537")],
        "record.batch_records", ["found 65537", "16 to 65536"],
    ),
    "a negative batch": (
        [("batch_records = 64", "batch_records = -1")],
        "record.batch_records", ["found -1", "16 to 65536"],
    ),
    "too many columns": (
        # 9 in the base; three vectors more
        [('type = "u8"', 'type = "u8[1024]"'), ('type = "f64[3]"', 'type = "f64[1024]"'),
         ('type = "f32"\n', 'type = "f32[1024]"\n'), (MOOD, 'type = "u8[1024]"')],
        "record.fields", ["found 4099 columns", "at most 4096"],
    ),
    "too many cells": (
        [("batch_records = 64", "batch_records = 65536"), ('type = "f64[3]"', 'type = "f64[251]"')],
        "record.batch_records",
        ["found 65536 records of 257 columns", "at most 16777216 cells", "at most 65280 records"],
    ),
}  # fmt: skip

CASES = {
    **{f"enumerations: {name}": case for name, case in ENUMERATIONS.items()},
    **{f"groups: {name}": case for name, case in GROUPS.items()},
    **{f"leading fields: {name}": case for name, case in LEADING.items()},
    **{f"size: {name}": case for name, case in SIZE.items()},
}


@pytest.mark.parametrize(("changes", "key", "words"), CASES.values(), ids=CASES)
def test_a_broken_rule_is_named(refuse, changes, key, words):
    refuse(changes, key, words)
