"""pcodec: one file per column, of the integers that cmeta codes, in one chunk.

pcodec is a codec, not a container: column names are kept in a JSON file, absent values as bits, and
values that are not finite as classes, which pcodec compresses too.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar

import numpy as np
import pcodec
from pcodec import standalone

from bench.competitors.base import Array, Competitor, Table, joined, mask_of, masked
from bench.competitors.parquet import floats_of, quanta_of

_NARROW = np.dtype(np.uint16)  # pcodec takes 8-bit integers only with an option


class Pcodec(Competitor):
    """One `.pco` file for each column, absent cells left out."""

    packages = ("pcodec",)
    notes: ClassVar = {
        "range": "no index: whole columns are decompressed",
        "append": "a column is decompressed and compressed again",
        "verify": "no checksums",
    }

    def write(self, table: Table) -> None:
        """Write the files of all columns."""
        config = pcodec.ChunkConfig()
        facts: dict[str, Any] = {}
        for number, (name, values) in enumerate(table.items()):
            present, streams = _streams(values)
            parts = [standalone.simple_compress(stream, config) for stream in streams]
            bits = b"" if present is None else np.packbits(present).tobytes()
            (self.folder / f"{number}.pco").write_bytes(b"".join([*parts, bits]))
            lengths = [len(part) for part in parts]
            facts[name] = [len(values), values.dtype.str, lengths, len(bits)]
        (self.folder / "columns.json").write_text(json.dumps(facts))

    def open(self) -> int:
        """Read the names and lengths of the columns."""
        return next(iter(self._facts().values()))[0]

    def read_all(self) -> Table:
        """Decompress all columns."""
        facts = self._facts()
        return {name: self._column(n, *facts[name]) for n, name in enumerate(facts)}

    def read_column(self, name: str) -> Array:
        """Decompress one column."""
        facts = self._facts()
        return self._column(list(facts).index(name), *facts[name])

    def append(self, table: Table) -> None:
        """Read, join, write."""
        self.write(joined(self.read_all(), table))

    def _facts(self) -> dict[str, Any]:
        return json.loads((self.folder / "columns.json").read_text())

    def _column(
        self, number: int, num_records: int, dtype: str, lengths: list[int], len_bits: int
    ) -> Array:
        data = (self.folder / f"{number}.pco").read_bytes()
        begin, streams = 0, []
        for length in lengths:
            streams.append(standalone.simple_decompress(data[begin : begin + length]))
            begin += length
        if streams[0] is None:  # absent in every record
            return np.ma.masked_all(num_records, dtype)
        if dtype == "<f4":
            values = floats_of(streams[0], streams[1] if len(streams) > 1 else None)
        else:
            values = streams[0].astype(dtype, copy=False)
        if not len_bits:
            return values
        bits = np.frombuffer(data, np.uint8, len_bits, begin)
        present = np.unpackbits(bits, count=num_records).view(bool)
        found = np.zeros(num_records, dtype)
        found[present] = values
        return masked(found, ~present)


def _streams(values: Array) -> tuple[Array | None, list[Array]]:
    """Return the mask of present values, None if all are, and the arrays to compress."""
    mask = mask_of(values)
    plain = np.ma.getdata(values) if mask is None else np.ma.getdata(values)[~mask]
    present = None if mask is None else ~mask
    if plain.dtype.kind != "f":
        return present, [plain.astype(_NARROW) if plain.itemsize == 1 else plain]
    quanta, classes = quanta_of(plain)
    return present, [quanta] if classes is None else [quanta, classes.astype(_NARROW)]
