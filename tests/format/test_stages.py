"""The small stages, by hand: class, palette, split, delta, sparse, bit fields, float bits."""

import numpy as np
import pytest

from cmeta import CorruptError
from cmeta.format.stages import bits, classes, delta, palette, sparse, split
from cmeta.format.stages.bits import BitFields

NAN, INF = float("nan"), float("inf")
WEYL = 0x9E3779B97F4A7C15
LOW, HIGH = -(2**63), 2**63 - 1


def i64(*values):
    return np.array(values, np.int64)


def u64(*values):
    return np.array(values, np.uint64)


# ------------------------------------------------------------------------------------------ class


@pytest.mark.parametrize(
    ("values", "present", "found"),
    [
        (np.array([1.0, -0.0]), None, None),
        (np.array([1.0, 2.0]), [True, True], None),
        (np.zeros(0), None, None),
        (np.array([1.0, NAN, INF, -INF], np.float32), None, [0, 1, 2, 3]),
        (np.array([1.0, NAN, INF, -INF]), [True, True, False, True], [0, 1, 4, 3]),
        (np.array([1.0, 2.0]), [False, True], [4, 0]),
        (np.array([7, 8], np.uint64), [True, False], [0, 4]),
        (np.array([7, 8], np.uint64), None, None),
    ],
)
def test_classes(facts, values, present, found):
    mask = None if present is None else np.array(present)
    encoded = classes.encode(values, mask, facts.classes)
    assert (None if encoded is None else encoded.tolist()) == found


def test_classes_and_values_come_together_again(facts):
    codes = np.array([0, 1, 2, 3, 4, 0], np.uint8)
    values, present = classes.decode(codes, np.array([1.5, 2.5], np.float32), 9.0, facts.classes)
    np.testing.assert_array_equal(values, np.array([1.5, NAN, INF, -INF, 9.0, 2.5], np.float32))
    assert values.dtype == np.float32
    assert present.tolist() == [True, True, True, True, False, True]


def test_classes_of_integers(facts):
    values, present = classes.decode(
        np.array([4, 0], np.uint8), np.array([7], np.uint8), 0, facts.classes
    )
    assert (values.tolist(), present.tolist()) == ([0, 7], [False, True])


# ---------------------------------------------------------------------------------------- palette


@pytest.mark.parametrize(
    ("values", "entries"),
    [
        ([1, 2] * 3, None),  # 6 values, at least 8
        ([1, 2] * 3 + [1], None),  # 7
        ([1, 2] * 4, [1, 2]),
        ([2, 1, 3, 1, 2, 3, 1, 2], None),  # 3 of 8, at most 2
        ([7] * 8, None),  # one value needs no palette
        ([3, LOW, HIGH] * 4, [LOW, 3, HIGH]),
        ([1, 2, 3] * 3 + [1, 2], None),  # 3 of 11
    ],
)
def test_when_there_may_be_a_palette(facts, values, entries):
    found = palette.entries_of(i64(*values), facts.palette)
    assert (None if found is None else found.tolist()) == entries


@pytest.mark.parametrize(("num_values", "most"), [(0, 0), (7, 0), (8, 2), (11, 2), (65536, 16384)])
def test_how_many_entries_a_palette_may_have(facts, num_values, most):
    assert palette.max_entries(num_values, facts.palette) == most


def test_values_are_ranks_of_entries():
    entries = i64(-5, 3, HIGH)
    assert palette.encode(i64(3, HIGH, -5, 3), entries).tolist() == [1, 2, 0, 1]
    assert palette.decode(i64(1, 2, 0, 1), entries).tolist() == [3, HIGH, -5, 3]


@pytest.mark.parametrize(
    ("ranks", "entries", "words"),
    [
        ([0], [3, 3], "the palette does not ascend strictly"),
        ([0], [3, 7, 5], "the palette does not ascend strictly"),
        ([0, 2], [3, 7], "a rank outside the palette of 2 entries"),
        ([-1, 0], [3, 7], "a rank outside the palette of 2 entries"),
    ],
)
def test_corrupt_palettes(ranks, entries, words):
    with pytest.raises(CorruptError, match=words):
        palette.decode(i64(*ranks), i64(*entries))


# ------------------------------------------------------------------------------------------ split


def test_values_are_reordered_by_phase_and_stay_in_order_within_it():
    order = split.order_of(np.uint8([2, 0, 2, 5, 0]))
    assert order.lengths == (2, 2, 1)
    runs = split.encode(i64(10, 11, 12, 13, 14), order)
    assert [run.tolist() for run in runs] == [[11, 14], [10, 12], [13]]
    assert split.decode(runs, order).tolist() == [10, 11, 12, 13, 14]


def test_one_phase_is_one_run_and_none_is_none():
    order = split.order_of(np.uint8([3, 3]))
    assert [run.tolist() for run in split.encode(i64(1, 2), order)] == [[1, 2]]
    nothing = split.order_of(np.zeros(0, np.uint8))
    assert nothing.lengths == ()
    assert split.encode(i64(), nothing) == []
    assert split.decode([], nothing).tolist() == []


# ------------------------------------------------------------------------------------------ delta

# 10, 13, 16, 22: minimum 10, divisor 3, K = 0, 1, 2, 4
FORMS = {
    "F0, K itself": ([10, 13, 16, 22], (0, 10, 3, 0, [0, 1, 2, 4])),
    "F1, around the median 13": ([10, 13, 16, 22], (1, 13, 3, 0, [1, 0, 2, 6])),
    "F2, differences 1 1 2 less 1": ([10, 13, 16, 22], (2, 10, 3, 1, [0, 0, 2])),
    "F3, second differences 0 1": ([10, 13, 16, 22], (3, 10, 3, 1, [0, 2])),
    "F2, downwards": ([5, 3, 1, -3], (2, 5, 2, -1, [0, 0, 1])),
    "F0, a constant": ([7, 7], (0, 7, 1, 0, [0, 0])),
    "F1, a single value": ([LOW], (1, LOW, 1, 0, [0])),
    "F0, 64 bits apart": ([LOW, HIGH], (0, LOW, 2**64 - 1, 0, [0, 1])),
    "F2, 64 bits apart": ([HIGH, LOW, HIGH], (2, HIGH, 2**64 - 1, -1, [0, 4])),
    "F1, far above the median": ([LOW, LOW, HIGH - 1], (1, LOW, 2**64 - 2, 0, [0, 0, 2])),
}  # fmt: skip


@pytest.mark.parametrize(("run", "expected"), FORMS.values(), ids=FORMS)
def test_forms(run, expected):
    found = delta.encode(i64(*run), expected[0])
    assert (*found[:4], found.residuals.tolist()) == expected
    assert delta.decode(found).tolist() == run


def test_weyl_seeds_leave_nothing():
    seeds = np.array([(42 + i * WEYL) % 2**64 for i in range(1000)], np.uint64).view(np.int64)
    for form in (2, 3):
        found = delta.encode(seeds, form)
        assert not found.residuals.any()
        assert found.step == WEYL - 2**64
        np.testing.assert_array_equal(delta.decode(found), seeds)


@pytest.mark.parametrize(
    ("form", "base", "divisor", "step", "residuals", "run"),
    [
        (0, HIGH, 1, 0, [1], [LOW]),
        (0, 0, 2**63, 0, [0, 1, 2, 3], [0, LOW, 0, LOW]),
        (1, 0, 3, 0, [1, 2], [-3, 3]),
        (2, 100, 5, -1, [0, 4], [100, 95, 100]),
        (3, 0, 1, 2, [0], [0, 2, 4]),
        (3, 0, 1, HIGH, [2], [0, HIGH, -1]),
    ],
)
def test_decoding_is_modulo_two_to_the_64(form, base, divisor, step, residuals, run):
    found = delta.decode(delta.Delta(form, base, divisor, step, u64(*residuals)))
    assert found.tolist() == run


@pytest.mark.parametrize(
    ("values", "middle"), [([5], 5), ([2, 1], 1), ([1, 3, 2], 2), ([4, 1, 3, 2], 2)]
)
def test_the_median_is_an_element(values, middle):
    assert delta.median(i64(*values)) == middle


@pytest.mark.parametrize(
    ("values", "divisor"),
    [([0, 0], 1), ([0, 6, 9], 3), ([4] * 32 + [2], 2), ([0] * 40 + [12], 12), ([3, 5], 1)],
)
def test_the_divisor_is_that_of_all_values(values, divisor):
    assert delta.greatest_divisor(u64(*values)) == divisor


# ----------------------------------------------------------------------------------------- sparse


@pytest.mark.parametrize(
    ("residuals", "gaps", "less_one"),
    [
        ([], [], []),
        ([0, 0], [], []),
        ([0, 0, 5, 1, 0], [2, 0], [4, 0]),
        ([2**64 - 1], [0], [2**64 - 2]),
    ],
)
def test_sparse(residuals, gaps, less_one):
    found = sparse.encode(u64(*residuals))
    assert (found[0].tolist(), found[1].tolist()) == (gaps, less_one)
    assert sparse.decode(*found, len(residuals)).tolist() == residuals


@pytest.mark.parametrize(
    ("gaps", "values", "words"),
    [
        ([5], [0], "a gap of 5 among 5 residuals"),
        ([2**64 - 1, 1], [0, 0], "a gap of 18446744073709551615 among 5"),
        ([2, 2], [0, 0], "residual 5 of 5"),
        ([0], [2**64 - 1], "a sparse residual beyond 64 bits"),
    ],
)
def test_corrupt_sparse_sequences(gaps, values, words):
    with pytest.raises(CorruptError, match=words):
        sparse.decode(u64(*gaps), u64(*values), 5)


# ----------------------------------------------------------------------------- bits and bit fields


def test_column_flags_are_one_byte(facts):
    flags = BitFields(facts.column_flags)
    assert flags.size == 1
    assert flags.pack({"split": 1, "mode": 17}) == 0b10001_1_0_0
    assert flags.unpack(0xFF) == {"has_classes": 1, "palette": 1, "split": 1, "mode": 31}


@pytest.mark.parametrize(
    ("value", "ordered32", "ordered64"),
    [
        (0.0, 0, 0),
        (-0.0, -1, -1),
        (1.0, 0x3F800000, 0x3FF0000000000000),
        (-1.0, -0x3F800000 - 1, -0x3FF0000000000000 - 1),
        (2.0**-149, 1, 0x36A0000000000000),
    ],
)
def test_float_bits_in_the_order_of_the_floats(value, ordered32, ordered64):
    for dtype, ordered in ((np.float32, ordered32), (np.float64, ordered64)):
        floats = np.array([value], dtype)
        assert bits.to_ordered(floats).tolist() == [ordered]
        back = bits.from_ordered(i64(ordered), np.dtype(dtype))
        assert back.dtype == dtype
        assert back.tobytes() == floats.tobytes()


def test_the_order_is_monotone_across_zero():
    floats = np.array([-3e38, -1.0, -1e-45, -0.0, 0.0, 1e-45, 1.0, 3e38], np.float32)
    assert (np.diff(bits.to_ordered(floats).astype(np.int64)) > 0).all()
