"""The state of a recorder that a checkpoint holds, and the digest by which it knows its run.

The digest is the checksum that the file would have if it were closed there: it covers schema,
configurations and every value of every record up to there, and depends on nothing else (P2).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from cmeta.aliases import U64_MAX
from cmeta.errors import EncodeError
from cmeta.format.encoder import Encoder
from cmeta.records.chunk import Chunk
from cmeta.records.config import as_mapping, config_json

_HEX_DIGITS = 16  # of a u64
_PROOFS = {
    "digest": "that it is of this run",
    "config": "which configuration was in force",
}


class State(NamedTuple):
    """How far a run was recorded.

    Attributes
    ----------
    num_records : int
    timestamp : int
        Of the last record; 0 before the first.
    digest : str or None
        Of all records so far, in hexadecimal; None where they were recorded by another process.
    config : mapping or None
        The configuration in force.
    """

    num_records: int
    timestamp: int
    digest: str | None
    config: Any = None

    def as_dict(self) -> dict[str, Any]:
        """Return the state as JSON values."""
        return self._asdict()

    @classmethod
    def of(cls, given: Any) -> State:
        """Return the state that a user gives back.

        Raises
        ------
        EncodeError
            It is none.
        """
        if not isinstance(given, Mapping) or not {"num_records", "timestamp"} <= given.keys():
            keys = ", ".join(map(repr, given)) if isinstance(given, Mapping) else ""
            kind = type(given).__name__ + (f" with {keys}" if keys else "")
            raise EncodeError(
                f"resume_at: found {kind}, expected a timestamp or the result of state_dict()"
            )
        num_records, timestamp = (count_of(given[key], key) for key in ("num_records", "timestamp"))
        for key, meaning in _PROOFS.items():
            if key not in given:
                raise EncodeError(
                    f"resume_at: the state has no {key}, so nothing shows {meaning}; it was taken "
                    f"by an earlier version. resume_at={timestamp} keeps the records up to that "
                    "timestamp"
                )
        digest = given["digest"]
        if digest is not None and not isinstance(digest, str):
            raise EncodeError(
                f"resume_at: digest: found {type(digest).__name__}, expected a string"
            )
        config = given["config"]
        if config is not None:
            config_json(config, path="resume_at: config")
            config = as_mapping(config)
        return cls(num_records, timestamp, digest, config)


def digest_of(encoder: Encoder, chunks: Iterable[Chunk]) -> str:
    """Return the digest of all records of an encoder and of those after them, which it spares."""
    copy = encoder.copy()
    for chunk in chunks:
        copy.feed(chunk)
    copy.finish()
    return final_digest(copy)


def final_digest(encoder: Encoder) -> str:
    """Return the digest of all records of an encoder that has finished."""
    return f"{encoder.progress.crc or 0:0{_HEX_DIGITS}x}"


def is_integer(value: Any) -> bool:
    """Return whether a value is an integer, also one of numpy, and no boolean."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def count_of(value: Any, name: str) -> int:
    """Return a member of a state, or a timestamp.

    Raises
    ------
    EncodeError
        It is not a u64.
    """
    if not is_integer(value) or not 0 <= value <= U64_MAX:
        raise EncodeError(f"resume_at: {name}: found {value!r}, expected an integer from 0 (u64)")
    return int(value)
