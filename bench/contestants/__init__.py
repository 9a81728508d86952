"""The contestants of the matrix: each stores the same columns in its own format.

One module for each, with one small interface (`base.Contestant`). Arrays in, arrays out, masked
where a value is absent; what stands between is the contestant's own affair, and is timed.
"""

from __future__ import annotations

import importlib
from typing import NamedTuple

from bench.contestants.base import Contestant


class Entry(NamedTuple):
    """Where a contestant is to be found; its module is imported when it is asked for.

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


def load(name: str) -> type[Contestant]:
    """Return a contestant's class.

    Raises
    ------
    ImportError
        Its package is missing.
    KeyError
        There is none of that name.
    """
    for entry in ENTRIES:
        if entry.name == name:
            module = importlib.import_module(f"bench.contestants.{entry.module}")
            return getattr(module, entry.factory)
    known = ", ".join(entry.name for entry in ENTRIES)
    raise KeyError(f"no contestant {name!r}; there are: {known}")
