"""Runs of several processes: which of them record, and what each of them draws."""

import os
import subprocess
import sys
import types
import warnings

import pytest

import cmeta
from cmeta import CmetaWarning, EncodeError, RecorderError
from cmeta.recorder.verify_plan import VerifyPlan
from cmeta.records import seeds

VARIABLES = (
    "RANK", "WORLD_SIZE", "MASTER_ADDR", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "NODE_RANK", "GROUP_RANK",
    "SLURM_PROCID", "SLURM_NTASKS", "SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_RANK",
    "OMPI_COMM_WORLD_SIZE", "PMI_RANK", "PMI_SIZE",
)  # fmt: skip
TORCHRUN = {
    "RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2", "GROUP_RANK": "0",
    "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500",
}  # fmt: skip
LIGHTNING = {
    "LOCAL_RANK": "1", "NODE_RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1",
    "MASTER_PORT": "29500",
}  # fmt: skip
SLURM = {"SLURM_PROCID": "1", "SLURM_NTASKS": "2", "MASTER_ADDR": "node1"}
MPI = {"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2", "MASTER_ADDR": "node1"}
TRAININGS = {"torchrun": TORCHRUN, "lightning": LIGHTNING, "slurm": SLURM, "mpi": MPI}


@pytest.fixture(autouse=True)
def launched(monkeypatch):
    """Return a function that puts variables into the environment, which has none at first."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)

    def launch(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return launch


@pytest.fixture
def idle(tmp_path):
    """Return a function that makes a recorder of a rank that does not record."""

    def make(name="run.cmeta", rank=1, **options):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CmetaWarning)
            return cmeta.Recorder(tmp_path / name, rank=rank, **options)

    return make


# ------------------------------------------------------------------------------- one training or not


@pytest.mark.parametrize(
    "variables",
    [
        {"SLURM_PROCID": "3", "SLURM_NTASKS": "8"},
        {"RANK": "3"},
        {"OMPI_COMM_WORLD_RANK": "3", "OMPI_COMM_WORLD_SIZE": "8"},
        {"RANK": "3", "WORLD_SIZE": "8"},  # nothing by which the processes could find each other
        {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1"},
        {"RANK": "main", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"},
    ],
)
def test_a_number_of_a_launcher_alone_stops_no_recording(tmp_path, launched, variables):
    launched(**variables)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with cmeta.Recorder(tmp_path / "run.cmeta", seed=7) as rec:
            assert rec.is_recording
            with rec.cycle("train") as c:
                assert c.seed == 7
    with cmeta.open(tmp_path / "run.cmeta") as run:
        assert len(run) == 1
        assert run.configs == ({"cmeta": {"seed_root": 7, "seed_scheme": "weyl"}},)


@pytest.mark.parametrize("launcher", TRAININGS)
def test_in_one_training_rank_0_records(tmp_path, launched, launcher):
    launched(**TRAININGS[launcher])
    with pytest.warns(
        CmetaWarning, match=r"run\.cmeta: .* it is rank 1 of 2 .*, and rank 0 records"
    ):
        rec = cmeta.Recorder(tmp_path / "run.cmeta")
    with rec:
        rec.log("train", loss=0.5)
    assert os.listdir(tmp_path) == []


def test_torch_distributed_counts_more_than_the_environment(tmp_path, launched, monkeypatch):
    launched(**TORCHRUN)
    distributed = types.SimpleNamespace(
        is_available=lambda: True, is_initialized=lambda: True, get_rank=lambda: 0,
        get_world_size=lambda: 4,
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "torch.distributed", distributed)
    with cmeta.Recorder(tmp_path / "run.cmeta", seed=7) as rec:
        rec.log("train")
        assert rec.is_recording
        assert rec.config["cmeta"]["world_size"] == 4


def test_the_word_is_visible_by_default(tmp_path):
    code = "import cmeta; rec = cmeta.Recorder('run.cmeta'); rec.log('train'); print(rec)"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **TORCHRUN}, cwd=tmp_path,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr.count("this process does not record") == 1
    assert "not recording, as rank 1 of 2, 1 record>" in done.stdout


def test_a_launched_process_that_finds_the_file_taken_is_told_what_to_do(tmp_path, launched):
    launched(SLURM_PROCID="3")
    with cmeta.Recorder(tmp_path / "run.cmeta"), pytest.raises(cmeta.LockedError) as caught:
        cmeta.Recorder(tmp_path / "run.cmeta")
    assert "If it is: rank=3" in caught.value.__notes__[0]


def test_a_stated_rank_counts_more_than_the_environment(tmp_path, launched):
    launched(**TORCHRUN)
    with cmeta.Recorder(tmp_path / "run.cmeta", rank=0) as rec:
        rec.log("train")
    assert os.listdir(tmp_path) == ["run.cmeta"]
    with pytest.raises(EncodeError, match="rank: found -1"):
        cmeta.Recorder(tmp_path / "run.cmeta", rank=-1)


# ------------------------------------------------------------------------ a rank that does not record


def test_a_rank_that_does_not_record_counts_and_shows_it(tmp_path, idle):
    with idle(seed=7, config={"lr": 1}) as rec:
        rec.log("train", loss=0.5)
        rec.record_cycle(cmeta.CycleRecord(phase="train", loss_value=0.25))
        with rec.cycle("train") as c:
            assert c.seed == seeds.seed_of(7, 2, rank=1)
        rec.flush()
        assert (len(rec), rec.path, rec.is_recording) == (3, tmp_path / "run.cmeta", False)
        assert [r.loss_value for r in rec.records] == [0.5, 0.25, None]
        assert (rec.last.seed_state, rec.seal(), rec.num_dropped) == (c.seed, 0, 0)
        assert rec.state_dict() == {
            "num_records": 3, "timestamp": 2, "digest": None, "config": rec.config
        }  # fmt: skip
        assert repr(rec).endswith("run.cmeta: not recording, as rank 1, 3 records>")
    with pytest.raises(RecorderError, match="closed"):
        rec.log("train")
    assert os.listdir(tmp_path) == []


def test_it_checks_every_argument_all_the_same(idle):
    for options in ({"schema": 3}, {"config": {"a": object()}}, {"mode": "x"}, {"seed": "x"}):
        with pytest.raises(EncodeError):
            idle(**options)
    rec = idle()
    for fields in ({"loss": "much"}, {"phase": "trian"}, {"timestamp": -1}, {"config": 3}):
        with pytest.raises(EncodeError):
            rec.log(**{"phase": "train", **fields})
    rec.log("train", timestamp=5)
    with pytest.raises(cmeta.OrderError):
        rec.log("train", timestamp=4)
    assert len(rec) == 1


def test_it_forgets_all_but_the_newest_records(idle):
    rec = idle(schema=cmeta.default_schema().with_batch_records(16), max_records=8)
    for i in range(100):
        rec.log("train", step=i)
    assert [r.step for r in rec.records] == list(range(92, 100))
    assert len(rec._session.pending.bodies) < 16


@pytest.mark.parametrize("end", ["close", "open"])
@pytest.mark.parametrize("num_records", [0, 5, 16, 40])
def test_it_knows_the_file_that_is_resumed(tmp_path, idle, end, num_records):
    schema = cmeta.default_schema().with_batch_records(16)
    rec = cmeta.Recorder(tmp_path / "run.cmeta", schema, seed=7, config={"lr": 0.5})
    for i in range(num_records):
        rec.log("train", step=i, loss=1 / (i + 1))
    if end == "close":
        rec.close()
    other = idle(mode="resume")
    assert (len(other), other.last) == (num_records, rec.last)
    assert other.records == rec.records
    if num_records or end == "open":
        assert other.state_dict() == rec.state_dict()
        assert other.config["lr"] == 0.5
        assert other.config == rec.config
        assert other.cycle("train").seed == seeds.seed_of(7, num_records, rank=1)
    other.log("train")
    assert (len(other), other.last.timestamp) == (num_records + 1, num_records)
    rec.close()


def test_all_ranks_of_a_loop_take_the_same_steps(tmp_path, idle):
    with cmeta.Recorder(tmp_path / "run.cmeta", seed=1) as rec:
        for step in range(20):
            rec.log("train", step=step)
        state = rec.state_dict()
        for step in range(20, 31):
            rec.log("train", step=step)
    before = idle(mode="resume", resume_at=state)  # rank 0 has not gone back yet
    with cmeta.Recorder(tmp_path / "run.cmeta", mode="resume", resume_at=state, rank=0) as rec:
        rec.log("train", step=20)
        after = idle(mode="resume", resume_at=state)  # and here it has
        assert [len(before), len(after), len(rec)] == [20, 20, 21]
    assert before.last == after.last
    assert before.state_dict() == after.state_dict() == state
    os.remove(tmp_path / "run.cmeta")
    unseen = idle(mode="resume", resume_at=state)  # on a node that does not have the file
    assert (len(unseen), unseen.state_dict(), unseen.records) == (20, state, [])


def test_a_state_of_a_rank_that_does_not_record_proves_nothing(tmp_path, idle):
    with cmeta.Recorder(tmp_path / "run.cmeta") as rec:
        rec.log("train")
    other = idle()
    other.log("train")
    state = other.state_dict()
    assert len(idle(mode="resume", resume_at=state)) == 1
    with pytest.raises(RecorderError, match="resume at the state of rank 0"):
        cmeta.Recorder(tmp_path / "run.cmeta", mode="resume", resume_at=state)


def test_it_reports_damage_as_rank_0_does(tmp_path, idle):
    (tmp_path / "run.cmeta").write_bytes(b"\x5e\xa5\x0d\x0c" + bytes(60))
    with pytest.raises(RecorderError, match="is damaged"):
        cmeta.Recorder(tmp_path / "run.cmeta", mode="resume")
    with pytest.raises(RecorderError, match="is damaged"):
        idle(mode="resume")


# ------------------------------------------------------------------------------- a file of each rank


@pytest.mark.parametrize(("rank", "name"), [("auto", "run-2.cmeta"), (5, "run-5.cmeta")])
def test_a_file_for_each_rank(tmp_path, launched, rank, name):
    launched(SLURM_PROCID="2")  # the path asks for a number, so this one is as good as any
    with cmeta.Recorder(tmp_path / "run-{rank}.cmeta", rank=rank) as rec:
        rec.log("train")
        assert rec.is_recording
    assert os.listdir(tmp_path) == [name]


def draw(path, rank, **options):
    with cmeta.Recorder(path, rank=rank, **options) as rec, rec.cycle("train") as c:
        c.log(loss=c.rng.random())
    return c.seed


def test_every_rank_draws_other_numbers(tmp_path, launched):
    drawn = {draw(tmp_path / "run-{rank}.cmeta", rank, seed=7) for rank in range(50)}
    assert len(drawn) == 50
    assert len({seed % 2**32 for seed in drawn}) == 50  # all that numpy's and torch's take
    assert draw(tmp_path / "alone.cmeta", "auto", seed=7) in drawn  # rank 0 draws as one alone
    launched(WORLD_SIZE="50")
    draw(tmp_path / "{rank}-of-50.cmeta", 3, seed=7)
    with cmeta.open(tmp_path / "3-of-50.cmeta") as run:
        assert run.configs[0]["cmeta"] == {
            "seed_root": 7, "seed_scheme": "weyl", "rank": 3
        }  # fmt: skip


def test_seeds_of_ranks_never_meet():
    facts = cmeta.default_schema().format.seeds
    stride, most = int(facts.rank_stride, 16), facts.num_ranks_max
    assert stride > cmeta.default_schema().format.limits.records_count_max
    assert stride * most < 2**64
    low = sorted(rank * stride % 2**32 for rank in range(1000))
    nearest = min(b - a for a, b in zip(low, [*low[1:], low[0] + 2**32], strict=True))
    assert nearest > 1_000_000  # cycles before the low halves of two of 1,000 ranks meet


def test_the_configuration_states_rank_world_size_and_root(tmp_path, launched):
    launched(**TORCHRUN)
    with cmeta.Recorder(tmp_path / "{rank}.cmeta", seed=7, config={"lr": 1}) as rec:
        rec.log("train")
    with cmeta.open(tmp_path / "1.cmeta") as run:
        assert run.configs == (
            {
                "lr": 1,
                "cmeta": {"seed_root": 7, "seed_scheme": "weyl", "rank": 1, "world_size": 2},
            },
        )


def test_every_rank_resumes_replays_and_is_sound(tmp_path):
    for rank in range(3):
        draw(tmp_path / "run-{rank}.cmeta", rank, seed=7)
        second = draw(tmp_path / "run-{rank}.cmeta", rank, seed=7, mode="resume")
        assert second == seeds.seed_of(7, 1, rank)
    paths = [tmp_path / f"run-{rank}.cmeta" for rank in range(3)]
    reports = cmeta.audit(paths, replay=lambda state: {"loss": state.rng.random()}, jobs=1)
    assert [(r.verdict, r.replay.verdict) for r in reports] == [("sound", "exact")] * 3
    with cmeta.Recorder(paths[2], mode="resume") as rec, rec.cycle("train") as c:
        pass  # opened by its name, the file stays rank 2's
    assert c.seed == seeds.seed_of(7, 2, rank=2)
    paths[2].rename(tmp_path / "x1.cmeta")
    with pytest.raises(RecorderError, match="was recorded by rank 2, but this process is rank 1"):
        cmeta.Recorder(tmp_path / "x{rank}.cmeta", mode="resume", rank=1)


def test_a_seed_of_another_rank_contradicts(tmp_path):
    own = {"cmeta": {"seed_root": 7, "seed_scheme": "weyl", "rank": 1}}
    for rank, verdict in ((1, "sound"), (2, "seeds contradict")):
        path = tmp_path / f"{rank}.cmeta"
        columns = {"phase": ["train"], "seed_state": [seeds.seed_of(7, 0, rank)]}
        cmeta.write(path, columns, config={**own, "environment": {}})
        assert cmeta.audit(path)[0].verdict == verdict


@pytest.mark.parametrize("rank", [0, 1])
def test_ranks_of_a_replay_all_begin_where_the_run_began(tmp_path, monkeypatch, idle, rank):
    """A run that a training resumes, if it is there, is complete when it is replayed."""
    for name in ("run.cmeta", "other.cmeta"):
        with cmeta.Recorder(tmp_path / name, seed=7) as rec:
            for _ in range(3):
                rec.log("train", loss=1.0)
    VerifyPlan((str(tmp_path / "run.cmeta"),), folder=str(tmp_path)).save()
    monkeypatch.setenv("CMETA_VERIFY", str(tmp_path))
    options = {"mode": "resume", "seed": 7, "rank": rank}
    with idle("run.cmeta", **options) as rec, idle("other.cmeta", **options) as other:
        assert (len(rec), len(other)) == (0, 0)
        for _ in range(3):
            rec.log("train", loss=1.0)
            other.log("train", loss=2.0)
    with cmeta.open(tmp_path / "other.cmeta") as run:
        assert [record.loss_value for record in run] == [1.0] * 3
