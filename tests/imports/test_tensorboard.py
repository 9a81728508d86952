"""TensorBoard logs that PyTorch's and TensorBoard's own writers wrote: see tests/fixtures/make.py."""

import numpy as np
import pytest

import cmeta
from cmeta.errors import EncodeError
from cmeta.tools.imports import tensorboard
from cmeta.tools.imports.formats import ImportOptions, detect
from cmeta.tools.imports.import_run import import_run
from tests.fixtures.make import CLOCK, FLOATS
from tests.imports.masked import masked


@pytest.fixture
def log(written):
    return lambda name: written(f"tensorboard/{name}")


def read(source, **options):
    return masked(tensorboard.read(source, ImportOptions(**options)))


def rows(imported, path):
    """Return (phase, step, value) of each record that has a value."""
    columns = imported.columns
    values = np.ma.masked_array(columns[path])
    labels = [imported.schema.phases[code] for code in columns["phase"]]
    every = zip(labels, columns["step"].tolist(), values.tolist(), strict=True)
    return [row for row in every if row[2] is not None]


def test_steps_phases_wall_times_and_names_come_back(log, tmp_path):
    report = import_run(log("steps"), tmp_path / "run.cmeta")
    assert report.format == "tensorboard"
    with cmeta.open(tmp_path / "run.cmeta") as run:
        found = run.query_range(0, 10)
    assert [(r.phase, r.timestamp, r.step) for r in found] == [
        ("train", 0, 0), ("validate", 0, 0), ("train", 10, 10), ("validate", 10, 10),
    ]  # fmt: skip
    assert [r.loss_value for r in found] == [0.5, 0.75, 0.25, None]
    assert found[0].metrics["layer.0.weight"] == float(np.float32(0.1))
    assert found[3].metrics['val/größe, "x"'] == 3.0
    assert [r.metrics["wall_time"] for r in found] == [CLOCK, CLOCK + 2, CLOCK + 3, CLOCK + 4]
    losses = {"train": "train/loss", "validate": "val/loss"}
    assert found[0].config["imported"] == {"source": "tensorboard", "loss_value": losses}
    assert cmeta.validate(tmp_path / "run.cmeta").ok
    assert report.ok  # no record has two times
    assert any("1 other values are not kept, at most 1 s apart" in note for note in report.notes)


def test_every_float_comes_back_bit_for_bit(log, tmp_path):
    import_run(log("floats"), tmp_path / "run.cmeta")
    with cmeta.open(tmp_path / "run.cmeta") as run:
        columns = run.read(["loss_value", "metrics.x"])
    expected = np.array(FLOATS, np.float32).astype(np.float64)
    for name in ("loss_value", "metrics.x"):
        assert columns.present[name].all()
        assert columns[name].astype(np.float64).tobytes() == expected.tobytes()


def test_late_metrics_find_their_record_and_repeated_steps_stay(log):
    found = read(log("repeated_steps"))
    assert rows(found, "metrics.a") == [
        ("train", 0, 1.0), ("train", 1, 2.0), ("train", 1, 3.0), ("train", 2, 4.0),
    ]  # fmt: skip
    assert found.columns["metrics.b"].tolist() == [None, 20.0, 30.0, None]
    assert found.columns["metrics.late"].tolist() == [7.0, None, None, None]
    assert found.columns["metrics.wall_time"][2] == CLOCK + 4


def test_files_of_one_folder_are_read_in_turn(log):
    assert rows(read(log("two_files")), "metrics.x") == [("train", 5, 1.0), ("train", 5, 2.0)]


def test_scalars_in_the_new_form_are_scalars(log):
    found = read(log("new_form_own"))
    assert found.columns["metrics.x"].tolist() == [0.0, 0.5, 1.0]
    assert found.columns["metrics.wall_time"].tolist() == [CLOCK, CLOCK + 1, CLOCK + 2]
    assert not found.lost
    assert rows(read(log("new_form_torch")), "metrics.y") == [("train", 3, 1.5), ("train", 4, 2.5)]


def test_values_other_than_numbers_are_reported_by_tag(log):
    found = read(log("other_kinds"))
    notes = " | ".join(found.notes)
    for part in ("no histograms: 2 of weights", "no text: 1 of notes/text_summary",
                 "no tensors: 1 of t", "no curves: 1 of pr"):  # fmt: skip
        assert part in notes
    assert found.lost == ("a step below 0 is not a valid timestamp: 1 of before",)


def test_hyperparameters_go_into_the_configuration(log):
    found = read(log("hyperparameters"))
    assert found.configs[0]["hparams"] == {"lr": 0.1, "optimiser": "sgd"}
    assert rows(found, "metrics.hp/accuracy") == [("train", 0, 0.5)]


def test_folders_named_after_phases_are_one_run(log):
    assert rows(read(log("folders_of_phases")), "metrics.epoch_loss") == [
        ("train", 0, 1.0), ("validate", 0, 2.0),
    ]  # fmt: skip


def test_a_tag_of_several_folders_in_one_phase_is_named_after_them(log):
    found = read(log("folders_of_a_tag"))
    assert rows(found, "metrics.both_a/both") == [("train", 3, 1.0)]
    assert rows(found, "metrics.both_b/both") == [("train", 3, 2.0)]


def test_one_of_several_runs_must_be_chosen(log):
    folder = log("two_runs")
    with pytest.raises(EncodeError, match=r"found 2 runs.*exp/one, exp/two"):
        read(folder)
    with pytest.raises(EncodeError, match=r"no run 'three'.*exp/one, exp/two"):
        read(folder, run="three")
    found = read(folder, run="exp/two")
    assert rows(found, "metrics.x") == [("train", 0, 2.0)]
    assert found.configs[0]["imported"]["run"] == "exp/two"


def test_the_default_phase_is_that_of_tags_without_one(log):
    folder = log("tag_without_phase")
    found = read(folder, phase="finetune")
    assert rows(found, "metrics.x") == [("finetune", 0, 1.0)]
    assert rows(found, "metrics.train/x") == [("train", 0, 2.0)]
    assert rows(read(folder, phase="val"), "metrics.x") == [("validate", 0, 1.0)]
    with pytest.raises(EncodeError, match="found the phase 'finetune', expected one of: dream"):
        read(folder, phase="finetune", schema=cmeta.default_schema())


def test_names_with_another_meaning_in_the_schema_are_changed_with_a_note(log, tmp_path):
    report = import_run(log("names"), tmp_path / "run.cmeta")
    with cmeta.open(tmp_path / "run.cmeta") as run:
        record = run.query_range(0, 0)[0]
    assert record.metrics["state_"] == 3.0
    assert record.metrics["entropy"] == float(np.float32(0.1))
    assert record.metrics["wall_time"] == 5.0
    assert record.metrics["wall_time_"] == CLOCK
    assert record.epoch == 2
    assert any("state is not a number" in note for note in report.notes)
    assert any("1 to 255 bytes of UTF-8" in lost for lost in report.lost)


def test_a_bare_loss_is_the_loss_and_each_phase_has_its_own(log):
    found = read(log("bare_loss"))
    assert rows(found, "loss_value") == [("train", 0, 1.0)]
    assert rows(found, "metrics.train/loss") == [("train", 0, 2.0)]
    found = read(log("two_losses"))  # several of one phase: see test_phase_words
    assert rows(found, "loss_value") == [("validate", 0, 1.0), ("test", 0, 2.0)]


def test_detection(log, tmp_path):
    folder = log("nested")
    (file,) = (folder / "deep").iterdir()
    renamed = tmp_path / "renamed"
    renamed.write_bytes(file.read_bytes())
    other = tmp_path / "other"
    other.write_bytes(b"x" * 100)
    assert detect(folder) == detect(file) == detect(renamed) == "tensorboard"
    assert not tensorboard.looks_like(other)
    (tmp_path / "empty").mkdir()
    assert not tensorboard.looks_like(tmp_path / "empty")
    with pytest.raises(EncodeError, match="no event file"):
        read(tmp_path / "empty")
    with pytest.raises(EncodeError, match="not an event file"):
        read(other)
