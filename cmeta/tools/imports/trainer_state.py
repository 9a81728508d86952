"""``trainer_state.json``, which the Trainer of Hugging Face transformers keeps with its models.

- An entry of ``log_history`` goes into the record of its step and phase. Its keys name the phase:
  validate if it has any such as ``eval_loss``, test for ``test_loss``, train for those of the
  Trainer itself, otherwise the default one; a final summary (``train_runtime``) goes into the last
  training record.
- ``loss`` and ``eval_loss`` are `loss_value`; every other key is a metric under its own name. A
  whole ``epoch`` is the field of that name; if any is a fraction, it is a metric.
- The file has no wall times. Its other members (``best_metric``, ``max_steps``, ...) go into the
  configuration under ``trainer_state``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cmeta.errors import EncodeError
from cmeta.tools.imports.bounded import load_json
from cmeta.tools.imports.columns import number_of_text
from cmeta.tools.imports.formats import Imported, ImportOptions, text_head
from cmeta.tools.imports.scalar_log import EPOCH, ScalarLog

FILE_NAME = "trainer_state.json"
TOOL = "trainer_state"
_HISTORY, _STEP = "log_history", "step"
_CHECKPOINT = re.compile(r"checkpoint-(\d+)")


def looks_like(path: Path) -> bool:
    """Return whether a path is such a file, or the folder of a training or of a checkpoint."""
    if path.is_dir():
        return _in_folder(path) is not None
    if path.name == FILE_NAME:
        return True
    head, _ = text_head(path)
    return head.startswith(b"{") and b'"log_history": [' in head


def read(source: Path, options: ImportOptions) -> Imported:
    """Read the history of a training.

    Parameters
    ----------
    source : Path
        The file, the folder of a checkpoint, or that of the training; there the file of the
        training itself is taken, otherwise that of the last checkpoint.
    options : ImportOptions
        `phase`: that of entries whose keys name none; default train. `run`: the name of a
        checkpoint's folder.

    Raises
    ------
    EncodeError
        There is no such file, it is not JSON, or it is another kind of JSON file; names line and
        column, or the key.
    """
    log = ScalarLog(options)
    path = _find(source, options.run)
    state = _load(path)
    epochs: dict[tuple[int, str], float] = {}
    for number, entry in enumerate(state.pop(_HISTORY)):
        _require_entry(entry, f"{path}: {_HISTORY}[{number}]")
        _add(entry, log, epochs)
    config = {TOOL: {key: state[key] for key in sorted(state)}}
    return log.imported({"source": TOOL}, [config])


def _find(source: Path, run: str | None) -> Path:
    if not source.is_dir():
        return source
    folder = source if run is None else source / run
    path = _in_folder(folder) if folder.is_dir() else None
    if path is None:
        names = ", ".join(sorted(p.parent.name for p in source.glob(f"*/{FILE_NAME}"))) or "none"
        raise EncodeError(
            f"{folder}: found no {FILE_NAME}, expected one in it or in a checkpoint; "
            f"folders that have one: {names}"
        )
    return path


def _in_folder(folder: Path) -> Path | None:
    """Return the file of a folder, or of its last checkpoint, which has the full history."""
    if (own := folder / FILE_NAME).is_file():
        return own
    checkpoints = {
        int(match[1]): path
        for path in folder.glob(f"checkpoint-*/{FILE_NAME}")
        if (match := _CHECKPOINT.fullmatch(path.parent.name))
    }
    return checkpoints[max(checkpoints)] if checkpoints else None


def _load(path: Path) -> dict[str, Any]:
    state = load_json(path)
    if not isinstance(state, dict) or not isinstance(state.get(_HISTORY), list):
        raise EncodeError(f"{path}: found no list {_HISTORY}, expected a {FILE_NAME} of a Trainer")
    return state


def _require_entry(entry: Any, where: str) -> None:
    if not isinstance(entry, dict):
        raise EncodeError(f"{where}: found type {type(entry).__name__}, expected an object")
    step = entry.get(_STEP)
    if not isinstance(step, int) or isinstance(step, bool):
        raise EncodeError(f"{where}.{_STEP}: found {step!r}, expected an integer")


def _add(entry: Mapping[str, Any], log: ScalarLog, epochs: dict[tuple[int, str], float]) -> None:
    named = {log.phase_of_name(name) for name in entry}
    # Evaluation first: it may also have keys of the training.
    phases = (p for p in ("validate", "test", "train", *log.schema.phases) if p in named)
    phase, step = next(phases, log.default_phase), entry[_STEP]
    for name, value in entry.items():
        number = number_of_text(value) if isinstance(value, str) else value
        if name == _STEP or (name == EPOCH and epochs.get((step, phase)) == number):
            continue  # all entries of a step state its epoch
        if not isinstance(number, int | float):
            log.notes.add(f"a record holds numbers only, no {type(value).__name__}", name)
        elif log.add(name, phase, step, number) and name == EPOCH:
            epochs[step, phase] = number
