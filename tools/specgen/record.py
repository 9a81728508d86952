"""Tables of the record: its types, and the fields and enumerations of the default schema."""

from __future__ import annotations

from cmeta.schema.types import FIELD_TYPES, Field
from tools.specgen.facts import Facts
from tools.specgen.markdown import code, table


def types(facts: Facts) -> str:
    """Return the types that a field of a record may have."""
    rows = [
        [code(name), row.dtype.itemsize, row.meaning, row.as_integer]
        for name, row in FIELD_TYPES.items()
    ]
    return table(["Type", "Bytes", "Meaning", "Integer in a column"], rows)


def default_record(facts: Facts) -> str:
    """Return the fields of the default record."""
    rows = []
    columns = 0
    for field in facts.schema.fields:
        last = columns + field.num_columns - 1
        place = f"{columns}-{last}" if last > columns else columns
        rows.append(
            [
                place,
                code(field.path),
                code(type_of(field)),
                _quantum(field),
                _chain(field, facts),
                field.unit,
                field.doc,
            ]
        )
        columns += field.num_columns
    schema = facts.schema
    groups = ", ".join(
        code(group.name) + (" (open)" if group.open else "")
        for group in schema.document.record.groups
    )
    head = f"A batch holds {schema.batch_records:,} records. Groups: {groups or 'none'}."
    headings = ["Column", "Field", "Type", "Quanta per unit", "`codec`", "Unit", "Description"]
    return f"{head}\n\n{table(headings, rows)}"


def type_of(field: Field) -> str:
    """Return a field's type as a table writes it; an enumeration is named."""
    return f"enum {field.enumeration}" if field.enumeration else field.type_name


def _quantum(field: Field) -> str:
    if field.is_float:
        return f"{field.quanta_per_unit:,}" if field.quanta_per_unit else "exact"
    return ""


def _chain(field: Field, facts: Facts) -> str:
    """Return a chain that is not the default of its type."""
    same = field.chain == facts.format.codecs.defaults.of(field.type)
    return "" if same else ", ".join(field.chain)


def enumerations(facts: Facts) -> str:
    """Return the enumerations of the default schema."""
    rows = []
    for name, enumeration in facts.schema.document.enumerations.items():
        for number, value in enumerate(enumeration.values):
            label, doc = (value, "") if isinstance(value, str) else (value.name, value.doc)
            rows.append([code(name), number, code(label), doc])
    return table(["Enumeration", "Code", "Name", "Description"], rows)
