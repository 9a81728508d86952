"""TensorBoard logs, written by PyTorch, TensorFlow, Keras, JAX or any other tool.

- A folder with event files is a run, together with all folders below it (PyTorch's ``add_scalars``
  and ``add_hparams`` write into such ones). Folders named after a phase (Keras: ``train`` and
  ``validation``) belong to the run of their parent. Any other folder is a run of its own.
- A tag becomes a metric under its own name. Its phase is that of the folder or of the tag's first
  word (``val/acc``), otherwise the default one. If several folders have a tag in one phase, the
  name of the folder precedes it, except in the run's own folder.
- Scalars are kept, in the old form and in the new one (a tensor of the plugin ``scalars``); nothing
  is purged after a restart. Hyperparameters go into the configuration, without the plugin's own
  definitions. Histograms, images, audio, text, graphs and others are noted: no record holds them.
- An event file is a TFRecord file of `Event` messages: the length of the data (u64), a masked
  CRC-32C of the length, the data, and a masked CRC-32C of the data. TensorBoard's own classes
  decode the messages; its reader of records is not used because it computes the CRC in pure Python
  and ends a damaged file silently. A record whose data are damaged is skipped; where a length is
  damaged, reading goes on at the next length that has its checksum. Both are reported, as is a
  record that is cut short at the end.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import numpy as np

from cmeta.errors import EncodeError, counted
from cmeta.extras import protobuf_parser, require
from cmeta.source import regular_file
from cmeta.tools.imports.formats import Imported, ImportOptions, listed, skipped
from cmeta.tools.imports.scalar_log import ScalarLog

EXTRA = "tensorboard"
_HEADER = struct.Struct("<QI")
_CRC = struct.Struct("<I")
_MASK_ADD, _32_BITS = 0xA282EAD8, 0xFFFFFFFF
_LEN_SEARCHED_FIRST, _LEN_SEARCHED = 1 << 7, 1 << 20  # bytes at once
_NO_DATA = {"file_version", "source_metadata", None}  # kinds of event without anything to keep
_PLURALS = {
    "histo": "histograms", "histograms": "histograms", "image": "images", "images": "images",
    "audio": "audio", "text": "text", "pr_curves": "curves", "mesh": "meshes",
    "custom_scalars": "layouts of charts", "graphs": "graphs", "tensor": "tensors",
}  # fmt: skip
_ROOT = PurePosixPath(".")
_Key = tuple[str, str]  # folder and tag


def is_event_file(path: Path) -> bool:
    """Return whether a file has a name that TensorBoard's writers give."""
    return "tfevents" in path.name and not path.name.endswith(".profile-empty")


def begins_like_events(path: Path) -> bool:
    """Return whether a file begins with the length of a record and its checksum."""
    with open(path, "rb", opener=regular_file) as file:
        head = file.read(_HEADER.size)
    return len(head) == _HEADER.size and masked_crc(head[:8]) == _HEADER.unpack(head)[1]


def read_records(path: Path, report_damage: Callable[[str], None]) -> Iterator[bytes]:
    """Yield the data of every intact record.

    Parameters
    ----------
    path : Path
    report_damage : callable
        Called with a sentence for each kind of damage, at the end.
    """
    crc32c = _crc32c()
    header_of, crc_of, len_header = _HEADER.unpack, _CRC.unpack, _HEADER.size
    with open(path, "rb", opener=regular_file) as file:
        damage = _Damage(path.name, _len_file(file))
        offset = num_records = 0
        while head := file.read(len_header):
            if len(head) < len_header:
                damage.cut(offset, num_records)
                break
            len_data, stored = header_of(head)
            if _masked(crc32c(head[:8])) != stored:
                following = _next_header(file, offset + 1)
                damage.lengths.append((offset, following))
                if following is None:
                    break
                offset = file.seek(following)
                continue
            len_record = len_header + len_data + _CRC.size
            if offset + len_record > damage.len_file:  # before that length is allocated
                damage.cut(offset, num_records)
                break
            data = file.read(len_data)
            if _masked(crc32c(data)) == crc_of(file.read(_CRC.size))[0]:
                yield data
                num_records += 1
            else:
                damage.records.append(offset)
            offset += len_record
    for sentence in damage.sentences():
        report_damage(sentence)


@dataclass
class _Damage:
    """The damage to a file: offsets of records, and where reading went on after a bad length."""

    name: str
    len_file: int
    records: list[int] = field(default_factory=list)
    lengths: list[tuple[int, int | None]] = field(default_factory=list)
    end: str = ""

    def cut(self, offset: int, num_records: int) -> None:
        self.end = (
            f"the file ends within a record at byte {offset:,} of {self.len_file:,}; "
            f"{counted(num_records, 'record')} before it were read"
        )

    def sentences(self) -> Iterator[str]:
        if self.records:
            yield (
                f"{self.name}: the checksum of {counted(len(self.records), 'record')} does not "
                f"match, the first at byte {self.records[0]:,} of {self.len_file:,}: left out"
            )
        if self.lengths:
            num_skipped = sum((end or self.len_file) - begin for begin, end in self.lengths)
            begin, end = self.lengths[0]
            reading = "no record follows" if end is None else f"reading went on at byte {end:,}"
            yield (
                f"{self.name}: the length of {counted(len(self.lengths), 'record')} is damaged, "
                f"the first at byte {begin:,} of {self.len_file:,}, {reading}; "
                f"{counted(num_skipped, 'byte')} left out"
            )
        if self.end:
            yield f"{self.name}: {self.end}"


def _next_header(file: BinaryIO, start: int) -> int | None:
    """Return the offset of the next length, from `start` on, that has its checksum.

    A length is below 4 GiB and not zero, so that few places are looked at closely. Each look is
    twice as long as the one before: the next record mostly is near.
    """
    len_header, len_searched = _HEADER.size, _LEN_SEARCHED_FIRST
    while True:
        file.seek(start)
        data = file.read(len_searched)
        len_searched = min(2 * len_searched, _LEN_SEARCHED)
        if len(data) < len_header:
            return None
        bytes_ = np.frombuffer(data, np.uint8)
        num_places = len(data) - len_header + 1
        used = [bytes_[i : i + num_places] != 0 for i in range(8)]
        is_low, is_high = np.logical_or.reduce(used[:4]), np.logical_or.reduce(used[4:])
        for place in np.flatnonzero(is_low & ~is_high).tolist():
            head = data[place : place + len_header]
            if masked_crc(head[:8]) == _HEADER.unpack(head)[1]:
                return start + place
        start += num_places


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


def looks_like(path: Path) -> bool:
    """Return whether a path is an event file, or a folder with one anywhere below it."""
    if path.is_dir():
        return any(is_event_file(file) for file in path.rglob("*tfevents*"))
    return begins_like_events(path) or (is_event_file(path) and not path.stat().st_size)


def read(source: Path, options: ImportOptions) -> Imported:
    """Read a run from an event file or a folder of them.

    Parameters
    ----------
    source : Path
        A file, or a folder.
    options : ImportOptions
        `phase`: that of tags and folders without one; default train. `run`: path of the run below
        the folder, if there are several.

    Raises
    ------
    CmetaError
        TensorBoard is not installed.
    EncodeError
        There is no run, or more than one to choose from, or a file is not an event file.
    """
    run = _Run(ScalarLog(options))
    name, files = _find_run(source, options.run, run.log)
    sizes = [file.path.stat().st_size for file in files]
    for number, file in enumerate(files, 1):
        _read_file(file, run)
        options.progress(sum(sizes[:number]), sum(sizes))
    _name_metrics(run)
    about = {"source": "tensorboard"} | ({"run": name} if name != "." else {})
    return run.log.imported(about, [run.config()], run.damage)


# ---------------------------------------------------------------------------- the files of a run


@dataclass(frozen=True)
class _EventFile:
    """An event file and its place in its run.

    Attributes
    ----------
    path : Path
    folder : PurePosixPath
        Relative to the folder of the run.
    phase : str or None
        The phase that the folder is named after.
    """

    path: Path
    folder: PurePosixPath
    phase: str | None


def _find_run(source: Path, run: str | None, log: ScalarLog) -> tuple[str, list[_EventFile]]:
    """Return a run's name and its files, in the order in which TensorBoard reads them.

    Raises
    ------
    EncodeError
        There is no event file, no such run, or more than one to choose from.
    """
    if not source.is_dir():
        return ".", [_EventFile(source, _ROOT, None)]
    paths = sorted(path for path in source.rglob("*") if is_event_file(path) and path.is_file())
    folders = {path: PurePosixPath(path.parent.relative_to(source).as_posix()) for path in paths}
    if not folders:
        raise EncodeError(
            f"{source}: found no event file, expected one with 'tfevents' in its name"
        )
    root = _choose(source, run, {*folders.values()}, log)
    files = [
        _EventFile(path, folder.relative_to(root), _phase_of_folder(folder, root, log))
        for path, folder in sorted(folders.items(), key=lambda item: (item[1], item[0]))
        if folder.is_relative_to(root)
    ]
    return str(root), files


def _choose(
    source: Path, run: str | None, folders: Collection[PurePosixPath], log: ScalarLog
) -> PurePosixPath:
    roots = _roots(folders, log)
    if run is None and len(roots) == 1:
        return roots[0]
    names = listed(map(str, roots))
    if run is None:
        raise EncodeError(f"{source}: found {len(roots)} runs, expected one; choose a run: {names}")
    chosen = PurePosixPath(run)
    if not any(folder.is_relative_to(chosen) for folder in folders):
        raise EncodeError(f"{source}: found no run {run!r}; there are: {names}")
    return chosen


def _roots(folders: Iterable[PurePosixPath], log: ScalarLog) -> list[PurePosixPath]:
    """Return the folders of runs, none of which is within another."""
    roots: dict[PurePosixPath, None] = {}
    likely = {f.parent if log.phase_of_word(f.name) else f for f in folders}
    for folder in sorted(likely):  # a folder comes before those in it
        if not any(parent in roots for parent in (folder, *folder.parents)):
            roots[folder] = None
    return [*roots]


def _phase_of_folder(folder: PurePosixPath, root: PurePosixPath, log: ScalarLog) -> str | None:
    """Return the phase of a folder; also that of the run's own, if it was chosen by that name."""
    name = folder.name if folder == root else folder.relative_to(root).parts[0]
    return log.phase_of_word(name)


# ------------------------------------------------------------------------------------ events


@dataclass
class _Run:
    """The contents of a run's files.

    While they are read, the names in the log are the keys of folder and tag.
    """

    log: ScalarLog
    keys: dict[_Key, int] = field(default_factory=dict)
    phases: dict[str, str | None] = field(default_factory=dict)  # by folder
    hparams: dict[str, dict[str, Any]] = field(default_factory=dict)  # by folder
    plugins: dict[_Key, str] = field(default_factory=dict)  # named by a tag's first value
    damage: list[str] = field(default_factory=list)

    def config(self) -> dict[str, Any]:
        """Return the configuration: the hyperparameters of the run, or of each folder."""
        if len(self.hparams) == 1:
            return {"hparams": next(iter(self.hparams.values()))}
        return {"hparams": self.hparams} if self.hparams else {}


def _read_file(file: _EventFile, run: _Run) -> None:
    """Add the scalars of a file; it may well have a million, so the loop is flat."""
    if file.path.stat().st_size and not begins_like_events(file.path):
        raise EncodeError(f"{file.path}: not an event file: bad record header")
    folder = str(file.folder)
    run.phases[folder] = file.phase
    parse, invalid = event_parser()
    log, keys, read_other = run.log, run.keys, _other_reader(folder, run)
    add_name, add_step = log.name.append, log.step.append
    add_value, add_time = log.value.append, log.wall_time.append
    bad: list[int] = []
    for number, data in enumerate(read_records(file.path, run.damage.append)):
        try:
            event = parse(data)
        except invalid:
            bad.append(number)
            continue
        values = event.summary.value
        if not values:
            kind = event.WhichOneof("what")
            if kind not in _NO_DATA and kind != "summary":
                log.notes.add("a record holds numbers only", kind)
            continue
        step, wall_time = event.step, event.wall_time
        for value in values:
            is_plain = step >= 0 and value.HasField("simple_value")
            scalar = value.simple_value if is_plain else read_other(value, step)
            if scalar is None:
                continue
            key = (folder, value.tag)
            add_name(keys.setdefault(key, len(keys)))
            add_step(step)
            add_value(scalar)
            add_time(wall_time)
    if bad:
        run.damage.append(f"{file.path.name}: {skipped(bad, 'event')}")


def _other_reader(folder: str, run: _Run) -> Callable[[Any, int], float | None]:
    """Return a function that reads a value other than a plain scalar: its number, or None."""
    lost, notes = run.log.lost, run.log.notes

    def read_other(value: Any, step: int) -> float | None:
        tag: str = value.tag
        plugin = run.plugins.setdefault((folder, tag), value.metadata.plugin_data.plugin_name)
        if plugin == "hparams":
            hparams = hparams_of(value)
            if hparams is not None:
                run.hparams[folder] = run.hparams.get(folder, {}) | hparams
            return None
        number = scalar_of(value, plugin)
        if number is None:
            kind = value.WhichOneof("value") or "empty values"
            plural = _PLURALS.get(plugin) or _PLURALS.get(kind, kind)
            notes.add(f"a record holds numbers only, no {plural}", tag)
            return None
        if step < 0:
            lost.add("a step below 0 is not a valid timestamp", tag)
            return None
        return run.log.number(tag, number)

    return read_other


# ------------------------------------------------------------------------------------- names


def _name_metrics(run: _Run) -> None:
    """Replace the keys in the log by the names of metrics, and add their phases."""
    log = run.log
    phases = [
        run.phases[folder] or log.phase_of_name(tag) or log.default_phase
        for folder, tag in run.keys
    ]
    names = _names([*run.keys], phases)
    for name in names:
        log.names.setdefault(name, len(log.names))
    indices = np.array([log.names[name] for name in names], np.int64)
    codes = np.array([log.code_of(phase) for phase in phases], np.uint8)
    keys = np.array(log.name, np.int64)
    if len(keys):
        log.name = type(log.name)("q", indices[keys].tobytes())
        log.phase = type(log.phase)("B", codes[keys].tobytes())


def _names(keys: Sequence[_Key], phases: Sequence[str]) -> list[str]:
    """Return the name of each key: the tag, with its folder where that would be ambiguous."""
    tags = [tag for _, tag in keys]
    num_folders = Counter(zip(tags, phases, strict=True))
    return [
        tag if folder == str(_ROOT) or num_folders[tag, phase] == 1 else f"{folder}/{tag}"
        for (folder, tag), phase in zip(keys, phases, strict=True)
    ]
