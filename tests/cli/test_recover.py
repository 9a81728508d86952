"""`cmeta recover`: messages, files, and exit codes that never report a loss as success."""

import json

import pytest

import cmeta
from cmeta.storage.open import journal_path
from tests.cli.conftest import ROOT


@pytest.fixture
def out(tmp_path):
    return tmp_path / "new.cmeta"


def test_recover_of_an_intact_file(cm, chronicle, out):
    result = cm("recover", chronicle, out)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"{chronicle}: 100 records salvaged, to {out}; nothing was lost\n"
    assert out.read_bytes() == chronicle.read_bytes()


def test_recover_with_loss(cm, flipped, out):
    before = flipped.read_bytes()
    result = cm("recover", flipped, out)
    assert (result.exit_code, result.stderr) == (4, "")
    first, lost, found = result.stdout.splitlines()
    assert first.startswith(f"{flipped}: 84 records salvaged, to {out}; 16 records lost, ")
    assert "16 records, timestamps 1032 to 1047: BATCH[2] is damaged" in lost
    assert "ChecksumError" in found
    assert flipped.read_bytes() == before
    assert cm("validate", out).exit_code == 0


def test_recover_in_json(cm, flipped, truncated, out):
    result = cm("recover", "--json", flipped, out)
    assert result.exit_code == 4
    (line,) = result.stdout.splitlines()
    found = json.loads(line)
    assert (found["file"], found["out"]) == (str(flipped), str(out))
    assert (found["verdict"], found["num_records"], found["num_lost"]) == ("with loss", 84, 16)
    assert found["lost"][0]["first_timestamp"] == 1032
    out.unlink()
    found = json.loads(cm("recover", "--json", truncated, out).stdout)
    assert found["num_records"] == 48 and found["lost"][0]["num_records"] is None


def test_recover_of_an_open_file(cm, still_open, out):
    """The loss is unknown, so the exit code is not success."""
    result = cm("recover", still_open, out)
    assert result.exit_code == 4
    assert "an unknown number of records lost" in result.stdout


def test_recover_of_a_file_that_is_not_a_chronicle(cm, not_a_chronicle, out):
    result = cm("recover", not_a_chronicle, out)
    assert (result.exit_code, result.stderr) == (3, "")
    assert f"{not_a_chronicle}: nothing could be salvaged\n" in result.stdout
    assert "no intact SCHEMA" in result.stdout
    assert not out.exists()
    assert json.loads(cm("recover", "--json", not_a_chronicle, out).stdout)["out"] == ""


def test_recover_never_overwrites_a_file(cm, flipped, out):
    out.write_text("precious")
    for target in (out, flipped):
        result = cm("recover", flipped, target)
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr == f"Error: {target} exists; a recovery never writes over a file\n"
    assert out.read_text() == "precious"


def test_recover_of_a_missing_file(cm, chronicle, out, tmp_path):
    result = cm("recover", tmp_path / "missing.cmeta", out)
    assert result.exit_code == 2
    assert result.stderr == f"Error: {tmp_path / 'missing.cmeta'}: No such file or directory\n"
    assert cm("recover", chronicle, tmp_path / "no" / "out").exit_code == 0
    assert cm("recover", chronicle).exit_code == 2
    assert cm("recover", tmp_path, out).exit_code == 2


def test_recover_of_a_lone_journal(cm, tmp_path, out):
    path = tmp_path / "run.cmeta"
    with cmeta.Recorder(path) as rec:
        for step in range(20):
            rec.log("train", step=step)
        rec.flush()
        data = journal_path(path).read_bytes()
    path.unlink()
    journal_path(path).write_bytes(data)
    for name in (path, journal_path(path)):
        result = cm("recover", name, out)
        assert result.exit_code == 0
        assert "20 records salvaged, 20 from its journal" in result.stdout
        out.unlink()
    assert cm("recover", path, path).exit_code == 2


def test_recover_with_a_schema(cm, damaged, tmp_path, out):
    """The schema is the shipped one with another size of batches."""
    text = (ROOT / "schema" / "cmeta_schema.toml").read_text("utf-8")
    schema = tmp_path / "own.toml"
    assert "batch_records = 4096" in text
    schema.write_text(text.replace("batch_records = 4096", "batch_records = 16"), "utf-8")
    path = damaged(lambda data, batches: data.__setitem__(200, data[200] ^ 1))
    result = cm("recover", path, out, "--schema", schema)
    assert result.exit_code == 0 and "100 records salvaged" in result.stdout


def test_recover_with_an_invalid_schema(cm, chronicle, out, tmp_path):
    schema = tmp_path / "schema.toml"
    schema.write_text("[record]\n")
    result = cm("recover", chronicle, out, "--schema", schema)
    assert result.exit_code == 2 and str(schema) in result.stderr
    missing = cm("recover", chronicle, out, "--schema", tmp_path / "none.toml")
    assert missing.exit_code == 2 and "none.toml: cannot be read: No such file" in missing.stderr
    assert not out.exists()


def test_recover_escapes_control_characters_in_names(cm, flipped, tmp_path):
    path = tmp_path / "a\x1b[2Jb\n.cmeta"
    path.write_bytes(flipped.read_bytes())
    result = cm("recover", path, tmp_path / "out\x1b")
    assert result.exit_code == 4
    assert "\x1b" not in result.stdout
    found = json.loads(cm("recover", "--json", path, tmp_path / "out2\x1b").stdout)
    assert "\x1b" not in found["file"] + found["out"]


def test_recover_in_a_process(process, flipped, out):
    run = process("recover", flipped, out)
    stdout, stderr = run.communicate()
    assert (run.returncode, stderr) == (4, b"")
    assert b"84 records salvaged" in stdout


def test_recover_help_states_the_exit_codes(cm):
    text = cm("recover", "--help").stdout
    assert all(
        part in text for part in ("complete   0", "with loss  4", "nothing    3", "Examples")
    )
