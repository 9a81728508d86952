"""The demo: train a real model, record every cycle, and look at the file from all sides.

    make demo

Data goes to stdout; a line of progress goes to stderr, and only on a terminal.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

from chart import loss_chart
from digits_mlp import schema, train, with_progress
from sizes import sizes

import cmeta

SEED = 7
NUM_CYCLES = 5000
WIDTH_MAX = 100
AROUND = 5  # cycles to show on either side of an action
FIELDS = ("timestamp", "phase", "loss_value", "val_accuracy", "lr", "action_code")


def main() -> None:
    """Run the demo; the file stays where `--out` says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cycles", type=int, default=NUM_CYCLES, metavar="N")
    parser.add_argument("--out", type=Path, default=Path("out/digits.cmeta"), metavar="FILE")
    options = parser.parse_args()
    if options.cycles < 1:
        parser.error("--cycles: expected at least 1")
    path: Path = options.out
    path.parent.mkdir(parents=True, exist_ok=True)

    say(1, f"Train a network on handwritten digits; record each of {options.cycles:,} cycles")
    records = record_run(path, options.cycles)
    say(2, "What is in the file? It explains itself")
    run_cmeta("info", str(path))
    say(3, "Is it intact? Every checksum and every choice of the encoder is checked")
    run_cmeta("validate", str(path))
    say(4, "What happened around the last action? A range reads only what it needs")
    show_last_action(path)
    say(5, "How large are the same records elsewhere?")
    show_sizes(path, records)
    say(6, "And what did the network do?")
    with cmeta.open(path) as run:
        colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        print(loss_chart(run, terminal_width(), colour=colour))
    print(f"\n{path} is yours: try `cmeta cat {path} --phase validate`.")


def say(number: int, what: str) -> None:
    """Print the headline of a step."""
    print(f"\n{number}. {what}\n")


def record_run(path: Path, num_cycles: int) -> list[cmeta.CycleRecord]:
    """Train, write the chronicle, and return what was recorded."""
    begun = time.monotonic()
    records = list(with_progress(train(num_cycles, SEED), num_cycles))
    trained = time.monotonic()
    cmeta.write(path, records, schema())
    written = time.monotonic()
    right = [r.metrics["val_accuracy"] for r in records if "val_accuracy" in r.metrics]
    if right:
        print(f"It ends with {right[-1]:.1%} of 360 held-out images right.")
    print(
        f"{path}: {path.stat().st_size:,} bytes. "
        f"Trained in {trained - begun:.1f} s, written in {written - trained:.1f} s."
    )
    return records


def run_cmeta(*arguments: str) -> None:
    """Print a command line as one would type it, and run it.

    Raises
    ------
    SystemExit
        The command failed.
    """
    line = shlex.join(["cmeta", *arguments])
    print("$", line.replace(" --fields", " \\\n    --fields"), flush=True)
    done = subprocess.run([sys.executable, "-m", "cmeta", *arguments], check=False)
    if done.returncode:
        sys.exit(done.returncode)


def show_last_action(path: Path) -> None:
    """Print the records around the last action, or the last ones if there was none."""
    with cmeta.open(path) as run:
        known = {name for field in run.fields for name in (field.name, field.path)}
        columns = run.read(["timestamp", "action_code"])
    timestamps, acted = columns["timestamp"], columns.present["action_code"]
    end = int(timestamps[acted][-1]) + AROUND if acted.any() else int(timestamps[-1])
    fields = ",".join(name for name in FIELDS if name in known)
    range_ = ("--start", str(max(0, end - 2 * AROUND)), "--end", str(end))
    run_cmeta("cat", str(path), *range_, "--fields", fields)


def show_sizes(path: Path, records: list[cmeta.CycleRecord]) -> None:
    """Print what the records take in each format, by cmeta's side."""
    ours = path.stat().st_size
    with cmeta.open(path) as run:
        found = sizes(records, run.read(codes=True)) | {"cmeta": ours}
    print(f"{'format':32}{'bytes':>12}{'bytes/record':>15}{'ratio':>9}")
    for name, size in sorted(found.items(), key=lambda item: -item[1]):
        print(f"{name:32}{size:>12,}{size / len(records):>15.1f}{size / ours:>8.2f}x")
    print("\nEach validation has a digest of the network: 8 bytes that nothing compresses.")


def terminal_width() -> int:
    """Return how wide to draw: the terminal's width, within reason; 80 without a terminal."""
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else 80
    return max(40, min(columns, WIDTH_MAX))


if __name__ == "__main__":
    main()
