"""The schema: the one truth about the bytes, loaded, checked and resolved.

`types` has a row for each type of a field, `language` the TOML as types, `load` reads files,
`rules` checks the rules that types cannot express, `schema` is the public class;
`canonical_json` gives the bytes of a schema and of a configuration.
"""

from cmeta.schema.language import Format
from cmeta.schema.load import shipped_format
from cmeta.schema.schema import Schema, default_schema
from cmeta.schema.types import Field

__all__ = ["Field", "Format", "Schema", "default_schema", "shipped_format"]
