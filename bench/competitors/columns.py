"""The bytes of single columns in pcodec and in Parquet, for `bench.sizes`.

pcodec compresses the integers that cmeta codes, batch by batch. Parquet stores whole columns in one
row group, each in the best of six encodings. Only the columns count: no schema, no checksums, no
file metadata.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pcodec
import pyarrow as pa
import pyarrow.parquet as pq
from pcodec import standalone, wrapped

from bench.dissect import ColumnParts, Piece
from cmeta.format.stages import classes, lossless
from cmeta.schema.load import shipped_format

Array = npt.NDArray[Any]

# The type for classes that pcodec compresses best without special options.
CLASS_DTYPE = np.uint16
COMPRESSION = "zstd"
_PLAIN, _DICTIONARY = "PLAIN", "dictionary"
_SPLIT, _DELTA = "BYTE_STREAM_SPLIT", "DELTA_BINARY_PACKED"


def pcodec_streams(piece: Piece) -> Iterator[Array]:
    """Yield the arrays of a piece that pcodec compresses: values, and classes unless constant."""
    if piece.integers.size:
        yield piece.integers
    if (piece.classes != piece.classes[0]).any():
        yield piece.classes.astype(CLASS_DTYPE)


def len_pcodec(column: ColumnParts) -> int:
    """Return the bytes of a column, each batch compressed to a standalone pcodec file."""
    config = pcodec.ChunkConfig()
    streams = (s for piece in column.pieces for s in pcodec_streams(piece))
    return sum(len(standalone.simple_compress(stream, config)) for stream in streams)


def len_pcodec_wrapped(column: ColumnParts) -> int:
    """Return the bytes of a column in pcodec's wrapped format: without its file headers."""
    config = pcodec.ChunkConfig()
    total = 0
    for piece in column.pieces:
        for stream in pcodec_streams(piece):
            chunk = wrapped.FileCompressor().chunk_compressor(stream, config)
            pages = range(len(chunk.n_per_page()))
            total += len(chunk.write_meta()) + sum(len(chunk.write_page(i)) for i in pages)
    return total


def len_parquet(column: ColumnParts) -> dict[str, int]:
    """Return the compressed bytes of a column's chunk in each of the six encodings.

    Three encodings store the values in their own type and three store the quanta in the narrowest
    signed type. A column with NaN or infinities, which quanta cannot represent, also needs a column
    of classes; its bytes are included.
    """
    facts = shipped_format().codecs.classes
    codes = np.concatenate([piece.classes for piece in column.pieces])
    present = codes != facts.absent
    finite = codes == facts.value
    values, _ = classes.decode(codes, _finite(column), 0, facts)
    if values.dtype == bool:
        values = values.astype(np.uint8)  # Parquet has a single encoding for booleans
    quanta = np.zeros(len(codes), np.int64)
    quanta[finite] = _quanta(column)
    quanta = quanta.astype(_narrowest(quanta))
    len_classes = 0
    if (finite != present).any():
        len_classes = min(_len_chunk(codes, None, e) for e in (_PLAIN, _DICTIONARY))
    found = {f"values {e}": _len_chunk(values, present, e) for e in (_PLAIN, _DICTIONARY, _SPLIT)}
    for encoding in (_DICTIONARY, _DELTA, _SPLIT):
        found[f"quanta {encoding}"] = _len_chunk(quanta, finite, encoding) + len_classes
    return found


def _finite(column: ColumnParts) -> Array:
    return np.concatenate([piece.finite for piece in column.pieces])


def _quanta(column: ColumnParts) -> npt.NDArray[np.int64]:
    """Return integers of one mode for all batches.

    Batches of a lossless float may differ in mode; the whole column is then encoded in one.
    """
    if len({piece.mode for piece in column.pieces if piece.integers.size}) <= 1:
        return np.concatenate([piece.integers for piece in column.pieces])
    return lossless.encode(_finite(column), shipped_format().codecs.quantise)[1]


def _narrowest(quanta: npt.NDArray[np.int64]) -> Any:
    """Return the narrowest of Parquet's integer types that holds all quanta."""
    limits = np.iinfo(np.int32)
    fits = quanta.size == 0 or (quanta.min() >= limits.min and quanta.max() <= limits.max)
    return np.int32 if fits else np.int64


def _len_chunk(values: Array, present: npt.NDArray[np.bool_] | None, encoding: str) -> int:
    """Return `total_compressed_size` of a column alone in a file of one row group."""
    mask = None if present is None or present.all() else ~present
    array = pa.array(values, mask=mask)
    schema = pa.schema([pa.field("c", array.type, nullable=mask is not None)])
    file = io.BytesIO()
    dictionary = encoding == _DICTIONARY
    pq.write_table(
        pa.table({"c": array}, schema=schema),
        file,
        row_group_size=max(1, len(values)),
        compression=COMPRESSION,
        use_dictionary=dictionary,
        column_encoding=None if dictionary else {"c": encoding},
        write_statistics=False,
    )
    metadata = pq.read_metadata(file)
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    return sum(group.column(0).total_compressed_size for group in groups)
