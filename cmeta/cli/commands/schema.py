"""`cmeta schema`: schema files, and the schemas in chronicles."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import click

from cmeta.cli.console import (
    file_name,
    print_data,
    print_error,
    print_lines,
    print_text,
)
from cmeta.cli.errors import Exit, Failure
from cmeta.cli.files import expand, open_chronicle, require_file
from cmeta.cli.options import FILE, files_argument, json_option
from cmeta.cli.values import field_as_dict, json_ascii, json_line, write_fields
from cmeta.errors import SchemaError, counted
from cmeta.safe_text import printable
from cmeta.schema.load import shipped_path
from cmeta.schema.schema import Schema, default_schema
from cmeta.source import read_file

_JSON_SCHEMA = "cmeta_schema.schema.json"
_optional_file = click.argument("file", type=FILE, required=False)


@click.group(
    epilog="""\b
Examples:
  cmeta schema check mine.toml          is it valid?
  cmeta schema show run.cmeta           which fields do its records have?
  cmeta schema show                     the schema that cmeta ships
  cmeta schema json > cmeta_schema.schema.json

A FILE that ends in .toml is a schema file; any other is a chronicle.

\b
Exit codes:
  0 success    2 usage or I/O error    3 invalid schema, or corrupt chronicle"""
)
def schema() -> None:
    """Check and show schemas, in files and in chronicles."""


@schema.command(
    epilog="""\b
Examples:
  cmeta schema check mine.toml
  cmeta schema check --json mine.toml | jq .key

\b
Verdicts and exit codes (the highest, if there are several files):
  valid    0
  invalid  3  the message names the key, what was found and what was expected
A file that cannot be read counts as 2."""
)
@files_argument
@json_option
def check(files: tuple[Path, ...], as_json: bool) -> None:
    """Check schema files, and the schemas in chronicles."""
    worst = Exit.SUCCESS
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
  0 success    2 usage or I/O error, or invalid schema    3 corrupt chronicle"""
)
@_optional_file
@json_option
def show(file: Path | None, as_json: bool) -> None:
    """Show fields and enumerations; without FILE, those of the shipped schema."""
    loaded = default_schema() if file is None else _load(file)
    if as_json:
        print_data(json_line(_as_dict(file, loaded)))
    else:
        _print(loaded)


@schema.command(
    "json",
    epilog="""\b
Examples:
  cmeta schema json > cmeta_schema.schema.json   for editors
  cmeta schema json run.cmeta | jq .record       the schema in a chronicle
  cmeta schema json mine.toml                    the schema to be embedded

\b
Exit codes:
  0 success    2 usage or I/O error, or invalid schema    3 corrupt chronicle""",
)
@_optional_file
def json_(file: Path | None) -> None:
    """Print the JSON Schema of schema files; with FILE, its schema as a chronicle embeds it."""
    if file is None:
        print_data(read_file(shipped_path().with_name(_JSON_SCHEMA)).decode())
    else:
        print_data(json_ascii(_load(file).embedded.decode()) + "\n")


def _load(path: Path) -> Schema:
    if path.suffix.lower() == ".toml":
        require_file(path)
        return Schema.load(path)
    with closing(open_chronicle(path)) as reader:
        return reader.schema


def _check(path: Path, as_json: bool) -> Exit:
    verdict: dict[str, Any] = {
        "file": file_name(path), "verdict": "valid", "key": None, "message": None,
        "num_fields": 0, "num_columns": 0,
    }  # fmt: skip
    code = Exit.SUCCESS
    try:
        loaded = _load(path)
        verdict |= {"num_fields": len(loaded.fields), "num_columns": loaded.num_columns}
    except Failure as failure:
        if failure.code != Exit.CORRUPT:
            print_error(failure.message)
            return failure.code
        code = failure.code
        message = failure.message.removeprefix(f"{verdict['file']}: ")
        verdict |= {"verdict": "invalid", "message": message}
    except SchemaError as err:
        code = Exit.CORRUPT
        verdict |= {"verdict": "invalid", "key": err.key or None, "message": err.message}
    if as_json:
        print_data(json_line(verdict))
    else:
        print_text(f"{verdict['file']}: {printable(_as_text(verdict))}\n")
    return code


def _as_text(verdict: dict[str, Any]) -> str:
    if verdict["verdict"] == "valid":
        fields, columns = verdict["num_fields"], verdict["num_columns"]
        return f"valid: {counted(fields, 'field')} in {counted(columns, 'column')}"
    key = f"{verdict['key']}: " if verdict["key"] else ""
    return f"invalid: {key}{verdict['message']}"


def _as_dict(path: Path | None, loaded: Schema) -> dict[str, Any]:
    return {
        "file": None if path is None else file_name(path),
        "batch_records": loaded.batch_records,
        "open_group": loaded.open_group,
        "enumerations": {name: list(values) for name, values in loaded.enumerations.items()},
        "fields": [{**field_as_dict(field), "doc": field.doc or None} for field in loaded.fields],
    }


def _print(loaded: Schema) -> None:
    print_lines(["Fields"])
    write_fields(loaded.fields, has_doc=any(field.doc for field in loaded.fields))
    lines = ["", "Enumerations"]
    for name, values in loaded.enumerations.items():
        lines.append(printable(f"  {name}: {', '.join(values)}"))
    if loaded.open_group is not None:
        lines += ["", printable(f"Any other metric is stored exactly in {loaded.open_group}.")]
    lines.append(f"A batch has at most {counted(loaded.batch_records, 'record')}.")
    print_lines(lines)
