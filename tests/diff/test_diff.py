"""`diff`: equal files, the first and the worst difference, ranges, batch sizes, damage."""

import json
import os

import numpy as np
import pytest

import cmeta
from cmeta.tools.diff.aligned_reader import AlignedReader
from cmeta.tools.diff.diff import diff


def changed(name, row, value):
    """Return a change of one value."""

    def change(columns):
        columns[name][row] = value

    return change


def test_identical_bytes_are_found_without_decoding(chronicle, monkeypatch):
    a, b = chronicle(), chronicle()
    monkeypatch.setattr(AlignedReader, "column", lambda *args: pytest.fail("decoded"))
    found = diff(a, b)
    assert (found.verdict, found.same, found.identical) == ("identical", True, True)
    assert found.num_records == (200, 200)
    assert str(found).splitlines()[-1] == "identical: every byte is the same"


@pytest.mark.parametrize("batch_records", [17, 64, 4096])
def test_records_are_equal_in_batches_of_any_size(chronicle, schema, batch_records):
    found = diff(chronicle(), chronicle(schema=schema.with_batch_records(batch_records)))
    assert (found.verdict, found.same) == ("equal", True)
    assert found.first is None and found.fields == {}
    assert [(s.where, s.a, s.b) for s in found.schema] == [("batch_records", 16, batch_records)]


@pytest.mark.parametrize("batch_records", [16, 23, 4096])
@pytest.mark.parametrize("row", [0, 15, 16, 123, 199])
def test_the_first_difference(chronicle, schema, batch_records, row):
    other = schema.with_batch_records(batch_records)
    found = diff(chronicle(), chronicle(changed("loss_value", row, 9.0), other))
    first = found.first
    assert (found.verdict, found.num_differing) == ("differs", 1)
    assert (first.ordinal, first.timestamp, first.field) == (row, 100 + row, "loss_value")
    assert first.phase == ("validate" if row % 10 == 9 else "train")
    assert (first.a, first.b) == ((row % 37) / 8, 9.0)
    assert first.quanta == round((9.0 - (row % 37) / 8) * 1e6)


def test_each_field_has_its_count_its_first_and_its_worst(chronicle):
    def change(columns):
        columns["loss_value"][50:60] += 1e-6
        columns["loss_value"][55] += 4e-6
        columns["metrics.entropy"][52] += 0.5
        columns["seed_state"][198] = 7

    found = diff(chronicle(), chronicle(change))
    assert {path: one.num_records for path, one in found.fields.items()} == {
        "loss_value": 10, "metrics.entropy": 1, "seed_state": 1,
    }  # fmt: skip
    assert found.num_differing == 11  # records, not values
    assert (found.first.field, found.first.ordinal, found.first.quanta) == ("loss_value", 50, 1)
    loss = found.fields["loss_value"]
    assert (loss.worst.ordinal, loss.worst.quanta) == (55, 5)
    assert found.worst is found.fields["metrics.entropy"].worst
    assert found.worst.quanta == 500_000
    assert found.fields["seed_state"].worst is None


def test_the_worst_of_a_later_batch_counts(chronicle):
    def change(columns):
        columns["loss_value"][3] += 2e-6
        columns["loss_value"][180] += 3e-6

    found = diff(chronicle(), chronicle(change))
    assert (found.first.ordinal, found.worst.ordinal, found.worst.quanta) == (3, 180, 3)


def test_nan_equals_nan_but_no_number(chronicle):
    def nan(columns):
        columns["loss_value"][5] = np.nan
        columns["loss_value"][6] = np.inf
        columns["tensor_signature"][7, 1] = np.nan

    assert diff(chronicle(nan), chronicle(nan, cmeta.default_schema())).same
    found = diff(chronicle(), chronicle(nan))
    assert {path: one.num_records for path, one in found.fields.items()} == {
        "loss_value": 2, "tensor_signature": 1,
    }  # fmt: skip
    assert found.first.quanta is None and np.isnan(found.first.b)
    assert found.worst is None


def test_an_absent_value_is_not_zero(chronicle):
    def change(columns):
        columns["metrics.entropy"] = np.ma.MaskedArray(columns["metrics.entropy"].data, False)
        columns["metrics.entropy"][::3] = 0
        columns["metrics.entropy"][1::3] = np.ma.masked

    found = diff(chronicle(), chronicle(change))
    entropy = found.fields["metrics.entropy"]
    assert entropy.num_records == 67 + 67
    assert (entropy.first.a, entropy.first.b, entropy.first.quanta) == (None, 0.0, None)


def test_one_goes_on_where_the_other_ends(chronicle, schema):
    def begin(columns):
        return {name: values[:150] for name, values in columns.items()}

    a, b = chronicle(begin), chronicle(schema=schema.with_batch_records(40))
    found = diff(a, b)
    assert (found.verdict, found.num_records, found.num_differing) == ("differs", (150, 200), 0)
    assert found.num_behind == (0, 50)
    assert "the first 150 records are equal; b goes on for 50 more" in str(found)
    assert "a goes on for 50 more" in str(diff(b, a))


def test_two_without_records(chronicle, schema):
    a = chronicle(lambda columns: {"phase": []})
    b = chronicle(lambda columns: {"phase": []}, schema.with_batch_records(32))
    assert diff(a, b).verdict == "equal"
    assert diff(a, chronicle()).num_behind == (0, 200)


def test_fields_that_only_one_has(chronicle):
    def more(columns):
        columns["metrics.extra"] = np.ma.MaskedArray(np.ones(200), np.arange(200) < 190)
        del columns["metrics.entropy"]
        columns["loss_value"][120] = 9

    found = diff(chronicle(), chronicle(more))
    assert found.only_in == ({"metrics.entropy": 133}, {"metrics.extra": 10})
    assert list(found.fields) == ["loss_value"]
    assert found.first.ordinal == 120  # and not 1, at which b lacks an entropy
    assert not found.same
    only = diff(chronicle(), chronicle(more), fields=["metrics.extra"])
    assert (only.first.field, only.first.ordinal, only.num_differing) == ("metrics.extra", 190, 10)


def test_configurations_are_compared_by_content(chronicle):
    configs = [{"lr": 0.1, "net": {"width": 8}}, {"lr": 0.2, "net": {"width": 8}}]

    def two(numbers):
        def change(columns):
            columns["config"][:] = numbers

        return change

    place = np.arange(200)
    a = chronicle(two(np.where(place < 100, 0, 1)), configs=configs)
    b = chronicle(two(np.where(place < 100, 1, 0)), configs=configs[::-1])
    assert diff(a, b).same
    c = chronicle(two(np.where(place < 77, 0, 1)), configs=configs)
    found = diff(a, c)
    assert found.fields["config"].num_records == 23
    assert [(d.ordinal, d.key, d.a, d.b) for d in found.configs] == [(77, "lr", 0.1, 0.2)]


def test_a_value_that_differs_comes_before_a_configuration(chronicle):
    a = chronicle()
    b = chronicle(changed("loss_value", 40, 9), configs=({"lr": 0.2, "depth": 3},))
    found = diff(a, b)
    assert (found.first.field, found.first.ordinal) == ("loss_value", 40)
    assert {d.key: (d.a, d.b) for d in found.configs} == {
        "lr": (0.1, 0.2), "net.width": (8, None), "depth": (None, 3),
    }  # fmt: skip
    only = diff(a, chronicle(configs=({"lr": 0.2},)))
    assert only.first.field == "config"


def test_lossless_values_differ_by_floats(chronicle):
    def change(columns):
        columns["metrics.top5"][8] = np.nextafter(columns["metrics.top5"][8], 9)
        columns["metrics.top5"][20] *= -1

    found = diff(chronicle(), chronicle(change))
    top = found.fields["metrics.top5"]
    assert (top.num_records, top.first.quanta) == (2, 1)
    assert top.worst.quanta > 2**63  # from negative to positive: more than an int64 holds


def test_undeclared_metrics_are_paired_by_name(chronicle):
    def another(columns):
        columns["metrics.before"] = np.arange(200) / 9

    a, b = chronicle(), chronicle(another)
    with cmeta.open(a) as one, cmeta.open(b) as other:
        assert one.names == ("top5",) and other.names == ("before", "top5")
    found = diff(a, b)
    assert (found.fields, found.only_in) == ({}, ({}, {"metrics.before": 200}))
    assert diff(a, b, fields=["metrics.top5"]).verdict == "equal"


def test_only_some_fields_or_a_range(chronicle):
    def change(columns):
        columns["loss_value"][30] = 9
        columns["metrics.entropy"][100] = 9

    a, b = chronicle(), chronicle(change)
    assert diff(a, b, fields=["metrics.entropy"]).first.ordinal == 100
    assert diff(a, b, fields=["seed_state"]).same
    assert diff(a, b, start=131, end=199).same
    found = diff(a, b, start=131, end=200)
    assert (found.num_records, found.first.ordinal) == ((70, 70), 100)
    with pytest.raises(KeyError, match="no field 'los'"):
        diff(a, b, fields=["los"])


def test_the_loss_by_the_word_that_log_takes(chronicle):
    a, b = chronicle(), chronicle(changed("loss_value", 123, 9))
    found = diff(a, b, fields=["loss"])
    assert (list(found.fields), found.num_differing) == (["loss_value"], 1)
    assert diff(a, b, fields=["phase"]).same


def test_a_range_pairs_records_in_order(chronicle):
    def later(columns):
        return {name: values[60:] for name, values in columns.items()}

    a, b = chronicle(), chronicle(later)
    assert not diff(a, b).same
    assert diff(a, b, start=160).same
    assert diff(a, b, start=165, end=180).num_records == (16, 16)
    assert diff(a, b, start=1000).num_records == (0, 0)


def test_a_range_of_equal_timestamps(tmp_path):
    path = tmp_path / "run.cmeta"
    stamps = np.repeat(np.arange(20), 5)
    schema = cmeta.default_schema().with_batch_records(16)
    cmeta.write(path, {"timestamp": stamps, "phase": ["train"] * 100}, schema)
    for start, end in [(0, 0), (3, 3), (3, 7), (19, 19), (0, 19), (None, 2), (18, None)]:
        with cmeta.open(path) as run:
            expected = len(run.query_range(start, end))
        assert diff(path, path, start=start, end=end).num_records == (expected, expected)


def test_of_two_precisions_the_coarser_one_decides(chronicle, schema):
    exact = schema.with_options("loss_value", exact=True)

    def thirds(columns):
        columns["loss_value"] = np.float32(np.arange(200) / 3)

    found = diff(chronicle(thirds), chronicle(thirds, exact))
    assert (found.verdict, found.num_differing) == ("equal", 0)
    assert [s.where for s in found.schema] == ["loss_value.quanta_per_unit"]


def test_another_unit_is_another_record(chronicle, schema):
    other = schema.with_options("loss_value", unit="bits")
    found = diff(chronicle(), chronicle(schema=other))
    assert (found.verdict, found.num_differing, found.other_units) == (
        "differs",
        0,
        ("loss_value",),
    )
    assert "loss_value is in another unit" in str(found)
    assert diff(chronicle(), chronicle(schema=other), fields=["seed_state"]).same


def test_phases_are_compared_by_name(chronicle, schema):
    found = diff(chronicle(), chronicle(schema=schema.with_phases("calibrate")))
    assert found.same
    assert [s.where for s in found.schema] == ["phase.labels"]


def test_batches_of_equal_bytes_are_not_decoded(chronicle, monkeypatch):
    windows = []
    column = AlignedReader.column

    def noting(self, path, begin, end):
        windows.append(begin // 16)
        return column(self, path, begin, end)

    monkeypatch.setattr(AlignedReader, "column", noting)
    a, b = chronicle(), chronicle(changed("loss_value", 123, 9))
    assert diff(a, b).first.ordinal == 123
    assert set(windows) == {123 // 16}


def test_damage_is_raised_and_names_the_file(chronicle):
    a, b = chronicle(), chronicle(changed("loss_value", 123, 9))
    with cmeta.open(b) as run:
        info = run.batches[7]
    data = bytearray(b.read_bytes())
    data[info.offset + info.len_block // 2] ^= 1
    b.write_bytes(data)
    with pytest.raises(cmeta.ChecksumError, match=f"in {b}"):
        diff(a, b)
    b.write_bytes(data[: info.offset])
    with pytest.raises(cmeta.DecodeError, match=f"in {b}"):
        diff(a, b)
    b.write_bytes(b"no chronicle at all")
    with pytest.raises(cmeta.DecodeError, match=f"{b}: offset 0"):
        diff(a, b)


def test_damage_in_a_batch_whose_copy_is_damaged_alike(chronicle):
    """Equal bytes are checked, too: they must not be taken for equal records unseen."""
    a, b = chronicle(), chronicle(changed("loss_value", 199, 9))
    for path in (a, b):
        with cmeta.open(path) as run:
            info = run.batches[2]
        data = bytearray(path.read_bytes())
        data[info.offset + info.len_block // 2] ^= 1
        path.write_bytes(data)
    with pytest.raises(cmeta.ChecksumError):
        diff(a, b)


def test_progress_and_json(chronicle):
    seen = []
    a, b = chronicle(), chronicle(changed("tensor_signature", 3, 1.0), configs=({"lr": 1},))
    found = diff(a, b, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (200, 200) and seen == sorted(seen)
    text = json.loads(json.dumps(found.as_json()))
    assert (text["a"], text["b"], text["verdict"]) == (os.fspath(a), os.fspath(b), "differs")
    assert text["first"]["b"] == [1.0, 1.0, 1.0]
    assert text["only_in"] == {"a": {}, "b": {}}
    assert text["configs"][0]["key"] == "lr"
    assert text["num_compared"] == 200


def test_the_text_is_aligned_and_bounded(chronicle):
    configs = ({f"key{i}": i for i in range(300)},)
    found = diff(chronicle(), chronicle(changed("loss_value", 3, 2.0), configs=configs))
    lines = str(found).splitlines()
    assert "first difference: record 3, train, at 103" in lines
    assert "  loss_value  a 0.375  b 2.0  1,625,000 quanta apart" in lines
    assert len(found.configs) == 50 and found.num_config_keys == 302
    assert "  and 252 more keys" in lines
    assert len(lines) < 75
