"""Every mutation of a closed file is reported, and what is read is true or nothing."""

from functools import cache

import pytest

import cmeta
from cmeta.testing.values import to_bytes
from tests.hostile import mutations, samples
from tests.hostile.mutations import Mutation, thin
from tests.hostile.outcome import findings, outcome, read_all
from tests.hostile.reseal import CRC, bounds_of, take_apart


@cache
def truth_of(data):
    return read_all(data)


def complaint(data, mutated):
    """Say what is wrong with how the library takes a mutated file; None if nothing is."""
    report = findings(mutated.data, canonical=False)
    if report.ok or not report.findings:
        return "not reported"
    found = outcome(mutated.data)
    if not isinstance(found, cmeta.DecodeError) and found != truth_of(data):
        return "something else is read"
    return None


def complaints(data, mutated):
    found = ((m.what, m.at, complaint(data, m)) for m in mutated)
    return [complaint for complaint in found if complaint[-1]]


@pytest.mark.parametrize("sample", [samples.smallest, samples.small, samples.rich])
@pytest.mark.parametrize(
    ("mutate", "shares"),
    [
        (mutations.flips, (1, 5, 61)),
        (mutations.truncations, (1, 1, 13)),
        (mutations.insertions, (5, 15, 61)),
        (mutations.deletions, (3, 7, 29)),
        (mutations.runs_overwritten, (1, 3, 7)),
        (mutations.blocks_moved, (1, 1, 5)),
        (mutations.appended, (1, 1, 1)),
    ],
)
def test_a_mutation_is_reported_and_nothing_false_is_read(sample, mutate, shares):
    one_in = shares[[samples.smallest, samples.small, samples.rich].index(sample)]
    data = sample()
    mutated = thin(list(mutate(data)), one_in)
    assert mutated
    assert complaints(data, mutated) == []


@pytest.mark.parametrize("sample", [samples.smallest, samples.small])
def test_a_flip_is_reported_where_it_is(sample):
    """In the element that was hit; a header's version and count are known by the INDEX's copies."""
    data = sample()
    index = bounds_of(data)[-1]
    elements = [(0, 4), *bounds_of(data), (len(data) - CRC.size, len(data))]
    elsewhere = []
    for mutated in thin(list(mutations.flips(data)), 23):
        offsets = {f.offset for f in findings(mutated.data, canonical=False).findings}
        start, end = next((e for e in elements if e[0] <= mutated.at < e[1]), index)
        if mutated.at in range(4, 10):
            start = 0  # another major version is told by the header itself
        if not any(start <= offset < end for offset in offsets):
            elsewhere.append((mutated.what, mutated.at, offsets))
    assert elsewhere == []


def test_a_flip_in_the_checksum_of_the_file_is_only_seen_by_validate():
    data = samples.small()
    flipped = list(mutations.flips(data))[-1]
    assert outcome(flipped.data) == truth_of(data)
    (finding,) = findings(flipped.data).findings
    assert (finding.kind, finding.path) == ("ChecksumError", "trailer.checksum")
    assert finding.offset == len(data) - CRC.size


def test_twins_that_are_swapped_are_reported():
    """Blocks of one kind and length: only what spans the whole file can tell."""
    schema = take_apart(samples.small()).blocks[0]
    run = {"phase": ["a", "b"], "timestamp": [1, 2], "c": [{"lr": 1}, {"lr": 2}]}
    data = to_bytes(run, cmeta.open(samples.small()).schema)
    assert take_apart(data).blocks[0] == schema
    (first, end), (_, second_end) = bounds_of(data)[1:3]
    assert end - first == second_end - end
    swapped = data[:first] + data[end:second_end] + data[first:end] + data[second_end:]
    mutated = Mutation("twins swapped", first, swapped)
    assert complaint(data, mutated) != "not reported"


def test_every_prefix_of_an_open_file_says_what_is_intact():
    """A file whose writer died: whole blocks count, the rest is named."""
    data = samples.small()
    truth = cmeta.open(data)
    batches, arrays = truth.batches, truth.read()
    ends = [end for _, end in bounds_of(data)]
    dying = data[:6] + b"\xff\xff\xff\xff" + data[10 : ends[-2]]
    for at in thin(range(ends[0], len(dying) + 1), 3):
        intact = sum(b.num_records for b in batches if b.offset + b.len_block <= at)
        reader = cmeta.open(dying[:at])
        assert reader.state == "open"
        assert (reader.problem is None) == (at in ends)
        assert len(reader) == intact
        for path, array in reader.read().items():
            assert array.tobytes() == arrays[path][:intact].tobytes()
        report = cmeta.validate(dying[:at], canonical=False)
        assert not report.ok
        assert report.num_records == intact
