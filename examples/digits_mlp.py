"""Train a small network on real images, and record every cycle of it.

A multilayer perceptron learns scikit-learn's bundled digits. Each cycle trains on a minibatch,
dreams (trains on images mixed from the data) or validates, and becomes one record.

    python examples/digits_mlp.py --cycles 5000 --seed 7 --out run.cmeta
    cmeta replay run.cmeta examples/digits_mlp.py:Replay

Kill it at any instant and start it again: it goes on from its last checkpoint, and the file is
that of a run that was never interrupted.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import pickle
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
from threadpoolctl import threadpool_limits

import cmeta

sys.path.insert(0, str(Path(__file__).resolve().parent))  # for any way of importing this file
from training import MODES, Training, as_config, phase_of, schema, settings_of

T = TypeVar("T")

CHECKPOINT_EVERY = 500  # cycles


def train(num_cycles: int, seed: int = 0, mode: str = "minibatch") -> Iterator[cmeta.CycleRecord]:
    """Train, and yield a record for each cycle, to be written all at once.

    Parameters
    ----------
    num_cycles : int
    seed : int
        Root of all seeds, u64: the same seed gives the same records on the same machine.
    mode : str
        "minibatch": noisy descent. "fullbatch": smooth descent on all images at once.
        "diverging": a learning rate that is far too large; whenever the loss is no longer finite,
        the weights are drawn again.
    """
    training = Training(seed, MODES[mode])
    with threadpool_limits(1):  # the order of a sum must not depend on the number of cores
        for ordinal in range(num_cycles):
            phase, config = phase_of(ordinal), as_config(training.settings)
            cycle_seed = cmeta.seed_of(seed, ordinal)
            measured = training.cycle(phase, np.random.default_rng(cycle_seed))
            yield cmeta.CycleRecord(
                phase=phase, timestamp=ordinal, seed_state=cycle_seed, config=config, **measured
            )


def record(
    path: Path, num_cycles: int, seed: int = 0, mode: str = "minibatch", *, replace: bool = False
) -> None:
    """Train, record each cycle as it ends, and resume where an earlier process was killed.

    Parameters
    ----------
    path : Path
        The chronicle; while the run is unfinished, its checkpoint is in the same folder.
    num_cycles, seed, mode
        As for `train`.
    replace : bool
        Overwrite an existing file and ignore its checkpoint.
    """
    checkpoint = path.with_suffix(".checkpoint")
    training, state = Training(seed, MODES[mode]), None
    if checkpoint.exists() and not replace:
        training, state = pickle.loads(checkpoint.read_bytes())
    with threadpool_limits(1), cmeta.Recorder(
        path, schema(), "replace" if replace else "resume" if state else "new",
        seed=seed, resume_at=state,
    ) as recorder:  # fmt: skip
        for ordinal in with_progress(range(len(recorder), num_cycles), num_cycles):
            if ordinal % CHECKPOINT_EVERY == 0:
                save(checkpoint, (training, recorder.state_dict()))
            recorder.config = as_config(training.settings)
            with recorder.cycle(phase_of(ordinal), seed_globals=False) as cycle:
                cycle.log(**training.cycle(phase_of(ordinal), cycle.rng))
    checkpoint.unlink(missing_ok=True)


def save(path: Path, state: object) -> None:
    """Write a checkpoint; a kill at any instant leaves the old one or the new one."""
    temporary = path.with_suffix(".checkpoint.new")
    temporary.write_bytes(pickle.dumps(state))
    os.replace(temporary, path)


class Replay:
    """Trains again from the recorded seeds and the recorded configuration.

    ``cmeta replay run.cmeta examples/digits_mlp.py:Replay`` constructs it with the state of the
    first cycle and calls it for each cycle.
    """

    changed: ClassVar[Mapping[str, Any]] = {}  # settings that differ from the recorded ones

    def __init__(self, state: cmeta.ReplayState, checkpoint: Training | None = None) -> None:
        threadpool_limits(1)
        if checkpoint is None and (state.root is None or state.ordinal):
            raise ValueError("starting in the middle of a run requires a checkpoint")
        settings = dataclasses.replace(settings_of(state.config), **self.changed)
        self.training = checkpoint or Training(state.root or 0, settings)

    def __call__(self, state: cmeta.ReplayState) -> dict[str, Any]:
        """Run a cycle again; the result is compared with the record."""
        return self.training.cycle(state.record.phase, state.rng)


class LessMomentum(Replay):
    """Trains with another momentum than the recorded one, to see where that shows."""

    changed: ClassVar[Mapping[str, Any]] = {"momentum": 0.89}


def with_progress(items: Iterable[T], total: int) -> Iterator[T]:
    """Yield the items, with a line of progress on a terminal."""
    if not sys.stderr.isatty():
        yield from items
        return
    every = max(1, total // 100)
    for done, item in enumerate(items, 1):
        yield item
        if done % every == 0:
            print(f"\r{done:,} of {total:,} cycles", end="", file=sys.stderr, flush=True)
    print("\r\033[K", end="", file=sys.stderr, flush=True)


def main() -> None:
    """Train with the options of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cycles", type=int, default=5000, metavar="N")
    parser.add_argument("--seed", type=int, default=7, metavar="N", help="root of all seeds")
    parser.add_argument("--mode", choices=MODES, default="minibatch")
    parser.add_argument("--out", type=Path, default=Path("run.cmeta"), metavar="FILE")
    parser.add_argument("--replace", action="store_true", help="overwrite an existing file")
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    try:
        record(options.out, options.cycles, options.seed, options.mode, replace=options.replace)
    except cmeta.ExistsError as err:
        parser.exit(2, f"{err}; --replace overwrites it\n")
    print(f"{options.out}: {options.cycles:,} cycles in {options.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
