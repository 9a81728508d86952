"""Tables that cmeta itself exported in full: schema and configurations precede the records.

They are a preamble of one JSON object, in the first line of full JSON lines. Schema and
configurations are the JSON of their blocks; with the records they determine every byte of a file,
so that an import gives the identical one. Every name and every value must fit: a mismatch is an
error that names the line. Of a file that was cut off, the records that are there are imported, and
the missing ones are reported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cmeta.errors import CmetaError, DecodeError, EncodeError, counted
from cmeta.schema import canonical_json
from cmeta.schema.load import shipped_format
from cmeta.schema.rules import PHASE
from cmeta.schema.schema import Schema
from cmeta.schema.types import Field
from cmeta.tools.imports.cells import Cells
from cmeta.tools.imports.columns import Mismatch, SourceTable, values_of
from cmeta.tools.imports.exact import as_printed
from cmeta.tools.imports.formats import Imported, ImportOptions

KEY = "cmeta"


@dataclass(frozen=True)
class Preamble:
    """A preamble.

    Attributes
    ----------
    schema : Schema
    configs : tuple of mapping
        By number.
    num_records : int or None
        The number of records that must follow; None: not known when it was written.
    status : str or None
        How the run ended; None: not stated.
    notes : tuple of str
    """

    schema: Schema
    configs: tuple[Mapping[str, Any], ...]
    num_records: int | None
    status: str | None = None
    notes: tuple[str, ...] = ()


def preamble_of(
    schema: Schema,
    configs: Sequence[Mapping[str, Any]],
    num_records: int | None,
    status: str | None = None,
) -> dict[str, Any]:
    """Return a preamble as JSON values.

    Examples
    --------
    >>> from cmeta.schema import default_schema
    >>> list(preamble_of(default_schema(), [{"lr": 0.1}], 3)["cmeta"])
    ['version', 'num_records', 'schema', 'configs']
    """
    stated = {"num_records": num_records, "status": status}
    return {
        KEY: {
            "version": _version(),
            **{key: value for key, value in stated.items() if value is not None},
            "schema": canonical_json.loads(schema.embedded, schema.format.limits),
            "configs": [dict(config) for config in configs],
        }
    }


def is_preamble(value: Any) -> bool:
    """Return whether a JSON value is a preamble and not a record."""
    inner = value.get(KEY) if isinstance(value, Mapping) and len(value) == 1 else None
    return isinstance(inner, Mapping) and {"version", "schema", "configs"} <= inner.keys()


def parse_preamble(value: Mapping[str, Any], where: str) -> Preamble:
    """Return a preamble.

    Parameters
    ----------
    where : str
        Its place, for errors: ``line 1``.

    Raises
    ------
    EncodeError
        The schema, a configuration or the status is invalid.
    """
    inner = value[KEY]
    configs, num_records = inner["configs"], inner.get("num_records")
    for i, config in enumerate(configs if isinstance(configs, list) else [None]):
        if not isinstance(config, Mapping):
            raise EncodeError(f"{where}, {KEY}.configs[{i}]: expected an object for each of a list")
    if num_records is not None and (type(num_records) is not int or num_records < 0):
        raise EncodeError(f"{where}, {KEY}.num_records: found {num_records!r}, expected a count")
    status = inner.get("status")
    try:
        shipped_format().status_code(status)
    except EncodeError as err:
        raise EncodeError(f"{where}, {KEY}.{err}") from err
    version, own = inner["version"], _version()
    note = f"the file was written as format {version}; it is written again as {own}"
    schema = _parse_schema(inner["schema"], where)
    notes = () if version == own else (note,)
    return Preamble(schema, tuple(configs), num_records, status, notes)


def _parse_schema(value: Any, where: str) -> Schema:
    format_ = shipped_format()
    try:
        return Schema.from_embedded(canonical_json.dumps(value, format_.limits, "schema"), format_)
    except CmetaError as err:
        reason = err.message if isinstance(err, DecodeError) else str(err)
        raise EncodeError(f"{where}, {KEY}.schema: {reason}") from err


def _version() -> str:
    facts = shipped_format().format
    return f"{facts.major}.{facts.minor}"


def import_native(table: SourceTable, preamble: Preamble, options: ImportOptions) -> Imported:
    """Return a table as the chronicle that it was.

    Raises
    ------
    EncodeError
        The schema does not take a name or value, or there are more records than stated.
    """
    stated = preamble.num_records
    if stated is not None and table.num_records > stated:
        raise EncodeError(
            f"{table.name}: found {table.num_records:,} records, but its first line says "
            f"{stated:,}: these are not the records of one file; remove num_records to import them"
        )
    damage = list(table.damage)
    if stated is not None and table.num_records < stated:
        num_missing = counted(stated - table.num_records, "record")
        damage.append(f"{num_missing} of the {stated:,} that the first line states: missing")
    schema = options.schema or preamble.schema
    fields = {name: _known_field(name, schema, table) for name in table.columns}
    columns = {
        name: _values(table, cells, fields[name], len(preamble.configs))
        for name, cells in table.columns.items()
    }
    if not table.num_records:
        columns = {PHASE: Cells(None, np.zeros(0, np.uint8))}
    notes = (*table.notes, *preamble.notes)
    return Imported(
        columns, schema, preamble.configs, tuple(table.lost), notes, damage, True, preamble.status
    )


def _values(table: SourceTable, cells: Cells, field: Field, num_configs: int) -> Cells:
    column = cells.column()
    try:
        values = values_of(column, field)
        if field.type == "config":
            _require_configs(values, num_configs)
        if table.is_text:
            values = as_printed(values, column.mask(), field)
        return cells.with_values(values)
    except Mismatch as err:
        expected = "one of: " + ", ".join(field.labels) if field.labels else field.type_name
        raise EncodeError(
            f"{table.name}, {table.where(cells.row(err.row))}, {field.path}: "
            f"found {err.value!r:.80}, expected {expected}"
        ) from None


def _require_configs(values: Any, num_configs: int) -> None:
    bad = values >= num_configs
    if bad.any():
        row = int(np.argmax(bad))
        raise Mismatch(row, f"configuration {values[row]} of {num_configs}")


def _known_field(name: str, schema: Schema, table: SourceTable) -> Field:
    try:
        return schema.field(name)
    except EncodeError as err:
        raise EncodeError(f"{table.name}: {err}") from err
