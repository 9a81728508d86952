"""Parquet of whole arrays and pcodec of integers, for the bulk race of `bench.speed`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pcodec
import pyarrow as pa
import pyarrow.parquet as pq
from pcodec import standalone

from bench.competitors.columns import pcodec_streams
from bench.dissect import dissect

Array = npt.NDArray[Any]


class BulkFormat(NamedTuple):
    """A competing format as two functions.

    Attributes
    ----------
    path : Path
        The file that `write` makes and `read` reads.
    write, read : callable
        Functions without parameters; `read` returns the whole content.
    """

    path: Path
    write: Callable[[], Any]
    read: Callable[[], Any]


def bulk_formats(arrays: Mapping[str, Array], own: Path) -> dict[str, BulkFormat]:
    """Return the formats by name.

    Parameters
    ----------
    arrays : mapping of str to array, (n_records,)
        Columns, masked where values are absent.
    own : Path
        The same columns as a `.cmeta` file, from which pcodec's integers are taken.
    """
    floats = [name for name, values in arrays.items() if values.dtype.kind == "f"]
    plain = {"compression": "none", "use_dictionary": False}
    split = {
        "compression": "zstd",
        "use_dictionary": [name for name in arrays if name not in floats],
        "column_encoding": dict.fromkeys(floats, "BYTE_STREAM_SPLIT"),
    }
    return {
        "Parquet, plain, uncompressed": _parquet(own.with_suffix(".plain"), arrays, plain),
        "Parquet, BYTE_STREAM_SPLIT, zstd": _parquet(own.with_suffix(".split"), arrays, split),
        "pcodec by column": _pcodec(own.with_suffix(".pco"), own),
    }


def _parquet(path: Path, arrays: Mapping[str, Array], options: Mapping[str, Any]) -> BulkFormat:
    def write() -> None:
        table = pa.table({name: _arrow(values) for name, values in arrays.items()})
        pq.write_table(table, path, **options)

    def read() -> dict[str, Array]:
        table = pq.read_table(path, use_threads=False)
        return {name: table[name].to_numpy() for name in table.column_names}

    return BulkFormat(path, write, read)


def _arrow(values: Array) -> pa.Array:
    if isinstance(values, np.ma.MaskedArray):
        return pa.array(values.data, mask=np.ma.getmaskarray(values))
    return pa.array(values)


def _pcodec(path: Path, own: Path) -> BulkFormat:
    pieces = [piece for column in dissect(own).columns for piece in column.pieces]
    streams = [stream for piece in pieces for stream in pcodec_streams(piece)]
    config = pcodec.ChunkConfig()
    lengths: list[int] = []

    def write() -> None:
        parts = [standalone.simple_compress(stream, config) for stream in streams]
        lengths[:] = map(len, parts)
        path.write_bytes(b"".join(parts))

    def read() -> list[Array]:
        data = memoryview(path.read_bytes())
        ends = np.cumsum(lengths).tolist()
        cuts = zip(ends, lengths, strict=True)
        return [standalone.simple_decompress(bytes(data[end - n : end])) for end, n in cuts]

    return BulkFormat(path, write, read)
