"""`Cycle`: a derived seed, and one record of everything that is logged while it lasts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

import numpy as np

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
        self._seed_globals, self._commit, self._cancel = seed_globals, commit, cancel
        self._fields: dict[str, Any] = {"seed_state": seed, **fields}
        self._metrics: dict[str, Any] = {}
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
            Fields of the record.
        """
        if metrics is not None:
            self._metrics.update(metrics)
        self._fields.update(fields)

    def __enter__(self) -> Cycle:
        if self._seed_globals:
            seeds.seed_global_generators(self.seed)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        if kind is not None:
            self._cancel()
        else:
            self._commit(self._metrics, self._fields)
