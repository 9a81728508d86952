"""`trainer_state.json` as the Trainer of transformers wrote it: see tests/fixtures/make.py."""

import json
import math

import numpy as np
import pytest

import cmeta
from cmeta.errors import EncodeError
from cmeta.tools.imports import trainer_state
from cmeta.tools.imports.formats import ImportOptions, detect
from cmeta.tools.imports.import_run import import_run
from tests.fixtures.load import load
from tests.imports.masked import masked


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return the folder of a training of six steps."""
    return load("trainer_state", tmp_path_factory.mktemp("training"))


def read(source, **options):
    return masked(trainer_state.read(source, ImportOptions(**options)))


def test_every_number_of_the_history_comes_back(folder, tmp_path):
    report = import_run(folder, tmp_path / "run.cmeta")
    assert report.format == "trainer_state"
    assert report.lost == ()
    assert cmeta.validate(tmp_path / "run.cmeta").ok
    with cmeta.open(tmp_path / "run.cmeta") as run:
        records = run.query_range(0, 100)
    found = {(r.phase, r.timestamp): r for r in records}
    assert sorted(found) == [("train", i) for i in range(1, 7)] + [
        ("validate", i) for i in (2, 4, 6)
    ]
    history = json.loads((folder / "trainer_state.json").read_text())["log_history"]
    num_seen = 0
    for entry in history:
        is_eval = "eval_loss" in entry
        record = found["validate" if is_eval else "train", entry["step"]]
        assert record.step == entry["step"]
        for name, value in entry.items():
            num_seen += 1
            if name in ("loss", "eval_loss"):
                assert record.loss_value == value
            elif name != "step":
                assert record.metrics[name] == value
    assert num_seen > 40
    assert found["train", 6].metrics["train_loss"] > 0  # the final summary
    assert found["train", 1].metrics["epoch"] == 1 / 3


def test_the_rest_of_the_file_is_the_configuration(folder):
    (config,) = read(folder).configs
    state = json.loads((folder / "trainer_state.json").read_text())
    del state["log_history"]
    assert config["trainer_state"] == state
    assert config["trainer_state"]["best_metric"] > 0
    assert config["imported"]["loss_value"] == {"train": "loss", "validate": "eval_loss"}


def test_the_file_of_a_folder_is_that_of_the_training_or_of_its_last_checkpoint(folder, tmp_path):
    assert detect(folder) == "trainer_state"
    assert detect(folder / "trainer_state.json") == "trainer_state"
    assert len(read(folder, run="checkpoint-2").columns["phase"]) == 3
    for step in (2, 4):
        (tmp_path / f"checkpoint-{step}").mkdir()
        text = (folder / f"checkpoint-{step}" / "trainer_state.json").read_text()
        (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text(text)
    assert read(tmp_path).columns["step"].max() == 4
    with pytest.raises(EncodeError, match="folders that have one: checkpoint-2, checkpoint-4"):
        read(tmp_path, run="checkpoint-6")


def write(path, *entries, **rest):
    path.write_text(json.dumps({"log_history": entries, **rest}, indent=2))
    return path


def test_nan_and_infinities_come_back(tmp_path):
    path = write(
        tmp_path / "state.json", {"step": 1, "loss": math.nan, "grad_norm": math.inf},
        {"step": 2, "loss": "NaN", "grad_norm": "-Infinity"}, best_metric=math.nan,
    )  # fmt: skip
    assert trainer_state.looks_like(path)
    import_run(path, tmp_path / "run.cmeta", format="trainer_state")
    with cmeta.open(tmp_path / "run.cmeta") as run:
        first, second = run.query_range(1, 2)
    assert math.isnan(first.loss_value)
    assert math.isnan(second.loss_value)
    assert (first.metrics["grad_norm"], second.metrics["grad_norm"]) == (math.inf, -math.inf)
    assert first.config["trainer_state"]["best_metric"] == "NaN"


def test_whole_epochs_are_the_field_of_that_name(tmp_path):
    entries = [{"step": 1, "loss": 0.5, "epoch": 1.0}, {"step": 2, "loss": 0.5, "epoch": 2.0}]
    found = read(write(tmp_path / "a.json", *entries))
    assert found.columns["epoch"].tolist() == [1, 2]
    assert "metrics.epoch" not in found.columns
    entries[0]["epoch"] = 0.5
    found = read(write(tmp_path / "a.json", *entries))
    assert found.columns["metrics.epoch"].tolist() == [0.5, 2.0]


def test_a_duplicate_step_is_two_records(tmp_path):
    entries = [{"step": 1, "loss": 0.5}, {"step": 2, "loss": 0.25}, {"step": 1, "loss": 0.75}]
    found = read(write(tmp_path / "a.json", *entries))
    assert found.columns["timestamp"].tolist() == [1, 1, 2]
    assert found.columns["loss_value"].tolist() == [0.5, 0.75, 0.25]


def test_values_other_than_numbers_and_bad_steps_are_reported(tmp_path):
    entries = [{"step": 1, "loss": 0.5, "text": "x", "list": [1]}, {"step": -1, "loss": 0.5}]
    found = read(write(tmp_path / "a.json", *entries))
    assert found.columns["timestamp"].tolist() == [1]
    assert found.notes == (
        "a record holds numbers only, no str: 1 of text",
        "a record holds numbers only, no list: 1 of list",
    )
    assert found.lost == ("a step below 0 or beyond 2^63 - 1 is not a valid timestamp: 1 of loss",)


def test_a_history_without_entries_is_a_run_without_records(tmp_path):
    import_run(write(tmp_path / "trainer_state.json"), tmp_path / "run.cmeta")
    with cmeta.open(tmp_path / "run.cmeta") as run:
        assert len(run) == 0


def test_huge_whole_numbers_become_what_float64_has(tmp_path):
    found = read(write(tmp_path / "a.json", {"step": 1, "a": 10**400, "b": 2**53 + 1, "c": 2**60}))
    assert found.columns["metrics.a"].tolist() == [np.inf]
    assert found.columns["metrics.c"].tolist() == [float(2**60)]
    assert found.lost == (
        "numbers beyond the range of float64 are kept as infinity: 1 of a",
        "integers beyond 2^53 are rounded to float64: 1 of b",
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"log_history": [\n{"step": 1,', r"line 2, column 12: not JSON, or cut short"),
        ('{"log_history": 1}', "found no list log_history"),
        ("[]", "found no list log_history"),
        ('{"log_history": [3]}', r"log_history\[0\]: found type int, expected an object"),
        ('{"log_history": [{"loss": 1}]}', r"log_history\[0\].step: found None"),
        ('{"log_history": [{"step": 1.5}]}', r"log_history\[0\].step: found 1.5"),
        ("[" * 100_000, "not JSON"),
        ("\ufeff{}", "found no list log_history"),
    ],
)
def test_bad_files_are_refused_with_the_place(tmp_path, text, message):
    path = tmp_path / "trainer_state.json"
    path.write_text(text, "utf-8")
    with pytest.raises(EncodeError, match=message):
        read(path)


def test_bytes_other_than_text_are_refused(tmp_path):
    (tmp_path / "trainer_state.json").write_bytes(b"\xff\xfe{")
    with pytest.raises(EncodeError, match="not JSON"):
        read(tmp_path)


def test_numbers_in_quotes_are_numbers(tmp_path):
    """As callbacks leave them that dump what JSON does not know with default=str."""
    entries = [{"step": 1, "loss": "0.5", "grad_norm": "1e-3", "note": "None"}]
    found = read(write(tmp_path / "a.json", *entries))
    assert found.columns["loss_value"].tolist() == [0.5]
    assert found.columns["metrics.grad_norm"].tolist() == [1e-3]
