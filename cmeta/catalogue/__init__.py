"""The catalogue: what a folder of runs holds, remembered between looks.

`scan` is the face; `find` tells which files, `look` reads one, `tally` sums up a column, `info` is
what is known of a run; `store` remembers it in SQLite, `pool` reads in several processes; `keys`
gives what is known of many runs as columns, by name.
"""

from cmeta.catalogue.info import RunField, RunInfo
from cmeta.catalogue.scan import scan

__all__ = ["RunField", "RunInfo", "scan"]
