"""What the README quotes of RESULTS.md: a table between markers, cut out of its ratios."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"
LENGTH, SHORT = "1,000,000", "1,000"
OPERATIONS = ("write", "read", "column", "range", "append")
_BLOCK = re.compile(r"(<!-- generated: bench -->\n).*?(<!-- end: bench -->)", re.DOTALL)
_ABSENT = re.compile(r"\(\d+\)|")

Grid = Mapping[str, Mapping[str, str]]  # cells by contestant and operation


def quote(results: str) -> str:
    """Return the table.

    Parameters
    ----------
    results : str
        The text of RESULTS.md.

    Returns
    -------
    str
        Markdown: cmeta's figure through each other's, sizes on four kinds of telemetry, times on
        the first; of a contestant without a figure for many records, that for few.
    """
    ratios = results[results.index("## Ratios") : results.index("## Absolute figures")]
    kinds = list(dict.fromkeys(re.findall(rf"^### (\w+), {LENGTH} records$", ratios, re.M)))
    grids = {(k, n): _grid(ratios, f"{k}, {n} records") for k in kinds for n in (LENGTH, SHORT)}
    wanted = [(kind, "size") for kind in kinds] + [(kinds[0], name) for name in OPERATIONS]
    header = ["cmeta / it", *(f"size, {kind}" for kind in kinds), *OPERATIONS]
    lines = [header, ["---", *["---:"] * len(wanted)]]
    for name in grids[kinds[0], LENGTH]:
        if name != "cmeta":
            row = [_cell(grids, kind, name, operation) for kind, operation in wanted]
            lines.append([name, *row])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def in_step(readme: str, results: str) -> str:
    """Return the README with the quotation as it must be."""
    return _BLOCK.sub(lambda m: f"{m[1]}{quote(results)}{m[2]}", readme)


def _grid(text: str, title: str) -> Grid:
    table = text[text.index(f"### {title}\n") :].split("\n\n")[1]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    head = rows[0][1:]
    return {row[0].rstrip(" †"): dict(zip(head, row[1:], strict=True)) for row in rows[2:]}


def _cell(grids: Mapping[tuple[str, str], Grid], kind: str, name: str, operation: str) -> str:
    for length, mark in ((LENGTH, ""), (SHORT, "‡")):
        found = grids[kind, length].get(name, {}).get(operation, "")
        if not _ABSENT.fullmatch(found):
            return found + mark
    return "-"
