"""Offline runs of Weights & Biases: ``offline-run-*/run-ID.wandb``.

- A row of the history is one record for each phase that its keys name (``val/acc``). A key without
  a phase goes with the others if they name one phase, otherwise into the default one. ``_step`` is
  the timestamp, ``_timestamp`` the metric `wall_time`; ``_runtime`` stays a metric.
- Nested keys are joined with a dot, as W&B itself does. Media, text and lists are noted: no
  record holds them; so are system metrics and console output, which have no step.
- A record has the configuration that was in force at its row. Facts about the run are in it under
  ``imported``, with all entries of the summary that are not simply the last value of a key.
- W&B's own bookkeeping (``_wandb``, telemetry, requests) is ignored.

The file is a LevelDB log of `Record` messages. After a header of 7 bytes it consists of blocks of
32 KiB. A chunk has a CRC-32 of its type and data (u32), its length (u16) and its type (u8): a full
record, or the first, a middle, or the last part of one. Fewer than 7 bytes at the end of a block
are padding. The messages are decoded by W&B's own classes; recent versions have no reader of the
framing in Python. A chunk whose checksum does not match is left out with the record that it is
part of; reading goes on at the next chunk, or at the next block if there is no intact chunk, since
the length may be damaged. That is reported, and so is a record that is cut short at the end.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cmeta.errors import EncodeError
from cmeta.extras import protobuf_parser
from cmeta.records import strict_json
from cmeta.source import regular_file
from cmeta.tools.imports.formats import NON_FINITE, Imported, ImportOptions, listed, skipped
from cmeta.tools.imports.scalar_log import CONFIGS_FREE, DEPTH_MAX, NO_CONFIG, ScalarLog, is_deeper

EXTRA = "wandb"
_STEP, _TIME, _OWN = "_step", "_timestamp", "_wandb"
_RUN_FACTS = ("run_id", "entity", "project", "display_name", "run_group", "job_type", "notes")
_BOOKKEEPING = {"header", "footer", "final", "telemetry", "request", "use_artifact", None}
_KINDS = {str: "text", list: "lists", type(None): "null", dict: "deeply nested objects"}
_DEEP_KEY = f"a key of more than {DEPTH_MAX} parts cannot be kept"
_CONFIG_RATIO = 4  # bytes of configurations for each of the log
_Path = tuple[str, ...]


def looks_like(path: Path) -> bool:
    """Return whether a path is the log of a run, or a folder with one anywhere below it."""
    if path.is_dir():
        return next(path.rglob("run-*.wandb"), None) is not None
    return _has_header(path)


def read(source: Path, options: ImportOptions) -> Imported:
    """Read a run from its log or its folder.

    Parameters
    ----------
    source : Path
        A ``.wandb`` file, the folder of a run, or one with several runs.
    options : ImportOptions
        `phase`: that of rows whose keys name none; default train. `run`: the run's id or the name
        of its folder, if there are several.

    Raises
    ------
    CmetaError
        W&B is not installed.
    EncodeError
        There is no run, or more than one to choose from, or the file is not a log.
    """
    path = _find(source, options.run)
    run = _Run(ScalarLog(options), CONFIGS_FREE + _CONFIG_RATIO * path.stat().st_size)
    if not _has_header(path):
        raise EncodeError(f"{path}: not a W&B log: bad file header")
    _read_file(path, run)
    if run.num_unkept:
        run.log.lost.add(
            f"the configuration changed after the first {len(run.configs):,} ones, for as many as "
            "there is room; rows without one", "config", run.num_unkept,
        )  # fmt: skip
    about = {"source": "wandb"} | run.about | run.new_in_summary()
    return run.log.imported(about, run.configs or [run.config], run.damage, run.status)


def _find(source: Path, run: str | None) -> Path:
    """Return the log of the chosen run."""
    if not source.is_dir():
        return source
    logs = sorted(source.rglob("run-*.wandb"))
    names = listed(path.parent.name or path.stem for path in logs)
    if run is not None:
        chosen = [p for p in logs if run in (p.parent.name, p.stem, p.stem.removeprefix("run-"))]
        if len(chosen) != 1:
            raise EncodeError(f"{source}: found {len(chosen)} runs {run!r}; there are: {names}")
        return chosen[0]
    if not logs:
        raise EncodeError(f"{source}: found no run, expected a file run-ID.wandb")
    if len(logs) > 1:
        raise EncodeError(f"{source}: found {len(logs)} runs, expected one; choose a run: {names}")
    return logs[0]


# ------------------------------------------------------------------------------------- framing

_FILE_HEADER = struct.Struct("<4sHB")
_BEGIN = (b":W&B", 0xBEE1, 0)  # identification, magic number, version
_CHUNK = struct.Struct("<IHB")
_LEN_BLOCK = 32 * 1024
_FULL_OR_FIRST, _MIDDLE_OR_LAST, _ENDS = (1, 2), (3, 4), (1, 4)  # types of a chunk
_DAMAGED = -1
_CUT = "the file ends within a record"
_MISMATCH = "the checksum of a record does not match"
_DISORDER = "the parts of a record are out of order"


def _has_header(path: Path) -> bool:
    """Return whether a file has the header of a log."""
    with open(path, "rb", opener=regular_file) as file:
        head = file.read(_FILE_HEADER.size)
    return len(head) == _FILE_HEADER.size and _FILE_HEADER.unpack(head) == _BEGIN


def read_records(path: Path, report_damage: Callable[[str], None]) -> Iterator[bytes]:
    """Yield the data of every intact record.

    Parameters
    ----------
    path : Path
    report_damage : callable
        Called with a sentence for each kind of damage, at the end.
    """
    parts: list[bytes] = []
    start = num_records = 0
    damage: dict[str, list[int]] = {}  # offsets
    is_lost = False  # the record that the next chunks may be parts of
    for offset, kind, data in _chunks(path):
        if kind in _FULL_OR_FIRST:
            is_lost = False
        if kind == _DAMAGED:
            damage.setdefault(data.decode(), []).append(start if parts else offset)
            parts, is_lost = [], True
        elif not is_lost and kind not in (_MIDDLE_OR_LAST if parts else _FULL_OR_FIRST):
            damage.setdefault(_DISORDER, []).append(start if parts else offset)
            parts, is_lost = [], kind not in _FULL_OR_FIRST
        if is_lost or kind == _DAMAGED:
            continue
        start = start if parts else offset
        parts.append(data)
        if kind in _ENDS:
            yield b"".join(parts)
            num_records += 1
            parts = []
    if parts:
        damage.setdefault(_CUT, []).append(start)
    for problem, offsets in damage.items():
        more = f", and at {len(offsets) - 1:,} more" if len(offsets) > 1 else ""
        report_damage(
            f"{path.name}: {problem} at byte {offsets[0]:,} of {path.stat().st_size:,}{more}; "
            f"the {num_records:,} intact records were read"
        )


def _chunks(path: Path) -> Iterator[tuple[int, int, bytes]]:
    """Yield offset, type and data of each chunk; of a damaged one that type, and what is wrong."""
    with open(path, "rb", opener=regular_file) as file:
        offset, is_sound = len(file.read(_FILE_HEADER.size)), True
        while True:
            room = _LEN_BLOCK - offset % _LEN_BLOCK
            if room < _CHUNK.size:
                offset += len(file.read(room))
                room = _LEN_BLOCK
            head = file.read(_CHUNK.size)
            if not head:
                return
            crc, len_data, kind = _CHUNK.unpack(head.ljust(_CHUNK.size, b"\0"))
            data = file.read(len_data)
            fits = _CHUNK.size + len_data <= room
            is_cut = fits and (len(head) < _CHUNK.size or len(data) < len_data)
            if not is_cut and zlib.crc32(data, zlib.crc32(head[-1:])) == crc:
                is_sound = True
                yield offset, kind, data
                offset += _CHUNK.size + len_data
                continue
            if is_sound:
                yield offset, _DAMAGED, (_CUT if is_cut else _MISMATCH).encode()
            offset += _CHUNK.size + len_data if is_sound and fits and not is_cut else room
            is_sound = False
            file.seek(offset)


# ------------------------------------------------------------------------------------- messages


@dataclass
class _Run:
    """The contents of a log so far."""

    log: ScalarLog
    room: int = CONFIGS_FREE  # bytes of JSON for further configurations
    config: dict[str, Any] = field(default_factory=dict)
    configs: list[dict[str, Any]] = field(default_factory=list)
    index: int = NO_CONFIG
    is_new: bool = True  # the configuration has changed since the last row
    num_unkept: int = 0  # configurations for which there was no room
    about: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)  # by joined key
    last: dict[str, Any] = field(default_factory=dict)  # value of each key of the history
    step: int = -1
    status: str | None = None
    damage: list[str] = field(default_factory=list)

    def index_of_config(self) -> int:
        """Return the index of the configuration in force; `NO_CONFIG` without room for it.

        A run may change its configuration at every row, and each of them is kept whole.
        """
        if not self.is_new:
            return self.index
        self.is_new = False
        if self.configs and self.configs[-1] == self.config:
            self.index = len(self.configs) - 1
            return self.index
        text = json.dumps(self.config) if self.room > 0 else ""
        self.room -= len(text)
        if self.room <= 0:
            self.index = NO_CONFIG
            self.num_unkept += 1
            return self.index
        self.configs.append(json.loads(text))
        self.index = len(self.configs) - 1
        return self.index

    def new_in_summary(self) -> dict[str, Any]:
        """Return the entries of the summary that the history does not hold anyway."""
        new = {
            name: value
            for name, value in sorted(self.summary.items())
            if not name.startswith("_") and repr(self.last.get(name)) != repr(value)
        }
        return {"summary": new} if new else {}


def _read_file(path: Path, run: _Run) -> None:
    bad: list[int] = []
    parse, invalid = protobuf_parser("wandb.proto.wandb_internal_pb2", "Record", EXTRA)
    for number, data in enumerate(read_records(path, run.damage.append)):
        try:
            record = parse(data)
        except invalid:
            bad.append(number)
            continue
        kind = record.WhichOneof("record_type")
        if kind == "history":
            _read_row(record.history, run)
        elif kind == "run":
            _read_run(record.run, run)
        elif kind == "config":
            _read_config(record.config, run)
        elif kind == "summary":
            _read_summary(record.summary, run)
        elif kind == "exit":
            run.status = "failed" if record.exit.exit_code else "finished"
        elif kind not in _BOOKKEEPING:
            run.log.notes.add("records without a step, or of no metric, are not kept", kind)
    if bad:
        run.damage.append(f"{path.name}: {skipped(bad, 'message')}")


def _read_row(history: Any, run: _Run) -> None:
    items = dict(_items(history.item, run))
    numbers = dict(_numbers(items, run))
    run.last |= {".".join(path): value for path, value in items.items()}
    run.step = _step(numbers.pop(_STEP, None), history, run)
    wall_time = _wall_time(numbers.pop(_TIME, None), run)
    config = run.index_of_config()
    log = run.log
    phases = {name: log.phase_of_name(name) for name in numbers}
    named = {phase for phase in phases.values() if phase}
    neutral = named.pop() if len(named) == 1 else log.default_phase
    for name, number in numbers.items():
        if log.add(name, phases[name] or neutral, run.step, number):
            log.wall_time.append(wall_time)
            log.config.append(config)


def _wall_time(stated: Any, run: _Run) -> float:
    """Return the time of a row in seconds since 1970, NaN without one."""
    if isinstance(stated, bool) or not isinstance(stated, int | float):
        return float("nan")
    return run.log.number(_TIME, stated)


def _step(stated: Any, history: Any, run: _Run) -> int:
    """Return the step of a row: one of its keys, a member of the message, or the next step."""
    if isinstance(stated, int) and not isinstance(stated, bool):
        return stated
    if isinstance(stated, float) and stated.is_integer():
        return int(stated)
    return int(history.step.num) if history.HasField("step") else run.step + 1


def _numbers(items: Mapping[_Path, Any], run: _Run) -> Iterator[tuple[str, float]]:
    """Yield the numbers of a row by joined key."""
    media = {path[:-1]: value for path, value in items.items() if path[-1] == "_type"}
    for path, kind in media.items():
        run.log.notes.add(f"a record holds numbers only, no {kind}", ".".join(path))
    for path, value in items.items():
        name = ".".join(path)
        if any(path[:length] in media for length in range(len(path))):
            continue
        number = NON_FINITE.get(value, value) if isinstance(value, str) else value
        if isinstance(number, int | float):
            yield name, number
        else:
            kind = _KINDS.get(type(value), "other values")
            run.log.notes.add(f"a record holds numbers only, no {kind}", name)


def _items(items: Iterable[Any], run: _Run) -> Iterator[tuple[_Path, Any]]:
    """Yield path and value of each item, members of objects one by one."""
    for item in items:
        path = tuple(item.nested_key) or (item.key,)
        if len(path) > DEPTH_MAX:
            run.log.lost.add(_DEEP_KEY, _shown(path))
            continue
        try:
            value = strict_json.loads(item.value_json)
        except ValueError as err:
            run.log.lost.add(_reason(err), _shown(path))
            continue
        yield from _leaves(path, value)


def _leaves(path: _Path, value: Any) -> Iterator[tuple[_Path, Any]]:
    if not isinstance(value, dict):
        yield path, value
    elif len(path) >= DEPTH_MAX:
        yield path, {}
    else:
        for key, inner in value.items():
            yield from _leaves((*path, key), inner)


def _reason(err: ValueError) -> str:
    if isinstance(err, strict_json.UnkeptError):
        return "JSON with a name twice, or a number that no float64 holds, cannot be read"
    return "invalid JSON cannot be read"


def _shown(path: _Path) -> str:
    return ".".join(path[:DEPTH_MAX])[:80]


def _read_run(message: Any, run: _Run) -> None:
    run.about |= {name: value for name in _RUN_FACTS if (value := getattr(message, name))}
    if message.tags:
        run.about["tags"] = list(message.tags)
    if message.HasField("start_time"):
        run.about["start_time"] = message.start_time.seconds + message.start_time.nanos / 1e9
    _read_config(message.config, run)


def _read_config(message: Any, run: _Run) -> None:
    for item in message.update:
        path = tuple(item.nested_key) or (item.key,)
        if path[0] == _OWN:
            continue
        run.is_new = True
        try:
            value = strict_json.loads(item.value_json)
        except ValueError as err:
            run.log.lost.add(_reason(err), f"config {_shown(path)}")
            continue
        if len(path) > DEPTH_MAX or is_deeper(value, DEPTH_MAX - len(path)):
            run.log.lost.add(f"nested beyond {DEPTH_MAX} levels", f"config {_shown(path)}")
            continue
        _put(run.config, path, value)
    for item in message.remove:
        run.is_new = True
        run.config.pop(item.key, None)


def _put(tree: dict[str, Any], path: _Path, value: Any) -> None:
    for key in path[:-1]:
        if not isinstance(tree.get(key), dict):
            tree[key] = {}
        tree = tree[key]
    tree[path[-1]] = value


def _read_summary(message: Any, run: _Run) -> None:
    for path, value in _items(message.update, run):
        if path[0] != _OWN and isinstance(value, int | float | str):
            run.summary[".".join(path)] = value
    for item in message.remove:
        run.summary.pop(".".join(item.nested_key) or item.key, None)
