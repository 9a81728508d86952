"""Runs of Sacred, as its FileStorageObserver writes them: folders with ``run.json``.

- A metric keeps its name; a record is one step of one phase, as in every log of single scalars. Its
  time is that of its first value.
- The configuration is that of Sacred. What ``run.json`` and ``info.json`` say of the run is in it
  under ``imported``.
- Sources, resources, artifacts and the captured output are not read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from math import isnan
from pathlib import Path
from typing import Any

from cmeta.errors import EncodeError
from cmeta.tools.imports.bounded import load_json
from cmeta.tools.imports.formats import NON_FINITE, Imported, ImportOptions, choose_run
from cmeta.tools.imports.scalar_log import ScalarLog, status_named

TOOL = "sacred"
_RUN, _CONFIG, _METRICS, _INFO = "run.json", "config.json", "metrics.json", "info.json"
_LEFT_OUT = {"artifacts", "resources", "heartbeat"}  # files, and a time that is not the run's


def looks_like(path: Path) -> bool:
    """Return whether a path is the folder of a run, one of its files, or a folder of runs."""
    if path.is_file():
        return path.name in (_RUN, _METRICS) and is_run(path.parent)
    return next(_run_folders(path), None) is not None


def runs_in(source: Path) -> list[tuple[Path, str | None]]:
    """Return the folder of each run."""
    return [(folder, None) for folder in _run_folders(source)]


def read(source: Path, options: ImportOptions) -> Imported:
    """Read a run from its folder, or from one with several.

    Parameters
    ----------
    source : Path
    options : ImportOptions
        `phase`: that of metrics whose names tell none; default train. `run`: the name of the run's
        folder, which is its id.

    Raises
    ------
    EncodeError
        There is no run, or more than one to choose from, or a file is not JSON.
    """
    log = ScalarLog(options)
    folders = {folder.name: folder for folder in _run_folders(source)}
    folder = choose_run(source, options.run, folders)
    run, config = _load(folder / _RUN), _load(folder / _CONFIG)
    scalars = sorted(_scalars(folder, log), key=lambda scalar: (isnan(scalar[3]), scalar[3]))
    for name, value, step, time in scalars:
        phase = log.phase_of_name(name) or log.default_phase
        if log.add(name, phase, step, value):
            log.wall_time.append(time)
    facts = {key: value for key, value in sorted(run.items()) if key not in _LEFT_OUT}
    about = {"source": TOOL, "id": folder.name, **facts}
    if info := _load(folder / _INFO):
        about["info"] = info
    return log.imported(about, [config], status=status_named(run.get("status")))


def is_run(folder: Path) -> bool:
    """Return whether a folder is a run."""
    return (folder / _RUN).is_file() and (folder / _CONFIG).is_file()


def _run_folders(path: Path) -> Iterator[Path]:
    folder = path.parent if path.is_file() else path
    if is_run(folder):
        yield folder
    elif folder.is_dir():
        children = [child for child in folder.iterdir() if child.is_dir() and is_run(child)]
        yield from sorted(children, key=lambda child: (len(child.name), child.name))


def _load(path: Path) -> dict[str, Any]:
    """Return an object in a file; an empty one if there is none."""
    if not path.is_file():
        return {}
    value = load_json(path)
    if not isinstance(value, dict):
        raise EncodeError(f"{path}: found a {type(value).__name__}, expected an object")
    return value


def _scalars(folder: Path, log: ScalarLog) -> Iterator[tuple[str, float, int, float]]:
    """Yield name, value, step and time of each value that is a number."""
    path = folder / _METRICS
    for name, metric in _load(path).items():
        for place, (value, step, time) in enumerate(_rows(metric, f"{path}: {name}")):
            number = NON_FINITE.get(value, value) if isinstance(value, str) else value
            if not isinstance(number, int | float):
                log.notes.add(f"a record holds numbers only, no {type(value).__name__}", name)
            elif not isinstance(step, int | None):
                log.lost.add("a step that is no integer is not a valid timestamp", name)
            else:
                yield name, number, place if step is None else step, _seconds(time)


def _rows(metric: Any, where: str) -> Iterator[tuple[Any, Any, Any]]:
    """Return the rows of value, step and time in the three lists of a metric."""
    keys = ("values", "steps", "timestamps")
    lists = [metric.get(key) if isinstance(metric, Mapping) else None for key in keys]
    sizes = [len(items) if isinstance(items, list) else None for items in lists]
    if None in sizes or len(set(sizes)) != 1:
        raise EncodeError(f"{where}: expected lists {', '.join(keys)} of one length")
    return zip(*lists, strict=True)


def _seconds(time: Any) -> float:
    """Return a time, which Sacred gives in UTC, as seconds since 1970; NaN if it is none."""
    try:
        date = datetime.fromisoformat(time)
    except (TypeError, ValueError):
        return float("nan")
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
