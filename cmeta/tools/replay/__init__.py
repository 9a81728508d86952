"""Replay: recorded cycles are run again from their seeds, and the results compared."""

from cmeta.tools.replay.replay import ReplayState, replay, replay_cycle
from cmeta.tools.replay.replay_report import Difference, ReplayReport

__all__ = ["Difference", "ReplayReport", "ReplayState", "replay", "replay_cycle"]
