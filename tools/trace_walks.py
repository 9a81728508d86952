"""Traces the two walks that a newcomer follows, and prints the files and the deepest frame of each.

- A record from `Recorder.log` to the disk: its row in the journal, then its batch in the file.
- Bytes to the answer of `Reader.read`: a closed file opened and read as a whole.

Run it in a checkout: ``python -m tools.trace_walks``. Files are those of the package in which a
function runs; importing does not count, nor does a first run that fills caches. The depth is
counted from the user's call down, all Python frames included.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import cmeta

_PACKAGE = Path(cmeta.__file__).parent
_NUM_RECORDS = 5000  # more than a batch


@dataclass
class Walk:
    """One traced walk.

    Attributes
    ----------
    files : dict of str to int
        Number of function calls by file of the package.
    deepest : list of str
        The frames of the deepest stack, from the user's call down.
    is_counting : bool
        Calls count only while this is true.
    """

    files: dict[str, int] = field(default_factory=dict)
    deepest: list[str] = field(default_factory=list)
    is_counting: bool = False

    def trace(self, work: Callable[[], None]) -> None:
        """Run `work`, and note every function of the package that is called, in every thread."""
        bottom = sys._getframe()

        def on_event(frame: FrameType, event: str, argument: object) -> None:
            if event != "call" or not self.is_counting:
                return
            path = Path(frame.f_code.co_filename)
            if _PACKAGE not in path.parents or frame.f_code.co_name == "<module>":
                return
            name = path.relative_to(_PACKAGE).as_posix()
            self.files[name] = self.files.get(name, 0) + 1
            stack = _stack(frame, bottom)
            if len(stack) > len(self.deepest):
                self.deepest = stack

        threading.setprofile(on_event)
        sys.setprofile(on_event)
        try:
            work()
        finally:
            sys.setprofile(None)
            threading.setprofile(None)  # type: ignore[arg-type]


def _stack(frame: FrameType | None, bottom: FrameType) -> list[str]:
    stack = []
    while frame is not None and frame is not bottom:
        stack.append(f"{Path(frame.f_code.co_filename).name}:{frame.f_code.co_name}")
        frame = frame.f_back
    return stack[-2::-1] if frame is not None else stack[::-1]  # without the function traced


def record_to_disk(folder: Path) -> Walk:
    """Trace the records of more than a batch: logged, written to the journal, and sealed."""
    walk = Walk()

    def record(number: int) -> None:
        with cmeta.Recorder(folder / f"{number}.cmeta", seed=7, config={"lr": 0.1}) as recorder:
            walk.is_counting = number > 0  # the first run fills caches
            for step in range(_NUM_RECORDS):
                recorder.log("train", loss=0.25 / (step + 1) + 1, step=step, metrics={"lr": 0.1})
            recorder.seal()
            walk.is_counting = False

    walk.trace(lambda: record(0))
    walk.trace(lambda: record(1))
    return walk


def read_answer(path: Path) -> Walk:
    """Trace how a closed file is opened and read as a whole."""

    def read() -> None:
        with cmeta.open(path) as run:
            run.read()

    read()
    walk = Walk(is_counting=True)
    walk.trace(read)
    return walk


def main() -> None:
    """Print both walks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", action="store_true", help="list the files and the deepest stack")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        walks = {
            "a record from log to the disk": record_to_disk(Path(folder)),
            "bytes to the answer of read": read_answer(Path(folder, "1.cmeta")),
        }
    for title, walk in walks.items():
        print(f"{title}: {len(walk.files)} files, deepest frame {len(walk.deepest)}")
        if options.files:
            for name, calls in sorted(walk.files.items()):
                print(f"  {name}  ({calls:,} calls)")
            print("  deepest: " + " > ".join(walk.deepest))


if __name__ == "__main__":
    main()
