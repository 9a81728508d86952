"""How a run ended is kept by everything that writes it again."""

import json

import pyarrow as pa
import pytest
from click.testing import CliRunner

import cmeta
from cmeta import EncodeError
from cmeta.cli.app import cli
from cmeta.records.columns import Columns
from cmeta.tools.imports.native import parse_preamble, preamble_of

SCHEMA = cmeta.default_schema().with_batch_records(16).with_metrics("accuracy")


@pytest.fixture
def run(tmp_path):
    path = tmp_path / "run.cmeta"
    with cmeta.Recorder(path, SCHEMA, seed=7, config={"lr": 0.1}) as rec:
        for i in range(40):
            rec.log("train", loss=1 / (i + 1), accuracy=0.5, step=i)
        rec.finish("pruned")
    return path


def status_of(path):
    with cmeta.open(path) as run:
        return run.status


def test_a_reader_is_written_as_it_was_read(run, tmp_path):
    copy = tmp_path / "copy.cmeta"
    with cmeta.open(run) as reader:
        assert cmeta.write(copy, reader) == 40
    assert copy.read_bytes() == run.read_bytes()
    with cmeta.open(run) as reader:
        cmeta.write(copy, reader, status="failed", schema=cmeta.default_schema())
    assert status_of(copy) == "failed"


def test_a_table_keeps_it(run, tmp_path):
    copy = tmp_path / "copy.cmeta"
    with cmeta.open(run) as reader:
        columns = reader.read()
        stream = pa.Table.from_batches(list(reader.arrow_batches()))
    for table in (columns.to_arrow(), stream):
        assert table.schema.metadata[b"cmeta.status"] == b"pruned"
        assert Columns.from_arrow(table).status == "pruned"
        cmeta.write(copy, table)
        assert copy.read_bytes() == run.read_bytes()
    wrong = columns.to_arrow()
    wrong = wrong.replace_schema_metadata({**wrong.schema.metadata, b"cmeta.status": b"lost"})
    with pytest.raises(EncodeError, match=r"cmeta.status in the table's metadata: .*found 'lost'"):
        Columns.from_arrow(wrong)


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
@pytest.mark.parametrize("status", [None, "finished", "failed", "interrupted", "pruned"])
def test_convert_and_import_keep_it(tmp_path, suffix, status):
    run, other, again = (tmp_path / name for name in ("a.cmeta", f"a.{suffix}", "b.cmeta"))
    cmeta.write(run, {"phase": ["train"] * 2, "loss": [1.0, 0.5]}, status=status)
    for arguments in (["convert", run, other], ["import", other, again]):
        result = CliRunner().invoke(cli, list(map(str, arguments)))
        assert result.exit_code == 0, result.output
    assert again.read_bytes() == run.read_bytes()


def test_cat_states_it_in_the_first_line(run):
    result = CliRunner().invoke(cli, ["cat", "--full", "--format", "jsonl", str(run)])
    preamble = json.loads(result.stdout.splitlines()[0])
    assert preamble["cmeta"]["status"] == "pruned"


@pytest.mark.parametrize("status", ["lost", 1, [], ""])
def test_a_first_line_with_another_word_is_refused(status):
    preamble = preamble_of(cmeta.default_schema(), [], None)
    assert "status" not in preamble["cmeta"]
    preamble["cmeta"]["status"] = status
    with pytest.raises(EncodeError, match=r"line 1, cmeta\.status: found .*expected one of: fini"):
        parse_preamble(preamble, "line 1")
