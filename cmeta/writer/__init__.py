"""Writing: `values` converts and checks, `maker` gathers columns, `batch` builds a BATCH body,
`encoder` turns records into the bytes of a file without touching one, `write` puts them on disk.
"""

from cmeta.writer.encoder import Encoder
from cmeta.writer.write import write

__all__ = ["Encoder", "write"]
