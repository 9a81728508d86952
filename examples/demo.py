"""The demo: train a real model, record every cycle, and look at the file from all sides.

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
    """Run the demo; the file stays where `--out` says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cycles", type=int, default=NUM_CYCLES, metavar="N")
    parser.add_argument("--out", type=Path, default=Path("out/digits.cmeta"), metavar="FILE")
    options = parser.parse_args()
    if options.cycles < 1:
        parser.error("--cycles: expected at least 1")
    path: Path = options.out
    path.parent.mkdir(parents=True, exist_ok=True)

    say(1, f"Train a network; record each of {options.cycles:,} cycles; be killed in the middle")
    whole = record_run(path, options.cycles)
    say(2, "Is it the file of a run that was never interrupted?")
    compare_with_uninterrupted(path, whole, options.cycles)
    say(3, "What is in the file? It explains itself")
    run_cmeta("info", str(path))
    say(4, "Is it intact? Every checksum and every choice of the encoder is checked")
    run_cmeta("validate", str(path))
    say(5, "What happened around the last action? A range reads only what it needs")
    show_last_action(path)
    say(6, "How large are the same records elsewhere?")
    show_sizes(path)
    say(7, "Is the run reproducible? Train again from its seeds; compare all values")
    run_cmeta("replay", str(path), f"{TRAINING}:Replay")
    say(8, "And with a momentum of 0.89 in place of 0.9?")
    run_cmeta("replay", str(path), f"{TRAINING}:LessMomentum", code=1)
    say(9, "What did the network do?")
    with cmeta.open(path) as run:
        colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        print(loss_chart(run, terminal_width(), colour=colour))
    print(f"\n{path} is yours: try `cmeta cat {path} --phase validate`.")


def say(number: int, what: str) -> None:
    """Print the headline of a step."""
    print(f"\n{number}. {what}\n")


def record_run(path: Path, num_cycles: int) -> Path:
    """Record in a process that is killed, and again; return the file of one that is not."""
    for old in (path, *path.parent.glob(f"{path.stem}.*")):
        old.unlink(missing_ok=True)
    num = killed_at(path, num_cycles, random.SystemRandom().uniform(0.4, 0.8))
    with cmeta.open(path) as run:
        print(f"SIGKILL after {num:,} cycles or a few more. The file is {run.state}, and holds")
        print(f"{len(run):,} records: {run.batches[-1].num_records:,} of them in its journal.")
        num_kept = len(run) // CHECKPOINT_EVERY * CHECKPOINT_EVERY
    train(path, num_cycles)
    print(f"Started once more, it went on from its checkpoint after {num_kept:,} cycles;")
    for side in path.parent.glob(f"{path.stem}.dropped-from-*"):
        with cmeta.open(side) as dropped:
            print(f"{len(dropped):,} records behind that were moved to {side}.")
    whole = path.with_name(f"{path.stem}-uninterrupted.cmeta")
    begun = time.monotonic()
    train(whole, num_cycles, "--replace")
    print(f"A run without a pause takes {time.monotonic() - begun:.1f} s.")
    return whole


def train(path: Path, num_cycles: int, *more: str) -> None:
    """Run the training to its end, in a process of its own.

    Raises
    ------
    SystemExit
        It failed.
    """
    done = subprocess.run(training_command(path, num_cycles, *more), stdout=subprocess.DEVNULL)
    if done.returncode:
        sys.exit(done.returncode)


def killed_at(path: Path, num_cycles: int, share: float) -> int:
    """Start the training, and kill it once it has recorded a share of its cycles."""
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
    """Show that the bytes are the same, or give up.

    Raises
    ------
    SystemExit
        They are not.
    """
    for each in (path, whole):
        print(f"{each}, sha256\n  {hashlib.sha256(each.read_bytes()).hexdigest()}")
    if path.read_bytes() != whole.read_bytes():
        sys.exit("The files differ: this is a defect of cmeta. Please report it.")
    print(f"Yes: all {path.stat().st_size:,} bytes of {num_cycles:,} cycles.")


def run_cmeta(*arguments: str, code: int = 0) -> None:
    """Print a command line as one would type it, and run it.

    Raises
    ------
    SystemExit
        It did not end with this exit code.
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
    """Print what the records take in each format, by cmeta's side."""
    ours = path.stat().st_size
    with cmeta.open(path) as run:
        records = list(run)
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
