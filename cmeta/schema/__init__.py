"""The schema: the one truth about the bytes, loaded, checked and resolved.

`document` is the language, `shipped` loads files, `rules` checks, `fields` resolves a field,
`schema` is the public class.
"""

from cmeta.schema.language import Format
from cmeta.schema.load import shipped_format
from cmeta.schema.schema import Schema, default_schema
from cmeta.schema.types import Field, undeclared

__all__ = ["Field", "Format", "Schema", "default_schema", "shipped_format", "undeclared"]
