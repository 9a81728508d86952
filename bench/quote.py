"""What the documents quote of RESULTS.md: the table of ratios and the picture of sizes.

Both are made from the text of RESULTS.md alone, so they can be checked without measuring. The table
is between markers in docs/comparison.md; the picture, size.svg, is on the README's first screen.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "comparison.md"
SIZES = Path(__file__).with_name("size.svg")
LENGTHS = ("1,000,000", "100,000", "1,000")  # the longest at which a format was measured counts
LONGEST, SHORTEST = LENGTHS[0], LENGTHS[-1]
OPERATIONS = ("write", "read", "column", "range", "append")
_BLOCK = re.compile(r"(<!-- generated: bench -->\n).*?(<!-- end: bench -->)", re.DOTALL)
_ABSENT = re.compile(r"\(\d+\)|")

Grid = Mapping[str, Mapping[str, str]]  # cells by format and operation


def quote(results: str) -> str:
    """Return the table of ratios.

    Parameters
    ----------
    results : str
        The text of RESULTS.md.

    Returns
    -------
    str
        Markdown: cmeta's figure divided by each other's, sizes on four kinds of telemetry, times on
        the first. A format without a figure for the most records has that for the fewest.
    """
    ratios = results[results.index("## Ratios") : results.index("## Absolute figures")]
    kinds = list(dict.fromkeys(re.findall(rf"^### (\w+), {LONGEST} records$", ratios, re.M)))
    grids = {(k, n): _grid(ratios, f"{k}, {n} records") for k in kinds for n in (LONGEST, SHORTEST)}
    wanted = [(kind, "size") for kind in kinds] + [(kinds[0], name) for name in OPERATIONS]
    header = ["cmeta / other", *(f"size, {kind}" for kind in kinds), *OPERATIONS]
    lines = [header, ["---", *["---:"] * len(wanted)]]
    for name in grids[kinds[0], LONGEST]:
        if name != "cmeta":
            row = [_cell(grids, kind, name, operation) for kind, operation in wanted]
            lines.append([name, *row])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def in_step(page: str, results: str) -> str:
    """Return a page with the table between its markers as RESULTS.md has it."""
    return _BLOCK.sub(lambda m: f"{m[1]}{quote(results)}{m[2]}", page)


def sizes(results: str) -> dict[str, tuple[float, str]]:
    """Return the bytes per record of each format, and the number of records of the measurement.

    Noisy telemetry; smallest first.
    """
    absolute = results[results.index("## Absolute figures") :]
    found: dict[str, tuple[float, str]] = {}
    for length in LENGTHS:
        for name, row in _grid(absolute, f"noisy, {length} records").items():
            size = re.fullmatch(r"([\d.,]+) B/rec", row.get("size", ""))
            if size and name not in found:
                found[name] = float(size[1].replace(",", "")), length
    return dict(sorted(found.items(), key=lambda item: item[1][0]))


def _grid(text: str, title: str) -> Grid:
    table = text[text.index(f"### {title}\n") :].split("\n\n")[1]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    head = rows[0][1:]
    return {row[0].rstrip(" †"): dict(zip(head, row[1:], strict=True)) for row in rows[2:]}


def _cell(grids: Mapping[tuple[str, str], Grid], kind: str, name: str, operation: str) -> str:
    for length, mark in ((LONGEST, ""), (SHORTEST, "‡")):
        cell = grids[kind, length].get(name, {}).get(operation, "")
        if not _ABSENT.fullmatch(cell):
            return cell + mark
    return "-"


# ---------------------------------------------------------------------------- the picture of sizes

_WIDTH, _LABELS, _BARS, _ROW, _TOP = 760, 256, 430, 24, 44  # pixels
_SCALE = 350.0  # bytes per record at the end of the axis; longer bars are cut, and say so
_STYLE = """<style>
  text { font: 13px system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif; fill: #1f2328 }
  .title { font-size: 15px; font-weight: 600 } .own { font-weight: 700 }
  .note { font-size: 11px; fill: #59636e }
  rect { fill: #9aa4af } rect.own { fill: #d9622b } .cut { stroke: #fff; stroke-width: 3 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .note { fill: #9198a1 } rect { fill: #59636e } .cut { stroke: #0d1117 }
  }
</style>"""


def picture(results: str) -> str:
    """Return the bytes per record of each format as bars: an SVG, the same for the same figures."""
    found = sizes(results)
    height = _TOP + _ROW * len(found) + 30
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH}" height="{height}" role="img" aria-label="Bytes per record by format">',
        _STYLE,
        '<text class="title" x="12" y="24">Bytes per record (shorter is better)</text>',
    ]
    for number, (name, (size, length)) in enumerate(found.items()):
        lines += _bar(_TOP + _ROW * number, name, size, "" if length == LONGEST else length)
    note = (
        f"The same {LONGEST} records of noisy telemetry, 14 fields each; fewer where a logger "
        "would take too long."
    )
    lines += [f'<text class="note" x="12" y="{height - 10}">{note}</text>', "</svg>"]
    return "\n".join(lines) + "\n"


def _bar(top: int, name: str, size: float, length: str) -> list[str]:
    own = ' class="own"' if name == "cmeta" else ""
    label = f"{name} ({length} records)" if length else name
    width = _BARS * min(size / _SCALE, 1)
    end, middle = _LABELS + width, top + 12
    lines = [
        f'<text{own} x="{_LABELS - 10}" y="{middle + 4}" text-anchor="end">{escape(label)}</text>',
        f'<rect{own} x="{_LABELS}" y="{top + 4}" width="{width:.1f}" height="16" rx="2"/>',
    ]
    if size > _SCALE:
        lines += [f'<path class="cut" d="M{end - x:.0f} {top + 22} l6 -20"/>' for x in (34, 26)]
    lines.append(f'<text{own} x="{end + 8:.1f}" y="{middle + 4}">{size:,.0f}</text>')
    return lines
