"""What a summary says; it does not grow with the length of the run."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cmeta.validate import Finding

Number = float | int


@dataclass(frozen=True)
class Missing(Finding):
    """Something that cannot be read, and what is missing because of it.

    Attributes
    ----------
    num_records : int or None
        Of a batch; None if it is no batch, or nobody knows.
    first_timestamp, last_timestamp : int or None
        Of these records.
    """

    num_records: int | None = None
    first_timestamp: int | None = None
    last_timestamp: int | None = None


@dataclass(frozen=True)
class FieldSummary:
    """A field in the records of one phase; of a vector, one component.

    Attributes
    ----------
    phase, field : str
        The field by its dotted name.
    component : int or None
        Of a vector.
    group : str
        That the field belongs to, "" for none.
    unit : str
        As the schema states it; of `min`, `max`, `mean`, `deviation`, `first` and `last`.
    num_values : int
        Records that have it, NaN and infinities included.
    num_absent : int
        Records of the phase that lack it.
    num_nan, num_infinite : int
        Of the values; these never enter `min`, `max`, `mean`, `deviation` and `slope`.
    min, max : float or int, or None
        Of the finite values, exact; an integer of an integer field. None without a finite value.
    min_at, max_at : int or None
        Timestamps at which they were first reached.
    mean : float or None
    deviation : float or None
        The standard deviation of the population (divided by n): 0 of a single value, and never
        beyond the largest of them.
    first, last : float or int, or None
        As recorded, also NaN and infinities.
    first_at, last_at : int or None
        Their timestamps.
    slope : float or None
        Least squares, in units a timestamp. None if all values stand at one timestamp; infinite if
        no float can hold it.
    bins : tuple of float
        The course: means of at most 128 stretches of equally many values; NaN where a stretch has
        nothing finite.
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
    """What a run came to.

    Attributes
    ----------
    file : str
    state : str
        "closed", "open" or "damaged".
    num_records : int
        Of the range and the phases that were asked for, as far as they can be read.
    phases : mapping of str to int
        Records of each phase that has some.
    first_timestamp, last_timestamp : int or None
        Of these records.
    fields : tuple of FieldSummary
        By phase and field, each in the schema's order; a field without a value in a phase has none.
    problems : tuple of Missing
        What could not be read, and is not in here; only with ``partial=True``.
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

        Raises
        ------
        KeyError
            The field has no value in this phase.
        """
        phase, name = key
        for found in self.fields:
            if found.phase == phase and found.name == name:
                return found
        known = ", ".join(dict.fromkeys(f.name for f in self.fields if f.phase == phase))
        raise KeyError(f"no {name!r} in phase {phase!r} of {self.file}; there are: {known or '-'}")

    def as_json(self) -> dict[str, Any]:
        """Return the summary as JSON values."""
        found = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        found["phases"] = dict(self.phases)
        found["fields"] = [dataclasses.asdict(one) for one in self.fields]
        found["problems"] = [dataclasses.asdict(one) for one in self.problems]
        return found
