"""``trainer_state.json``, which the Trainer of Hugging Face transformers keeps beside its models.

- An entry of ``log_history`` goes into the record of its step and phase. The phase is validate if
  it has keys such as ``eval_loss`` or ``test_loss``, train for those of the Trainer itself, else
  the given one; a final summary (``train_runtime``) goes into the last training record.
- ``loss`` and ``eval_loss`` are `loss_value`; every other key is a metric under its own name. A
  whole ``epoch`` is the field of that name; if any is a fraction, it is a metric.
- The file has no wall times. What else it holds (``best_metric``, ``max_steps``, ...) goes into the
  configuration under ``trainer_state``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cmeta.errors import EncodeError
from cmeta.schema.schema import Schema
from cmeta.tools.imports.model import Imported, ImportOptions
from cmeta.tools.imports.scalar_log import EPOCH, Points, assemble, base_schema, phase_of

FILE_NAME = "trainer_state.json"
TOOL = "trainer_state"
_HISTORY, _STEP = "log_history", "step"
_CHECKPOINT = re.compile(r"checkpoint-(\d+)")
_NON_FINITE = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
_LEN_LOOKED_AT = 1 << 16


def looks_like(path: Path) -> bool:
    """Return whether a path is such a file, or the folder of a training or of a checkpoint."""
    if path.is_dir():
        return _in_folder(path) is not None
    if path.name == FILE_NAME:
        return True
    with open(path, "rb") as file:
        head = file.read(_LEN_LOOKED_AT)
    return head.lstrip().startswith(b"{") and b'"log_history": [' in head


def read(source: Path, options: ImportOptions) -> Imported:
    """Read the history of a training.

    Parameters
    ----------
    source : Path
        The file, the folder of a checkpoint, or that of the training; there the file of the
        training itself is taken, else that of the last checkpoint.
    options : ImportOptions
        `phase`: that of entries whose keys tell none; default train. `run`: the name of a
        checkpoint's folder.

    Raises
    ------
    EncodeError
        There is no such file, or it is no JSON or another one; names line and column or the key.
    """
    schema, default = base_schema(options)
    path = _find(source, options.run)
    state = _load(path)
    points = Points()
    epochs: dict[tuple[int, int], float] = {}
    for place, entry in enumerate(state.pop(_HISTORY)):
        where = f"{path}: {_HISTORY}[{place}]"
        _take(_checked(entry, where), points, schema, default, epochs)
    config = {TOOL: {key: state[key] for key in sorted(state)}}
    return assemble(points, schema, options, {"source": TOOL}, [config])


def _find(source: Path, run: str | None) -> Path:
    if not source.is_dir():
        return source
    folder = source if run is None else source / run
    found = _in_folder(folder) if folder.is_dir() else None
    if found is None:
        there = ", ".join(sorted(p.parent.name for p in source.glob(f"*/{FILE_NAME}"))) or "none"
        raise EncodeError(
            f"{folder}: found no {FILE_NAME}, expected one in it or in a checkpoint; "
            f"folders that have one: {there}"
        )
    return found


def _in_folder(folder: Path) -> Path | None:
    """Return the file of a folder, or of its last checkpoint, which has all the history."""
    if (own := folder / FILE_NAME).is_file():
        return own
    found = {
        int(match[1]): path
        for path in folder.glob(f"checkpoint-*/{FILE_NAME}")
        if (match := _CHECKPOINT.fullmatch(path.parent.name))
    }
    return found[max(found)] if found else None


def _load(path: Path) -> dict[str, Any]:
    try:
        state = json.loads(path.read_text("utf-8"))
    except json.JSONDecodeError as err:
        where = f"line {err.lineno}, column {err.colno}"
        raise EncodeError(f"{path}: {where}: not JSON, or cut short: {err.msg}") from err
    except (UnicodeDecodeError, RecursionError, ValueError) as err:
        raise EncodeError(f"{path}: not JSON: {err}") from err
    if not isinstance(state, dict) or not isinstance(state.get(_HISTORY), list):
        raise EncodeError(f"{path}: found no list {_HISTORY}, expected a {FILE_NAME} of a Trainer")
    return state


def _checked(entry: Any, where: str) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise EncodeError(f"{where}: found a {type(entry).__name__}, expected an object")
    step = entry.get(_STEP)
    if not isinstance(step, int) or isinstance(step, bool):
        raise EncodeError(f"{where}.{_STEP}: found {step!r}, expected an integer")
    return entry


def _take(
    entry: Mapping[str, Any],
    points: Points,
    schema: Schema,
    default: str,
    epochs: dict[tuple[int, int], float],
) -> None:
    phase = schema.phases.index(_phase(entry, schema, default))
    step = entry[_STEP]
    for name, value in entry.items():
        number = _NON_FINITE.get(value, value) if isinstance(value, str) else value
        if name == _STEP or (name == EPOCH and epochs.get((step, phase)) == number):
            continue  # all entries of a step state its epoch
        if not isinstance(number, int | float):
            points.lost.add(f"a record holds numbers only, no {type(value).__name__}", name)
        elif points.add(name, phase, step, number) and name == EPOCH:
            epochs[step, phase] = number


def _phase(entry: Mapping[str, Any], schema: Schema, default: str) -> str:
    """Return the phase that the keys of an entry tell, evaluation first."""
    told = {phase_of(name, schema.phases) for name in entry} - {None}
    return "validate" if "validate" in told else "train" if "train" in told else default
