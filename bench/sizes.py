"""Sizes: bytes per record compared with pcodec and Parquet, column by column.

The telemetry is the example's. For cmeta the whole file counts: schema, directories, checksums and
index; for the competitors only their columns. Sizes are exact: the same telemetry gives the same
figures on every machine.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import cmeta
from bench import telemetry
from bench.competitors.columns import len_parquet, len_pcodec, len_pcodec_wrapped
from bench.dissect import ColumnParts, Dissection, dissect
from bench.report import Goal, Section, Table, ratio
from cmeta.schema.types import Field

MOST_OF_PCODEC = 0.97
MOST_OF_PARQUET = 0.90
MOST_BYTES_OF_SHORT_RUN = 10_000
SHORT_RUN = 300
LEAST_VARYING = 13
DIGEST = "state_digest"


@dataclass(frozen=True)
class ColumnSizes:
    """Bytes of a column in each format.

    Attributes
    ----------
    name : str
    cmeta, pcodec, pcodec_wrapped, parquet : int
    parquet_encoding : str
        The smallest of the six.
    """

    name: str
    cmeta: int
    pcodec: int
    pcodec_wrapped: int
    parquet: int
    parquet_encoding: str


def measure(quick: bool = False) -> list[Section]:
    """Measure all telemetry: a section for each run, and one for short runs."""
    num_cycles = telemetry.NUM_CYCLES_QUICK if quick else telemetry.NUM_CYCLES
    runs = {mode: telemetry.load(mode, num_cycles) for mode in telemetry.MODES}
    sections = [_section(mode, columns) for mode, columns in runs.items()]
    return [*sections, _short_runs(runs)]


def compare(column: ColumnParts) -> ColumnSizes:
    """Return what a column takes in each format."""
    encodings = len_parquet(column)
    best = min(encodings, key=lambda encoding: encodings[encoding])
    return ColumnSizes(
        column.name, column.len_column, len_pcodec(column), len_pcodec_wrapped(column),
        encodings[best], best,
    )  # fmt: skip


def _section(mode: str, columns: cmeta.Columns) -> Section:
    path = telemetry.FOLDER / f"measured-{mode}.cmeta"
    telemetry.write(path, columns)
    found = dissect(path)
    sizes = [compare(column) for column in found.columns]
    num_varying = sum(column.varies for column in found.columns)
    section = Section(
        f"Size: {mode}",
        f"{found.num_records:,} cycles of `examples/digits_mlp.py`, seed {telemetry.SEED}, "
        f"{len(sizes)} columns, of which {num_varying} vary (at least {LEAST_VARYING} are "
        "required). pcodec: the same integers in the same batches, level 8, absent cells left out "
        "and their classes compressed too. Parquet: the best of six encodings of each column "
        "(values: plain, dictionary, BYTE_STREAM_SPLIT; quanta: dictionary, DELTA_BINARY_PACKED, "
        "BYTE_STREAM_SPLIT), zstd, one row group, absent cells null.",
    )
    pcodec = sum(size.pcodec for size in sizes)
    parquet = sum(size.parquet for size in sizes)
    section.goals = [
        Goal("whole cmeta file / pcodec's columns", found.len_file / pcodec, MOST_OF_PCODEC),
        Goal("whole cmeta file / Parquet's columns", found.len_file / parquet, MOST_OF_PARQUET),
    ]
    section.tables = [_totals(found, sizes), _by_column(found, sizes), _framing(found)]
    return section


def _totals(found: Dissection, sizes: list[ColumnSizes]) -> Table:
    competitors = {
        "pcodec, standalone": sum(size.pcodec for size in sizes),
        "pcodec, wrapped: no file headers": sum(size.pcodec_wrapped for size in sizes),
        "Parquet, best of six": sum(size.parquet for size in sizes),
    }
    own = {"cmeta, whole file": found.len_file, "cmeta, columns": found.len_columns}
    rows = [
        [name, ratio(found.len_file, total), ratio(found.len_columns, total),
         f"{total / found.num_records:.3f}", f"{total:,}"]
        for name, total in (own | competitors).items()
    ]  # fmt: skip
    header = ["", "whole cmeta file / it", "cmeta columns / it", "bytes per record", "bytes"]
    return Table("Totals", header, rows, _without_digest(found, sizes))


def _without_digest(found: Dissection, sizes: list[ColumnSizes]) -> str:
    """Return the ratios without the one column that cannot be compressed."""
    digest = sum(size.cmeta for size in sizes if size.name == DIGEST)
    others = [size for size in sizes if size.name != DIGEST]
    if not digest:
        return ""
    rest = found.len_file - digest
    pcodec, parquet = sum(s.pcodec for s in others), sum(s.parquet for s in others)
    return (
        f"Without `{DIGEST}`, a random number of eight bytes: {rest / found.num_records:.3f} bytes "
        f"per record, whole file / pcodec {ratio(rest, pcodec)}, / Parquet {ratio(rest, parquet)}."
    )


def _by_column(found: Dissection, sizes: list[ColumnSizes]) -> Table:
    rows = [
        [s.name, ratio(s.cmeta, s.pcodec), ratio(s.cmeta, s.pcodec_wrapped),
         ratio(s.cmeta, s.parquet), f"{s.cmeta:,}", f"{s.pcodec:,}", f"{s.pcodec_wrapped:,}",
         f"{s.parquet:,}", s.parquet_encoding]
        for s in sizes
    ]  # fmt: skip
    header = [
        "column", "cmeta / pcodec", "/ wrapped", "/ Parquet", "cmeta", "pcodec", "wrapped",
        "Parquet", "its encoding",
    ]  # fmt: skip
    return Table("By column, bytes", header, rows, _losses(found, sizes))


def _losses(found: Dissection, sizes: list[ColumnSizes]) -> str:
    """Return the columns in which a competitor is smaller, and by how many bytes."""
    lines = []
    for competitor in ("pcodec", "pcodec_wrapped", "parquet"):
        excess = {s.name: s.cmeta - getattr(s, competitor) for s in sizes}
        lost = sorted((n for n, e in excess.items() if e > 0), key=lambda n: -excess[n])
        each = ", ".join(f"{n} {excess[n]:,}" for n in lost) or "none"
        total = sum(excess[n] for n in lost)
        share = f" ({total / found.len_file:.1%} of the file)" if lost else ""
        lines.append(f"- Bytes lost to {competitor.replace('_', ', ')}{share}: {each}.")
    return "\n".join(lines)


def _framing(found: Dissection) -> Table:
    rows = [
        [what, f"{length / found.len_file:.2%}", f"{length:,}"]
        for what, length in {"columns": found.len_columns, **found.framing}.items()
    ]
    return Table("Where the bytes of the file are", ["part", "share", "bytes"], rows)


# ------------------------------------------------------------------------------------- short runs


def _short_runs(runs: dict[str, cmeta.Columns]) -> Section:
    section = Section(
        f"Size of a short run: {SHORT_RUN} records",
        "The first records of the run, with the default schema and its metrics only. A metric that "
        "a cycle did not measure keeps its last value; all other fields are as recorded. A digest "
        "is a random number of eight bytes, which cannot be compressed: sizes with and without it.",
    )
    rows = []
    for mode, columns in runs.items():
        for what, left_out in (("all fields", ()), (f"without {DIGEST}", (DIGEST,))):
            length = _len_short(columns, left_out)
            rows.append([f"{mode}, {what}", f"{length / SHORT_RUN:.1f}", f"{length:,}"])
            goal = Goal(f"{mode}, {what}", length, MOST_BYTES_OF_SHORT_RUN, "bytes")
            section.goals.append(goal)
    section.tables = [Table("Short runs", ["", "bytes per record", "bytes"], rows)]
    return section


def _len_short(columns: cmeta.Columns, left_out: Sequence[str]) -> int:
    """Return the bytes of the first records, with every metric filled."""
    schema = cmeta.default_schema()
    given: dict[str, Any] = {}
    present: dict[str, Any] = {}
    for field in schema.fields:
        if field.path in left_out:
            continue
        if field.group:
            given[field.path] = _last_known(columns, field)
        elif field.path in columns:
            given[field.path] = columns[field.path][:SHORT_RUN]
            present[field.path] = columns.present[field.path][:SHORT_RUN]
    path = telemetry.FOLDER / "measured-short.cmeta"
    return telemetry.write(path, cmeta.Columns(given, present, schema, columns.configs))


def _last_known(columns: cmeta.Columns, field: Field) -> Any:
    """Return the first records, each absent value replaced by the last one before it."""
    if field.path not in columns:
        return np.zeros(SHORT_RUN, field.dtype.newbyteorder("="))
    present = columns.present[field.path]
    rows = np.maximum.accumulate(np.where(present, np.arange(len(present)), -1))[:SHORT_RUN]
    return columns[field.path][np.where(rows < 0, int(np.argmax(present)), rows)]


def main(arguments: list[str]) -> None:
    """Print the sizes."""
    for section in measure("--quick" in arguments):
        print(section.render())


if __name__ == "__main__":
    main(sys.argv[1:])
