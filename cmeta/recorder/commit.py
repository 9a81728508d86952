"""The commit protocol: the order of every write, fsync and rename (SPEC, Journal).

The sealer decides when a step is taken. Within a method the operations are done in the order in
which they are written here, and a crash after any of them loses no acknowledged record.

A name is taken from a file that this session holds the lock of, or is free: nothing of another
writer is replaced or removed, whoever has removed or exchanged lock, journal or main file.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from cmeta.errors import RecorderError
from cmeta.format.encoder import Encoder
from cmeta.format.journal import Framer, JournalHeader, encode_header
from cmeta.recorder.pending import JournalFile, PendingRecords
from cmeta.recorder.state import digest_of, final_digest
from cmeta.records.chunk import Chunk
from cmeta.storage.atomic import RECORDER_TEMPORARY, temporary_file, unused_name
from cmeta.storage.disk import Disk, File, permissions_at
from cmeta.storage.lock import Lock

_COPY_AT_ONCE = 1 << 20  # bytes


class Committer:
    """Writes the files of a chronicle; `create` or `reopen` comes first.

    Parameters
    ----------
    disk : Disk
    path : Path
    lock : Lock
        Of the chronicle.
    encoder : Encoder
        At the end of the last full batch.
    pending : PendingRecords
    """

    status = 0  # how the run ended, as INDEX states it

    def __init__(
        self, disk: Disk, path: Path, lock: Lock, encoder: Encoder, pending: PendingRecords
    ) -> None:
        self._disk, self.path, self._lock = disk, path, lock
        self._encoder, self._pending = encoder, pending
        self._permissions = permissions_at(path)  # of the file that is replaced
        self._grammar = encoder.grammar
        self._end = encoder.progress.offset  # of the main file, as far as it has been written
        self._unwritten = b""  # blocks that the encoder has built, but whose write has failed
        self._open_main: File | None = None
        self.is_finished = False  # the file has been closed

    @property
    def _main(self) -> File:
        if self._open_main is None:
            raise AssertionError("create or reopen comes first")
        return self._open_main

    # ------------------------------------------------------------------------------- beginning

    def create(self, data: bytes, *, replaces: bool = False) -> None:
        """Create a chronicle: the journal first, then the main file with its first bytes.

        Where that fails, both are removed again, so that they bar no later attempt.

        Parameters
        ----------
        data : bytes
        replaces : bool
            A main file that was not closed is removed before.
        """
        if replaces:
            self._require_own(self.path)
            self._disk.unlink(self.path)
            self._disk.sync_folder(self.path.parent)
        main = None
        try:
            self._publish_journal()
            with self._temporary(self.path) as main:
                main.write(data, 0)
                main.sync()
                self._give_name(main, self.path)
            self._disk.sync_folder(self.path.parent)
        except (OSError, RecorderError):
            with suppress(OSError):
                if main is not None and main.path == self.path:
                    main.close()
                    self._remove_own(self.path)
                self._remove_own(self._lock.journal)
            raise
        self._open_main = main

    def reopen(self) -> None:
        """Continue a chronicle: the journal first, then cut the main file to its full batches."""
        main = self._disk.open(self.path)
        try:
            self._require_own(self.path)
            self._publish_journal()
            self._write_count(main, None)
            # In two steps, so that no page of a session whose fsync has failed can remain.
            main.truncate(self._end + 1)
            main.truncate(self._end)
            main.sync()
        except BaseException:
            main.close()
            raise
        self._open_main = main

    # ------------------------------------------------------------------------------- recording

    def seal(self, chunk: Chunk) -> None:
        """Append a full batch to the main file, without waiting for the disk."""
        self._append(self._encoder.feed(chunk))

    @property
    def has_rest(self) -> bool:
        """Whether blocks of a batch have been built, but could not be written."""
        return bool(self._unwritten)

    def write_rest(self) -> None:
        """Write the blocks that could not be written before."""
        self._append(b"")

    def rotate(self) -> None:
        """Start a new journal, with only those rows that are not in the main file.

        Raises
        ------
        OSError
            Such as a full disk; the old journal is used further.
        RecorderError
            A file could not be synced: the session has ended. Or the main file was removed.
        """
        if not self._main.is_at(self.path):
            raise RecorderError(
                f"{self.path}: was removed or replaced while it was being recorded; close the "
                "recorder to save the records"
            )
        self._lock.renew()
        self._sync(self._main)
        self._publish_journal()

    def _publish_journal(self) -> None:
        """Write a journal of the pending rows, and rename it over any other."""
        pending, target = self._pending, self._lock.journal
        with pending.lock:
            bodies = pending.written()
        with self._temporary(target) as file:
            journal = JournalFile(
                file, Framer(self._grammar, int.from_bytes(os.urandom(8), "little"))
            )
            data = self._journal_header(journal.framer)
            data += pending.entries_of(bodies, pending.first, journal)
            file.write(data, 0)
            self._sync(file)
            offset = len(data)
            with pending.lock:  # rows may have been logged since
                rest = pending.written(len(bodies))
                if data := pending.entries_of(rest, pending.first + len(bodies), journal):
                    file.write(data, offset)
                    offset += len(data)
                    if pending.is_durable:
                        self._sync(file)
                self._give_name(file, target)
                self._sync_folder()
                old = pending.switch(journal, offset)
        if old is not None:
            old.file.close()

    def _journal_header(self, framer: Framer) -> bytes:
        progress = self._encoder.progress
        header = JournalHeader(
            version=self._encoder.schema.format.version,
            schema_digest=self._grammar.checksum(self._encoder.schema.embedded),
            salt=framer.salt,
            base_records=progress.num_records,
            base_length=progress.offset,
            running_crc=progress.crc or 0,
            last_masked_crc=progress.last_masked_crc,
        )
        return encode_header(header, self._grammar)

    @property
    def num_records(self) -> int:
        """Records in full batches, those included that could not be written yet."""
        return self._encoder.num_records

    def digest(self, chunks: Iterable[Chunk]) -> str:
        """Return the digest of all records in full batches and of those after them.

        Of a file that has been closed: of all records.
        """
        return final_digest(self._encoder) if self.is_finished else digest_of(self._encoder, chunks)

    # ------------------------------------------------------------------------------------- end

    def close(self, chunk: Chunk | None) -> None:
        """Write the last blocks, commit, and remove the journal.

        Parameters
        ----------
        chunk : Chunk or None
            The records that do not fill a batch.
        """
        main = self._main
        if chunk is not None:
            self._append(self._encoder.feed(chunk))
        self._append(self._encoder.finish(self.status))
        self._sync(main)
        self._write_count(main, self._encoder.num_records)
        self._sync(main)
        self.is_finished = True
        is_rescued = self._rescue_if_lost()
        self._remove_own(self._lock.journal)
        self._sync_folder()
        if not is_rescued:  # lost meanwhile, when the journal had gone, too
            self._rescue_if_lost()

    def close_files(self) -> None:
        """Close all open files, in any state."""
        if self._open_main is not None:
            self._open_main.close()
        self._pending.close_journal()

    def _rescue_if_lost(self) -> bool:
        """Copy a finished file that has lost its name, to that name if it is free.

        Returns whether it had lost it.
        """
        main = self._main
        if main.is_at(self.path):
            return False
        with self._temporary(self.path) as copy:
            size = os.fstat(main.descriptor).st_size
            for offset in range(0, size, _COPY_AT_ONCE):
                copy.write(main.read(_COPY_AT_ONCE, offset), offset)
            copy.sync()
            target = self._publish_rescued(copy)
        self._disk.sync_folder(target.parent)
        copy.close()
        if target != self.path:
            raise RecorderError(
                f"{self.path}: was replaced while it was being recorded; the run was saved as "
                f"{target}"
            )
        return True

    def _publish_rescued(self, copy: File) -> Path:
        target = self.path
        while True:
            try:
                self._disk.publish(copy, target)
            except FileExistsError:
                target = unused_name(self.path, "rescued")
            else:
                return target

    # ------------------------------------------------------------------------------ operations

    def _give_name(self, file: File, target: Path) -> None:
        """Give a finished file its name, if that is free or of a file of this session.

        Raises
        ------
        RecorderError
            It is of another one.
        """
        with self._lock.handing_over(target, file.path):
            if self._lock.holds(target):
                self._disk.rename(file, target)
                return
            try:
                self._disk.publish(file, target)
            except FileExistsError as err:
                raise self._taken_error(target) from err

    def _remove_own(self, path: Path) -> None:
        """Remove a file, unless it is another one by now."""
        if self._lock.holds(path):
            self._disk.unlink(path)

    def _require_own(self, path: Path) -> None:
        if not self._lock.holds(path):
            raise self._taken_error(path)

    def _taken_error(self, path: Path) -> RecorderError:
        return RecorderError(
            f"{path}: was removed or replaced by another process, which may record the same run; "
            "close the recorder to save the records"
        )

    def _append(self, blocks: bytes) -> None:
        """Write blocks at the end of the main file, after any that could not be written before."""
        self._unwritten += blocks
        if self._unwritten:
            self._main.write(self._unwritten, self._end)
            self._end += len(self._unwritten)
            self._unwritten = b""

    def _write_count(self, main: File, records_count: int | None) -> None:
        """Write the record count of the header, or that the file is open; it commits the file."""
        at = self._grammar.header.upto("records_count").size
        main.write(self._encoder.header(records_count)[at:], at)

    def _temporary(self, target: Path) -> AbstractContextManager[File]:
        main, permissions = self._open_main, self._permissions
        if main is not None:
            permissions = os.fstat(main.descriptor)
        return temporary_file(target, self._disk, RECORDER_TEMPORARY, permissions)

    def _sync(self, file: File) -> None:
        self._pending.sync(file.sync, file.path)

    def _sync_folder(self) -> None:
        folder = self.path.parent
        self._pending.sync(lambda: self._disk.sync_folder(folder), folder)
