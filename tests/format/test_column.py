"""Whole columns down to the byte, worked out by hand.

A column is flags, the class column if flagged, the palette's count, then run headers, k bytes,
remainders and quotients. `test_plan` prices the same runs.
"""

import numpy as np
import pytest

NAN, INF = float("nan"), float("inf")
LOW, HIGH = -(2**63), 2**63 - 1
WEYL = 0x9E3779B97F4A7C15
THIRD = float(np.float32(1 / 3))

U64, I64, BOOL = {"type": "u64"}, {"type": "i64"}, {"type": "bool"}
F32 = {"type": "f32"}

COLUMNS = {
    # F0 sparse with count 0; zigzag(250000) = 0x07A120 takes four bytes
    "a constant": (F32, [0.25] * 5, "00" "1c00" "20a10700"),
    "a constant of zeros": (U64, [0] * 5, "00" "0400"),
    # F2 sparse, step 1
    "a counter": (U64, [0, 1, 2], "00" "0602" "02"),
    "timestamps": ("timestamp", [0, 1, 2], "00" "0602" "02"),
    # F0 dense, base 10, divisor 3: K = 0, 1, 2, 4; k = 0; 1 01 001 00001
    "dense": (U64, [10, 13, 16, 22], "00" "4800" "14" "02" "01" "2504"),
    # F0 sparse, divisor 5, count 1; gap 20: k = 4, remainder 4, quotient 1; value less one 0
    "sparse": (U64, [0] * 20 + [5] + [0] * 19, "00" "4410" "04" "01" "0500" "04" "02"),
    # -1 and 0 as signed integers: F2 sparse, base -1, step 1
    "the largest u64": (U64, [2**64 - 1, 0], "00" "0e02" "01" "02"),
    # divisor 2^64 - 1: K = 0, 1; F2 sparse, step 1
    "the extremes": (
        I64, [LOW, HIGH], "00" "2603" "ffffffffffffffff" "feffffffffffffff" "02",
    ),
    # F0 dense, K = 1, 0, 1: 01 1 01
    "truths": (BOOL, [True, False, True], "00" "0000" "01" "16"),
    # F0 dense, K = 1, 0, 0, 2: 01 1 1 001
    "codes": ("metrics.state", [1, 0, 0, 2], "00" "0000" "01" "4e"),
    # mode 2: 50, 25, 50; F1 dense, base 50, divisor 25: 0, 1, 0; 1 01 1
    "decimals": ("undeclared", [0.5, 0.25, 0.5], "10" "4900" "64" "18" "01" "0d"),
    # mode 16: bits 0x3EAAAAAB, F0 sparse; zigzag 0x7D555556
    "float32 bits": ({"exact": True, "type": "f32"}, [THIRD], "80" "1c00" "5655557d"),
    # mode 17: bits 0x3FD5555555555555, zigzag twice that
    "float64 bits": ("undeclared", [1 / 3], "88" "2400" "aaaaaaaaaaaaaa7f"),
    # mode 16, -1
    "negative zero": ("undeclared", [-0.0], "80" "0c00" "01"),
    # classes 0, 1, 0, 0: F0 dense, 1 01 1 1; then three times 1000000
    "a NaN": (F32, [1.0, NAN, 1.0, 1.0], "01" "00" "0000" "01" "1d" "1c00" "80841e00"),
    # classes 3, 2, 1: F2 sparse, base 3, step -1; no values
    "nothing finite": (F32, [-INF, INF, NAN], "01" "00" "0e02" "06" "01"),
}  # fmt: skip


@pytest.mark.parametrize(("what", "values", "data"), COLUMNS.values(), ids=COLUMNS)
def test_columns(build, parse, what, values, data):
    assert build(what, values) == data
    finite, classes, len_used = parse(what, data, len(values))
    kept = [v for v in values if np.isfinite(v)]
    assert list(map(repr, finite)) == list(map(repr, kept))  # -0.0 is not 0.0
    assert (classes is None) == (len(kept) == len(values))
    assert len_used == len(data) // 2


def test_an_absent_value(build, parse):
    """Classes 0, 4: F2 sparse, divisor 4, step 1; then the 7."""
    data = "0100460203020c000e"
    assert build({"type": "u8"}, [7, 99], present=[True, False]) == data
    assert parse({"type": "u8"}, data, 2) == ([7], [0, 4], len(data) // 2)


def test_absent_comes_before_nan_and_leaves_no_trace(build):
    some = build(F32, [1.0, 5.0], present=[True, False])
    assert build(F32, [1.0, NAN], present=[True, False]) == some
    assert build(F32, [1.0, 5.0], present=[True, True]) == build(F32, [1.0, 5.0])


def test_all_absent_may_be_read(parse):
    """A writer leaves such a column out; classes 4, 4: F0 sparse."""
    assert parse(F32, "01000c0008", 2) == ([], [4, 4], 5)


def test_a_split_column(build, parse):
    """Phase 0 has 1000 throughout, phase 1 has 7: two constant runs."""
    phases, data = [0, 1] * 4, "041400d0070c000e"
    assert build(U64, [1000, 7] * 4, phases=phases) == data
    assert parse(U64, data, 8, phases=phases)[0] == [1000, 7] * 4


def test_runs_stand_by_ascending_phase(build, parse):
    phases, data = [5, 2] * 4, "040c000e1400d007"
    assert build(U64, [1000, 7] * 4, phases=phases) == data
    assert parse(U64, data, 8, phases=phases)[0] == [1000, 7] * 4


def test_only_phases_with_values_have_a_run(build, parse):
    """The values of phase 1 are all absent: one run is left, and nothing to split."""
    phases, present = [0, 1] * 4, [True, False] * 4
    data = build(U64, [1000, 7] * 4, phases=phases, present=present)
    assert data.endswith("1400d007")
    assert parse(U64, data, 8, phases=phases)[0] == [1000] * 4


def test_a_palette(build, parse):
    """Three entries, then twelve ranks 0, 1, 2.

    Entries, k = 20: remainders 0, 1000003, 2500000 - 2^21; quotients 0, 0, 2. Ranks, k = 0.
    """
    data = "02030000000000150100003024f4a02506b32ccb12"
    assert build(U64, [0, 1_000_003, 2_500_000] * 4) == data
    assert parse(U64, data, 12)[0] == [0, 1_000_003, 2_500_000] * 4


def test_a_constant_column_of_65536_values_takes_7_bytes(build, parse):
    data = build(F32, np.full(65536, 0.25))
    assert data == "001c0020a10700"
    assert parse(F32, data, 65536)[0] == [0.25] * 65536


def test_a_seed_for_each_cycle_costs_nothing(build, parse):
    """A Weyl sequence: F2 sparse, base 42, step WEYL - 2^64, zigzag 0xC3910C8D016B07D5."""
    seeds = np.array([(42 + i * WEYL) % 2**64 for i in range(4096)], np.uint64)
    data = "000e0854d5076b018d0c91c3"
    assert build("seed_state", seeds) == data
    assert parse("seed_state", data, 4096)[0] == seeds.tolist()
