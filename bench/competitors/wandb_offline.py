"""W&B offline: `run.log` for each record, and the resulting `.wandb` file.

Nothing is sent over a network. W&B no longer ships a Python reader for its files, so this module
has a minimal one, for LevelDB's log of W&B's protocol buffers.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from bench.competitors.base import TIMESTAMP, Competitor, Table, rows_of
from bench.competitors.series import placed

os.environ["WANDB_MODE"] = "offline"  # before wandb is imported, which looks
os.environ["WANDB_SILENT"] = "true"

import wandb
from wandb.proto.wandb_internal_pb2 import Record

_LEN_BLOCK, _LEN_HEAD = 32768, 7
_FULL, _LAST = 1, 4  # types of fragments that end a record


class Wandb(Competitor):
    """One run per write, in the competitor's folder."""

    packages = ("wandb",)
    sync = "none"
    rowwise = True
    is_logger = True
    memory_elsewhere = True
    notes: ClassVar = {
        "size": "the `.wandb` file only",
        "write": "including starting and finishing the run",
        "open": "no index: the whole file is read",
        "column": "the whole file is read",
        "range": "the whole file is read",
        "append": "an offline run cannot be resumed",
        "verify": "W&B has no tool for it",
    }

    def write(self, table: Table) -> None:
        """Log everything in a run."""
        shutil.rmtree(self.folder / "wandb", ignore_errors=True)
        names = list(table)
        settings = wandb.Settings(
            console="off", silent=True, x_disable_stats=True, x_disable_meta=True
        )
        run = wandb.init(project="bench", dir=str(self.folder), mode="offline", settings=settings)
        for row in rows_of(table):
            values = {n: x for n, x in zip(names, row, strict=True) if x is not None}
            run.log(values, step=row[0])
        run.finish()

    def length(self) -> int:
        """Return the bytes of the run's file."""
        return self._path.stat().st_size

    def open(self) -> int:
        """Read the whole file."""
        return sum(1 for _ in self._history())

    def read_all(self) -> Table:
        """Read the whole file."""
        steps, series = [], {}
        for record in self._history():
            step = record[TIMESTAMP]
            steps.append(step)
            for name, value in record.items():
                series.setdefault(name, ([], []))
                series[name][0].append(step)
                series[name][1].append(value)
        at = np.array(steps, np.uint64)
        return {name: placed(name, *both, at) for name, both in series.items()}

    @property
    def _path(self) -> Any:
        return next(self.folder.rglob("*.wandb"))

    def _history(self) -> Iterator[dict[str, Any]]:
        for data in _records(self._path.read_bytes()):
            record = Record.FromString(data)
            if not record.HasField("history"):
                continue
            keys = ((_key(item), item.value_json) for item in record.history.item)
            found = {key: json.loads(text) for key, text in keys if not key.startswith("_")}
            if TIMESTAMP in found:
                yield found


def _key(item: Any) -> str:
    return item.key or ".".join(item.nested_key)


def _records(data: bytes) -> Iterator[bytes]:
    """Yield the records of a LevelDB log; W&B's header replaces the first seven bytes."""
    at, parts = _LEN_HEAD, []
    while at + _LEN_HEAD <= len(data):
        left = _LEN_BLOCK - at % _LEN_BLOCK
        if left < _LEN_HEAD:
            at += left
            continue
        length, fragment = struct.unpack_from("<HB", data, at + 4)
        parts.append(data[at + _LEN_HEAD : at + _LEN_HEAD + length])
        at += _LEN_HEAD + length
        if fragment in (_FULL, _LAST):
            yield b"".join(parts)
            parts = []
