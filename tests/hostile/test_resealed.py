"""Mutations whose checksums are made right again: nothing but `DecodeError` leaves, and what is
valid is canonical, that is, another file that a writer would have written.
"""

from dataclasses import replace

import pytest

import cmeta
from tests.hostile import mutations, samples
from tests.hostile.mutations import spliced, thin
from tests.hostile.outcome import assert_bounded, findings, outcome
from tests.hostile.reseal import BATCH, Block, reseal, take_apart

SAMPLES = [samples.smallest, samples.small, samples.rich]


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_second_notion_of_framing_agrees_with_the_first(sample):
    data = sample()
    assert take_apart(sample()).build() == data
    for at in (0, 5, 12, len(data) // 2, len(data) - 30, len(data) - 1):
        assert reseal(data, data, at) == data


@pytest.mark.parametrize(("sample", "one_in"), list(zip(SAMPLES, (5, 29, 163), strict=True)))
def test_a_resealed_flip_is_an_error_or_another_file(sample, one_in):
    data = sample()
    for mutated in thin(list(mutations.flips(data)), one_in):
        assert_bounded(reseal(mutated.data, data, mutated.at))


def bodies(file, change):
    """Change the body of each block in each of the ways that `change` gives."""
    for place, block in enumerate(file.blocks):
        for body in change(block.body):
            yield file.with_body(place, body)


CHANGES = {
    "truncated": lambda body: [body[:at] for at in range(len(body))],
    "extended": lambda body: [body + tail for tail in (b"\0", b"\xff", body[-2:])],
    "inserted": lambda body: [spliced(body, at, at, [b]) for at in range(len(body)) for b in (0, 255)],
    "deleted": lambda body: [spliced(body, at, at + 1, []) for at in range(len(body))],
    "overwritten": lambda body: [
        spliced(body, at, at + size, [byte] * size)
        for size in (1, 4) for at in range(len(body) - size + 1) for byte in (0, 1, 64, 128, 255)
    ],
}  # fmt: skip
SHARES = {"truncated": 5, "extended": 1, "inserted": 11, "deleted": 7, "overwritten": 83}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("sample", [samples.small, samples.rich])
def test_a_changed_body_is_an_error_or_another_file(sample, name):
    file = take_apart(sample())
    one_in = SHARES[name] * (3 if sample is samples.rich else 1)
    for mutated in thin(list(bodies(file, CHANGES[name])), one_in):
        data = mutated.build()
        if data != sample():
            assert_bounded(data)


def moved(blocks):
    """Blocks removed, repeated and swapped, in every way."""
    for i, block in enumerate(blocks):
        yield f"{i} removed", blocks[:i] + blocks[i + 1 :]
        for j, other in enumerate(blocks):
            yield f"{i} repeated before {j}", (*blocks[:j], block, *blocks[j:])
            if i < j:
                swapped = list(blocks)
                swapped[i], swapped[j] = other, block
                yield f"{i} and {j} swapped", swapped
    yield "reversed", blocks[::-1]
    yield "nothing", ()


@pytest.mark.parametrize("sample", [samples.small, samples.rich])
def test_blocks_that_move_are_reported_even_with_every_checksum_right(sample):
    file = take_apart(sample())
    cases = thin(list(moved(file.blocks)), 1 if sample is samples.small else 3)
    for what, blocks in cases:
        if tuple(blocks) == file.blocks:
            continue
        data = file.with_blocks(blocks).build()
        _, report = assert_bounded(data)
        same_batches = [b if b.kind == BATCH else b.kind for b in blocks] == [
            b if b.kind == BATCH else b.kind for b in file.blocks
        ]
        assert report.findings or same_batches, what  # else a writer may have been told so


def test_the_parts_of_two_files_do_not_mix():
    one, other = take_apart(samples.small()), take_apart(samples.rich())
    for i, block in enumerate(other.blocks):
        for j in range(len(one.blocks) + 1):
            data = one.with_blocks([*one.blocks[:j], block, *one.blocks[j:]]).build()
            found, report = assert_bounded(data)
            assert report.findings
            if block.kind == BATCH:
                assert isinstance(found, cmeta.DecodeError), (i, j)


def test_a_newer_minor_version_is_read():
    """What a reader of this version knows is read; what it does not know may be skipped."""
    file = take_apart(samples.small())
    further = Block(77, b"of a version to come", flags=0)
    newer = replace(file.with_blocks([*file.blocks, further]), version=0x0101).build()
    _, configs, names, arrays, records = outcome(samples.small())
    found = outcome(newer)
    assert found[1:4] == (configs, names, arrays)
    assert found[4] == records
    assert findings(newer).ok
    critical = replace(file.with_blocks([*file.blocks, further._replace(flags=1)]), version=0x0101)
    assert isinstance(outcome(critical.build()), cmeta.UnsupportedVersionError)
    assert findings(critical.build()).findings[0].kind == "UnsupportedVersionError"
