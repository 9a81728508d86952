"""The table of `cmeta runs`: what its columns are, and how many of them fit a terminal."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import click

from cmeta.cli.console import (
    emit,
    file_name,
    has_colour,
    len_shown,
    note,
    printable,
    terminal_width,
)
from cmeta.cli.sparkline import sparkline
from cmeta.cli.values import SHOWN, json_line
from cmeta.tools.runs.keys import Key, Keys, differing
from cmeta.tools.runs.run_info import RunInfo

LOSS = Key("loss", lambda run: run.loss)  # shown as a sparkline
_FIRST, _LAST = ("state", "num_records"), "last_timestamp"
_COLOURS = {"open": "yellow", "damaged": "red", "unreadable": "red"}
_GAP = "  "
_CELL_MAX = 40  # of a text, such as a path to data
_FILE_MIN = 20  # what is left of a file's name, however narrow the terminal


@dataclass(frozen=True)
class Column:
    """A column of the table.

    Attributes
    ----------
    title : str
    cell : callable
        Gives the text for a run.
    is_left : bool
        Aligned to the left.
    """

    title: str
    cell: Callable[[RunInfo], str]
    is_left: bool = False


def columns_of(
    runs: Sequence[RunInfo],
    keys: Keys,
    wanted: Sequence[Key],
    bests: Sequence[Key],
    base: str | None,
) -> list[Column]:
    """Return the columns: those that are wanted, or else what tells runs apart.

    The first ones matter most: a narrow terminal shows no others.

    Parameters
    ----------
    runs : sequence of RunInfo
        The runs that are shown.
    keys : Keys
        Of all runs.
    wanted, bests : sequence of Key
        What --fields and --best ask for.
    base : str, optional
        What names of files are relative to.
    """
    chosen = [*(wanted or map(keys.key, _FIRST)), *bests]
    if not wanted:
        chosen.append(LOSS)
        losses = Counter(run.loss_field for run in runs if run.loss_field in run.fields)
        for name, _ in losses.most_common(1):
            chosen += [keys.key(name), keys.key(f"{name}.min")]
        chosen += [keys.key(f"config.{name}") for name in differing(runs)]
        chosen.append(keys.key(_LAST))
    distinct = {key.name: key for key in chosen if key.name != "file"}
    return [_file_column(base), *map(_column, distinct.values())]


def _file_column(base: str | None) -> Column:
    within = "" if base in (None, os.curdir) else os.path.join(str(base), "")

    def cell(run: RunInfo) -> str:
        return file_name(run.path.removeprefix(within))

    return Column("file", cell, is_left=True)


def _column(key: Key) -> Column:
    if key is LOSS:
        return Column(key.name, lambda run: sparkline(run.loss), is_left=True)
    is_left = key.name in ("state", "problem")
    long = key.name == "problem"
    return Column(printable(key.name), lambda run: _text(key.value(run), long=long), is_left)


def _text(value: Any, *, long: bool) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return SHOWN.finite(value) if abs(value) < float("inf") else SHOWN.non_finite(value)
    if isinstance(value, str):
        text = printable(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        text = str(value)
    else:
        text = printable(json_line(value).rstrip("\n"))
    return text if long or len(text) <= _CELL_MAX else f"{text[: _CELL_MAX - 3]}..."


def write_table(runs: Sequence[RunInfo], columns: Sequence[Column]) -> None:
    """Write the table to stdout; on a terminal, with as many columns as fit."""
    if not runs:
        return
    room = terminal_width()
    cells = [[column.cell(run) for run in runs] for column in columns]
    if room is not None:
        cells[0] = [_cut(text, max(_FILE_MIN, room // 3)) for text in cells[0]]
    widths = [
        max(map(len_shown, [c.title, *texts])) for c, texts in zip(columns, cells, strict=True)
    ]
    num_shown = _num_fitting(widths, room)
    shown = list(zip(columns, cells, widths, strict=True))[:num_shown]
    titles = _GAP.join(_aligned(c.title, width, c.is_left) for c, _, width in shown).rstrip()
    lines = [click.style(titles, bold=True) if has_colour(sys.stdout) else titles]
    lines.append(_GAP.join("-" * width for _, _, width in shown))
    texts = [[_aligned(t, width, c.is_left) for t in found] for c, found, width in shown]
    for i, run in enumerate(runs):
        line = _GAP.join(column[i] for column in texts).rstrip()
        colour = _COLOURS.get(run.state) if has_colour(sys.stdout) else None
        lines.append(click.style(line, fg=colour) if colour else line)
    emit("".join(f"{line}\n" for line in lines))
    if num_shown < len(columns):
        left = ", ".join(column.title for column in columns[num_shown:])
        note(f"no room for {left}; choose with --fields, or pipe into `less -S`")


def _num_fitting(widths: Sequence[int], room: int | None) -> int:
    used = -len(_GAP)
    for i, width in enumerate(widths):
        used += len(_GAP) + width
        if room is not None and used > room:
            return max(1, i)
    return len(widths)


def _cut(name: str, most: int) -> str:
    """Return the end of a long name, which tells runs apart."""
    return name if len_shown(name) <= most else f"...{name[-(most - 3) :]}"


def _aligned(text: str, width: int, is_left: bool) -> str:
    padding = " " * (width - len_shown(text))
    return text + padding if is_left else padding + text
