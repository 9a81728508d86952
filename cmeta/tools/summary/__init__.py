"""Summaries: the statistics of a run by field and phase, and its curves."""

from cmeta.tools.summary.summarise import summarise
from cmeta.tools.summary.summary_report import FieldSummary, Missing, Summary

__all__ = ["FieldSummary", "Missing", "Summary", "summarise"]
