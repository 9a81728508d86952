"""`Columns`: records as arrays, which is what `read` gives and `write` takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cmeta.schema import Schema


class Columns(Mapping[str, npt.NDArray[Any]]):
    """A read-only mapping of dotted names to arrays of ``(n_records,)`` or ``(n_records, k)``.

    Attributes
    ----------
    present : mapping of str to bool array, (n_records,)
        Which records have the field. An absent float is NaN, an absent integer 0, an absent name
        the empty string; only `present` tells an absent value from a recorded one.
    schema : Schema
        Of the file.
    configs : sequence of mapping
        The file's configurations; the column ``config`` holds places in it.
    """

    def __init__(
        self,
        arrays: Mapping[str, npt.NDArray[Any]],
        present: Mapping[str, npt.NDArray[np.bool_]],
        schema: Schema,
        configs: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self._arrays = dict(arrays)
        self.present = dict(present)
        self.schema = schema
        self.configs = tuple(configs)

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        try:
            return self._arrays[name]
        except KeyError:
            known = ", ".join(self._arrays)
            raise KeyError(f"no field {name!r} with a value here; there are: {known}") from None

    def __contains__(self, name: object) -> bool:
        return name in self._arrays

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    @property
    def num_records(self) -> int:
        """Number of records."""
        return len(next(iter(self._arrays.values()))) if self._arrays else 0

    def masked(self, name: str) -> np.ma.MaskedArray[Any, Any]:
        """Return a column as a masked array: masked where absent."""
        values, present = self[name], self.present[name]
        mask = ~present if values.ndim == 1 else np.repeat(~present[:, None], values.shape[1], 1)
        return np.ma.MaskedArray(values, mask)

    def __repr__(self) -> str:
        return f"<Columns of {self.num_records} records: {', '.join(self._arrays)}>"
