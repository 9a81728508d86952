"""What is known of a run, in a form that is stored and loaded ten thousand times in a second."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, msgpack

State = Literal["closed", "open", "damaged", "unreadable"]
Scalar = bool | int | float | str | None


class RunField(Struct, frozen=True, array_like=True, gc=False):
    """A field of a run, over all of its records that have it.

    Attributes
    ----------
    type : str
        As in a schema, such as ``f32``.
    num_values : int
        Records that have it.
    last : bool, int, float or str
        In the last record that has it; of an enumeration the name.
    min, max : bool, int, float or None
        Of what is not NaN; infinities count. None: all are NaN, or it is an enumeration.
    min_timestamp, max_timestamp : int or None
        Of the first record with that value.
    num_nan : int
        How many are NaN.
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
    """A run, as a catalogue lists it.

    Attributes
    ----------
    path : str
        As it was found.
    state : str
        "closed"; "open": being written, or its writer died, with what its journal holds;
        "damaged": the rest is about its intact records; "unreadable": not there, or no file.
    problem : str
        What is wrong with a file that is damaged or unreadable.
    len_file : int
        In bytes.
    num_records : int
    first_timestamp, last_timestamp : int or None
    phases : dict of str to int
        Records of each phase that occurs.
    fields : dict of str to RunField
        By dotted name, each that occurs; timestamp, phase and configuration aside. A vector of at
        most 16 components has an entry for each, such as ``tensor_signature[0]``.
    config : dict of str to value
        Of the last record that has one, with flat keys: ``net.width``.
    num_configs : int
        Configurations in the file.
    loss_field : str
        Whose course `loss` is: ``loss_value``, or else a field whose name speaks of a loss.
    loss : tuple of float
        Means of at most 32 equal stretches of the run; NaN where none is finite.
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
