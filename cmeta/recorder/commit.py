"""The commit protocol: the order of every write, fsync and rename (SPEC, Journal).

Nothing here decides when; that is the background's matter. What stands in one method is done in the
order in which it stands there, and each step is safe to be the last.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from cmeta.errors import RecorderError
from cmeta.format.encoder import Encoder
from cmeta.format.grammar import Grammar
from cmeta.format.journal import Framer
from cmeta.recorder.pending import JournalFile, Ledger
from cmeta.records.chunk import Chunk
from cmeta.schema.schema import Schema
from cmeta.storage.atomic import RECORDER_TEMPORARY, temporary_file, unused_name
from cmeta.storage.disk import Disk, File
from cmeta.storage.file_state import journal_path

_COPY_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class Base:
    """What a journal's header says of the main file.

    Attributes
    ----------
    num_records, length : int
        F and L: records and bytes of the main file that are trusted.
    crc : int
        Of the payload up to L.
    last_masked_crc : int
        Stored CRC of the last block before L.
    """

    num_records: int
    length: int
    crc: int
    last_masked_crc: int


class Store:
    """A chronicle's files while they are written.

    Parameters
    ----------
    disk : Disk
    path : Path
    schema : Schema
    grammar : Grammar
    encoder : Encoder
        At the end of the last full batch.
    last_masked_crc : int
        Stored CRC of the last block before that.
    """

    def __init__(
        self, disk: Disk, path: Path, schema: Schema, grammar: Grammar, encoder: Encoder,
        last_masked_crc: int,
    ) -> None:  # fmt: skip
        self._disk, self.path, self._schema, self._grammar = disk, path, schema, grammar
        self._encoder = encoder
        self._last_masked_crc = last_masked_crc
        self._end = encoder.progress.offset  # of the main file, as far as it has been written
        self._unwritten = b""  # blocks that the encoder has made, but whose write failed
        self.main: File | None = None

    @property
    def base(self) -> Base:
        """Where the main file stands: everything that has been sealed."""
        progress = self._encoder.progress
        crc = progress.crc or 0
        return Base(progress.num_records, progress.offset, crc, self._last_masked_crc)

    # ------------------------------------------------------------------------------ beginning

    def create(self, ledger: Ledger, beginning: bytes) -> None:
        """Create a chronicle: the journal first, then the main file of `beginning`."""
        self.publish(ledger)
        with self._temporary(self.path) as main:
            main.write(beginning, 0)
            main.sync()
            self._disk.rename(main, self.path)
        self._disk.sync_folder(self.path.parent)
        self.main = main

    def reopen(self, ledger: Ledger, header: bytes) -> None:
        """Go on with a chronicle: a journal of our own first, then cut the main file to L."""
        self.publish(ledger)
        main = self._disk.open(self.path)
        try:
            at = self._grammar.header.upto("records_count").size
            main.write(header[at:], at)
            # In two steps, so that a page of a session whose fsync failed cannot stay.
            main.truncate(self.base.length + 1)
            main.truncate(self.base.length)
            main.sync()
        except BaseException:
            main.close()
            raise
        self.main = main

    def publish(self, ledger: Ledger) -> None:
        """Put a new journal with the rows of the ledger in place of whatever is there."""
        with ledger.lock:
            bodies = ledger.rows[: ledger.tail.num_records - ledger.first]
        with self._temporary(journal_path(self.path)) as file:
            journal, length = self._prepare(ledger, file, bodies)
            self._switch(ledger, journal, length, bodies)

    # ------------------------------------------------------------------------------ recording

    def seal(self, chunk: Chunk) -> None:
        """Append a full batch to the main file, without waiting for the disk."""
        blocks = self._encoder.feed(chunk)
        self._append(blocks)

    @property
    def has_rest(self) -> bool:
        """Whether blocks of a batch have been made, but could not be written."""
        return bool(self._unwritten)

    def write_rest(self) -> None:
        """Write what an earlier failure has left unwritten."""
        self._append(b"")

    def rotate(self, ledger: Ledger) -> None:
        """Begin a journal with only the rows that are not in the main file.

        Raises
        ------
        OSError
            The disk is full; the journal that there was goes on.
        RecorderError
            A file could not be synced: the session has ended.
        """
        if self.main is None:
            raise AssertionError("a store begins before it goes on")
        self.require_place()
        ledger.sync(self.main)
        self.publish(ledger)

    def require_place(self) -> None:
        """Refuse to go on with a main file that has lost its name."""
        if self.main is not None and not self.main.is_at(self.path):
            raise RecorderError(
                f"{self.path}: was removed or replaced while it was being recorded; closing the "
                "recorder saves what has been recorded"
            )

    def _prepare(self, ledger: Ledger, file: File, bodies: list[bytes]) -> tuple[JournalFile, int]:
        """Write a journal to a temporary file, and wait for the disk."""
        framer = Framer(self._grammar, int.from_bytes(os.urandom(8), "little"))
        journal = JournalFile(file, framer)
        data = self._header(framer) + ledger.entries_of(bodies, ledger.first, journal)
        file.write(data, 0)
        ledger.sync(file)
        return journal, len(data)

    def _switch(
        self, ledger: Ledger, journal: JournalFile, length: int, bodies: list[bytes]
    ) -> None:
        """Copy the rows that have arrived since, and put the journal in its place."""
        with ledger.lock:
            tail = ledger.tail
            end = tail.num_records - ledger.first
            since = ledger.rows[len(bodies) : end]
            if since:
                data = ledger.entries_of(since, ledger.first + len(bodies), journal)
                journal.file.write(data, length)
                length += len(data)
                if ledger.durable:
                    ledger.sync(journal.file)
            self._disk.rename(journal.file, journal_path(self.path))
            self._sync_folder(ledger)
            old, ledger.journal = ledger.journal, journal
            ledger.tail = tail._replace(offset=length)
            ledger.is_torn = False
            ledger.look_again()
        if old is not None:
            old.file.close()

    def _header(self, framer: Framer) -> bytes:
        base, layout = self.base, self._grammar.journal_header
        fields = {
            "version": self._schema.format.version,
            "schema_digest": self._grammar.checksum(self._schema.embedded),
            "salt": framer.salt,
            "base_records": base.num_records,
            "base_length": base.length,
            "running_crc": base.crc,
            "last_masked_crc": base.last_masked_crc,
        }
        head = layout.upto("masked_crc").build(fields)
        return layout.build({**fields, "masked_crc": self._grammar.checksum.masked(head)})

    # ---------------------------------------------------------------------------------- close

    def close(self, ledger: Ledger, chunk: Chunk | None) -> None:
        """Write the last blocks, commit, and remove the journal.

        Parameters
        ----------
        chunk : Chunk or None
            The records that do not fill a batch.
        """
        if self.main is None:
            raise AssertionError("a store begins before it ends")
        if chunk is not None:
            self._append(self._encoder.feed(chunk))
        self._append(self._encoder.finish())
        ledger.sync(self.main)
        at = self._grammar.header.upto("records_count").size
        self.main.write(self._encoder.header(self._encoder.num_records)[at:], at)
        ledger.sync(self.main)
        if not self.main.is_at(self.path):
            self._rescue()
        self._disk.unlink(journal_path(self.path))
        self._sync_folder(ledger)

    def let_go(self, ledger: Ledger) -> None:
        """Close what is open, in whatever state it is."""
        if self.main is not None:
            self.main.close()
        if ledger.journal is not None:
            ledger.journal.file.close()

    def _rescue(self) -> None:
        """Save a finished file that has lost its name, under its own if that is free."""
        if self.main is None:
            raise AssertionError("only what has been begun can be saved")
        target = self.path if not self.path.exists() else unused_name(self.path, "rescued")
        with self._temporary(self.path) as copy:
            size = os.fstat(self.main.descriptor).st_size
            for offset in range(0, size, _COPY_AT_ONCE):
                copy.write(self.main.read(_COPY_AT_ONCE, offset), offset)
            copy.sync()
            self._disk.rename(copy, target)
        self._disk.sync_folder(target.parent)
        copy.close()
        if target != self.path:
            raise RecorderError(
                f"{self.path}: was replaced while it was being recorded; the run has been saved "
                f"as {target}"
            )

    # ------------------------------------------------------------------------------- the disk

    def _append(self, blocks: bytes) -> None:
        """Write blocks at the end of those before them."""
        if self.main is None:
            raise AssertionError("a store begins before it goes on")
        self._unwritten += blocks
        if not self._unwritten:
            return
        self.main.write(self._unwritten, self._end)
        size = self._grammar.frame_tail.size
        stored = self._grammar.frame_tail.parse(self._unwritten[-size:])
        self._last_masked_crc = stored["masked_crc"]
        self._end += len(self._unwritten)
        self._unwritten = b""

    def _temporary(self, target: Path) -> AbstractContextManager[File]:
        return temporary_file(target, self._disk, RECORDER_TEMPORARY)

    def _sync_folder(self, ledger: Ledger) -> None:
        try:
            self._disk.sync_folder(self.path.parent)
        except OSError as err:
            ledger.refuse(
                f"{self.path.parent}: fsync failed ({err}); this session has ended. Continue "
                'with mode="resume"'
            )
            raise RecorderError(str(ledger.refusal)) from err
