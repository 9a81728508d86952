"""Reading: `reader` is the face of an open `file`, `selection` finds batches and rows, `gather`
makes arrays of them, `records` makes records.
"""

from cmeta.reader.info import BatchInfo
from cmeta.reader.reader import Reader, open_reader

__all__ = ["BatchInfo", "Reader", "open_reader"]
