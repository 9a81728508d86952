"""The telemetry to measure: real runs of the example, stored as `.cmeta` files under `out/bench`.

A run is trained once and loaded from then on; its file name contains a digest of the example's
sources, so a changed example is trained again. The code under test always encodes it again.
"""

from __future__ import annotations

import hashlib
import sys
import warnings
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import TypeVar

import cmeta

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "out" / "bench"
MODES = ("minibatch", "fullbatch", "diverging")
NUM_CYCLES = 100_000
NUM_CYCLES_QUICK = 5_000
SEED = 0

_T = TypeVar("_T")


def load(mode: str, num_cycles: int = NUM_CYCLES, seed: int = SEED) -> cmeta.Columns:
    """Return the telemetry of a run, training it unless it is stored.

    Parameters
    ----------
    mode : str
        One of `MODES`: noisy minibatch descent, smooth descent on the full batch, or a run that
        diverges.
    num_cycles, seed : int

    Returns
    -------
    Columns
        Every field that the run recorded, arrays of ``(num_cycles,)``.
    """
    path = _path(mode, num_cycles, seed)
    try:
        with cmeta.open(path) as run:
            return run.read(codes=True)
    except FileNotFoundError:
        _train(path, mode, num_cycles, seed)
    except cmeta.DecodeError as err:
        print(f"{path.name}: {err}; training again", file=sys.stderr)
        _train(path, mode, num_cycles, seed)
    with cmeta.open(path) as run:
        return run.read(codes=True)


def write(path: Path, columns: cmeta.Columns) -> int:
    """Write telemetry without warnings, and return the file's length in bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cmeta.PrecisionWarning)  # it is rounded already
        cmeta.write(path, columns)
    return path.stat().st_size


def _path(mode: str, num_cycles: int, seed: int) -> Path:
    return FOLDER / f"{mode}-{num_cycles}-{seed}-{_digest()}.cmeta"


@cache
def _digest() -> str:
    """Return a digest of the example's sources: of all modules that it imports from its folder."""
    from examples import digits_mlp

    folder = Path(str(digits_mlp.__file__)).parent
    files = {Path(str(getattr(module, "__file__", None))) for module in list(sys.modules.values())}
    sources = sorted(file for file in files if file.parent == folder)
    return hashlib.sha256(b"".join(file.read_bytes() for file in sources)).hexdigest()[:8]


def _train(path: Path, mode: str, num_cycles: int, seed: int) -> None:
    from examples.digits_mlp import schema, train

    path.parent.mkdir(parents=True, exist_ok=True)
    records = _with_progress(train(num_cycles, seed, mode=mode), f"training {mode}", num_cycles)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cmeta.PrecisionWarning)
        cmeta.write(path, records, schema())


def _with_progress(items: Iterable[_T], what: str, total: int) -> Iterator[_T]:
    for done, item in enumerate(items, 1):
        if done == total or (sys.stderr.isatty() and done % 1000 == 0):
            end = "\n" if done == total else "\r"
            print(f"{what}: {done:,} of {total:,} cycles", end=end, file=sys.stderr, flush=True)
        yield item
