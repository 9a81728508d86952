"""`python -m bench`: measure everything, write bench/RESULTS.md and bench/results.svg.

Run it on an idle machine: the first lines of the results state the load. Results are saved to
out/bench/results.json as they arrive; those of a partial run (`--only`, `--records`, `--workloads`,
`--competitors`, `--quick`) are printed and saved to partial.json.
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
from bench.competitors import ENTRIES, OWN
from bench.report import Section
from bench.results import OPERATIONS, PARTIAL, STORED, Results, load
from bench.telemetry import NUM_CYCLES_QUICK
from bench.timing import reason_of
from bench.workloads import WORKLOADS

RESULTS = Path(__file__).with_name("RESULTS.md")
PICTURE = Path(__file__).with_name("results.svg")
# The parts apart from the matrix; one whose module or packages are missing is skipped.
PARTS = ("recording", "value_types", "speed", "sizes", "importing", "catalogue")
_SYNONYMS = {"sizes": ("size",), "memory": ("memory, write", "memory, read")}


def main(arguments: list[str] | None = None) -> int:
    """Measure or render, as the command line asks."""
    options = _parser().parse_args(arguments)
    if options.render:
        return _render(options.source)
    try:
        plan, parts, is_complete = _plan(options)
    except ValueError as err:
        print(f"python -m bench: {err}", file=sys.stderr)
        return 2
    stored = STORED if is_complete else PARTIAL
    results = Results()

    def save() -> None:
        results.save(stored)

    command = shlex.join(["python", "-m", "bench", *(sys.argv[1:] if arguments is None else [])])
    results.head = head.lines(command)
    if plan:
        matrix.measure(plan, results, save)
    if options.large:
        large.measure(options.large, _cycles(options), _competitors(options), results)
        save()
    for part in parts:
        results.sections += _sections(part, options.quick)
        save()
    results.complete = is_complete
    save()
    print(tables.render(results))
    return _render(stored) if is_complete else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=bench.__doc__)
    parser.add_argument("--quick", action="store_true", help="short runs, few rounds, no files")
    parser.add_argument(
        "--large", nargs="?", type=_count, const=large.NUM_LARGE, metavar="N",
        help="also a run of 1e8 records, in chunks; takes most of an hour and 10 GB of disk",
    )  # fmt: skip
    parser.add_argument("--only", metavar="PART,...", help=f"of {', '.join(_known())}")
    parser.add_argument("--records", metavar="N,...", help="lengths, such as 1e3,1e5")
    parser.add_argument("--workloads", metavar="WORKLOAD,...", help=f"of {', '.join(WORKLOADS)}")
    parser.add_argument(
        "--competitors",
        metavar="NAME;...",
        help="by name, separated by semicolons; cmeta is always included",
    )
    parser.add_argument("--render", action="store_true", help="only render text and picture again")
    parser.add_argument(
        "--source", type=Path, default=STORED, metavar="FILE", help="the results to render"
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


def _plan(options: argparse.Namespace) -> tuple[matrix.Plan | None, list[str], bool]:
    """Return the plan of the matrix, the other parts, and whether that is everything.

    Raises
    ------
    ValueError
        An option has an unknown value.
    """
    only = _chosen(options.only, _known(), "--only")
    wanted = [name for word in only for name in _SYNONYMS.get(word, (word,))]
    operations = tuple(o for o in OPERATIONS if o in wanted) if only else tuple(OPERATIONS)
    parts = [p for p in PARTS if f"part:{p}" in wanted] if only else list(PARTS)
    chosen = _chosen(options.workloads, list(WORKLOADS), "--workloads")
    is_part = bool(only or chosen or options.records or options.competitors or options.quick)
    plan = matrix.Plan(operations=operations, competitors=_competitors(options))
    plan = replace(plan, num_cycles=_cycles(options))
    if chosen:
        plan = replace(plan, workloads=tuple(k for k in WORKLOADS if k in chosen))
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
    words = [word.strip() for word in text.split(",")] if text else []
    for word in words:
        if word not in known:
            raise ValueError(f"{option}: found {word!r}, expected some of {', '.join(known)}")
    return words


def _competitors(options: argparse.Namespace) -> tuple[str, ...]:
    names = [entry.name for entry in ENTRIES]
    if not options.competitors:
        return tuple(names)
    words = [word.strip() for word in options.competitors.split(";")]
    for word in words:
        if word not in names:
            raise ValueError(f"--competitors: found {word!r}, expected some of {'; '.join(names)}")
    return tuple(name for name in names if name in {OWN, *words})


def _cycles(options: argparse.Namespace) -> int:
    return NUM_CYCLES_QUICK if options.quick else matrix.Plan().num_cycles


def _sections(part: str, quick: bool) -> list[Section]:
    """Measure a part apart from the matrix; a failure becomes a section."""
    print(part, file=sys.stderr, flush=True)
    try:
        measure: Callable[[bool], list[Section]] = importlib.import_module(f"bench.{part}").measure
        return measure(quick)
    except ModuleNotFoundError as err:
        if err.name == f"bench.{part}":
            return []
        return [Section(f"Not measured: {part}", reason_of(err))]
    except Exception as err:  # must not stop the other parts
        return [Section(f"Not measured: {part}", reason_of(err))]


def _render(source: Path) -> int:
    """Write text and picture of stored results."""
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
