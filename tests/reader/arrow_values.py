"""Arrow columns, compared value by value: NaN equals NaN, and nothing but its own type."""

from cmeta.schema import canonical_json
from cmeta.schema.load import shipped_format
from cmeta.testing.oracle import identical


def plain(column, field):
    """Return an Arrow column as the Python values of `CycleRecord`."""
    values = column.to_pylist()
    if field.type == "config":
        limits = shipped_format().limits
        return [None if v is None else canonical_json.loads(v.encode(), limits) for v in values]
    return [tuple(v) if isinstance(v, list) else v for v in values]


def from_records(records, path):
    """Return what records hold of a field."""
    group, _, name = path.partition(".")
    rows = [record.as_dict() for record in records]
    return [row.get(group, {}).get(name) if name else row.get(path) for row in rows]


def assert_table(table, reader, records):
    """A table holds what the records hold, bit by bit."""
    for path in table.column_names:
        found = plain(table[path], reader.schema.field(path))
        for row, (f, w) in enumerate(zip(found, from_records(records, path), strict=True)):
            assert identical(f, w), f"{path}, record {row}: found {f!r}, expected {w!r}"


def assert_same_table(found, wanted):
    """Two tables are equal, NaN equal to NaN."""
    assert found.num_rows == wanted.num_rows
    for path in wanted.column_names:
        assert all(map(identical, found[path].to_pylist(), wanted[path].to_pylist())), path
