"""`RowBuilder`: checks and types the values that a user logs, ready to be packed into a row.

This runs for every record, so the ordinary case (a Python float of ordinary size, an int, a name)
is decided here by comparisons alone. Any other value takes the same conversion as a column of one
value, and gives the same errors.

With groups of several records a tensor on another device is copied there, and all tensors of a
group are fetched together when the group is written: one wait for the device instead of one for
each value.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from cmeta.aliases import FLOAT64_INTEGER_MAX, U64_MAX
from cmeta.errors import EncodeError
from cmeta.format.journal import RowLayout
from cmeta.records.config import config_json
from cmeta.records.convert import (
    TOLERANCE,
    as_array,
    as_array_and_loss,
    require_one_element,
    scalar,
    warn_imprecise,
)
from cmeta.schema.rules import PHASE, TIMESTAMP
from cmeta.schema.schema import Schema
from cmeta.schema.types import Field
from cmeta.vocabulary import field_synonyms, phase_named, phase_synonyms

_QUANTA_OF_0_1_PERCENT = 500  # from this many quanta on, rounding loses less than 0.1%


class DeviceTensor(NamedTuple):
    """A value that is still on another device.

    Attributes
    ----------
    position : int
        Of the value in the row; unused for an undeclared metric.
    tensor : tensor
        A copy of one element, on its device.
    field : Field or None
        None for an undeclared metric.
    name : str
        Of the undeclared metric.
    """

    position: int
    tensor: Any
    field: Field | None
    name: str = ""


class Row:
    """A record that is complete except for its ordinal.

    Attributes
    ----------
    values : list
        Of all columns; absent ones are 0.
    phase : int
        Its code.
    timestamp : int or None
        None until it is assigned.
    present : int
        One bit for each field.
    undeclared : mapping of str to float
        Metrics that the schema does not declare.
    config : bytes or None
        The configuration, as canonical JSON.
    on_device : list of DeviceTensor or None
        Values that are still missing.
    """

    undeclared: Mapping[str, float] = MappingProxyType({})  # replaced by the first metric
    config: bytes | None = None
    on_device: list[DeviceTensor] | None = None

    def __init__(self, values: list[Any], phase: int, timestamp: int | None) -> None:
        self.values, self.phase, self.timestamp = values, phase, timestamp
        self.present = 0


class Slot(NamedTuple):
    """The position and presence bit of a field, and the magnitudes that need no further check."""

    position: int
    bit: int
    low: float
    high: float
    field: Field


class RowBuilder:
    """Builds the rows of one schema.

    Parameters
    ----------
    layout : RowLayout
    leave_on_device : bool
        Leave tensors on their device until `fetch_tensors` is called for their group.
    """

    def __init__(self, layout: RowLayout, *, leave_on_device: bool) -> None:
        self.schema = schema = layout.schema
        self._leaves_on_device = leave_on_device
        self._limits = schema.format.limits
        positions = value_positions(schema)
        self._slots = {
            field.path: Slot(positions[field.path], 1 << i, *_magnitudes(field), field)
            for i, field in enumerate(schema.fields)
        }
        self._blank: list[Any] = [0] * sum(field.num_columns for field in schema.fields)
        self._integers = {field: _integers(field) for field in schema.fields}
        for word, path in field_synonyms(self._slots).items():
            self._slots[word] = self._slots[path]
        prefix = f"{schema.open_group}."
        self._metrics = {
            path.removeprefix(prefix): slot
            for path, slot in self._slots.items()
            if path.startswith(prefix)
        }
        self._known_names: set[str] = set()  # valid names of undeclared metrics
        self._warned: set[Field] = set()
        codes = {label: code for code, label in enumerate(schema.phases)}
        self._phases = {w: codes[label] for w, label in phase_synonyms(schema.phases).items()}
        self._phase_position = self._slots[PHASE].position
        self._always = self._slots[TIMESTAMP].bit | self._slots[PHASE].bit
        self.config_slot = self._slots[schema.config_field.path] if schema.config_field else None

    def build(
        self,
        phase: Any,
        timestamp: Any,
        fields: Mapping[str, Any],
        metrics: Mapping[str, Any] | None,
    ) -> Row:
        """Return a row.

        Parameters
        ----------
        phase : str or int
            A name, a synonym (`cmeta.vocabulary`) or a code.
        timestamp : int or None
            None: to be assigned.
        fields : mapping of str to value
            By dotted name; None means absent.
        metrics : mapping of str to value, or None
            Members of the open group, declared or not.

        Raises
        ------
        EncodeError
            A value is invalid; the message names the field, the value and what was expected.
        """
        code = self._phases.get(phase) if type(phase) is str else None
        if code is None:
            code = self._phase_code(phase)
        if timestamp is not None and not (type(timestamp) is int and 0 <= timestamp <= U64_MAX):
            timestamp = self._convert(self._slots[TIMESTAMP], timestamp)
        values = self._blank[:]
        values[self._phase_position] = code
        row = Row(values, code, timestamp)
        present = self._always
        if fields:
            present |= self._take_all(row, fields, self._slots, self._take_unknown)
        if metrics:
            _require_mapping(metrics, self.schema.open_group)
            present |= self._take_all(row, metrics, self._metrics, self._take_undeclared)
        row.present = present
        return row

    def config_body(self, config: Any) -> bytes:
        """Return a configuration as canonical JSON.

        Raises
        ------
        EncodeError
            It is not a configuration, or the schema has no field for one.
        """
        if self.config_slot is None:
            raise EncodeError("config: the schema has no field of type config")
        return config_json(config, self._limits)

    # -------------------------------------------------------------------------- declared fields

    def _take_all(
        self, row: Row, given: Mapping[str, Any], slots: Mapping[str, Slot],
        otherwise: Callable[[Row, Any, Any], None],
    ) -> int:  # fmt: skip
        """Take values by name, and return their presence bits."""
        present, values, get = 0, row.values, slots.get
        for name, value in given.items():
            slot = get(name)
            if slot is None:
                otherwise(row, name, value)
                continue
            position, bit, low, high, _ = slot
            if type(value) is float and (
                low <= value <= high or value == 0.0 or -high <= value <= -low
            ):
                values[position] = value
                present |= bit
            elif value is not None:
                self._take(row, slot, value)
                present |= bit
        return present

    def _take(self, row: Row, slot: Slot, value: Any) -> None:
        """Take a value that is not an ordinary float."""
        field, values, position = slot.field, row.values, slot.position
        if field.type == "config":
            row.config = self.config_body(value)
        elif field.num_components:
            values[position : position + field.num_components] = self._convert_vector(slot, value)
        elif type(value) is int and value in self._integers.get(field, ()):
            values[position] = value
        elif type(value) is str and value in field.labels:
            values[position] = field.labels.index(value)
        elif self._leaves_on_device and field.is_float and _is_on_device(value):
            self._leave(row, value, field.path, position, field)
        else:
            values[position] = self._convert(slot, value)

    def _convert(self, slot: Slot, value: Any) -> Any:
        field = slot.field
        if field.is_float and not isinstance(value, float | str):
            value = scalar(value, field.path)
        if field.is_float and type(value) is float and _is_precise(value, slot):
            return value
        column, loss = as_array_and_loss([value], field)
        if column.present is not None:
            raise EncodeError(f"{field.path}: found None, expected {field.type_name}")
        warn_imprecise(field, loss, self._warned)
        return column.values[0].item()

    def _convert_vector(self, slot: Slot, value: Any) -> list[Any]:
        field = slot.field
        if type(value) is tuple or type(value) is list:
            is_precise = all(type(v) is float and _is_precise(v, slot) for v in value)
            if is_precise and field.is_float and len(value) == field.num_components:
                return list(value)
        column, loss = as_array_and_loss([value], field)
        warn_imprecise(field, loss, self._warned)
        components: list[Any] = column.values[0].tolist()
        return components

    def _phase_code(self, phase: Any) -> int:
        """Return the code of a phase that is not a name or lower-case synonym."""
        schema = self.schema
        if isinstance(phase, str) and (label := phase_named(phase, schema.phases)) is not None:
            return self._phases.setdefault(str(phase), self._phases[label])
        column = as_array([phase], schema[PHASE])
        if column.present is not None:
            raise EncodeError("phase: found None; every record has a phase")
        return int(column.values[0])

    # ----------------------------------------------------------------------- undeclared metrics

    def _take_unknown(self, row: Row, path: str, value: Any) -> None:
        group, _, name = path.partition(".")
        if not name or group != self.schema.open_group:
            raise self.schema.unknown_field(path)
        self._take_undeclared(row, name, value)

    def _take_undeclared(self, row: Row, name: Any, value: Any) -> None:
        """Take a metric that the schema does not declare."""
        if name not in self._known_names:
            self.schema.metric(name)  # raises for a name that is not one
            self._known_names.add(name)
        if not row.undeclared:
            row.undeclared = {}
        if type(value) is float:
            row.undeclared[name] = value  # type: ignore[index]
        elif value is not None:
            self._convert_undeclared(row, name, value)

    def _convert_undeclared(self, row: Row, name: str, value: Any) -> None:
        group = self.schema.open_group or ""
        if self._leaves_on_device and _is_on_device(value):
            self._leave(row, value, f"{group}.{name}", name=name)
            return
        value = scalar(value, f"{group}.{name}")
        if isinstance(value, str) or (isinstance(value, int) and abs(value) > FLOAT64_INTEGER_MAX):
            field = Field(name, "f64", group, declared=False)
            value = as_array([value], field).values[0].item()
        row.undeclared[name] = float(value)  # type: ignore[index]

    # ------------------------------------------------------------------ tensors on other devices

    def _leave(
        self, row: Row, tensor: Any, path: str, position: int = -1, field: Field | None = None,
        name: str = "",
    ) -> None:  # fmt: skip
        """Leave a tensor on its device; a copy of it, because training may change it in place."""
        require_one_element(tensor, path)
        item = DeviceTensor(position, tensor.detach().clone(), field, name)
        row.on_device = [*(row.on_device or ()), item]


def fetch_tensors(rows: list[Row]) -> None:
    """Fetch the tensors of a group, with one synchronisation for each device and dtype."""
    if all(row.on_device is None for row in rows):
        return
    by_kind: dict[Any, list[tuple[Row, DeviceTensor]]] = {}
    for row in rows:
        for item in row.on_device or ():
            kind = str(item.tensor.device), str(item.tensor.dtype)
            by_kind.setdefault(kind, []).append((row, item))
    for pairs in by_kind.values():
        values = _fetch([item.tensor for _, item in pairs])
        for (row, item), value in zip(pairs, values, strict=True):
            if item.field is None:
                row.undeclared = {**row.undeclared, item.name: value}
            else:
                row.values[item.position] = as_array([value], item.field).values[0].item()
    for row in rows:
        row.on_device = None


def _fetch(tensors: list[Any]) -> list[float]:
    torch = sys.modules.get("torch")
    if torch is None or len(tensors) == 1:
        return [float(tensor) for tensor in tensors]
    return [float(v) for v in torch.stack([t.reshape(()) for t in tensors]).cpu().tolist()]


def _is_on_device(value: Any) -> bool:
    """Return whether a value is a tensor on another device, so that reading it would wait."""
    device = getattr(value, "device", None)
    return getattr(device, "type", "cpu") != "cpu" and hasattr(value, "detach")


def value_positions(schema: Schema) -> dict[str, int]:
    """Return for each field the position of its first value in `Row.values`."""
    positions, position = {}, 0
    for field in schema.fields:
        positions[field.path] = position
        position += field.num_columns
    return positions


def _require_mapping(metrics: Any, group: str | None) -> None:
    if type(metrics) is not dict and not isinstance(metrics, Mapping):
        raise EncodeError(f"{group}: found {type(metrics).__name__}, expected a mapping")


def _magnitudes(field: Field) -> tuple[float, float]:
    """Return the magnitudes of floats that need no further check; an empty range for others."""
    if field.num_components or not field.is_float:
        return 1, 0
    return _lowest_precise(field), _largest(field)


def _integers(field: Field) -> range:
    """Return the integers that need no further check."""
    if field.num_components or field.is_float or field.type in ("config", "bool"):
        return range(0)
    low, high = field.limits
    return range(low, high + 1)


def _is_precise(value: float, slot: Slot) -> bool:
    """Return whether a float loses too little for a warning."""
    quanta, magnitude = slot.field.quanta_per_unit, abs(value)
    low = _lowest_precise(slot.field)
    if low <= magnitude <= _largest(slot.field) or value == 0.0:
        return True
    if not quanta or not magnitude < low:
        return False
    return abs(round(value * quanta) / quanta - value) <= TOLERANCE * magnitude


def _lowest_precise(field: Field) -> float:
    """Return the least magnitude that loses less than 0.1%, for any digits."""
    quanta = field.quanta_per_unit
    return _QUANTA_OF_0_1_PERCENT / quanta if quanta else float(np.finfo(field.dtype.name).tiny)


def _largest(field: Field) -> float:
    return float(np.finfo(field.dtype.name).max)
