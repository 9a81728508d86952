"""Mutations of a file, as it lies on a disk that fails: (what, where, bytes) each.

`thin` takes a part of the many, unless the profile is nightly: always the same part.
"""

import os
from typing import NamedTuple

from tests.hostile.reseal import CRC, HEADER, bounds_of

NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"


class Mutation(NamedTuple):
    what: str
    at: int
    data: bytes


def thin(cases, one_in):
    """One of so many cases; choose a number that has no factor in common with 8."""
    return cases if NIGHTLY else cases[::one_in]


def flips(data):
    for place in range(len(data) * 8):
        at, bit = divmod(place, 8)
        yield Mutation(f"bit {bit} flipped", at, spliced(data, at, at + 1, [data[at] ^ 1 << bit]))


def truncations(data):
    for at in range(len(data)):
        yield Mutation("truncated", at, data[:at])


def insertions(data):
    for at in range(len(data)):
        for byte in (0x00, 0xFF):
            yield Mutation(f"byte {byte:#04x} inserted", at, spliced(data, at, at, [byte]))


def deletions(data):
    for at in range(len(data)):
        yield Mutation("byte deleted", at, spliced(data, at, at + 1, []))


def appended(data):
    for tail in (b"\0", b"\xff" * 8, data[-8:], data[-24:], data, bytes(4096)):
        yield Mutation(f"{len(tail)} bytes appended", len(data), data + tail)
    for head in (b"\0", data[:10], data):
        yield Mutation(f"{len(head)} bytes before", 0, head + data)


def runs_overwritten(data):
    """Sectors that a disk lost."""
    for size in (8, 64):
        for at in range(0, len(data) - size + 1, size):
            for byte in (0x00, 0xFF):
                lost = spliced(data, at, at + size, [byte] * size)
                if lost != data:
                    yield Mutation(f"{size} bytes lost", at, lost)


def blocks_moved(data):
    """Blocks swapped, removed and repeated, as they stand, checksums and all."""
    bounds = bounds_of(data)
    blocks = [data[start:end] for start, end in bounds]
    for i, _ in enumerate(blocks):
        yield Mutation(
            f"block {i} removed", bounds[i][0], joined(data, blocks[:i] + blocks[i + 1 :])
        )
        for j, other in enumerate(blocks):
            repeated = [*blocks[:j], blocks[i], *blocks[j:]]
            yield Mutation(f"block {i} repeated before {j}", bounds[j][0], joined(data, repeated))
            if i < j:
                swapped = list(blocks)
                swapped[i], swapped[j] = other, blocks[i]
                yield Mutation(f"blocks {i}, {j} swapped", bounds[i][0], joined(data, swapped))


def joined(data, blocks):
    return data[: HEADER.size] + b"".join(blocks) + data[-CRC.size :]


def spliced(data, start, end, middle):
    return data[:start] + bytes(middle) + data[end:]
