"""Diffing: what two runs logged, held against each other record by record.

`side` gives one chronicle's columns by ordinal, `meeting` says how far two columns of a field are
apart, `tally` keeps the first and the worst of it, `schemas` and `configs` compare what stands
around the records, `engine` goes through both files, `report` is the answer.
"""

from cmeta.differ.engine import diff
from cmeta.differ.report import ConfigDifference, Deviation, DiffReport, FieldDiff, SchemaDifference

__all__ = ["ConfigDifference", "Deviation", "DiffReport", "FieldDiff", "SchemaDifference", "diff"]
