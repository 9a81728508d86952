"""Sacred: the folders that its FileStorageObserver wrote."""

import json
import math

import numpy as np
import pytest

import cmeta
from cmeta.tools.imports import sacred


@pytest.fixture
def store(written):
    return written("sacred")


def test_a_run_by_its_id(store, imported):
    found = imported(store, run="1")
    assert found.report.format == "sacred"
    assert found.report.ok
    assert found.values("timestamp") == [0, 0, 1, 2]
    assert found.values("phase") == ["train", "validate", "train", "train"]
    assert found.values("loss_value") == [0.5, 0.75, 0.25, 0.5 / 3]
    assert (
        found.values("metrics.narrow")
        == [float(np.float32(0.1)), None] + [float(np.float32(0.1))] * 2
    )
    assert found.values("metrics.counted") == [1.5, None, 2.5, None]
    assert math.isnan(found.values("metrics.x")[3])
    (config,) = found.configs
    assert (config["lr"], config["net"]) == (0.1, {"depth": 3})
    about = config["imported"]
    assert (about["source"], about["id"], about["status"]) == ("sacred", "1", "COMPLETED")
    assert (about["result"], about["info"]) == (0.5, {"best": 0.25})
    with cmeta.open(found.report.out) as run:
        assert run.status == "finished"
    assert found.values("metrics.wall_time")[0] > 1.7e9


def test_a_run_by_its_folder_or_one_of_its_files(store, imported):
    for path in (store / "2", store / "2" / "run.json", store / "2" / "metrics.json"):
        found = imported(path)
        assert (found.report.format, found.configs[0]["lr"]) == ("sacred", 0.2)


def test_several_runs_are_listed(store, tmp_path):
    assert [path.name for path, _ in sacred.runs_in(store)] == ["1", "2"]
    with pytest.raises(cmeta.EncodeError, match="found 2 runs, expected one; choose a run: 1, 2"):
        cmeta.import_run(store, tmp_path / "out.cmeta")


def change(store, **metrics):
    path = store / "1" / "metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | metrics))


def metric(values, steps=None, times=None):
    size = len(values)
    return {
        "values": values,
        "steps": steps or list(range(size)),
        "timestamps": times or [None] * size,
    }


def test_values_other_than_numbers_are_noted_and_bad_steps_lost(store, imported):
    change(store, text=metric(["a", 1.5]), bad=metric([1.0, 2.0], [0.5, -1]), nothing=metric([]))
    found = imported(store, run="1")
    assert found.values("metrics.text") == [None, None, 1.5, None]
    assert "a record holds numbers only, no str: 1 of text" in found.report.notes
    assert found.report.lost == (
        "a step that is no integer is not a valid timestamp: 1 of bad",
        "a step below 0 or beyond 2^63 - 1 is not a valid timestamp: 1 of bad",
    )


@pytest.mark.parametrize(
    "bad", [3, {"values": [1]}, {"values": [1], "steps": [], "timestamps": []}]
)
def test_a_metric_of_another_shape_is_refused(store, tmp_path, bad):
    change(store, x=bad)
    with pytest.raises(cmeta.EncodeError, match=r"metrics\.json: x: expected lists values, steps"):
        cmeta.import_run(store, tmp_path / "out.cmeta", run="1")


def test_a_file_that_is_cut_is_refused(store, tmp_path):
    path = store / "1" / "metrics.json"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(cmeta.EncodeError, match=r"metrics\.json, line \d+, column \d+: not JSON"):
        cmeta.import_run(store, tmp_path / "out.cmeta", run="1")


def test_a_run_without_metrics_has_no_records(store, imported):
    (store / "1" / "metrics.json").unlink()
    assert imported(store / "1").report.num_records == 0
