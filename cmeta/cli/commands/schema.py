"""`cmeta schema`: schema files, and the schemas inside chronicles."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cmeta.cli.console import complain, emit, emit_data, emit_rich, file_name, printable
from cmeta.cli.errors import Exit, Failure
from cmeta.cli.field_table import field_as_dict, field_table
from cmeta.cli.files import expand, open_chronicle, require_file
from cmeta.cli.options import FILE, files_argument, json_option
from cmeta.cli.values import json_line
from cmeta.errors import SchemaError
from cmeta.schema.load import shipped_path
from cmeta.schema.schema import Schema, default_schema

if TYPE_CHECKING:
    from rich.console import RenderableType

_JSON_SCHEMA = "cmeta_schema.schema.json"
_of_file = click.argument("file", type=FILE, required=False)


@click.group(
    epilog="""\b
Examples:
  cmeta schema check mine.toml          is it one?
  cmeta schema show run.cmeta           what do the records of a chronicle consist of?
  cmeta schema show                     and those of the schema that cmeta ships
  cmeta schema json > cmeta_schema.schema.json

A FILE that ends in .toml is a schema file; any other is a chronicle.

\b
Exit codes:
  0 fine    2 usage or I/O    3 an invalid schema, or a corrupt chronicle"""
)
def schema() -> None:
    """Check and show schemas, of files and inside chronicles."""


@schema.command(
    epilog="""\b
Examples:
  cmeta schema check mine.toml
  cmeta schema check --json mine.toml | jq .key

\b
Verdicts, and exit codes (of several files the highest):
  valid    0
  invalid  3  the message names the key, what was found and what was expected
A file that cannot be read counts as 2."""
)
@files_argument
@json_option
def check(files: tuple[Path, ...], as_json: bool) -> None:
    """Hold schema files against the rules; of a chronicle the schema inside."""
    worst = Exit.FINE
    for file in expand(files):
        worst = max(worst, _check(file, as_json))
    raise click.exceptions.Exit(worst)


@schema.command(
    epilog="""\b
Examples:
  cmeta schema show mine.toml
  cmeta schema show                     the schema that cmeta ships
  cmeta schema show run.cmeta --json | jq '.fields[].name'

\b
Exit codes:
  0 fine    2 usage or I/O, or no valid schema file    3 a corrupt chronicle"""
)
@_of_file
@json_option
def show(file: Path | None, as_json: bool) -> None:
    """Show fields and enumerations; without FILE, those of the shipped schema."""
    found = default_schema() if file is None else _schema_of(file)
    if as_json:
        emit_data(json_line(_as_dict(file, found)))
    else:
        emit_rich(*_shown(found))


@schema.command(
    "json",
    epilog="""\b
Examples:
  cmeta schema json > cmeta_schema.schema.json     for editors: what a schema file may hold
  cmeta schema json run.cmeta | jq .record         the schema that a chronicle carries
  cmeta schema json mine.toml                      and what it would carry

\b
Exit codes:
  0 fine    2 usage or I/O, or no valid schema file    3 a corrupt chronicle""",
)
@_of_file
def json_(file: Path | None) -> None:
    """Print the JSON Schema of schema files; with FILE, its schema as a chronicle embeds it."""
    if file is None:
        emit_data(shipped_path().with_name(_JSON_SCHEMA).read_text("utf-8"))
    else:
        emit_data(_schema_of(file).embedded.decode() + "\n")


def _schema_of(path: Path) -> Schema:
    if path.suffix.lower() == ".toml":
        require_file(path)
        return Schema.load(path)
    with closing(open_chronicle(path)) as reader:
        return reader.schema


def _check(path: Path, as_json: bool) -> Exit:
    verdict = {"file": file_name(path), "verdict": "valid", "key": None, "message": None}
    code, counts = Exit.FINE, {"num_fields": 0, "num_columns": 0}
    try:
        found = _schema_of(path)
        counts = {"num_fields": len(found.fields), "num_columns": found.num_columns}
    except Failure as failure:
        if failure.code != Exit.CORRUPT:
            complain(failure.message)
            return failure.code
        code = failure.code
        verdict |= {"verdict": "invalid", "message": failure.message}
    except SchemaError as err:
        code = Exit.CORRUPT
        verdict |= {"verdict": "invalid", "key": err.key or None, "message": err.message}
    if as_json:
        emit_data(json_line({**verdict, **counts}))
    else:
        emit(_as_text(verdict, counts))
    return code


def _as_text(verdict: dict[str, str | None], counts: dict[str, int]) -> str:
    if verdict["verdict"] == "valid":
        what = f"valid: {counts['num_fields']} fields in {counts['num_columns']} columns"
    else:
        key = f"{verdict['key']}: " if verdict["key"] else ""
        what = f"invalid: {key}{verdict['message']}"
    return f"{verdict['file']}: {printable(what)}\n"


def _as_dict(path: Path | None, found: Schema) -> dict[str, Any]:
    return {
        "file": None if path is None else file_name(path),
        "batch_records": found.batch_records,
        "open_group": found.open_group,
        "enumerations": {name: list(values) for name, values in found.enumerations.items()},
        "fields": [{**field_as_dict(field), "doc": field.doc or None} for field in found.fields],
    }


def _shown(found: Schema) -> list[RenderableType]:
    is_documented = any(field.doc for field in found.fields)
    parts: list[RenderableType] = ["Fields", field_table(found.fields, doc=is_documented)]
    parts += ["", "Enumerations"]
    for name, values in found.enumerations.items():
        parts.append(printable(f"  {name}: {', '.join(values)}"))
    if found.open_group is not None:
        parts += ["", printable(f"Any other metric belongs to {found.open_group}, without loss.")]
    return [*parts, f"A batch holds at most {found.batch_records:,} records."]
