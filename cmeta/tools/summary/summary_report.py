"""The summary of a run; it does not grow with the length of the run."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cmeta.validate import Finding
from cmeta.vocabulary import no_such, phase_named, resolve

Number = float | int


@dataclass(frozen=True)
class Missing(Finding):
    """Something that cannot be read, and the records that are missing because of it.

    Attributes
    ----------
    num_records : int or None
        Records of the batch; None if it is not a batch, or the number is not known.
    first_timestamp, last_timestamp : int or None
        The first and the last timestamp of these records.
    """

    num_records: int | None = None
    first_timestamp: int | None = None
    last_timestamp: int | None = None


@dataclass(frozen=True)
class FieldSummary:
    """The statistics of a field in one phase; of a vector, those of one component.

    Attributes
    ----------
    phase, field : str
        The field by its dotted name.
    component : int or None
        The component of a vector.
    group : str
        The field's group, "" for none.
    unit : str
        The unit of `min`, `max`, `mean`, `deviation`, `first` and `last`, from the schema.
    num_values : int
        Records that have it, NaN and infinities included.
    num_absent : int
        Records of the phase that lack it.
    num_nan, num_infinite : int
        Values that are NaN or infinite; `min`, `max`, `mean`, `deviation` and `slope` ignore them.
    min, max : float or int, or None
        Of the finite values, exact; integers for an integer field. None without a finite value.
    min_at, max_at : int or None
        The timestamps at which they first occur.
    mean : float or None
    deviation : float or None
        The standard deviation of the population (divided by n): 0 for a single value, and never
        larger than the largest magnitude.
    first, last : float or int, or None
        As recorded, NaN and infinities included.
    first_at, last_at : int or None
        Their timestamps.
    slope : float or None
        Least squares, in units per timestamp. None if all values have one timestamp; infinite if
        it exceeds the largest float.
    bins : tuple of float
        The curve: means of at most 128 parts of equally many values; NaN where a part has no finite
        value.
    """

    phase: str
    field: str
    component: int | None = None
    group: str = ""
    unit: str = ""
    num_values: int = 0
    num_absent: int = 0
    num_nan: int = 0
    num_infinite: int = 0
    min: Number | None = None
    max: Number | None = None
    min_at: int | None = None
    max_at: int | None = None
    mean: float | None = None
    deviation: float | None = None
    first: Number | None = None
    last: Number | None = None
    first_at: int | None = None
    last_at: int | None = None
    slope: float | None = None
    bins: tuple[float, ...] = ()

    @property
    def name(self) -> str:
        """The dotted name, with the component of a vector, such as ``tensor_signature[0]``."""
        return self.field if self.component is None else f"{self.field}[{self.component}]"

    @property
    def short_name(self) -> str:
        """The name without its group."""
        return self.name.removeprefix(f"{self.group}.") if self.group else self.name

    @property
    def num_finite(self) -> int:
        """How many values are finite."""
        return self.num_values - self.num_nan - self.num_infinite


@dataclass(frozen=True)
class Summary:
    """The statistics of a run, by phase and field.

    Attributes
    ----------
    file : str
    state : str
        "closed", "open" or "damaged".
    num_records : int
        Records of the requested range and phases, as far as they can be read.
    phases : mapping of str to int
        Number of records of each phase that occurs.
    first_timestamp, last_timestamp : int or None
        The first and the last timestamp of these records.
    fields : tuple of FieldSummary
        By phase and field, each in the schema's order; without the fields that have no value in a
        phase.
    problems : tuple of Missing
        What could not be read and is left out; only with ``partial=True``.
    """

    file: str
    state: str
    num_records: int = 0
    phases: Mapping[str, int] = field(default_factory=dict)
    first_timestamp: int | None = None
    last_timestamp: int | None = None
    fields: tuple[FieldSummary, ...] = ()
    problems: tuple[Missing, ...] = ()

    def __iter__(self) -> Iterator[FieldSummary]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)

    def __getitem__(self, key: tuple[str, str]) -> FieldSummary:
        """Return the summary of a phase and a field, such as ``["train", "loss_value"]``.

        Words for them, such as ``["val", "loss"]``, mean the same, and the group of a metric may
        be left out.

        Raises
        ------
        KeyError
            The field has no value in this phase.
        """
        phase = phase_named(key[0], self.phases) or key[0]
        fields = {field.name: field for field in self.fields if field.phase == phase}
        if not fields:
            raise KeyError(f"{self.file}: {no_such('phase', key[0], self.phases)}")
        try:
            name = resolve(key[1], {f.name: f.short_name for f in fields.values()})
        except KeyError as err:
            raise KeyError(f"{self.file}: phase {phase}: {err.args[0]}") from None
        return fields[name]

    def as_json(self) -> dict[str, Any]:
        """Return the summary as JSON values."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        values["phases"] = dict(self.phases)
        values["fields"] = [dataclasses.asdict(field) for field in self.fields]
        values["problems"] = [dataclasses.asdict(problem) for problem in self.problems]
        return values
