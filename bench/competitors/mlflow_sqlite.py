"""MLflow on SQLite: `log_batch` for each record, read back metric by metric.

A metric is a float64: integers beyond 2^53 are lost. Creating the tables is not timed; each write
creates a run.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from bench.competitors.base import TIMESTAMP, Array, Competitor, Table, rows_of
from bench.competitors.series import placed

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # before mlflow is imported, which looks
os.environ["DO_NOT_TRACK"] = "true"

import logging

from mlflow.tracking import MlflowClient
from mlflow.utils.time import get_current_time_millis

_EXPERIMENT = "0"


class Mlflow(Competitor):
    """A run in a database of its own."""

    packages = ("mlflow",)
    sync = "SQLite's defaults, one commit per record"
    rowwise = True
    is_logger = True
    notes: ClassVar = {
        "size": "the database, including about 0.8 MB of empty tables",
        "column": "`get_metric_history`",
        "range": "no query by step: every metric is read in full",
        "verify": "none",
    }

    def __init__(self, folder: Path, threads: int = 1) -> None:
        super().__init__(folder, threads)
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.ERROR)
        place = folder.resolve()
        self._client = MlflowClient(tracking_uri=f"sqlite:///{place}/mlflow.db")
        self._client.get_experiment(_EXPERIMENT)  # creates the tables
        runs = self._client.search_runs([_EXPERIMENT], max_results=1)
        self._run = runs[0].info.run_id if runs else ""

    def write(self, table: Table) -> None:
        """Log everything in a new run, and delete the one before."""
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
        """Read one metric and its steps."""
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
