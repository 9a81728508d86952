"""Equal records have equal bytes, however they come; and a file that is read and written is itself."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import cmeta
from cmeta.testing.runs import files
from cmeta.testing.values import plain_values, to_bytes, to_records
from tests.properties.runs import more, runs


def cuts(data, num_records):
    """Draw where to cut a run into chunks; some may be empty."""
    inner = data.draw(st.lists(st.integers(0, num_records), max_size=4).map(sorted), "cuts")
    bounds = [0, *inner, num_records]
    return list(zip(bounds[:-1], bounds[1:], strict=True))


def shuffled(data, mapping):
    return {key: mapping[key] for key in data.draw(st.permutations(list(mapping)))}


@more(2)
@given(runs(), st.data())
def test_chunks_and_the_order_of_columns_do_not_matter(run, data):
    whole = to_bytes(run.columns, run.schema)
    chunks = [
        shuffled(data, {path: column[low:high] for path, column in run.columns.items()})
        for low, high in cuts(data, len(run.columns["phase"]))
    ]
    assert to_bytes(chunks, run.schema) == whole


@given(runs(min_records=1), st.data())
def test_records_and_columns_have_the_same_bytes(run, data):
    whole = to_bytes(run.columns, run.schema)
    records = to_records(run.columns, run.schema)
    chunks = [records[low:high] for low, high in cuts(data, len(records)) if high > low]
    assert to_bytes(chunks, run.schema) == whole
    chunks[0] = {path: column[: len(chunks[0])] for path, column in run.columns.items()}
    assert to_bytes(chunks, run.schema) == whole


@given(runs())
def test_a_mask_may_stand_beside_the_columns(run):
    columns, present = {}, {}
    for path, column in run.columns.items():
        columns[path] = column
        if isinstance(column, np.ma.MaskedArray):
            absent = np.ma.getmaskarray(column)
            present[path] = ~(absent.all(axis=1) if absent.ndim == 2 else absent)
            columns[path] = np.asarray(column.data)
    expected = to_bytes(run.columns, run.schema)
    assert to_bytes(columns, run.schema, present=present) == expected


@given(runs(), st.data())
def test_what_stands_in_an_absent_cell_does_not_matter(run, data):
    """Nor does whether a column is an array or a list, or its enumeration names or codes."""
    columns = {}
    for path, column in run.columns.items():
        values = plain_values(column)
        labels = run.schema.field(path).labels
        if labels and data.draw(st.booleans()):
            values = [labels[v] if isinstance(v, int) else v for v in values]
        elif labels:
            values = [labels.index(v) if isinstance(v, str) else v for v in values]
        columns[path] = values
    assert to_bytes(columns, run.schema) == to_bytes(run.columns, run.schema)


@given(runs(), st.data())
def test_configurations_may_be_listed_in_any_order(run, data):
    config = run.schema.config_field
    if config is None or config.path not in run.columns:
        return
    values = plain_values(run.columns[config.path])
    table = data.draw(st.permutations([v for v in values if v is not None]))
    table = [*table, *table[:2], {"never": "used"}]
    places = [None if v is None else next(i for i, t in enumerate(table) if t is v) for v in values]
    columns = run.columns | {config.path: places}
    assert to_bytes(columns, run.schema, table) == to_bytes(run.columns, run.schema)


@more(2)
@given(files())
def test_a_file_that_is_read_and_written_is_itself(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("again") / "run.cmeta"
    cmeta.write(path, cmeta.open(data).read())
    assert path.read_bytes() == data
    read = cmeta.open(data).read(codes=True, threads=2)
    assert to_bytes(read, read.schema) == data


@given(files())
def test_a_file_whose_records_are_written_is_itself(data):
    reader = cmeta.open(data)
    assert to_bytes([[record] for record in reader], reader.schema) == data


@given(files(max_records=20))
def test_a_file_that_is_read_in_parts_and_written_is_itself(data):
    reader = cmeta.open(data)
    stamps = sorted(set(reader.read(["timestamp"])["timestamp"].tolist()))
    chunks = [reader.read(start=stamp, end=stamp) for stamp in stamps]
    assert to_bytes(chunks, reader.schema, reader.configs or None) == data


_WRITE = """
import hashlib, cmeta
from cmeta.testing.values import to_bytes
n = 40
columns = {"phase": ["train"] * n, "loss_value": [1 / (i + 1) for i in range(n)]}
columns |= {f"metrics.{name}": [i * 0.1 for i in range(n)] for name in "zebra ant mouse bee".split()}
columns["config"] = [{"lr": 0.1, "b": {"y": 1, "x": 2}}] * 30 + [{"lr": 0.01}] * 10
data = to_bytes(columns, cmeta.default_schema().with_batch_records(16).with_metrics("b", "a"))
print(hashlib.sha256(data).hexdigest())
"""


def test_the_order_of_hashes_does_not_matter():
    digests = set()
    for seed in ("1", "2"):
        env = os.environ | {
            "PYTHONHASHSEED": seed,
            "PYTHONPATH": str(Path(cmeta.__file__).parents[1]),
        }
        done = subprocess.run(
            [sys.executable, "-c", _WRITE], env=env, capture_output=True, text=True, check=True
        )
        digests.add(done.stdout)
    assert len(digests) == 1
