"""TensorBoard event files, written by PyTorch, TensorFlow, Keras, JAX or any other.

- A record is one (step, phase); a step that was logged twice, as by a run that was restarted, is
  two records of equal timestamp. Nothing is purged. See `cmeta.tools.imports.scalar_log`.
- A tag becomes a metric under its own name. The phase is that of the run's folder or of the tag's
  first word (``val/acc``), else the given one. If several folders have a tag in one phase, each
  but the run's own puts its name before it.
- Scalars are kept, in the old form and in the new one (a tensor of the plugin ``scalars``).
  Hyperparameters go into the configuration, without the plugin's own definitions. Histograms,
  images, audio, text, graphs and the rest are named in what is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cmeta.errors import EncodeError
from cmeta.schema.schema import Schema
from cmeta.tools.imports import tensorboard_events as events
from cmeta.tools.imports.model import Imported, ImportOptions
from cmeta.tools.imports.scalar_log import Points, assemble, base_schema, phase_of
from cmeta.tools.imports.tensorboard_events import TOP, EventFile, find_run, is_event_file

TOOL = "tensorboard"
_NO_DATA = {"file_version", "source_metadata", None}  # of an event: nothing to keep
_Key = tuple[str, str]  # folder and tag


def looks_like(path: Path) -> bool:
    """Return whether a path is an event file, or a folder with one anywhere below it."""
    if path.is_dir():
        return any(is_event_file(found) for found in path.rglob("*tfevents*"))
    return events.begins_like_events(path) or (is_event_file(path) and not path.stat().st_size)


def read(source: Path, options: ImportOptions) -> Imported:
    """Read a run from an event file or a folder of them.

    Parameters
    ----------
    source : Path
        A file, or a folder.
    options : ImportOptions
        `phase`: that of tags and folders which tell none; default train. `run`: path of the run
        below the folder, if there are several.

    Raises
    ------
    CmetaError
        TensorBoard is not installed.
    EncodeError
        There is no run, or more than one to choose from, or a file is no event file.
    """
    schema, default = base_schema(options)
    name, files = find_run(source, options.run, schema.phases)
    found = _Run()
    for number, file in enumerate(files, 1):
        _read_file(file, found)
        options.progress(*_share(files, number))
    points = _named(found, schema, default)
    about = {"source": TOOL} | ({"run": name} if name != "." else {})
    return assemble(points, schema, options, about, [found.config()], found.damage)


def _share(files: list[EventFile], number: int) -> tuple[int, int]:
    """Return the bytes of the first `number` files, and of all."""
    sizes = [file.path.stat().st_size for file in files]
    return sum(sizes[:number]), sum(sizes)


@dataclass
class _Run:
    """What the files of a run hold; the points' names are keys of folder and tag."""

    points: Points = field(default_factory=Points)
    keys: dict[_Key, int] = field(default_factory=dict)
    phases: dict[str, str | None] = field(default_factory=dict)  # by folder
    hparams: dict[str, dict[str, Any]] = field(default_factory=dict)  # by folder
    plugins: dict[_Key, str] = field(default_factory=dict)  # a tag's first value names it
    damage: list[str] = field(default_factory=list)

    def config(self) -> dict[str, Any]:
        """Return the configuration: the hyperparameters of the run, or of each folder."""
        if len(self.hparams) == 1:
            return {"hparams": next(iter(self.hparams.values()))}
        return {"hparams": self.hparams} if self.hparams else {}


def _read_file(file: EventFile, run: _Run) -> None:
    """Add the scalars of a file; a million of them is common, so the loop is flat."""
    if file.path.stat().st_size and not events.begins_like_events(file.path):
        raise EncodeError(f"{file.path}: not an event file: no record begins it")
    folder = str(file.folder)
    run.phases[folder] = file.phase
    parse, no_event = events.event_parser()
    points, keys, take_other = run.points, run.keys, _other_taker(folder, run)
    add_name, add_step = points.name.append, points.step.append
    add_value, add_time = points.value.append, points.wall_time.append
    for place, data in enumerate(events.read_records(file.path, run.damage.append)):
        try:
            event = parse(data)
        except no_event:
            run.damage.append(f"{file.path.name}: record {place:,} is no event; it was passed over")
            continue
        values = event.summary.value
        if not values:
            _take_event(event, points)
            continue
        step, wall_time = event.step, event.wall_time
        for value in values:
            plain = step >= 0 and value.HasField("simple_value")
            number = value.simple_value if plain else take_other(value, step)
            if number is None:
                continue
            key = (folder, value.tag)
            add_name(keys.setdefault(key, len(keys)))
            add_step(step)
            add_value(number)
            add_time(wall_time)


def _take_event(event: Any, points: Points) -> None:
    kind = event.WhichOneof("what")
    if kind not in _NO_DATA and kind != "summary":
        points.lost.add("a record holds numbers only", kind)


def _other_taker(folder: str, run: _Run) -> Callable[[Any, int], float | None]:
    """Return a function that takes a value which is no plain scalar: the number, or None."""
    lost = run.points.lost

    def take(value: Any, step: int) -> float | None:
        tag: str = value.tag
        plugin = run.plugins.setdefault((folder, tag), value.metadata.plugin_data.plugin_name)
        if plugin == "hparams":
            _take_hparams(value, folder, run)
            return None
        number = events.scalar_of(value, plugin)
        if number is None:
            kind = value.WhichOneof("value") or "empty values"
            what = _PLURALS.get(plugin) or _PLURALS.get(kind, kind)
            lost.add(f"a record holds numbers only, no {what}", tag)
            return None
        if step < 0:
            lost.add("a step below 0 is no timestamp", tag)
            return None
        return run.points.number(tag, number)

    return take


_PLURALS = {
    "histo": "histograms", "histograms": "histograms", "image": "images", "images": "images",
    "audio": "audio", "text": "text", "pr_curves": "curves", "mesh": "meshes",
    "custom_scalars": "layouts of charts", "graphs": "graphs", "tensor": "tensors",
}  # fmt: skip


def _take_hparams(value: Any, folder: str, run: _Run) -> None:
    found = events.hparams_of(value)
    if found is not None:
        run.hparams[folder] = run.hparams.get(folder, {}) | found


def _named(run: _Run, schema: Schema, default: str) -> Points:
    """Return the points with the names of metrics in place of keys, and with their phases."""
    phases = [_phase(key, run, schema, default) for key in run.keys]
    names = _names(zip(run.keys, phases, strict=True))
    points = run.points
    for name in names:
        points.names.setdefault(name, len(points.names))
    places = np.array([points.names[name] for name in names], np.int64)
    codes = np.array([schema.phases.index(phase) for phase in phases], np.uint8)
    keys = np.array(points.name, np.int64)
    if len(keys):
        points.name = type(points.name)("q", places[keys].tobytes())
        points.phase = type(points.phase)("B", codes[keys].tobytes())
    return points


def _phase(key: _Key, run: _Run, schema: Schema, default: str) -> str:
    folder, tag = key
    return run.phases[folder] or phase_of(tag, schema.phases) or default


def _names(keys: Iterable[tuple[_Key, str]]) -> list[str]:
    """Return the name of each key: the tag, with its folder where that would be ambiguous."""
    every = list(keys)
    folders: dict[tuple[str, str], int] = {}
    for (_, tag), phase in every:
        folders[tag, phase] = folders.get((tag, phase), 0) + 1
    return [
        tag if folder == str(TOP) or folders[tag, phase] == 1 else f"{folder}/{tag}"
        for (folder, tag), phase in every
    ]
