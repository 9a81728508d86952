"""The runs in a folder: what each holds, remembered in a catalogue between scans."""

from cmeta.tools.runs.run_info import RunField, RunInfo
from cmeta.tools.runs.scan import scan

__all__ = ["RunField", "RunInfo", "scan"]
