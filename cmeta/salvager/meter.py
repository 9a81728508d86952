"""Progress of a recovery, in bytes of what is recovered."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]


class Meter:
    """Progress in three equal parts: finding blocks, writing, verifying. It never goes back."""

    def __init__(self, tell: Progress, size: int) -> None:
        self._tell, self._size, self._done = tell, size, 0

    def at(self, part: int, done: int, total: int) -> None:
        """Say how much of a part, counted from 0, is done."""
        if total:
            thirds = part * total + min(done, total)
            self._done = max(self._done, self._size * thirds // (3 * total))
            self._tell(self._done, self._size)

    def finish(self) -> None:
        """Say that all is done."""
        self._tell(self._size, self._size)
