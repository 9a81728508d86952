"""The schema: the one truth about the bytes, loaded, checked and resolved.

`document` is the language, `shipped` loads files, `rules` checks, `fields` resolves a field,
`schema` is the public class.
"""

from cmeta.schema.document import Format
from cmeta.schema.fields import Field, undeclared
from cmeta.schema.schema import Schema, default_schema
from cmeta.schema.shipped import shipped_format

__all__ = ["Field", "Format", "Schema", "default_schema", "shipped_format", "undeclared"]
