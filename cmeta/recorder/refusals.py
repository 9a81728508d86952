"""Records that are not taken: counted and warned of, for those who asked for that.

With ``on_error="warn"`` a training goes on without a record that goes back, has a bad value, or
finds the disk full. The first of each kind is warned of with its reason, all of them at the end.
"""

from __future__ import annotations

from collections import Counter

from cmeta.errors import EncodeError, OrderError, RecorderError, counted, warn

_REASONS = {
    "order": "going back in (timestamp, phase)",
    "value": "bad values",
    "disk": "the disk",
    "session": "the end of the session",
}


class Refusals:
    """The records of one recorder that were not taken.

    Attributes
    ----------
    counts : Counter of str
        By reason: "order", "value", "disk" or "session".
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def add(self, error: Exception, *, has_ended: bool) -> bool:
        """Count a record; return whether its error is of a kind that a training may survive.

        Parameters
        ----------
        error : Exception
        has_ended : bool
            The session has ended by a failure, and refuses every record since.
        """
        if isinstance(error, OrderError):
            reason = "order"
        elif isinstance(error, EncodeError):
            reason = "value"
        elif isinstance(error, OSError):
            reason = "disk"
        elif has_ended and type(error) is RecorderError:
            reason = "session"
        else:
            return False
        self.counts[reason] += 1
        if self.counts[reason] == 1:
            message = f"a record was not taken: {error}. More of this kind are only counted"
            warn(message)
        return True

    def __str__(self) -> str:
        of_each = [f"{num:,} of {_REASONS[reason]}" for reason, num in self.counts.items() if num]
        return f"{counted(self.counts.total(), 'record')} not taken, because {', '.join(of_each)}"
