"""The JSON Schema of a schema file: its shape from the types, its numbers from the TOML.

Editors complete and check a user's schema with it. What it cannot say, `cmeta.Schema.load` checks.
"""

from __future__ import annotations

import json
from typing import Any

from cmeta.schema import document
from cmeta.spec.facts import Facts


def json_schema(facts: Facts) -> dict[str, Any]:
    """Return the JSON Schema (2020-12)."""
    schema = document.json_schema()
    definitions = schema["$defs"]
    _bound(definitions, facts)
    _exemplify(definitions, facts)
    return schema


def _bound(definitions: dict[str, Any], facts: Facts) -> None:
    """State the limits of the format and the defaults of a field."""
    limits, codecs = facts.format.limits, facts.format.codecs
    record = definitions["Record"]["properties"]
    record["batch_records"] |= {
        "minimum": limits.batch_records_min,
        "maximum": limits.batch_records_max,
    }
    record["fields"] |= {"minItems": 2, "maxItems": limits.columns_max}
    definitions["Enumeration"]["properties"]["values"] |= {
        "minItems": 1,
        "maxItems": limits.enumeration_max,
    }
    for name in ("RecordField", "Group", "EnumerationValue"):
        # Characters, not bytes: necessary, and all that JSON Schema can say.
        definitions[name]["properties"]["name"]["maxLength"] = limits.name_bytes_max
    definitions["RecordField"]["properties"]["quanta_per_unit"] = {
        "type": "integer",
        "minimum": 1,
        "maximum": max(limits.quanta_per_unit_max_f32, limits.quanta_per_unit_max_f64),
        "default": codecs.quantise.quanta_per_unit,
    }
    field = definitions["RecordField"]["properties"]
    field["codec"]["examples"] = [list(codecs.defaults.float), list(codecs.defaults.integer)]
    del field["codec"]["default"]


def _exemplify(definitions: dict[str, Any], facts: Facts) -> None:
    """Give the schema file's own record and enumerations as examples."""
    embedded = json.loads(facts.schema.embedded)
    definitions["Record"]["properties"]["batch_records"]["examples"] = [
        embedded["record"]["batch_records"]
    ]
    field = definitions["RecordField"]
    field["examples"] = embedded["record"]["fields"]
    field["properties"]["group"]["examples"] = list(facts.schema.groups)
    field["properties"]["enumeration"]["examples"] = sorted(facts.schema.enumerations)
    definitions["Enumeration"]["examples"] = list(embedded["enumerations"].values())
