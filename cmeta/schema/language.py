"""The schema language: the content of a schema's TOML, as types; `Document` is the whole file.

The format version fixes all but `enumerations` and `record`, which are the user's. msgspec checks
the shape and names the path of an error, `rules` checks the rest. A `doc` is never written to a
file.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from cmeta.errors import EncodeError
from cmeta.schema.types import TYPE_NAMES, TYPE_PATTERN, UNDECLARED_TYPE, Field, Stage, parse_type
from cmeta.vocabulary import did_you_mean

Hex = Annotated[
    str, Meta(pattern=r"^0x[0-9A-Fa-f]{1,16}$(?!\n)", description="Hex integer of 64 bits")
]
Integer = Annotated[int, Meta(ge=0)] | Hex
Name = Annotated[str, Meta(min_length=1)]
LayoutType = Name
Const = int | str
TypeName = Annotated[
    str,
    Meta(
        pattern=TYPE_PATTERN,
        description=TYPE_NAMES,
        examples=["u64", "f32", "f32[3]", "enum"],
    ),
]


def to_int(value: int | str) -> int:
    """Return the integer of a TOML integer or a hex string."""
    return value if isinstance(value, int) else int(value, 16)


class _Node(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A table of the document; unknown keys are errors."""


# ------------------------------------------------------------------------------- fixed by version


class Limits(_Node, frozen=True):
    """Limits of the format; each bounds memory or a loop of a reader."""

    batch_records_min: int
    batch_records_max: int
    columns_max: int
    cells_max: int
    json_bytes_max: int
    json_depth_max: int
    name_bytes_max: int
    enumeration_max: int
    vector_max: int
    quanta_per_unit_max_f32: int
    quanta_per_unit_max_f64: int
    records_count_max: int


class FormatFacts(_Node, frozen=True):
    """Name, magic, version and limits."""

    name: str
    magic: int
    major: int
    minor: int
    byte_order: Literal["little"]
    open_records_count: int
    statuses: tuple[Name, ...]
    limits: Limits


class Mask(_Node, frozen=True):
    """Parameters of a block's CRC mask."""

    rotate: int
    add: Integer


class ChecksumFacts(_Node, frozen=True):
    """All parameters of the CRC, in the terms of the Rocksoft model."""

    name: str
    width: int
    poly: Integer
    init: Integer
    refin: bool
    refout: bool
    xorout: Integer
    check: Integer
    mask: Mask


class LayoutField(_Node, frozen=True):
    """One field of a layout."""

    name: Name
    type: LayoutType
    doc: str = ""
    count: str = ""
    const: Const | None = None
    unit: str = ""


class Layout(_Node, frozen=True):
    """Fields without padding."""

    fields: tuple[LayoutField, ...]
    doc: str = ""


class KindLayout(_Node, frozen=True):
    """The body of one kind of block or journal entry."""

    kind: Annotated[int, Meta(ge=1, le=255)]
    fields: tuple[LayoutField, ...]
    critical: bool = False
    doc: str = ""


class Blocks(_Node, frozen=True):
    """The frame of a block, and the kinds of blocks."""

    critical_flag: int
    frame: Layout
    kinds: dict[str, KindLayout]


class BitField(_Node, frozen=True):
    """A field of 1 to 64 bits."""

    name: Name
    bits: Annotated[int, Meta(ge=1, le=64)]
    doc: str = ""


class BitLayout(_Node, frozen=True):
    """Bit fields, least significant first, in the fewest bytes that hold them."""

    bits: tuple[BitField, ...]
    doc: str = ""


class ClassFacts(_Node, frozen=True):
    """Codes of the class stage."""

    value: int
    nan: int
    positive_infinity: int
    negative_infinity: int
    absent: int
    doc: str = ""


class QuantiseFacts(_Node, frozen=True):
    """Constants of the quantise stage."""

    quanta_per_unit: int
    product_bits: int
    decimals_max: int
    decimals_bits: int
    float32_digits_bits: int
    mode_float32: int
    mode_float64: int
    doc: str = ""


class PaletteFacts(_Node, frozen=True):
    """Constants of the palette stage."""

    values_min: int
    values_per_entry: int
    count: Literal["u16"]
    doc: str = ""


class SplitFacts(_Node, frozen=True):
    """The split stage has no constants."""

    doc: str = ""


class DeltaForm(_Node, frozen=True):
    """One form of the delta stage."""

    name: str
    heads: Literal[0, 1, 2]
    step: bool
    doc: str = ""


class DeltaFacts(_Node, frozen=True):
    """The forms of the delta stage."""

    forms: tuple[DeltaForm, ...]
    doc: str = ""


class RiceFacts(_Node, frozen=True):
    """Constants of the Rice stage and of the rule of choice."""

    block_residuals: int
    cost_clip_bits: int
    sparse_nonzero: int
    sparse_residuals: int
    widths: tuple[int, ...]
    run_header: BitLayout
    doc: str = ""


class DefaultChains(_Node, frozen=True):
    """The chain of a field that does not state its own."""

    float: tuple[Stage, ...]
    integer: tuple[Stage, ...]

    def of(self, type_: str) -> tuple[Stage, ...]:
        """Return the chain of a type, such as ``f32`` or ``f32[3]``."""
        return self.float if parse_type(type_)[0].is_float else self.integer


class Codecs(_Node, frozen=True):
    """The stages of a column."""

    column_flags: BitLayout
    classes: ClassFacts = field(name="class")
    quantise: QuantiseFacts
    palette: PaletteFacts
    split: SplitFacts
    delta: DeltaFacts
    rice: RiceFacts
    defaults: DefaultChains
    doc: str = ""

    def undeclared(self, name: str, group: str) -> Field:
        """Return the field of an undeclared metric: a lossless float64."""
        chain = self.defaults.of(UNDECLARED_TYPE)
        return Field(name, UNDECLARED_TYPE, group, chain=chain, declared=False)


class Journal(_Node, frozen=True):
    """The side file of an open file."""

    suffix: str
    magic: int
    header: Layout
    frame: Layout
    kinds: dict[str, KindLayout]
    doc: str = ""


class Seeds(_Node, frozen=True):
    """The derivation of a cycle's seed, and the keys of a configuration that state it."""

    scheme: str
    step: Const
    config_key: str
    root_key: str
    scheme_key: str
    rank_key: str
    world_size_key: str
    rank_stride: Const
    num_ranks_max: int
    doc: str = ""


# --------------------------------------------------------------------------------------- the user's


class EnumerationValue(_Node, frozen=True):
    """A value with its documentation."""

    name: Name
    doc: str = ""


class Enumeration(_Node, frozen=True):
    """Named codes: the code of a value is its place in the list."""

    values: tuple[EnumerationValue | Name, ...]
    doc: str = ""


class Group(_Node, frozen=True):
    """A group of fields; an open one also takes undeclared names."""

    name: Name
    open: bool = False
    doc: str = ""


class RecordField(_Node, frozen=True):
    """A field of the record."""

    name: Name
    type: TypeName
    group: str = ""
    enumeration: str = ""
    codec: tuple[Stage, ...] = ()
    quanta_per_unit: int | None = None
    exact: bool = False
    volatile: bool = False
    unit: str = ""
    doc: str = ""

    def resolve(self, labels: tuple[str, ...], codecs: Codecs) -> Field:
        """Return the field with its type split and its defaults filled in.

        Parameters
        ----------
        labels : tuple of str
            Names of the values of its enumeration.
        codecs : Codecs
            The defaults.
        """
        row, num_components = parse_type(self.type)
        quanta_per_unit = self.quanta_per_unit or codecs.quantise.quanta_per_unit
        return Field(
            name=self.name,
            type=row.name,
            group=self.group,
            num_components=num_components,
            enumeration=self.enumeration,
            labels=labels,
            chain=self.codec or codecs.defaults.of(self.type),
            quanta_per_unit=quanta_per_unit if row.is_float and not self.exact else 0,
            volatile=self.volatile,
            unit=self.unit,
            doc=self.doc,
        )


class Record(_Node, frozen=True):
    """The fields of a record, their groups, and the size of a batch."""

    batch_records: int
    fields: tuple[RecordField, ...]
    groups: tuple[Group, ...] = ()


class Document(_Node, frozen=True):
    """A whole schema file."""

    enumerations: dict[str, Enumeration]
    record: Record
    format: FormatFacts | UnsetType = UNSET
    checksum: ChecksumFacts | UnsetType = UNSET
    header: Layout | UnsetType = UNSET
    trailer: Layout | UnsetType = UNSET
    blocks: Blocks | UnsetType = UNSET
    structs: dict[str, Layout] | UnsetType = UNSET
    codecs: Codecs | UnsetType = UNSET
    journal: Journal | UnsetType = UNSET
    seeds: Seeds | UnsetType = UNSET


class Format(_Node, frozen=True):
    """The part of a document that the format version fixes."""

    format: FormatFacts
    checksum: ChecksumFacts
    header: Layout
    trailer: Layout
    blocks: Blocks
    structs: dict[str, Layout]
    codecs: Codecs
    journal: Journal
    seeds: Seeds

    @property
    def limits(self) -> Limits:
        """The limits of the format."""
        return self.format.limits

    def status_code(self, status: str | None) -> int:
        """Return the code of how a run ended; None is 0, not stated.

        Raises
        ------
        EncodeError
            There is no such status.
        """
        if status is None:
            return 0
        known = self.format.statuses
        if not isinstance(status, str) or status not in known:
            hint = did_you_mean(str(status), known)
            expected = f"expected one of: {', '.join(known)}{hint}"
            raise EncodeError(f"status: found {status!r}, {expected}")
        return known.index(status) + 1

    def status_name(self, code: int) -> str | None:
        """Return how a run ended; None: not stated, or in words of a newer version."""
        return self.format.statuses[code - 1] if 0 < code <= len(self.format.statuses) else None

    @property
    def version(self) -> int:
        """The version as in the header: ``major << 8 | minor``."""
        return self.format.major << 8 | self.format.minor

    def const(self, value: Const | None) -> int | None:
        """Resolve a layout's `const`: a number, or a key path such as ``format.magic``."""
        if not isinstance(value, str):
            return value
        node: Any = self
        for part in value.split("."):
            node = getattr(node, part)
        return int(node)


FORMAT_KEYS = tuple(Format.__struct_fields__)
