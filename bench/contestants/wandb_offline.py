"""W&B offline: `run.log` for each record, and the `.wandb` file that it leaves.

Nothing goes over a network. W&B ships no reader of its own files for Python any more: what reads
here is the little that it takes, LevelDB's log of W&B's own protocol buffers.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from bench.contestants.base import TIMESTAMP, Contestant, Table, rows_of
from bench.contestants.series import placed

os.environ["WANDB_MODE"] = "offline"  # before wandb is imported, which looks
os.environ["WANDB_SILENT"] = "true"

import wandb
from wandb.proto.wandb_internal_pb2 import Record

_LEN_BLOCK, _LEN_HEAD = 32768, 7
_FULL, _LAST = 1, 4  # kinds of fragments that end a record


class Wandb(Contestant):
    """A run for each writing; its files under the contestant's folder."""

    packages = ("wandb",)
    sync = "none"
    rowwise = True
    is_logger = True
    memory_elsewhere = True
    notes: ClassVar = {
        "size": "the `.wandb` file only",
        "write": "starting and finishing the run included",
        "open": "there is no index: all of it is read",
        "column": "all of it is read",
        "range": "all of it is read",
        "append": "an offline run cannot be resumed",
        "verify": "no tool of its own",
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
        """Read all of it."""
        return sum(1 for _ in self._history())

    def read_all(self) -> Table:
        """Read all of it."""
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
    """Yield the records of a LevelDB log; W&B's own header takes the place of the first seven."""
    at, parts = _LEN_HEAD, []
    while at + _LEN_HEAD <= len(data):
        left = _LEN_BLOCK - at % _LEN_BLOCK
        if left < _LEN_HEAD:
            at += left
            continue
        length, kind = struct.unpack_from("<HB", data, at + 4)
        parts.append(data[at + _LEN_HEAD : at + _LEN_HEAD + length])
        at += _LEN_HEAD + length
        if kind in (_FULL, _LAST):
            yield b"".join(parts)
            parts = []
