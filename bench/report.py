"""Goals, tables and sections, as Markdown that also reads well in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar


@dataclass(frozen=True)
class Goal:
    """A figure and its upper limit.

    Attributes
    ----------
    what, unit : str
        The measured quantity, and its unit.
    found, limit : float
    """

    what: str
    found: float
    limit: float
    unit: str = ""

    HEADER: ClassVar[tuple[str, ...]] = ("goal", "found", "at most", "verdict")

    def row(self) -> list[str]:
        """Return the goal as a row of a table."""
        verdict = "met" if self.found <= self.limit else "missed"
        found, limit = (f"{_number(v)} {self.unit}".rstrip() for v in (self.found, self.limit))
        return [self.what, found, limit, verdict]


@dataclass(frozen=True)
class Table:
    """A table; the first column is text, the others are numbers.

    Attributes
    ----------
    title : str
    header : sequence of str, (n_columns,)
    rows : sequence of sequence of str, (n_rows, n_columns)
    note : str
        A paragraph below it.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""

    def render(self) -> str:
        """Return the table as Markdown with aligned columns."""
        cells = [list(self.header), *map(list, self.rows)]
        widths = [max(len(row[i]) for row in cells) for i in range(len(self.header))]
        rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
        lines = [_line(row, widths) for row in (cells[0], rule, *cells[1:])]
        note = f"\n{self.note}\n" if self.note else ""
        return f"### {self.title}\n\n" + "\n".join(lines) + "\n" + note


@dataclass
class Section:
    """A part of the results.

    Attributes
    ----------
    title, text : str
        Heading, and a description of the measurement.
    goals : list of Goal
    tables : list of Table
    """

    title: str
    text: str
    goals: list[Goal] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)

    def render(self) -> str:
        """Return the section as Markdown, goals first."""
        goals = (
            [Table("Goals", Goal.HEADER, [goal.row() for goal in self.goals])] if self.goals else []
        )
        parts = [f"## {self.title}\n\n{self.text}\n", *(t.render() for t in [*goals, *self.tables])]
        return "\n".join(parts)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.4g}"


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    first = row[0].ljust(widths[0])
    rest = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
    return "| " + " | ".join([first, *rest]) + " |"


def ratio(found: float, other: float) -> str:
    """Return a figure divided by another; below 1 is smaller or faster."""
    return f"{found / other:.3f}" if other else "-"
