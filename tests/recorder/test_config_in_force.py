"""The configuration in force survives a crash, whatever configuration the last record has."""

import warnings

import pytest

import cmeta
from cmeta import CmetaWarning, EncodeError
from cmeta.records import seeds
from cmeta.storage.open import journal_path

A, B, C = {"lr": 0.1}, {"lr": 0.2}, {"lr": 0.3}
SMALL = cmeta.default_schema().with_batch_records(16)


def die(rec):
    """End a recorder as if its process were killed."""
    rec._session._end()
    rec._session._sealer.stop()


def rates(path):
    with cmeta.open(path) as run:
        return [record.config and record.config["lr"] for record in run]


def resume(path, **options):
    return cmeta.Recorder(path, mode="resume", **options)


def test_a_configuration_for_one_record_alone(path):
    rec = cmeta.Recorder(path, config=A)
    rec.log("train")
    rec.log("train", config=B)
    die(rec)
    with resume(path) as rec:
        assert rec.config == A
        rec.log("train")
    assert rates(path) == [0.1, 0.2, 0.1]


def test_none_in_force(path):
    rec = cmeta.Recorder(path)
    rec.log("train", config=B)
    die(rec)
    with resume(path) as rec:
        assert rec.config is None
        rec.log("train")
    assert rates(path) == [0.2, None]


@pytest.mark.parametrize("flush_every", [1, 3])
def test_one_that_no_record_has_yet(path, flush_every):
    rec = cmeta.Recorder(path, config=A, flush_every=flush_every)
    for _ in range(2):
        rec.log("train")
    rec.config = B
    die(rec)
    with resume(path) as rec:
        assert (len(rec), rec.config) == (2, B)
    rec = resume(path, config=C)
    die(rec)
    with resume(path) as rec:
        assert rec.config == C
        rec.config = None
        die(rec)
    with resume(path) as rec:
        assert rec.config is None


def test_through_rotations_and_repeated_deaths(path):
    rec = cmeta.Recorder(path, SMALL, config=A)
    for i in range(200):
        rec.log("train", config=B if i % 3 == 2 else None)
        if i % 7 == 0:
            rec._session._sealer.rotate()
        if i % 11 == 2:
            die(rec)
            rec = resume(path)
    rec.close()
    assert rates(path) == [0.2 if i % 3 == 2 else 0.1 for i in range(200)]


def test_a_failed_write_leaves_the_former_one(path, monkeypatch):
    rec = cmeta.Recorder(path, config=A)
    rec.log("train")
    file = rec._session.pending.journal.file

    def full(data, offset):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(file, "write", full)
    with pytest.raises(OSError, match="No space"):
        rec.config = B
    assert rec.config == A
    rec.log("train")  # into a new journal
    die(rec)
    with resume(path) as rec:
        assert rec.config == A
    assert rates(path) == [0.1, 0.1]


def test_a_root_that_was_drawn_but_not_used(path):
    rec = cmeta.Recorder(path)
    seed = rec.cycle("train").seed
    die(rec)
    with resume(path) as rec, rec.cycle("train") as c:
        assert c.seed == seed


@pytest.fixture
def without_config(tmp_path):
    """Return a schema without a field for the configuration."""
    own = tmp_path / "own.toml"
    own.write_text(
        """\
[enumerations]
phase = { values = ["train"] }
[record]
batch_records = 16
fields = [
  { name = "timestamp", type = "u64", codec = ["delta", "rice"] },
  { name = "phase", type = "enum", enumeration = "phase", codec = ["delta", "rice"] },
  { name = "seed_state", type = "u64" },
]
""",
        "utf-8",
    )
    return cmeta.Schema.load(own)


def test_a_root_without_a_field_for_it(path, without_config):
    rec = cmeta.Recorder(path, without_config)
    with rec.cycle("train") as first:
        pass
    die(rec)
    with resume(path) as rec, rec.cycle("train") as second:
        assert seeds.ordinal_of(first.seed, second.seed) == 1


def test_a_journal_that_does_not_say(path):
    """As an older version wrote it: the last record's configuration is taken."""
    rec = cmeta.Recorder(path, config=A)
    rec.log("train")
    pending = rec._session.pending
    pending.journal.config_in_force = pending.config_in_force = None
    pending._entry_of_config = lambda journal, ordinal: b""
    rec._session._sealer.rotate()
    rec.log("train", config=B)
    die(rec)
    with resume(path) as rec:
        assert rec.config == B


# ----------------------------------------------------------------------------- closed files


def closed(path, *configs, **options):
    with cmeta.Recorder(path, config=A, **options) as rec:
        for config in configs:
            rec.log("train", config=config)


@pytest.mark.parametrize("configs", [(None, B), (B, None, C), (None, B, None)])
def test_a_closed_file_does_not_say_and_a_warning_does(path, configs):
    closed(path, *configs)
    last = rates(path)[-1]
    with resume(path) as rec:
        rec.log("train", config=C)  # no guess is needed for it
        with pytest.warns(CmetaWarning, match=r"closed file does not say.*config=\.\.\.") as seen:
            rec.log("train")
        assert seen[0].filename == __file__
        rec.log("train")
    assert rates(path)[-3:] == [0.3, last, last]


@pytest.mark.parametrize("configs", [(None, None), (None,), ()])
def test_without_a_doubt_there_is_no_warning(path, configs):
    closed(path, *configs)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with resume(path) as rec:
            rec.log("train")
    assert cmeta.validate(path).num_records == len(configs) + 1


def test_a_stated_one_needs_no_warning(path):
    closed(path, None, B)
    with resume(path, config=A) as rec:
        rec.log("train")
    with resume(path) as rec:
        rec.config = C
        rec.log("train")
    assert rates(path) == [0.1, 0.2, 0.1, 0.3]


def test_records_without_one_before_the_last(path):
    with cmeta.Recorder(path) as rec:
        rec.log("train")
        rec.log("train", config=B)
    with resume(path) as rec, pytest.warns(CmetaWarning, match="closed file does not say"):
        rec.log("train")
    with cmeta.Recorder(path, mode="replace") as rec:
        rec.log("train", config=B)
        rec.log("train")
    with resume(path) as rec:
        rec.log("train")
    assert rates(path) == [0.2, None, None]


def test_the_root_tells_which_one_was_in_force(path):
    """Only the configuration in force states the root, so a closed file does say."""
    closed(path, *[None, B] * 20, schema=SMALL, seed=7)
    with resume(path) as rec:
        assert rec.config["lr"] == 0.1
        rec.log("train")
        assert rec.cycle("train").seed == seeds.seed_of(7, 41)
    assert rates(path) == [0.1, 0.2] * 20 + [0.1]
    with pytest.raises(cmeta.RecorderError, match="root 7, not from 8"):
        resume(path, seed=8)


# ------------------------------------------------------------------------------- checkpoints


def test_a_state_says_it(path):
    rec = cmeta.Recorder(path, config=A, seed=7)
    rec.log("train")
    rec.log("train", config=B)
    state = rec.state_dict()
    rec.config = C
    rec.log("train")
    rec.close()
    with resume(path, resume_at=state) as rec:
        assert rec.config == {**A, "cmeta": {"seed_root": 7, "seed_scheme": "weyl"}}
        rec.log("train")
    assert rates(path) == [0.1, 0.2, 0.1]


@pytest.mark.parametrize("config", [7, {"x": object()}])
def test_a_state_with_a_wrong_one_changes_nothing(path, config):
    closed(path, None, None)
    state = {"num_records": 1, "timestamp": 0, "digest": "0" * 16, "config": config}
    before = path.read_bytes()
    with pytest.raises(EncodeError, match="config"):
        resume(path, resume_at=state)
    assert path.read_bytes() == before
    assert not journal_path(path).exists()
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_closed_recorder_takes_none(path):
    rec = cmeta.Recorder(path, config=A)
    rec.close()
    with pytest.raises(cmeta.RecorderError, match="closed"):
        rec.config = B
    assert rec.config == A


@pytest.mark.parametrize("mode", ["new", "verify"])
@pytest.mark.parametrize("rank", [0, 1])
def test_what_config_returns_can_be_set(path, without_config, mode, rank):
    with cmeta.Recorder(path, without_config, seed=7) as rec:
        rec.log("train")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CmetaWarning)  # rank 1 does not record
        target = path if mode == "verify" else path.with_name("new.cmeta")
        rec = cmeta.Recorder(target, without_config, mode, seed=7, rank=rank)
    before = rec.config
    assert before["cmeta"]["seed_root"] == 7
    rec.config = before
    rec.config = {}
    assert rec.config == before
    with pytest.raises(EncodeError, match="the schema has no field of type config"):
        rec.config = before | {"lr": 0.1}
    assert rec.config == before
    rec.log("train")
    rec.close()
