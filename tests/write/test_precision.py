"""`PrecisionWarning`: where it matters, once for each field, in one sentence with the remedy."""

import re
import warnings

import numpy as np
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


@pytest.mark.parametrize("value", [1e-9, -4e-7, 1e-320])
def test_a_value_that_becomes_zero(target, value):
    losses = [0.5] * 100 + [value]
    (text,) = texts(warned(target, {"phase": ["train"] * 101, "loss_value": losses}))
    stored = "-0" if value == -4e-7 else "0"
    assert text == (
        f"loss_value: 1 value is stored as 0, such as {value:.6g} as {stored}, because its quantum "
        "is 1/1000000; to keep them, use "
        "schema=cmeta.default_schema().with_options('loss_value', exact=True)"
    )


@pytest.mark.parametrize(("value", "stored"), [(1.4e-6, "1e-06"), (3.004e-4, "0.0003")])
def test_most_values_lose_more_than_a_thousandth(target, value, stored):
    (text,) = texts(warned(target, {"phase": ["train"] * 3, "loss_value": [0.5, value, value]}))
    assert text.startswith("loss_value: 2 values are stored with an error of more than 0.1%, ")
    assert f"such as {value:.6g} as {stored}, because its quantum is 1/1000000" in text
    columns = {"phase": ["train"] * 4, "loss_value": [0.5, value, value, 0.5]}
    assert texts(warned(target, columns)) == []  # not most of them


@pytest.mark.parametrize(
    "value",
    [0.0, -0.0, 1e-6, 1e-3, 4.006e-4, 0.1, 16.000001, 1e30, float("nan"), float("inf"), 7, True],
)
def test_a_smaller_loss_is_not_mentioned(target, value):
    assert texts(warned(target, {"phase": ["train"], "loss_value": [value]})) == []


def test_a_loss_that_falls_towards_a_quantum_is_not_mentioned(target):
    losses = np.geomspace(1.0, 2e-6, 1000)
    assert texts(warned(target, {"phase": ["train"] * 1000, "loss_value": losses})) == []


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
    assert "such as 0.04 as 0, because its quantum is 1/10;" in text
    assert "schema=schema.with_options('metrics.lr', exact=True)" in text


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("value", [1e300, 10**400])
def test_an_overflow_of_the_type_names_a_remedy_that_helps(target, exact, value):
    schema = cmeta.default_schema().with_metrics(x={"type": "f32", "exact": exact})
    (text,) = texts(warned(target, {"phase": ["train"] * 2, "metrics.x": [value, 0.5]}, schema))
    assert text.startswith("metrics.x: 1 value is stored as inf, such as ")
    assert "because its type is f32" in text
    assert "type='f64', exact=True" in text


def test_an_underflow_of_an_exact_type_is_a_loss_too(target):
    schema = cmeta.default_schema().with_metrics(x={"type": "f32", "exact": True})
    (text,) = texts(warned(target, {"phase": ["train"], "metrics.x": [1e-60]}, schema))
    assert text.startswith(
        "metrics.x: 1 value is stored as 0, such as 1e-60 as 0, because its type"
    )
    assert "f64" in text


def test_once_for_a_field_however_many_chunks(target):
    chunk = {"phase": ["train"] * 2, "loss_value": [1e-9, 1e-8], "coherence": [1e-9, 1.0]}
    found = texts(warned(target, [chunk, chunk, chunk]))
    assert sorted(text.partition(",")[0] for text in found) == [
        "coherence: 3 values are stored as 0", "loss_value: 6 values are stored as 0",
    ]  # fmt: skip


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
    assert text.startswith("tensor_signature: 1 value is stored as 0, such as 1e-09 as 0")


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
    refuse(columns, ["such as 1e-09 as 0"], error=PrecisionWarning)


# ------------------------------------------------------------------------------------- recording

SMALL = cmeta.default_schema().with_batch_records(16)


def test_a_recorder_warns_at_the_end_of_a_batch_and_where_it_is_used(target):
    with cmeta.Recorder(target, SMALL) as rec, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for step in range(15):
            rec.log("train", loss=1e-9, coherence=1e39, step=step)
        assert caught == []
        rec.log("train", loss=0.5)
        rec.seal()
        for _ in range(40):
            rec.log("train", loss=1e-9, coherence=1e39)
        rec.seal()
    assert sorted(text.partition(",")[0] for text in texts(caught)) == [
        "coherence: 15 values are stored as inf", "loss_value: 15 values are stored as 0",
    ]  # fmt: skip
    assert {w.category for w in caught} == {PrecisionWarning}
    assert {w.filename for w in caught} == {__file__}


def test_a_recorder_warns_when_it_is_closed(target):
    rec = cmeta.Recorder(target)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rec.log("train", loss=1e-9)
    with pytest.warns(PrecisionWarning, match="loss_value: 1 value is stored as 0") as caught:
        rec.close()
    assert caught[0].filename == __file__
    assert cmeta.validate(target).ok


def test_a_falling_loss_is_recorded_without_a_warning(target):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with cmeta.Recorder(target, SMALL) as rec:
            for value in (*np.geomspace(1, 6e-4, 40), 1e-4, 3.3e-5, 0.0, float("nan"), np.inf):
                rec.log("train", loss=value, tensor_signature=(value, 0.5, 0.5))
    assert cmeta.validate(target).num_records == 45


def test_recorder_and_write_give_the_same_sentence(target):
    values = [1e-60, 1e39, -1e-7, 0.25, 3e-6]
    columns = {"phase": ["train"] * 5, "loss_value": values, "coherence": values[2:] + [0.5] * 2}
    expected = texts(warned(target, columns))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with cmeta.Recorder(target, mode="replace") as rec:
            for place, value in enumerate(values):
                rec.log("train", loss=value, coherence=columns["coherence"][place])
    assert len(expected) == 2
    assert sorted(texts(caught)) == sorted(expected)


def test_as_an_error_it_loses_no_record(target):
    with warnings.catch_warnings():
        warnings.simplefilter("error", PrecisionWarning)
        rec = cmeta.Recorder(target, SMALL)
        for _ in range(16):
            rec.log("train", loss=1e-9)
        rec.seal()
        with pytest.raises(PrecisionWarning):
            rec.log("train", loss=0.25)
        rec.log("train", loss=0.5)
        rec.close()
    with cmeta.open(target) as run:
        assert len(run) == 17
        assert run.read(["loss_value"])["loss_value"][-1] == 0.5
