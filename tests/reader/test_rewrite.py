"""Writing what was read gives the same bytes."""

import numpy as np
import pytest

import cmeta


@pytest.fixture
def rewritten(tmp_path):
    """Write, and return the bytes."""

    def write(columns, *args, **options):
        cmeta.write(tmp_path / "again.cmeta", columns, *args, **options)
        return (tmp_path / "again.cmeta").read_bytes()

    return write


def test_as_columns(run, data, rewritten):
    assert rewritten(run.read()) == data


def test_as_columns_with_codes(run, data, rewritten):
    assert rewritten(run.read(codes=True)) == data


def test_as_records(run, data, rewritten):
    assert rewritten(list(run), run.schema) == data
    assert rewritten(run.records(), run.schema) == data


def test_as_chunks(run, data, rewritten):
    chunks = (run.read(start=start, end=start + 99) for start in range(0, 600, 100))
    assert rewritten(chunks, run.schema, config=run.configs) == data


def test_with_what_is_said_twice(run, data, rewritten):
    found = run.read()
    assert rewritten(found, found.schema, config=found.configs, present=found.present) == data


def test_a_range_is_a_run_of_its_own(run, records, rewritten):
    part = rewritten(run.read(start=300, end=400))
    expected = [record for record in records if 300 <= record.timestamp <= 400]
    assert part == rewritten(expected, run.schema)
    with cmeta.open(part) as found:
        assert list(found) == expected
        assert found.configs == ({"lr": 0.1}, {"lr": 0.01})


def test_phases_are_runs_of_their_own(run, records, rewritten):
    part = rewritten(run.read(phase="validate"))
    assert part == rewritten([r for r in records if r.phase == "validate"], run.schema)


def test_columns_without_a_phase_are_no_run(run, tmp_path):
    with pytest.raises(cmeta.EncodeError, match="phase: missing"):
        cmeta.write(tmp_path / "again.cmeta", run.read(["loss_value"]))


def test_another_schema_takes_it_where_it_fits(run, rewritten):
    schema = cmeta.default_schema().with_metrics(accuracy={"type": "f64", "exact": True})
    with cmeta.open(rewritten(run.read(), schema)) as found:
        assert found.schema == schema
        assert found.names == ("late",)
        np.testing.assert_array_equal(
            found.read()["metrics.accuracy"], run.read()["metrics.accuracy"]
        )
    narrow = cmeta.default_schema().with_metrics(late={"type": "u8"})
    with pytest.raises(cmeta.EncodeError, match="late"):
        rewritten(run.read(), narrow)


def test_special_values_survive(rewritten):
    nan, inf = float("nan"), float("inf")
    first = rewritten(
        {
            "phase": ["dream"] * 4,
            "timestamp": [0, 0, 2**63, 2**64 - 1],
            "loss_value": [nan, inf, -inf, None],
            "tensor_signature": [[nan, 1, inf], None, [0, 0, 0], [-inf, nan, 2]],
            "metrics.x": [-0.0, 5e-324, nan, None],
            "seed_state": [2**64 - 1, 0, None, 2**63],
            "metrics.state": ["stable", None, "diverging", "stable"],
            "config": [None, {"a": 2**64 - 1}, {"a": nan}, None],
        }
    )
    with cmeta.open(first) as run:
        assert rewritten(run.read()) == first
        assert rewritten(list(run), run.schema) == first
