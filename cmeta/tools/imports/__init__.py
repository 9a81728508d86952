"""Imports from other tools: one module for each format."""

from cmeta.tools.imports.import_run import ImportReport, import_run

__all__ = ["ImportReport", "import_run"]
