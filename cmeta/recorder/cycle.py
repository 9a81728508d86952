"""A cycle: a seed in force, and one record of everything that is logged within it."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from cmeta.records import seeds

if TYPE_CHECKING:
    from cmeta.recorder.recorder import Recorder


class Cycle:
    """One cycle of a run; a context manager, made by `Recorder.cycle`.

    Attributes
    ----------
    seed : int
        u64; derived from the run's root. In force from entering on.
    rng : numpy.random.Generator
        ``numpy.random.default_rng(seed)``, made when it is first asked for.
    """

    def __init__(
        self, recorder: Recorder, phase: str, seed: int, index: int, *, seed_globals: bool,
        stated: Mapping[str, Any],
    ) -> None:  # fmt: skip
        self.seed, self._index = seed, index
        self._recorder, self._phase, self._seed_globals = recorder, phase, seed_globals
        self._stated = dict(stated)
        self._fields: dict[str, Any] = {}
        self._metrics: dict[str, Any] = {}
        self._rng: np.random.Generator | None = None

    @property
    def rng(self) -> np.random.Generator:
        """The cycle's generator."""
        if self._rng is None:
            self._rng = np.random.default_rng(self.seed)
        return self._rng

    def log(self, metrics: Mapping[str, Any] | None = None, **fields: Any) -> None:
        """Note fields and metrics of this cycle; a later value of the same name counts.

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
            seeds.put_in_force(self.seed)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        if kind is not None:
            self._recorder._release_seed(self._index)
            return
        fields = {"seed_state": self.seed, **self._stated, **self._fields}
        self._recorder.log(self._phase, metrics=self._metrics or None, **fields)
