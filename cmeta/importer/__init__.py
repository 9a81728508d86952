"""Importing what other tools have kept: a module of `sources` for each format makes columns of a
file, with what `tables` or `logs` know of its kind; the engine writes them as a chronicle, and says
what could not be kept.
"""

from cmeta.importer.engine import import_run
from cmeta.importer.report import ImportReport

__all__ = ["ImportReport", "import_run"]
