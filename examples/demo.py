"""The demo: train a real model, record every cycle, and inspect the file.

    make demo

Data goes to stdout; a line of progress goes to stderr, and only on a terminal.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import random
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

from chart import loss_chart
from digits_mlp import CHECKPOINT_EVERY
from sizes import sizes

import cmeta

TRAINING = os.path.relpath(Path(__file__).with_name("digits_mlp.py"))
SEED = 7
NUM_CYCLES = 5000
WIDTH_MAX = 100
AROUND = 5  # cycles to show on either side of an action
FIELDS = ("timestamp", "phase", "loss_value", "val_accuracy", "lr", "action_code")


def main() -> None:
    """Run the demo; the file stays at `--out`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cycles", type=int, default=NUM_CYCLES, metavar="N")
    parser.add_argument("--out", type=Path, default=Path("out/digits.cmeta"), metavar="FILE")
    options = parser.parse_args()
    if options.cycles < 1:
        parser.error("--cycles: expected at least 1")
    path: Path = options.out
    path.parent.mkdir(parents=True, exist_ok=True)

    headline(1, f"Train a network, record each of {options.cycles:,} cycles, and kill it half-way")
    whole = record_run(path, options.cycles)
    headline(2, "Is the file the same as that of an uninterrupted run?")
    compare_with_uninterrupted(path, whole, options.cycles)
    headline(3, "What is in the file? It is self-describing")
    run_cmeta("info", str(path))
    headline(4, "Is it intact? Every checksum and every choice of the encoder is checked")
    run_cmeta("validate", str(path))
    headline(5, "What happened around the last action? A range reads only what it needs")
    show_last_action(path)
    headline(6, "How large are the same records elsewhere?")
    show_sizes(path)
    headline(7, "Is the run reproducible? Train again from its seeds, and compare all values")
    run_cmeta("replay", str(path), f"{TRAINING}:Replay")
    headline(8, "And with a momentum of 0.89 instead of 0.9?")
    run_cmeta("replay", str(path), f"{TRAINING}:LessMomentum", code=1)
    headline(9, "What did the network do?")
    with cmeta.open(path) as run:
        colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        print(loss_chart(run, terminal_width(), colour=colour))
    print(f"\n{path} is yours: try `cmeta cat {path} --phase validate`.")


def headline(number: int, text: str) -> None:
    """Print the headline of a step."""
    print(f"\n{number}. {text}\n")


def record_run(path: Path, num_cycles: int) -> Path:
    """Record in a process that is killed, and resume; return the file of one that is not."""
    for old in (path, *path.parent.glob(f"{path.stem}.*")):
        old.unlink(missing_ok=True)
    num = killed_at(path, num_cycles, random.SystemRandom().uniform(0.4, 0.8))
    with cmeta.open(path) as run:
        print(f"SIGKILL after {num:,} cycles or a few more. The file is {run.state}, and holds")
        print(f"{len(run):,} records: {run.batches[-1].num_records:,} of them in its journal.")
        num_kept = len(run) // CHECKPOINT_EVERY * CHECKPOINT_EVERY
    train(path, num_cycles)
    print(f"Started again, it went on from its checkpoint after {num_kept:,} cycles;")
    for side in path.parent.glob(f"{path.stem}.dropped-from-*"):
        with cmeta.open(side) as dropped:
            print(f"{len(dropped):,} later records were moved to {side}.")
    whole = path.with_name(f"{path.stem}-uninterrupted.cmeta")
    begun = time.monotonic()
    train(whole, num_cycles, "--replace")
    print(f"An uninterrupted run takes {time.monotonic() - begun:.1f} s.")
    return whole


def train(path: Path, num_cycles: int, *more: str) -> None:
    """Run the training to its end, in another process.

    Raises
    ------
    SystemExit
        The training failed.
    """
    done = subprocess.run(training_command(path, num_cycles, *more), stdout=subprocess.DEVNULL)
    if done.returncode:
        sys.exit(done.returncode)


def killed_at(path: Path, num_cycles: int, share: float) -> int:
    """Start the training and kill it once it has recorded a share of its cycles."""
    process = subprocess.Popen(training_command(path, num_cycles), stdout=subprocess.DEVNULL)
    num = 0
    while num < share * num_cycles and process.poll() is None:
        time.sleep(0.01)
        with contextlib.suppress(OSError), cmeta.open(path) as run:
            num = len(run)
    process.kill()
    process.wait()
    return num


def training_command(path: Path, num_cycles: int, *more: str) -> list[str]:
    """Return the command line of the training."""
    options = ["--cycles", str(num_cycles), "--seed", str(SEED), "--out", str(path), *more]
    return [sys.executable, TRAINING, *options]


def compare_with_uninterrupted(path: Path, whole: Path, num_cycles: int) -> None:
    """Show that the bytes are the same, or stop.

    Raises
    ------
    SystemExit
        They differ.
    """
    for each in (path, whole):
        print(f"{each}, sha256\n  {hashlib.sha256(each.read_bytes()).hexdigest()}")
    if path.read_bytes() != whole.read_bytes():
        sys.exit("The files differ: this is a defect of cmeta. Please report it.")
    print(f"Yes: all {path.stat().st_size:,} bytes of {num_cycles:,} cycles.")


def run_cmeta(*arguments: str, code: int = 0) -> None:
    """Print a command line as typed, and run it.

    Raises
    ------
    SystemExit
        The exit code is another one.
    """
    line = shlex.join(["cmeta", *arguments])
    print("$", line.replace(" --fields", " \\\n    --fields"), flush=True)
    done = subprocess.run([sys.executable, "-m", "cmeta", *arguments], check=False)
    if done.returncode != code:
        sys.exit(done.returncode or 1)
    if code:
        print(f"(exit code {code})")


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


def show_sizes(path: Path) -> None:
    """Print the size of the records in each format."""
    ours = path.stat().st_size
    with cmeta.open(path) as run:
        records = list(run)
        found = sizes(records, run.read(codes=True)) | {"cmeta": ours}
    print(f"{'format':32}{'bytes':>12}{'bytes/record':>15}{'ratio':>9}")
    for name, size in sorted(found.items(), key=lambda item: -item[1]):
        print(f"{name:32}{size:>12,}{size / len(records):>15.1f}{size / ours:>8.2f}x")
    print("\nEach validation has a digest of the network: 8 bytes that do not compress.")


def terminal_width() -> int:
    """Return the width to draw in: the terminal's, within limits; 80 without a terminal."""
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else 80
    return max(40, min(columns, WIDTH_MAX))


if __name__ == "__main__":
    main()
