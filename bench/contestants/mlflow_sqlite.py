"""MLflow on a store of SQLite: `log_metrics` for each record, read by the client, by metric.

A metric is a float64: integers beyond 2^53 are lost. The store's tables are made beforehand and
not timed; a run is made for each writing.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from bench.contestants.base import TIMESTAMP, Array, Contestant, Table, rows_of
from bench.contestants.series import placed

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # before mlflow is imported, which looks
os.environ["DO_NOT_TRACK"] = "true"

import logging

from mlflow.tracking import MlflowClient
from mlflow.utils.time import get_current_time_millis

_EXPERIMENT = "0"


class Mlflow(Contestant):
    """A run in a database of its own."""

    packages = ("mlflow",)
    sync = "SQLite's defaults, a commit a record"
    rowwise = True
    is_logger = True
    notes: ClassVar = {
        "size": "the database, of which some 0.8 MB are its empty tables",
        "column": "`get_metric_history`",
        "range": "no query by step: every metric is read whole",
        "verify": "none",
    }

    def __init__(self, folder: Path, threads: int = 1) -> None:
        super().__init__(folder, threads)
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.ERROR)
        place = folder.resolve()
        self._client = MlflowClient(tracking_uri=f"sqlite:///{place}/mlflow.db")
        self._client.get_experiment(_EXPERIMENT)  # makes the tables
        runs = self._client.search_runs([_EXPERIMENT], max_results=1)
        self._run = runs[0].info.run_id if runs else ""

    def write(self, table: Table) -> None:
        """Log everything in a new run; the one before is deleted for good."""
        if self._run:
            self._remove()
        self._run = self._client.create_run(_EXPERIMENT).info.run_id
        self.append(table)
        self._client.set_terminated(self._run)

    def append(self, table: Table) -> None:
        """Log further records."""
        names = list(table)
        for row in rows_of(table):
            values = {n: x for n, x in zip(names, row, strict=True) if x is not None}
            self._log(values, row[0])

    def open(self) -> int:
        """Ask for the run's last step."""
        return int(self._client.get_run(self._run).data.metrics[TIMESTAMP]) + 1

    def read_all(self) -> Table:
        """Read every metric."""
        steps = self._steps()
        names = self._client.get_run(self._run).data.metrics
        found = {name: self._column(name, steps) for name in names if name != TIMESTAMP}
        return {TIMESTAMP: steps} | found

    def read_column(self, name: str) -> Array:
        """Read one metric, and the steps that say where it belongs."""
        return self._column(name, self._steps())

    def _log(self, values: dict[str, Any], step: int) -> None:
        from mlflow.entities import Metric

        now = get_current_time_millis()
        metrics = [Metric(name, float(value), now, step) for name, value in values.items()]
        self._client.log_batch(self._run, metrics)

    def _steps(self) -> Array:
        history = self._client.get_metric_history(self._run, TIMESTAMP)
        return np.sort(np.array([metric.step for metric in history], np.uint64))

    def _column(self, name: str, steps: Array) -> Array:
        history = sorted(
            self._client.get_metric_history(self._run, name), key=lambda metric: metric.step
        )
        return placed(name, [m.step for m in history], [m.value for m in history], steps)

    def _remove(self) -> None:
        import sqlite3

        base = sqlite3.connect(self.folder / "mlflow.db")
        with base:
            for name in ("metrics", "latest_metrics", "tags", "runs"):
                base.execute(f"delete from {name} where run_uuid = ?", (self._run,))
        base.close()
