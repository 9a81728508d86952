"""The two files that SPEC.md explains byte for byte, as a user would write them.

Their records are stated here by hand, so that they do not depend on reading.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cmeta.schema.schema import Schema
from cmeta.write import write


@dataclass(frozen=True)
class Sample:
    """A small file.

    Attributes
    ----------
    name : str
        Of the file, without suffix.
    toml : str
        Its schema.
    columns : mapping of str to list
        By dotted name, None where absent; no value is changed by rounding.
    config : mapping or None
        The configuration of every record.
    """

    name: str
    toml: str
    columns: Mapping[str, list[Any]]
    config: Mapping[str, Any] | None = None
    schema: Schema = field(init=False)

    def __post_init__(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "schema.toml")
            path.write_text(self.toml, "utf-8")
            object.__setattr__(self, "schema", Schema.load(path))

    def data(self) -> bytes:
        """Return the bytes of the file."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, f"{self.name}.cmeta")
            write(path, self.columns, schema=self.schema, config=self.config)
            return path.read_bytes()

    def records(self) -> list[dict[str, Any]]:
        """Return what is present in each record, by dotted name."""
        columns = dict(self.columns)
        num_records = len(columns["phase"])
        if self.config is not None:
            columns["config"] = [self.config] * num_records
        rows = [{name: values[i] for name, values in columns.items()} for i in range(num_records)]
        return [{k: v for k, v in row.items() if v is not None} for row in rows]


SMALLEST = Sample(
    name="smallest",
    toml="""\
[enumerations]
phase = { values = ["a"] }

[record]
batch_records = 16
fields = [
  { name = "timestamp", type = "u64", codec = ["delta", "rice"] },
  { name = "phase", type = "enum", enumeration = "phase", codec = ["delta", "rice"] },
]
""",
    columns={"phase": []},
)

THREE_RECORDS = Sample(
    name="three_records",
    toml="""\
[enumerations]
phase = { values = ["train", "validate"] }

[record]
batch_records = 16
groups = [{ name = "metrics", open = true }]
fields = [
  { name = "timestamp", type = "u64", codec = ["split", "delta", "rice"] },
  { name = "phase", type = "enum", enumeration = "phase", codec = ["delta", "rice"] },
  { name = "loss", type = "f32" },
  { name = "seed", type = "u64" },
  { name = "config", type = "config" },
]
""",
    columns={
        "timestamp": [6, 7, 7],
        "phase": ["train", "train", "validate"],
        "loss": [0.75, float("nan"), 0.5],
        "seed": [0x9E3779B97F4A7C15 * n % 2**64 for n in (7, 8, 9)],
        "metrics.accuracy": [None, None, 0.9],
    },
    config={"lr": 0.01},
)

SAMPLES = (SMALLEST, THREE_RECORDS)
