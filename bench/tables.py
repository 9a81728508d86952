"""RESULTS.md: ratios first, then absolute figures.

A ratio is cmeta's figure divided by the other's: below 1 cmeta is smaller or faster; above 1 the
other is, and the ratio is bold.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from bench.competitors import ENTRIES, OWN
from bench.matrix import NUM_APPENDED
from bench.report import Goal, Table
from bench.results import LARGE_ONLY, OPERATIONS, Cell, Grid, Results
from bench.workloads import COLUMN, FIELDS, WORKLOADS

_UNITS = OPERATIONS | LARGE_ONLY

HOW = f"""
Fourteen columns, ten of them float32, masked where something is absent: {", ".join(FIELDS)}. \
Every competitor is given numpy arrays and returns them; the arrays are compared bit for bit \
before anything is timed. Every operation opens and closes the file; files are in the page cache. \
Each competitor is warmed up by one run, then all take turns; a time is the median of 3 to 25 \
rounds, or a single run where that takes more than two seconds. One thread, unless a table says \
otherwise.

- *write*: all records as arrays; loggers: one call per record.
- *read*: everything. *column*: `{COLUMN}` alone. *range*: a tenth of the records, at most 1,000, \
by timestamp, all columns. *open*: until the number of records is known.
- *append*: {NUM_APPENDED} records to a closed file; a format that cannot append is rewritten.
- *verify*: whatever the format can check.
- *memory*: the rise of the resident peak of a separate process, after a small warm-up.
- Formats differ in what a write syncs to disk: see below. cmeta syncs file and folder, the \
Parquet writers nothing.
- Floats are multiples of a millionth, as cmeta stores them, so that every format can store them \
exactly; without that rounding cmeta's sizes would not be comparable. Seeds are those that \
`Recorder.cycle` derives, an arithmetic sequence: delta codings reduce them to nothing, the others \
need eight bytes a record. Telemetry longer than the trained run (100,000 records) repeats it with \
its floats scaled differently each time, so that no compressor finds the repetition.
""".strip()


def render(results: Results) -> str:
    """Return RESULTS.md."""
    head = "\n".join(f"- {what}: {text}" for what, text in results.head)
    parts = [f"# Results\n\n{head}\n"]
    if not results.complete:
        parts.append("**Part of a run only.**\n")
    if results.cells:
        parts += [f"![Figures of the others as multiples of cmeta's](results.svg)\n\n{HOW}\n"]
        parts += [better(results).render(), *ratios(results)]
    if results.sections:
        parts.append(goals(results).render())
    if results.cells:
        parts += [*absolutes(results), "## Notes\n", *notes(results)]
    return "\n".join([*parts, *(section.render() for section in results.sections)])


def goals(results: Results) -> Table:
    """Return the goals of all sections."""
    rows = [[part.title, *goal.row()] for part in results.sections for goal in part.goals]
    return Table("All goals", ["section", *Goal.HEADER], rows)


def better(results: Results) -> Table:
    """Return how often and by how much at most each competitor is better than cmeta."""
    grids = [results.of(workload, length) for workload, length in pairs(results)]
    operations = [o for o in _UNITS if any(o in grid.operations for grid in grids)]
    rows = []
    for name in dict.fromkeys(n for grid in grids for n in grid.competitors if n != OWN):
        row = [name]
        for operation in operations:
            found = [grid.ratio(OWN, name, operation) for grid in grids]
            known = [ratio for ratio in found if ratio is not None]
            worse = [ratio for ratio in known if ratio > 1]
            share = f"{len(worse)}/{len(known)}" if known else "-"
            row.append(f"**{share}, {figure(max(worse))}x**" if worse else share)
        rows.append(row)
    note = (
        "In how many of the workloads and lengths measured for both the competitor is smaller or "
        "faster, and by how much at most. One thread."
    )
    return Table("Where others are better than cmeta", ["", *operations], rows, note)


def ratios(results: Results) -> list[str]:
    """Return the tables of ratios, the longest telemetry first."""
    return ["## Ratios: cmeta's figure / the other's\n", *_grids(results, _ratio_of)]


def absolutes(results: Results) -> list[str]:
    """Return the tables of bytes and times."""
    return ["## Absolute figures\n", *_grids(results, _figure_of)]


def pairs(results: Results) -> list[tuple[str, int]]:
    """Return the measured workloads and lengths, longest first."""
    found = {(cell.workload, cell.num_records) for cell in results.cells}
    order = list(WORKLOADS)
    return sorted(found, key=lambda pair: (-pair[1], order.index(pair[0])))


_Show = Callable[[Grid, Cell], str]


def _grids(results: Results, show: _Show) -> list[str]:
    threads = sorted({cell.threads for cell in results.cells})
    found = []
    for workload, length in pairs(results):
        for number in threads:
            grid = results.of(workload, length, number)
            if grid:
                many = f", {number} threads" if number > 1 else ""
                title = f"{workload}, {length:,} records{many}"
                found.append(_grid(results, grid, workload, title, show))
    return found


def _grid(results: Results, grid: Grid, workload: str, title: str, show: _Show) -> str:
    reasons: list[str] = []
    rows = []
    for name in grid.competitors:
        mark = " †" if results.lost(name, workload) else ""
        row = [name + mark]
        for operation in grid.operations:
            cell = grid.cell(name, operation)
            if cell is None:
                row.append("")
            elif cell.value is None:
                if cell.reason not in reasons:
                    reasons.append(cell.reason)
                row.append(f"({reasons.index(cell.reason) + 1})")
            else:
                row.append(show(grid, cell))
        rows.append(row)
    remarks = [f"({number}) {reason}" for number, reason in enumerate(reasons, 1)]
    lost = {name: results.lost(name, workload) for name in grid.competitors}
    remarks += [f"† {n} does not return: {', '.join(c)}" for n, c in lost.items() if c]
    note = "; ".join(remarks) + "." if remarks else ""
    return Table(title, ["", *grid.operations], rows, note).render()


def _ratio_of(grid: Grid, cell: Cell) -> str:
    if cell.competitor == OWN:
        return "1"
    ratio = grid.ratio(OWN, cell.competitor, cell.operation)
    if ratio is None:
        return "-"
    return f"**{figure(ratio)}**" if ratio > 1 else figure(ratio)


def _figure_of(grid: Grid, cell: Cell) -> str:
    value = cell.value or 0.0
    if _UNITS[cell.operation] == "bytes":
        if cell.operation == "size":
            return f"{figure(value / cell.num_records)} B/rec"
        return f"{value / 1e6:,.1f} MB"
    spread = f" ±{cell.spread / 2:.0%}" if cell.rounds >= 3 else ""
    return f"{seconds(value)}{spread}"


def figure(value: float) -> str:
    """Return three significant digits, without an exponent."""
    if not value or not math.isfinite(value):
        return f"{value:g}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"


def seconds(value: float) -> str:
    """Return a time in the unit that suits it."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3)):
        if value >= scale:
            return f"{figure(value / scale)} {unit}"
    return f"{figure(value / 1e-6)} us"


def notes(results: Results) -> list[str]:
    """Return what each competitor syncs, and the notes on its figures."""
    rows = []
    for entry in ENTRIES:
        known = dict(results.notes.get(entry.name, {}))
        if entry.name in results.syncs:
            texts = "; ".join(f"*{operation}*: {text}" for operation, text in known.items())
            rows.append(f"- **{entry.name}**. Syncs: {results.syncs[entry.name]}. {texts}".rstrip())
    return ["\n".join(rows) + "\n"]
