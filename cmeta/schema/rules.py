"""The rules of a legal schema that types cannot express; each raises one `SchemaError`.

The error names its key path, the value found and the value expected. The same rules hold
for a TOML file, for a schema built in Python, and for the one embedded in a hostile file.
"""

from __future__ import annotations

from collections.abc import Callable

from cmeta.errors import SchemaError
from cmeta.schema.language import Document, Enumeration, Format, RecordField
from cmeta.schema.types import FieldType, Stage, parse_type

Fail = Callable[[str, str], SchemaError]

PHASE = "phase"
TIMESTAMP = "timestamp"

# The two fields by which a file is ordered: type, enumeration, longest chain. They are never
# absent, so they have no class; the others are split by phase.
_LEADING: dict[str, tuple[str, str, tuple[Stage, ...]]] = {
    TIMESTAMP: ("u64", "", ("split", "delta", "rice")),
    PHASE: ("enum", PHASE, ("delta", "rice")),
}


def check(document: Document, fmt: Format, source: str) -> None:
    """Raise the first `SchemaError` of `document`, or return."""

    def fail(key: str, message: str) -> SchemaError:
        return SchemaError(message, source=source, key=key)

    _check_enumerations(document, fmt, fail)
    _check_groups(document, fmt, fail)
    _check_leading_fields(document, fail)
    for i, field in enumerate(document.record.fields):
        _check_field(field, f"record.fields[{i}]", document, fmt, fail)
    _check_names(document, fail)
    _check_size(document, fmt, fail)


def value_names(enumeration: Enumeration) -> tuple[str, ...]:
    """Return the names of an enumeration's values, in the order of their codes."""
    return tuple(v if isinstance(v, str) else v.name for v in enumeration.values)


def require_name(name: str, fmt: Format, fail: Callable[[str], Exception]) -> None:
    """Refuse what no name may be, of whatever kind; `fail` makes the error of a message."""
    try:
        length = len(name.encode())
    except UnicodeEncodeError as err:
        raise fail(f"found {name!r}, expected a name that UTF-8 can encode") from err
    if not 1 <= length <= fmt.limits.name_bytes_max:
        most = fmt.limits.name_bytes_max
        raise fail(f"found a name of {length} bytes, expected 1 to {most}")


def _check_name(name: str, key: str, fmt: Format, fail: Fail) -> None:
    require_name(name, fmt, lambda message: fail(key, message))


def _check_enumerations(document: Document, fmt: Format, fail: Fail) -> None:
    if PHASE not in document.enumerations:
        raise fail(
            "enumerations",
            f"found no enumeration {PHASE!r}, expected one: every record has a phase",
        )
    for name, enumeration in document.enumerations.items():
        key = f"enumerations.{name}"
        _check_name(name, key, fmt, fail)
        names = value_names(enumeration)
        if not 1 <= len(names) <= fmt.limits.enumeration_max:
            most = fmt.limits.enumeration_max
            raise fail(f"{key}.values", f"found {len(names)} values, expected 1 to {most}")
        for i, value in enumerate(names):
            _check_name(value, f"{key}.values[{i}]", fmt, fail)
            if value.endswith("\0"):  # an array of strings would drop it
                raise fail(f"{key}.values[{i}]", f"found {value!r}, expected no NUL at its end")
            if value in names[:i]:
                raise fail(f"{key}.values[{i}]", f"found {value!r} twice, expected unique values")


def _check_groups(document: Document, fmt: Format, fail: Fail) -> None:
    names: set[str] = set()
    num_open = 0
    for i, group in enumerate(document.record.groups):
        key = f"record.groups[{i}]"
        _check_name(group.name, f"{key}.name", fmt, fail)
        if "." in group.name:
            raise fail(f"{key}.name", f"found {group.name!r}, expected a name without a dot")
        if group.name in names:
            raise fail(f"{key}.name", f"found {group.name!r} twice, expected unique names")
        names.add(group.name)
        num_open += group.open
        if num_open > 1:
            raise fail(f"{key}.open", "found a second open group, expected at most one")


def _check_leading_fields(document: Document, fail: Fail) -> None:
    for i, (name, (type_, enumeration, most)) in enumerate(_LEADING.items()):
        key = f"record.fields[{i}]"
        if i >= len(document.record.fields):
            raise fail("record.fields", f"found {i} fields, expected {name!r} as field {i}")
        field = document.record.fields[i]
        if field.name != name:
            raise fail(f"{key}.name", f"found {field.name!r}, expected {name!r} as field {i}")
        if field.group:
            raise fail(f"{key}.group", f"found {field.group!r}, expected {name!r} in no group")
        if field.type != type_:
            raise fail(f"{key}.type", f"found {field.type!r}, expected {name!r} to be {type_!r}")
        if field.enumeration != enumeration:
            found = f"found {field.enumeration!r}, expected {enumeration!r}"
            raise fail(f"{key}.enumeration", found)
        if not field.codec or not set(field.codec) <= set(most):
            raise fail(f"{key}.codec", f"found {list(field.codec)}, expected at most {list(most)}")


def _check_field(field: RecordField, key: str, document: Document, fmt: Format, fail: Fail) -> None:
    _check_name(field.name, f"{key}.name", fmt, fail)
    row, num_components = parse_type(field.type)
    if num_components > fmt.limits.vector_max:
        most = fmt.limits.vector_max
        raise fail(f"{key}.type", f"found {field.type!r}, expected at most {most} components")
    if not field.group and "." in field.name:
        raise fail(f"{key}.name", f"found {field.name!r}, expected a name without a dot")
    if field.group and field.group not in {g.name for g in document.record.groups}:
        raise fail(f"{key}.group", f"found {field.group!r}, expected a group of record.groups")
    _check_enumeration_of(field, row, key, document, fail)
    if row.kind == "config" and field.group:
        raise fail(f"{key}.group", f"found {field.group!r}, expected a config outside all groups")
    length, most = len(field.unit.encode(errors="replace")), fmt.limits.name_bytes_max
    if length > most:
        raise fail(f"{key}.unit", f"found a unit of {length} bytes, expected at most {most}")
    if field.volatile and (row.kind == "config" or (not field.group and field.name in _LEADING)):
        raise fail(f"{key}.volatile", "found true, expected false: without it no record is known")
    _check_quantum(field, row, key, fmt, fail)
    _check_chain(field, key, fmt, fail)


def _check_enumeration_of(
    field: RecordField, row: FieldType, key: str, document: Document, fail: Fail
) -> None:
    if row.kind == "enum" and field.enumeration not in document.enumerations:
        known = ", ".join(document.enumerations)
        raise fail(f"{key}.enumeration", f"found {field.enumeration!r}, expected one of: {known}")
    if row.kind != "enum" and field.enumeration:
        raise fail(
            f"{key}.enumeration",
            f"found an enumeration on a field of type {field.type}; only enums have one",
        )


def _check_quantum(field: RecordField, row: FieldType, key: str, fmt: Format, fail: Fail) -> None:
    if field.exact and not row.is_float:
        message = f"found exact = true on a field of type {field.type}, expected a float field"
        raise fail(f"{key}.exact", message)
    if field.quanta_per_unit is None:
        return
    if not row.is_float:
        message = f"found quanta_per_unit on a field of type {field.type}, expected a float field"
        raise fail(f"{key}.quanta_per_unit", message)
    if field.exact:
        raise fail(
            f"{key}.quanta_per_unit", "found it beside exact = true, expected only one of the two"
        )
    most = getattr(fmt.limits, f"quanta_per_unit_max_{row.name}")
    if not 1 <= field.quanta_per_unit <= most:
        raise fail(
            f"{key}.quanta_per_unit",
            f"found {field.quanta_per_unit}, expected 1 to {most} for {row.name}; "
            "for a finer step take exact = true",
        )


def _check_chain(field: RecordField, key: str, fmt: Format, fail: Fail) -> None:
    """A chain keeps the order of the default; only palette and split may be left out."""
    leading = _LEADING.get(field.name) if not field.group else None
    order = leading[2] if leading else fmt.codecs.defaults.of(field.type)
    required = set(order) - {"palette", "split"}
    chain = field.codec or order
    kept = tuple(stage for stage in order if stage in chain)
    if chain != kept or not required <= set(chain):
        raise fail(
            f"{key}.codec",
            f"found {list(chain)}, expected {list(order)}, of which only palette and split may "
            "be left out",
        )


def _check_names(document: Document, fail: Fail) -> None:
    taken = {group.name for group in document.record.groups}
    configs = 0
    for i, field in enumerate(document.record.fields):
        path = f"{field.group}.{field.name}" if field.group else field.name
        if path in taken:
            raise fail(f"record.fields[{i}].name", f"found {path!r} twice, expected unique names")
        taken.add(path)
        configs += field.type == "config"
        if configs > 1:
            raise fail(f"record.fields[{i}].type", "found a second config, expected at most one")


def _check_size(document: Document, fmt: Format, fail: Fail) -> None:
    limits, records = fmt.limits, document.record.batch_records
    if not limits.batch_records_min <= records <= limits.batch_records_max:
        low, high = limits.batch_records_min, limits.batch_records_max
        raise fail("record.batch_records", f"found {records}, expected {low} to {high}")
    columns = sum(parse_type(f.type)[1] or 1 for f in document.record.fields)
    if columns > limits.columns_max:
        most = limits.columns_max
        raise fail("record.fields", f"found {columns} columns, expected at most {most}")
    if columns * records > limits.cells_max:
        raise fail(
            "record.batch_records",
            f"found {records} records of {columns} columns, expected at most {limits.cells_max} "
            f"cells in a batch: at most {limits.cells_max // columns} records",
        )
