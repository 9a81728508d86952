"""MLflow: a SQLite database and a file store that MLflow itself wrote."""

import math
import shutil
import sqlite3

import pytest

import cmeta
from cmeta.tools.imports import mlflow
from cmeta.tools.imports.formats import detect

START = 1.7e9


@pytest.fixture
def store(written):
    return written("mlflow")


def the_run(source, imported):
    found = imported(source, run="first")
    (about,) = [config["imported"] for config in found.configs]
    return found, about


@pytest.mark.parametrize("name", ["mlflow.db", "mlruns"])
def test_a_run_by_its_name(store, imported, name):
    found, about = the_run(store / name, imported)
    assert found.report.format == "mlflow"
    assert found.report.lost == () and found.report.damage == ()
    assert found.values("timestamp") == [0, 0, 1, 2]
    assert found.values("phase") == ["train", "validate", "train", "train"]
    assert found.values("loss_value") == [0.5, 0.75, 0.25, 0.5 / 3]
    assert found.values("metrics.wall_time") == [START, START + 0.125, START + 0.25, START + 0.5]
    assert math.isnan(found.values("metrics.x")[3])
    assert found.values("metrics.y") == [None, None, None, math.inf]
    assert found.values("metrics.z") == [None, None, None, -math.inf]
    assert {k: v for k, v in found.configs[0].items() if k != "imported"} == {
        "lr": 0.1, "net/depth": 3, "opt": "adam", "on": True,
    }  # fmt: skip
    expected = {
        "source": "mlflow", "run_name": "first", "experiment": "größe: 1", "status": "FINISHED",
        "start_time": START, "end_time": START + 9, "tags": {"note": "a note"},
    }  # fmt: skip
    assert expected.items() <= about.items()
    with cmeta.open(found.report.out) as run:
        assert run.status == "finished"


def test_an_infinity_of_the_database_is_noted(store, imported):
    found, _ = the_run(store / "mlflow.db", imported)
    assert any("the largest float64" in note for note in found.report.notes)


@pytest.mark.parametrize("name", ["mlflow.db", "mlruns"])
def test_several_runs_are_listed_and_deleted_ones_left_out(store, name):
    runs = mlflow.runs_in(store / name)
    assert len(runs) == 2
    with pytest.raises(cmeta.EncodeError, match=r"found 2 runs, expected one; .*\(first\)") as err:
        cmeta.import_run(store / name, store / "out.cmeta")
    assert "third" not in str(err.value)
    with pytest.raises(cmeta.EncodeError, match=r"found 0 runs 'third'"):
        cmeta.import_run(store / name, store / "out.cmeta", run="third")


def test_a_run_by_its_folder_or_id(store, imported):
    for folder, _ in mlflow.runs_in(store / "mlruns"):
        assert detect(folder) == "mlflow"
        assert imported(folder).configs[0]["imported"]["run_id"] == folder.name
    for path, id_ in mlflow.runs_in(store / "mlflow.db"):
        assert imported(path, run=id_).configs[0]["imported"]["run_id"] == id_


def test_a_folder_with_a_database(store, imported):
    shutil.rmtree(store / "mlruns")
    assert the_run(store, imported)[0].report.format == "mlflow"


def first_folder(store):
    return next(f for f, _ in mlflow.runs_in(store / "mlruns") if (f / "metrics/train").is_dir())


def test_a_torn_line_and_a_bad_one_are_reported(store, imported):
    folder = first_folder(store)
    loss = folder / "metrics" / "train" / "loss"
    loss.write_bytes(loss.read_bytes().replace(b" 0.25 ", b" a quarter ") + b"1700000000750 0.12")
    found = imported(folder)
    assert found.values("loss_value") == [0.5, 0.75, 0.5 / 3]
    assert [sentence.partition("loss, ")[2].partition(":")[0] for sentence in found.report.damage] == [
        "line 2", "line 4",
    ]  # fmt: skip


def test_artifacts_are_noted(store, imported):
    folder = first_folder(store)
    (folder / "artifacts" / "model").mkdir(parents=True)
    (folder / "artifacts" / "model" / "weights.bin").write_bytes(b"w")
    found = imported(folder)
    assert found.report.ok
    assert any("1 file of artifacts not kept" in note for note in found.report.notes)


def test_metrics_from_before_there_were_steps(store, imported):
    folder = first_folder(store)
    (folder / "metrics" / "old").write_text("1700000000000 1.5\n")
    assert imported(folder).values("metrics.old") == [1.5, None, None, None]


def test_a_deleted_run_of_a_file_store(store):
    folder = first_folder(store)
    meta = folder / "meta.yaml"
    meta.write_text(meta.read_text().replace("lifecycle_stage: active", "lifecycle_stage: deleted"))
    assert len(mlflow.runs_in(store / "mlruns")) == 1


def test_a_damaged_database_is_refused(store, tmp_path):
    path = store / "mlflow.db"
    data = path.read_bytes()
    path.write_bytes(data[:4096] + bytes(len(data) - 4096))
    with pytest.raises(cmeta.EncodeError, match="not a database of MLflow, or damaged"):
        cmeta.import_run(path, tmp_path / "out.cmeta", format="mlflow")


def test_another_database_is_no_run(tmp_path):
    path = tmp_path / "other.db"
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE runs (x)")
    database.commit()
    database.close()
    assert not mlflow.looks_like(path)
    with pytest.raises(cmeta.EncodeError, match="not a database of MLflow"):
        cmeta.import_run(path, tmp_path / "out.cmeta", format="mlflow")


def test_a_repository_of_aim_is_named(tmp_path):
    (tmp_path / ".aim").mkdir()
    with pytest.raises(cmeta.EncodeError, match="a repository of Aim, a RocksDB"):
        cmeta.import_run(tmp_path, tmp_path / "out.cmeta")


@pytest.mark.parametrize(
    "statements",
    [
        "DROP TABLE experiments; CREATE VIEW experiments AS WITH RECURSIVE n(i) AS "
        "(SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS experiment_id, '' AS name FROM n",
        "ALTER TABLE runs ADD COLUMN more AS (zeroblob(999999999))",
        "DROP TABLE tags; CREATE VIRTUAL TABLE tags USING fts4(key, value, run_uuid)",
    ],
    ids=["view", "computed", "virtual"],
)
def test_tables_that_are_more_than_their_rows_are_refused(store, tmp_path, statements):
    path = tmp_path / "mlflow.db"
    shutil.copy(store / "mlflow.db", path)
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA foreign_keys = OFF")
        database.executescript(statements)
    database.close()
    with pytest.raises(cmeta.EncodeError, match="its tables are not those of MLflow"):
        cmeta.import_run(path, tmp_path / "out.cmeta", format="mlflow", run="first")
    assert not (tmp_path / "out.cmeta").exists()


@pytest.mark.parametrize("column", ["key", "value", "timestamp", "step"])
@pytest.mark.parametrize("value", ["a text", b"bytes", 0.5])
def test_a_row_of_a_wrong_type_is_damage(store, tmp_path, column, value):
    if (column, value) == ("value", 0.5):
        return
    path = tmp_path / "mlflow.db"
    shutil.copy(store / "mlflow.db", path)
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA ignore_check_constraints = ON")
        database.execute(f"UPDATE metrics SET is_nan = 0, {column} = ? WHERE key = 'x'", (value,))
    database.close()
    report = cmeta.import_run(path, tmp_path / "out.cmeta", run="first")
    assert report.num_records
    if not (column == "key" and value != b"bytes"):  # SQLite turns a number into a text there
        assert len(report.damage) == 1 and "of metrics left out" in report.damage[0]
