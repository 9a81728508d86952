"""A draft, and the tensors of it that still are on another device.

With groups of several records such a tensor is copied where it is, and all of a group are brought
over together when the group is written: one wait for the device, instead of one for each value.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from cmeta.errors import EncodeError
from cmeta.format.journal_rows import RowLayout
from cmeta.records.config import config_json
from cmeta.records.convert import (
    as_array,
    as_array_and_loss,
    require_one_element,
    scalar,
    warn_imprecise,
)
from cmeta.schema.rules import PHASE, TIMESTAMP
from cmeta.schema.types import Field


class Deferred(NamedTuple):
    """A value that still is on another device."""

    place: int
    tensor: Any
    field: Field | None
    name: str = ""


class Draft:
    """A record that is complete but for its ordinal."""

    undeclared: Mapping[str, float] = MappingProxyType({})  # replaced where there are any
    config: bytes | None = None
    deferred: list[Deferred] | None = None

    def __init__(self, values: list[Any], phase: int, timestamp: int | None) -> None:
        self.values, self.phase, self.timestamp = values, phase, timestamp
        self.present = 0

    def defer(self, item: Deferred) -> None:
        """Leave a value for later."""
        self.deferred = [*(self.deferred or ()), item]


def is_remote(value: Any) -> bool:
    """Return whether a value is a tensor on another device, so that looking at it would wait."""
    device = getattr(value, "device", None)
    return getattr(device, "type", "cpu") != "cpu" and hasattr(value, "detach")


def settle(drafts: list[Draft]) -> None:
    """Bring the deferred tensors of a group over, with one synchronisation for each device."""
    if all(draft.deferred is None for draft in drafts):
        return
    deferred = [(draft, item) for draft in drafts for item in draft.deferred or ()]
    by_kind: dict[Any, list[tuple[Draft, Deferred]]] = {}
    for draft, item in deferred:
        by_kind.setdefault((str(item.tensor.device), str(item.tensor.dtype)), []).append(
            (draft, item)
        )
    for group in by_kind.values():
        for (draft, item), value in zip(group, _fetch([i.tensor for _, i in group]), strict=True):
            if item.field is None:
                draft.undeclared = {**draft.undeclared, item.name: value}
            else:
                column = as_array([value], item.field)
                draft.values[item.place] = column.values[0].item()
    for draft in drafts:
        draft.deferred = None


def _fetch(tensors: list[Any]) -> list[float]:
    torch = sys.modules.get("torch")
    if torch is None or len(tensors) == 1:
        return [float(tensor) for tensor in tensors]
    return [float(v) for v in torch.stack([t.reshape(()) for t in tensors]).cpu().tolist()]


ALIASES = {"loss": "loss_value"}
PHASE_ALIASES = {"val": "validate", "eval": "validate"}
_MOST = int(np.iinfo(np.uint64).max)
_QUANTA_OF_0_1_PERCENT = 500  # from so many quanta on, rounding loses less than 0.1%
_TOLERATED = 1e-3


class Slot(NamedTuple):
    """Where a field stands in the list of values, and which magnitudes need no second look."""

    place: int
    bit: int
    low: float
    high: float
    field: Field


class Drafter:
    """Makes drafts for one schema.

    Parameters
    ----------
    layout : RowLayout
    defer : bool
        Leave tensors on their device until the group is flushed.
    """

    def __init__(self, layout: RowLayout, *, defer: bool) -> None:
        self.schema = schema = layout.schema
        self._defer = defer
        self._limits = schema.format.limits
        self._slots: dict[str, Slot] = {}
        place = 0
        for i, field in enumerate(schema.fields):
            self._slots[field.path] = Slot(place, 1 << i, *_magnitudes(field), field)
            place += field.num_columns
        self._blank: list[Any] = [0] * place
        self._integers = {field: _integers(field) for field in schema.fields}
        for short, path in ALIASES.items():
            if short not in self._slots and path in self._slots:
                self._slots[short] = self._slots[path]
        prefix = f"{schema.open_group}."
        self._metrics = {
            path.removeprefix(prefix): slot
            for path, slot in self._slots.items()
            if path.startswith(prefix)
        }
        self._names: set[str] = set()  # of undeclared metrics that have been looked at
        self._warned: set[Field] = set()
        self._phases = {label: code for code, label in enumerate(schema.phases)}
        for short, label in PHASE_ALIASES.items():
            if label in self._phases:
                self._phases.setdefault(short, self._phases[label])
        self.timestamp_place = self._slots[TIMESTAMP].place
        self._phase_place = self._slots[PHASE].place
        self._always = self._slots[TIMESTAMP].bit | self._slots[PHASE].bit
        self.config_slot = self._slots[schema.config_field.path] if schema.config_field else None

    def draft(
        self,
        phase: Any,
        timestamp: Any,
        fields: Mapping[str, Any],
        metrics: Mapping[str, Any] | None,
    ) -> Draft:
        """Return a draft.

        Parameters
        ----------
        phase : str or int
            Name (``val`` and ``eval`` mean ``validate``) or code.
        timestamp : int or None
            None: to be assigned.
        fields : mapping of str to value
            By dotted name; None is absent.
        metrics : mapping of str to value, or None
            Members of the open group, declared or not.

        Raises
        ------
        EncodeError
            Names the field, what was found and what was expected.
        """
        code = self._phases.get(phase) if type(phase) is str else None
        if code is None:
            code = self._phase_code(phase)
        if timestamp is not None and not (type(timestamp) is int and 0 <= timestamp <= _MOST):
            timestamp = self._convert(self._slots[TIMESTAMP], timestamp)
        values = self._blank[:]
        values[self._phase_place] = code
        draft = Draft(values, code, timestamp)
        present = self._always
        if fields:
            present |= self._take_all(draft, fields, self._slots, self._take_unknown)
        if metrics:
            _require_mapping(metrics, self.schema.open_group)
            present |= self._take_all(draft, metrics, self._metrics, self._take_undeclared)
        draft.present = present
        return draft

    def _take_all(
        self, draft: Draft, given: Mapping[str, Any], slots: Mapping[str, Slot],
        otherwise: Callable[[Draft, Any, Any], None],
    ) -> int:  # fmt: skip
        """Take values by name, and return their presence bits."""
        present, values, get = 0, draft.values, slots.get
        for name, value in given.items():
            slot = get(name)
            if slot is None:
                otherwise(draft, name, value)
                continue
            place, bit, low, high, _ = slot
            if type(value) is float and (
                low <= value <= high or value == 0.0 or -high <= value <= -low
            ):
                values[place] = value
                present |= bit
            elif value is not None:
                self._take(draft, slot, value)
                present |= bit
        return present

    def _take(self, draft: Draft, slot: Slot, value: Any) -> None:
        """Take a value that is not an ordinary float."""
        field, values, place = slot.field, draft.values, slot.place
        if field.type == "config":
            draft.config = self.config_body(value)
        elif field.num_components:
            values[place : place + field.num_components] = self._convert_vector(slot, value)
        elif type(value) is int and value in self._integers.get(field, ()):
            values[place] = value
        elif type(value) is str and value in field.labels:
            values[place] = field.labels.index(value)
        elif self._defer and field.is_float and is_remote(value):
            require_one_element(value, field.path)
            draft.defer(Deferred(place, value.detach().clone(), field))
        else:
            values[place] = self._convert(slot, value)

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
            floats = all(type(v) is float and _is_precise(v, slot) for v in value)
            if floats and field.is_float and len(value) == field.num_components:
                return list(value)
        column, loss = as_array_and_loss([value], field)
        warn_imprecise(field, loss, self._warned)
        components: list[Any] = column.values[0].tolist()
        return components

    def _take_unknown(self, draft: Draft, path: str, value: Any) -> None:
        group, _, name = path.partition(".")
        if not name or group != self.schema.open_group:
            raise self.schema.unknown_field(path)
        self._take_undeclared(draft, name, value)

    def _take_undeclared(self, draft: Draft, name: Any, value: Any) -> None:
        """Take a metric that the schema does not declare."""
        if name not in self._names:
            self._look_at_name(name)
        if not draft.undeclared:
            draft.undeclared = {}
        if type(value) is float:
            draft.undeclared[name] = value  # type: ignore[index]
        elif value is not None:
            self._convert_undeclared(draft, name, value)

    def _look_at_name(self, name: Any) -> None:
        self.schema.metric(name)
        self._names.add(name)

    def _convert_undeclared(self, draft: Draft, name: str, value: Any) -> None:
        group = self.schema.open_group or ""
        if self._defer and is_remote(value):
            require_one_element(value, f"{group}.{name}")
            draft.defer(Deferred(-1, value.detach().clone(), None, name))
            return
        value = scalar(value, f"{group}.{name}")
        if isinstance(value, str) or (isinstance(value, int) and abs(value) > 2**53):
            field = Field(name, "f64", group, declared=False)
            value = as_array([value], field).values[0].item()
        draft.undeclared[name] = float(value)  # type: ignore[index]

    def config_body(self, config: Any) -> bytes:
        """Return a configuration as canonical JSON.

        Raises
        ------
        EncodeError
            It is none, or the schema has no field of type config.
        """
        if self.config_slot is None:
            raise EncodeError("config: the schema has no field of type config")
        return config_json(config, self._limits)

    def _phase_code(self, phase: Any) -> int:
        found = as_array([phase], self.schema[PHASE])
        if found.present is not None:
            raise EncodeError("phase: found None; every record has a phase")
        return int(found.values[0])


def _require_mapping(metrics: Any, group: str | None) -> None:
    if type(metrics) is not dict and not isinstance(metrics, Mapping):
        raise EncodeError(f"{group}: found a {type(metrics).__name__}, expected a mapping")


def _magnitudes(field: Field) -> tuple[float, float]:
    """Return the magnitudes of floats that are fine as they are; none for other types."""
    if field.num_components or not field.is_float:
        return 1, 0
    quanta = field.quanta_per_unit
    return _QUANTA_OF_0_1_PERCENT / quanta if quanta else _tiny(field), _largest(field)


def _integers(field: Field) -> range:
    """Return the integers that are fine as they are."""
    if field.num_components or field.is_float or field.type in ("config", "bool"):
        return range(0)
    low, high = field.limits
    return range(low, high + 1)


def _is_precise(value: float, slot: Slot) -> bool:
    """Return whether a float loses nothing that is worth a warning."""
    quanta, magnitude = slot.field.quanta_per_unit, abs(value)
    low = _QUANTA_OF_0_1_PERCENT / quanta if quanta else _tiny(slot.field)
    if low <= magnitude <= _largest(slot.field) or value == 0.0:
        return True
    if not quanta or not magnitude < low:
        return False
    return abs(round(value * quanta) / quanta - value) <= _TOLERATED * magnitude


def _tiny(field: Field) -> float:
    return float(np.finfo(field.dtype.name).tiny)


def _largest(field: Field) -> float:
    return float(np.finfo(field.dtype.name).max)
