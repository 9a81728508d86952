"""Rows of many metrics become a chunk in time that grows with their number of values."""

import numpy as np
import pytest

import cmeta
from cmeta.format.grammar import grammar_of
from cmeta.format.journal import RowLayout, Tables

SCHEMA = cmeta.default_schema()
LAYOUT = RowLayout(SCHEMA, grammar_of(SCHEMA.format))


def rows_of(values):
    """Return rows with the given values, by number of the name; and the tables."""
    bodies = []
    for metrics in values:
        fixed = np.zeros(1, LAYOUT.dtype)
        fixed["present"][0, 0] = 3  # timestamp and phase
        fixed["num_undeclared"] = len(metrics)
        bodies.append(fixed.tobytes() + np.array(sorted(metrics.items()), LAYOUT.entry).tobytes())
    numbers = {number for metrics in values for number in metrics}
    return bodies, Tables(names={number: f"m{number}" for number in numbers})


def metrics_of(chunk):
    """Return the values of each row by name."""
    rows = [{} for _ in range(chunk.num_records)]
    for field, column in chunk.columns.items():
        for row in np.flatnonzero(column.mask()) if not field.declared else ():
            rows[row][field.name] = column.values[row].item()
    return rows


@pytest.mark.parametrize("num_metrics", [None, 0, 1, 7, 50])
@pytest.mark.parametrize("seed", range(3))
def test_each_row_has_its_values(seed, num_metrics):
    """None: rows of different lengths; 50: the same metrics in each."""
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(30):
        count = rng.integers(0, 20) if num_metrics is None else num_metrics
        chosen = rng.choice(50, count, replace=False)
        values.append({int(n): float(rng.random()) for n in chosen})
    chunk = LAYOUT.chunk_of(*rows_of(values))
    assert metrics_of(chunk) == [{f"m{n}": v for n, v in row.items()} for row in values]
    columns = [c for f, c in chunk.columns.items() if not f.declared]
    assert all(c.present is None or not c.present.all() for c in columns)
    assert all(c.values.flags.c_contiguous for c in columns)


class Counted(np.ndarray):
    """An array that counts the elements that are compared."""

    num_compared = 0

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        plain = [i.view(np.ndarray) if isinstance(i, np.ndarray) else i for i in inputs]
        Counted.num_compared += max(np.size(i) for i in plain)
        return getattr(ufunc, method)(*plain, **kwargs)


def test_no_value_is_looked_at_once_for_each_name(monkeypatch):
    values = [{n: float(n) for n in range(201) if n != row} for row in range(50)]
    undeclared_of = LAYOUT.undeclared_of

    def counted(bodies):
        entries, rows = undeclared_of(bodies)
        return entries.view(Counted), rows

    monkeypatch.setattr(LAYOUT, "undeclared_of", counted)
    Counted.num_compared = 0
    chunk = LAYOUT.chunk_of(*rows_of(values))
    assert len(metrics_of(chunk)[7]) == 200  # a different one is missing in each row
    assert Counted.num_compared <= 20 * 50 * 200
