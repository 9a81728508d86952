"""Importing a TensorBoard log of a million scalars, compared with tbparse, which only reads it.

PyTorch's writer writes the log once; it is kept under `out/bench`.
"""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np

import cmeta
from bench.report import Goal, Section, Table, ratio
from bench.telemetry import FOLDER
from bench.timing import race

MOST_OF_TBPARSE = 2.0
NUM_SCALARS, NUM_SCALARS_QUICK = 1_000_000, 50_000
ROUNDS, ROUNDS_QUICK = 3, 1
TAGS = (
    "train/loss", "train/accuracy", "train/grad_norm", "train/lr", "train/entropy",
    "layer.0.weight", "layer.1.weight", "val/loss", "val/accuracy", "val/top5",
)  # fmt: skip


def measure(quick: bool = False) -> list[Section]:
    """Measure the import of a TensorBoard log."""
    num_scalars = NUM_SCALARS_QUICK if quick else NUM_SCALARS
    rounds = ROUNDS_QUICK if quick else ROUNDS
    log = _log(num_scalars)
    with tempfile.TemporaryDirectory(prefix="cmeta-bench-") as folder:
        out = Path(folder) / "run.cmeta"
        times = race(
            {
                "cmeta: read, write, sync": lambda: _import(log, out),
                "tbparse: read": lambda: _tbparse(log, num_scalars),
            },
            rounds,
        )
        len_out = out.stat().st_size
    len_log = sum(file.stat().st_size for file in log.iterdir())
    own, other = times.values()
    section = Section(
        "Speed: importing a TensorBoard log",
        f"{num_scalars:,} scalars of {len(TAGS)} tags, {len_log / 1e6:.1f} MB in one event file; "
        f"as a chronicle {len_out / 1e6:.1f} MB. Median of {rounds} rounds after a warm-up. "
        "cmeta checks both checksums of every record, groups the scalars into records and writes "
        "the chronicle; tbparse builds a data frame of (step, tag, value).",
    )
    section.goals = [Goal("import / tbparse's reading", own / other, MOST_OF_TBPARSE)]
    rows = [
        [name, ratio(own, seconds), f"{seconds:.2f}", f"{seconds / num_scalars * 1e6:.2f}"]
        for name, seconds in times.items()
    ]
    header = ["", "cmeta / it", "s", "us per scalar"]
    section.tables = [Table("A TensorBoard log", header, rows)]
    return [section]


def _import(log: Path, out: Path) -> None:
    from cmeta.tools.imports.import_run import import_run

    out.unlink(missing_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cmeta.PrecisionWarning)
        import_run(log, out, format="tensorboard")


def _tbparse(log: Path, num_scalars: int) -> None:
    from tbparse import SummaryReader

    found = SummaryReader(str(log), event_types={"scalars"}).scalars
    if len(found) != num_scalars:
        raise AssertionError(f"tbparse found {len(found):,} scalars, expected {num_scalars:,}")


def _log(num_scalars: int) -> Path:
    """Return the folder of a log, writing it atomically unless it exists."""
    log = FOLDER / f"tensorboard-{num_scalars}"
    if not log.exists():
        from torch.utils.tensorboard import SummaryWriter

        FOLDER.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix="tensorboard-", dir=FOLDER))
        print(f"writing {num_scalars:,} scalars", file=sys.stderr)
        values = np.random.default_rng(0).standard_normal(num_scalars)
        with SummaryWriter(str(temporary), max_queue=10_000) as writer:
            for place, value in enumerate(values.tolist()):
                step, tag = divmod(place, len(TAGS))
                writer.add_scalar(TAGS[tag], value, step)
        os.replace(temporary, log)
    return log


def main(arguments: list[str]) -> None:
    """Print the times."""
    for section in measure("--quick" in arguments):
        print(section.render())


if __name__ == "__main__":
    main(sys.argv[1:])
