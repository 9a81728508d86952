"""Reading: `reader` is the face of an open `file`, `selection` finds batches and rows, `gather`
makes arrays of them, `records` makes records.
"""

from cmeta.reader.reader import Reader, open_reader
from cmeta.storage.open import BatchInfo

__all__ = ["BatchInfo", "Reader", "open_reader"]
