"""Importing what other tools have kept: a module for each kind of source makes columns of a file,
the engine writes them as a chronicle, and says what could not be kept.
"""

from cmeta.importer.engine import import_run
from cmeta.importer.report import ImportReport

__all__ = ["ImportReport", "import_run"]
