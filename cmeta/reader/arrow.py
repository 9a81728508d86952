"""Records as a stream of Arrow batches, one batch of the file in memory at a time.

The schema of the stream is known before its first batch, so that a metric that begins late is null
before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cmeta.extras import require
from cmeta.reader.read_columns import read_columns
from cmeta.reader.selection import Selection, fields_with_values
from cmeta.records.arrow import ArrowForm
from cmeta.schema.rules import PHASE, TIMESTAMP
from cmeta.schema.types import Field
from cmeta.storage.open import OpenFile

if TYPE_CHECKING:
    import pyarrow as pa


def arrow_stream(
    file: OpenFile,
    selection: Selection,
    fields: Sequence[Field] | None,
    *,
    max_bytes: int,
    configs: Sequence[Mapping[str, Any]],
) -> pa.RecordBatchReader:
    """Return the selected records as a stream; see `Reader.arrow_batches`."""
    chosen = _occurring(file, selection) if fields is None else set(fields)
    only_declared = all(field.declared for field in chosen)
    order = file.schema.fields if only_declared else file.fields
    columns = [field for field in order if field in chosen]
    form = ArrowForm.of([field.path for field in columns], file.schema, configs, file.status)
    parts = (
        read_columns(
            file, selection, [info], columns, codes=True, threads=1, max_bytes=max_bytes,
            configs=configs,
        )
        for info in selection.infos(file)
    )  # fmt: skip
    batches = (form.batch(part, part.present) for part in parts if part.num_records)
    return require("pyarrow", "arrow").RecordBatchReader.from_batches(form.schema, batches)


def _occurring(file: OpenFile, selection: Selection) -> set[Field]:
    """Return the fields for which a selected record has a value; timestamp and phase anyway."""
    fields = {file.schema[name] for name in (TIMESTAMP, PHASE)}
    missing = set(file.fields) - fields
    for info in selection.infos(file):
        if not missing:
            break
        batch = file.batch(info.ordinal)
        here = fields_with_values(batch, selection.rows(batch, info), missing)
        file.stats.num_columns += batch.num_columns_decoded
        missing.difference_update(here)
        fields.update(here)
    return fields
