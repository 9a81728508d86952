"""`Columns`: records as arrays, as `read` returns and `write` takes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cmeta.aliases import Array, Mask
from cmeta.safe_text import printable
from cmeta.schema.schema import Schema
from cmeta.vocabulary import find, resolve

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

_HERE = " with a value here"


class Columns(Mapping[str, Array]):
    """A read-only mapping of dotted names to arrays of ``(n_records,)`` or ``(n_records, k)``.

    Its keys are full names; what `Reader.read` takes for a name means the same here:
    ``columns["loss"]`` is ``columns["loss_value"]``.

    Attributes
    ----------
    present : mapping of str to bool array, (n_records,)
        Which records have the field. An absent float is NaN, an absent integer 0, an absent name
        the empty string; only `present` tells an absent value from a recorded one.
    schema : Schema
        Of the file.
    configs : sequence of mapping
        The file's configurations; the column ``config`` holds places in it.
    status : str or None
        How the run ended; `cmeta.write` keeps it.
    """

    def __init__(
        self,
        arrays: Mapping[str, Array],
        present: Mapping[str, Mask],
        schema: Schema,
        configs: Sequence[Mapping[str, Any]] = (),
        status: str | None = None,
    ) -> None:
        self._arrays = dict(arrays)
        groups = [f"{group}." for group in schema.groups]
        self._names = {path: _without_group(path, groups) for path in self._arrays}
        self.present = _Masks(present, self._names)
        self.schema = schema
        self.configs = tuple(configs)
        self.status = status

    def __getitem__(self, name: str) -> Array:
        if name not in self._arrays:
            name = resolve(name, self._names, where=_HERE, occurs=self._occurs)
        return self._arrays[name]

    def get(self, name: str, default: Any = None) -> Any:
        """Return a column, or `default` if there is none of this name."""
        if name in self:
            return self[name]
        return default

    def __contains__(self, name: object) -> bool:
        """Return whether a name means a column.

        Raises
        ------
        KeyError
            It may mean several.
        """
        if name in self._arrays:
            return True
        return isinstance(name, str) and find(name, self._names, self._occurs) is not None

    def _occurs(self, path: str) -> bool:
        mask = self.present.get(path)
        return mask is None or bool(mask.any())

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

    # ------------------------------------------------------------- for other libraries, and back

    def to_arrow(self) -> pa.Table:
        """Return the records as an Arrow table, with exactly the types of their fields.

        Returns
        -------
        pyarrow.Table
            An absent value is null, a recorded NaN is NaN; u64 is uint64, a vector a
            fixed_size_list, an undeclared metric always double; an enumeration a dictionary of all
            its names, a configuration one of canonical JSON. The metadata of a column are its
            ``unit``, ``doc`` and ``quanta_per_unit`` (``doc`` is that of an equal field of the
            shipped schema); those of the table ``cmeta.version``, ``cmeta.schema``,
            ``cmeta.configs`` and ``cmeta.status``. Numbers share the memory of the arrays.

        Raises
        ------
        MissingExtraError
            pyarrow is not installed.

        Examples
        --------
        >>> from cmeta import default_schema
        >>> columns = Columns({"loss_value": np.float32([0.5, 0])},
        ...                   {"loss_value": np.array([True, False])}, default_schema())
        >>> columns.to_arrow()["loss_value"].to_pylist()
        [0.5, None]
        """
        from cmeta.records.arrow import table_of

        return table_of(self, self.present, self.schema, self.configs, self.status)

    def to_pandas(self) -> pd.DataFrame:
        """Return the records as a pandas data frame with the Arrow types of `to_arrow`.

        An absent value is NA and a recorded NaN stays NaN; integers stay integers. Enumerations
        and configurations (JSON) are categories, in the order of their codes.

        Raises
        ------
        MissingExtraError
            pandas or pyarrow is not installed.
        """
        from cmeta.records.arrow import to_pandas

        return to_pandas(self, self.present, self.schema, self.configs)

    def to_polars(self) -> pl.DataFrame:
        """Return the records as a polars data frame with the types of `to_arrow`.

        Enumerations are Enums of all their names, configurations Categoricals of JSON.

        Raises
        ------
        MissingExtraError
            polars or pyarrow is not installed.
        """
        from cmeta.records.arrow import to_polars

        return to_polars(self, self.present, self.schema, self.configs)

    @classmethod
    def from_arrow(cls, data: Any, schema: Schema | None = None, *, codes: bool = False) -> Columns:
        """Return a table as columns, which `cmeta.write` takes; undoes `to_arrow`.

        Parameters
        ----------
        data : table
            Of pyarrow, pandas, polars, or of any library with ``__arrow_c_stream__``. Columns by
            dotted name, in any order; null is absent. Names and JSON may be plain
            strings, vectors lists, numbers of other widths: what other libraries make of a table.
        schema : Schema, optional
            Default: the one in the metadata of a table that cmeta made.
        codes : bool
            Enumerations as codes (uint8) instead of names.

        Raises
        ------
        EncodeError
            There is no schema, or a column does not fit it; names the column. The range of the
            values is checked when they are written.
        MissingExtraError
            pyarrow is not installed.

        Examples
        --------
        >>> import pyarrow as pa
        >>> from cmeta import default_schema
        >>> table = pa.table({"phase": ["train", "validate"], "step": [7, None]})
        >>> columns = Columns.from_arrow(table, default_schema())
        >>> columns["phase"].tolist(), columns.present["step"].tolist()
        (['train', 'validate'], [True, False])
        """
        from cmeta.records.arrow import arrays_of, as_table, schema_of, status_of

        table = as_table(data)
        schema = schema or schema_of(table)
        arrays, present, configs = arrays_of(table, schema, codes=codes)
        return cls(arrays, present, schema, configs, status_of(table))

    def __repr__(self) -> str:
        return printable(f"<Columns of {self.num_records} records: {', '.join(self._arrays)}>")


class _Masks(dict[str, Mask]):
    """Masks by the full names of their fields, which answer to the other names as well."""

    def __init__(self, masks: Mapping[str, Mask], names: Mapping[str, str]) -> None:
        super().__init__(masks)
        self._names = names

    def __missing__(self, name: str) -> Mask:
        path = resolve(name, self._names, where=_HERE, occurs=lambda path: bool(self[path].any()))
        return self[path]


def _without_group(path: str, groups: Sequence[str]) -> str:
    group = next(filter(path.startswith, groups), "")
    return path.removeprefix(group)
