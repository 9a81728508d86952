"""Opening a chronicle for writing: where a session begins (SPEC, Beginning and continuing).

The store then publishes what has been found here as a journal of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cmeta.errors import DecodeError, RecorderError
from cmeta.format.encoder import Encoder, Progress
from cmeta.format.grammar import Grammar
from cmeta.format.index import last_masked_crc
from cmeta.format.journal_rows import RowLayout, Tables
from cmeta.records import seeds
from cmeta.records.chunk import Chunk
from cmeta.schema import canonical_json
from cmeta.schema.schema import Schema
from cmeta.storage.atomic import RECORDER_TEMPORARY, temporary_file, unused_name
from cmeta.storage.disk import Disk, File
from cmeta.storage.file_state import FileState, file_state, journal_path, read_beside
from cmeta.storage.open import AnyBatch, OpenFile
from cmeta.storage.source import FileSource

_CHUNK_UNUSED = 1 << 20


@dataclass
class Beginning:
    """Where a session begins.

    Attributes
    ----------
    schema : Schema
    encoder : Encoder
        At the end of the last full batch that stays.
    last_masked_crc : int
        Stored CRC of the block that ends there.
    bodies : list of bytes
        Rows behind it.
    tables : Tables
        Every configuration and name of the records that stay.
    last : tuple of int
        Timestamp and code of the phase of the last record.
    config : mapping or None
        The last record's configuration.
    num_dropped : int
        Records that `resume_at` has dropped.
    dropped_to : Path or None
        The chronicle into which they went.
    """

    schema: Schema
    encoder: Encoder
    last_masked_crc: int
    bodies: list[bytes] = field(default_factory=list)
    tables: Tables = field(default_factory=Tables)
    last: tuple[int, int] = (0, 0)
    config: Any = None
    num_dropped: int = 0
    dropped_to: Path | None = None


def look(path: Path, grammar: Grammar) -> tuple[FileSource | None, FileState]:
    """Return the main file, if there is one, and its state; the caller holds the lock."""
    try:
        main = FileSource(path)
    except FileNotFoundError:
        main = None
    return main, file_state(main, read_beside(path), grammar)


def require_resumable(path: Path, standing: FileState) -> None:
    """Refuse a file that cannot be continued without losing something.

    Raises
    ------
    RecorderError
        Says what is wrong and what helps.
    """
    remedy = f'`cmeta recover {path} OUT` saves what is intact; mode="replace" begins anew'
    if standing.kind == "open without journal":
        raise RecorderError(
            f"{path}: was never closed, and its journal {journal_path(path).name} is missing: "
            f"records behind the last full batch may be lost. {remedy}"
        )
    if standing.kind == "journal without main file":
        raise RecorderError(
            f"{path}: is missing, but its journal {journal_path(path).name} holds records. {remedy}"
        )
    if standing.kind == "damaged":
        raise RecorderError(f"{path}: is damaged: {standing.problem}. {remedy}")


def begin_anew(schema: Schema) -> tuple[Beginning, bytes]:
    """Return the beginning of a new chronicle, and the bytes that its main file begins with."""
    encoder = Encoder(schema)
    data = encoder.begin()
    size = encoder.grammar.frame_tail.size
    stored = encoder.grammar.frame_tail.parse(data[-size:])["masked_crc"]
    return Beginning(schema, encoder, stored), data


_CHUNK = 1 << 20


class Continuation:
    """Reads what going on needs, of a file that is closed or open.

    Raises
    ------
    RecorderError
        What is needed of the file is damaged.
    """

    def __init__(
        self, path: Path, main: FileSource, standing: FileState, grammar: Grammar, disk: Disk
    ) -> None:
        self._path, self._main, self._standing, self._grammar = path, main, standing, grammar
        self._disk = disk
        self._file = OpenFile(main, standing)
        self.schema = self._file.schema
        self._layout = RowLayout(self.schema, grammar)
        limits = self.schema.format.limits
        with _resumable(path):
            self._names = self._file.names  # from now on a batch knows its undeclared metrics
            self._configs = tuple(
                canonical_json.dumps(c, limits, "config") for c in self._file.configs
            )

    def require_root(self, root: int | None) -> None:
        """Refuse to continue a run whose seeds come from another root."""
        with _resumable(self._path):
            found = seeds.root_in(self._config_at(self._file.num_records - 1))
        if root is not None and found is not None and root != found:
            raise RecorderError(
                f"{self._path}: its seeds come from the root {found}, not from {root}; seed=None "
                "takes the file's"
            )

    def require_state(self, state: Any) -> None:
        """Refuse a state that was taken in another run, or of records that are not there."""
        if not isinstance(state, Mapping):
            return
        keep, num_records = int(state["num_records"]), self._file.num_records
        if keep > num_records:
            raise RecorderError(
                f"{self._path}: holds {num_records} records, but the state to resume at was taken "
                f"after {keep}; resume at an earlier checkpoint"
            )
        with _resumable(self._path):
            timestamp = self._key_at(keep - 1)[0]
        if timestamp != state["timestamp"]:
            raise RecorderError(
                f"{self._path}: record {keep - 1} has the timestamp {timestamp}, but the state to "
                f"resume at says {state['timestamp']}: it was taken in another run"
            )

    def beginning(self, keep: int | None, timestamp: int | None) -> Beginning:
        """Return where to go on.

        Parameters
        ----------
        keep : int or None
            How many records to keep.
        timestamp : int or None
            Keep records up to and including this timestamp.
        """
        with _resumable(self._path):
            return self._beginning(keep, timestamp)

    def _beginning(self, keep: int | None, timestamp: int | None) -> Beginning:
        num_records = self._file.num_records
        if timestamp is not None:
            keep = self._num_until(timestamp)
        keep = num_records if keep is None else keep
        dropped_to = self._save_dropped(keep) if keep < num_records else None
        base = keep // self.schema.batch_records * self.schema.batch_records
        if self._standing.journal is not None:  # full batches may stand there as rows still
            base = min(base, self._standing.journal.header.base_records)
        progress, stored = self._progress(base)
        return Beginning(
            self.schema,
            Encoder.resume(self.schema, progress, self._key_at(base - 1)),
            stored,
            self._bodies(base, keep),
            self._tables(keep),
            self._key_at(keep - 1),
            self._config_at(keep - 1),
            num_records - keep,
            dropped_to,
        )

    # ----------------------------------------------------------------------------- one record

    def _num_until(self, timestamp: int) -> int:
        """Return how many records have at most this timestamp."""
        size, count = self.schema.batch_records, 0
        for info in self._file.batches:
            if info.last_timestamp <= timestamp:
                count = info.ordinal * size + info.num_records
            elif info.first_timestamp <= timestamp:
                stamps = self._file.batch(info.ordinal).timestamps
                return info.ordinal * size + int(
                    np.searchsorted(stamps, np.uint64(timestamp), side="right")
                )
        return count

    def _key_at(self, ordinal: int) -> tuple[int, int]:
        if ordinal < 0:
            return (0, 0)
        batch, row = self._locate(ordinal)
        return int(batch.timestamps[row]), int(batch.phases.codes[row])

    def _config_at(self, ordinal: int) -> Any:
        config = self.schema.config_field
        if ordinal < 0 or config is None:
            return None
        batch, row = self._locate(ordinal)
        column = batch.column(config, 0)
        if column is None or (column[1] is not None and not column[1][row]):
            return None
        return self._file.configs[int(column[0][row])]

    def _locate(self, ordinal: int) -> tuple[AnyBatch, int]:
        place, row = divmod(ordinal, self.schema.batch_records)
        return self._file.batch(place), row

    # ---------------------------------------------------------------------------- many records

    def _chunk(self, place: int, start: int, end: int) -> Chunk:
        """Return records of one batch."""
        batch = self._file.batch(place)
        columns = {f: column for f in batch.fields if (column := batch.column(f, 0))}
        return Chunk(batch.num_records, columns, self._configs).slice(start, end)

    def _bodies(self, start: int, end: int) -> list[bytes]:
        """Return the rows of the short batch; from the journal as they are."""
        if start == end:
            return []
        journal = self._standing.journal
        if journal is not None and start >= journal.header.base_records:
            base = journal.header.base_records
            return journal.bodies[start - base : end - base]
        chunk = self._chunk(start // self.schema.batch_records, 0, end - start)
        numbers = {body: number for number, body in enumerate(self._configs)}
        names = {name: number for number, name in enumerate(self._names)}
        return self._layout.bodies_of(chunk, numbers, names)

    def _progress(self, base: int) -> tuple[Progress, int]:
        """Return the state of an encoder behind so many records, and the last block's CRC."""
        found = self._file.map
        num_rows = self._num_blocks(base)
        table, end = found.table[:num_rows], int(found.ends[num_rows - 1])
        num_configs, num_names = self._num_defined(num_rows)
        crc = self._crc_until(end)
        progress = Progress(
            offset=end,
            crc=crc,
            running_crc=crc,
            num_records=base,
            entries=[tuple(row) for row in table.tolist()],
            configs={body: i for i, body in enumerate(self._configs[:num_configs])},
            names={name: i for i, name in enumerate(self._names[:num_names])},
        )
        return progress, last_masked_crc(self._main, self._grammar, end)

    def _crc_until(self, end: int) -> int:
        """Return the CRC of the payload up to `end`, without reading it where that is known."""
        journal = self._standing.journal
        if journal is not None and journal.header.base_length == end:
            return journal.header.running_crc
        if self._standing.kind == "closed" and end == self._end_of_full():
            return self._file.map.running_crc
        at, crc = self._grammar.header.size, None
        while at < end:
            data = self._main.read(at, min(_CHUNK, end - at))
            crc = self._grammar.checksum(data, crc)
            at += len(data)
        return crc or 0

    def _end_of_full(self) -> int:
        found = self._file.map
        full = np.flatnonzero(found.table["records_count"] == self.schema.batch_records)
        return int(found.ends[full[-1] if len(full) else 0])

    def _num_blocks(self, base: int) -> int:
        """Return how many blocks the first `base` records take: full batches, or SCHEMA alone."""
        batches = np.flatnonzero(self._file.map.table["kind"] == self._grammar.kinds["BATCH"])
        num_batches = base // self.schema.batch_records
        return int(batches[num_batches - 1]) + 1 if num_batches else 1

    def _num_defined(self, num_blocks: int) -> tuple[int, int]:
        """Return how many CONFIGs and NAMEs stand among the first blocks."""
        kinds = self._file.map.table["kind"][:num_blocks]
        codes = self._grammar.kinds
        num_configs = int(np.count_nonzero(kinds == codes["CONFIG"]))
        return num_configs, int(np.count_nonzero(kinds == codes["NAME"]))

    def _tables(self, keep: int) -> Tables:
        """Return the configurations and names that the records use which stay."""
        configs, names = self._configs, self._names
        if keep < self._file.num_records:
            num_configs, num_names = self._num_used(keep)
            configs, names = configs[:num_configs], names[:num_names]
        return Tables(dict(enumerate(configs)), dict(enumerate(names)))

    def _num_used(self, keep: int) -> tuple[int, int]:
        """Return how many CONFIGs and NAMEs the first records use; numbers follow first use."""
        size, sealed = self.schema.batch_records, self._file.num_sealed
        whole = min(keep, sealed) // size * size
        num_configs, num_names = self._num_defined(self._num_blocks(whole))
        numbers = {name: number for number, name in enumerate(self._names)}
        for start in range(whole, keep, size):
            chunk = self._chunk(start // size, 0, min(size, keep - start))
            used = [numbers[f.name] for f in chunk.fields if not f.declared]
            num_names = max([num_names, *(number + 1 for number in used)])
            config = self.schema.config_field
            column = chunk.column(config) if config else None
            if column is not None:
                values = column.values if column.present is None else column.values[column.present]
                num_configs = max(num_configs, int(values.max()) + 1)
        return num_configs, num_names

    def _save_dropped(self, keep: int) -> Path:
        """Write what is dropped as a chronicle of its own, before anything else is changed."""
        target = unused_name(self._path, f"dropped-from-{keep}")
        encoder = Encoder(self.schema)
        with temporary_file(self._path, self._disk, RECORDER_TEMPORARY) as file:
            self._write_dropped(file, encoder, keep)
            file.sync()
            file.close()
            self._disk.rename(file, target)
        try:
            self._disk.sync_folder(target.parent)
        except OSError:
            self._disk.unlink(target)
            raise
        return target

    def _write_dropped(self, file: File, encoder: Encoder, keep: int) -> None:
        length = 0
        for blocks in self._blocks_from(keep, encoder):
            file.write(blocks, length)
            length += len(blocks)
        file.write(encoder.header(encoder.num_records), 0)

    def _blocks_from(self, ordinal: int, encoder: Encoder) -> Iterator[bytes]:
        yield encoder.begin()
        for chunk in self._chunks_from(ordinal):
            yield encoder.feed(chunk)
        yield encoder.finish()

    def _chunks_from(self, ordinal: int) -> Iterator[Chunk]:
        size = self.schema.batch_records
        for info in self._file.batches[ordinal // size :]:
            start = max(0, ordinal - info.ordinal * size)
            yield self._chunk(info.ordinal, start, info.num_records)


@contextmanager
def _resumable(path: Path) -> Iterator[None]:
    """Say of what cannot be decoded that the file cannot be continued, and what helps."""
    try:
        yield
    except DecodeError as err:
        raise RecorderError(
            f"{path}: is damaged: {err}. `cmeta recover {path} OUT` saves what is intact"
        ) from err
