"""Replay: running cycles again from their seeds, and saying how what comes out compares.

`state` is what a cycle gets, `engine` runs the cycles, `compare` tells quanta apart, `report` is
the verdict.
"""

from cmeta.replayer.engine import replay
from cmeta.replayer.report import Difference, ReplayReport
from cmeta.replayer.state import ReplayState, replay_cycle

__all__ = ["Difference", "ReplayReport", "ReplayState", "replay", "replay_cycle"]
