"""Imports from other tools: one module for each format."""

from cmeta.tools.imports.formats import ImportOptions
from cmeta.tools.imports.import_run import ImportReport, import_run
from cmeta.tools.imports.import_runs import FailedImport, import_runs

__all__ = ["FailedImport", "ImportOptions", "ImportReport", "import_run", "import_runs"]
