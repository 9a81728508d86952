"""CONFIG and NAME blocks: what their bodies hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cmeta import canonical
from cmeta.checks.blocks import Block
from cmeta.errors import CorruptError, shifted
from cmeta.schema import Schema


def parse_config(block: Block, schema: Schema) -> Mapping[str, Any]:
    """Return the configuration of a CONFIG block.

    Raises
    ------
    DecodeError
    """
    with shifted(block.body_offset, "CONFIG"):
        config = canonical.loads(block.body, schema.format.limits)
    if not isinstance(config, dict):
        found = type(config).__name__
        message = f"a configuration that is a {found}, expected an object"
        raise CorruptError(message, offset=block.body_offset, path="CONFIG")
    return config


def parse_name(block: Block, schema: Schema) -> str:
    """Return the name of a NAME block.

    Raises
    ------
    DecodeError
    """
    most = schema.format.limits.name_bytes_max
    if not 1 <= len(block.body) <= most:
        message = f"a name of {len(block.body)} bytes, expected 1 to {most}"
        raise CorruptError(message, offset=block.body_offset, path="NAME")
    try:
        name = block.body.decode()
    except UnicodeDecodeError as err:
        message = f"not UTF-8: {err.reason}"
        raise CorruptError(message, offset=block.body_offset + err.start, path="NAME") from err
    if f"{schema.open_group}.{name}" in schema:
        message = f"{name!r} is a declared metric"
        raise CorruptError(message, offset=block.body_offset, path="NAME")
    return name
