"""Where a session starts: with a new file, or with everything that continuing a file needs.

SPEC, Beginning and continuing.

This reads, and writes nothing except the file for records that `resume_at` drops. The committer
then publishes the result as a new journal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cmeta.errors import DecodeError, EncodeError, ExistsError, RecorderError, counted
from cmeta.format.batch import check_size
from cmeta.format.encoder import Encoder, EncoderState
from cmeta.format.grammar import grammar_of
from cmeta.format.index import last_masked_crc
from cmeta.format.journal import RowLayout, Tables
from cmeta.recorder.options import Options
from cmeta.recorder.state import State, digest_of
from cmeta.recorder.steps import StepWatch
from cmeta.records import seeds
from cmeta.records.chunk import Chunk, Column
from cmeta.records.config import config_json
from cmeta.schema import canonical_json
from cmeta.schema.load import shipped_format
from cmeta.source import FileSource
from cmeta.storage.atomic import RECORDER_TEMPORARY, temporary_file, unused_name
from cmeta.storage.disk import Disk, File
from cmeta.storage.find import DROPPED
from cmeta.storage.open import (
    AnyBatch,
    FileState,
    OpenFile,
    file_state,
    journal_path,
    open_file,
    open_journal,
)


@dataclass
class StartingPoint:
    """Where a session starts.

    Attributes
    ----------
    encoder : Encoder
        At the end of the last full batch that is kept.
    data : bytes
        The first bytes of a new main file; empty if a file is continued.
    replaces : bool
        Whether a file that was not closed must be removed first.
    bodies : list of bytes
        Rows after the last full batch.
    tables : Tables
        Every configuration and name of the records that are kept.
    last : tuple of int
        Timestamp and code of the phase of the last record.
    config : mapping or None
        The configuration in force.
    is_config_guessed : bool
        Whether it is that of the last record, which may have been given to that record alone.
    steps : StepWatch or None
        Watches the steps of the first records; None for a new file.
    digest : str or None
        Of the records that are kept, where `read_start` knows it.
    num_dropped : int
        Records that `resume_at` has dropped.
    dropped_to : Path or None
        The chronicle that they were moved to.
    """

    encoder: Encoder
    data: bytes = b""
    replaces: bool = False
    bodies: list[bytes] = field(default_factory=list)
    tables: Tables = field(default_factory=Tables)
    last: tuple[int, int] = (0, 0)
    config: Mapping[str, Any] | None = None
    is_config_guessed: bool = False
    steps: StepWatch | None = None
    digest: str | None = None
    num_dropped: int = 0
    dropped_to: Path | None = None


def find_start(path: Path, options: Options, disk: Disk) -> StartingPoint:
    """Return where a session starts; the caller holds the lock.

    Raises
    ------
    ExistsError, RecorderError, OSError
        As `Recorder`.
    """
    grammar = grammar_of(shipped_format())
    try:
        main = FileSource(path)
    except FileNotFoundError:
        main = None
    try:
        journal = open_journal(path)
        with closing(journal) if journal else nullcontext():
            state = file_state(main, journal, grammar)
        if options.mode == "new" and state.kind != "absent":
            raise _exists_error(path, state)
        if options.mode != "resume" or state.kind == "absent":
            if options.resume_at is not None:
                raise RecorderError(f"{path}: does not exist; resume_at requires an existing file")
            encoder = Encoder(options.new_schema)
            options.require_config_field(encoder.schema)
            is_unclosed = state.kind not in ("absent", "closed")
            return StartingPoint(encoder, encoder.begin(), replaces=is_unclosed)
        _require_resumable(path, state)
        if main is None:
            raise AssertionError("a resumable state has a main file")
        return _Resumption(path, OpenFile(main, state), disk).start(options)
    finally:
        if main is not None:
            main.close()


def read_start(path: Path | None, options: Options) -> StartingPoint:
    """Return where a session starts that does not record; this writes nothing and needs no lock.

    The process that records may already have begun to continue the file. Its records up to
    `resume_at` are the same before and after.

    Parameters
    ----------
    path : Path or None
        None: a new file, whose name is not known.

    Raises
    ------
    RecorderError, OSError
        As `Recorder`.
    """
    if options.mode == "resume" and path is not None:
        try:
            file = open_file(path)
        except FileNotFoundError:
            pass
        except DecodeError as err:
            raise _damage_error(path, err) from err
        else:
            with closing(file.source):
                if file.state == "damaged" and file.problem is not None:
                    raise _damage_error(path, file.problem)
                return _Resumption(path, file, None).start(options)
    schema = options.new_schema
    options.require_config_field(schema)
    encoder = Encoder(schema)
    encoder.begin()
    state = options.state
    if state is None:
        return StartingPoint(encoder, digest=digest_of(encoder, ()))
    encoder.progress.num_records = state.num_records  # the file of rank 0 cannot be seen from here
    last = (state.timestamp, 0)
    return StartingPoint(encoder, last=last, config=state.config, digest=state.digest)


def require_state(path: Path, state: State) -> None:
    """Raise an error if a state is not of the run in a file; one without a digest may be.

    Raises
    ------
    RecorderError
        It is of another run, or of records that are missing; or the file is damaged.
    """
    file = open_file(path)
    with closing(file.source):
        _Resumption(path, file, None).require_state(state)


def _damage_error(path: Path, error: DecodeError) -> RecorderError:
    return RecorderError(
        f"{path}: is damaged: {error}. `cmeta recover {path} OUT` saves the intact records"
    )


def _exists_error(path: Path, state: FileState) -> ExistsError:
    problem = {
        "journal without main file": "its journal holds records, but the file itself is missing; "
        f"`cmeta recover {path} OUT` saves them",
        "closed": "already exists",
    }.get(state.kind, f"already exists ({state.kind})")
    return ExistsError(f'{path}: {problem}; mode="resume" continues it, mode="replace" replaces it')


def _require_resumable(path: Path, state: FileState) -> None:
    """Raise an error for a file that cannot be continued without losing records."""
    remedy = f'`cmeta recover {path} OUT` saves the intact records; mode="replace" replaces it'
    if state.kind == "open without journal":
        raise RecorderError(
            f"{path}: was never closed, and its journal {journal_path(path).name} is missing: "
            f"records after the last full batch may be lost. {remedy}"
        )
    if state.kind == "journal without main file":
        raise RecorderError(
            f"{path}: is missing, but its journal {journal_path(path).name} holds records. {remedy}"
        )
    if state.kind == "damaged":
        raise RecorderError(f"{path}: is damaged: {state.problem}. {remedy}")


class _Resumption:
    """Reads everything that continuing a file needs, be it closed or open.

    Raises
    ------
    RecorderError
        The file is damaged where it is needed.
    """

    def __init__(self, path: Path, file: OpenFile, disk: Disk | None) -> None:
        self._path, self._file, self._disk = path, file, disk
        self._grammar = grammar_of(shipped_format())
        self._journal, self._schema = file.journal, file.schema
        limits = self._schema.format.limits
        with self._resumable():
            self._names = self._file.names
            self._configs = tuple(config_json(config, limits) for config in self._file.configs)

    @contextmanager
    def _resumable(self) -> Iterator[None]:
        """Turn decode errors into one that says what to do."""
        try:
            yield
        except DecodeError as err:
            raise _damage_error(self._path, err) from err

    def start(self, options: Options) -> StartingPoint:
        """Return where to continue, and move records that `resume_at` drops to another file."""
        if not options.fits(self._schema):
            raise RecorderError(
                f"{self._path}: was recorded with another schema; schema=None uses the file's"
            )
        if options.wall_time and self._schema.wall_time_field is None:
            raise RecorderError(
                f"{self._path}: was recorded without wall times, so wall_time=True cannot continue "
                'it; leave wall_time out, or begin a new file: another path, or mode="replace"'
            )
        options.require_config_field(self._schema)
        with self._resumable():
            if options.state is not None:
                self._require_state(options.state)
            return self._start(options)

    def _require_origin(self, origin: seeds.Origin, config: Mapping[str, Any] | None) -> None:
        """Raise an error if the seeds of the run come from another root, or are another rank's."""
        recorded = seeds.origin_in(config)
        if None not in (origin.root, recorded.root) and origin.root != recorded.root:
            raise RecorderError(
                f"{self._path}: its seeds are derived from the root {recorded.root}, not from "
                f"{origin.root}; seed=None uses the file's"
            )
        if None not in (origin.rank, recorded.rank) and origin.rank != recorded.rank:
            raise RecorderError(
                f"{self._path}: was recorded by rank {recorded.rank}, but this process is rank "
                f"{origin.rank}; {{rank}} in the path gives every rank its own file"
            )

    def require_state(self, state: State) -> None:
        """Raise an error if a state is of another run, or of records that are missing."""
        with self._resumable():
            self._require_state(state)

    def _require_state(self, state: State) -> None:
        keep, num_records = state.num_records, self._file.num_records
        if keep > num_records:
            raise RecorderError(
                f"{self._path}: holds {counted(num_records, 'record')}, but the state to resume at "
                f"was taken after {keep:,}; resume at an earlier checkpoint"
            )
        if state.digest is None and self._disk is not None:
            raise RecorderError(
                f"{self._path}: the state to resume at was taken by a process that did not record, "
                "so nothing shows that it is of this run; resume at the state of rank 0"
            )
        timestamp = self._key_at(keep - 1)[0]
        if timestamp != state.timestamp:
            raise RecorderError(
                f"{self._path}: record {keep - 1} has the timestamp {timestamp}, but the state to "
                f"resume at has {state.timestamp}: it was taken in another run"
            )
        if state.digest is not None and (digest := self._digest(keep)) != state.digest:
            raise RecorderError(
                f"{self._path}: its first {counted(keep, 'record')} have the digest {digest}, but "
                f"the state to resume at has {state.digest}: it was taken in another run. Resume "
                f"at a state of this run, or at a timestamp"
            )

    def _digest(self, keep: int) -> str:
        """Return the digest of the first records."""
        size = self._schema.batch_records
        base = min(keep, self._file.num_sealed) // size * size
        encoder = Encoder.resume(self._schema, self._progress(base), self._key_at(base - 1))
        return digest_of(encoder, self._chunks(base, keep))

    def _chunks(self, start: int, end: int) -> Iterator[Chunk]:
        """Yield the records from the beginning of a batch on."""
        size = self._schema.batch_records
        for first in range(start, end, size):
            yield self._chunk(first // size, 0, min(size, end - first))

    def _start(self, options: Options) -> StartingPoint:
        keep, timestamp = options.resume_limit
        num_records = self._file.num_records
        if timestamp is not None:
            keep = self._num_until(timestamp)
        keep = num_records if keep is None else keep
        config, is_guessed = self._config_in_force(keep, options.state)
        self._require_origin(options.origin, config)
        base = keep // self._schema.batch_records * self._schema.batch_records
        if self._journal is not None:  # it may still hold the rows of full batches
            base = min(base, self._journal.header.base_records)
        bodies = self._bodies(base, keep)
        with self._sealable():
            self._require_room(bodies)
            dropped_to = None
            if keep < num_records and self._disk is not None:
                dropped_to = self._save_dropped(keep, self._disk)
        return StartingPoint(
            Encoder.resume(self._schema, self._progress(base), self._key_at(base - 1)),
            bodies=bodies,
            tables=self._tables(keep),
            last=self._key_at(keep - 1),
            config=config,
            is_config_guessed=is_guessed,
            steps=self._steps(keep),
            digest=None if self._disk is not None else self._digest(keep),
            num_dropped=num_records - keep,
            dropped_to=dropped_to,
        )

    @contextmanager
    def _sealable(self) -> Iterator[None]:
        """Turn the error for records that no batch can hold into one that says what to do."""
        try:
            yield
        except EncodeError as err:
            raise RecorderError(
                f"{self._path}: has acknowledged records that the file cannot hold: {err}. "
                f"`cmeta recover {self._path} OUT` saves all others, and lists these"
            ) from err

    def _require_room(self, bodies: list[bytes]) -> None:
        """Raise an error for rows that cannot be sealed; a recorder no longer takes such ones."""
        layout, size = RowLayout(self._schema, self._grammar), self._schema.batch_records
        for start in range(0, len(bodies), size):
            rows = bodies[start : start + size]
            num_columns = self._schema.num_columns + len(layout.names_in(rows))
            check_size(num_columns, len(rows), self._schema)

    # ----------------------------------------------------------------------------- one record

    def _num_until(self, timestamp: int) -> int:
        """Return the number of records up to and including a timestamp."""
        size, count = self._schema.batch_records, 0
        for info in self._file.batches:
            if info.last_timestamp <= timestamp:
                count = info.ordinal * size + info.num_records
            elif info.first_timestamp <= timestamp:
                timestamps = self._file.batch(info.ordinal).timestamps
                return info.ordinal * size + int(
                    np.searchsorted(timestamps, np.uint64(timestamp), side="right")
                )
        return count

    def _key_at(self, ordinal: int) -> tuple[int, int]:
        """Return the timestamp and the code of the phase of a record; (0, 0) before the first."""
        if ordinal < 0:
            return (0, 0)
        batch, row = self._locate(ordinal)
        return int(batch.timestamps[row]), int(batch.phases.codes[row])

    def _config_in_force(
        self, keep: int, state: State | None
    ) -> tuple[Mapping[str, Any] | None, bool]:
        """Return the configuration in force after the records kept, and whether it is a guess.

        A state or a journal says it. Otherwise it is that of the last record, unless a root of
        seeds shows which ones were in force: the recorder puts it into those alone.
        """
        if state is not None:
            return state.config, False
        said = self._journal.config_in_force if self._journal is not None else None
        if said is not None and keep == self._file.num_records:
            limits = self._schema.format.limits
            return (canonical_json.loads(said, limits) if said else None), False
        last, used = self._config_number(keep - 1), len(self._tables(keep).configs)
        if last is None:  # where one is in force, every record has one
            return None, False
        configs = self._file.configs
        rooted = [n for n in range(used) if seeds.origin_in(configs[n]).is_stated]
        if rooted:
            return configs[self._last_of(rooted, keep)], len(rooted) > 1
        before = (self._config_number(ordinal) for ordinal in (0, max(keep - 2, 0)))
        return configs[last], used > 1 or None in before

    def _last_of(self, numbers: list[int], keep: int) -> int:
        """Return which of some configurations was recorded last."""
        for start in reversed(range((keep - 1) // self._schema.batch_records + 1)):
            column = self._config_column(start)
            if column is not None:
                rows = np.flatnonzero(column.mask() & np.isin(column.values, numbers))
                rows = rows[rows < keep - start * self._schema.batch_records]
                if len(rows):
                    return int(column.values[rows[-1]])
        raise AssertionError("one of the records kept has each configuration of the table")

    def _config_number(self, ordinal: int) -> int | None:
        """Return the number of a record's configuration."""
        number, row = divmod(ordinal, self._schema.batch_records)
        column = self._config_column(number) if ordinal >= 0 else None
        return int(column.values[row]) if column is not None and column.mask()[row] else None

    def _config_column(self, number: int) -> Column | None:
        """Return the configurations of a batch."""
        field = self._schema.config_field
        return None if field is None else self._file.batch(number).column(field, 0)

    def _locate(self, ordinal: int) -> tuple[AnyBatch, int]:
        """Return the batch of a record, and its row there."""
        number, row = divmod(ordinal, self._schema.batch_records)
        return self._file.batch(number), row

    # ---------------------------------------------------------------------------- many records

    def _steps(self, keep: int) -> StepWatch:
        """Return a watch on the steps that the newest records have."""
        size = self._schema.batch_records
        start = max(0, (keep - 1) // size - 1) * size
        return StepWatch(self._path, self._schema, list(self._chunks(start, keep)))

    def _chunk(self, number: int, start: int, end: int) -> Chunk:
        """Return records of one batch."""
        batch = self._file.batch(number)
        columns = {f: column for f in batch.fields if (column := batch.column(f, 0))}
        return Chunk(batch.num_records, columns, self._configs).slice(start, end)

    def _bodies(self, start: int, end: int) -> list[bytes]:
        """Return the rows after the last full batch; those of the journal as they are."""
        if start == end:
            return []
        if self._journal is not None and start >= self._journal.header.base_records:
            base = self._journal.header.base_records
            return self._journal.bodies[start - base : end - base]
        chunk = self._chunk(start // self._schema.batch_records, 0, end - start)
        configs = {body: number for number, body in enumerate(self._configs)}
        names = {name: number for number, name in enumerate(self._names)}
        return RowLayout(self._schema, self._grammar).bodies_of(chunk, configs, names)

    def _progress(self, base: int) -> EncoderState:
        """Return the state of an encoder after the first `base` records."""
        blocks = self._file.map
        num_blocks = self._num_blocks(base)
        end = int(blocks.ends[num_blocks - 1])
        num_configs, num_names = self._num_defined(num_blocks)
        crc = self._crc_until(end)
        return EncoderState(
            offset=end,
            crc=crc,
            running_crc=crc,
            last_masked_crc=last_masked_crc(self._file.source, self._grammar, end),
            num_records=base,
            entries=[tuple(row) for row in blocks.table[:num_blocks].tolist()],
            configs={body: i for i, body in enumerate(self._configs[:num_configs])},
            names={name: i for i, name in enumerate(self._names[:num_names])},
        )

    def _crc_until(self, end: int) -> int:
        """Return the CRC of the payload up to `end`, without reading it where it is known."""
        if self._journal is not None and self._journal.header.base_length == end:
            return self._journal.header.running_crc
        if self._file.state == "closed" and end == self._file.map.end_of_full:
            return self._file.map.running_crc
        return self._grammar.checksum.over(self._file.source, self._grammar.header.size, end)

    def _num_blocks(self, base: int) -> int:
        """Return the number of blocks up to the full batches of `base` records; SCHEMA is one."""
        batches = np.flatnonzero(self._file.map.table["kind"] == self._grammar.kinds["BATCH"])
        num_batches = base // self._schema.batch_records
        return int(batches[num_batches - 1]) + 1 if num_batches else 1

    def _num_defined(self, num_blocks: int) -> tuple[int, int]:
        """Return the numbers of CONFIGs and NAMEs among the first blocks."""
        blocks, kinds = self._file.map, self._grammar.kinds
        num_configs = blocks.num_before(kinds["CONFIG"], num_blocks)
        return num_configs, blocks.num_before(kinds["NAME"], num_blocks)

    def _tables(self, keep: int) -> Tables:
        """Return the configurations and names of the records that are kept."""
        configs, names = self._configs, self._names
        if keep < self._file.num_records:
            num_configs, num_names = self._num_used(keep)
            configs, names = configs[:num_configs], names[:num_names]
        return Tables(dict(enumerate(configs)), dict(enumerate(names)))

    def _num_used(self, keep: int) -> tuple[int, int]:
        """Return how many CONFIGs and NAMEs the first records use; numbers follow first use."""
        size, sealed = self._schema.batch_records, self._file.num_sealed
        in_full = min(keep, sealed) // size * size
        num_configs, num_names = self._num_defined(self._num_blocks(in_full))
        numbers = {name: number for number, name in enumerate(self._names)}
        for start in range(in_full, keep, size):
            chunk = self._chunk(start // size, 0, min(size, keep - start))
            used = [numbers[f.name] for f in chunk.fields if not f.declared]
            num_names = max([num_names, *(number + 1 for number in used)])
            config = self._schema.config_field
            column = chunk.column(config) if config else None
            if column is not None:
                num_configs = max(num_configs, int(column.recorded().max()) + 1)
        return num_configs, num_names

    # ------------------------------------------------------------------------- dropped records

    def _save_dropped(self, keep: int, disk: Disk) -> Path:
        """Write the dropped records to a new chronicle, before anything else is changed."""
        target = unused_name(self._path, f"{DROPPED}-{keep}")
        with temporary_file(self._path, disk, RECORDER_TEMPORARY) as file:
            self._write_dropped(file, keep)
            file.sync()
            file.close()
            disk.publish(file, target)
        try:
            disk.sync_folder(target.parent)
        except OSError:
            disk.unlink(target)
            raise
        return target

    def _write_dropped(self, file: File, keep: int) -> None:
        encoder, length = Encoder(self._schema), 0
        for blocks in self._dropped_blocks(encoder, keep):
            file.write(blocks, length)
            length += len(blocks)
        file.write(encoder.header(encoder.num_records), 0)

    def _dropped_blocks(self, encoder: Encoder, keep: int) -> Iterator[bytes]:
        size = self._schema.batch_records
        yield encoder.begin()
        for info in self._file.batches[keep // size :]:
            start = max(0, keep - info.ordinal * size)
            yield encoder.feed(self._chunk(info.ordinal, start, info.num_records))
        yield encoder.finish()
