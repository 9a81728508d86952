"""Columns as Arrow data, of exactly the types of their fields.

- An absent value is null; a recorded NaN is a NaN. Timestamp and phase are never null.
- Numbers keep their type: a u64 is a uint64, an f32 a float, an undeclared metric always a double.
  A vector is a fixed-size list of them.
- An enumeration is a dictionary of all its names, in the order of their codes; a configuration a
  dictionary of canonical JSON, in the order of the file.
- A field's unit, documentation and quanta_per_unit stand in its metadata; the version of the
  format, the schema and the configurations in the metadata of the whole.

Numbers are not copied: they share the memory of the arrays. Importing this module needs pyarrow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cmeta import canonical
from cmeta.extras import require
from cmeta.schema import Field, Schema, default_schema, undeclared
from cmeta.schema.rules import PHASE, TIMESTAMP

if TYPE_CHECKING:
    import pyarrow as pa

    from cmeta.columns.columns import Columns
else:
    pa = require("pyarrow", "arrow")

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]

VERSION_KEY, SCHEMA_KEY, CONFIGS_KEY = b"cmeta.version", b"cmeta.schema", b"cmeta.configs"
UNIT_KEY, DOC_KEY, QUANTA_KEY = b"unit", b"doc", b"quanta_per_unit"
_INT8_LABELS = 128  # signed, as pandas takes no unsigned codes of a dictionary


def table_of(columns: Columns) -> pa.Table:
    """Return columns as a table, one chunk each."""
    form = ArrowForm.of(columns, columns.schema, columns.configs)
    return pa.Table.from_arrays(form.arrays(columns), schema=form.schema)


@dataclass(frozen=True)
class ArrowForm:
    """How records stand in Arrow; made once, so that all batches have one schema.

    Attributes
    ----------
    fields : tuple of Field
    schema : pyarrow.Schema
    dictionaries : mapping of Field to pyarrow.StringArray
        Of enumerations and configurations.
    places : int32 array
        Where each configuration stands in its dictionary, by number.
    """

    fields: tuple[Field, ...]
    schema: pa.Schema
    dictionaries: Mapping[Field, pa.StringArray]
    places: npt.NDArray[np.int32]

    @classmethod
    def of(
        cls, paths: Iterable[str], schema: Schema, configs: Sequence[Mapping[str, Any]]
    ) -> ArrowForm:
        """Return the form of some fields, by dotted name."""
        fields = tuple(field_of(path, schema) for path in paths)
        limits = schema.format.limits
        texts = [canonical.dumps(config, limits, "config").decode() for config in configs]
        distinct = {text: place for place, text in enumerate(dict.fromkeys(texts))}
        dictionaries = {
            field: pa.array(field.labels or list(distinct), pa.string())
            for field in fields
            if field.labels or field.type == "config"
        }
        places = np.array([distinct[text] for text in texts] or [0], np.int32)
        arrow = pa.schema(map(_field, fields), _metadata(schema, texts))
        return cls(fields, arrow, dictionaries, places)

    def batch(self, columns: Columns) -> pa.RecordBatch:
        """Return columns, which must have all the fields, as a batch."""
        return pa.RecordBatch.from_arrays(self.arrays(columns), schema=self.schema)

    def arrays(self, columns: Columns) -> list[pa.Array]:
        """Return an array for each field."""
        return [
            self._array(field, columns[field.path], columns.present[field.path])
            for field in self.fields
        ]

    def _array(self, field: Field, values: Array, present: Mask) -> pa.Array:
        absent = None if present.all() else ~present
        if not field.num_components:
            return self._scalars(field, values, absent)
        items = self._scalars(field, np.ascontiguousarray(values).reshape(-1), None)
        mask = None if absent is None else pa.array(absent)
        return pa.FixedSizeListArray.from_arrays(items, field.num_components, mask=mask)

    def _scalars(self, field: Field, values: Array, absent: Mask | None) -> pa.Array:
        if field not in self.dictionaries:
            return pa.array(np.ascontiguousarray(values), _scalar_type(field), mask=absent)
        places = codes_of(values, field.labels) if field.labels else self.places[values]
        indices = pa.array(places.astype(_index_type(field).to_pandas_dtype()), mask=absent)
        return pa.DictionaryArray.from_arrays(indices, self.dictionaries[field])


def field_of(path: str, schema: Schema) -> Field:
    """Return the field, declared or not, of a dotted name."""
    if path in schema:
        return schema[path]
    group, dot, name = path.partition(".")
    return undeclared(name if dot else path, group if dot else "", schema.format.codecs)


def codes_of(values: Array, labels: Sequence[str]) -> Array:
    """Return the codes of an enumeration's values, given as names or codes; 0 for no name."""
    if values.dtype.kind != "U":
        return values
    codes = np.zeros(len(values), np.uint8)
    for code, label in enumerate(labels):
        codes[values == label] = code
    return codes


def _field(field: Field) -> pa.Field:
    metadata = {UNIT_KEY: field.unit, DOC_KEY: _doc(field), QUANTA_KEY: field.quanta_per_unit}
    stated = {key: str(value) for key, value in metadata.items() if value}
    required = not field.group and field.name in (TIMESTAMP, PHASE)
    return pa.field(field.path, _type(field), nullable=not required, metadata=stated or None)


def _type(field: Field) -> pa.DataType:
    scalar = _scalar_type(field)
    return pa.list_(scalar, field.num_components) if field.num_components else scalar


def _scalar_type(field: Field) -> pa.DataType:
    if field.labels or field.type == "config":
        return pa.dictionary(_index_type(field), pa.string())
    return pa.from_numpy_dtype(field.dtype.newbyteorder("="))


def _index_type(field: Field) -> pa.DataType:
    if field.labels:
        return pa.int8() if len(field.labels) <= _INT8_LABELS else pa.int16()
    return pa.int32()


def _doc(field: Field) -> str:
    """Return a field's documentation; a file holds none, so that of the shipped schema if alike."""
    shipped = default_schema()
    if field.doc or field.path not in shipped:
        return field.doc
    same = shipped[field.path]
    alike = (field.type_name, field.enumeration, field.unit)
    return same.doc if alike == (same.type_name, same.enumeration, same.unit) else ""


def _metadata(schema: Schema, configs: Sequence[str]) -> dict[bytes, bytes]:
    facts = schema.format.format
    found = {
        VERSION_KEY: f"{facts.major}.{facts.minor}".encode(),
        SCHEMA_KEY: schema.embedded,
    }
    return found | ({CONFIGS_KEY: f"[{','.join(configs)}]".encode()} if configs else {})
