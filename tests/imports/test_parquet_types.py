"""Parquet and Arrow columns of every type: exact numbers, or named as lost; and damaged pages."""

import datetime
import decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import cmeta

FAR = [datetime.datetime(1, 1, 1), None, datetime.datetime(9999, 12, 31, 23, 59, 59)]
FAR_SECONDS = [-62135596800.0, None, 253402300799.0]
DAYS = [datetime.date(1, 1, 1), None, datetime.date(9999, 12, 31)]
DAYS_SECONDS = [-62135596800.0, None, 253402214400.0]
CLOCK = [datetime.time(1, 2, 3, 500_000), None, datetime.time(23, 59, 59)]
CLOCK_SECONDS = [3723.5, None, 86399.0]


def ticks(unit):
    return pa.array([90_061, None, -(2**62)], pa.int64()).cast(pa.duration(unit))


def decimals(kind, *texts):
    return pa.array([None if text is None else decimal.Decimal(text) for text in texts], kind)


EXACT = {
    "timestamp[s]": (pa.array(FAR, pa.timestamp("s")), FAR_SECONDS),
    "timestamp[ms]": (pa.array(FAR, pa.timestamp("ms")), FAR_SECONDS),
    "timestamp[us]": (pa.array(FAR, pa.timestamp("us")), FAR_SECONDS),
    "timestamp[us, UTC]": (pa.array(FAR, pa.timestamp("us", "UTC")), FAR_SECONDS),
    "timestamp[ns]": (pa.array([1_735_689_600_123_000_000, None, -5]).cast(pa.timestamp("ns")), [1735689600.123, None, -5e-9]),
    "beyond Python's years": (pa.array([2**40, None, -(2**40)]).cast(pa.timestamp("s")), [2.0**40, None, -(2.0**40)]),
    "date32": (pa.array(DAYS, pa.date32()), DAYS_SECONDS),
    "date64": (pa.array(DAYS, pa.date64()), DAYS_SECONDS),
    "time32": (pa.array(CLOCK, pa.time32("ms")), CLOCK_SECONDS),
    "time64[us]": (pa.array(CLOCK, pa.time64("us")), CLOCK_SECONDS),
    "time64[ns]": (pa.array(CLOCK, pa.time64("ns")), CLOCK_SECONDS),
    "duration[s]": (ticks("s"), [90061.0, None, -(2.0**62)]),
    "duration[ms]": (pa.array([90_061, None, -1]).cast(pa.duration("ms")), [90.061, None, -0.001]),
    "decimal128": (decimals(pa.decimal128(10, 2), "0.10", None, "-3.00"), [0.1, None, -3.0]),
    "decimal128 of integers": (decimals(pa.decimal128(38, 0), str(2**60 + 1), None, "1"), [2**60 + 1, None, 1]),
    "decimal256": (decimals(pa.decimal256(60, 5), "0.5", None, "12345.67891"), [0.5, None, 12345.67891]),
    "dictionary": (pa.array([1.5, None, 2.5]).dictionary_encode(), [1.5, None, 2.5]),
    "dictionary of times": (pa.array(FAR, pa.timestamp("us")).dictionary_encode(), FAR_SECONDS),
    "halffloat": (pa.array([np.float16(0.5), None, np.float16(1.5)], pa.float16()), [0.5, None, 1.5]),
    "boolean": (pa.array([True, None, False]), [1, None, 0]),
}  # fmt: skip


@pytest.mark.parametrize("name", EXACT)
def test_a_type_that_is_kept_exactly(imported, tmp_path, name):
    array, expected = EXACT[name]
    pq.write_table(pa.table({"x": array}), tmp_path / "log.parquet")
    found = imported(tmp_path / "log.parquet")
    assert found.values("metrics.x") == expected
    assert found.report.lost == ()


@pytest.mark.parametrize("name", EXACT)
def test_from_arrow_and_write_give_the_same_values(tmp_path, name):
    array, expected = EXACT[name]
    columns = cmeta.Columns.from_arrow(
        pa.table({"phase": ["train"] * 3, "metrics.x": array}),
        cmeta.default_schema().with_metrics(x={"type": "i64"}) if "integers" in name else cmeta.default_schema(),
    )  # fmt: skip
    cmeta.write(tmp_path / "run.cmeta", columns)
    with cmeta.open(tmp_path / "run.cmeta") as run:
        found = run.read()
    assert found.masked("metrics.x").tolist() == expected


ROUNDED = {
    "timestamp[ns]": pa.array([0, 1_735_689_600_123_456_789], pa.int64()).cast(pa.timestamp("ns")),
    "duration[ns]": pa.array([0, 2**62 + 1], pa.int64()).cast(pa.duration("ns")),
    "decimal128(30, 20)": decimals(pa.decimal128(30, 20), "0.5", "0.12345678901234567890"),
}


@pytest.mark.parametrize("name", ROUNDED)
def test_numbers_that_no_float64_is_are_said_to_be_rounded(imported, tmp_path, name):
    pq.write_table(pa.table({"x": ROUNDED[name]}), tmp_path / "log.parquet")
    found = imported(tmp_path / "log.parquet")
    (lost,) = found.report.lost
    assert lost.startswith(f"x: {name} of 1 record is rounded to float64, such as ")
    assert lost.endswith("(row 1)")
    table = pa.table({"phase": ["train"] * 2, "metrics.x": ROUNDED[name]})
    with pytest.raises(cmeta.EncodeError, match=r"metrics\.x: no float64 is the .* of record 1; "):
        cmeta.Columns.from_arrow(table, cmeta.default_schema())


OTHERS = {
    "list": pa.array([[FAR[0]], None], pa.list_(pa.timestamp("s"))),
    "list beyond Python's years": pa.array([[2**50]]).cast(pa.list_(pa.timestamp("s"))),
    "map": pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64())),
    "binary": pa.array([b"a", None]),
    "fixed_size_binary": pa.array([b"aa", None], pa.binary(2)),
    "large_binary": pa.array([b"a", None], pa.large_binary()),
    "large_string": pa.array(["a", None], pa.large_string()),
    "dictionary of texts": pa.array(["a", None]).dictionary_encode(),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_type_that_no_record_holds_is_named(imported, tmp_path, name):
    array = OTHERS[name]
    pq.write_table(pa.table({"x": array, "y": [0.5] * len(array)}), tmp_path / "log.parquet")
    found = imported(tmp_path / "log.parquet")
    assert found.values("metrics.y") == [0.5] * len(array)
    (note,) = found.report.notes
    assert note.startswith("x: ")
    assert "is not kept" in note
    assert found.report.ok
    table = pa.table({"phase": ["train"] * len(array), "metrics.x": array})
    with pytest.raises(cmeta.EncodeError, match=r"metrics\.x: found a column of .*, expected f64"):
        cmeta.Columns.from_arrow(table, cmeta.default_schema())


def test_types_that_parquet_does_not_have(imported):
    runs = pa.RunEndEncodedArray.from_arrays([1, 3], pa.array([1.5, None]))
    labels = pa.DictionaryArray.from_arrays(pa.array([0, 1, 0], pa.int8()), pa.array([0.5, None]))
    table = pa.table({"phase": ["train"] * 3, "metrics.r": runs, "metrics.d": labels})
    columns = cmeta.Columns.from_arrow(table, cmeta.default_schema())
    assert columns.masked("metrics.r").tolist() == [1.5, None, None]
    assert columns.masked("metrics.d").tolist() == [0.5, None, 0.5]
    table = table.append_column(
        "metrics.x", pa.array([(1, 2, 3)] * 3, pa.month_day_nano_interval())
    )
    with pytest.raises(cmeta.EncodeError, match="month_day_nano_interval"):
        cmeta.Columns.from_arrow(table, cmeta.default_schema())


def test_an_extension_is_what_it_stores(imported, tmp_path):
    class Celsius(pa.ExtensionType):
        def __init__(self):
            super().__init__(pa.float64(), "test.celsius")

        def __arrow_ext_serialize__(self):
            return b""

        @classmethod
        def __arrow_ext_deserialize__(cls, storage, serialized):
            return cls()

    array = pa.ExtensionArray.from_storage(Celsius(), pa.array([1.5, None]))
    columns = cmeta.Columns.from_arrow(
        pa.table({"phase": ["train"] * 2, "metrics.x": array}), cmeta.default_schema()
    )
    assert columns.masked("metrics.x").tolist() == [1.5, None]


def test_texts_that_are_not_text():
    bad = pa.array([b"\xff"]).view(pa.string())
    with pytest.raises(cmeta.EncodeError, match="not valid Arrow data"):
        cmeta.Columns.from_arrow(pa.table({"phase": bad}), cmeta.default_schema())


def test_a_damaged_page_is_refused_by_the_name_of_its_column(imported, tmp_path):
    source = tmp_path / "log.parquet"
    table = pa.table({"step": [1, 2, 3], "loss": [0.5, 0.25, 0.125]})
    pq.write_table(
        table, source, write_page_checksum=True, compression="none", use_dictionary=False,
        write_statistics=False,
    )  # fmt: skip
    data = bytearray(source.read_bytes())
    data[data.index(np.float64(0.125).tobytes())] ^= 1
    source.write_bytes(data)
    with pytest.raises(cmeta.EncodeError, match="damaged: column 'loss'"):
        imported(source)


def test_parquet_of_convert_has_checksums(imported, tmp_path, cm):
    cmeta.write(tmp_path / "run.cmeta", {"phase": ["train"] * 3, "loss": [0.5, 0.25, 0.125]})
    source = tmp_path / "run.parquet"
    cm("convert", tmp_path / "run.cmeta", source)
    with pq.ParquetFile(source) as file:
        place = [c.path_in_schema for c in map(file.metadata.row_group(0).column, range(3))]
        column = file.metadata.row_group(0).column(place.index("loss_value"))
        end = column.data_page_offset + column.total_compressed_size
    data = bytearray(source.read_bytes())
    end = min(end, len(data))
    data[column.data_page_offset + (end - column.data_page_offset) // 2] ^= 0xFF
    source.write_bytes(data)
    with pytest.raises(cmeta.EncodeError, match="damaged: column 'loss_value'"):
        imported(source)


@pytest.mark.parametrize("library", ["pyarrow", "pandas", "polars"])
def test_a_frame_with_dates_of_any_century(tmp_path, library):
    table = pa.table({"phase": ["train"] * 3, "metrics.t": pa.array(FAR, pa.timestamp("us"))})
    frame = {
        "pyarrow": lambda: table,
        "pandas": lambda: table.to_pandas(types_mapper=pd.ArrowDtype),
        "polars": lambda: pl.from_arrow(table),
    }[library]()
    cmeta.write(tmp_path / "run.cmeta", frame)
    with cmeta.open(tmp_path / "run.cmeta") as run:
        assert run.read().masked("metrics.t").tolist() == FAR_SECONDS
