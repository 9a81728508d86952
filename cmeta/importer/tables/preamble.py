"""The preamble: what a whole chronicle is besides its records, as one JSON object.

It stands in the first line of full JSON lines and in the metadata of a Parquet file. Schema and
configurations are the JSON of their blocks; together with the records they fix every byte of a
file, so that importing gives the identical one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cmeta import canonical
from cmeta.errors import CmetaError, DecodeError, EncodeError
from cmeta.schema import Schema, shipped_format

KEY = "cmeta"


@dataclass(frozen=True)
class Preamble:
    """What a preamble says.

    Attributes
    ----------
    schema : Schema
    configs : tuple of mapping
        By number.
    num_records : int or None
        How many records must follow; None: not known when it was written.
    notes : tuple of str
    """

    schema: Schema
    configs: tuple[Mapping[str, Any], ...]
    num_records: int | None
    notes: tuple[str, ...] = ()


def preamble_of(
    schema: Schema, configs: Sequence[Mapping[str, Any]], num_records: int | None
) -> dict[str, Any]:
    """Return a preamble as JSON values.

    Examples
    --------
    >>> from cmeta.schema import default_schema
    >>> list(preamble_of(default_schema(), [{"lr": 0.1}], 3)["cmeta"])
    ['version', 'num_records', 'schema', 'configs']
    """
    counted = {} if num_records is None else {"num_records": num_records}
    plain_schema = canonical.loads(schema.embedded, schema.format.limits)
    return {
        KEY: {
            "version": _version(),
            **counted,
            "schema": plain_schema,
            "configs": [dict(config) for config in configs],
        }
    }


def is_preamble(plain: Any) -> bool:
    """Return whether a JSON value is a preamble, and no record."""
    inner = plain.get(KEY) if isinstance(plain, Mapping) and len(plain) == 1 else None
    return isinstance(inner, Mapping) and {"version", "schema", "configs"} <= inner.keys()


def parse_preamble(plain: Mapping[str, Any], where: str) -> Preamble:
    """Return what a preamble says.

    Parameters
    ----------
    where : str
        Its place, for errors: ``line 1``.

    Raises
    ------
    EncodeError
        A schema or a configuration that is none.
    """
    inner = plain[KEY]
    configs, num_records = inner["configs"], inner.get("num_records")
    for i, config in enumerate(configs if isinstance(configs, list) else [None]):
        if not isinstance(config, Mapping):
            raise EncodeError(f"{where}, {KEY}.configs[{i}]: expected an object for each of a list")
    if num_records is not None and (type(num_records) is not int or num_records < 0):
        raise EncodeError(f"{where}, {KEY}.num_records: found {num_records!r}, expected a count")
    version = inner["version"]
    notes = () if version == _version() else (_rewritten(version),)
    return Preamble(_schema(inner["schema"], where), tuple(configs), num_records, notes)


def _schema(plain: Any, where: str) -> Schema:
    format_ = shipped_format()
    try:
        return Schema.from_embedded(canonical.dumps(plain, format_.limits, "schema"), format_)
    except CmetaError as err:
        reason = err.message if isinstance(err, DecodeError) else str(err)
        raise EncodeError(f"{where}, {KEY}.schema: {reason}") from err


def _version() -> str:
    facts = shipped_format().format
    return f"{facts.major}.{facts.minor}"


def _rewritten(version: Any) -> str:
    return f"the file was written as format {version}; it is written again as {_version()}"
