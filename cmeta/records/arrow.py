"""Columns as Arrow data, with exactly the types of their fields, both ways.

- An absent value is null; a recorded NaN is NaN. Timestamp and phase are never null.
- Numbers keep their type: a u64 is a uint64, an f32 a float, an undeclared metric always a double.
  A vector is a fixed-size list.
- An enumeration is a dictionary of all its names, in the order of their codes; a configuration a
  dictionary of canonical JSON, in the order of the file.
- The metadata of a field are its unit, documentation and quanta_per_unit; those of the table the
  version of the format, the schema and the configurations.

Numbers are not copied: they share the memory of the arrays. Importing this module needs pyarrow.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cmeta.aliases import Array, Mask
from cmeta.errors import CorruptError, DecodeError, EncodeError
from cmeta.extras import require
from cmeta.records import strict_json
from cmeta.records.arrow_values import is_list, is_text, numbers_of, one_array, text_of
from cmeta.records.config import config_json
from cmeta.records.values import code_of
from cmeta.schema import canonical_json
from cmeta.schema.load import shipped_format
from cmeta.schema.rules import PHASE, TIMESTAMP
from cmeta.schema.schema import Schema, default_schema
from cmeta.schema.types import Field

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa
    import pyarrow.types as kinds
else:
    pa = require("pyarrow", "arrow")
    kinds = require("pyarrow.types", "arrow")

VERSION_KEY, SCHEMA_KEY, CONFIGS_KEY = b"cmeta.version", b"cmeta.schema", b"cmeta.configs"
STATUS_KEY = b"cmeta.status"
UNIT_KEY, DOC_KEY, QUANTA_KEY = b"unit", b"doc", b"quanta_per_unit"
_INT8_LABELS = 128  # signed, as pandas takes no unsigned codes of a dictionary


def table_of(
    columns: Mapping[str, Array],
    present: Mapping[str, Mask],
    schema: Schema,
    configs: Sequence[Mapping[str, Any]],
    status: str | None = None,
) -> pa.Table:
    """Return columns as a table, one chunk each; the parameters are those of `Columns`."""
    form = ArrowForm.of(columns, schema, configs, status)
    return pa.Table.from_arrays(form.arrays(columns, present), schema=form.schema)


@dataclass(frozen=True)
class ArrowForm:
    """The form of records in Arrow; made once, so that all batches have one schema.

    Attributes
    ----------
    fields : tuple of Field
    schema : pyarrow.Schema
    dictionaries : mapping of Field to pyarrow.StringArray
        Of enumerations and configurations.
    places : int32 array
        The place of each configuration in its dictionary, by number.
    """

    fields: tuple[Field, ...]
    schema: pa.Schema
    dictionaries: Mapping[Field, pa.StringArray]
    places: npt.NDArray[np.int32]

    @classmethod
    def of(
        cls,
        paths: Iterable[str],
        schema: Schema,
        configs: Sequence[Mapping[str, Any]],
        status: str | None = None,
    ) -> ArrowForm:
        """Return the form of some fields, by dotted name."""
        fields = tuple(schema.field(path) for path in paths)
        limits = schema.format.limits
        texts = [config_json(config, limits).decode() for config in configs]
        distinct = {text: place for place, text in enumerate(dict.fromkeys(texts))}
        dictionaries = {
            field: pa.array(field.labels or list(distinct), pa.string())
            for field in fields
            if field.labels or field.type == "config"
        }
        places = np.array([distinct[text] for text in texts] or [0], np.int32)
        arrow = pa.schema(map(_field, fields), _metadata(schema, texts, status))
        return cls(fields, arrow, dictionaries, places)

    def batch(self, columns: Mapping[str, Array], present: Mapping[str, Mask]) -> pa.RecordBatch:
        """Return columns, which must have all the fields, as a batch."""
        return pa.RecordBatch.from_arrays(self.arrays(columns, present), schema=self.schema)

    def arrays(self, columns: Mapping[str, Array], present: Mapping[str, Mask]) -> list[pa.Array]:
        """Return an array for each field."""
        return [
            self._array(field, columns[field.path], present[field.path]) for field in self.fields
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
    """Return a field's documentation: a file has none, so that of an equal shipped field."""
    shipped = default_schema()
    if field.doc or field.path not in shipped:
        return field.doc
    same = shipped[field.path]
    alike = (field.type_name, field.enumeration, field.unit)
    return same.doc if alike == (same.type_name, same.enumeration, same.unit) else ""


def _metadata(schema: Schema, configs: Sequence[str], status: str | None) -> dict[bytes, bytes]:
    facts = schema.format.format
    metadata = {
        VERSION_KEY: f"{facts.major}.{facts.minor}".encode(),
        SCHEMA_KEY: schema.embedded,
    }
    if configs:
        metadata[CONFIGS_KEY] = f"[{','.join(configs)}]".encode()
    return metadata | ({STATUS_KEY: status.encode()} if status else {})


def is_table(data: Any) -> bool:
    """Return whether data are in a form that Arrow takes from any library."""
    return any(hasattr(data, name) for name in ("__arrow_c_stream__", "__arrow_c_array__"))


def as_table(data: Any) -> pa.Table | pa.RecordBatch:
    """Return a table of any library as one of pyarrow; a NaN stays a value, and a null is absent.

    Raises
    ------
    EncodeError
        It is no table, or a column cannot be converted.
    """
    if isinstance(data, pa.Table | pa.RecordBatch):
        return data
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(data, pandas.DataFrame):
        names = [str(name) for name in data.columns]
        columns = [_of_pandas(data.iloc[:, i], name) for i, name in enumerate(names)]
        return pa.Table.from_arrays(columns, names)
    if not is_table(data):
        raise EncodeError(
            f"found a {type(data).__name__}, expected a table of pyarrow, pandas or polars, or of "
            "another library with __arrow_c_stream__"
        )
    try:
        return pa.table(data)
    except (pa.ArrowException, TypeError, ValueError) as err:
        raise EncodeError(f"the {type(data).__name__} is no table for Arrow: {err}") from err


def _of_pandas(series: pd.Series[Any], name: str) -> pa.Array:
    """Return a column; pyarrow itself would make a null of each NaN."""
    is_numpy = isinstance(series.dtype, np.dtype) and series.dtype.kind in "biuf"
    try:
        return pa.array(np.asarray(series), from_pandas=False) if is_numpy else pa.array(series)
    except (pa.ArrowException, TypeError, ValueError) as err:
        raise EncodeError(f"{name}: found values that no column of Arrow holds: {err}") from err


def schema_of(data: pa.Table | pa.RecordBatch | pa.Schema) -> Schema:
    """Return the schema in the metadata.

    Raises
    ------
    EncodeError
        The metadata have none, or it is not a schema.
    """
    metadata = (data if isinstance(data, pa.Schema) else data.schema).metadata or {}
    if SCHEMA_KEY not in metadata:
        raise EncodeError(
            f"found no {SCHEMA_KEY.decode()} in the table's metadata; expected a table that cmeta "
            "made, or a schema beside it: Columns.from_arrow(table, schema)"
        )
    try:
        return Schema.from_embedded(metadata[SCHEMA_KEY], shipped_format())
    except DecodeError as err:
        raise EncodeError(f"{SCHEMA_KEY.decode()} in the table's metadata: {err}") from err


def status_of(data: pa.Table | pa.RecordBatch) -> str | None:
    """Return the status in the metadata, if there is one.

    Raises
    ------
    EncodeError
        There is no such status.
    """
    stated = (data.schema.metadata or {}).get(STATUS_KEY)
    status = None if stated is None else stated.decode(errors="replace")
    try:
        shipped_format().status_code(status)
    except EncodeError as err:
        raise EncodeError(f"{STATUS_KEY.decode()} in the table's metadata: {err}") from err
    return status


def arrays_of(
    data: pa.Table | pa.RecordBatch, schema: Schema, *, codes: bool
) -> tuple[dict[str, Array], dict[str, Mask], tuple[Mapping[str, Any], ...]]:
    """Return arrays and masks by dotted name, and configurations.

    Raises
    ------
    EncodeError
        The type of a column is that of no field; a name is not one of the enumeration; a
        configuration is not JSON; a vector is null in part.
    """
    try:
        data.validate(full=True)
    except pa.ArrowInvalid as err:  # an index beyond its dictionary, a text that is not UTF-8
        raise EncodeError(f"the table is not valid Arrow data: {err}") from err
    arrays, present = {}, {}
    configs: tuple[Mapping[str, Any], ...] = ()
    for path, column in zip(data.schema.names, data.columns, strict=True):
        if path in arrays:
            raise EncodeError(f"found two columns {path!r}, expected one")
        field = _field_of(path, schema)
        array = one_array(column)
        mask = np.asarray(array.is_valid().to_numpy(zero_copy_only=False))
        if field.type == "config" and is_text(array.type):
            values, configs = _configs(array, field, schema)
        else:
            values = _values(array, field, mask, codes)
        arrays[path], present[path] = values, mask
    return arrays, present, configs


def _field_of(path: str, schema: Schema) -> Field:
    """Return the field of a column; one that the schema does not take is refused when written."""
    try:
        return schema.field(path)
    except EncodeError:
        return schema.format.codecs.undeclared(path, "")


def _values(array: pa.Array, field: Field, present: Mask, codes: bool) -> Array:
    if kinds.is_null(array.type):
        return _absent(len(array), field, codes)
    if field.labels and is_text(array.type):
        numbers = _codes(array, field, present)
        names = np.array([*field.labels, ""])
        return numbers if codes else names[np.where(present, numbers, len(field.labels))]
    if is_list(array.type) and field.num_components:
        array = _as_vectors(array, field)
    if kinds.is_fixed_size_list(array.type):
        return _vectors(array, field, present)
    return _numbers(array, field)


def _absent(num_records: int, field: Field, codes: bool) -> Array:
    if field.labels and not codes:
        return np.zeros(num_records, f"U{max(map(len, field.labels))}")
    shape = (num_records, field.num_components) if field.num_components else (num_records,)
    return np.full(shape, np.nan if field.is_float else 0, field.dtype.newbyteorder("="))


def _encoded(array: pa.Array) -> tuple[Array, list[Any]]:
    """Return the places of texts in a list of them, 0 for null, and the list."""
    if not kinds.is_dictionary(array.type):
        array = array.dictionary_encode()
    places = array.indices.fill_null(0).to_numpy(zero_copy_only=False)
    return places, array.dictionary.to_pylist()


def _codes(array: pa.Array, field: Field, present: Mask) -> Array:
    places, names = _encoded(array)
    codes = np.zeros(max(1, len(names)), np.uint8)
    for place in np.unique(places[present]).tolist():  # a label that no record has may be anything
        codes[place] = code_of(names[place], field)
    return codes[places]


def _configs(
    array: pa.Array, field: Field, schema: Schema
) -> tuple[Array, tuple[Mapping[str, Any], ...]]:
    places, texts = _encoded(array)
    configs = tuple(_config(text, f"{field.path}[{i}]", schema) for i, text in enumerate(texts))
    return places.astype(np.uint32), configs


def _config(text: str | None, path: str, schema: Schema) -> Mapping[str, Any]:
    data = (text or "null").encode()
    try:
        try:
            config = canonical_json.loads(data, schema.format.limits)
        except CorruptError:  # JSON, but not in canonical form
            config = strict_json.loads(data)
    except (DecodeError, ValueError) as err:
        raise EncodeError(f"{path}: found {text!r:.60}, expected JSON: {err}") from err
    if not isinstance(config, Mapping):
        raise EncodeError(f"{path}: found {text!r:.60}, expected a JSON object")
    return config


def _as_vectors(array: pa.Array, field: Field) -> pa.Array:
    try:
        return array.cast(pa.list_(array.type.value_type, field.num_components))
    except pa.ArrowInvalid as err:
        raise EncodeError(f"{field.path}: {err}; expected {field.type_name}") from err


def _vectors(array: pa.Array, field: Field, present: Mask) -> Array:
    size = array.type.list_size
    items = array.values.slice(array.offset * size, len(array) * size)
    if items.null_count:
        partly = ~items.is_valid().to_numpy(zero_copy_only=False).reshape(-1, size).all(axis=1)
        if (partly & present).any():
            row = int(np.argmax(partly & present))
            raise EncodeError(
                f"{field.path}: a null within the vector of record {row}; a vector is absent "
                "entirely or not at all"
            )
    values = _numbers(items, field).reshape(-1, size).copy()
    values[~present] = np.nan if values.dtype.kind == "f" else 0
    return values


def _numbers(array: pa.Array, field: Field) -> Array:
    numbers = numbers_of(array)
    if numbers is None or (numbers.meaning and not field.is_float):
        raise EncodeError(
            f"{field.path}: found a column of {array.type}, expected {field.type_name}"
        )
    if numbers.rounded.any():
        row = int(np.argmax(numbers.rounded))
        raise EncodeError(
            f"{field.path}: no float64 is the {array.type} {text_of(array, row)} of record "
            f"{row}; cast the column to the precision that is wanted"
        )
    return numbers.values


def to_pandas(
    columns: Mapping[str, Array],
    present: Mapping[str, Mask],
    schema: Schema,
    configs: Sequence[Mapping[str, Any]],
) -> pd.DataFrame:
    """Return columns as a data frame; see `Columns.to_pandas`."""
    pandas = require("pandas", "pandas")

    def type_of(arrow: Any) -> Any:
        """Return the type of a column; None for a dictionary, which pandas makes categories."""
        return None if hasattr(arrow, "index_type") else pandas.ArrowDtype(arrow)

    table = table_of(columns, present, schema, configs)
    return table.to_pandas(types_mapper=type_of)


def to_polars(
    columns: Mapping[str, Array],
    present: Mapping[str, Mask],
    schema: Schema,
    configs: Sequence[Mapping[str, Any]],
) -> pl.DataFrame:
    """Return columns as a data frame; see `Columns.to_polars`."""
    polars = require("polars", "polars")
    table = table_of(columns, present, schema, configs)
    frame = polars.from_arrow(table.rename_columns(list(map(str, range(len(columns))))))
    frame.columns = list(columns)  # set afterwards: polars would cut a name at a NUL
    labelled = [field for field in schema.fields if field.labels and field.path in columns]
    return frame.with_columns(
        polars.col(field.path).cast(polars.Enum(list(field.labels))) for field in labelled
    )
