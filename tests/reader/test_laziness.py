"""Only what is needed is read and decoded, however long the file."""

import numpy as np
import pytest

import cmeta
from cmeta.format.grammar import grammar_of
from cmeta.schema.load import shipped_format

SCHEMA = cmeta.default_schema().with_batch_records(1024)
LEN_ENTRY = grammar_of(shipped_format()).index_entry.size


def columns(num_records):
    """Return columns of which a longer run begins as a shorter one."""
    i = np.arange(num_records)
    return {
        "phase": i % 3,
        "loss_value": (i * 7919 % 1000) / 1000,
        "coherence": (i * 104729 % 1000) / 1000,
        "tensor_signature": np.stack([i % 10, i % 7, i % 3], axis=1) / 10,
        "metrics.extra": i / 2,
        "config": i // 20_000,
    }


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return the paths of a run of 10 batches and of one of 40."""
    paths = []
    for num_batches in (10, 40):
        path = tmp_path_factory.mktemp("lazy") / f"{num_batches}.cmeta"
        parts = [{"part": part} for part in range(4)]
        cmeta.write(path, columns(num_batches * 1024), SCHEMA, config=parts)
        paths.append(path)
    return paths


@pytest.fixture
def long_run(runs):
    with cmeta.open(runs[1]) as run:
        yield run


def test_opening_reads_no_batch(long_run):
    assert len(long_run) == 40_960
    assert len(long_run.batches) == 40
    assert long_run.stats.num_batches == 0
    assert long_run.stats.num_columns == 0
    assert long_run.len_read < 2500 + (40 + 5) * LEN_ENTRY


def test_opening_reads_the_same_of_a_longer_file_but_for_its_index(runs):
    read, blocks = [], []
    for path in runs:
        with cmeta.open(path) as run:
            read.append(run.len_read)
            blocks.append(len(run.batches) + len(run.configs) + len(run.names))
    assert read[1] - read[0] == LEN_ENTRY * (blocks[1] - blocks[0])


@pytest.mark.parametrize(
    ("start", "end", "num_batches"),
    [(3072, 4071, 1), (3500, 4499, 2), (4095, 4096, 2), (5120, 6143, 1), (7000, 7000, 1)],
)
def test_a_range_reads_the_batches_that_it_touches(long_run, start, end, num_batches):
    found = long_run.read(["loss_value"], start, end)
    assert found.num_records == end - start + 1
    assert long_run.stats.num_batches == num_batches
    # Beside the column itself: the phases, by which it is split, and the timestamps to cut by.
    assert long_run.stats.num_columns <= 3 * num_batches


def test_a_whole_batch_needs_no_timestamps(long_run):
    long_run.read(["loss_value"], 5120, 6143)
    assert long_run.stats.num_columns == 2


def test_a_vector_is_a_column_for_each_component(long_run):
    long_run.read(["tensor_signature"], 5120, 6143)
    assert long_run.stats.num_columns == 1 + 3


def test_a_field_that_does_not_occur_decodes_nothing_of_its_own(long_run):
    long_run.read(["seed_state"], 5120, 6143)
    assert long_run.stats.num_columns <= 1


def test_a_query_reads_the_batches_that_it_touches(long_run):
    assert len(long_run.query_range(3500, 4499)) == 1000
    assert long_run.stats.num_batches == 2


def test_phases_that_a_batch_lacks_decode_no_values(tmp_path):
    path = tmp_path / "run.cmeta"
    phases = np.repeat([0, 1], [1024, 3072])
    cmeta.write(path, {"phase": phases, "loss_value": np.arange(4096) / 4}, SCHEMA)
    with cmeta.open(path) as run:
        found = run.read(["loss_value"], phase="dream")
        assert found.num_records == 1024
        assert run.stats.num_columns == 2 + 3


def test_nothing_in_the_range_reads_nothing(long_run):
    before = long_run.len_read
    assert long_run.read(["loss_value"], start=10**9).num_records == 0
    assert long_run.stats.num_batches == 0
    assert long_run.len_read == before


def test_iterating_holds_one_batch_at_a_time(long_run):
    iterator = iter(long_run)
    assert next(iterator).timestamp == 0
    assert long_run.stats.num_batches == 1
    for _ in range(1024):
        next(iterator)
    assert long_run.stats.num_batches == 2


@pytest.mark.parametrize("fields", [["loss_value"], ["loss_value", "metrics.extra"], None])
def test_what_a_range_reads_does_not_grow_with_the_file(runs, fields):
    """Both files begin with the same batches; only the configurations after them differ."""
    read = []
    for path in runs:
        with cmeta.open(path) as run:
            _ = run.configs, run.names
            before = run.len_read
            run.read(fields, 3500, 4499)
            read.append((run.len_read - before, run.stats.num_batches, run.stats.num_columns))
    assert read[0] == read[1]


def test_declared_fields_need_no_names(runs, damage):
    """A NAME block that is damaged, or far too many of them, do not matter to who asks for none."""
    data = runs[0].read_bytes()
    at = data.index(b"extra")
    with cmeta.open(damage(data, at)) as run:
        assert run.read(["loss_value"], 3500, 4499).num_records == 1000
        with pytest.raises(cmeta.ChecksumError):
            run.read(["metrics.extra"], 3500, 4499)


def test_declared_fields_need_no_configurations(runs, damage):
    data = runs[0].read_bytes()
    at = data.index(b'{"part":0}')
    with cmeta.open(damage(data, at)) as run:
        assert run.read(["loss_value"], 3500, 4499).num_records == 1000
        with pytest.raises(cmeta.ChecksumError):
            run.read(["config"], 3500, 4499)
