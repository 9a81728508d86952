"""The types that a field may have, one row each, and `Field`: a field of a resolved schema.

Everything that depends on the type of a field asks its row, or the `Field`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

Stage = Literal["class", "quantise", "palette", "split", "delta", "rice"]

_OWN_VALUE = "its value"


@dataclass(frozen=True)
class FieldType:
    """A type of one component.

    Attributes
    ----------
    name : str
        The name that a schema uses.
    numpy_name, code : str
        The type in the notations of numpy and `struct`, without byte order, in standard sizes.
    kind : str
        Category of its values.
    meaning, as_integer : str
        Its values, and how a column maps them to integers: a row of SPEC's table of types.
    """

    name: str
    numpy_name: str
    code: str
    kind: Literal["integer", "float", "bool", "enum", "config"]
    meaning: str
    as_integer: str = _OWN_VALUE

    @cached_property
    def dtype(self) -> np.dtype[np.generic]:
        """The little-endian dtype."""
        return np.dtype(self.numpy_name).newbyteorder("<")

    @property
    def is_float(self) -> bool:
        """Whether it is a float."""
        return self.kind == "float"

    @property
    def has_vectors(self) -> bool:
        """Whether a field may be a vector of it."""
        return self.kind in ("integer", "float", "bool")

    @cached_property
    def limits(self) -> tuple[int, int]:
        """The least and the greatest value of an integer or a boolean."""
        if self.kind == "bool":
            return 0, 1
        limits: Any = np.iinfo(np.dtype(self.numpy_name))
        return int(limits.min), int(limits.max)


FIELD_TYPES = {
    row.name: row
    for row in (
        FieldType("u8", "u1", "B", "integer", "unsigned integer"),
        FieldType("u16", "u2", "H", "integer", "unsigned integer"),
        FieldType("u32", "u4", "L", "integer", "unsigned integer"),
        FieldType(
            "u64", "u8", "Q", "integer", "unsigned integer", "its 64 bits, read as a signed integer"
        ),
        FieldType("i8", "i1", "b", "integer", "signed integer"),
        FieldType("i16", "i2", "h", "integer", "signed integer"),
        FieldType("i32", "i4", "l", "integer", "signed integer"),
        FieldType("i64", "i8", "q", "integer", "signed integer"),
        FieldType("f32", "f4", "f", "float", "IEEE 754 binary32", "by the stage quantise"),
        FieldType("f64", "f8", "d", "float", "IEEE 754 binary64", "by the stage quantise"),
        FieldType("bool", "?", "?", "bool", "false or true", "0 or 1"),
        FieldType(
            "enum",
            "u1",
            "B",
            "enum",
            "a value of an enumeration",
            "its code: its place in the list, from 0",
        ),
        FieldType(
            "config", "u4", "L", "config", "a configuration", "the number of its CONFIG block"
        ),
    )
}

UNDECLARED_TYPE = "f64"
_VECTORS = "|".join(row.name for row in FIELD_TYPES.values() if row.has_vectors)
_SCALARS = "|".join(row.name for row in FIELD_TYPES.values() if not row.has_vectors)
TYPE_PATTERN = rf"^({_VECTORS})(\[[1-9][0-9]{{0,3}}\])?$(?!\n)|^({_SCALARS})$(?!\n)"
TYPE_NAMES = f"{', '.join(FIELD_TYPES)}, or a vector such as f32[3]"


def parse_type(text: str) -> tuple[FieldType, int]:
    """Return the type of a component and the size of the vector, 0 for a scalar.

    Examples
    --------
    >>> row, num_components = parse_type("f32[3]")
    >>> row.name, num_components
    ('f32', 3)
    """
    name, _, size = text.rstrip("]").partition("[")
    return FIELD_TYPES[name], int(size or 0)


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
        Names of its values, in the order of their codes.
    chain : tuple of str
        Stages of the codec, outermost first.
    quanta_per_unit : int
        Quanta of the fixed-point quantiser; 0 if lossless or not a float.
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
    volatile: bool = False
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
        return FIELD_TYPES[self.type].dtype

    @cached_property
    def is_float(self) -> bool:
        """Whether a component is a float."""
        return FIELD_TYPES[self.type].is_float

    @property
    def exact(self) -> bool:
        """Whether a float is stored without loss."""
        return self.is_float and not self.quanta_per_unit

    @property
    def limits(self) -> tuple[int, int]:
        """The least and the greatest value of one component that is not a float."""
        return (0, len(self.labels) - 1) if self.labels else FIELD_TYPES[self.type].limits

    @property
    def nullable(self) -> bool:
        """Whether a record may lack it."""
        return "class" in self.chain

    @property
    def num_columns(self) -> int:
        """Number of columns."""
        return self.num_components or 1

    @property
    def type_name(self) -> str:
        """The type as a schema writes it, such as ``f32[3]``."""
        return f"{self.type}[{self.num_components}]" if self.num_components else self.type
