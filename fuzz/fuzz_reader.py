"""Fuzz the reader with spoilt files.

Invariant: whatever the bytes are, opening them, reading, iterating and validating ends, and raises
nothing but `DecodeError`, with an offset within the file and a path; and a file that validates is
the very file that a writer makes of what is read from it.

    python -m fuzz.fuzz_reader --seconds 60 --seed 1
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Sequence

from hypothesis import HealthCheck, Phase, given, seed, settings

from cmeta.testing.runs import files
from fuzz.loop import main
from tests.hostile.outcome import assert_bounded
from tests.hostile.reseal import take_apart

_CORPUS_SIZE = 60
_INTERESTING = [bytes(1), bytes(8), b"\x01", b"\x7f", b"\x80", b"\xff", b"\xff" * 4, b"\xff" * 8,
                b"\0\0\1\0", b"\x40", b"\x41", b"[" * 64, b'"\\' * 32]  # fmt: skip


def check(data: bytes) -> None:
    """Raise if the invariant does not hold."""
    assert_bounded(data)


def corpus(number: int) -> list[bytes]:
    """Return valid files to begin with, the same ones for the same seed."""
    found: list[bytes] = []

    @seed(number)
    @settings(
        max_examples=_CORPUS_SIZE,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(files(max_records=40))
    def collect(data: bytes) -> None:
        found.append(data)

    collect()
    return found


def begin(number: int) -> Callable[[random.Random], bytes]:
    """Return what makes a spoilt file of one of the corpus."""
    valid = corpus(number)

    def make(rng: random.Random) -> bytes:
        data = rng.choice(valid)
        way = rng.random()
        if way < 0.25:
            return spoil(rng, data, valid)
        file = take_apart(data)
        if way < 0.85:
            place = rng.randrange(len(file.blocks))
            body = spoil(rng, file.blocks[place].body, [b.body for b in file.blocks])
            return file.with_body(place, body).build()
        return file.with_blocks(
            shuffle(rng, file.blocks, take_apart(rng.choice(valid)).blocks)
        ).build()

    return make


def spoil(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Return bytes after some mutations."""
    for _ in range(rng.choice([1, 1, 1, 2, 4, 8])):
        at = rng.randrange(len(data) + 1)
        end = min(len(data), at + rng.choice([0, 1, 1, 4, 8, 64]))
        way = rng.randrange(6)
        if way == 0 and at < len(data):
            middle = bytes([data[at] ^ 1 << rng.randrange(8)])
            end = at + 1
        elif way == 1:
            middle = rng.randbytes(end - at)
        elif way == 2:
            middle = rng.choice(_INTERESTING)
            end = max(end, min(len(data), at + len(middle)))
        elif way == 3:
            middle = b""
        elif way == 4:
            other = rng.choice(others)
            start = rng.randrange(len(other) + 1)
            middle = other[start : start + rng.choice([1, 8, 64])]
        else:
            middle = data[at:end] * 2
        data = data[:at] + middle + data[end:]
    return data[: rng.randrange(len(data) + 1)] if rng.random() < 0.05 else data


def shuffle(rng: random.Random, blocks: Sequence[object], others: Sequence[object]) -> list[object]:
    """Return blocks moved, repeated, removed, or taken from another file."""
    moved = list(blocks)
    for _ in range(rng.choice([1, 1, 2])):
        at, to = rng.randrange(len(moved) + 1), rng.randrange(len(moved) + 1)
        way = rng.randrange(3)
        if way == 0 and at < len(moved):
            moved.insert(to, moved[at])
        elif way == 1 and at < len(moved):
            moved.insert(min(to, len(moved) - 1), moved.pop(at))
        else:
            moved.insert(at, rng.choice(others))
    return moved


if __name__ == "__main__":
    sys.exit(main("fuzz.fuzz_reader", "Fuzz the reader with spoilt files.", check, begin))
