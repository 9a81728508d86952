"""Records that are not taken: counted and warned of, for those who asked for that.

With ``on_error="warn"`` a training goes on without a record that goes back, has a bad value, or
finds the disk full. The first of each kind is warned of with its reason, all of them at the end.
"""

from __future__ import annotations

import warnings
from collections import Counter

from cmeta.errors import CmetaWarning, EncodeError, OrderError, RecorderError, counted

_REASONS = {"order": "going back in (timestamp, phase)", "value": "bad values", "disk": "the disk"}


class Refusals:
    """The records of one recorder that were not taken.

    Attributes
    ----------
    counts : Counter of str
        By reason: "order", "value" or "disk".
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def add(self, error: Exception, *, has_ended: bool) -> bool:
        """Count a record; return whether its error is of a kind that a training may survive.

        Parameters
        ----------
        error : Exception
        has_ended : bool
            The session has ended because of the disk, so its refusals are of that kind.
        """
        if isinstance(error, OrderError):
            reason = "order"
        elif isinstance(error, EncodeError):
            reason = "value"
        elif isinstance(error, OSError) or (has_ended and type(error) is RecorderError):
            reason = "disk"
        else:
            return False
        self.counts[reason] += 1
        if self.counts[reason] == 1:
            message = f"a record was not taken: {error}. More of this kind are only counted"
            warnings.warn(message, CmetaWarning, stacklevel=4)
        return True

    def __str__(self) -> str:
        of_each = [f"{count:,} of {_REASONS[reason]}" for reason, count in self.counts.items()]
        return f"{counted(self.counts.total(), 'record')} not taken, because {', '.join(of_each)}"
