"""Fields as rows of a table, and as objects of ``--json``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from cmeta.cli.console import printable
from cmeta.schema.types import Field

if TYPE_CHECKING:
    from rich.table import Table


def field_table(
    fields: Iterable[Field], occurrences: Mapping[str, int] | None = None, *, doc: bool = False
) -> Table:
    """Return a table of fields.

    Parameters
    ----------
    occurrences : mapping of str to int, optional
        Number of batches in which a field occurs, by its path; None: no such column.
    doc : bool
        Whether to show the documentation; a chronicle has none.
    """
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2), pad_edge=True, header_style="bold")
    counted = [] if occurrences is None else ["in batches"]
    for title in ("name", "type", "unit", *counted, "values", *(["what it is"] if doc else [])):
        table.add_column(title, justify="right" if title in counted else "left", overflow="fold")
    for field in fields:
        count = [] if occurrences is None else [f"{occurrences.get(field.path, 0):,}"]
        cells = [field.path, field.type_name, field.unit, *count, storage(field)]
        cells += [field.doc] if doc else []
        style = "dim" if count == ["0"] else ""
        table.add_row(*(Text(printable(cell)) for cell in cells), style=style)
    return table


def field_as_dict(field: Field) -> dict[str, Any]:
    """Return a field as ``--json`` prints it; keys are only ever added."""
    return {
        "name": field.path,
        "type": field.type_name,
        "declared": field.declared,
        "exact": field.exact if field.is_float else None,
        "quanta_per_unit": field.quanta_per_unit or None,
        "values": list(field.labels) or None,
        "unit": field.unit or None,
    }


def storage(field: Field) -> str:
    """Return how a field is stored, or what its values are."""
    if field.labels:
        return ", ".join(field.labels)
    if field.exact:
        return "exact"
    if field.quanta_per_unit:
        return f"in steps of {_quantum(field.quanta_per_unit)}"
    return ""


def _quantum(quanta_per_unit: int) -> str:
    """Return one step as text, exactly."""
    is_power_of_ten = str(quanta_per_unit).rstrip("0") == "1"
    return f"{1 / quanta_per_unit:g}" if is_power_of_ten else f"1/{quanta_per_unit}"
