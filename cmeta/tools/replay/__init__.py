"""Replay: recorded cycles are run again from their seeds, and the results compared."""

from cmeta.tools.replay.replay import replay
from cmeta.tools.replay.replay_report import Difference, ReplayReport
from cmeta.tools.replay.state import ReplayState, replay_cycle

__all__ = ["Difference", "ReplayReport", "ReplayState", "replay", "replay_cycle"]
