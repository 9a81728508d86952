"""Messages of protobuf, decoded by the classes of the optional library that wrote them."""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from cmeta.errors import CmetaError, EncodeError, MissingExtraError
from cmeta.extras import require
from cmeta.tools.imports.scalar_log import listed, phase_of_word


def parser(module: str, name: str, extra: str) -> tuple[Callable[[bytes], Any], type[Exception]]:
    """Return the function that decodes a message, and what it raises for bytes that are none.

    Parameters
    ----------
    module, name : str
        Where the class of the message is.
    extra : str
        What the user has to install for it.

    Raises
    ------
    MissingExtraError
        The library is not installed.
    CmetaError
        It does not go together with the protobuf that is installed.
    """
    try:
        message = getattr(require(module, extra), name)
        error: type[Exception] = require("google.protobuf.message", extra).DecodeError
    except MissingExtraError:
        raise
    except (ImportError, TypeError, AttributeError) as err:
        raise CmetaError(f"{extra}: the version installed cannot be used: {err}") from err
    return message.FromString, error


EXTRA = "tensorboard"
_HEADER = struct.Struct("<QI")
_CRC = struct.Struct("<I")
_MASK_ADD, _32_BITS = 0xA282EAD8, 0xFFFFFFFF


def masked_crc(data: bytes) -> int:
    """Return the checksum of TFRecord.

    Examples
    --------
    >>> hex(masked_crc(bytes(8)))
    '0x7980329'
    """
    return _masked(_crc32c()(data))


def begins_like_events(path: Path) -> bool:
    """Return whether a file begins with the length of a record and the checksum of that."""
    with open(path, "rb") as file:
        head = file.read(_HEADER.size)
    return len(head) == _HEADER.size and masked_crc(head[:8]) == _HEADER.unpack(head)[1]


def read_records(path: Path, said: Callable[[str], None]) -> Iterator[bytes]:
    """Yield the data of every intact record.

    Parameters
    ----------
    path : Path
    said : callable
        Is given a sentence if the file does not end with an intact record.
    """
    crc32c = _crc32c()
    header_of, crc_of, len_header = _HEADER.unpack, _CRC.unpack, _HEADER.size
    with open(path, "rb") as file:
        remaining = _len_file(file)
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
            if offset + len_record > remaining:  # before anything of that length is allocated
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
        said(
            f"{path.name}: {problem} at byte {offset:,} of {remaining:,}; the {num_records:,} "
            "records before it were read, nothing after it"
        )


def event_parser() -> tuple[Callable[[bytes], Any], type[Exception]]:
    """Return TensorBoard's function that decodes an event, and what it raises for other bytes.

    Raises
    ------
    CmetaError
        TensorBoard is not installed; names the extra.
    """
    return parser("tensorboard.compat.proto.event_pb2", "Event", EXTRA)


def scalar_of(value: Any, plugin: str) -> float | int | None:
    """Return the number that a summary value holds, or None if it holds anything else.

    Parameters
    ----------
    value : Summary.Value
    plugin : str
        The plugin that the first value of its tag names.
    """
    kind = value.WhichOneof("value")
    if kind == "simple_value":
        return float(value.simple_value)
    if kind != "tensor" or plugin != "scalars":
        return None
    if any(dim.size != 1 for dim in value.tensor.tensor_shape.dim):  # before it is allocated
        return None
    try:
        found = require("tensorboard.util.tensor_util", EXTRA).make_ndarray(value.tensor)
    except (TypeError, ValueError):
        return None
    if found.size != 1 or found.dtype.kind not in "biuf":
        return None
    number: float | int = found.reshape(()).item()
    return number


def hparams_of(value: Any) -> dict[str, Any] | None:
    """Return the hyperparameters that a summary value of the plugin holds, if these are they."""
    module = "tensorboard.plugins.hparams.plugin_data_pb2"
    parse, no_message = parser(module, "HParamsPluginData", EXTRA)
    try:
        data = parse(value.metadata.plugin_data.content)
    except no_message:
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


def _len_file(file: BinaryIO) -> int:
    length = file.seek(0, 2)
    file.seek(0)
    return length


def _masked(crc: int) -> int:
    return ((crc >> 15 | crc << 17) + _MASK_ADD) & _32_BITS


def _crc32c() -> Callable[[bytes], int]:
    from fastcrc import crc32

    found: Callable[[bytes], int] = crc32.iscsi
    return found


TOP = PurePosixPath(".")


@dataclass(frozen=True)
class EventFile:
    """An event file and its place in its run.

    Attributes
    ----------
    path : Path
    folder : PurePosixPath
        Relative to the folder of the run; ``.`` is that itself.
    phase : str or None
        That the folder tells.
    """

    path: Path
    folder: PurePosixPath
    phase: str | None


def is_event_file(path: Path) -> bool:
    """Return whether a file is named as TensorBoard's writers name theirs."""
    return "tfevents" in path.name and not path.name.endswith(".profile-empty")


def find_run(source: Path, run: str | None, phases: Collection[str]) -> tuple[str, list[EventFile]]:
    """Return a run's name and its files, in the order in which TensorBoard reads them.

    Parameters
    ----------
    source : Path
        An event file, or a folder.
    run : str or None
        Path of the run below `source`; None if there is but one.
    phases : collection of str
        Of the schema.

    Raises
    ------
    EncodeError
        There is no event file, no such run, or more than one to choose from.
    """
    if not source.is_dir():
        return ".", [EventFile(source, TOP, None)]
    folders = {_below(path.parent, source) for path in source.rglob("*") if _is_one(path)}
    if not folders:
        raise EncodeError(
            f"{source}: found no event file, expected one with 'tfevents' in its name"
        )
    root = _choose(source, run, folders, phases)
    files = [
        EventFile(path, folder.relative_to(root), _phase_of_folder(folder, root, phases))
        for folder in sorted(folders)
        if folder.is_relative_to(root)
        for path in sorted((source / folder).iterdir())
        if _is_one(path)
    ]
    return str(root), files


def _is_one(path: Path) -> bool:
    return is_event_file(path) and path.is_file()


def _choose(
    source: Path, run: str | None, folders: Collection[PurePosixPath], phases: Collection[str]
) -> PurePosixPath:
    roots = _roots(folders, phases)
    if run is None and len(roots) == 1:
        return roots[0]
    names = listed(map(str, roots))
    if run is None:
        raise EncodeError(f"{source}: found {len(roots)} runs, expected one; choose a run: {names}")
    chosen = PurePosixPath(run)
    if not any(folder.is_relative_to(chosen) for folder in folders):
        raise EncodeError(f"{source}: found no run {run!r}; there are: {names}")
    return chosen


def _roots(folders: Iterable[PurePosixPath], phases: Collection[str]) -> list[PurePosixPath]:
    """Return the folders of runs, none of which is within another."""
    roots: list[PurePosixPath] = []
    likely = {f.parent if phase_of_word(f.name, phases) else f for f in folders}
    for folder in sorted(likely):  # a folder comes before those in it
        if not any(folder.is_relative_to(root) for root in roots):
            roots.append(folder)
    return roots


def _phase_of_folder(
    folder: PurePosixPath, root: PurePosixPath, phases: Collection[str]
) -> str | None:
    """Return the phase of a folder; that of the run itself, too, if it was chosen by its name."""
    name = folder.name if folder == root else folder.relative_to(root).parts[0]
    return phase_of_word(name, phases)


def _below(folder: Path, source: Path) -> PurePosixPath:
    return PurePosixPath(folder.relative_to(source).as_posix())
