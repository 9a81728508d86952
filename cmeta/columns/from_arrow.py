"""Arrow data as columns, whoever made it: what `cmeta.write` takes.

The other way round of `to_arrow`, and more tolerant: names may be plain strings, vectors lists,
numbers of other types. Whether a value fits its field is checked when it is written. Importing this
module needs pyarrow.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import numpy.typing as npt

from cmeta import canonical
from cmeta.columns.to_arrow import SCHEMA_KEY, field_of
from cmeta.errors import CorruptError, DecodeError, EncodeError
from cmeta.extras import require
from cmeta.schema import Field, Schema, shipped_format

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.types as kinds
else:
    pa = require("pyarrow", "arrow")
    kinds = require("pyarrow.types", "arrow")

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]
Found = tuple[dict[str, Array], dict[str, Mask], tuple[Mapping[str, Any], ...]]


def schema_of(data: pa.Table | pa.RecordBatch | pa.Schema) -> Schema:
    """Return the schema that stands in the metadata.

    Raises
    ------
    EncodeError
        None stands there, or it is not a schema.
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


def arrays_of(data: pa.Table | pa.RecordBatch, schema: Schema, *, codes: bool) -> Found:
    """Return arrays, which records have them, and configurations.

    Raises
    ------
    EncodeError
        A column is of a type that no field has, names a label that the enumeration lacks, holds no
        JSON where a configuration stands, or a vector that is null in part.
    """
    arrays, present = {}, {}
    configs: tuple[Mapping[str, Any], ...] = ()
    for path, column in zip(data.schema.names, data.columns, strict=True):
        if path in arrays:
            raise EncodeError(f"found two columns {path!r}, expected one")
        field = field_of(path, schema)
        array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        there = np.asarray(array.is_valid().to_numpy(zero_copy_only=False))
        if field.type == "config" and _is_text(array.type):
            values, configs = _configs(array, field, schema)
        else:
            values = _values(array, field, there, codes)
        arrays[path], present[path] = values, there
    return arrays, present, configs


def _values(array: pa.Array, field: Field, present: Mask, codes: bool) -> Array:
    if kinds.is_null(array.type):
        return _absent(len(array), field, codes)
    if field.labels and _is_text(array.type):
        found = _codes(array, field, present)
        names = np.array([*field.labels, ""])
        return found if codes else names[np.where(present, found, len(field.labels))]
    if kinds.is_list(array.type) or kinds.is_large_list(array.type):
        array = _as_vectors(array, field)
    if kinds.is_fixed_size_list(array.type):
        return _vectors(array, field, present)
    return _numbers(array, field)


def _is_text(kind: pa.DataType) -> bool:
    kind = kind.value_type if kinds.is_dictionary(kind) else kind
    return bool(kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind))


def _absent(num_records: int, field: Field, codes: bool) -> Array:
    if field.labels and not codes:
        return np.zeros(num_records, f"U{max(map(len, field.labels))}")
    shape = (num_records, field.num_components) if field.num_components else (num_records,)
    return np.full(shape, np.nan if field.is_float else 0, field.dtype.newbyteorder("="))


def _encoded(array: pa.Array) -> tuple[Array, list[Any]]:
    """Return the places of texts in a list, 0 for null, and the list."""
    if not kinds.is_dictionary(array.type):
        array = array.cast(pa.string()) if kinds.is_string_view(array.type) else array
        array = array.dictionary_encode()
    places = array.indices.fill_null(0).to_numpy(zero_copy_only=False)
    return places, array.dictionary.to_pylist()


def _codes(array: pa.Array, field: Field, present: Mask) -> Array:
    places, names = _encoded(array)
    known = {label: code for code, label in enumerate(field.labels)}
    for place in np.unique(places[present]).tolist():  # a label that no record has may be anything
        if names[place] not in known:
            expected = ", ".join(field.labels)
            raise EncodeError(f"{field.path}: found {names[place]!r}, expected one of: {expected}")
    return np.array([known.get(name, 0) for name in names] or [0], np.uint8)[places]


def _configs(
    array: pa.Array, field: Field, schema: Schema
) -> tuple[Array, tuple[Mapping[str, Any], ...]]:
    places, texts = _encoded(array)
    found = tuple(_config(text, f"{field.path}[{i}]", schema) for i, text in enumerate(texts))
    return places.astype(np.uint32), found


def _config(text: str | None, where: str, schema: Schema) -> Mapping[str, Any]:
    data = (text or "null").encode()
    try:
        try:
            found = canonical.loads(data, schema.format.limits)
        except CorruptError:  # JSON, but not as a file writes it
            found = msgspec.json.decode(data)
    except (DecodeError, msgspec.DecodeError) as err:
        raise EncodeError(f"{where}: found {text!r:.60}, expected JSON: {err}") from err
    if not isinstance(found, Mapping):
        raise EncodeError(f"{where}: found {text!r:.60}, expected a JSON object")
    return found


def _as_vectors(array: pa.Array, field: Field) -> pa.Array:
    try:
        return array.cast(pa.list_(array.type.value_type, field.num_components or 1))
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
                f"{field.path}: a null within the vector of record {row}; a vector is absent as a "
                "whole or not at all"
            )
    values = _numbers(items, field).reshape(-1, size).copy()
    values[~present] = np.nan if values.dtype.kind == "f" else 0
    return values


def _numbers(array: pa.Array, field: Field) -> Array:
    kind = array.type
    if not (kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_boolean(kind)):
        raise EncodeError(f"{field.path}: found a column of {kind}, expected {field.type_name}")
    if array.null_count:
        nothing = np.nan if kinds.is_floating(kind) else False if kinds.is_boolean(kind) else 0
        array = array.fill_null(nothing)
    found: Array = array.to_numpy(zero_copy_only=False)
    return found
