"""The room in the batch that is being filled: a record that it cannot hold is refused at once.

A batch is encoded when it is full, long after its records were taken. So whoever takes records one
by one asks here first, and a record that has been taken always fits.
"""

from __future__ import annotations

from collections.abc import Iterable, Set

from cmeta.errors import EncodeError
from cmeta.format.batch import check_size
from cmeta.format.grammar import grammar_of
from cmeta.schema.schema import Schema
from cmeta.schema.types import FIELD_TYPES


def undeclared_max(schema: Schema) -> int:
    """Return how many undeclared metrics may occur in a full batch.

    A short batch may hold more of them, up to the limit of cells; but a recorder that began one
    could not go on after some records. So it has room for those of a full batch only.
    """
    limits = schema.format.limits
    most = min(limits.columns_max, limits.cells_max // schema.batch_records)
    return most - schema.num_columns


class BatchRoom:
    """The undeclared metrics in the batch that is being filled.

    Parameters
    ----------
    schema : Schema
    names : iterable of str
        Those of the batch that has been begun.
    most : int
        How many may occur in a batch.
    """

    def __init__(self, schema: Schema, names: Iterable[str], most: int) -> None:
        self.names = set(names)
        self._schema, self._most = schema, most
        format_ = schema.format
        len_body = next(f for f in format_.blocks.frame.fields if f.name == "len_body")
        _, len_max = FIELD_TYPES[len_body.type].limits
        # The rest of the body of an INDEX takes less than two entries.
        self._blocks_max = len_max // grammar_of(format_).index_entry.size - 2
        self._blocks_of_batch = 1 + schema.batch_records + format_.limits.columns_max

    @property
    def is_tight(self) -> bool:
        """Whether even a record without metrics may be too much for the batch."""
        return len(self.names) > self._most

    def begin(self, num_blocks: int) -> None:
        """Begin a batch.

        Parameters
        ----------
        num_blocks : int
            Blocks of the file so far.

        Raises
        ------
        EncodeError
            The INDEX may not have room for the blocks of another batch.
        """
        if num_blocks + self._blocks_of_batch > self._blocks_max:
            raise EncodeError(
                f"the file is full: it has {num_blocks:,} blocks, and its INDEX holds at most "
                f"{self._blocks_max:,}; start another one"
            )
        self.names = set()

    def new_names(self, names: Set[str], row: int) -> Set[str]:
        """Return those names that the batch does not have yet.

        Parameters
        ----------
        names : set of str
            Undeclared metrics of a record.
        row : int
            The record's number in the batch, from 0.

        Raises
        ------
        EncodeError
            The batch has no room for the record.
        """
        new = names - self.names
        num = len(self.names) + len(new)
        if new and num > self._most:
            records = self._schema.batch_records
            raise EncodeError(
                f"metrics: found {_some(new)}, which would make {num:,} undeclared metrics in a "
                f"batch of {records:,} records, expected at most {self._most:,}; use fewer "
                "different names, or a vector field for values that belong together"
            )
        check_size(self._schema.num_columns + num, row + 1, self._schema)
        return new


def _some(names: Set[str]) -> str:
    first = repr(min(names))
    return first if len(names) == 1 else f"{first} and {len(names) - 1:,} other new names"
