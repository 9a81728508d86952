"""`import_run`: detection, existing files, progress, failures and the report."""

import json
import re

import numpy as np
import pytest

import cmeta
from cmeta.errors import EncodeError, ExistsError
from cmeta.testing.oracle import expected, identical
from cmeta.tools.imports.exact import as_stored_float64, make_exact, wide_column
from cmeta.tools.imports.formats import FORMATS, detect, load_importer
from cmeta.tools.imports.import_run import import_run


@pytest.fixture
def log(text):
    return text("log.jsonl", '{"loss": 0.5}')


@pytest.mark.parametrize(
    ("name", "lines", "format_"),
    [
        ("a", ['{"loss": 1}', '{"loss": 2}'], "jsonl"),
        ("a.csv", ["loss", "1"], "csv"),
        ("a", ["step,loss", "1,2"], "csv"),
        ("a.txt", ["step\tloss", "1\t2"], "csv"),
        ("a.json", ['{"cmeta": {"schema": "' + "x" * 100000], "jsonl"),
    ],
)
def test_formats_are_detected_by_content(text, name, lines, format_):
    assert detect(text(name, *lines)) == format_


@pytest.mark.parametrize("content", [b"", b"\x00\x01\x02", b"just a note\n", b"[1, 2]\n", b"{\n"])
def test_files_of_no_known_format(tmp_path, content):
    path = tmp_path / "thing"
    path.write_bytes(content)
    with pytest.raises(
        EncodeError, match=r"expected a file of one of: .*jsonl, log, csv; state the format"
    ):
        import_run(path, tmp_path / "out.cmeta")
    assert not (tmp_path / "out.cmeta").exists()


def test_a_chronicle_needs_no_import(tmp_path):
    cmeta.write(tmp_path / "run.cmeta", {"phase": ["train"]})
    with pytest.raises(EncodeError, match=r"run\.cmeta: is a chronicle, which needs no import"):
        detect(tmp_path / "run.cmeta")


def test_an_empty_folder(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(EncodeError, match="found a folder without"):
        import_run(tmp_path / "empty", tmp_path / "out.cmeta")


def test_an_unknown_format_names_those_that_are(log, tmp_path):
    with pytest.raises(EncodeError, match="found format 'xml', expected one of: parquet, mlflow"):
        import_run(log, tmp_path / "out.cmeta", format="xml")


@pytest.mark.parametrize("format_", FORMATS)
def test_every_format_has_an_importer(format_, tmp_path):
    source = load_importer(format_)
    assert callable(source.read)
    (tmp_path / "thing").write_bytes(b"\x00\x01\x02")
    assert not source.looks_like(tmp_path / "thing")
    assert not source.looks_like(tmp_path)


@pytest.mark.parametrize("format_", FORMATS)
def test_the_help_lists_every_format(cm, format_):
    assert re.search(rf"^ +{format_} +\S", cm("import", "--help").stdout, re.MULTILINE)


def test_a_stated_format_wins(text, tmp_path):
    source = text("log.jsonl", '{"x": 1}')
    report = import_run(source, tmp_path / "out.cmeta", format="csv")
    assert report.format == "csv"


def test_an_existing_file_stays(log, tmp_path):
    out = tmp_path / "out.cmeta"
    out.write_text("mine")
    with pytest.raises(ExistsError, match=r"out.cmeta exists; replace=True \(--replace\)"):
        import_run(log, out)
    assert out.read_text() == "mine"
    assert import_run(log, out, replace=True).num_records == 1
    assert cmeta.validate(out).ok


def test_a_failure_leaves_nothing_behind(text, tmp_path):
    source = text("log.jsonl", '{"loss": 1}', "no", '{"loss": 1}')
    out = tmp_path / "out.cmeta"
    out.write_text("mine")
    with pytest.raises(EncodeError):
        import_run(source, out, replace=True)
    assert out.read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.jsonl", "out.cmeta"]


def test_a_missing_source(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.csv"):
        import_run(tmp_path / "nothing.csv", tmp_path / "out.cmeta")


@pytest.mark.parametrize("name", ["log.jsonl", "log.csv"])
def test_progress_only_grows_and_ends_at_the_size(text, tmp_path, name):
    rows = [str(i) if name.endswith("csv") else json.dumps({"x": i}) for i in range(20000)]
    source = text(name, *(["x"] if name.endswith("csv") else []), *rows)
    seen = []
    import_run(source, tmp_path / "out.cmeta", progress=lambda *found: seen.append(found))
    size = source.stat().st_size
    assert len(seen) > 2
    assert {total for _, total in seen} == {size}
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (size, size)


def test_the_report(text, tmp_path):
    source = text("log.jsonl", '{"loss": 1, "note": "x", "lr": 2}')
    report = import_run(source, tmp_path / "out.cmeta")
    assert report.fields == ("timestamp", "phase", "loss_value", "metrics.lr")
    assert json.loads(json.dumps(report.as_json())) == {
        "source": str(source), "out": str(tmp_path / "out.cmeta"), "format": "jsonl",
        "num_records": 1, "fields": list(report.fields), "lost": [], "notes": list(report.notes), "damage": [],
    }  # fmt: skip
    assert report.notes == ("note: text of 1 record is not kept, such as 'x' (line 1)",)
    assert str(report).splitlines()[0].endswith("1 record of 4 fields imported from jsonl, to "
                                                f"{tmp_path / 'out.cmeta'}")  # fmt: skip


@pytest.mark.parametrize("options", [{}, {"exact": True}, {"quanta_per_unit": 10}, {"type": "f64"}])
def test_stored_is_as_the_format_promises(options):
    field = cmeta.default_schema().with_options("loss_value", **options)["loss_value"]
    given = np.array([0.1, -4e-7, 15.9999995, 16.000001, 1e30, 1e39, np.nan, -np.inf, -0.0, 5e-324])
    found = as_stored_float64(given, field).tolist()
    assert all(map(identical, found, [expected(value, field) for value in given.tolist()]))


@pytest.mark.parametrize(
    ("values", "type_"),
    [
        ([0.5, np.nan, np.inf], None), ([0.1], "f64"), ([float(np.float32(0.1))], None),
        ([float(np.float32(1e-7))], "f32"), ([-0.0], "f32"), ([1e300], "f64"), ([], None),
    ],
)  # fmt: skip
def test_a_field_is_made_exact_only_if_it_must(values, type_):
    schema = cmeta.default_schema()
    column = wide_column(np.array(values, float), schema["loss_value"])
    found = make_exact({schema["loss_value"]: column}, schema, is_stated=False)
    assert not found.lost
    if type_ is None:
        assert found.schema == schema
    else:
        field = found.schema["loss_value"]
        assert (field.type, field.exact) == (type_, True)


def test_absent_values_do_not_count(text, tmp_path):
    source = text("log.jsonl", '{"tensor_signature": [0.1, 0, 0]}', '{"tensor_signature": null}')
    out = tmp_path / "out.cmeta"
    import_run(source, out)
    with cmeta.open(out) as run:
        assert run.schema["tensor_signature"].type_name == "f64[3]"
        assert run.read()["tensor_signature"][0].tolist() == [0.1, 0, 0]
        assert run.read().present["tensor_signature"].tolist() == [True, False]
