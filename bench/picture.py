"""results.svg: how many times larger or slower the others are, one panel for each operation.

A point right of the line is that many times worse than cmeta, a point left of it better. Points
show the first workload, at the greatest length at which a competitor was measured; a bar spans the
four workloads. The same results give the same bytes; text is kept as text, and its colour follows
the reader's light or dark background.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from bench.competitors import OWN
from bench.matrix import Plan
from bench.results import OPERATIONS, Grid, Results
from bench.workloads import WORKLOADS

_FIRST_WORKLOAD = next(iter(WORKLOADS))

_TITLES = {
    "size": "size on disk", "write": "bulk write", "read": "read all", "column": "read one column",
    "range": "open + read a range", "append": "append 100 records", "open": "open",
    "verify": "verify", "memory, write": "peak memory, write", "memory, read": "peak memory, read",
}  # fmt: skip
_INK, _FAINT = "#1f2428", "#8b949e"  # the first is replaced by the reader's
_WORSE, _BETTER, _SMALL = "#2f81f7", "#d9622b", 5
_STYLE = """<style>
  svg { color: #1f2328 } @media (prefers-color-scheme: dark) { svg { color: #e6edf3 } }
</style>"""


def draw(results: Results, path: Path) -> None:
    """Draw the picture as SVG, or as PNG on white if the path ends so.

    Raises
    ------
    ImportError
        matplotlib is missing.
    """
    import matplotlib

    matplotlib.use("agg")
    settings = {
        "svg.fonttype": "none", "svg.hashsalt": "cmeta", "font.size": 9,
        "font.family": ["DejaVu Sans"], "text.color": _INK, "axes.labelcolor": _INK,
        "xtick.color": _INK, "ytick.color": _INK, "axes.edgecolor": _FAINT,
    }  # fmt: skip
    with matplotlib.rc_context(settings):
        drawn = _figure(results)
        if path.suffix == ".png":
            drawn.savefig(path, dpi=110, facecolor="white")
            return
        text = io.StringIO()
        drawn.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    path.write_text(themed(text.getvalue()), "utf-8")


def themed(svg: str) -> str:
    """Return a picture whose ink is the reader's: dark on light, light on dark."""
    at = svg.index(">", svg.index("<svg")) + 1
    styled = svg[:at] + "\n" + _STYLE + svg[at:]
    fonts = "'DejaVu Sans', Verdana, 'Segoe UI', sans-serif"
    return styled.replace(_INK, "currentColor").replace("'DejaVu Sans'", fonts, -1)


Point = tuple[float, float, float]


def points(results: Results, operation: str) -> dict[str, Point]:
    """Return each competitor's figure divided by cmeta's, with the range over the workloads."""
    found: dict[str, Point] = {}
    for length in _lengths(results):
        grids = [results.of(workload, length) for workload in WORKLOADS]
        first = grids[0]
        for name in first.competitors:
            ratio = first.ratio(name, OWN, operation)
            if name == OWN or name in found or ratio is None:
                continue
            others = [_ratio(grid, name, operation) for grid in grids]
            known = [other for other in others if other is not None]
            found[name] = (ratio, min(known), max(known))
    return found


def labels(results: Results) -> dict[str, str]:
    """Return the names, with the number of records unless it is the greatest."""
    found: dict[str, str] = {}
    lengths = _lengths(results)
    for length in lengths:
        grid = results.of(_FIRST_WORKLOAD, length)
        for name in grid.competitors:
            cell = grid.cell(name, "write") or grid.cell(name, "size")
            if name not in found and cell is not None and cell.value is not None:
                found[name] = name if length == lengths[0] else f"{name} ({length:,})"
    return found


def _lengths(results: Results) -> list[int]:
    """Return the numbers of records of the matrix, longest first, without the large runs."""
    most = max(Plan().lengths)
    return sorted({c.num_records for c in results.cells if c.num_records <= most}, reverse=True)


def _ratio(grid: Grid, name: str, operation: str) -> float | None:
    return grid.ratio(name, OWN, operation) if grid else None


def _figure(results: Results) -> Any:
    from matplotlib.figure import Figure

    names = [n for n in _names(results) if n != OWN]
    names_shown = labels(results)
    panels = {o: points(results, o) for o in OPERATIONS}
    panels = {operation: found for operation, found in panels.items() if found}
    num_columns = min(5, len(panels)) or 1
    num_rows = -(-len(panels) // num_columns) or 1
    drawn = Figure(figsize=(2.1 + 2.1 * num_columns, 1.1 + 2.75 * num_rows))
    axes = drawn.subplots(num_rows, num_columns, sharey=True, squeeze=False).ravel()
    for axis, (operation, found) in zip(axes, panels.items(), strict=False):
        _panel(axis, _TITLES[operation], names, found)
        axis.set_yticks(range(len(names)), [names_shown.get(name, name) for name in names])
    for axis in axes[len(panels) :]:
        axis.set_visible(False)
    longest = next(iter(_lengths(results)), 0)
    title = f"How many times larger or slower than cmeta: {longest:,} records of telemetry"
    drawn.text(0.012, 0.985, title, fontsize=12, fontweight="bold", va="top")
    remark = (
        "Logarithmic axes. Right of the line: that many times larger or slower than cmeta; left of "
        "it: smaller or faster. The number is that of the noisy workload; -: not measured, or the "
        "format has no such operation."
    )
    drawn.text(0.012, 0.012, remark, fontsize=8)
    _legend(drawn)
    drawn.tight_layout(rect=(0, 0.035, 1, 0.905), w_pad=1.0, h_pad=1.2)
    return drawn


def _legend(drawn: Any) -> None:
    from matplotlib.lines import Line2D

    def dot(colour: str, label: str) -> Any:
        return Line2D(
            [], [], marker="o", linestyle="", markersize=_SMALL, color=colour, label=label
        )

    marks = [
        dot(_WORSE, "cmeta is better"),
        dot(_BETTER, "the other is better"),
        Line2D(
            [],
            [],
            color=_FAINT,
            linewidth=2,
            label="range over the four workloads; the point is the noisy one",
        ),
    ]
    drawn.legend(
        handles=marks, loc="upper left", bbox_to_anchor=(0.005, 0.962), ncols=3, frameon=False,
        handletextpad=0.4, columnspacing=1.6,
    )  # fmt: skip


def _panel(axis: Any, title: str, names: list[str], found: dict[str, Point]) -> None:
    axis.set_title(title, fontsize=9.5, loc="left")
    axis.set_xscale("log")
    axis.axvline(1, color=_INK, linewidth=1)
    margin = axis.get_yaxis_transform()  # x in panel widths, y in competitors
    for place, name in enumerate(names):
        axis.axhline(place, color=_FAINT, linewidth=0.3, alpha=0.5)
        known = found.get(name)
        text = _short(known[0]) if known else "-"
        axis.text(1.17, place, text, transform=margin, ha="right", va="center", fontsize=7.5)
        if known:
            colour = _WORSE if known[0] >= 1 else _BETTER
            axis.plot(known[1:], [place, place], color=colour, linewidth=2, alpha=0.35)
            axis.plot([known[0]], [place], "o", color=colour, markersize=_SMALL)
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.set_xlim(
        min(0.5, min(point[1] for point in found.values()) / 1.6),
        max(2.0, max(point[2] for point in found.values()) * 1.6),
    )
    _ticks(axis)


def _ticks(axis: Any) -> None:
    from matplotlib.ticker import LogLocator, NullLocator

    axis.xaxis.set_major_locator(LogLocator(base=10, numticks=4))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(lambda x, _: f"{x:g}x" if x < 1e4 else f"{x / 1e3:g}kx")
    axis.tick_params(length=0, labelsize=8)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)


def _short(ratio: float) -> str:
    """Return two significant digits, or an integer; thousands as ``5.4k``."""
    if ratio >= 999.5:
        return f"{_short(ratio / 1000)}k"
    return f"{ratio:.0f}" if ratio >= 99.5 else f"{ratio:#.2g}".rstrip(".")


def _names(results: Results) -> list[str]:
    return list(dict.fromkeys(cell.competitor for cell in results.cells))
