"""The competitors: each stores the same columns in its own format.

Each module implements one small interface, `base.Competitor`: arrays in and arrays out, masked
where a value is absent. All conversion in between belongs to the competitor, and is timed.
`bulk` and `columns` hold the simpler comparisons of `bench.speed` and `bench.sizes`.
"""

from __future__ import annotations

import importlib
from typing import NamedTuple

from bench.competitors.base import Competitor


class Entry(NamedTuple):
    """A competitor's name and class; its module is imported on demand.

    Attributes
    ----------
    name : str
        As in the tables.
    module, factory : str
    """

    name: str
    module: str
    factory: str


OWN = "cmeta"
ENTRIES = (
    Entry(OWN, "chronicle", "Chronicle"),
    Entry("Parquet, plain", "parquet", "Plain"),
    Entry("Parquet, BYTE_STREAM_SPLIT + zstd", "parquet", "Split"),
    Entry("Parquet, quanta DELTA + zstd", "parquet", "Quanta"),
    Entry("pcodec by column", "pco", "Pcodec"),
    Entry("DuckDB over Parquet", "duck", "DuckDb"),
    Entry("SQLite", "sqlite", "Sqlite"),
    Entry("MCAP", "mcap_log", "Mcap"),
    Entry("JSON lines", "json_lines", "JsonLines"),
    Entry("JSON lines, gzip", "json_lines", "GzipJsonLines"),
    Entry("TensorBoard", "tensorboard_log", "TensorBoard"),
    Entry("W&B offline", "wandb_offline", "Wandb"),
    Entry("MLflow on SQLite", "mlflow_sqlite", "Mlflow"),
)


def load(name: str) -> type[Competitor]:
    """Return a competitor's class.

    Raises
    ------
    ImportError
        Its package is missing.
    KeyError
        No competitor has that name.
    """
    for entry in ENTRIES:
        if entry.name == name:
            module = importlib.import_module(f"bench.competitors.{entry.module}")
            return getattr(module, entry.factory)
    known = ", ".join(entry.name for entry in ENTRIES)
    raise KeyError(f"no competitor {name!r}, expected one of: {known}")
