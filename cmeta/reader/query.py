"""`Reader.query`: the records for which a condition is true, as columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cmeta.reader.read_columns import DEFAULT_MAX_BYTES, read_columns
from cmeta.reader.selection import Selection, num_rows
from cmeta.records.columns import Columns
from cmeta.storage.open import BatchInfo, OpenFile

if TYPE_CHECKING:
    from cmeta.query.parse import Expression
    from cmeta.reader.reader import Reader


def query(
    self: Reader,
    expression: str | Expression,
    fields: Sequence[str] | None = None,
    start: int | None = None,
    end: int | None = None,
    phase: str | Sequence[str] | None = None,
    *,
    codes: bool = False,
    threads: int = 1,
    max_bytes: int = DEFAULT_MAX_BYTES,
) -> Columns:
    """Return the records for which a condition is true, as `read` does.

    The batches are looked at twice, so that the answer is no larger than it must be: first for the
    fields of the condition alone, then those that hold something for the fields of the answer.

    Parameters
    ----------
    expression : str or Expression
        ``loss_value < 0.1 and phase == 'validate'``; see `cmeta.query`. What is absent is neither
        less nor greater than anything: it is not selected, by its opposite neither.
    fields, start, end, phase, codes, threads, max_bytes
        As `read`.

    Raises
    ------
    QueryError
        It is no condition, or the file does not have what it names; points at the place.
    DecodeError, LimitError, KeyError
        As `read`.

    Examples
    --------
    >>> import tempfile, cmeta
    >>> path = tempfile.mktemp(suffix=".cmeta")
    >>> cmeta.write(path, {"phase": ["train"] * 3, "loss_value": [0.5, 0.05, None]})
    3
    >>> with cmeta.open(path) as run:
    ...     run.query("loss_value < 0.1", ["timestamp"])["timestamp"].tolist()
    [1]
    """
    # Whoever records or reads does without them.
    from cmeta.query.parse import parse
    from cmeta.reader.condition import Condition

    parsed = parse(expression) if isinstance(expression, str) else expression
    selection, wanted, configs = self._question(fields, start, end, phase)
    condition = Condition.of(parsed, self.schema, lambda: self.fields, lambda: self.configs)
    selection = _counted(selection.where(condition), self._file)
    return read_columns(
        self._file, selection, wanted, codes=codes, threads=threads, max_bytes=max_bytes,
        configs=configs,
    )  # fmt: skip


@dataclass(frozen=True)
class _Counted(Selection):
    """A selection of which it is known what each batch holds."""

    hits: tuple[BatchInfo, ...] = ()

    def infos(self, file: OpenFile) -> list[BatchInfo]:
        return list(self.hits)


def _counted(selection: Selection, file: OpenFile) -> Selection:
    hits = []
    for info in selection.infos(file):
        batch = file.batch(info.ordinal)
        count = num_rows(selection.rows(batch))
        file.stats.num_columns += batch.num_columns_decoded
        if count:
            hits.append(replace(info, num_records=count))
    return _Counted(selection.start, selection.end, selection.phases, selection.condition, (*hits,))
