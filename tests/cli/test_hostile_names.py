r"""Every command, with names that a terminal would execute or a spectator would believe.

The names are everywhere that a file or a folder may have them: paths, fields, groups, units, labels,
metrics, configurations, sources to import, schema files. A pipe gets no control character but in CSV,
whose cells are exact; a terminal gets none at all but the colours that cmeta chooses.
"""

import json
import os
import re
import shutil

import numpy as np
import pytest
from click.testing import CliRunner

import cmeta
from cmeta.cli.app import COMMANDS, cli
from cmeta.safe_text import from_spreadsheet_text, spreadsheet_text

EVIL = "x\x1b[8m\x1b[2J\x1b]0;t\x07\x9b2J\r\nError: forged\u202e\x85\u2028\x7fy"
FORMULAS = ("=1+1", "+1", "-x", "@SUM(1)", "\t=1", " =1", "'=1", "''-", "\r=2", "\uff1d1", "a;=1")
HARMLESS = ("'quoted'", "a=b", "\\x1b", "#x", "sep=;")
OWN_COLOUR = re.compile(r"\x1b\[(?:0|1|2|3\d|38;5;\d+)(?:;\d+)*m")
SCHEMA = """
[enumerations.phase]
values = ["train", "validate", {evil}]
[enumerations.{evil}]
values = [{evil}, "=1+1"]
[record]
batch_records = 16
groups = [{{ name = {evil} }}, {{ name = "metrics", open = true }}]
[[record.fields]]
name = "timestamp"
type = "u64"
codec = ["split", "delta", "rice"]
[[record.fields]]
name = "phase"
type = "enum"
enumeration = "phase"
codec = ["delta", "rice"]
[[record.fields]]
name = {evil}
group = {evil}
type = "f32"
unit = {evil}
doc = {evil}
[[record.fields]]
name = "label"
type = "enum"
enumeration = {evil}
[[record.fields]]
name = "loss_value"
type = "f32"
[[record.fields]]
name = "seed_state"
type = "u64"
[[record.fields]]
name = "config"
type = "config"
"""
# Calls of each command; what is in capitals is a path of the fixture.
CALLS = {
    "info": [["RUN"], ["RUN", "--json"], ["OPEN"], ["BAD"], ["CUT"], ["TEXT"], ["MISSING"], ["FOLDER"]],
    "validate": [["RUN"], ["FOLDER"], ["FOLDER", "--json"], ["MISSING"]],
    "cat": [
        ["RUN"], ["RUN", "--json"], ["RUN", "--format", "csv"], ["BAD"], ["OPEN"], ["CUT"],
        ["RUN", "--format", "jsonl", "--full"], ["RUN", "--fields", "EVIL"],
        ["RUN", "--phase", "EVIL"], ["RUN", "--fields", "NONE"], ["RUN", "--phase", "NONE"],
    ],
    "head": [["RUN"], ["RUN", "--format", "csv"], ["BAD"], ["FOLDER"]],
    "tail": [["RUN"], ["OPEN"], ["RUN", "--format", "csv"], ["CUT"]],
    "query": [
        ["RUN", "loss < 9"], ["FOLDER", "loss < 9"], ["FOLDER", "loss < 9", "--json"],
        ["RUN", "NONE"], ["RUN", "NONE == 1"], ["FOLDER", "loss < 9", "--count"],
        ["RUN", "loss < 9", "--format", "csv"], ["RUN", "phase == 'NONE'"],
    ],
    "summary": [["RUN"], ["FOLDER"], ["RUN", "--json"], ["BAD"], ["RUN", "--stats", "NONE"]],
    "plot": [
        ["RUN"], ["FOLDER"], ["RUN", "--fields", "EVIL"], ["BAD"], ["RUN", "--x", "EVIL"],
        ["RUN", "--x", "phase"],
    ],
    "runs": [
        ["FOLDER"], ["FOLDER", "--json"], ["FOLDER", "--columns", "all"], ["FOLDER", "--sort", "NONE"],
        ["FOLDER", "--where", "NONE == 1"], ["EMPTY"], ["FOLDER", "--no-cache"],
        ["FOLDER", "--best", "min:NONE"],
    ],
    "diff": [
        ["RUN", "OTHER"], ["RUN", "OTHER", "--json"], ["RUN", "OPEN"], ["RUN", "BAD"],
        ["RUN", "OTHER", "--fields", "NONE"], ["MISSING", "RUN"],
    ],
    "audit": [
        ["FOLDER", "--jobs", "1"], ["FOLDER", "--json", "--jobs", "1"], ["MISSING"],
        ["RUN", "--against", "OTHER"], ["RUN", "--replay", "CYCLE"], ["RUN", "--replay", "NONE:NONE"],
    ],
    "replay": [
        ["RUN", "CYCLE"], ["RUN", "CYCLE", "--json"], ["RUN", "RAISING"], ["MISSING", "CYCLE"],
        ["RUN", "WRONG"], ["RUN", "NONE"], ["RUN", "--", "NONE"], ["BAD", "CYCLE"],
        ["RUN", "--", "true"], ["RUN", "--json", "--", "true"],
    ],
    "recover": [
        ["BAD", "OUT"], ["CUT", "OUT"], ["OPEN", "OUT"], ["RUN", "RUN"], ["BAD", "OUT", "--json"],
        ["TEXT", "OUT"], ["RUN", "OUT", "--schema", "MISSING"],
    ],
    "import": [
        ["CSV", "OUT"], ["JSONL", "OUT"], ["LOG", "OUT"], ["CSV", "OUT", "--json"], ["TEXT", "OUT"],
        ["BADCSV", "OUT"], ["BADCSV", "OUT", "--skip-bad-lines"], ["CSV", "RUN"], ["MISSING", "OUT"],
        ["FOLDER", "-o", "OUT"], ["FOLDER", "-o", "OUT", "--json"], ["CSV", "OUT", "--config", "TEXT"],
        ["CSV", "OUT", "--schema", "BADTOML"], ["CSV", "OUT", "--phase", "EVIL"], ["CSV", "-"],
        ["TRAINER", "OUT"],
    ],
    "convert": [
        ["RUN", "OUT.csv"], ["RUN", "-", "--format", "csv"], ["RUN", "-", "--format", "jsonl"],
        ["RUN", "OUT"], ["BAD", "OUT.csv"], ["RUN", "RUN"], ["RUN", "OUT.csv", "--fields", "NONE"],
    ],
    "schema": [
        ["show", "TOML"], ["show", "RUN"], ["show", "RUN", "--json"], ["json", "RUN"], ["json", "TOML"],
        ["check", "TOML", "RUN", "BAD", "BADTOML", "MISSING"], ["check", "--json", "BADTOML"],
        ["show", "BADTOML"], ["NONE"],
    ],
    "completion": [["NONE"]],
}  # fmt: skip


def columns(num):
    at = np.arange(num)
    return {
        "timestamp": at,
        "phase": np.array(["train", EVIL])[at % 2],
        f"{EVIL}.{EVIL}": np.float32(at / 3),
        "label": np.array([EVIL, "=1+1"])[at % 2],
        "loss_value": np.float32(np.where(at == 3, np.nan, at / 7)),
        "seed_state": at.astype("u8"),
        f"metrics.{EVIL}": at / 7,
        "metrics.=1+1": at / 9,
        "config": at // 20,
    }


@pytest.fixture
def paths(tmp_path, monkeypatch):
    """Files with hostile names and contents, in a folder with such a name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CMETA_CACHE_DIR", str(tmp_path / "cache"))
    folder = tmp_path / EVIL
    folder.mkdir()
    (tmp_path / "empty\x1b[8m").mkdir()

    def file(name, text):
        (folder / f"{EVIL}{name}").write_text(text, encoding="utf-8", newline="")
        return folder / f"{EVIL}{name}"

    toml = SCHEMA.format(evil=json.dumps(EVIL))
    schema_file = file(".toml", toml)
    schema = cmeta.Schema.load(schema_file)
    configs = [{EVIL: EVIL, "net": {EVIL: [EVIL]}}, {EVIL: 2, "lr": EVIL}]
    run, other = folder / f"{EVIL}.cmeta", folder / f"other {EVIL}.cmeta"
    cmeta.write(run, columns(40), schema, configs)
    cmeta.write(other, columns(39) | {f"metrics.{EVIL}": np.arange(39.0)}, schema, configs[::-1])
    data = run.read_bytes()
    with cmeta.open(run) as reader:
        batches = reader.batches
    bad, cut = folder / f"bad {EVIL}.cmeta", folder / f"cut {EVIL}.cmeta"
    middle = batches[1].offset + batches[1].len_block // 2
    bad.write_bytes(data[:middle] + bytes([data[middle] ^ 4]) + data[middle + 1 :])
    cut.write_bytes(data[: batches[1].offset + 50])
    live, left_open = folder / "live.cmeta", folder / f"open {EVIL}.cmeta"
    with cmeta.Recorder(live, schema=schema, config=configs[0]) as recorder:
        for i in range(20):
            recorder.log(EVIL, **{EVIL: i / 3})
        recorder.flush()
        for suffix in ("", "-journal"):
            shutil.copy(f"{live}{suffix}", f"{left_open}{suffix}")
    live.unlink()
    code = "def cycle(state):\n    return {'loss_value': 1.0}\n"
    code += f"def raising(state):\n    raise ValueError({EVIL!r})\n"
    code += f"def wrong(state):\n    return {{{EVIL!r}: {EVIL!r}}}\n"
    (tmp_path / "cycle.py").write_text(code)
    trainer = {"log_history": [{"step": 1, "loss": 1.5, EVIL: EVIL}], "best_metric": EVIL}
    return {
        "RUN": run, "OTHER": other, "BAD": bad, "CUT": cut, "OPEN": left_open, "FOLDER": folder,
        "EMPTY": tmp_path / "empty\x1b[8m", "MISSING": folder / "missing\x1b[8m.cmeta",
        "TEXT": file(".txt", f"{EVIL}\n"), "TOML": schema_file,
        "BADTOML": file("-bad.toml", toml.replace('"f32"', json.dumps(EVIL), 1)),
        "CSV": file(".csv", f'step,split,"{EVIL}",text\n0,"{EVIL}",1,"{EVIL}"\n1,train,2,{EVIL!r}\n'),
        "BADCSV": file("-bad.csv", f'step,loss\n0,"{EVIL}",{EVIL!r}\n1,2\n{EVIL}'),
        "JSONL": file(".jsonl", "".join(
            json.dumps({"step": i, EVIL: i, "phase": EVIL, "text": EVIL}) + "\n" for i in range(3)
        )),
        "LOG": file(".log", "".join(f"step={i} {EVIL!r}={i} loss={i}\x1b[8m\n" for i in range(3))),
        "TRAINER": file("trainer_state.json", json.dumps(trainer)),
        "OUT": tmp_path / "out\x1b[8m", "OUT.csv": tmp_path / "out\x1b[8m.csv",
        "CYCLE": "cycle.py:cycle", "RAISING": "cycle.py:raising", "WRONG": "cycle.py:wrong",
        "EVIL": '"' + f"{EVIL}.{EVIL}" + '"', "NONE": "no\x1b[8m\nError: forged", "true": "true",
    }  # fmt: skip


def called(args):
    result = CliRunner().invoke(cli, [str(arg) for arg in args])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    stdout = b"" if args[-1] == "-" and not result.exit_code else result.stdout_bytes  # a chronicle
    return stdout.decode("utf-8"), result.stderr_bytes.decode("utf-8")


def require_harmless(text, args, *, has_own_lines=False):
    """Fail at a control character, and at a line that a name has begun."""
    lines = OWN_COLOUR.sub("", text).split("\n")
    assert all(map(str.isprintable, lines)), (args, text)
    assert "\x1b[8m" not in text, (args, text)
    is_forged = any(line.startswith("Error: forged") for line in lines)
    assert has_own_lines or not is_forged, (args, text)


def test_calls_cover_every_command():
    assert set(CALLS) == set(COMMANDS)


@pytest.mark.parametrize("is_terminal", [False, True], ids=["pipe", "terminal"])
@pytest.mark.parametrize("name", CALLS)
def test_no_command_lets_a_name_through(paths, monkeypatch, name, is_terminal):
    if is_terminal:
        stream = "click.testing._NamedTextIOWrapper.isatty"
        monkeypatch.setattr(stream, lambda self: True, raising=False)
        monkeypatch.setattr("cmeta.cli.console._PROGRESS_AFTER", 1e9)  # a bar moves the cursor
        monkeypatch.setenv("TERM", "xterm-256color")
        monkeypatch.setenv("COLUMNS", "150")
    for call in CALLS[name]:
        args = [name, *(str(paths.get(arg, arg)) for arg in call)]
        args = [arg.replace("NONE", paths["NONE"]) for arg in args]
        stdout, stderr = called(args)
        assert stdout or stderr or "OUT.csv" in call, args
        if is_terminal or "csv" not in call:
            require_harmless(stdout, args)
        # The traceback of the user's own code has the lines that its message has.
        require_harmless(stderr, args, has_own_lines="RAISING" in call)
        if "--json" in call:
            assert all(isinstance(json.loads(line), dict) for line in stdout.splitlines())
        for out in (paths["OUT"], paths["OUT.csv"]):
            shutil.rmtree(out, ignore_errors=True)
            out.unlink(missing_ok=True)


def test_names_are_shown_with_escapes(paths):
    stdout, _ = called(["cat", paths["RUN"], "--fields", "label,loss"])
    assert r"x\x1b[8m\x1b[2J" in stdout


# --------------------------------------------------------------------------------- spreadsheets


@pytest.mark.parametrize("text", [*FORMULAS, *HARMLESS, EVIL, "", "'", "train"])
def test_spreadsheet_text_comes_back(text):
    assert from_spreadsheet_text(spreadsheet_text(text)) == text
    if text in FORMULAS and not text.startswith("a"):
        assert spreadsheet_text(text) == f"'{text}"
    if text in HARMLESS:
        assert spreadsheet_text(text) == text


def test_csv_has_no_formula_and_comes_back_exactly(cm, tmp_path):
    labels = ["train", *FORMULAS, *HARMLESS, EVIL]
    schema = cmeta.default_schema().with_phases(*labels[1:])
    names = [f"metrics.{label}" for label in labels]
    given = {"timestamp": np.arange(len(labels)), "phase": labels}
    given |= {name: np.arange(len(labels)) / 3 for name in names}
    run, table, again = (tmp_path / name for name in ("run.cmeta", "run.csv", "again.cmeta"))
    cmeta.write(run, given, schema)
    assert cm("convert", run, table).exit_code == 0
    data = table.read_bytes().decode()
    cells = [cell.strip('"') for cell in re.split(r"[,\n]", data)]
    assert not [cell for cell in cells if cell.lstrip().startswith(tuple("=+-@"))]
    result = cm("import", table, again)
    assert result.exit_code == 0, result.stdout + result.stderr
    for name in ("--json", "--format=csv"):
        assert cm("cat", again, name).stdout_bytes == cm("cat", run, name).stdout_bytes
    with cmeta.open(again) as reader:
        columns = reader.read(names)
        assert all(columns[name].tolist() == given[name].tolist() for name in names)
        assert [record.phase for record in reader.records()] == labels


def test_a_foreign_apostrophe_stays(cm, tmp_path):
    (tmp_path / "log.csv").write_text("step,'=x,split\n0,1.5,'=y\n")
    assert cm("import", tmp_path / "log.csv", tmp_path / "out.cmeta").exit_code == 0
    with cmeta.open(tmp_path / "out.cmeta") as reader:
        assert "metrics.'=x" in [field.path for field in reader.fields]
        assert "'=y" in reader.schema.phases


# -------------------------------------------------------------------------------------- Python


def test_texts_of_python_are_printable(paths):
    def error_of(function, *args, **options):
        with pytest.raises((cmeta.CmetaError, KeyError, ValueError)) as caught:
            function(*args, **options)
        return caught.value

    run, bad, other = paths["RUN"], paths["BAD"], paths["OTHER"]
    with cmeta.open(run) as reader:
        shown = [reader, reader.read(), *reader.fields, reader.schema, next(reader.records())]
        shown += [
            reader.configs[0],
            error_of(reader.query, f"loss < '{EVIL}' +"),
            reader.batches[0],
        ]
        shown += [error_of(reader.field, "\x1b[8m")]
    shown += [cmeta.validate(bad), cmeta.validate(bad).findings[0], cmeta.diff(run, other)]
    shown += [*cmeta.audit([run, bad, other]), *cmeta.audit([bad])[0].findings]
    shown += [
        cmeta.recover(bad, f"{paths['OUT']}.cmeta"),
        *cmeta.scan(paths["FOLDER"], cache=False),
    ]
    shown += [cmeta.import_run(paths["CSV"], paths["OUT"], replace=True)]
    shown += [cmeta.replay(run, lambda state: {"loss": 1.0, f"metrics.{EVIL}": 2.0})]
    shown += [cmeta.summarise(run), error_of(cmeta.summarise, run, fields=["phase"])]
    shown += [
        error_of(cmeta.write, paths["OUT.csv"], {"phase": [EVIL]}),
        error_of(cmeta.Schema.load, paths["BADTOML"]),
        error_of(cmeta.import_run, paths["BADCSV"], paths["OUT.csv"]),
        error_of(cmeta.open, paths["TEXT"]),
        error_of(cmeta.Recorder, run),
        cmeta.CmetaWarning(EVIL), cmeta.PrecisionWarning(EVIL),
    ]  # fmt: skip
    with cmeta.Recorder(paths["FOLDER"] / "z\x1b[8m.cmeta") as recorder:
        shown += [recorder, error_of(recorder.log, EVIL, loss=1)]
    shown += [recorder]
    for each in shown:
        for text in (str(each), repr(each)):
            require_harmless(text, type(each))


def test_a_warning_is_printable(tmp_path, recwarn):
    with cmeta.Recorder(tmp_path / "run\x1b[8m.cmeta", on_error="warn") as recorder:
        recorder.log("\x1b[8m\nError: forged", loss=1.0)
    assert recwarn
    for warning in recwarn:
        require_harmless(str(warning.message), warning)


@pytest.mark.skipif(os.name != "posix", reason="names that are not UTF-8")
def test_a_path_that_is_not_utf_8(cm, tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path / "a") + b"\xff\x1b[8m.cmeta")
    cmeta.write(path, {"phase": ["train"], "loss": [1.0]})
    for args in (["info", path], ["validate", path], ["runs", "--no-cache", path], ["audit", path]):
        result = cm(*args)
        require_harmless(result.stdout + result.stderr, args)
