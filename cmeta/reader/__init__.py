"""Reading: `reader` is the public face of an open file (`cmeta.storage.open`), `selection` the loop
over its batches, rows and columns, `condition` what a query selects, `read_columns` the arrays.
"""

from cmeta.reader.reader import Reader, open_reader
from cmeta.storage.open import BatchInfo

__all__ = ["BatchInfo", "Reader", "open_reader"]
