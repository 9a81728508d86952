"""What two schemas say differently."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cmeta.differ.report import SchemaDifference
from cmeta.schema import Field, Schema


def schema_differences(
    a: Schema, b: Schema, fields: tuple[Mapping[str, Field], Mapping[str, Field]]
) -> Iterator[SchemaDifference]:
    """Yield what two schemas say differently of the records.

    Parameters
    ----------
    fields : pair of mapping of str to Field
        All fields of a and of b, the undeclared ones included.
    """
    if a.batch_records != b.batch_records:
        yield SchemaDifference("batch_records", a.batch_records, b.batch_records)
    if a.open_group != b.open_group:
        yield SchemaDifference("open_group", a.open_group, b.open_group)
    for path in dict.fromkeys([*fields[0], *fields[1]]):
        yield from _of_field(path, fields[0].get(path), fields[1].get(path))


def _of_field(path: str, a: Field | None, b: Field | None) -> Iterator[SchemaDifference]:
    if a is None or b is None:
        declared = [f for f in (a, b) if f is not None and f.declared]
        if declared:
            names = (None if f is None else f.type_name for f in (a, b))
            yield SchemaDifference(path, *names)
        return
    facts = {
        "type": (a.type_name, b.type_name),
        "unit": (a.unit, b.unit),
        "quanta_per_unit": (a.quanta_per_unit, b.quanta_per_unit),
        "labels": (", ".join(a.labels), ", ".join(b.labels)),
    }
    for name, (one, other) in facts.items():
        if one != other:
            yield SchemaDifference(f"{path}.{name}", one or None, other or None)
