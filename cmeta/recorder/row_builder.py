"""`RowBuilder`: checks and types the values that a user logs, ready to be packed into a row.

This runs for every record, so the ordinary case (a Python float of ordinary size, an int, a name)
is decided here by comparisons alone. Any other value is converted by `cmeta.records.values`, as it
is at every other entrance, and gives the same errors.

A keyword that is no field and has a number is a metric, as a member of `metrics` would be; one that
is spelt almost like a field causes a warning, once.

With groups of several records a tensor on another device is copied there, and all tensors of a
group are fetched together when the group is written: one wait for the device instead of one for
each value.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from cmeta.aliases import FLOAT64_INTEGER_MAX, U64_MAX
from cmeta.errors import EncodeError, warn
from cmeta.format.journal import RowLayout
from cmeta.records.arrays import vector
from cmeta.records.config import config_json
from cmeta.records.precision import PrecisionTally
from cmeta.records.values import as_finite, expected_of, is_missing, not_one_element, plain, typed
from cmeta.schema.rules import PHASE, TIMESTAMP
from cmeta.schema.schema import Schema
from cmeta.schema.types import Field
from cmeta.vocabulary import did_you_mean, field_synonyms, misspelt, phase_named, phase_synonyms

_EXPECTED_OF_METRIC = "a number (f64)"
_QUICK_VECTORS = (np.dtype(np.float64), np.dtype(np.float32))


class DeviceTensor(NamedTuple):
    """A value that is still on another device.

    Attributes
    ----------
    position : int
        Of the value in the row; -1 for an undeclared metric.
    tensor : tensor
        A copy of one element, on its device.
    name : str
        Of the undeclared metric.
    path : str
        Of the field.
    typed : callable
        Makes the field's value of a number.
    """

    position: int
    tensor: Any
    name: str
    path: str
    typed: Callable[[Any], Any]


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
    """What is known of a field in advance.

    Attributes
    ----------
    position, bit : int
        Of its first value in the row, and in the bits of presence.
    low, high : float
        Magnitudes of a float that need no further check; an empty range for a vector. The quantum
        is left aside: what it loses is counted when a batch is sealed.
    least, most : float
        Magnitudes of which the type of a float loses nothing, also for the components of a vector.
    integers : range
        Integers that need no further check.
    expected : str
        What a value must be, for an error.
    field : Field
    """

    position: int
    bit: int
    low: float
    high: float
    least: float
    most: float
    integers: range
    expected: str
    field: Field

    @classmethod
    def of(cls, field: Field, number: int, position: int) -> Slot:
        """Return the slot of a field of this number."""
        least, most = _magnitudes(field)
        low, high = (1, 0) if field.num_components else (least, most)
        integers, expected = _integers(field), expected_of(field)
        return cls(position, 1 << number, low, high, least, most, integers, expected, field)


class RowBuilder:
    """Builds the rows of one schema.

    Parameters
    ----------
    layout : RowLayout
    leave_on_device : bool
        Leave tensors on their device until `fetch_tensors` is called for their group.

    Attributes
    ----------
    precision : PrecisionTally
        What declared floats have lost by being rounded to their type.
    """

    def __init__(self, layout: RowLayout, *, leave_on_device: bool) -> None:
        self.schema = schema = layout.schema
        self._leaves_on_device = leave_on_device
        self._limits = schema.format.limits
        positions = value_positions(schema)
        self._slots = {
            field.path: Slot.of(field, i, positions[field.path])
            for i, field in enumerate(schema.fields)
        }
        self._blank: list[Any] = [0] * sum(field.num_columns for field in schema.fields)
        for word, path in field_synonyms(self._slots).items():
            self._slots[word] = self._slots[path]
        prefix = f"{schema.open_group}."
        self._metrics = {
            path.removeprefix(prefix): slot
            for path, slot in self._slots.items()
            if path.startswith(prefix)
        }
        self._known_names: set[str] = set()  # valid names of undeclared metrics
        self._spellings = [*dict.fromkeys((*self._slots, *self._metrics))]
        self._unknown: set[str] = set()  # keywords that are no fields, and metrics therefore
        self.precision = PrecisionTally(schema)
        codes = {label: code for code, label in enumerate(schema.phases)}
        self._phases = {w: codes[label] for w, label in phase_synonyms(schema.phases).items()}
        self._phase_position = self._slots[PHASE].position
        self._always = self._slots[TIMESTAMP].bit | self._slots[PHASE].bit
        self.config_slot = self._slots[schema.config_field.path] if schema.config_field else None
        timed = schema.wall_time_field
        self.wall_time_slot = self._slots[timed.path] if timed else None

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
            timestamp = self._timestamp(timestamp)
        values = self._blank[:]
        values[self._phase_position] = code
        row = Row(values, code, timestamp)
        row.present = self._always
        if fields:
            self._take_all(row, fields, self._slots, self._take_unknown)
        if metrics:
            _require_mapping(metrics, self.schema.open_group)
            self._take_all(row, metrics, self._metrics, self._take_undeclared)
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
    ) -> None:  # fmt: skip
        """Take values by name, and note their presence."""
        present, values, get = row.present, row.values, slots.get
        for name, value in given.items():
            slot = get(name)
            if slot is None:
                row.present = present
                otherwise(row, name, value)
                present = row.present
                continue
            position, bit, low, high, _, _, _, _, _ = slot
            if type(value) is not float or not (
                low <= value <= high or -high <= value <= -low or (value == 0.0 and high)
            ):
                if value is None or not self._take(row, slot, value):
                    continue
            else:
                values[position] = value
            if present & bit:
                raise _twice(slot.field.path)
            present |= bit
        row.present = present

    def _take(self, row: Row, slot: Slot, value: Any) -> bool:
        """Take a value that is not an ordinary float; return whether it is one at all."""
        field, values, position = slot.field, row.values, slot.position
        kind = type(value)
        if (kind is int and value in slot.integers) or (kind is str and value in field.labels):
            values[position] = value if kind is int else field.labels.index(value)
            return True
        if field.num_components:
            return self._take_vector(row, slot, value)
        if field.type == "config":
            if is_missing(value):
                return False
            row.config = self.config_body(value)
            return True
        if self._leaves_on_device and field.is_float and _is_on_device(value):
            self._leave(row, value, field.path, partial(self._typed, slot), position)
            return True
        number = plain(value, field.path, slot.expected)
        if number is None or (field.labels and number != number):  # a name that pandas lacks is NaN
            return False
        values[position] = self._typed(slot, number)
        return True

    def _take_vector(self, row: Row, slot: Slot, value: Any) -> bool:
        """Take the components of a vector; return whether there is one at all."""
        position, least, most, field = slot.position, slot.least, slot.most, slot.field
        width = field.num_components
        is_quick = type(value) is np.ndarray and value.dtype in _QUICK_VECTORS and value.ndim == 1
        numbers = value.tolist() if is_quick else value
        if type(numbers) not in (list, tuple) or len(numbers) != width:
            numbers = vector(value, field)
            if numbers is None:
                return False
        for number in numbers:
            if type(number) is not float or not (
                least <= number <= most or -most <= number <= -least or (number == 0.0 and most)
            ):
                break
        else:
            row.values[position : position + width] = numbers
            return True
        numbers = vector(numbers, field)
        if numbers is None:
            return False
        row.values[position : position + width] = [self._typed(slot, n) for n in numbers]
        return True

    def _typed(self, slot: Slot, number: Any) -> Any:
        """Return the field's value of a number; note what its type loses."""
        field = slot.field
        if type(number) is float and (
            slot.least <= number <= slot.most or -slot.most <= number <= -slot.least
        ):
            return number
        value = typed(number, field)
        if not field.is_float or slot.least <= abs(value) <= slot.most:
            return value
        if math.isnan(value) or number == 0:  # in this order: a signalling NaN does not compare
            return value
        self._note_loss(field, number, value)
        return value

    def _note_loss(self, field: Field, number: Any, value: float) -> None:
        """Note a number that the type does not hold; what a quantum loses is counted later."""
        if number in (math.inf, -math.inf):
            return
        kept = float(field.dtype.type(value))
        if kept == 0 or math.isinf(kept) or field.exact:
            self.precision.add_value(field, as_finite(number), kept)

    def _timestamp(self, given: Any) -> int | None:
        slot = self._slots[TIMESTAMP]
        if isinstance(given, Mapping):
            raise _values_by_position(given, TIMESTAMP, slot)
        number = plain(given, TIMESTAMP, slot.expected)
        return None if number is None else int(typed(number, slot.field))

    def _phase_code(self, phase: Any) -> int:
        """Return the code of a phase that is not a name or lower-case synonym."""
        schema = self.schema
        if isinstance(phase, str) and (label := phase_named(phase, schema.phases)) is not None:
            return self._phases.setdefault(str(phase), self._phases[label])
        if isinstance(phase, Mapping):
            raise _values_by_position(phase, PHASE, self._slots[PHASE])
        given = plain(phase, PHASE, self._slots[PHASE].expected)
        if given is None:
            raise EncodeError("phase: found None; every record has a phase")
        return int(typed(given, schema[PHASE]))

    # ----------------------------------------------------------------------- undeclared metrics

    def _take_unknown(self, row: Row, name: str, value: Any) -> None:
        """Take a keyword that is no field: a metric, by its dotted or its plain name."""
        group, dot, member = name.partition(".")
        if dot and group in self.schema.groups:
            if not member or group != self.schema.open_group:
                raise self.schema.unknown_field(name)
            self._take_undeclared(row, member, value)
            return
        if name in self._metrics:
            self._take_all(row, {name: value}, self._metrics, self._take_undeclared)
            return
        if name not in self._unknown:
            self._accept_unknown(name, value)
        self._take_undeclared(row, name, value)

    def _accept_unknown(self, name: str, value: Any) -> None:
        """Refuse a keyword that is no field, unless it has a number; warn if it is misspelt."""
        if self.schema.open_group is None:
            raise self.schema.unknown_field(name)
        self._require_number(name, value)
        self._unknown.add(name)
        if (meant := misspelt(name, self._spellings)) is not None:
            warn(
                f"{name!r} is not in the schema and is recorded as a metric; did you mean {meant}? "
                f"If not, metrics={{{name!r}: ...}} says so"
            )

    def _require_number(self, name: str, value: Any) -> None:
        """Refuse what no metric is: as an unknown field, if the name is similar to that of one."""
        try:
            if not isinstance(plain(value, name), str):
                return
            reason = f"found {value!r}, expected a number; keep text in the configuration"
        except EncodeError as err:
            reason = str(err).removeprefix(f"{name}: ")
        if did_you_mean(name, self._spellings):
            raise self.schema.unknown_field(name)
        raise EncodeError(f"field {name!r} is not in the schema, and as a metric: {reason}")

    def _take_undeclared(self, row: Row, name: Any, value: Any) -> None:
        """Take a metric that the schema does not declare."""
        if name not in self._known_names:
            self.schema.metric(name)  # raises for a name that is not one
            self._known_names.add(name)
        if type(value) is not float:
            value = self._undeclared(row, name, value)
            if value is None:
                return
        if not row.undeclared:
            row.undeclared = {}
        elif name in row.undeclared:
            raise _twice(f"{self.schema.open_group}.{name}")
        row.undeclared[name] = value  # type: ignore[index]

    def _undeclared(self, row: Row, name: str, value: Any) -> float | None:
        """Return a metric that is not a float as one; None if it is absent, or on a device."""
        path = f"{self.schema.open_group}.{name}"
        if self._leaves_on_device and _is_on_device(value):
            if name in row.undeclared:
                raise _twice(path)
            self._leave(row, value, path, partial(typed, field=self.schema.metric(name)), name=name)
            return None
        number = plain(value, path, _EXPECTED_OF_METRIC)
        if number is None or type(number) is float:
            return number
        if isinstance(number, int) and -FLOAT64_INTEGER_MAX <= number <= FLOAT64_INTEGER_MAX:
            return float(number)
        return float(typed(number, self.schema.metric(name)))

    # ------------------------------------------------------------------ tensors on other devices

    def _leave(
        self, row: Row, tensor: Any, path: str, typed: Callable[[Any], Any], position: int = -1,
        name: str = "",
    ) -> None:  # fmt: skip
        """Leave a tensor on its device; a copy of it, because training may change it in place."""
        if math.prod(tensor.shape) != 1:
            raise not_one_element(tensor.shape, path)
        item = DeviceTensor(position, tensor.detach().clone(), name, path, typed)
        row.on_device = [*(row.on_device or ()), item]


def fetch_tensors(rows: list[Row]) -> dict[Row, EncodeError]:
    """Fetch the tensors of a group, with one synchronisation for each device and dtype.

    Returns the rows of which a tensor cannot be fetched or has no value that fits, with the reason.
    """
    by_kind: dict[Any, list[tuple[Row, DeviceTensor]]] = {}
    for row in rows:
        for item in row.on_device or ():
            kind = str(item.tensor.device), str(item.tensor.dtype)
            by_kind.setdefault(kind, []).append((row, item))
    failed: dict[Row, EncodeError] = {}
    for pairs in by_kind.values():
        for (row, item), fetch in zip(pairs, _fetchers(pairs), strict=True):
            try:
                value = item.typed(fetch())
            except Exception as err:  # whatever a device raises
                failed.setdefault(row, _unfetched(item, err))
                continue
            if item.position < 0:
                row.undeclared = {**row.undeclared, item.name: value}
            else:
                row.values[item.position] = value
    for row in rows:
        row.on_device = None
    return failed


def _fetchers(pairs: list[tuple[Row, DeviceTensor]]) -> list[Callable[[], Any]]:
    """Return for each tensor what gives its number: all at once or, if that fails, one by one."""
    tensors = [item.tensor for _, item in pairs]
    try:
        numbers = _fetch(tensors)
    except Exception:
        return [partial(_only, tensor) for tensor in tensors]
    return [partial(_same, number) for number in numbers]


def _only(tensor: Any) -> Any:
    return _fetch([tensor])[0]


def _same(number: Any) -> Any:
    return number


def _unfetched(item: DeviceTensor, error: Exception) -> EncodeError:
    reason = str(error) if isinstance(error, EncodeError) else f"{type(error).__name__}: {error}"
    return EncodeError(f"{item.path}: the tensor cannot be fetched from its device ({reason})")


def _fetch(tensors: list[Any]) -> list[Any]:
    torch = sys.modules.get("torch")
    if torch is None or len(tensors) == 1:
        return [plain(tensor, "tensor") for tensor in tensors]
    numbers: list[Any] = torch.stack([t.reshape(()) for t in tensors]).cpu().tolist()
    return numbers


def _is_on_device(value: Any) -> bool:
    """Return whether a value is a float tensor on another device: reading it would wait.

    Only a float can be left there: whatever it is, it fits a float field.
    """
    device = getattr(value, "device", None)
    if getattr(device, "type", "cpu") == "cpu" or not hasattr(value, "detach"):
        return False
    is_floating = getattr(value, "is_floating_point", None)
    return not callable(is_floating) or bool(is_floating())


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


def _values_by_position(given: Any, path: str, slot: Slot) -> EncodeError:
    """Return the error for a mapping of values that is given without a name."""
    return EncodeError(
        f"{path}: found a {type(given).__name__}, expected {slot.expected}; the phase comes "
        'first, and values have names: log("train", **values), or log("train", metrics=values)'
    )


def _twice(path: str) -> EncodeError:
    return EncodeError(f"{path}: given under two names; give it once")


def _magnitudes(field: Field) -> tuple[float, float]:
    """Return the least and the greatest magnitude of which a type loses nothing, if a float."""
    if not field.is_float:
        return 1, 0
    facts = np.finfo(field.dtype.name)
    return float(facts.tiny), float(facts.max)


def _integers(field: Field) -> range:
    """Return the integers that need no further check."""
    if field.num_components or field.type in ("config", "bool"):
        return range(0)
    if field.is_float:
        return range(-(2**24), 2**24 + 1)
    low, high = field.limits
    return range(low, high + 1)
