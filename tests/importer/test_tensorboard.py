"""TensorBoard logs, written by PyTorch's and TensorBoard's own writers and imported again."""

import numpy as np
import pytest
from tensorboard.summary import Writer
from torch.utils.tensorboard import SummaryWriter

import cmeta
from cmeta.errors import EncodeError
from cmeta.tools.imports import scalar_log as points_module
from cmeta.tools.imports import tensorboard
from cmeta.tools.imports.formats import detect
from cmeta.tools.imports.import_run import import_run
from cmeta.tools.imports.model import ImportOptions

CLOCK = 1.7e9  # seconds: what the writers are told


def read(source, **options):
    return tensorboard.read(source, ImportOptions(**options))


def write_scalars(folder, scalars):
    """Log (tag, value, step) in turn, each a second after the other."""
    with SummaryWriter(str(folder)) as writer:
        for place, (tag, value, step) in enumerate(scalars):
            writer.add_scalar(tag, value, step, walltime=CLOCK + place)


def rows(imported, path):
    """Return (phase, step, value) of each record that has a value."""
    columns = imported.columns
    values = np.ma.masked_array(columns[path])
    labels = [imported.schema.phases[code] for code in columns["phase"]]
    every = zip(labels, columns["step"].tolist(), values.tolist(), strict=True)
    return [row for row in every if row[2] is not None]


def test_steps_phases_wall_times_and_names_come_back(tmp_path):
    scalars = [
        ("train/loss", 0.5, 0), ("layer.0.weight", 0.1, 0), ("val/loss", 0.75, 0),
        ("train/loss", 0.25, 10), ("val/größe, \"x\"", 3.0, 10),
    ]  # fmt: skip
    write_scalars(tmp_path / "log", scalars)
    report = import_run(tmp_path / "log", tmp_path / "run.cmeta")
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
    assert len(report.lost) == 1
    assert "1 other values are not kept, at most 1 s apart" in report.lost[0]


def test_every_float_comes_back_bit_for_bit(tmp_path):
    values = [0.1, 1e-30, -0.0, float("nan"), float("inf"), float("-inf"), 3e38]
    write_scalars(tmp_path, [(tag, v, i) for i, v in enumerate(values) for tag in ("loss", "x")])
    import_run(tmp_path, tmp_path / "run.cmeta")
    with cmeta.open(tmp_path / "run.cmeta") as run:
        columns = run.read(["loss_value", "metrics.x"])
    expected = np.array(values, np.float32).astype(np.float64)
    for name in ("loss_value", "metrics.x"):
        assert columns.present[name].all()
        assert columns[name].astype(np.float64).tobytes() == expected.tobytes()


def test_late_metrics_find_their_record_and_repeated_steps_stay(tmp_path):
    first = [("a", 1.0, 0), ("a", 2.0, 1), ("b", 20.0, 1), ("late", 7.0, 0)]
    again = [("a", 3.0, 1), ("b", 30.0, 1), ("a", 4.0, 2)]  # a run that was started again
    write_scalars(tmp_path, [*first, *again])
    found = read(tmp_path)
    assert rows(found, "metrics.a") == [
        ("train", 0, 1.0), ("train", 1, 2.0), ("train", 1, 3.0), ("train", 2, 4.0),
    ]  # fmt: skip
    assert found.columns["metrics.b"].tolist() == [None, 20.0, 30.0, None]
    assert found.columns["metrics.late"].tolist() == [7.0, None, None, None]
    assert found.columns["metrics.wall_time"][2] == CLOCK + 4


def test_files_of_one_folder_are_read_in_turn(tmp_path):
    for value in (1.0, 2.0):  # as after a restart
        with SummaryWriter(str(tmp_path), filename_suffix=f".{value}") as writer:
            writer.add_scalar("x", value, 5)
    assert rows(read(tmp_path), "metrics.x") == [("train", 5, 1.0), ("train", 5, 2.0)]


def test_scalars_in_the_new_form_are_scalars(tmp_path):
    writer = Writer(str(tmp_path / "own"))
    for step in range(3):  # only the first value of a tag names the plugin
        writer.add_scalar("x", step / 2, step, wall_time=CLOCK + step)
    writer.close()
    with SummaryWriter(str(tmp_path / "torch")) as torch_writer:
        torch_writer.add_scalar("y", 1.5, 3, new_style=True)
        torch_writer.add_scalar("y", 2.5, 4, new_style=True)
    found = read(tmp_path / "own")
    assert found.columns["metrics.x"].tolist() == [0.0, 0.5, 1.0]
    assert found.columns["metrics.wall_time"].tolist() == [CLOCK, CLOCK + 1, CLOCK + 2]
    assert not found.lost
    assert rows(read(tmp_path / "torch"), "metrics.y") == [("train", 3, 1.5), ("train", 4, 2.5)]


def test_what_is_no_number_is_said_with_its_tags(tmp_path):
    with SummaryWriter(str(tmp_path)) as writer:
        writer.add_scalar("x", 1.0, 0, walltime=CLOCK)
        writer.add_histogram("weights", np.arange(5.0), 0)
        writer.add_histogram("weights", np.arange(5.0), 1)
        writer.add_text("notes", "hello", 0)
        writer.add_tensor("t", __import__("torch").zeros(3), 0)
        writer.add_pr_curve("pr", np.array([0, 1]), np.array([0.2, 0.8]), 0)
        writer.add_scalar("before", 1.0, -1)
    lost = " | ".join(read(tmp_path).lost)
    for part in ("no histograms: 2 of weights", "no text: 1 of notes/text_summary",
                 "no tensors: 1 of t", "no curves: 1 of pr", "below 0 is no timestamp: 1 of before"):  # fmt: skip
        assert part in lost


def test_hyperparameters_go_into_the_configuration(tmp_path):
    with SummaryWriter(str(tmp_path)) as writer:
        writer.add_scalar("loss", 1.0, 0)
        writer.add_hparams({"lr": 0.1, "optimiser": "sgd"}, {"hp/accuracy": 0.5}, run_name="hp")
    found = read(tmp_path)
    assert found.configs[0]["hparams"] == {"lr": 0.1, "optimiser": "sgd"}
    assert rows(found, "metrics.hp/accuracy") == [("train", 0, 0.5)]


def test_folders_named_after_phases_are_one_run(tmp_path):
    for folder, value in (("train", 1.0), ("validation", 2.0)):  # as Keras writes them
        write_scalars(tmp_path / folder, [("epoch_loss", value, 0)])
    assert rows(read(tmp_path), "metrics.epoch_loss") == [
        ("train", 0, 1.0), ("validate", 0, 2.0),
    ]  # fmt: skip


def test_a_tag_of_several_folders_in_one_phase_is_named_after_them(tmp_path):
    with SummaryWriter(str(tmp_path)) as writer:
        writer.add_scalars("both", {"a": 1.0, "b": 2.0}, 3)
        writer.add_scalar("x", 1.0, 3)
    found = read(tmp_path)
    assert rows(found, "metrics.both_a/both") == [("train", 3, 1.0)]
    assert rows(found, "metrics.both_b/both") == [("train", 3, 2.0)]


def test_one_of_several_runs_must_be_chosen(tmp_path):
    write_scalars(tmp_path / "exp" / "one", [("x", 1.0, 0)])
    write_scalars(tmp_path / "exp" / "two" / "train", [("x", 2.0, 0)])
    with pytest.raises(EncodeError, match=r"found 2 runs.*exp/one, exp/two"):
        read(tmp_path)
    with pytest.raises(EncodeError, match=r"no run 'three'.*exp/one, exp/two"):
        read(tmp_path, run="three")
    found = read(tmp_path, run="exp/two")
    assert rows(found, "metrics.x") == [("train", 0, 2.0)]
    assert found.configs[0]["imported"]["run"] == "exp/two"


def test_the_given_phase_is_that_of_tags_which_tell_none(tmp_path):
    write_scalars(tmp_path, [("x", 1.0, 0), ("train/x", 2.0, 0)])
    found = read(tmp_path, phase="finetune")
    assert rows(found, "metrics.x") == [("finetune", 0, 1.0)]
    assert rows(found, "metrics.train/x") == [("train", 0, 2.0)]
    assert rows(read(tmp_path, phase="val"), "metrics.x") == [("validate", 0, 1.0)]
    with pytest.raises(EncodeError, match="found the phase 'finetune', expected one of: dream"):
        read(tmp_path, phase="finetune", schema=cmeta.default_schema())


def test_names_that_the_schema_has_otherwise_are_changed_and_said(tmp_path):
    write_scalars(tmp_path, [("state", 3.0, 0), ("entropy", 0.1, 0), ("wall_time", 5.0, 0)])
    write_scalars(tmp_path, [("é" * 200, 1.0, 0), ("epoch", 2.0, 0)])
    report = import_run(tmp_path, tmp_path / "run.cmeta")
    with cmeta.open(tmp_path / "run.cmeta") as run:
        record = run.query_range(0, 0)[0]
    assert record.metrics["state_"] == 3.0
    assert record.metrics["entropy"] == float(np.float32(0.1))
    assert record.metrics["wall_time"] == 5.0
    assert record.metrics["wall_time_"] == CLOCK
    assert record.epoch == 2
    assert any("state is no number" in note for note in report.notes)
    assert any("1 to 255 bytes of UTF-8" in lost for lost in report.lost)


def test_one_bare_loss_is_the_loss_and_several_are_none(tmp_path):
    write_scalars(tmp_path / "a", [("loss", 1.0, 0), ("train/loss", 2.0, 0)])
    write_scalars(tmp_path / "b", [("val/loss", 1.0, 0), ("test/loss", 2.0, 0)])
    assert rows(read(tmp_path / "a"), "loss_value") == [("train", 0, 1.0)]
    assert rows(read(tmp_path / "a"), "metrics.train/loss") == [("train", 0, 2.0)]
    assert "loss_value" not in read(tmp_path / "b").columns


def test_a_table_of_nothing_is_refused_before_it_is_made(tmp_path, monkeypatch):
    write_scalars(tmp_path, [(f"tag{i}", 1.0, i) for i in range(20)])
    monkeypatch.setattr(points_module, "_MOST_BYTES", 1000)
    with pytest.raises(EncodeError, match="20 records of 20 metrics"):
        read(tmp_path)


def test_detection(tmp_path):
    write_scalars(tmp_path / "log" / "deep", [("x", 1.0, 0)])
    (file,) = (tmp_path / "log" / "deep").iterdir()
    renamed = tmp_path / "renamed"
    renamed.write_bytes(file.read_bytes())
    other = tmp_path / "other"
    other.write_bytes(b"x" * 100)
    assert detect(tmp_path / "log") == detect(file) == detect(renamed) == "tensorboard"
    assert not tensorboard.looks_like(other)
    (tmp_path / "empty").mkdir()
    assert not tensorboard.looks_like(tmp_path / "empty")
    with pytest.raises(EncodeError, match="no event file"):
        read(tmp_path / "empty")
    with pytest.raises(EncodeError, match="not an event file"):
        read(other)
