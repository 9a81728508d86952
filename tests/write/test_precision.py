"""`PrecisionWarning`: once for each field, with value, quantum and remedy."""

import re
import warnings

import pytest

import cmeta
from cmeta import CycleRecord, PrecisionWarning


def warned(target, columns, schema=None, **options):
    """Write, and return the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cmeta.write(target, columns, schema, **options)
    return caught


def texts(caught):
    return [str(warning.message) for warning in caught]


@pytest.mark.parametrize(
    ("value", "stored"),
    [(1e-9, "0"), (-4e-7, "-0"), (1.4e-6, "1e-06"), (3.004e-4, "0.0003"), (1e-320, "0")],
)
def test_a_loss_beyond_a_thousandth(target, value, stored):
    (text,) = texts(warned(target, {"phase": ["train"] * 2, "loss_value": [0.5, value]}))
    assert text.startswith(f"loss_value: {value:.6g} will be stored as {stored}; ")
    assert "1/1000000" in text
    assert "its quantum is 1/1000000" in text
    assert "exact" in text


@pytest.mark.parametrize(
    "value",
    [0.0, -0.0, 1e-6, 1e-3, 4.006e-4, 0.1, 16.000001, 1e30, float("nan"), float("inf"), 7, True],
)
def test_a_smaller_loss_is_not_mentioned(target, value):
    assert texts(warned(target, {"phase": ["train"], "loss_value": [value]})) == []


def test_what_is_absent_loses_nothing(target):
    columns = {"phase": ["train"] * 2, "loss_value": [1e-9, 0.5]}
    assert texts(warned(target, columns, present={"loss_value": [False, True]})) == []


def test_lossless_fields_lose_nothing(target):
    schema = cmeta.default_schema().with_metrics(lr={"exact": True})
    columns = {"phase": ["train"], "metrics.lr": [1e-9], "metrics.undeclared": [1e-300]}
    assert texts(warned(target, columns, schema)) == []


def test_the_quantum_of_the_field_counts(target):
    schema = cmeta.default_schema().with_metrics(lr={"quanta_per_unit": 10})
    (text,) = texts(warned(target, {"phase": ["train"], "metrics.lr": [0.04]}, schema))
    assert text.startswith("metrics.lr: 0.04 will be stored as 0; its quantum is 1/10")


@pytest.mark.parametrize("exact", [False, True])
def test_an_overflow_of_the_type_names_a_remedy_that_helps(target, exact):
    schema = cmeta.default_schema().with_metrics(x={"type": "f32", "exact": exact})
    (text,) = texts(warned(target, {"phase": ["train"], "metrics.x": [1e300]}, schema))
    assert text.startswith("metrics.x: 1e+300 will be stored as inf")
    assert "f64" in text


def test_an_underflow_of_an_exact_type_is_a_loss_too(target):
    schema = cmeta.default_schema().with_metrics(x={"type": "f32", "exact": True})
    (text,) = texts(warned(target, {"phase": ["train"], "metrics.x": [1e-60]}, schema))
    assert text.startswith("metrics.x: 1e-60 will be stored as 0")
    assert "f64" in text


def test_once_for_a_field_however_many_chunks(target):
    chunk = {"phase": ["train"] * 2, "loss_value": [1e-9, 1e-8], "coherence": [1e-9, 1.0]}
    found = texts(warned(target, [chunk, chunk, chunk]))
    assert sorted(text.partition(":")[0] for text in found) == ["coherence", "loss_value"]


def test_once_for_a_field_however_many_records(target):
    records = [CycleRecord(phase="train", loss_value=1e-9) for _ in range(5000)]
    assert len(warned(target, records)) == 1


def test_every_file_warns_anew(target):
    columns = {"phase": ["train"], "loss_value": [1e-9]}
    assert len(warned(target, columns)) == 1
    assert len(warned(target, columns)) == 1


def test_a_vector_warns_of_its_component(target):
    columns = {"phase": ["train"], "tensor_signature": [[0.5, 1e-9, 0.5]]}
    (text,) = texts(warned(target, columns))
    assert text.startswith("tensor_signature: 1e-09 will be stored as 0")


@pytest.mark.parametrize("as_records", [False, True])
def test_it_points_at_the_caller(target, as_records):
    columns = {"phase": ["train"], "loss_value": [1e-9]}
    given = [CycleRecord(phase="train", loss_value=1e-9)] if as_records else columns
    (warning,) = warned(target, given)
    assert warning.filename == __file__
    assert issubclass(warning.category, cmeta.CmetaWarning)


def test_the_remedy_is_what_it_says(target):
    columns = {"phase": ["train"], "loss_value": [1e-9]}
    (text,) = texts(warned(target, columns))
    assert re.search(
        r"schema=cmeta\.default_schema\(\)\.with_options\('loss_value', exact=True\)", text
    )
    schema = cmeta.default_schema().with_options("loss_value", exact=True)
    assert texts(warned(target, columns, schema)) == []


def test_as_an_error_it_leaves_nothing_behind(refuse):
    columns = [{"phase": ["train"]}, {"phase": ["train"], "loss_value": [1e-9]}]
    refuse(columns, ["1e-09 will be stored as 0"], error=PrecisionWarning)
