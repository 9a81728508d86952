"""Importing what other tools have written: a file for each format."""

from cmeta.tools.imports.import_run import import_run
from cmeta.tools.imports.model import ImportReport

__all__ = ["ImportReport", "import_run"]
