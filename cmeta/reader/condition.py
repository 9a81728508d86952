"""A condition on the records of a file: its names resolved, its columns decoded batch by batch.

- A name is that of a field, as `OpenFile.field` has it; ``name[i]`` is a component of a vector.
- ``config.lr`` is a key of the record's configuration, ``config.model.depth`` one of a table in it.
- An enumeration is text; where it is compared with a word for a phase, that phase is meant.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from cmeta.aliases import Mask, Rows
from cmeta.query import hints
from cmeta.query.parse import Expression
from cmeta.query.values import column_of
from cmeta.reader.selection import Selection, num_rows
from cmeta.records.chunk import Column
from cmeta.schema.rules import PHASE, TIMESTAMP
from cmeta.schema.types import Field
from cmeta.storage.open import AnyBatch, HasFields, find_field
from cmeta.vocabulary import AmbiguousNameError, did_you_mean, no_such, phase_named, phase_synonyms

_COMPONENT = re.compile(r"(.+)\[(-?\d+)\]\Z", re.DOTALL)
_HEX = re.compile(r"-?0x[0-9A-F]{14,}")  # an integer beyond 2^53, as the file's JSON has it


class Known(HasFields, Protocol):
    """A file, as far as names in a condition are concerned."""

    @property
    def configs(self) -> tuple[Mapping[str, Any], ...]:
        """The configurations, by number."""


@dataclass(frozen=True)
class Condition:
    """An expression over the records of one file.

    Attributes
    ----------
    expression : Expression
    columns : mapping of str to callable
        For each name of the expression, the function that returns its column of a batch.
    """

    expression: Expression
    columns: Mapping[str, Callable[[AnyBatch], Column]]

    @classmethod
    def of(cls, expression: Expression, file: Known) -> Condition:
        """Resolve the names of an expression.

        Parameters
        ----------
        file : OpenFile or Reader
            Its NAME and CONFIG blocks are read only if the expression needs them.

        Raises
        ------
        QueryError
            A name that the file does not have, or a text that an enumeration does not have.
        """
        columns: dict[str, Callable[[AnyBatch], Column]] = {}
        words: dict[tuple[str, str], str] = {}
        for name in expression.names:
            config, key = file.schema.config_field, ""
            if config is not None and name.startswith(f"{config.path}."):
                key = name.removeprefix(f"{config.path}.")
                columns[name] = _config_column(expression, name, config, key, file.configs)
                continue
            field, component = _field(expression, name, file)
            words |= _phase_words(expression, name, field)
            columns[name] = _field_column(field, component)
        return cls(expression.with_texts(words), columns)

    def narrow(self, selection: Selection) -> Selection:
        """Return the part of a selection for which the condition is true.

        A range of timestamps that the condition implies becomes one of the selection, so that
        whole batches are skipped.
        """
        low, high = self.expression.range_of(TIMESTAMP)
        starts = [start for start in (selection.start, low) if start is not None]
        ends = [end for end in (selection.end, high) if end is not None]
        return replace(
            selection, start=max(starts, default=None), end=min(ends, default=None), condition=self
        )

    def __call__(self, batch: AnyBatch, rows: Rows) -> Rows:
        """Return those of some rows of a batch for which the condition is true."""
        if isinstance(rows, slice) and not num_rows(rows):
            return rows
        chosen: Mask = self.expression.evaluate(lambda name: self.columns[name](batch).rows(rows))
        if not isinstance(rows, slice):
            return rows[chosen]
        return rows if chosen.all() else np.flatnonzero(chosen) + int(rows.start)


# -------------------------------------------------------------------------------------- fields


def _field(expression: Expression, name: str, file: Known) -> tuple[Field, int | None]:
    """Return the field of a name, and the component of it."""
    try:
        return find_field(name, file), None
    except AmbiguousNameError as err:
        raise expression.error(name, err.args[0]) from None
    except KeyError as err:
        message = err.args[0]
    match = _COMPONENT.match(name)
    if match is None:
        known = [field.path for field in file.fields]
        texts = {label for field in file.schema.fields for label in field.labels}
        hint = hints.of_name(name, expression.text, known, {*texts, *phase_synonyms(texts)})
        raise expression.error(name, message if not hint else f"no field {name!r}{hint}")
    try:
        field, component = find_field(match[1], file), int(match[2])
    except KeyError as err:
        raise expression.error(name, err.args[0]) from None
    if not 0 <= component < (count := field.num_components):
        has = f"components 0 to {count - 1}" if count else "no components: it is no vector"
        raise expression.error(name, f"{field.path} has {has}")
    return field, component


def _phase_words(expression: Expression, name: str, field: Field) -> dict[tuple[str, str], str]:
    """Return what is meant by the texts that a field is compared with, where it is another text.

    Raises
    ------
    QueryError
        A text that the enumeration does not have.
    """
    words = {}
    for known, text in expression.texts:
        if known != name or not field.labels or text in field.labels:
            continue
        label = phase_named(text, field.labels) if field.enumeration == PHASE else None
        if label is None:
            labels = ", ".join(field.labels) + did_you_mean(text, field.labels)
            raise expression.error(name, f"{field.path} is never {text!r}; it is one of: {labels}")
        words[name, text] = label
    return words


def _field_column(field: Field, component: int | None) -> Callable[[AnyBatch], Column]:
    labels = np.array(field.labels)

    def column(batch: AnyBatch) -> Column:
        stored = batch.column(field, np.nan if field.is_float else 0)
        if stored is None:
            shape = (batch.num_records, *([field.num_components] if field.num_components else []))
            stored = Column(np.zeros(shape, field.dtype), np.zeros(batch.num_records, np.bool_))
        if field.labels:
            return Column(np.asarray(labels[stored.values]), stored.present)
        return stored if component is None else Column(stored.values[:, component], stored.present)

    return column


# ------------------------------------------------------------------------------ configurations


def _config_column(
    expression: Expression,
    name: str,
    field: Field,
    key: str,
    configs: Sequence[Mapping[str, Any]],
) -> Callable[[AnyBatch], Column]:
    values = [_config_value(config, key) for config in configs]
    if configs and all(value is _MISSING for value in values):
        keys = dict.fromkeys(str(key) for config in configs for key in config)
        raise expression.error(name, no_such("configuration key", key, keys))
    # One more value, absent: for records without a configuration.
    scalars = [None if value is _MISSING else _number(value) for value in values]
    by_number = column_of([*scalars, None])
    mask = by_number.mask()

    def column(batch: AnyBatch) -> Column:
        stored = batch.column(field, 0)
        if stored is None:
            numbers = np.full(batch.num_records, len(configs))
        else:
            numbers = np.minimum(stored.values, len(configs))
            numbers = np.where(stored.mask(), numbers, len(configs))
        return Column(by_number.values[numbers], mask[numbers])

    return column


_MISSING = object()


def _config_value(config: Any, key: str) -> Any:
    """Return the value at a dotted key; a key may itself have dots."""
    if not isinstance(config, Mapping):
        return _MISSING
    if key in config:
        return config[key]
    parts = key.split(".")
    for i in range(1, len(parts)):
        value = _config_value(config.get(".".join(parts[:i])), ".".join(parts[i:]))
        if value is not _MISSING:
            return value
    return _MISSING


def _number(value: Any) -> Any:
    return int(value, 16) if isinstance(value, str) and _HEX.fullmatch(value) else value
