"""Distributed runs: one process records, or each records a file of its own."""

import os

import pytest

import cmeta
from cmeta.recorder.options import RANK_VARIABLES


@pytest.fixture(autouse=True)
def no_launcher(monkeypatch):
    for name in RANK_VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("variable", RANK_VARIABLES)
def test_other_ranks_record_nothing(tmp_path, monkeypatch, variable):
    monkeypatch.setenv(variable, "1")
    with cmeta.Recorder(tmp_path / "run.cmeta", seed=7, config={"lr": 1}) as rec:
        rec.log("train", loss=0.5)
        rec.record_cycle(cmeta.CycleRecord(phase="train"))
        with rec.cycle("train") as c:
            assert c.seed == cmeta.records.seeds.seed_of(7, 2)
        rec.flush()
        assert (len(rec), rec.last, rec.records, rec.path) == (3, None, [], None)
        assert (rec.seal(), rec.num_dropped, rec.state_dict()["num_records"]) == (0, 0, 3)
    assert os.listdir(tmp_path) == []


def test_rank_0_records(tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("SLURM_PROCID", "3")  # the first variable counts
    with cmeta.Recorder(tmp_path / "run.cmeta") as rec:
        rec.log("train")
    assert os.listdir(tmp_path) == ["run.cmeta"]


@pytest.mark.parametrize(("rank", "name"), [("auto", "run-2.cmeta"), (5, "run-5.cmeta")])
def test_a_file_for_each_rank(tmp_path, monkeypatch, rank, name):
    monkeypatch.setenv("RANK", "2")
    with cmeta.Recorder(tmp_path / "run-{rank}.cmeta", rank=rank) as rec:
        rec.log("train")
    assert os.listdir(tmp_path) == [name]


def test_a_stated_rank_counts_more_than_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "2")
    with cmeta.Recorder(tmp_path / "run.cmeta", rank=0) as rec:
        rec.log("train")
    assert os.listdir(tmp_path) == ["run.cmeta"]


def test_nonsense_in_the_environment_is_ignored(tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "main")
    with cmeta.Recorder(tmp_path / "run.cmeta") as rec:
        assert rec.path is not None
