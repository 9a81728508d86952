"""The report of a recovery, as text and as JSON values."""

import json

from cmeta.tools.recover.recovery_report import Lost, RecoveryReport
from tests.hostile.reseal import BATCH, bounds_of
from tests.recover.test_damage import flip


def test_a_complete_recovery(salvage, original):
    report, _ = salvage(original[0])
    assert str(report) == f"{report.name}: 72 records salvaged, to {report.out}; nothing was lost"


def test_a_recovery_with_loss(salvage, original):
    data, _ = original
    start, end = [b for b in bounds_of(data) if data[b[0]] == BATCH][2]
    report, _ = salvage(flip(data, end - 9))
    first, lost, found = str(report).splitlines()
    assert first.endswith(f"; 16 records lost, {end - start} bytes damaged")
    assert lost == (
        f"  lost     offset {start}: {end - start} bytes, 16 records, timestamps 132 to 147: "
        "BATCH[2] is damaged"
    )
    assert found.startswith(f"  found    offset {start}, BATCH.masked_crc: ChecksumError: ")


def test_values_that_were_left_out(salvage, original):
    data, _ = original
    start, end = bounds_of(data)[2]
    report, _ = salvage(flip(data, end - 9))
    assert "  dropped  72 records without metric 0, whose name" in str(report)
    assert "0 records lost" in str(report)
    assert start < end


def test_as_json(salvage, original):
    report, _ = salvage(original[0][:2200])
    found = json.loads(json.dumps(report.as_json()))
    assert list(found) == [
        "file", "out", "verdict", "num_records", "num_batches", "num_from_journal", "num_lost",
        "len_file", "len_lost", "lost", "dropped", "findings",
    ]  # fmt: skip
    assert (found["verdict"], found["num_records"], found["num_lost"]) == ("with loss", 32, 40)
    assert found["lost"][0] == {
        "offset": 2154, "len_bytes": 46, "num_records": None, "first_timestamp": 131,
        "last_timestamp": None, "exact": False, "reason": report.lost[0].reason,
    }  # fmt: skip
    assert found["findings"][0]["kind"] == "TruncatedError"


def test_losses_as_text():
    inexact = Lost(5, 1000, None, None, None, False, "why")
    assert str(inexact) == (
        "offset 5: 1,000 bytes, some records, between the beginning and the end: why"
    )
    between = Lost(5, 10, None, 3, 2**64 - 1, False, "why")
    assert f"between timestamp 3 and timestamp {2**64 - 1}" in str(between)
    assert "2,000 records, timestamps 0 to 9" in str(Lost(0, 1, 2000, 0, 9, True, "why"))


def test_an_empty_report_is_no_success():
    report = RecoveryReport("x")
    assert (report.verdict, report.ok) == ("nothing", False)
    assert str(report) == "x: nothing could be salvaged"
