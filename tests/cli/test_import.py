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
    assert "is a chronicle, which needs no import" in result.stderr
    assert not out.exists()


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


def test_a_folder_of_runs(cm, tmp_path, out):
    sweep = tmp_path / "sweep"
    for name, text in (
        ("a/log.csv", "loss\n1\n"),
        ("b/log.csv", "loss\n1,2\n"),
        ("c.jsonl", LINES),
    ):
        (sweep / name).parent.mkdir(parents=True, exist_ok=True)
        (sweep / name).write_text(text)
    (sweep / "params.json").write_text('{"lr": 0.5}')
    folder = tmp_path / "new" / "out"
    result = cm("import", sweep, "-o", folder)
    assert result.exit_code == 2
    assert f"Error: {sweep / 'b/log.csv'}, line 2: found 2 cells, expected 1" in result.stderr
    assert "1 other file left alone" in result.stderr
    assert f"{sweep / 'a/log.csv'}: 1 record of 3 fields imported from csv" in result.stdout
    assert losses(folder / "a" / "log.cmeta") == [1]
    assert losses(folder / "c.cmeta") == [0.5, 0.25]
    assert not (folder / "b" / "log.cmeta").exists()
    result = cm(
        "import", f"{sweep}/**/*.csv", "-o", folder, "--replace", "--skip-bad-lines", "--json"
    )
    assert result.exit_code == 4
    reports = [json.loads(line) for line in result.stdout.splitlines()]
    assert [report["num_records"] for report in reports] == [1, 0]


def test_failures_as_json(cm, log, tmp_path):
    bad = tmp_path / "bad.csv"
    bad.write_text("loss\n1,2\n")
    result = cm("import", "--json", bad, log, "-o", tmp_path / "out")
    failed, good = map(json.loads, result.stdout.splitlines())
    assert result.exit_code == 2
    assert list(failed) == ["source", "out", "error"]
    assert good["num_records"] == 2


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["LOG"], "Missing argument 'OUT'"),
        (["LOG", "LOG", "OUT"], "found 3 arguments, expected SOURCE and OUT; -o FOLDER imports"),
        (["-", "-o", "FOLDER"], "-o requires files on disk"),
        (["LOG", "-o", "-"], "-o requires files on disk"),
        (["FOLDER", "-o", "FOLDER"], "no file to import in"),
        (["FOLDER", "OUT"], "-o FOLDER imports every file in a folder"),
        (["LOG", "FOLDER"], "a folder, expected the name of a file"),
        (["LOG", "FOLDER", "--replace"], "a folder, expected the name of a file"),
        (["LOG", "OUT", "--run", "foo"], "--run) has no effect on a source of the format jsonl"),
        (["LOG", "OUT", "--names", "a,b"], "--names) has no effect on a source of the format"),
        (["LOG", "OUT", "--phase", ""], "phase: found an empty word"),
        (["LOG", "OUT", "--phase", "trian"], "did you mean train?"),
    ],
)
def test_arguments_that_cannot_be_followed(cm, log, out, tmp_path, args, message):
    places = {"LOG": log, "OUT": out, "FOLDER": tmp_path / "folder"}
    places["FOLDER"].mkdir()
    result = cm("import", *[places.get(arg, arg) for arg in args])
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert not out.exists()


@pytest.mark.parametrize("command", ["import", "convert"])
def test_a_missing_folder_of_the_output_is_made(cm, log, chronicle, tmp_path, command):
    source = log if command == "import" else chronicle
    out = tmp_path / "none" / "out.csv"
    assert cm(command, source, out).exit_code == 0
    assert out.is_file()


def test_a_folder_that_cannot_be_made(log, chronicle, tmp_path):
    calls = [
        lambda out: cmeta.import_run(log, out), lambda out: cmeta.write(out, {"phase": ["train"]}),
        lambda out: cmeta.recover(chronicle, out),
    ]  # fmt: skip
    (tmp_path / "file").write_text("")
    for call in calls:
        with pytest.raises(OSError, match="file"):
            call(tmp_path / "file" / "out.cmeta")
    with pytest.raises(cmeta.ExistsError, match="is a folder, expected the name of the chronicle"):
        cmeta.import_run(log, tmp_path, replace=True)


def test_names_for_a_table_without_them(cm, out, tmp_path):
    log = tmp_path / "log.csv"
    log.write_text("0,0.5\n1,0.25\n")
    result = cm("import", log, out)
    assert result.exit_code == 2
    assert "--names" in result.stderr
    assert cm("import", log, out, "--names", "step,loss").exit_code == 0
    assert losses(out) == [0.5, 0.25]


def test_bad_lines(cm, log, out):
    log.write_text(LINES + "{\n" + LINES)
    assert cm("import", log, out).exit_code == 2
    result = cm("import", log, out, "--skip-bad-lines")
    assert result.exit_code == 4
    assert "  damaged  1 bad line skipped, the first: line 3, column 2: not JSON" in result.stdout


def test_converted_lines_that_were_cut_off(cm, chronicle, out, tmp_path):
    lines = tmp_path / "run.jsonl"
    assert cm("convert", chronicle, lines).exit_code == 0
    lines.write_bytes(lines.read_bytes()[:-5])
    result = cm("import", lines, out)
    assert result.exit_code == 4
    assert "  damaged  line 101 is cut off" in result.stdout
    assert "  damaged  1 record of the 100 that the first line states: missing\n" in result.stdout
    with cmeta.open(out) as run:
        assert len(run) == 99
