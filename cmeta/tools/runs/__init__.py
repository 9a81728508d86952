"""The catalogue: what a folder of runs holds, remembered between scans."""

from cmeta.tools.runs.run_info import RunField, RunInfo
from cmeta.tools.runs.scan import scan

__all__ = ["RunField", "RunInfo", "scan"]
