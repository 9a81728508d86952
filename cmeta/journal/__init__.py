"""The journal: the records of an open file that are not yet in a full batch (SPEC, Journal).

`rows` is the layout of a record in a ROW, and turns rows into chunks and back; `entries` frames and
scans; `journal` is what an intact journal holds; `standing` says in which state a file and its
journal are; `row_batch` lets a reader treat rows as a batch.
"""

from cmeta.journal.journal import Journal, journal_path, read_beside, read_journal
from cmeta.journal.row_batch import RowBatch
from cmeta.journal.rows import RowLayout
from cmeta.journal.standing import Standing, standing_of

__all__ = [
    "Journal", "RowBatch", "RowLayout", "Standing", "journal_path", "read_beside", "read_journal",
    "standing_of",
]  # fmt: skip
