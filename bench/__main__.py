"""`python -m bench`: measure everything, write bench/RESULTS.md and bench/results.svg.

Meant for a machine with nothing else to do: the first lines of the results say how busy it was.
What has been found so far is kept in out/bench/results.json while it goes on; a part of a run
(`--only`, `--records`, `--kinds`, `--contestants`, `--quick`) is printed, and kept in partial.json.
"""

from __future__ import annotations

import argparse
import importlib
import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import bench
from bench import head, large, matrix, quote, tables
from bench.contestants import ENTRIES, OWN
from bench.kinds import KINDS
from bench.report import Section
from bench.results import OPERATIONS, PARTIAL, STORED, Results, load
from bench.telemetry import NUM_CYCLES_QUICK
from bench.timing import reason_of

RESULTS = Path(__file__).with_name("RESULTS.md")
PICTURE = Path(__file__).with_name("results.svg")
# The parts beside the matrix; one that is not there, or whose packages are not, is passed over.
PARTS = ("recording", "speed", "sizes", "importing", "catalogue")
_SYNONYMS = {"sizes": ("size",), "memory": ("memory, write", "memory, read")}


def main(arguments: list[str] | None = None) -> int:
    """Measure or render, by the wishes of the command line."""
    options = _parser().parse_args(arguments)
    if options.render:
        return _render(options.source)
    try:
        plan, parts, is_whole = _wishes(options)
    except ValueError as err:
        print(f"python -m bench: {err}", file=sys.stderr)
        return 2
    stored = STORED if is_whole else PARTIAL
    results = Results()

    def save() -> None:
        results.save(stored)

    command = shlex.join(["python", "-m", "bench", *(sys.argv[1:] if arguments is None else [])])
    results.head = head.lines(command)
    if plan:
        matrix.measure(plan, results, save)
    if options.large:
        large.measure(options.large, _cycles(options), _contestants(options), results)
        save()
    for part in parts:
        results.sections += _sections(part, options.quick)
        save()
    results.complete = is_whole
    save()
    print(tables.render(results))
    return _render(stored) if is_whole else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=bench.__doc__)
    parser.add_argument("--quick", action="store_true", help="short runs, few rounds, no files")
    parser.add_argument(
        "--large", nargs="?", type=_count, const=large.NUM_LARGE, metavar="N",
        help="also a run of 1e8 records, in pieces; takes most of an hour and 10 GB of disk",
    )  # fmt: skip
    parser.add_argument("--only", metavar="WHAT", help=f"of {', '.join(_known())}; comma-separated")
    parser.add_argument("--records", metavar="N,...", help="lengths, such as 1e3,1e5")
    parser.add_argument("--kinds", metavar="KIND,...", help=f"of {', '.join(KINDS)}")
    parser.add_argument(
        "--contestants", metavar="NAME;...", help="by their names; semicolons between; cmeta always"
    )
    parser.add_argument("--render", action="store_true", help="only make text and picture anew")
    parser.add_argument(
        "--source", type=Path, default=STORED, metavar="FILE", help="what --render reads"
    )
    return parser


def _known() -> list[str]:
    return [*OPERATIONS, *_SYNONYMS, *(f"part:{name}" for name in PARTS)]


def _count(text: str) -> int:
    """Return a number such as 1e5."""
    value = float(text)
    if value < 1 or value != int(value):
        raise ValueError(f"{text!r} is not a number of records")
    return int(value)


def _wishes(options: argparse.Namespace) -> tuple[matrix.Plan | None, list[str], bool]:
    """Return the plan of the matrix, the parts beside it, and whether that is all there is.

    Raises
    ------
    ValueError
        A wish names what does not exist.
    """
    only = _chosen(options.only, _known(), "--only")
    wanted = [name for word in only for name in _SYNONYMS.get(word, (word,))]
    operations = tuple(o for o in OPERATIONS if o in wanted) if only else tuple(OPERATIONS)
    parts = [p for p in PARTS if f"part:{p}" in wanted] if only else list(PARTS)
    chosen = _chosen(options.kinds, list(KINDS), "--kinds")
    is_part = bool(only or chosen or options.records or options.contestants or options.quick)
    plan = matrix.Plan(operations=operations, contestants=_contestants(options))
    plan = replace(plan, num_cycles=_cycles(options))
    if chosen:
        plan = replace(plan, kinds=tuple(k for k in KINDS if k in chosen))
    if options.quick:
        plan = replace(plan, lengths=(2_000,), budget=0.1, rounds=3, longest=4.0)
        if not only:
            plan = replace(plan, operations=tuple(o for o in operations if "memory" not in o))
    if options.records:
        lengths = sorted({_count(text) for text in options.records.split(",")})
        plan = replace(plan, lengths=tuple(lengths))
    if only and not operations:
        return None, parts, False
    return plan, [] if is_part and not only and not options.quick else parts, not is_part


def _chosen(text: str | None, known: list[str], option: str) -> list[str]:
    found = [word.strip() for word in text.split(",")] if text else []
    for word in found:
        if word not in known:
            raise ValueError(f"{option}: found {word!r}, expected some of {', '.join(known)}")
    return found


def _contestants(options: argparse.Namespace) -> tuple[str, ...]:
    names = [entry.name for entry in ENTRIES]
    if not options.contestants:
        return tuple(names)
    found = [word.strip() for word in options.contestants.split(";")]
    for word in found:
        if word not in names:
            raise ValueError(f"--contestants: found {word!r}, expected some of {'; '.join(names)}")
    return tuple(name for name in names if name in {OWN, *found})


def _cycles(options: argparse.Namespace) -> int:
    return NUM_CYCLES_QUICK if options.quick else matrix.Plan().num_cycles


def _sections(part: str, quick: bool) -> list[Section]:
    """Measure a part beside the matrix; one that fails says so."""
    print(part, file=sys.stderr, flush=True)
    try:
        measure: Callable[[bool], list[Section]] = importlib.import_module(f"bench.{part}").measure
        return measure(quick)
    except ModuleNotFoundError as err:
        if err.name == f"bench.{part}":
            return []
        return [Section(f"Not measured: {part}", reason_of(err))]
    except Exception as err:  # the other parts are not to suffer
        return [Section(f"Not measured: {part}", reason_of(err))]


def _render(source: Path) -> int:
    """Write text and picture of what was kept."""
    try:
        results = load(source)
    except FileNotFoundError:
        print(f"{source}: nothing has been measured; run `python -m bench`", file=sys.stderr)
        return 2
    text = tables.render(results)
    RESULTS.write_text(text, "utf-8")
    print(f"written to {RESULTS}", file=sys.stderr)
    if results.complete and source == STORED:
        quote.PAGE.write_text(quote.in_step(quote.PAGE.read_text("utf-8"), text), "utf-8")
        quote.SIZES.write_text(quote.picture(text), "utf-8")
        print(f"quoted in {quote.PAGE} and {quote.SIZES}", file=sys.stderr)
    try:
        from bench import picture

        picture.draw(results, PICTURE)
        print(f"written to {PICTURE}", file=sys.stderr)
    except ImportError as err:
        print(f"no picture: {err}; pip install 'cmeta-format[bench]'", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
