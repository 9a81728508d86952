"""The scope of a summary: phases, fields, components, ranges, open and damaged files."""

import gc
import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import cmeta
from cmeta.cli.values import json_line
from cmeta.testing.runs import files

NUM_RECORDS = 100


@pytest.fixture
def path(write):
    place = np.arange(NUM_RECORDS)
    return write(
        {
            "timestamp": 1000 + place,
            "phase": np.where(place % 4 == 3, "validate", "train"),
            "metrics.wide": np.ma.MaskedArray(place / 8, place % 3 == 0),
            "metrics.vector": np.stack([place, -place, place * 0.5], axis=1),
            "metrics.late/ä": np.ma.MaskedArray(place * 1.0, place < 60),
            "metrics.state": place % 4,
            "seed_state": place.astype("u8"),
        }
    )


def test_phases_and_fields(path):
    found = cmeta.summarise(path)
    assert (found.file, found.state, found.num_records) == (str(path), "closed", NUM_RECORDS)
    assert found.phases == {"train": 75, "validate": 25}
    assert (found.first_timestamp, found.last_timestamp) == (1000, 1099)
    names = [
        f"metrics.{name}" for name in ("wide", "vector[0]", "vector[1]", "vector[2]", "late/ä")
    ]
    assert [(f.phase, f.name) for f in found] == [
        (phase, name) for phase in ("train", "validate") for name in names
    ]
    assert len(found) == 10


def test_each_phase_for_itself(path):
    found = cmeta.summarise(path)
    with cmeta.open(path) as run:
        for phase in ("train", "validate"):
            columns = run.read(["timestamp", "metrics.wide", "metrics.vector"], phase=phase)
            there = columns.present["metrics.wide"]
            values = columns["metrics.wide"][there]
            wide = found[phase, "metrics.wide"]
            assert (wide.num_values, wide.num_absent) == (there.sum(), (~there).sum())
            assert (wide.first, wide.last) == (values[0], values[-1])
            assert wide.first_at == columns["timestamp"][there][0]
            assert wide.last_at == columns["timestamp"][there][-1]
            assert wide.mean == pytest.approx(values.mean())
            assert wide.deviation == pytest.approx(values.std())
            assert wide.slope == pytest.approx(1 / 8)
            assert wide.bins == tuple(values)
            for i in range(3):
                component = columns["metrics.vector"][:, i]
                vector = found[phase, f"metrics.vector[{i}]"]
                assert (vector.component, vector.group) == (i, "metrics")
                assert vector.short_name == f"vector[{i}]"
                assert (vector.min, vector.max) == (component.min(), component.max())


def test_of_some_fields_phases_and_timestamps(path):
    found = cmeta.summarise(path, ["metrics.wide", "seed_state"], 1010, 1019, "train")
    assert [f.name for f in found] == ["metrics.wide", "seed_state"]
    assert found.phases == {"train": 7}
    assert (found.first_timestamp, found.last_timestamp) == (1010, 1018)
    assert found["train", "seed_state"].first == 10
    assert cmeta.summarise(path, start=2000).num_records == 0
    assert cmeta.summarise(path, phase=["dream"]).fields == ()
    assert cmeta.summarise(path, ["metrics.wide"] * 2, 1001, 1001).fields[0].num_values == 1


def test_requests_that_are_refused(path):
    with pytest.raises(
        KeyError, match=r"run0.cmeta: no field 'nothing'; there are: timestamp, phase"
    ):
        cmeta.summarise(path, ["nothing"])
    for name in ("phase", "config", "metrics.state"):
        with pytest.raises(ValueError, match=f"{name} is of type .*, expected a numeric field"):
            cmeta.summarise(path, [name])
    with pytest.raises(ValueError, match="no phase 'tune'"):
        cmeta.summarise(path, phase="tune")
    with pytest.raises(KeyError, match=r"run0.cmeta: no phase 'dream'; there are: "):
        cmeta.summarise(path)["dream", "metrics.wide"]
    with pytest.raises(FileNotFoundError):
        cmeta.summarise(path.with_name("missing.cmeta"))


def test_words_for_the_loss_and_for_phases(tmp_path):
    path = tmp_path / "run.cmeta"
    cmeta.write(path, {"phase": ["train", "validate"], "loss_value": [0.5, 0.25]})
    found = cmeta.summarise(path, ["loss"])
    assert [field.name for field in found] == ["loss_value"] * 2
    assert found["val", "loss"] == found["validate", "loss_value"]
    with pytest.raises(
        KeyError, match=r"phase validate: no field 'los' \(did you mean loss_value\?\)"
    ):
        found["val", "los"]


def test_of_nothing_and_of_one_record(write, of_wide):
    empty = cmeta.summarise(write({}))
    assert (empty.num_records, empty.fields, empty.first_timestamp) == (0, (), None)
    one = of_wide([2.5])
    assert (one.num_values, one.min, one.max, one.mean, one.first, one.last) == (1, *[2.5] * 5)
    assert (one.deviation, one.slope, one.bins) == (0.0, None, (2.5,))
    nan = of_wide([np.nan])
    assert (nan.num_values, nan.num_nan, nan.num_finite, nan.mean, nan.min_at) == (
        1,
        1,
        0,
        None,
        None,
    )
    assert np.isnan(nan.last)


def test_a_reader_stays_open_and_bytes_are_accepted(path):
    whole = cmeta.summarise(path)
    with cmeta.open(path) as run:
        assert cmeta.summarise(run) == whole
        assert len(run.query_range(1000, 1000)) == 1
    assert cmeta.summarise(path.read_bytes()).fields == whole.fields


def test_progress_ends_at_the_last_batch(path):
    seen = []
    cmeta.summarise(path, progress=lambda done, size: seen.append((done, size)))
    assert seen == sorted(seen)
    assert len(seen) == 7
    assert seen[-1][1] == path.stat().st_size


def test_an_open_file_with_its_journal(tmp_path, schema):
    path = tmp_path / "open.cmeta"
    with cmeta.Recorder(path, schema, mode="new") as rec:
        for i in range(40):
            rec.log("train", loss=i / 8, metrics={"new": float(i)})
        rec.flush()
        found = cmeta.summarise(path)
        assert (found.state, found.num_records) == ("open", 40)
        assert found["train", "loss_value"].last == 39 / 8
        assert found["train", "metrics.new"].mean == 19.5
    closed = cmeta.summarise(path)
    assert closed.state == "closed"
    assert closed.fields == found.fields


@pytest.fixture
def flipped(path):
    data = bytearray(path.read_bytes())
    with cmeta.open(path) as run:
        info = run.batches[2]
    data[info.offset + info.len_block // 2] ^= 4
    other = path.with_name("flipped.cmeta")
    other.write_bytes(data)
    return other


def test_a_damaged_batch_raises_or_is_left_out_whole(path, flipped):
    with pytest.raises(cmeta.DecodeError):
        cmeta.summarise(flipped)
    found = cmeta.summarise(flipped, partial=True)
    assert (found.state, found.num_records) == ("damaged", NUM_RECORDS - 16)
    (problem,) = found.problems
    assert problem.kind == "ChecksumError"
    assert (problem.num_records, problem.first_timestamp, problem.last_timestamp) == (
        16,
        1032,
        1047,
    )
    intact = [cmeta.summarise(path, start=a, end=b) for a, b in ((None, 1031), (1048, None))]
    for one in found:
        parts = [part[one.phase, one.name] for part in intact if (one.phase, one.name) in
                 {(f.phase, f.name) for f in part}]  # fmt: skip
        assert one.num_values == sum(part.num_values for part in parts)
        assert one.min == min(part.min for part in parts)
        assert one.last == parts[-1].last
    assert cmeta.summarise(flipped, end=1031) == cmeta.summarise(flipped, end=1031, partial=True)


def test_a_truncated_file(path):
    other = path.with_name("truncated.cmeta")
    with cmeta.open(path) as run:
        other.write_bytes(path.read_bytes()[: run.batches[3].offset + 9])
    with pytest.raises(cmeta.DecodeError):
        cmeta.summarise(other)
    found = cmeta.summarise(other, partial=True)
    assert (found.state, found.num_records, len(found.problems)) == ("damaged", 48, 1)
    assert found.problems[0].num_records is None
    assert cmeta.summarise(other, end=1030).num_records == 31


def test_json(path, flipped):
    found = json.loads(json_line(cmeta.summarise(flipped, partial=True).as_json()))
    assert list(found) == [
        "file", "state", "num_records", "phases", "first_timestamp", "last_timestamp", "fields",
        "problems",
    ]  # fmt: skip
    assert list(found["fields"][0])[:6] == [
        "phase",
        "field",
        "component",
        "group",
        "unit",
        "num_values",
    ]
    assert found["problems"][0]["num_records"] == 16


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=files(), cut=st.integers(0, 2**64 - 1))
def test_any_file_agrees_with_what_reading_gives(data, cut):
    with cmeta.open(data) as run:
        found, columns = cmeta.summarise(run), run.read(codes=True)
        phases = run.schema.phases
        assert sum(found.phases.values()) == len(run) == found.num_records
        assert cmeta.summarise(run, end=cut).num_records == len(run.query_range(None, cut))
    for one in found:
        values = columns[one.field]
        values = values if one.component is None else values[:, one.component]
        of_phase = columns["phase"] == phases.index(one.phase)
        there = of_phase & columns.present[one.field]
        series = values[there]
        assert (one.num_values, one.num_absent) == (there.sum(), (of_phase & ~there).sum())
        finite = series[np.isfinite(series)]
        assert one.num_finite == len(finite)
        if len(finite):
            extremes = finite.dtype.type(one.min), finite.dtype.type(one.max)
            assert extremes == (finite.min(), finite.max())
            assert float(one.min) <= one.mean <= float(one.max)


def test_memory_is_flat(tmp_path, schema):
    def peak(num_records):
        path = tmp_path / f"{num_records}.cmeta"
        schema_ = schema.with_batch_records(4096)
        cmeta.write(path, {"phase": ["train"] * num_records,
                           "metrics.wide": np.sin(np.arange(num_records))}, schema_)  # fmt: skip
        with cmeta.open(path) as run:
            cmeta.summarise(run)
            gc.freeze()  # otherwise collecting takes long
            tracemalloc.start()
            cmeta.summarise(run, progress=lambda *_: gc.collect())
            found = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            gc.unfreeze()
        return found

    assert peak(40 * 4096) < 1.2 * peak(4 * 4096)
