"""`import_runs`: files, folders and patterns, one run for each."""

import gzip
import json

import pytest

import cmeta
from cmeta.tools.imports.formats import ImportOptions
from cmeta.tools.imports.import_run import ImportReport
from cmeta.tools.imports.import_runs import FailedImport, find_sources, import_runs
from tests.fixtures.load import load

CSV = "step,loss\n0,1.5\n1,1.25\n"


@pytest.fixture
def sweep(tmp_path):
    """The folder of a sweep with Ray: two good trials, a bad one, and what lies beside them."""
    folder = tmp_path / "sweep"
    for i in range(2):
        (folder / f"trial{i}").mkdir(parents=True)
        (folder / f"trial{i}" / "progress.csv").write_text(CSV)
        (folder / f"trial{i}" / "params.json").write_text('{"lr": 0.5}')
    (folder / "bad").mkdir()
    (folder / "bad" / "progress.csv").write_text("step,loss\n0,1.5,7\n")
    (folder / "packed.jsonl.gz").write_bytes(gzip.compress(b'{"loss": 1}\n'))
    (folder / "history.json").write_text(json.dumps({"loss": [1.5, 1.25]}))
    (folder / "README.txt").write_text("Trials of Monday.\n")
    (folder / ".hidden.csv").write_text("")
    (folder / "model.pt").write_bytes(b"PK\x03\x04")
    return folder


def test_the_runs_of_a_folder(sweep):
    sources = find_sources(sweep)
    assert [source.name for source in sources.runs] == [
        "history.cmeta", "packed.cmeta", "bad/progress.cmeta", "trial0/progress.cmeta",
        "trial1/progress.cmeta",
    ]  # fmt: skip
    assert sources.num_others == 4


def test_a_bad_file_does_not_stop_the_others(sweep, tmp_path):
    out = tmp_path / "new" / "out"
    results = list(import_runs(sweep, out, ImportOptions()))
    (failed,) = [result for result in results if isinstance(result, FailedImport)]
    assert "bad/progress.csv, line 2: found 3 cells" in str(failed.error)
    good = [result for result in results if isinstance(result, ImportReport)]
    assert sorted(str(p.relative_to(out)) for p in out.rglob("*.cmeta")) == [
        "history.cmeta", "packed.cmeta", "trial0/progress.cmeta", "trial1/progress.cmeta",
    ]  # fmt: skip
    assert all(cmeta.validate(result.out).ok for result in good)
    assert len(cmeta.scan(out)) == 4


def test_a_pattern_and_equal_names(tmp_path):
    for name in ("a/log.csv", "b/log.csv", "b/log.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(CSV if name.endswith("csv") else '{"loss": 1}\n')
    sources = find_sources(f"{tmp_path}/*/log.*")
    assert [source.name for source in sources.runs] == [
        "a/log.cmeta", "b/log.csv.cmeta", "b/log.jsonl.cmeta",
    ]  # fmt: skip
    results = list(import_runs(f"{tmp_path}/*/log.*", tmp_path / "out", ImportOptions(run=None)))
    assert [result.num_records for result in results] == [2, 2, 1]


def test_options_without_effect_on_some_sources(tmp_path):
    (tmp_path / "a.csv").write_text("0,1.5\n1\n")
    (tmp_path / "b.jsonl").write_text('{"loss": 1}\n{\n')
    options = ImportOptions(names=["step", "loss"], skip_bad_lines=True)
    results = list(import_runs([tmp_path / "a.csv", tmp_path / "b.jsonl"], tmp_path, options))
    assert [result.num_records for result in results] == [1, 1]


def test_a_missing_file_is_a_failure(tmp_path):
    (failed,) = import_runs(tmp_path / "none.csv", tmp_path / "out", ImportOptions())
    assert isinstance(failed.error, FileNotFoundError)


def test_folders_of_other_tools(tmp_path):
    """Event files are a run with those of their phases; the checkpoints of a training are one."""
    sweep = tmp_path / "sweep"
    for name in ("lightning/train/events.out.tfevents.1", "lightning/val/events.out.tfevents.2",
                 "hf/checkpoint-1/trainer_state.json", "hf/checkpoint-2/trainer_state.json",
                 "wandb/offline-run-1/run-1.wandb", "wandb/offline-run-1/files/log.txt"):  # fmt: skip
        path = sweep / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("step 1: loss 2\n")
    names = [source.name for source in find_sources(sweep).runs]
    assert names == ["hf.cmeta", "lightning.cmeta", "wandb/offline-run-1/run-1.cmeta"]


def test_a_fixture_of_each_tool(tmp_path):
    sources = [load(name, tmp_path / "in") for name in ("tensorboard/steps", "trainer_state")]
    for source in sources:
        assert [run.path for run in find_sources(source).runs] == [source]


def test_the_runs_of_mlflow_and_sacred(tmp_path):
    for name in ("mlflow", "sacred"):
        load(name, tmp_path / "all")
    out = tmp_path / "out"
    results = list(import_runs(tmp_path / "all", out, ImportOptions()))
    assert [result for result in results if isinstance(result, FailedImport)] == []
    found = {str(path.relative_to(out)): cmeta.open(path) for path in out.rglob("*.cmeta")}
    about = {name: run.configs[0]["imported"] for name, run in found.items()}
    assert sorted(facts["source"] for facts in about.values()) == ["mlflow"] * 4 + ["sacred"] * 2
    for name, facts in about.items():
        stem = facts["run_id" if facts["source"] == "mlflow" else "id"]
        assert name.endswith(f"/{stem}.cmeta")
    assert {name for name in found if name.startswith("sacred/")} == {
        "sacred/1.cmeta", "sacred/2.cmeta",
    }  # fmt: skip
    for run in found.values():
        run.close()


def test_a_database_that_is_named_is_all_of_its_runs(tmp_path):
    database = load("mlflow", tmp_path) / "mlflow.db"
    sources = find_sources(database).runs
    assert [source.name for source in sources] == [f"mlflow/{s.run}.cmeta" for s in sources]
    assert len(sources) == 2
