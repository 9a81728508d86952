"""The strategies of `cmeta.testing` draw what they say, and `expected` says what it should."""

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from msgspec import structs

import cmeta
from cmeta import testing
from cmeta.schema.load import shipped_format
from cmeta.schema.schema import Schema
from cmeta.testing.oracle import expected, identical
from cmeta.testing.runs import columns, files, records
from cmeta.testing.schemas import schemas
from tests.properties.runs import more

DEFAULT = cmeta.default_schema()
QUICK = settings(database=None, max_examples=2000, derandomize=True, phases=[Phase.generate])


@more(4)
@given(schemas())
def test_a_schema_is_legal_and_read_again_from_a_file(schema):
    again = Schema.from_embedded(schema.embedded, shipped_format())
    assert again == schema
    assert again.embedded == schema.embedded
    assert again.fields == tuple(replace(field, doc="") for field in schema.fields)
    assert again.open_group == schema.open_group
    assert 16 <= schema.batch_records <= 64


KINDS_OF_SCHEMA = {
    "a vector": lambda s: any(f.num_components for f in s.fields),
    "a signed byte": lambda s: any(f.type == "i8" for f in s.fields),
    "a bool": lambda s: any(f.type == "bool" for f in s.fields),
    "an exact float": lambda s: any(f.is_float and f.exact for f in s.fields),
    "a quantum": lambda s: any(f.quanta_per_unit not in (0, 1000000) for f in s.fields),
    "no palette": lambda s: any(
        "palette" not in f.chain and "split" in f.chain for f in s.fields[2:]
    ),
    "a config": lambda s: s.config_field is not None and s.config_field.path != "config",
    "nothing open": lambda s: s.open_group is None,
    "another open group": lambda s: s.open_group not in (None, "metrics"),
    "many phases": lambda s: len(s.phases) > 100,
    "further phases": lambda s: (
        s.phases[: len(DEFAULT.phases)] == DEFAULT.phases and s.phases != DEFAULT.phases
    ),
    "the smallest batch": lambda s: s.batch_records == 16,
    "a batch of its own": lambda s: 16 < s.batch_records < 64,
    "no further field": lambda s: len(s.fields) == 2,
}

KINDS_OF_RUN = {
    "NaN": lambda run: any(math.isnan(r.loss_value or 0) for r in run),
    "infinity": lambda run: any(r.loss_value == -math.inf for r in run),
    "-0.0": lambda run: any(identical(r.metrics.get("lr"), -0.0) for r in run),
    "a subnormal": lambda run: any(0 < abs(r.metrics.get("lr") or 0) < 2.3e-308 for r in run),
    "the largest u64": lambda run: any(r.seed_state == 2**64 - 1 for r in run),
    "a late metric": lambda run: (
        len(run) > 20 and "lr" in run[-1].metrics and "lr" not in run[0].metrics
    ),
    "several configs": lambda run: len({repr(r.config) for r in run}) > 2,
    "the last timestamp": lambda run: any(r.timestamp == 2**64 - 1 for r in run),
    "no timestamps": lambda run: any(r.timestamp is None for r in run),
    "equal timestamps": lambda run: len(run) > len({r.timestamp for r in run}) > 1,
    "three batches": lambda run: len(run) > 2 * 16,
    "nothing": lambda run: len(run) == 0,
}


def small_schema():
    """The default schema with a few of its fields, in small batches."""
    kept = ("timestamp", "phase", "loss_value", "seed_state", "config")
    record = DEFAULT.document.record
    fields = tuple(field for field in record.fields if field.name in kept)
    record = structs.replace(record, fields=fields, batch_records=16)
    return Schema(structs.replace(DEFAULT.document, record=record), shipped_format())


@pytest.mark.parametrize(
    ("strategy", "kinds"),
    [(schemas(), KINDS_OF_SCHEMA), (records(small_schema()), KINDS_OF_RUN)],
    ids=["schemas", "records"],
)
def test_every_kind_is_drawn(strategy, kinds):
    missing = dict(kinds)

    @settings(max_examples=6000, derandomize=True, database=None, phases=[Phase.generate])
    @given(strategy)
    def look(drawn):
        for name in [name for name, is_kind in missing.items() if is_kind(drawn)]:
            del missing[name]
        if not missing:
            raise StopIteration

    with pytest.raises(StopIteration):
        look()
    assert not missing


def test_schemas_are_as_large_as_they_are_allowed_to_be():
    largest = shipped_format().limits.batch_records_max
    found = find(
        schemas(max_batch_records=largest), lambda s: s.batch_records > 1000, settings=QUICK
    )
    assert 1000 < found.batch_records <= largest


@more(2)
@given(schemas(), st.data())
def test_records_are_in_order(schema, data):
    run = data.draw(records(schema))
    given_ = [(r.timestamp, r.phase if isinstance(r.phase, int) else schema.phases.index(r.phase))
              for r in run if r.timestamp is not None]  # fmt: skip
    assert given_ == sorted(given_)


@given(st.data())
def test_columns_have_as_many_records_as_was_asked_for(data):
    found = data.draw(columns(DEFAULT, min_records=3, max_records=5))
    assert {len(column) for column in found.values()} <= {3, 4, 5}


@given(files(DEFAULT, max_records=4))
def test_files_are_of_the_schema_that_was_asked_for(data):
    reader = cmeta.open(data)
    assert reader.schema == DEFAULT
    assert len(reader) <= 4


# ------------------------------------------------------------------------------------ expected

WIDE = DEFAULT.with_metrics(
    wide={"type": "f64"}, exact={"exact": True}, half={"quanta_per_unit": 2}
)


@pytest.mark.parametrize(
    ("path", "value", "wanted"),
    [
        ("loss_value", 0.1234565, float(np.float32(0.123457))),  # float32 makes it more than half
        ("loss_value", -0.0, 0.0),
        ("loss_value", -4e-7, 0.0),
        ("loss_value", 15.9999998, 16.0),
        ("loss_value", 16.000001, float(np.float32(16.000001))),
        ("loss_value", 1e39, math.inf),
        ("loss_value", np.float64("-inf"), -math.inf),
        ("loss_value", None, None),
        ("metrics.half", 0.25, 0.0),
        ("metrics.half", 0.75, 1.0),
        ("metrics.half", -1.25, -1.0),
        ("metrics.wide", 0.12345649999, 0.123456),
        ("metrics.wide", 2.0**30 + 2.0**-22, 2.0**30 + 2.0**-22),
        ("metrics.exact", -0.0, -0.0),
        ("metrics.exact", 5e-324, 5e-324),
        ("tensor_signature", np.float32([0.1, -0.0, 2]), (float(np.float32(0.1)), 0.0, 2.0)),
        ("phase", 2, "validate"),
        ("metrics.state", "stable", "stable"),
        ("seed_state", np.uint64(2**64 - 1), 2**64 - 1),
        ("config", {"a": (1.0, -0.0, math.nan)}, {"a": [1, 0, "NaN"]}),
        ("config", {"a": 2**53, "b": 2.0**53, "c": -(2**64)},
         {"a": "0x20000000000000", "b": 2.0**53, "c": "-0x10000000000000000"}),
    ],
)  # fmt: skip
def test_what_is_expected(path, value, wanted):
    assert identical(expected(value, WIDE[path]), wanted)


def test_a_nan_loses_its_payload():
    payload = np.uint64(0xFFF8000000000123).view(np.float64)
    found = expected(payload, WIDE["metrics.exact"])
    assert np.float64(found).tobytes() == np.float64(math.nan).tobytes()


@pytest.mark.parametrize(
    ("found", "wanted"),
    [(0.0, -0.0), (1, 1.0), (True, 1), (1.0, math.nan), (None, 0), ("a", "b"), ((1,), (1, 2)),
     ([1], (1,)), ({"a": 1}, {"a": 2}), ({"a": 1}, {"b": 1}), ({}, [])],
)  # fmt: skip
def test_what_is_not_identical(found, wanted):
    assert not identical(found, wanted)
    assert not identical(wanted, found)
    assert identical(found, found)


# ---------------------------------------------------------------------------------- dependencies

_WITHOUT = "import sys; sys.modules['hypothesis'] = None; import cmeta; import cmeta.testing"


def test_without_hypothesis_it_says_what_to_install():
    root = Path(cmeta.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last == (
        "ImportError: cmeta.testing needs Hypothesis, which is not installed: "
        'pip install "cmeta-format[testing]"'
    )


def test_the_public_names():
    assert sorted(testing.__all__) == [
        "columns", "expected", "files", "identical", "records", "schemas",
    ]  # fmt: skip
