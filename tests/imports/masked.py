"""The columns of an import as arrays."""

import dataclasses


def masked(imported):
    """Return an import whose columns are arrays, masked where a value is absent."""
    columns = imported.columns.items()
    arrays = {name: cells.masked(imported.num_records) for name, cells in columns}
    return dataclasses.replace(imported, columns=arrays)
