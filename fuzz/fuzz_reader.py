"""Fuzz the reader with mutated files.

Invariant: for any bytes, opening, reading, iterating and validating end, and raise nothing but
`DecodeError` with a path and an offset within the file. A file that is valid is identical to the
file that a writer makes from the values read from it.

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
    """Return valid files to start from, the same for the same seed."""
    valid: list[bytes] = []

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
        valid.append(data)

    collect()
    return valid


def begin(number: int) -> Callable[[random.Random], bytes]:
    """Return a function that makes a mutated file from one of the corpus."""
    valid = corpus(number)

    def make(rng: random.Random) -> bytes:
        data = rng.choice(valid)
        choice = rng.random()
        if choice < 0.25:
            return mutated(rng, data, valid)
        file = take_apart(data)
        if choice < 0.85:
            ordinal = rng.randrange(len(file.blocks))
            body = mutated(rng, file.blocks[ordinal].body, [b.body for b in file.blocks])
            return file.with_body(ordinal, body).build()
        return file.with_blocks(
            shuffled(rng, file.blocks, take_apart(rng.choice(valid)).blocks)
        ).build()

    return make


def mutated(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Return bytes after a few random mutations."""
    for _ in range(rng.choice([1, 1, 1, 2, 4, 8])):
        start = rng.randrange(len(data) + 1)
        end = min(len(data), start + rng.choice([0, 1, 1, 4, 8, 64]))
        mutation = rng.randrange(6)
        if mutation == 0 and start < len(data):
            middle = bytes([data[start] ^ 1 << rng.randrange(8)])
            end = start + 1
        elif mutation == 1:
            middle = rng.randbytes(end - start)
        elif mutation == 2:
            middle = rng.choice(_INTERESTING)
            end = max(end, min(len(data), start + len(middle)))
        elif mutation == 3:
            middle = b""
        elif mutation == 4:
            other = rng.choice(others)
            offset = rng.randrange(len(other) + 1)
            middle = other[offset : offset + rng.choice([1, 8, 64])]
        else:
            middle = data[start:end] * 2
        data = data[:start] + middle + data[end:]
    return data[: rng.randrange(len(data) + 1)] if rng.random() < 0.05 else data


def shuffled(
    rng: random.Random, blocks: Sequence[object], others: Sequence[object]
) -> list[object]:
    """Return the blocks with some moved, repeated, or taken from another file."""
    result = list(blocks)
    for _ in range(rng.choice([1, 1, 2])):
        source, target = rng.randrange(len(result) + 1), rng.randrange(len(result) + 1)
        mutation = rng.randrange(3)
        if mutation == 0 and source < len(result):
            result.insert(target, result[source])
        elif mutation == 1 and source < len(result):
            result.insert(min(target, len(result) - 1), result.pop(source))
        else:
            result.insert(source, rng.choice(others))
    return result


if __name__ == "__main__":
    sys.exit(main("fuzz.fuzz_reader", "Fuzz the reader with mutated files.", check, begin))
