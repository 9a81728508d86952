"""`cmeta import`: reports, standard input and output, exit codes."""

import json

import pytest

import cmeta

LINES = '{"step": 0, "loss": 0.5}\n{"step": 1, "loss": 0.25}\n'


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text(LINES)
    return path


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out.cmeta"


def losses(source):
    with cmeta.open(source) as run:
        return run.read()["loss_value"].tolist()


def test_the_report(cm, log, out):
    result = cm("import", log, out)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"{log}: 2 records of 4 fields imported from jsonl, to {out}\n"
    assert losses(out) == [0.5, 0.25]


def test_data_that_a_chronicle_cannot_store_has_its_own_exit_code(cm, log, out):
    log.write_text(LINES.replace("0.5", '0.5, "note": "a"').replace("0.25", '0.25, "note": 1'))
    result = cm("import", log, out)
    assert result.exit_code == 4
    assert "  lost  note: text of 1 record is not kept, such as 'a' (line 1)\n" in result.stdout
    assert losses(out) == [0.5, 0.25]


def test_what_no_chronicle_holds_is_noted_and_no_loss(cm, log, out):
    log.write_text(LINES.replace("0.5", '0.5, "note": "a", "images": [1]'))
    result = cm("import", log, out)
    assert result.exit_code == 0
    assert "  note  note: text of 1 record is not kept, such as 'a' (line 1)\n" in result.stdout
    assert "  note  images: list of 1 record is not kept" in result.stdout


def test_the_report_as_json(cm, log, out):
    found = json.loads(cm("import", "--json", log, out).stdout)
    assert list(found) == [
        "source",
        "out",
        "format",
        "num_records",
        "fields",
        "lost",
        "notes",
        "damage",
    ]
    assert (found["source"], found["num_records"]) == (str(log), 2)


def test_a_truncated_source_has_its_own_exit_code(cm, log, out):
    log.write_text(LINES + '{"loss": 0.')
    result = cm("import", log, out)
    assert result.exit_code == 4
    assert "  damaged  line 3 is cut off: 11 bytes\n" in result.stdout
    assert losses(out) == [0.5, 0.25]


def test_a_pipe(process, tmp_path, out):
    running = process("import", "-", "-", stdin=-1)
    data, errors = running.communicate(LINES.encode(), timeout=60)
    assert running.returncode == 0
    assert losses(data) == [0.5, 0.25]
    assert errors.startswith(b"<stdin>: 2 records of 4 fields imported from jsonl, to -\n")


def test_an_error_in_a_pipe_names_it(process):
    running = process("import", "-", "-", stdin=-1)
    data, errors = running.communicate(b'{"x": 1}\n{"x"}\n{}\n', timeout=60)
    assert (running.returncode, data) == (2, b"")
    assert errors.startswith(b"Error: <stdin>, line 2, column 5: not JSON")


def test_a_schema_and_a_configuration_from_files(cm, log, out, tmp_path):
    schema, config = tmp_path / "own.toml", tmp_path / "config.json"
    schema.write_text(
        '[enumerations.phase]\nvalues = ["probe"]\n[record]\nbatch_records = 64\n'
        '[[record.groups]]\nname = "m"\nopen = true\n'
        '[[record.fields]]\nname = "timestamp"\ntype = "u64"\ncodec = ["delta", "rice"]\n'
        '[[record.fields]]\nname = "phase"\ntype = "enum"\nenumeration = "phase"\n'
        'codec = ["delta", "rice"]\n'
        '[[record.fields]]\nname = "config"\ntype = "config"\n'
    )
    config.write_text('{"lr": 0.1}')
    options = ["--schema", schema, "--config", config, "--phase", "probe"]
    result = cm("import", log, out, *options)
    assert result.exit_code == 0, result.stderr
    with cmeta.open(out) as run:
        assert run.schema.phases == ("probe",)
        assert run.configs == ({"lr": 0.1},)
        assert run.read()["m.loss"].tolist() == [0.5, 0.25]


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "not JSON"), ("[]", "expected a JSON object"), (b"\xff", "not JSON")],
)
def test_an_invalid_configuration(cm, log, out, tmp_path, content, message):
    config = tmp_path / "config.json"
    config.write_bytes(content if isinstance(content, bytes) else content.encode())
    result = cm("import", log, out, "--config", config)
    assert result.exit_code == 2
    assert str(config) in result.stderr
    assert message in result.stderr
    assert not out.exists()


def test_an_existing_file_is_kept_without_replace(cm, log, out):
    out.write_text("mine")
    result = cm("import", log, out)
    assert result.exit_code == 2
    assert f"{out}: exists; --replace overwrites it" in result.stderr
    assert out.read_text() == "mine"
    assert cm("import", log, out, "--replace").exit_code == 0


def test_a_missing_or_unknown_source(cm, not_a_chronicle, out, tmp_path):
    result = cm("import", tmp_path / "none.csv", out)
    assert result.exit_code == 2
    assert "none.csv: No such file or directory" in result.stderr
    result = cm("import", not_a_chronicle, out)
    assert result.exit_code == 2
    assert "found a file that begins with b'These are not" in result.stderr
    assert not out.exists()


def test_a_chronicle_is_not_a_source(cm, chronicle, out):
    result = cm("import", chronicle, out)
    assert result.exit_code == 2
    assert "expected a file of one of: parquet" in result.stderr


def test_control_characters_in_names_are_escaped(cm, out, tmp_path):
    log = tmp_path / "log.jsonl"
    log.write_text('{"a\\u001b[2Jb": "x", "loss": 1}\n')
    result = cm("import", log, out)
    assert result.exit_code == 0
    assert "\x1b" not in result.stdout
    assert "a\\x1b[2Jb: text of 1 record" in result.stdout


def test_a_log_is_never_imported_over_itself(cm, log):
    before = log.read_bytes()
    result = cm("import", log, log, "--replace")
    assert result.exit_code == 2
    assert "no command changes what it reads; choose another name" in result.stderr
    with pytest.raises(cmeta.ExistsError, match="is the file to import; choose another name"):
        cmeta.import_run(log, log, replace=True)
    assert log.read_bytes() == before
