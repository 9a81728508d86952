"""Fields, groups and columns: what a record consists of once the schema has been resolved."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cmeta.schema.language import Codecs, RecordField, Stage

CONFIG_DTYPE = "u4"
ENUM_DTYPE = "u1"
_DTYPES = {f"{kind}{size * 8}": f"{kind}{size}" for kind in "uif" for size in (1, 2, 4, 8)}
_DTYPES |= {"bool": "?", "enum": ENUM_DTYPE, "config": CONFIG_DTYPE}


@dataclass(frozen=True)
class Field:
    """A field of the record, resolved.

    Attributes
    ----------
    name, group : str
        Its name, and the group that it belongs to ("" for none).
    type : str
        Type of one component, such as ``f32``.
    num_components : int
        0 for a scalar, else the size of the vector.
    enumeration : str
        Name of the enumeration, if `type` is ``enum``.
    labels : tuple of str
        Its values.
    chain : tuple of str
        Stages of the codec, outermost first.
    quanta_per_unit : int
        Of the fixed-point quantiser; 0 if lossless or not a float.
    unit, doc : str
        Unit and documentation.
    declared : bool
        False for an undeclared metric.
    """

    name: str
    type: str
    group: str = ""
    num_components: int = 0
    enumeration: str = ""
    labels: tuple[str, ...] = ()
    chain: tuple[Stage, ...] = ()
    quanta_per_unit: int = 0
    unit: str = ""
    doc: str = ""
    declared: bool = True

    @cached_property
    def path(self) -> str:
        """The dotted name, such as ``metrics.entropy``."""
        return f"{self.group}.{self.name}" if self.group else self.name

    @cached_property
    def dtype(self) -> np.dtype[np.generic]:
        """The little-endian dtype of one component."""
        return np.dtype(_DTYPES[self.type]).newbyteorder("<")

    @property
    def is_float(self) -> bool:
        """Whether a component is a float."""
        return self.type in ("f32", "f64")

    @property
    def exact(self) -> bool:
        """Whether a float is stored without loss."""
        return self.is_float and not self.quanta_per_unit

    @property
    def nullable(self) -> bool:
        """Whether a record may lack it."""
        return "class" in self.chain

    @property
    def num_columns(self) -> int:
        """How many columns it takes."""
        return self.num_components or 1

    @property
    def type_name(self) -> str:
        """The type as a schema writes it, such as ``f32[3]``."""
        return f"{self.type}[{self.num_components}]" if self.num_components else self.type


def resolve(field: RecordField, labels: tuple[str, ...], codecs: Codecs) -> Field:
    """Resolve a field of the document: split its type, fill in its defaults."""
    scalar, _, size = field.type.rstrip("]").partition("[")
    is_float = scalar in ("f32", "f64")
    quanta = field.quanta_per_unit or codecs.quantise.quanta_per_unit
    return Field(
        name=field.name,
        type=scalar,
        group=field.group,
        num_components=int(size or 0),
        enumeration=field.enumeration,
        labels=labels,
        chain=field.codec or default_chain(scalar, codecs),
        quanta_per_unit=quanta if is_float and not field.exact else 0,
        unit=field.unit,
        doc=field.doc,
    )


def default_chain(scalar: str, codecs: Codecs) -> tuple[Stage, ...]:
    """Return the chain of a type that does not state its own."""
    return codecs.defaults.float if scalar in ("f32", "f64") else codecs.defaults.integer


def undeclared(name: str, group: str, codecs: Codecs) -> Field:
    """Return the field of an undeclared metric: a lossless float64."""
    return Field(name, "f64", group, chain=codecs.defaults.float, declared=False)
