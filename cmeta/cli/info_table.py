"""What `cmeta info` says of a chronicle, gathered as far as the file is intact."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from cmeta.cli.console import file_name, progress
from cmeta.cli.errors import reading
from cmeta.cli.files import readable
from cmeta.errors import DecodeError
from cmeta.reader.reader import Reader
from cmeta.schema.types import Field
from cmeta.validate import Finding

T = TypeVar("T")

_CHUNK = 1 << 20


@dataclass
class Facts:
    """Facts of a chronicle.

    Attributes
    ----------
    state : str
        "closed", "open", or "damaged": also if something inside a closed file cannot be read.
    has_journal : bool
        Of an open file: whether its journal gives the records since the last batch.
    phases : mapping of str to int, or None
        Records of each phase; None if it was not counted.
    occurrences : mapping of str to int, or None
        Number of batches in which a field occurs, by its path; None if it was not counted.
    sha256 : str or None
        Of a closed, undamaged file: the identity of the experiment.
    problems : list of Finding
        What is wrong, as far as has been seen; behind the intact part of an open file this is
        expected.
    """

    file: str
    state: str
    has_journal: bool
    version: str
    num_records: int
    num_batches: int
    len_file: int
    first_timestamp: int | None
    last_timestamp: int | None
    batch_records: int
    fields: tuple[Field, ...]
    undeclared: tuple[Field, ...] = ()
    configs: tuple[Mapping[str, Any], ...] = ()
    phases: Mapping[str, int] | None = None
    occurrences: Mapping[str, int] | None = None
    sha256: str | None = None
    problems: list[Finding] = field(default_factory=list)

    @property
    def bytes_per_record(self) -> float | None:
        """Length of the file over its records; None if there are none."""
        return self.len_file / self.num_records if self.num_records else None


def gather(reader: Reader, path: Path, *, quick: bool) -> Facts:
    """Return the facts of an open reader.

    Parameters
    ----------
    quick : bool
        Only what opening reads; the batches are not looked at.
    """
    with reading(path):
        batches, header = reader.batches, reader.header
        facts = Facts(
            file=file_name(path),
            state=reader.state,
            has_journal=reader.has_journal,
            version=f"{header.version >> 8}.{header.version & 0xFF}",
            num_records=len(reader),
            num_batches=len(batches),
            len_file=reader.len_file,
            first_timestamp=batches[0].first_timestamp if batches else None,
            last_timestamp=batches[-1].last_timestamp if batches else None,
            batch_records=reader.schema.batch_records,
            fields=reader.schema.fields,
        )
        if reader.problem is not None:
            facts.problems.append(Finding.of(reader.problem))
        num_declared = len(facts.fields)
        facts.undeclared = _attempt(facts, lambda: reader.fields[num_declared:], ())
        facts.configs = _attempt(facts, lambda: reader.configs, ())
        if not quick:
            _look_at_batches(reader, facts, path)
            if facts.state == "closed":
                facts.sha256 = _digest(readable(path))
    return facts


def _attempt(facts: Facts, read: Callable[[], T], otherwise: T) -> T:
    """Return what `read` gives; if that is damaged, remember it."""
    try:
        return read()
    except DecodeError as err:
        facts.state = "damaged" if facts.state == "closed" else facts.state
        facts.problems.append(Finding.of(err))
        return otherwise


def _look_at_batches(reader: Reader, facts: Facts, path: Path) -> None:
    counts = np.zeros(len(reader.schema.phases), np.int64)
    occurrences: Counter[str] = Counter()

    def look(ordinal: int) -> None:
        batch = reader.batch(ordinal)
        counts[:] += np.bincount(batch.phases.codes, minlength=len(counts))
        occurrences.update(field.path for field in batch.fields)

    with progress(f"Batches of {path.name}") as update:
        for info in reader.batches:
            _attempt(facts, lambda ordinal=info.ordinal: look(ordinal), None)  # type: ignore[misc]
            update(info.offset, facts.len_file)
    pairs = zip(reader.schema.phases, counts.tolist(), strict=True)
    facts.phases = {name: count for name, count in pairs if count}
    facts.occurrences = occurrences


def _digest(path: Path | bytes) -> str:
    if isinstance(path, bytes):
        return hashlib.sha256(path).hexdigest()
    digest, done, size = hashlib.sha256(), 0, path.stat().st_size
    with path.open("rb") as file, progress(f"sha256 of {path.name}") as update:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            update(done := done + len(chunk), size)
    return digest.hexdigest()
