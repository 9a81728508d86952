"""A condition on the records of a file: its names found, its columns taken batch by batch.

A name is that of a field, dotted, or without its group where that is unique; ``name[i]`` is a
component of a vector, and ``config.lr`` a key of the record's configuration (``config.model.depth``
one of a table in it). An enumeration is text.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cmeta.aliases import Array, Mask, Rows
from cmeta.query.parse import Expression
from cmeta.query.values import column_of
from cmeta.records.chunk import Column
from cmeta.schema.schema import Schema
from cmeta.schema.types import Field
from cmeta.storage.open import AnyBatch

_COMPONENT = re.compile(r"(.+)\[(-?\d+)\]\Z", re.DOTALL)
_KNOWN_MAX = 40  # names in a message


@dataclass(frozen=True)
class Condition:
    """An expression over the fields of one file.

    Attributes
    ----------
    expression : Expression
    columns : mapping of str to callable
        By name, what gives its column of a batch.
    """

    expression: Expression
    columns: Mapping[str, Callable[[AnyBatch], Column]]

    @classmethod
    def of(
        cls,
        expression: Expression,
        schema: Schema,
        fields: Callable[[], Sequence[Field]],
        configs: Callable[[], Sequence[Mapping[str, Any]]],
    ) -> Condition:
        """Find the names of an expression.

        Parameters
        ----------
        fields, configs : callable
            Give all fields, and the configurations by number; called only if they are needed.

        Raises
        ------
        QueryError
            A name that the file does not have, or a text that an enumeration does not have.
        """
        columns: dict[str, Callable[[AnyBatch], Column]] = {}
        for name in expression.names:
            of_config = _key_of_config(name, schema)
            if of_config is not None:
                columns[name] = _config_column(expression, name, *of_config, configs())
                continue
            field, component = _find(expression, name, schema, fields)
            _check_texts(expression, name, field)
            columns[name] = _field_column(field, component)
        return cls(expression, columns)

    def narrow(self, batch: AnyBatch, rows: Rows) -> Rows:
        """Return those of some rows of a batch for which the condition is true."""

        def lookup(name: str) -> Column:
            return self.columns[name](batch).rows(rows)

        if isinstance(rows, slice) and rows.stop <= rows.start:
            return rows
        chosen: Mask = self.expression.evaluate(lookup)
        if not isinstance(rows, slice):
            kept: Rows = rows[chosen]
            return kept
        if chosen.all():
            return rows
        return np.flatnonzero(chosen) + int(rows.start)


def _find(
    expression: Expression, name: str, schema: Schema, fields: Callable[[], Sequence[Field]]
) -> tuple[Field, int | None]:
    if name in schema:
        return schema[name], None
    known = fields()
    by_path = {field.path: field for field in known}
    for spelling, component in ((name, None), _without_component(name)):
        same = [field for field in known if field.name == spelling]
        field = by_path.get(spelling) or (same[0] if len(same) == 1 else None)
        if field is not None:
            _check_component(expression, name, field, component)
            return field, component
        if len(same) > 1:
            paths = " or ".join(field.path for field in same)
            raise expression.error(name, f"{name!r} may be {paths}")
    spellings = dict.fromkeys([*by_path, *(field.name for field in known)])
    close = difflib.get_close_matches(name, spellings, 3)
    close = close or [path for path in spellings if path.startswith(name)][:3]
    hint = f" (did you mean {' or '.join(close)}?)" if close else ""
    shown = ", ".join(list(by_path)[:_KNOWN_MAX])
    more = f" and {len(by_path) - _KNOWN_MAX} more" if len(by_path) > _KNOWN_MAX else ""
    raise expression.error(name, f"no field {name!r}{hint}; there are: {shown}{more}")


def _without_component(name: str) -> tuple[str, int | None]:
    match = _COMPONENT.match(name)
    return (match[1], int(match[2])) if match else (name, None)


def _check_component(
    expression: Expression, name: str, field: Field, component: int | None
) -> None:
    count = field.num_components
    if component is not None and not 0 <= component < count:
        has = f"components 0 to {count - 1}" if count else "no components: it is no vector"
        raise expression.error(name, f"{field.path} has {has}")


def _check_texts(expression: Expression, name: str, field: Field) -> None:
    for of, text in expression.texts:
        if of == name and field.labels and text not in field.labels:
            known = ", ".join(field.labels)
            raise expression.error(name, f"{field.path} is never {text!r}; it is one of: {known}")


def _field_column(field: Field, component: int | None) -> Callable[[AnyBatch], Column]:
    labels = np.array(field.labels)

    def column(batch: AnyBatch) -> Column:
        found = batch.column(field, np.nan if field.is_float else 0)
        if found is None:
            shape = (batch.num_records, field.num_components)
            missing = np.zeros(shape if field.num_components else shape[:1], field.dtype)
            return Column(_shown(missing), np.zeros(batch.num_records, np.bool_))
        return Column(_shown(found.values), found.present)

    def _shown(values: Array) -> Array:
        if field.labels:
            return np.asarray(labels[values])
        return values if component is None else values[:, component]

    return column


def _key_of_config(name: str, schema: Schema) -> tuple[Field, str] | None:
    """Return the field of configurations and the key in them that a name means."""
    field = schema.config_field
    if field is None or not name.startswith(f"{field.path}."):
        return None
    return field, name.removeprefix(f"{field.path}.")


def _config_column(
    expression: Expression,
    name: str,
    field: Field,
    key: str,
    configs: Sequence[Mapping[str, Any]],
) -> Callable[[AnyBatch], Column]:
    if configs and not any(_has(config, key) for config in configs):
        keys = dict.fromkeys(key for config in configs for key in config)
        shown = ", ".join(map(str, list(keys)[:_KNOWN_MAX]))
        raise expression.error(name, f"no configuration has {key!r}; they have: {shown}")
    # One value more, absent: for records without a configuration.
    found = (_number(_value(config, key)) for config in configs)
    values, present = column_of([*found, None])
    there = np.zeros(len(values), np.bool_) if present is None else present

    def column(batch: AnyBatch) -> Column:
        found = batch.column(field, 0)
        if found is None:
            numbers = np.full(batch.num_records, len(configs))
        else:
            numbers = np.minimum(found.values, len(configs))
            if found.present is not None:
                numbers = np.where(found.present, numbers, len(configs))
        return Column(values[numbers], there[numbers])

    return column


def _has(config: Any, key: str) -> bool:
    return _value(config, key, missing=_MISSING) is not _MISSING


_MISSING = object()
_HEX = re.compile(r"-?0x[0-9A-F]{14,}")  # an integer beyond 2^53, as the file's JSON has it


def _number(value: Any) -> Any:
    return int(value, 16) if isinstance(value, str) and _HEX.fullmatch(value) else value


def _value(config: Any, key: str, missing: Any = None) -> Any:
    """Return what stands at a dotted key; a key may itself have dots."""
    if not isinstance(config, Mapping):
        return missing
    if key in config:
        return config[key]
    parts = key.split(".")
    for i in range(1, len(parts)):
        found = _value(config.get(".".join(parts[:i])), ".".join(parts[i:]), missing)
        if found is not missing:
            return found
    return missing
