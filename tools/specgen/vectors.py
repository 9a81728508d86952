"""The golden files: the samples' bytes, and their records as JSON.

Written by an explicit command only, so that a test that compares with them can fail. In the JSON,
as in a CONFIG, an integer beyond 2^53 - 1 is a hex string and NaN is a string.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cmeta.schema import canonical_json
from tools.specgen.samples import SAMPLES, Sample


def write_vectors(folder: Path) -> list[Path]:
    """Write the golden files, and return their paths."""
    paths = []
    for sample in SAMPLES:
        paths += [folder / f"{sample.name}.cmeta", folder / f"{sample.name}.json"]
        paths[-2].write_bytes(sample.data())
        paths[-1].write_text(expected_text(sample), "utf-8")
    return paths


def expected(sample: Sample) -> dict[str, Any]:
    """Return the schema and the records of a sample, as plain JSON."""
    limits = sample.schema.format.limits
    data = canonical_json.dumps({"records": sample.records()}, limits, sample.name)
    return {"schema": json.loads(sample.schema.embedded), **json.loads(data)}


def expected_text(sample: Sample) -> str:
    """Return the JSON file that goes with a sample."""
    return json.dumps(expected(sample), indent=2, ensure_ascii=False) + "\n"
