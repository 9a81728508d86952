"""`import_run`: another tool's file becomes a chronicle, complete or not at all."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace as changed
from pathlib import Path
from typing import Any

import numpy as np

from cmeta.errors import ExistsError, PrecisionWarning
from cmeta.records.chunk import Column
from cmeta.schema.rules import PHASE, TIMESTAMP
from cmeta.schema.schema import Schema
from cmeta.schema.types import Field
from cmeta.tools.imports.exact import counted, settle, wide_column
from cmeta.tools.imports.formats import detect, source_of
from cmeta.tools.imports.model import Imported, ImportOptions, ImportReport
from cmeta.write import write


def import_run(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    format: str | None = None,  # noqa: A002  (as the command line calls it)
    schema: Schema | None = None,
    config: Mapping[str, Any] | None = None,
    phase: str | None = None,
    run: str | None = None,
    replace: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> ImportReport:
    r"""Write what another tool has kept as a chronicle.

    No value is rounded: a declared float field whose values would not come back bit for bit is
    made exact in the chronicle's schema, as float32 or float64, and that is noted. What a chronicle
    cannot hold is said in the report. Records that go back in (timestamp, phase) are sorted,
    stably.

    Parameters
    ----------
    source : path
        A file of JSON lines, CSV or Parquet; a TensorBoard event file or log folder; a W&B offline
        run; a ``trainer_state.json``.
    out : path
        The chronicle; it appears when it is complete and on disk.
    format : str, optional
        ``jsonl``, ``csv``, ``parquet``, ``tensorboard``, ``wandb`` or ``trainer_state``. Default:
        what the source looks like.
    schema : Schema, optional
        Default: the one that the source carries, else `default_schema`, extended by what the source
        needs. A schema that is given stays as it is; what it rounds is reported as lost.
    config : mapping, optional
        The configuration of every record that has none of its own. If the source has a single
        one for all of them, its keys are added to that.
    phase : str, optional
        The phase of records that do not state theirs; default: train.
    run : str, optional
        Which run, of a source that holds several.
    replace : bool
        Write over an existing file.
    progress : callable, optional
        Called with bytes done and bytes in all.

    Returns
    -------
    ImportReport

    Raises
    ------
    EncodeError
        The source is not what it should be, or no format fits; names line and column.
    ExistsError
        `out` exists, and `replace` is not given.
    MissingExtraError
        The format needs a library that is not installed; names the extra.

    Examples
    --------
    >>> import tempfile, pathlib, cmeta
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "log.csv").write_text("step,loss,lr\n0,0.5,0.1\n1,0.25,0.1\n")
    >>> import_run(folder / "log.csv", folder / "run.cmeta").fields
    ('timestamp', 'phase', 'loss_value', 'step', 'metrics.lr')
    """
    source, out = Path(source), Path(out)
    if not replace and os.path.lexists(out):
        raise ExistsError(f"{out} exists; replace=True (--replace) writes over it")
    if not source.exists():
        raise FileNotFoundError(2, "No such file or directory", str(source))
    found = format or detect(source)
    given = {} if progress is None else {"progress": progress}
    options = ImportOptions(phase=phase, run=run, schema=schema, **given)
    imported = source_of(found).read(source, options)
    return _write(imported, source, out, found, config)


def _write(
    imported: Imported, source: Path, out: Path, format_: str, config: Mapping[str, Any] | None
) -> ImportReport:
    imported, configs = _configured(imported, config)
    columns = _typed(imported)
    settled = settle(columns, imported.schema, is_stated=imported.is_schema_stated)
    columns, sorted_ = _in_order(columns, imported.schema)
    arrays = {field.path: column.values for field, column in columns.items()}
    present = {f.path: c.present for f, c in columns.items() if c.present is not None}
    with warnings.catch_warnings():  # what is rounded has been said
        warnings.simplefilter("ignore", PrecisionWarning)
        num_records = write(out, arrays, settled.schema, configs, present=present)
    return ImportReport(
        source=str(source),
        out=str(out),
        format=format_,
        num_records=num_records,
        fields=_occurring(columns, settled.schema, bool(configs)),
        lost=(*imported.lost, *settled.lost),
        notes=(*imported.notes, *settled.notes, *sorted_),
        damage=tuple(imported.damage),
    )


def _configured(imported: Imported, config: Mapping[str, Any] | None) -> tuple[Imported, Any]:
    """Return what `write` takes as configurations: the list of a column, or one for all."""
    field, configs = imported.schema.config_field, imported.configs
    if field is not None and field.path in imported.columns:
        if config is None:
            return imported, configs
        places = np.ma.asarray(imported.columns[field.path])
        filled = np.ma.filled(places, len(configs))
        columns = {**imported.columns, field.path: filled}
        return changed(imported, columns=columns), (*configs, config)
    own = configs[0] if configs else None
    if own is not None and field is None:
        lost = (*imported.lost, "the configuration: the schema has no field of type config")
        return changed(imported, lost=lost), config
    return imported, own if config is None else {**(own or {}), **config}


def _typed(imported: Imported) -> dict[Field, Column]:
    """Return the columns by field, floats as float64; those without a value are left out."""
    columns = {}
    for path, value in imported.columns.items():
        field = imported.schema.field(path)
        column = wide_column(value, field)
        if column.present is None or column.present.any() or path == PHASE:
            columns[field] = column
    return columns


def _in_order(
    columns: dict[Field, Column], schema: Schema
) -> tuple[dict[Field, Column], tuple[str, ...]]:
    """Return the columns sorted by (timestamp, phase), stably, and what to say of it."""
    if schema[TIMESTAMP] not in columns:
        return columns, ()
    timestamps, phases = columns[schema[TIMESTAMP]].values, columns[schema[PHASE]].values
    back = timestamps[1:] < timestamps[:-1]
    back |= (timestamps[1:] == timestamps[:-1]) & (phases[1:] < phases[:-1])
    if not back.any():
        return columns, ()
    order = np.lexsort((phases, timestamps))
    ordered = {field: column.rows(order) for field, column in columns.items()}
    num_back = counted(int(back.sum()), "record")
    said = f"sorted by (timestamp, phase): {num_back} came after a later one"
    return ordered, (said,)


def _occurring(columns: dict[Field, Column], schema: Schema, has_config: bool) -> tuple[str, ...]:
    """Return the fields that have a value, in the schema's order; then the metrics."""
    found = {TIMESTAMP, *(field.path for field in columns)}
    if has_config and schema.config_field is not None:
        found.add(schema.config_field.path)
    declared = [field.path for field in schema.fields if field.path in found]
    return (*declared, *(field.path for field in columns if not field.declared))
