"""One TensorBoard event file: a TFRecord file of `Event` messages.

A record is the length of its data (u64), a masked CRC-32C of the length, the data, and a masked
CRC-32C of the data. The messages are decoded by TensorBoard's own classes; its reader of records is
not used because it computes the CRC in pure Python and ends a damaged file silently.

Reading ends at the first record that is cut short or whose checksum does not match, and reports it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from cmeta.extras import protobuf_parser, require

EXTRA = "tensorboard"
_HEADER = struct.Struct("<QI")
_CRC = struct.Struct("<I")
_MASK_ADD, _32_BITS = 0xA282EAD8, 0xFFFFFFFF


def is_event_file(path: Path) -> bool:
    """Return whether a file has a name that TensorBoard's writers give."""
    return "tfevents" in path.name and not path.name.endswith(".profile-empty")


def begins_like_events(path: Path) -> bool:
    """Return whether a file begins with the length of a record and its checksum."""
    with open(path, "rb") as file:
        head = file.read(_HEADER.size)
    return len(head) == _HEADER.size and masked_crc(head[:8]) == _HEADER.unpack(head)[1]


def read_records(path: Path, report_damage: Callable[[str], None]) -> Iterator[bytes]:
    """Yield the data of every intact record.

    Parameters
    ----------
    path : Path
    report_damage : callable
        Called with a sentence if the file does not end with an intact record.
    """
    crc32c = _crc32c()
    header_of, crc_of, len_header = _HEADER.unpack, _CRC.unpack, _HEADER.size
    with open(path, "rb") as file:
        len_file = _len_file(file)
        offset = num_records = 0
        problem = ""
        while head := file.read(len_header):
            if len(head) < len_header:
                problem = "the file ends within a record"
                break
            len_data, stored = header_of(head)
            if _masked(crc32c(head[:8])) != stored:
                problem = "the checksum of a record's length does not match"
                break
            len_record = len_header + len_data + _CRC.size
            if offset + len_record > len_file:  # before that length is allocated
                problem = "the file ends within a record"
                break
            data = file.read(len_data)
            if _masked(crc32c(data)) != crc_of(file.read(_CRC.size))[0]:
                problem = "the checksum of a record does not match"
                break
            yield data
            offset += len_record
            num_records += 1
    if problem:
        report_damage(
            f"{path.name}: {problem} at byte {offset:,} of {len_file:,}; the {num_records:,} "
            "records before it were read, nothing after it"
        )


def masked_crc(data: bytes) -> int:
    """Return the checksum of TFRecord.

    Examples
    --------
    >>> hex(masked_crc(bytes(8)))
    '0x7980329'
    """
    return _masked(_crc32c()(data))


def _masked(crc: int) -> int:
    return ((crc >> 15 | crc << 17) + _MASK_ADD) & _32_BITS


def _crc32c() -> Callable[[bytes], int]:
    from fastcrc import crc32

    function: Callable[[bytes], int] = crc32.iscsi
    return function


def _len_file(file: BinaryIO) -> int:
    length = file.seek(0, 2)
    file.seek(0)
    return length


def event_parser() -> tuple[Callable[[bytes], Any], type[Exception]]:
    """Return TensorBoard's function that decodes an event, and its error for invalid bytes.

    Raises
    ------
    CmetaError
        TensorBoard is not installed; names the extra.
    """
    return protobuf_parser("tensorboard.compat.proto.event_pb2", "Event", EXTRA)


def scalar_of(value: Any, plugin: str) -> float | int | None:
    """Return the number in a summary value, or None for anything else.

    Parameters
    ----------
    value : Summary.Value
    plugin : str
        The plugin named by the first value of its tag.
    """
    kind = value.WhichOneof("value")
    if kind == "simple_value":
        return float(value.simple_value)
    if kind != "tensor" or plugin != "scalars":
        return None
    if any(dim.size != 1 for dim in value.tensor.tensor_shape.dim):  # before it is allocated
        return None
    try:
        array = require("tensorboard.util.tensor_util", EXTRA).make_ndarray(value.tensor)
    except (TypeError, ValueError):
        return None
    if array.size != 1 or array.dtype.kind not in "biuf":
        return None
    number: float | int = array.reshape(()).item()
    return number


def hparams_of(value: Any) -> dict[str, Any] | None:
    """Return the hyperparameters in a summary value of that plugin, or None."""
    module = "tensorboard.plugins.hparams.plugin_data_pb2"
    parse, invalid = protobuf_parser(module, "HParamsPluginData", EXTRA)
    try:
        data = parse(value.metadata.plugin_data.content)
    except invalid:
        return None
    if data.WhichOneof("data") != "session_start_info":
        return None
    return {name: _plain(item) for name, item in sorted(data.session_start_info.hparams.items())}


def _plain(item: Any) -> Any:
    """Return a value of google.protobuf.struct as plain data."""
    kind = item.WhichOneof("kind")
    if kind == "list_value":
        return [_plain(entry) for entry in item.list_value.values]
    if kind == "struct_value":
        return {name: _plain(entry) for name, entry in sorted(item.struct_value.fields.items())}
    return None if kind in (None, "null_value") else getattr(item, kind)
