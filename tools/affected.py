"""``python -m tools.affected``: the tests of what has changed, as arguments for pytest.

    python -m tools.affected                 what differs from main, or is not committed
    python -m tools.affected --room reader   one room of the package

A room is tested by ``tests/ROOM``, ``tests/test_ROOM.py``, the tests that `ALSO` adds, and the
doctests of its changed modules. The core set, a few seconds of architecture and end to end, is
always part of the answer, and the whole answer where nothing has changed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[1]
CORE = (
    "tests/test_architecture.py", "tests/test_canonical.py", "tests/test_chronicle.py",
    "tests/format/test_checksum.py", "tests/records/test_record.py",
)  # fmt: skip
GUIDE = "tests/docs/test_guides.py::test_the_blocks_of_a_guide_run[{}]"
# The tests of what is not a room of the package.
ELSEWHERE = {
    "README.md": (GUIDE.format("README.md"),),
    "SPEC.md": ("tests/spec",),
    "schema": ("tests/schema", "tests/spec"),
    "bench": ("tests/bench",),
    "examples": ("tests/examples",),
    "fuzz": ("tests/hostile/test_mutations.py",),
    "pyproject.toml": ("tests/test_wheel.py",),
}
# The tests of a room besides those that have its name; a name that does not exist is left out.
ALSO = {
    "format": ("tests/hostile/test_lies_of_columns.py", "tests/properties/test_plan.py"),
    "records": ("tests/write", "tests/reader/test_arrow.py"),
    "storage": ("tests/test_source.py", "tests/crash/test_faults.py"),
    "compare": ("tests/replay", "tests/diff"),
    "safe_text": ("tests/cli/test_hostile_names.py",),
    "validate": ("tests/test_validate.py", "tests/hostile/test_lies_of_files.py"),
    "recorder": ("tests/crash/test_faults.py",),
    "tools": ("tests/test_parallel.py",),
    "testing": ("tests/properties/test_strategies.py",),
}  # fmt: skip


def affected_by(path: PurePosixPath, root: Path = ROOT) -> Iterator[str]:
    """Yield the arguments for pytest that test one file of the project."""
    first, *rest = path.parts
    if first == "tests":
        yield from _among_tests(path, root)
    elif first == "cmeta" and rest:
        place = rest[1:] if rest[0] == "tools" and len(rest) > 1 else rest
        yield from of_room(PurePosixPath(place[0]).stem, root)
        if path.suffix == ".py" and (root / path).exists():
            yield str(path)
    elif first == "docs":
        yield GUIDE.format(path) if path.match("docs/*.md") else "tests/docs/test_site.py"
    elif first == "tools":
        own = f"tests/test_{path.stem}.py"
        yield own if (root / own).exists() else "tests/spec"
    else:
        yield from ELSEWHERE.get(first, ())


def _among_tests(path: PurePosixPath, root: Path) -> Iterator[str]:
    if path.name.startswith("test_") and path.suffix == ".py":
        if (root / path).exists():
            yield str(path)
    elif len(path.parts) > 2:  # a helper, or a conftest, is tested by its neighbours
        folder = root / path.parent
        yield from sorted(str(PurePosixPath(path.parent, f.name)) for f in folder.glob("test_*.py"))


def of_room(room: str, root: Path = ROOT) -> list[str]:
    """Return the tests of a room of the package; an empty list if it has none."""
    names = (f"tests/{room}", f"tests/test_{room}.py", *ALSO.get(room, ()))
    return [name for name in names if (root / name).exists()]


def changed(root: Path = ROOT) -> list[PurePosixPath]:
    """Return the files that differ from main, in commits or in the work tree."""
    base = _git(root, "merge-base", "HEAD", "main") or ["HEAD"]
    names = _git(root, "diff", "--name-only", "--no-renames", base[0])
    names += _git(root, "ls-files", "--others", "--exclude-standard")
    return [PurePosixPath(name) for name in dict.fromkeys(names)]


def _git(root: Path, *arguments: str) -> list[str]:
    """Return the lines that a git command prints; none where it fails."""
    command = ["git", "-c", "core.quotePath=off", *arguments]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    return done.stdout.splitlines() if done.returncode == 0 else []


def select(paths: Iterable[PurePosixPath], rooms: Iterable[str], root: Path = ROOT) -> list[str]:
    """Return the arguments for pytest, the core set first, each once and none within another."""
    chosen = dict.fromkeys(CORE)
    for room in rooms:
        chosen |= dict.fromkeys(of_room(room, root))
    for path in paths:
        chosen |= dict.fromkeys(affected_by(path, root))
    return [name for name in chosen if not any(_is_within(name, other) for other in chosen)]


def _is_within(name: str, other: str) -> bool:
    return name.startswith((f"{other}/", f"{other}::"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the arguments, one a line; 2 if a room has no tests."""
    parser = argparse.ArgumentParser(prog="python -m tools.affected", description=__doc__)
    parser.add_argument("--room", action="append", default=[], help="this room, whatever changed")
    rooms = parser.parse_args(arguments).room
    for room in rooms:
        if not of_room(room):
            print(
                f"no tests of a room {room!r}: found neither tests/{room} nor tests/test_{room}.py",
                file=sys.stderr,
            )
            return 2
    print("\n".join(select([] if rooms else changed(), rooms)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
