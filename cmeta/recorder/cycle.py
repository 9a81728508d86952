"""`Cycle`: a derived seed, and one record of everything that is logged while it lasts.

It is entered once, by ``with``, and takes values only inside that block: one that came before or
after it would be in no record.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Never

import numpy as np

from cmeta.errors import CmetaWarning, RecorderError, held_file
from cmeta.records import seeds


class Cycle:
    """One cycle of a run; a context manager, created by `Recorder.cycle`.

    Attributes
    ----------
    seed : int
        u64; derived from the root of the run. The global generators are seeded with it on entry.
    rng : numpy.random.Generator
        ``numpy.random.default_rng(seed)``, created when it is first used.
    """

    def __init__(
        self, seed: int, fields: Mapping[str, Any], *, seed_globals: bool,
        commit: Callable[[Mapping[str, Any], dict[str, Any]], None], cancel: Callable[[], None],
    ) -> None:  # fmt: skip
        self.seed = seed
        self._has_begun = self._has_ended = False
        self._seed_globals, self._commit, self._cancel = seed_globals, commit, cancel
        self._fields: dict[str, Any] = {"seed_state": seed, **fields}
        self._metrics: dict[str, Any] = {}
        self._no_mapping: Any = None  # given as metrics, and refused with the record
        self._rng: np.random.Generator | None = None

    @property
    def rng(self) -> np.random.Generator:
        """The generator of this cycle."""
        if self._rng is None:
            self._rng = np.random.default_rng(self.seed)
        return self._rng

    def log(self, metrics: Mapping[str, Any] | None = None, **fields: Any) -> None:
        """Add fields and metrics to the record of this cycle; later values replace earlier ones.

        Parameters
        ----------
        metrics : mapping of str to value, optional
            As for `Recorder.log`.
        **fields : value
            Fields of the record, and metrics, as for `Recorder.log`.

        Raises
        ------
        RecorderError
            The block has not begun, or has ended.
        """
        if not self._has_begun:
            raise RecorderError(
                "this cycle has not begun: it takes values only inside its block, "
                "`with rec.cycle(...) as c: c.log(...)`; Recorder.log records at once"
            )
        if self._has_ended:
            raise RecorderError(
                "this cycle has ended, with its record: log inside its block, or in another cycle"
            )
        given: Any = metrics
        if isinstance(given, Mapping):
            self._metrics.update(given)
        elif given is not None:
            self._no_mapping = given
        self._fields.update(fields)

    def __enter__(self) -> Cycle:
        if self._has_begun:
            raise RecorderError(
                "this cycle has been entered before; each rec.cycle(...) is for one"
            )
        self._has_begun = True
        if self._seed_globals:
            seeds.seed_global_generators(self.seed)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        commit, cancel = self._commit, self._cancel
        self._has_ended = True
        self._commit, self._cancel = _nothing, _nothing  # a cycle that is kept keeps no recorder
        if kind is not None:
            cancel()
        else:
            commit(self._no_mapping or self._metrics, self._fields)

    def __del__(self) -> None:
        if len(self._fields) > 1 and not self._has_begun:  # more than the seed
            warnings.warn(
                "a cycle was never entered, so its values were not recorded; use `with "
                "rec.cycle(...):`, or Recorder.log",
                CmetaWarning,
                stacklevel=2,
            )

    def __reduce__(self) -> Never:
        raise held_file(self)


def _nothing(*_: object) -> None:
    """Do nothing."""
