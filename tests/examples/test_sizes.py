import json

import numpy as np
import pytest
import sizes

import cmeta


@pytest.fixture(scope="module")
def columns(run):
    with cmeta.open(run.path) as reader:
        return reader.read(codes=True)


def test_json_lines_hold_every_record_and_a_configuration_where_it_changes(run):
    lines = [json.loads(line) for line in sizes.json_lines(run.trained).splitlines()]
    assert [line["loss_value"] for line in lines] == [r.loss_value for r in run.trained]
    config = None
    for line, record in zip(lines, run.trained, strict=True):
        config = line.get("config", config)
        assert config == record.config
    assert sum("config" in line for line in lines) < 20


def test_arrow_table_holds_the_same_values_and_nulls(columns):
    table = sizes.arrow_table(columns)
    assert table.num_rows == columns.num_records
    losses = table["loss_value"].to_numpy()
    assert losses.dtype == np.float32
    assert losses.tolist() == columns["loss_value"].tolist()
    assert table["metrics.lr"].null_count == (~columns.present["metrics.lr"]).sum() > 0
    assert table["tensor_signature.2"].to_pylist() == columns["tensor_signature"][:, 2].tolist()


def test_best_encodings_are_no_larger_than_any_one_for_all(columns):
    table = sizes.arrow_table(columns)
    best = sizes.len_parquet(table, sizes.best_encodings(table))
    for encoding in (sizes.DICTIONARY, sizes.PLAIN):
        assert best < sizes.len_parquet(table, dict.fromkeys(table.column_names, encoding))


def test_sizes_name_every_format(run, columns):
    found = sizes.sizes(run.trained, columns)
    assert list(found) == sorted(found, key=lambda name: -found[name])
    assert found["Parquet, zstd, best encodings"] > run.path.stat().st_size
