"""How a run ended is recorded: in INDEX, and as a function of what was recorded alone."""

import json
import signal
import sys

import pytest

import cmeta
from cmeta import EncodeError
from cmeta.format.encoder import Encoder

STATUSES = ["finished", "failed", "interrupted", "pruned"]


def recorded(path, status=None, num=3, **options):
    rec = cmeta.Recorder(path, **options)
    for i in range(num):
        rec.log("train", loss=0.5 ** (i % 8))
    rec.finish(status) if status else rec.close()
    return path.read_bytes()


def status_of(path):
    with cmeta.open(path) as run:
        return run.status


@pytest.mark.parametrize("status", STATUSES)
def test_finish_states_it(path, status):
    recorded(path, status)
    assert status_of(path) == status
    assert cmeta.validate(path).ok


def test_finish_means_finished(path):
    rec = cmeta.Recorder(path)
    rec.finish()
    rec.finish("failed")  # a second close does nothing
    assert status_of(path) == "finished"


@pytest.mark.parametrize("status", ["finish", "", 1, "Finished"])
def test_another_word_is_refused_and_closes_nothing(path, status):
    rec = cmeta.Recorder(path)
    with pytest.raises(EncodeError, match=r"status: found .*one of: finished, failed"):
        rec.finish(status)
    rec.log("train")
    rec.close()
    with pytest.warns(cmeta.CmetaWarning, match="does not record"):
        idle = cmeta.Recorder(path.with_name("idle.cmeta"), rank=1)
    with pytest.raises(EncodeError, match="did you mean finished"):
        idle.finish("finishd")
    idle.finish("failed")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError, "failed"), (MemoryError, "failed"), (KeyboardInterrupt, "interrupted"),
        (SystemExit(3), "interrupted"), (SystemExit("no GPU"), "interrupted"),
        (SystemExit(), None), (SystemExit(0), None),
        (type("TrialPruned", (Exception,), {}), "pruned"),
    ],
)  # fmt: skip
def test_leaving_the_block_by_an_exception(path, error, status):
    kind = error if isinstance(error, type) else type(error)
    with pytest.raises(kind), cmeta.Recorder(path) as rec:  # noqa: PT012
        rec.log("train")
        raise error
    assert status_of(path) == status


def test_a_plain_close_states_nothing_and_equals_a_written_file(path, tmp_path):
    data = recorded(path)
    other = tmp_path / "other.cmeta"
    cmeta.write(other, {"phase": ["train"] * 3, "loss": [1, 0.5, 0.25]})
    assert other.read_bytes() == data
    assert status_of(path) is None


@pytest.mark.parametrize("status", STATUSES)
def test_bytes_are_a_function_of_the_records_and_the_status(path, tmp_path, status):
    other = tmp_path / "other.cmeta"
    data = recorded(path, status)
    recorded(other, "interrupted", num=2)
    with cmeta.Recorder(other, mode="resume") as rec:  # which takes the status away
        rec.log("train", loss=0.25)
    assert status_of(other) is None
    with cmeta.Recorder(other, mode="resume") as rec:
        rec.finish(status)
    assert other.read_bytes() == data
    with cmeta.open(path) as run:
        columns = run.read()
    assert columns.status == status
    cmeta.write(other, columns)
    assert other.read_bytes() == data
    cmeta.write(other, columns, status="pruned")
    assert status_of(other) == "pruned"


def test_a_status_that_write_does_not_know(tmp_path):
    with pytest.raises(EncodeError, match="status: found 'done'"):
        cmeta.write(tmp_path / "x.cmeta", {"phase": ["train"]}, status="done")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_status_in_a_file_is_corrupt():
    for status, ok in ((0, True), (4, True), (5, False), (65535, False)):
        encoder = Encoder(cmeta.default_schema())
        data = bytearray(encoder.begin() + encoder.finish(status))
        data[:10] = encoder.header(0)
        report = cmeta.validate(data)
        assert report.ok == ok
        if not ok:
            assert "INDEX.status: CorruptError" in str(report)
            assert "expected 0 to 4" in str(report)


def test_recover_keeps_it(path, tmp_path):
    data = bytearray(recorded(path, "failed", num=5000))
    with cmeta.open(path) as run:
        batch = run.batches[0].offset  # INDEX is intact
    data[batch + 40] ^= 1
    path.write_bytes(data)
    out = tmp_path / "out.cmeta"
    cmeta.recover(path, out)
    assert status_of(out) == "failed"
    path.unlink()
    recorded(path, "failed", num=100)
    data = bytearray(path.read_bytes())
    data[6] ^= 1  # the header's count, which no checksum covers
    path.write_bytes(data)
    cmeta.recover(path, tmp_path / "again.cmeta")
    assert status_of(tmp_path / "again.cmeta") == "failed"


def test_diff_reports_it(path, tmp_path):
    other = tmp_path / "other.cmeta"
    recorded(path, "finished")
    recorded(other)
    report = cmeta.diff(path, other)
    assert (report.verdict, report.status) == ("equal", ("finished", None))
    assert "status: finished and not stated" in str(report)
    assert report.as_json()["status"] == ["finished", None]


def test_runs_know_it(path, tmp_path):
    recorded(path, "pruned")
    recorded(tmp_path / "plain.cmeta")
    runs = {run.path: run.status for run in cmeta.scan(tmp_path)}
    assert sorted(runs.values()) == ["", "pruned"]
    again = {run.path: run.status for run in cmeta.scan(tmp_path)}
    assert again == runs


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_signal_that_python_turns_into_ctrl_c(path):
    with pytest.raises(KeyboardInterrupt), cmeta.Recorder(path) as rec:  # noqa: PT012
        rec.log("train")
        signal.raise_signal(signal.SIGINT)
    assert status_of(path) == "interrupted"


def test_the_commands_show_it(path, tmp_path):
    from click.testing import CliRunner

    from cmeta.cli.app import cli

    recorded(path, "failed")
    recorded(tmp_path / "plain.cmeta")

    def run(*arguments):
        result = CliRunner().invoke(cli, [str(a) for a in arguments])
        assert result.exit_code == 0, result.output
        return result.stdout

    assert "closed: failed" in run("info", path)
    assert json.loads(run("info", "--json", path))["status"] == "failed"
    table = run("runs", tmp_path)
    assert "status" in table
    assert "failed" in table
    assert "plain" not in run("runs", tmp_path, "--where", "status == 'failed'")
    found = [json.loads(line) for line in run("runs", "--json", tmp_path).splitlines()]
    assert {one["status"] for one in found} == {"failed", None}
