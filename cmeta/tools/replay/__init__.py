"""Replay: recorded cycles are run again from their seeds, and the results compared."""

from cmeta.compare.replay_report import Difference, ReplayReport
from cmeta.tools.replay.replay import ReplayState, replay, replay_cycle

__all__ = ["Difference", "ReplayReport", "ReplayState", "replay", "replay_cycle"]
