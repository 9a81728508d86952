"""Summarising: what a run came to, field by field and phase by phase, and the curves to draw of it.

`parts` gives what is selected, batch by batch; `moments` adds up numbers of any size, `stretches`
keeps the course of a series in a few means, `tally` holds what is known of one series, `engine`
puts a chronicle into tallies, `report` is the answer; `curve` reduces a series to what a picture
shows.
"""

from cmeta.summariser.engine import summarise
from cmeta.summariser.report import FieldSummary, Missing, Summary

__all__ = ["FieldSummary", "Missing", "Summary", "summarise"]
