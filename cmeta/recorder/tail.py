"""Where a ledger ends: the journal that it writes, and its last record in there."""

from __future__ import annotations

from typing import NamedTuple

from cmeta.journal.entries import Framer
from cmeta.recorder.deferred import Draft
from cmeta.recorder.disk import File


class JournalFile:
    """The journal that is being written.

    Attributes
    ----------
    file : File
    framer : Framer
    defined : dict of str to set of int
        Numbers that it has defined, by kind of entry.
    """

    def __init__(self, file: File, framer: Framer) -> None:
        self.file, self.framer = file, framer
        self.defined: dict[str, set[int]] = {"CONFIG": set(), "NAME": set()}


class Tail(NamedTuple):
    """Where the ledger ends.

    Attributes
    ----------
    num_records : int
        Of the whole run, but for the group.
    timestamp, phase : int
        Of the last of them.
    offset : int
        Where the next entry goes in the journal.
    num_configs, num_names : int
        How many configurations and names of the run these records use.
    group : list of Draft
        What has been logged but not yet written.
    """

    num_records: int
    timestamp: int
    phase: int
    offset: int
    num_configs: int
    num_names: int
    group: list[Draft]
