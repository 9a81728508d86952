"""The description of one file."""

import math
import os

import numpy as np
import pytest

import cmeta
from cmeta.schema.types import Field
from cmeta.tools.runs.run_info import NUM_BINS, describe, loss_field_of

NAN, INF = math.nan, math.inf


def test_the_whole_description_of_a_run(write):
    path = write(
        loss=(0.5, NAN, -INF, 0.125),
        phase=["train", "validate", "train", "train"],
        config={"lr": 0.1, "net": {"width": 8, "tags": ["a"], "none": {}}},
        step=np.array([5, 4, 4, 2**64 - 1], np.uint64),
        **{
            "metrics.entropy": np.ma.MaskedArray([1.0, 2.0, 2.0, 9.0], [True, False, False, True]),
            "metrics.late/ü": np.ma.MaskedArray([0.0, 0, 0, 1 / 3], [True, True, True, False]),
            "metrics.state": ["stable", "stable", "stable", "diverging"],
            "tensor_signature": [[1, 2, 3], [0, 2, 4], [0, 2, 3], [1, 2, 3]],
        },
    )
    run = describe(str(path))
    assert (run.path, run.state, run.problem) == (str(path), "closed", "")
    assert (run.num_records, run.len_file) == (4, path.stat().st_size)
    assert (run.first_timestamp, run.last_timestamp) == (0, 3)
    assert run.phases == {"train": 3, "validate": 1}
    assert run.config == {"lr": 0.1, "net.width": 8, "net.tags": ["a"], "net.none": {}}
    assert run.num_configs == 1
    loss = run["train/loss"]
    assert loss is run.by_phase["train"]["loss_value"]
    assert (loss.phase, loss.last, loss.min, loss.max) == ("train", 0.125, -INF, 0.5)
    assert (loss.min_timestamp, loss.max_timestamp, loss.num_values, loss.num_nan) == (2, 0, 3, 0)
    loss = run.fields["loss_value"]
    assert (loss.phase, loss.min, loss.num_values, loss.num_nan) == ("validate", None, 1, 1)
    assert run["loss"] is loss and repr(run["val/loss"]) == repr(loss)  # NaN included
    step = run.fields["step"]
    assert (step.last, step.min, step.max) == (2**64 - 1, 4, 2**64 - 1)
    assert (step.min_timestamp, step.max_timestamp) == (1, 3)
    entropy = run.fields["metrics.entropy"]
    assert (entropy.phase, entropy.num_values, entropy.last) == ("validate", 1, 2.0)
    assert (run.fields["metrics.late/ü"].last, run.fields["metrics.late/ü"].type) == (1 / 3, "f64")
    state = run.fields["metrics.state"]
    assert (state.last, state.min, state.max) == ("diverging", None, None)
    assert [run[f"train/tensor_signature[{i}]"].max for i in range(3)] == [1, 2, 3]
    assert [run[f"tensor_signature[{i}]"].max for i in range(3)] == [0, 2, 4]
    assert "timestamp" not in run.fields and "config" not in run.fields
    assert run.loss_field == "loss_value"
    assert len(run.loss) == 1 and math.isnan(run.loss[0])  # of validation, as the plain name


def test_over_several_batches_it_is_as_over_one(tmp_path):
    draw = np.random.default_rng(3)
    loss = draw.normal(size=500)
    loss[draw.integers(0, 500, 60)] = NAN
    loss[[10, 400]], loss[[11, 401]] = -9, 9  # the same in two batches: the first counts
    there = draw.random(500) < 0.7
    there[[10, 11, 400, 401]] = True
    columns = {"phase": ["train"] * 500, "loss_value": np.ma.MaskedArray(loss, ~there)}
    columns["config"] = np.arange(500) // 100
    small = cmeta.default_schema().with_batch_records(16)
    for name, schema in (("one", None), ("many", small)):
        cmeta.write(tmp_path / name, columns, schema, [{"part": i} for i in range(5)])
    one, many = describe(str(tmp_path / "one")), describe(str(tmp_path / "many"))
    assert repr(one.fields) == repr(many.fields)  # NaN included
    assert (one.config, one.num_configs) == (many.config, many.num_configs) == ({"part": 4}, 5)
    assert np.allclose(one.loss, many.loss, rtol=1e-12, equal_nan=True)
    with cmeta.open(tmp_path / "one") as run:
        stored = run.read(["loss_value"])["loss_value"][there]
    known = one.fields["loss_value"]
    assert (known.num_values, known.num_nan) == (len(stored), np.isnan(stored).sum())
    assert (known.min, known.max) == (np.nanmin(stored), np.nanmax(stored))
    assert (known.min_timestamp, known.max_timestamp) == (10, 11)


def test_the_curve_of_the_loss_is_its_means(write):
    run = describe(str(write(loss=np.repeat(np.arange(NUM_BINS) / 4, 3))))
    assert run.loss == tuple(np.arange(NUM_BINS) / 4)


def test_the_curve_of_a_loss_that_is_seldom_logged_has_no_gaps(write):
    loss = np.ma.MaskedArray(np.full(400, 0.5), np.arange(400) % 100 != 0)
    assert describe(str(write(loss=loss))).loss == (0.5,) * 4


def test_a_curve_of_huge_values_does_not_overflow(tmp_path):
    schema = cmeta.default_schema().with_options("loss_value", type="f64", exact=True)
    values = [1.7e308] * 100
    cmeta.write(tmp_path / "a", {"phase": ["train"] * 100, "loss_value": values}, schema)
    assert np.allclose(describe(str(tmp_path / "a")).loss, 1.7e308)


def test_a_vector_that_is_too_long_to_list_is_left_out(tmp_path):
    schema = cmeta.default_schema().with_metrics(
        short={"type": "f32[16]"}, long={"type": "f32[17]"}
    )
    columns = {
        "phase": ["train"],
        "metrics.short": np.ones((1, 16)),
        "metrics.long": np.ones((1, 17)),
    }
    cmeta.write(tmp_path / "a", columns, schema)
    run = describe(str(tmp_path / "a"))
    assert list(run.fields) == [f"metrics.short[{i}]" for i in range(16)]


TWO_PHASES = {"phase": ["train", "validate"] * 3, "timestamp": [0, 0, 1, 1, 2, 2]}


def test_validation_is_not_mixed_with_training(write):
    columns = TWO_PHASES | {"metrics.acc": [0.9, 0.1, 0.8, 0.3, 0.7, 0.2]}
    run = describe(str(write(loss=(0.1, 4.0, 0.2, 3.0, 0.3, 5.0), **columns)))
    assert (run["loss"].phase, run["loss"].min, run["loss"].min_timestamp) == ("validate", 3.0, 1)
    assert run.loss == (4.0, 3.0, 5.0)
    assert run["acc"].max == run["val/acc"].max == 0.3
    assert run["train/acc"].max == run["Training/metrics.acc"].max == 0.9
    for name, message in {"dream/loss": "no field 'dream/loss'", "ac": "did you mean metrics.acc",
                          "train/los": "no field 'train/los'"}.items():  # fmt: skip
        with pytest.raises(KeyError, match=message):
            run[name]


def test_what_is_no_measurement_is_over_all_records(write):
    columns = TWO_PHASES | {"step": [5, 9, 1, 2, 9, 1], "metrics.state": [0, 0, 0, 0, 0, 1]}
    run = describe(str(write(loss=np.zeros(6), **columns)))
    step = run.fields["step"]
    assert (step.phase, step.num_values, step.last, step.min, step.max) == ("", 6, 1, 1, 9)
    assert (step.min_timestamp, step.max_timestamp) == (1, 0)
    assert run["val/step"].max == 9 and run["train/step"].last == 9
    assert run["state"].num_values == 6 and run["val/state"].num_values == 3


def test_without_validation_it_is_training_or_the_only_phase(write):
    both = {"phase": ["dream", "train"] * 2, "timestamp": [0, 0, 1, 1]}
    assert describe(str(write(loss=(1, 2, 3, 4), **both)))["loss"].min == 2
    assert describe(str(write(loss=(1, 2), phase=["dream"] * 2)))["loss"].phase == "dream"


def test_the_loss_is_a_field_that_has_values(tmp_path):
    cmeta.write(tmp_path / "a", {"phase": ["train"], "metrics.train/loss": [0.5]})
    run = describe(str(tmp_path / "a"))
    assert (run.loss_field, run.loss, run["train/loss"].last) == ("metrics.train/loss", (0.5,), 0.5)


def test_all_nan_has_no_extremes(write):
    known = describe(str(write(loss=(NAN, NAN)))).fields["loss_value"]
    assert math.isnan(known.last)
    assert (known.min, known.max, known.min_timestamp, known.num_nan) == (None, None, None, 2)


def test_an_empty_run(tmp_path):
    cmeta.write(tmp_path / "a", {"phase": []})
    run = describe(str(tmp_path / "a"))
    assert (run.state, run.num_records, run.last_timestamp) == ("closed", 0, None)
    assert (run.fields, run.phases, run.config, run.loss) == ({}, {}, {}, ())


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["lr", "my_loss"], "my_loss"),
        (["train/loss", "loss"], "loss"),
        (["loss", "loss_value"], "loss_value"),
        (["lossless", "gloss"], None),
        ([], None),
    ],
)
def test_the_loss_goes_by_its_name(names, found):
    known = loss_field_of(Field(name, "f32") for name in names)
    assert (known and known.name) == found
    assert loss_field_of(Field(name, "u32") for name in names) is None


def test_an_open_run_is_listed_with_its_journal(tmp_path):
    path = tmp_path / "a.cmeta"
    with cmeta.Recorder(path, config={"lr": 0.1}) as rec:
        rec.log("train", loss=0.5, metrics={"val_accuracy": 0.25, "new": 2})
        rec.log("train", loss=0.25)
        run = describe(str(path))
    assert (run.state, run.num_records, run.problem) == ("open", 2, "")
    assert (run.fields["loss_value"].last, run.fields["metrics.new"].last) == (0.25, 2)
    assert run.config["lr"] == 0.1


def test_the_intact_records_of_a_damaged_run_are_described(tmp_path):
    path = tmp_path / "a.cmeta"
    columns = {"phase": ["train"] * 64, "loss_value": np.arange(64.0)}
    cmeta.write(path, columns, cmeta.default_schema().with_batch_records(16))
    with cmeta.open(path) as run:
        second = run.batches[1]
    data = bytearray(path.read_bytes())
    data[second.offset + second.len_block // 2] ^= 1
    path.write_bytes(data)
    run = describe(str(path))
    assert run.state == "damaged" and f"offset {second.offset}" in run.problem
    assert (run.num_records, run.fields["loss_value"].num_values) == (48, 48)
    assert (run.first_timestamp, run.last_timestamp) == (0, 63)
    path.write_bytes(data[: second.offset + 9])
    run = describe(str(path))
    assert (run.state, run.num_records) == ("damaged", 16)


def test_a_file_that_is_not_a_chronicle(tmp_path):
    (tmp_path / "text").write_text("no chronicle")
    (tmp_path / "nothing").write_bytes(b"")
    found = {name: describe(str(tmp_path / name)) for name in ("text", "nothing", "missing", "")}
    assert [run.state for run in found.values()] == ["damaged"] * 2 + ["unreadable"] * 2
    assert "header.signature" in found["text"].problem
    assert found["missing"].problem == "No such file or directory"
    assert found[""].problem == "a folder, expected a .cmeta file"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.cmeta")
    assert describe(str(tmp_path / "a.cmeta")).problem.startswith("not a regular file")


def test_a_lack_of_memory_is_the_problem_of_one_file(write, monkeypatch):
    def fail(self, ordinal):
        raise MemoryError

    path = write()
    monkeypatch.setattr(cmeta.Reader, "batch", fail)
    assert describe(str(path)).state == "unreadable"
