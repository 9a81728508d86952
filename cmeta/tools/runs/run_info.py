"""The description of a run, in a form that is stored and loaded ten thousand times a second."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, msgpack

State = Literal["closed", "open", "damaged", "unreadable"]
Scalar = bool | int | float | str | None


class RunField(Struct, frozen=True, array_like=True, gc=False):
    """A field of a run, over all records that have it.

    Attributes
    ----------
    type : str
        As in a schema, such as ``f32``.
    num_values : int
        Records that have it.
    last : bool, int, float or str
        The value in the last record that has it; the name of an enumeration's value.
    min, max : bool, int, float or None
        The least and the greatest value, infinities included, NaN not. None: all are NaN, or it is
        an enumeration.
    min_timestamp, max_timestamp : int or None
        Of the first record with that value.
    num_nan : int
        Values that are NaN.
    """

    type: str
    num_values: int
    last: Scalar
    min: Scalar = None
    max: Scalar = None
    min_timestamp: int | None = None
    max_timestamp: int | None = None
    num_nan: int = 0


class RunInfo(Struct, frozen=True, array_like=True, gc=False):
    """The description of a run.

    Attributes
    ----------
    path : str
        The path by which it was found.
    state : str
        "closed"; "open": being written, or its writer died; its journal's records are included;
        "damaged": only its intact records are described; "unreadable": missing, or not a file.
    problem : str
        The error of a damaged or unreadable file.
    len_file : int
        In bytes.
    num_records : int
    first_timestamp, last_timestamp : int or None
    phases : dict of str to int
        Records of each phase that occurs.
    fields : dict of str to RunField
        Each field that occurs, by dotted name, except timestamp, phase and configuration. A vector
        of at most 16 components has an entry for each, such as ``tensor_signature[0]``.
    config : dict of str to value
        The configuration of the last record that has one, with flat keys: ``net.width``.
    num_configs : int
        Configurations in the file.
    loss_field : str
        The field of `loss`: ``loss_value``, or else a field whose name contains ``loss``.
    loss : tuple of float
        The curve of the loss: means of at most 32 equal parts of the run, without the parts that
        have no value; NaN where no value is finite.
    """

    path: str
    state: State
    problem: str = ""
    len_file: int = 0
    num_records: int = 0
    first_timestamp: int | None = None
    last_timestamp: int | None = None
    phases: dict[str, int] = {}
    fields: dict[str, RunField] = {}
    config: dict[str, Any] = {}
    num_configs: int = 0
    loss_field: str = ""
    loss: tuple[float, ...] = ()


LAYOUT = " ".join((*RunInfo.__struct_fields__, *RunField.__struct_fields__))
encode = msgpack.Encoder().encode
decode = msgpack.Decoder(RunInfo).decode
