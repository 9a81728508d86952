"""`Schema`: a legal schema, resolved, frozen and typed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec.structs import replace

from cmeta.errors import CorruptError, EncodeError, LimitError, SchemaError
from cmeta.schema import canonical_json, rules
from cmeta.schema.language import Document, Enumeration, Format, Group, RecordField
from cmeta.schema.load import (
    convert,
    load_document,
    prune,
    shipped_document,
    shipped_format,
    shipped_path,
)
from cmeta.schema.types import Field
from cmeta.source import expanded
from cmeta.vocabulary import did_you_mean, find, misspelt

_WALL_TIME = RecordField(
    name="wall_time", type="u64", volatile=True, unit="ms",
    doc="When the record was taken: milliseconds since 1970-01-01, UTC.",
)  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False)
class Schema:
    """The fields and enumerations of a file, and the size of its batches.

    Equal schemas have equal bytes in a file (`Schema.embedded`); documentation does not count.

    Attributes
    ----------
    document : Document
        The content of the schema file.
    format : Format
        The part that the format version fixes.
    source : str
        The file, or another name of the schema's origin.

    Examples
    --------
    >>> schema = default_schema().with_metrics("accuracy", lr={"exact": True}).with_phases("tune")
    >>> schema["metrics.lr"].type_name
    'f64'
    >>> schema.phases
    ('dream', 'train', 'validate', 'test', 'predict', 'tune')
    """

    document: Document
    format: Format
    source: str = "schema"

    def __post_init__(self) -> None:
        rules.check(self.document, self.format, self.source)
        try:
            _ = self.embedded
        except EncodeError as err:
            raise SchemaError(f"found {err}", source=self.source) from err

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Schema:
        """Read a schema file.

        Raises
        ------
        SchemaError
            Names the file, the key path, and the found and the expected value.
        """
        path = Path(expanded(path))
        return cls(load_document(path), shipped_format(), str(path))

    @classmethod
    def from_embedded(cls, data: bytes, format_: Format, *, newer: bool = False) -> Schema:
        """Read the body of a SCHEMA block.

        Parameters
        ----------
        data : bytes
            Canonical JSON.
        format_ : Format
            The part that the format version fixes.
        newer : bool
            The file has a newer minor version: unknown keys are ignored.

        Raises
        ------
        LimitError, CorruptError
            Offsets are relative to `data`.
        """
        if format_ is shipped_format() and not newer:
            return _known(bytes(data))  # most files of a folder have the same one
        return cls._parse(data, format_, newer=newer)

    @classmethod
    def _parse(cls, data: bytes, format_: Format, *, newer: bool) -> Schema:
        plain = canonical_json.loads(data, format_.limits)
        try:
            document = convert(prune(plain, Document) if newer else plain, Document, "SCHEMA")
            _bound_batch(document, format_)
            schema = cls(document, format_, "SCHEMA")
            same = newer or schema.embedded == data
        except (SchemaError, EncodeError) as err:
            message, key = (
                (err.message, err.key) if isinstance(err, SchemaError) else (str(err), "")
            )
            raise CorruptError(f"not a schema: {message}", path=key) from err
        if not same:
            raise CorruptError("not the canonical schema: defaults must be left out")
        return schema

    # -------------------------------------------------------------------------------- contents

    @property
    def batch_records(self) -> int:
        """Records of a full batch."""
        return self.document.record.batch_records

    @cached_property
    def enumerations(self) -> Mapping[str, tuple[str, ...]]:
        """Names of the values by enumeration; a value's code is its place."""
        return {n: rules.value_names(e) for n, e in self.document.enumerations.items()}

    @property
    def phases(self) -> tuple[str, ...]:
        """Names of the phases, in their order."""
        return self.enumerations[rules.PHASE]

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """The declared fields, in their order."""
        return tuple(
            f.resolve(self.enumerations.get(f.enumeration, ()), self.format.codecs)
            for f in self.document.record.fields
        )

    @cached_property
    def open_group(self) -> str | None:
        """The group that takes undeclared names, if there is one."""
        return next((g.name for g in self.document.record.groups if g.open), None)

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """Names of the groups."""
        return tuple(g.name for g in self.document.record.groups)

    @cached_property
    def num_columns(self) -> int:
        """Number of declared columns; a vector takes one for each component."""
        return sum(f.num_columns for f in self.fields)

    @cached_property
    def config_field(self) -> Field | None:
        """The field that holds a configuration, if there is one."""
        return next((f for f in self.fields if f.type == "config"), None)

    @cached_property
    def wall_time_field(self) -> Field | None:
        """The field that a recorder fills with the wall time, if there is one."""
        field = self._by_path.get(_WALL_TIME.name)
        if field is None or (field.type_name, field.unit) != (_WALL_TIME.type, _WALL_TIME.unit):
            return None
        return field if field.volatile else None

    @cached_property
    def _by_path(self) -> dict[str, Field]:
        return {f.path: f for f in self.fields}

    @cached_property
    def _names(self) -> dict[str, str]:
        return {f.path: f.name for f in self.fields}

    def __contains__(self, path: object) -> bool:
        return path in self._by_path

    def __getitem__(self, path: str) -> Field:
        """Return a declared field by its dotted name."""
        return self._by_path[path]

    def path_named(self, name: str) -> str:
        """Return the declared field that a name means by `cmeta.vocabulary`, or the name itself.

        Examples
        --------
        >>> schema = default_schema()
        >>> schema.path_named("loss"), schema.path_named("entropy"), schema.path_named("other")
        ('loss_value', 'metrics.entropy', 'other')
        """
        if name in self._by_path:
            return name
        try:  # not `resolve`: its message, of similar names, costs a millisecond for each metric
            return find(name, self._names) or name
        except KeyError:  # ambiguous
            return name

    def field(self, path: str) -> Field:
        """Return the field of a dotted name: a declared one, or a metric of the open group.

        Raises
        ------
        EncodeError
            The schema takes no such field; names those that it has.

        Examples
        --------
        >>> default_schema().field("metrics.entropy").declared
        True
        >>> default_schema().field("metrics.anything").declared
        False
        """
        declared = self._by_path.get(path)
        if declared is not None:
            return declared
        group, _, name = path.partition(".")
        if not name or group != self.open_group:
            raise self.unknown_field(path)
        return self.metric(name)

    def given_field(self, name: str) -> Field:
        """Return the field of a name in a record or a column that is given to be written.

        A metric may be named without its group, as in `Recorder.log`.

        Raises
        ------
        EncodeError
            The schema takes no such field, or the name is nearly that of another.

        Examples
        --------
        >>> schema = default_schema()
        >>> [schema.given_field(name).path for name in ("loss", "entropy", "acc")]
        ['loss_value', 'metrics.entropy', 'metrics.acc']
        """
        field = self._given.get(name)
        if field is None:
            field = self._given[name] = self._given_field(name)
        return field

    @cached_property
    def _given(self) -> dict[str, Field]:
        """The fields of names that have been given."""
        return {}

    def _given_field(self, name: str) -> Field:
        path = self.path_named(name)
        is_plain = path not in self and isinstance(name, str) and "." not in name
        if not is_plain or self.open_group is None or name in (*self.groups, "config"):
            return self.field(path)
        known = [word for f in self.fields for word in (f.path, f.name)] + ["loss"]
        if misspelt(name, known) or name.lower() in map(str.lower, known):
            raise self.unknown_field(name)
        return self.metric(name)

    def metric(self, name: str) -> Field:
        """Return the field of an undeclared metric of the open group.

        Raises
        ------
        EncodeError
            No group is open, or it is not a name of 1 to `name_bytes_max` bytes of UTF-8.
        """
        if self.open_group is None:
            raise self.unknown_field(str(name))
        if not isinstance(name, str):
            raise EncodeError(f"metric {name!r}: a {type(name).__name__}, expected a string")
        rules.require_name(name, self.format, lambda text: EncodeError(f"metric {name!r}: {text}"))
        return self.format.codecs.undeclared(name, self.open_group)

    def unknown_field(self, path: str) -> EncodeError:
        """Return the error for a field that the schema does not take."""
        known, hint = ", ".join(self._by_path), did_you_mean(path, self._by_path)
        metrics = f", or any metric as {self.open_group}.NAME" if self.open_group else ""
        return EncodeError(
            f"field {path!r} is not in the schema; expected one of: {known}{metrics}{hint}"
        )

    @cached_property
    def embedded(self) -> bytes:
        """The body of the SCHEMA block: canonical JSON, without documentation and defaults."""
        return canonical_json.dumps(
            _strip(self.document, self.format), self.format.limits, "schema"
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Schema) and self.embedded == other.embedded

    def __hash__(self) -> int:
        return hash(self.embedded)

    def __repr__(self) -> str:
        return f"<Schema of {len(self.fields)} fields, {self.batch_records} records a batch>"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Print the same in IPython and Hypothesis, which print every field of a dataclass."""
        printer.text(repr(self))

    # ------------------------------------------------------------------------- derived schemas

    def with_metrics(self, *names: str, **options: Mapping[str, Any]) -> Schema:
        """Declare further metrics in the open group.

        Parameters
        ----------
        *names : str
            Metrics with all defaults: float32 in steps of 1e-6.
        **options : mapping
            Metrics with options of a field: `type`, `exact`, `quanta_per_unit`, `codec`, `unit`,
            `doc`, `volatile`. With ``exact`` the type is f64 unless stated.

        Raises
        ------
        SchemaError
            No group is open, a name is taken, or an option is not legal.
        """
        if self.open_group is None:
            raise SchemaError("found no open group, expected one", key="record.groups")
        entries: dict[str, dict[str, Any]] = {name: {} for name in names}
        for name, entry in options.items():
            if not isinstance(entry, Mapping):
                raise SchemaError(f"found {entry!r}, expected a mapping", source=f"metric {name!r}")
            entries[name] = dict(entry)
        added = []
        for name, entry in entries.items():
            default = {"type": "f64" if entry.get("exact") else "f32"}
            plain = {"name": name, "group": self.open_group} | default | entry
            added.append(convert(plain, RecordField, f"metric {name!r}"))
        record = self.document.record
        return self._derive(record=replace(record, fields=(*record.fields, *added)))

    def with_options(self, path: str, **options: Any) -> Schema:
        """Change options of a declared field.

        Parameters
        ----------
        path : str
            Its dotted name.
        **options
            `type`, `exact`, `quanta_per_unit`, `codec`, `unit`, `doc`,
            `volatile`.

        Raises
        ------
        SchemaError
            There is no such field, or an option is not legal.

        Examples
        --------
        >>> default_schema().with_options("loss_value", exact=True)["loss_value"].exact
        True
        """
        if path not in self:
            known = ", ".join(self._by_path)
            raise SchemaError(f"found no field {path!r}, expected one of: {known}", key=path)
        place = list(self._by_path).index(path)
        fields = list(self.document.record.fields)
        plain = msgspec.to_builtins(fields[place]) | options
        if plain.get("exact"):
            plain.pop("quanta_per_unit", None)
        fields[place] = convert(plain, RecordField, f"field {path!r}")
        return self._derive(record=replace(self.document.record, fields=tuple(fields)))

    def with_phases(self, *names: str) -> Schema:
        """Append phases; the codes of the others do not change, and those that are there stay.

        Raises
        ------
        SchemaError
            A name is given twice, or is not legal.
        """
        phase = self.document.enumerations[rules.PHASE]
        new = (name for name in names if name not in self.phases)
        longer = replace(phase, values=(*phase.values, *new))
        return self._derive(enumerations=self.document.enumerations | {rules.PHASE: longer})

    def with_wall_time(self) -> Schema:
        """Append the field ``wall_time``, which a recorder fills; a schema that has it stays.

        It is a volatile u64: milliseconds since 1970-01-01, UTC.

        Raises
        ------
        SchemaError
            The schema has another field, or a group, of this name.

        Examples
        --------
        >>> default_schema().with_wall_time()["wall_time"].unit
        'ms'
        """
        if self.wall_time_field is not None:
            return self
        if _WALL_TIME.name in self or _WALL_TIME.name in self.groups:
            raise SchemaError(
                "found another field or group of this name, expected a volatile u64 in ms, or "
                "none; rename it to record the wall time", key=_WALL_TIME.name,
            )  # fmt: skip
        record = self.document.record
        return self._derive(record=replace(record, fields=(*record.fields, _WALL_TIME)))

    def with_batch_records(self, batch_records: int) -> Schema:
        """Change the size of a batch.

        Raises
        ------
        SchemaError
            The size is beyond the limits of the format.
        """
        given: Any = batch_records
        number = int(given) if isinstance(given, np.integer) else given
        return self._derive(record=replace(self.document.record, batch_records=number))

    def _derive(self, **changes: Any) -> Schema:
        plain = msgspec.to_builtins(replace(self.document, **changes))
        return Schema(convert(plain, Document, self.source), self.format, self.source)


@cache
def default_schema() -> Schema:
    """Return the schema that ships with the library."""
    source = str(shipped_path())
    return Schema(shipped_document(), shipped_format(), source)


def _strip(document: Document, format_: Format) -> Any:
    """Return the plain data of a SCHEMA block: no documentation, no defaults."""
    enumerations = {
        n: Enumeration(values=rules.value_names(e)) for n, e in document.enumerations.items()
    }
    record = replace(
        document.record,
        groups=tuple(Group(name=g.name, open=g.open) for g in document.record.groups),
        fields=tuple(_strip_field(f, format_) for f in document.record.fields),
    )
    return msgspec.to_builtins(Document(enumerations=enumerations, record=record))


def _strip_field(field: RecordField, format_: Format) -> RecordField:
    quanta = field.quanta_per_unit
    return replace(
        field,
        doc="",
        codec=() if field.codec == format_.codecs.defaults.of(field.type) else field.codec,
        quanta_per_unit=None if quanta == format_.codecs.quantise.quanta_per_unit else quanta,
    )


def _bound_batch(document: Document, format_: Format) -> None:
    """Raise a `LimitError` if an embedded batch size exceeds the format's limit."""
    size, most = document.record.batch_records, format_.limits.batch_records_max
    if size > most:
        raise LimitError(
            f"found {size:,} records a batch, expected at most {most:,}",
            path="record.batch_records",
        )


@lru_cache(maxsize=16)
def _known(data: bytes) -> Schema:
    return Schema._parse(data, shipped_format(), newer=False)
