"""MCAP by its Python package: one message per record, a packed structure of a known layout.

This is the most compact message that needs no library: the bytes of a numpy structure, and a bit
for the presence of each field. Chunks of 1 MiB, zstd, the package's defaults.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from mcap.reader import make_reader
from mcap.writer import Writer

from bench.competitors.base import TIMESTAMP, Array, Competitor, Table, joined, mask_of, masked

_TOPIC, _BITS = "cycles", " present"


class Mcap(Competitor):
    """One file of one channel; the log time is the timestamp."""

    packages = ("mcap", "zstandard")
    rowwise = True
    notes: ClassVar = {
        "column": "every message is read",
        "append": "not in the Python package: the file is read and rewritten",
        "verify": "every message is read, each chunk against its CRC-32",
    }

    def write(self, table: Table) -> None:
        """Write a message for each record."""
        rows = _structured(table)
        data, size = rows.tobytes(), rows.itemsize
        with open(self._path, "wb") as file:
            writer = Writer(file)
            writer.start()
            layout = json.dumps(rows.dtype.descr).encode()
            schema = writer.register_schema("cycle", "numpy", layout)
            channel = writer.register_channel(_TOPIC, "numpy", schema)
            for number, time in enumerate(table[TIMESTAMP].tolist()):
                begin = number * size
                writer.add_message(channel, time, data[begin : begin + size], time, number)
            writer.finish()

    def append(self, table: Table) -> None:
        """Read, join, write."""
        self.write(joined(self.read_all(), table))

    def open(self) -> int:
        """Read the summary."""
        with open(self._path, "rb") as file:
            return make_reader(file).get_summary().statistics.message_count

    def read_all(self) -> Table:
        """Read every message."""
        return _table(*self._messages())

    def read_range(self, start: int, end: int) -> Table:
        """Read the chunks that the range meets."""
        return _table(*self._messages(starting_at=start, ending_at=end))

    def verify(self) -> None:
        """Read every message, checking CRCs."""
        for _ in self._iterate(validate=True):
            pass

    @property
    def _path(self) -> Any:
        return self.folder / "run.mcap"

    def _iterate(self, validate: bool = False, **options: Any) -> Iterator[Any]:
        with open(self._path, "rb") as file:
            reader = make_reader(file, validate_crcs=validate)
            yield from reader.iter_messages(log_time_order=False, **options)

    def _messages(self, **options: Any) -> tuple[bytes, bytes]:
        """Return the layout, and the messages end to end."""
        layout, parts = b"[]", []
        for schema, _, message in self._iterate(**options):
            layout = schema.data
            parts.append(message.data)
        return layout, b"".join(parts)


def _structured(table: Table) -> Array:
    layout = [(name, values.dtype.str) for name, values in table.items()]
    rows = np.zeros(len(table[TIMESTAMP]), [*layout, (_BITS, "<u4")])
    for place, (name, values) in enumerate(table.items()):
        mask = mask_of(values)
        rows[name] = np.ma.getdata(values)
        bit = np.uint32(1 << place)
        rows[_BITS] |= bit if mask is None else np.where(mask, np.uint32(0), bit)
    return rows


def _table(layout: bytes, data: bytes) -> Table:
    rows = np.frombuffer(data, np.dtype([tuple(item) for item in json.loads(layout)]))
    names = rows.dtype.names[:-1]
    absent = {name: rows[_BITS] >> np.uint32(place) & 1 == 0 for place, name in enumerate(names)}
    return {name: masked(np.ascontiguousarray(rows[name]), absent[name]) for name in names}
