"""Columns as data frames of pandas and polars, with the types of `to_arrow`.

pandas gets its Arrow types: an absent value is NA, and a recorded NaN stays what it is, which
neither numpy's types nor pandas' own nullable ones keep apart. (Arithmetic of pandas makes NA of
both.) Enumerations and configurations are categories; in polars enumerations are Enums.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cmeta.extras import require

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    from cmeta.columns.columns import Columns


def to_pandas(columns: Columns) -> pd.DataFrame:
    """Return a data frame; see `Columns.to_pandas`."""
    pandas = require("pandas", "pandas")

    def type_of(arrow: Any) -> Any:
        """Return the type of a column; None: what pandas takes for a dictionary, categories."""
        return None if hasattr(arrow, "index_type") else pandas.ArrowDtype(arrow)

    return columns.to_arrow().to_pandas(types_mapper=type_of)


def to_polars(columns: Columns) -> pl.DataFrame:
    """Return a data frame; see `Columns.to_polars`."""
    polars = require("polars", "polars")
    numbered = columns.to_arrow().rename_columns(list(map(str, range(len(columns)))))
    frame = polars.from_arrow(numbered)
    frame.columns = list(columns)  # on its way a name would end at a NUL
    labelled = [field for field in columns.schema.fields if field.labels and field.path in columns]
    return frame.with_columns(
        polars.col(field.path).cast(polars.Enum(list(field.labels))) for field in labelled
    )
