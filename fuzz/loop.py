"""The command line and the loop of the fuzzers, and how a crash is saved.

If atheris is installed, coverage guides the inputs; otherwise they are random, and the same for the
same seed.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import mkdtemp

from fuzz import atheris

Check = Callable[[bytes], None]
Make = Callable[[random.Random], bytes]


def main(module: str, summary: str, check: Check, begin: Callable[[int], Make]) -> int:
    """Run a fuzzer from the command line.

    Parameters
    ----------
    module : str
        The fuzzer's module, such as ``fuzz.fuzz_reader``.
    summary : str
        A line for the help.
    check : callable
        Raises if the invariant does not hold for some bytes.
    begin : callable
        Takes the seed, and returns a function that makes an input.
    """
    arguments = _arguments(module, summary)
    if arguments.replay:
        check(Path(arguments.replay).read_bytes())
        print(f"{arguments.replay}: the invariant holds")
        return 0
    make = begin(arguments.seed)
    if atheris is not None and not arguments.plain:
        return _guided(check, make, arguments)
    return _plain(module, check, make, arguments)


def _arguments(module: str, summary: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=summary)
    parser.add_argument("--seconds", type=float, default=60.0, help="duration (default: 60)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the inputs (default: 1)")
    parser.add_argument("--crashes", default="out/crashes", help="folder for failing inputs")
    parser.add_argument("--replay", metavar="FILE", help="check one saved input")
    parser.add_argument("--plain", action="store_true", help="do not use atheris")
    return parser.parse_args()


def _plain(module: str, check: Check, make: Make, arguments: argparse.Namespace) -> int:
    rng = random.Random(arguments.seed)
    start, num_runs = time.monotonic(), 0
    while time.monotonic() - start < arguments.seconds:
        data = make(rng)
        num_runs += 1
        try:
            check(data)
        except Exception:
            traceback.print_exc()
            print(f"\nThe invariant failed in run {num_runs:,}. To reproduce it:")
            print(f"    python -m {module} --replay {_save(data, module, arguments.crashes)}")
            return 1
    seconds = time.monotonic() - start
    effort = f"{num_runs:,} runs in {seconds:.0f} s, seed {arguments.seed}"
    print(f"{module}: {effort}: the invariant holds")
    return 0


def _save(data: bytes, module: str, folder: str) -> Path:
    path = Path(folder) / f"{module.rpartition('.')[2]}-{hashlib.sha256(data).hexdigest()[:12]}.bin"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


# --------------------------------------------------------------------------------------- atheris


def _guided(check: Check, make: Make, arguments: argparse.Namespace) -> int:
    """Let libFuzzer choose between its mutations and ours, from a corpus of ours."""

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        rng = random.Random(seed)
        own: bytes = make(rng) if rng.random() < 0.5 else atheris.Mutate(data, max_size)
        return own[:max_size]

    folder = Path(mkdtemp(prefix="cmeta-corpus-"))
    rng = random.Random(arguments.seed)
    for number in range(100):
        (folder / str(number)).write_bytes(make(rng))
    Path(arguments.crashes).mkdir(parents=True, exist_ok=True)
    options: Sequence[str] = [
        sys.argv[0],
        str(folder),
        f"-max_total_time={arguments.seconds:.0f}",
        f"-seed={arguments.seed}",
        f"-artifact_prefix={arguments.crashes}/",
        "-max_len=16384",
    ]
    atheris.Setup(list(options), check, custom_mutator=mutate)
    atheris.Fuzz()
    return 0
