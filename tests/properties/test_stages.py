"""Each stage of a column undoes itself, on whatever it may be given."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cmeta.format.stages import bits, classes, delta, palette, rice, runs, sparse, split
from cmeta.schema.load import shipped_format
from cmeta.schema.types import Field
from cmeta.testing import values
from tests.properties.ints import i64s, phases_of, u64s
from tests.properties.runs import more

CODECS = shipped_format().codecs
BLOCK = CODECS.rice.block_residuals


def as_array(data):
    """Bytes as a column's stream: it may go on behind."""
    return np.frombuffer(data + b"\xa5" * 3, np.uint8)


@more(8)
@given(u64s(), st.data())
def test_fields_of_bits(found, data):
    widths = values.raw(data.draw, len(found), "u1").astype(np.uint64) % np.uint64(64)
    fields = found & bits.low_mask(widths)
    packed = bits.pack_fields(fields, widths)
    string = "".join(
        format(v, f"0{w}b")[::-1]
        for v, w in zip(fields.tolist(), widths.tolist(), strict=True)
        if w
    )
    assert len(packed) == -(-len(string) // 8)
    assert int.from_bytes(packed, "little") == int(string[::-1] or "0", 2)
    unpacked = bits.unpack_fields(np.frombuffer(packed, np.uint8), widths)
    assert unpacked.tolist() == fields.tolist()


@more(8)
@given(st.lists(st.integers(0, 300), max_size=100))
def test_unary_numbers(found):
    packed = bits.pack_unary(np.array(found, np.uint64))
    string = "".join("0" * value + "1" for value in found)
    assert int.from_bytes(packed, "little") == int(string[::-1] or "0", 2)
    unpacked, used = bits.unpack_unary(as_array(packed), len(found))
    assert unpacked.tolist() == found
    assert used == len(packed) == -(-len(string) // 8)


@more(4)
@given(i64s())
def test_zigzag_and_the_number_of_bits(found):
    folded = bits.zigzag(found)
    assert folded.tolist() == [2 * v if v >= 0 else -2 * v - 1 for v in found.tolist()]
    assert bits.unzigzag(folded).tolist() == found.tolist()
    assert bits.bit_length(folded).tolist() == [v.bit_length() for v in folded.tolist()]
    for value in found.tolist():
        assert runs.unzigzag(runs.zigzag(value)) == value


@more(8)
@given(st.lists(u64s(), max_size=4))
def test_rice(sequences):
    encoded = rice.encode(sequences, BLOCK)
    lengths = [len(s) for s in sequences]
    decoded, used = rice.decode(as_array(encoded), lengths, BLOCK)
    assert [s.tolist() for s in decoded] == [s.tolist() for s in sequences]
    assert used == len(encoded)


@more(4)
@given(u64s())
def test_the_parameter_of_a_block_is_that_of_its_exact_sum(residuals):
    sizes = rice.block_sizes([len(residuals)], BLOCK)
    found = rice.parameters(residuals, sizes).tolist()
    blocks = [residuals[i : i + BLOCK].tolist() for i in range(0, len(residuals), BLOCK)]
    wanted = [
        max(0, (sum(b) // len(b)).bit_length() - 1) + 1 if any(b) else 0 for b in blocks
    ]  # fmt: skip
    assert found == wanted


@more(4)
@given(u64s())
def test_sparse(residuals):
    gaps, less_one = sparse.encode(residuals)
    assert len(gaps) == len(less_one) == np.count_nonzero(residuals)
    assert sparse.decode(gaps, less_one, len(residuals)).tolist() == residuals.tolist()


@more(16)
@given(i64s(min_size=1), st.sampled_from(range(4)))
def test_delta_in_its_four_forms(run, form):
    heads = delta.NUM_HEADS[form]
    if len(run) <= heads:
        return
    encoded = delta.encode(run, form)
    assert len(encoded.residuals) == len(run) - heads
    assert delta.decode(encoded).tolist() == run.tolist()


@more(4)
@given(u64s(), st.sampled_from(range(4)), st.data())
def test_delta_makes_a_run_of_anything(residuals, form, data):
    """What a hostile file may state: modulo 2^64 it is a run, and no warning."""
    signed, unsigned = st.integers(-(2**63), 2**63 - 1), st.integers(1, 2**64 - 1)
    hostile = delta.Delta(
        form, data.draw(signed), data.draw(unsigned), data.draw(signed), residuals
    )
    assert len(delta.decode(hostile)) == len(residuals) + delta.NUM_HEADS[form]


@more(4)
@given(i64s(), st.integers(1, 80))
def test_palette(found, num_levels):
    levels = found % num_levels * (found[0] if len(found) else 1)
    entries = palette.entries_of(levels, CODECS.palette)
    distinct = sorted(set(levels.tolist()))
    allowed = len(levels) >= 8 and 1 < len(distinct) <= len(levels) // 4
    assert (entries is not None) == allowed
    if entries is not None:
        assert entries.tolist() == distinct
        assert palette.decode(palette.encode(levels, entries), entries).tolist() == levels.tolist()


@more(4)
@given(i64s(), st.data())
def test_split(found, data):
    phases = phases_of(data.draw, len(found))
    order = split.order_of(phases)
    runs = split.encode(found, order)
    codes = phases.tolist()
    wanted = [[v for v, p in zip(found.tolist(), codes, strict=True) if p == phase]
              for phase in sorted(set(codes))]  # fmt: skip
    assert [run.tolist() for run in runs] == wanted
    assert split.decode(runs, order).tolist() == found.tolist()


@more(4)
@given(st.integers(0, 60), st.data())
def test_classes(size, data):
    facts = CODECS.classes
    found = values.floats(data.draw, size, Field("x", "f64"))
    present = values.mask(data.draw, size) if data.draw(st.booleans()) else None
    codes = classes.encode(found, present, facts)
    there = np.ones(size, bool) if present is None else present
    plain = there & np.isfinite(found)
    if codes is None:
        assert plain.all()
        return
    assert not plain.all()
    back, back_present = classes.decode(codes, found[plain], 0.0, facts)
    assert back_present.tolist() == there.tolist()
    assert (codes == facts.value).tolist() == plain.tolist()
    np.testing.assert_array_equal(back[there], found[there])


@more(8)
@given(st.integers(0, 3), st.data())
def test_run_headers(form, data):
    wide = st.integers(0, 64).flatmap(lambda b: st.integers(0, 2**b - 1))
    signed = wide.map(lambda v: (v >> 1) ^ -(v & 1))
    header = runs.RunHeader(
        form,
        data.draw(signed),
        data.draw(wide.filter(lambda v: v < 2**64 - 1)) + 1,
        data.draw(signed) if delta.HAS_STEP[form] else 0,
        data.draw(st.none() | st.integers(0, 2**32)),
    )
    built = runs.encode_header(header, CODECS.rice)
    before = data.draw(st.binary(max_size=3))
    parsed, end = runs.decode_header(before + built + b"\xff", len(before), CODECS.rice)
    assert parsed == header
    assert end == len(before) + len(built)
