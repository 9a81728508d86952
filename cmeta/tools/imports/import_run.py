"""`import_run`: another tool's file becomes a chronicle, complete or not at all."""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from cmeta.aliases import Progress
from cmeta.errors import EncodeError, ExistsError, PrecisionWarning, counted
from cmeta.records.chunk import goes_back
from cmeta.safe_text import printable
from cmeta.schema.rules import PHASE, TIMESTAMP
from cmeta.schema.schema import Schema, default_schema
from cmeta.schema.types import Field
from cmeta.source import expanded
from cmeta.storage.new_path import given_path
from cmeta.storage.open import is_input
from cmeta.tools.imports.cells import Cells, batches
from cmeta.tools.imports.compressed import decompressed
from cmeta.tools.imports.exact import make_exact, wide_column
from cmeta.tools.imports.fitting import fitting, with_short_batches
from cmeta.tools.imports.formats import Imported, ImportOptions, detect, load_importer
from cmeta.vocabulary import PHASES, phases_named, similar
from cmeta.write import write


@dataclass(frozen=True)
class ImportReport:
    """The result of an import.

    Attributes
    ----------
    source, out : str
        The file that was read, and the chronicle.
    format : str
        Format of the source, such as ``csv``.
    num_records : int
    fields : tuple of str
        Dotted names of the fields that have a value, declared ones first.
    lost : tuple of str
        Values that a chronicle could have held, and this one does not, one sentence each.
    notes : tuple of str
        What was interpreted, what was changed without loss, and what no chronicle holds (text,
        lists), one sentence each.
    damage : tuple of str
        Where the source was cut off or corrupt, so that records may be missing, one sentence each.
    """

    source: str
    out: str
    format: str
    num_records: int
    fields: tuple[str, ...]
    lost: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    damage: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether everything that a chronicle can hold was kept."""
        return not self.lost and not self.damage

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        values = dataclasses.asdict(self)
        return {key: list(v) if isinstance(v, tuple) else v for key, v in values.items()}

    def __str__(self) -> str:
        num_fields = counted(len(self.fields), "field")
        contents = f"{counted(self.num_records, 'record')} of {num_fields}"
        lines = [f"{self.source}: {contents} imported from {self.format}, to {self.out}"]
        lines += [f"  note  {note}" for note in self.notes]
        lines += [f"  lost  {lost}" for lost in self.lost]
        lines += [f"  damaged  {damage}" for damage in self.damage]
        return "\n".join(map(printable, lines))


def import_run(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    format: str | None = None,  # noqa: A002  (the name on the command line)
    schema: Schema | None = None,
    config: Mapping[str, Any] | None = None,
    phase: str | None = None,
    run: str | None = None,
    names: Sequence[str] | None = None,
    skip_bad_lines: bool = False,
    replace: bool = False,
    progress: Progress | None = None,
) -> ImportReport:
    r"""Write another tool's file as a chronicle.

    No value is rounded: a declared float field whose values would not come back bit for bit is
    made exact in the chronicle's schema, as float32 or float64, and that is noted. The report lists
    what a chronicle cannot hold. Records that go back in (timestamp, phase) are sorted, stably.

    Parameters
    ----------
    source : path
        A file of JSON lines, CSV or Parquet; a history as JSON; a text log; a TensorBoard event
        file or log folder; a W&B offline run; a ``trainer_state.json``; MLflow's database or
        ``mlruns``; a folder of Sacred. A file may be compressed (gzip, bzip2, xz, Zstandard).
    out : path
        The chronicle; it appears when it is complete and on disk.
    format : str, optional
        The format of the source, a member of `cmeta.tools.imports.formats.FORMATS`; default:
        detected.
    schema : Schema, optional
        Default: the schema in the source, or `default_schema` extended by what the source needs. A
        schema that is given stays as it is; the values that it rounds are reported as lost.
    config : mapping, optional
        The configuration of every record that has none of its own. If the source has a single
        one for all of them, these keys are added to it.
    phase : str, optional
        The phase of records that do not state theirs; default: train.
    run : str, optional
        The run to import, from a source that holds several.
    names : sequence of str, optional
        The names of the columns of a CSV without a line of names.
    skip_bad_lines : bool
        Leave out the lines of a text that cannot be read, and report them as damage.
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
        The source is invalid, or no format fits; names line and column. An option has no effect
        on the format, or `phase` is misspelled.
    ExistsError
        `out` exists, and `replace` is not given; or it is the file to import.
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
    options = ImportOptions(
        phase=phase, run=run, schema=schema, names=names, skip_bad_lines=skip_bad_lines
    )
    if progress is not None:
        options = dataclasses.replace(options, progress=progress)
    return import_of(source, out, options, format_=format, config=config, replace=replace)


def import_of(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    options: ImportOptions,
    *,
    format_: str | None = None,
    config: Mapping[str, Any] | None = None,
    replace: bool = False,
    is_one_of_many: bool = False,
) -> ImportReport:
    """Import a source, as `import_run` does.

    Parameters
    ----------
    is_one_of_many : bool
        An option that has no effect on the source is left out, and no error.
    """
    source, out = Path(expanded(source)), Path(given_path(out, "out"))
    _require_free(out, source, replace=replace)
    if not source.exists():
        raise FileNotFoundError(2, "No such file or directory", str(source))
    if options.phase is not None:
        _require_phase(options.phase, options.schema or default_schema())
    with decompressed(source) as (path, damage):
        try:
            format_ = format_ or detect(path)
            if not is_one_of_many:
                options.require_effect(format_)
            imported = load_importer(format_).read(path, options)
        except EncodeError as err:
            if path == source:
                raise
            raise EncodeError(str(err).replace(str(path), str(source))) from err
    if damage:
        imported = dataclasses.replace(imported, damage=(*damage, *imported.damage))
    return _write(imported, source, out, format_, config)


def _require_free(out: Path, source: Path, *, replace: bool) -> None:
    if is_input(out, source):
        raise ExistsError(f"{out} is the file to import; choose another name for the chronicle")
    if out.is_dir():
        raise ExistsError(f"{out} is a folder, expected the name of the chronicle")
    if not replace and os.path.lexists(out):
        raise ExistsError(f"{out} exists; replace=True (--replace) writes over it")


def _require_phase(word: str, schema: Schema) -> None:
    """Raise if a word is likely a misspelled phase; any other word may be a new phase.

    Raises
    ------
    EncodeError
    """
    if not word.strip():
        raise EncodeError("phase: found an empty word, expected the name of a phase")
    known = [*schema.phases, *PHASES]
    is_known = phases_named([word], schema.phases)[word] in known
    guesses = [] if is_known else similar(word, known)
    if guesses:
        raise EncodeError(
            f"no phase {word!r} (did you mean {' or '.join(guesses)}?); for a new phase, give a "
            f"schema that has it: default_schema().with_phases({word!r})"
        )


def _write(
    imported: Imported, source: Path, out: Path, format_: str, config: Mapping[str, Any] | None
) -> ImportReport:
    _require_phases(imported, source)
    imported, configs = _configured(imported, config)
    columns = _typed(imported)
    exact = make_exact(columns, imported.schema, is_stated=imported.is_schema_stated)
    columns, sort_notes = _sorted(columns, imported.schema)
    num_given = imported.num_records
    schema, size_notes = exact.schema, tuple[str, ...]()
    if not imported.is_schema_stated:
        schema, size_notes = with_short_batches(columns, schema, num_given)
    columns, unfit = fitting(columns, schema, num_given)
    chunks = batches(columns, num_given, schema.batch_records, schema.config_field)
    with warnings.catch_warnings():  # rounded values are in the report
        warnings.simplefilter("ignore", PrecisionWarning)
        num_records = write(out, chunks, schema, configs, status=cast("Any", imported.status))
    return ImportReport(
        source=str(source),
        out=str(out),
        format=format_,
        num_records=num_records,
        fields=_fields(columns, schema, bool(configs)),
        lost=(*imported.lost, *exact.lost, *unfit),
        notes=(*imported.notes, *exact.notes, *sort_notes, *size_notes),
        damage=tuple(imported.damage),
    )


def _require_phases(imported: Imported, source: Path) -> None:
    phases = imported.columns.get(PHASE)
    if phases is None or phases.rows is not None:
        raise EncodeError(f"{source}: phase: absent in a record, expected in every one")


def _configured(imported: Imported, config: Mapping[str, Any] | None) -> tuple[Imported, Any]:
    """Return the configurations for `write`: the list for a column, or one for all records."""
    field, configs = imported.schema.config_field, imported.configs
    if field is not None and field.path in imported.columns:
        if config is None:
            return imported, configs
        cells = imported.columns[field.path]
        filled = np.full(imported.num_records, len(configs), np.uint32)
        filled[cells.places()] = cells.values
        columns = {**imported.columns, field.path: Cells(None, filled)}
        return dataclasses.replace(imported, columns=columns), (*configs, config)
    own = configs[0] if configs else None
    if own is not None and field is None:
        lost = (*imported.lost, "the configuration: the schema has no field of type config")
        return dataclasses.replace(imported, lost=lost), config
    return imported, own if config is None else {**(own or {}), **config}


def _typed(imported: Imported) -> dict[Field, Cells]:
    """Return the columns by field, floats as float64; those without a value are left out."""
    columns = {}
    for path, cells in imported.columns.items():
        if len(cells.values) or path == PHASE:
            field = imported.schema.field(path)
            columns[field] = cells.with_values(wide_column(cells.values, field).values)
    return columns


def _sorted(
    columns: dict[Field, Cells], schema: Schema
) -> tuple[dict[Field, Cells], tuple[str, ...]]:
    """Return the columns sorted by (timestamp, phase), stably, and a note if that changed them."""
    timestamps, phases = columns.get(schema[TIMESTAMP]), columns[schema[PHASE]].values
    if timestamps is None or timestamps.rows is not None:
        return columns, ()
    back = goes_back(timestamps.values, phases)
    if not back.any():
        return columns, ()
    place_of = np.empty(len(phases), np.int64)
    place_of[np.lexsort((phases, timestamps.values))] = np.arange(len(phases))
    ordered = {field: cells.in_order(place_of) for field, cells in columns.items()}
    num_back = counted(int(back.sum()), "record")
    return ordered, (f"sorted by (timestamp, phase): {num_back} came after a later one",)


def _fields(columns: dict[Field, Cells], schema: Schema, has_config: bool) -> tuple[str, ...]:
    """Return the fields that have a value, in the schema's order; then the undeclared metrics."""
    paths = {TIMESTAMP, *(field.path for field in columns)}
    if has_config and schema.config_field is not None:
        paths.add(schema.config_field.path)
    declared = [field.path for field in schema.fields if field.path in paths]
    return (*declared, *(field.path for field in columns if not field.declared))
