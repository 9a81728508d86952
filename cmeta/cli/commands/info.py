"""`cmeta info`: what a chronicle holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cmeta.cli.console import complain, emit_data, emit_rich, printable
from cmeta.cli.errors import Exit
from cmeta.cli.field_table import field_as_dict, field_table
from cmeta.cli.files import open_chronicle, what_open_means
from cmeta.cli.info_table import Facts, gather
from cmeta.cli.options import file_argument, json_option
from cmeta.cli.values import json_line
from cmeta.schema.types import Field

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table


@click.command(
    epilog="""\b
Examples:
  cmeta info run.cmeta
  cmeta info --quick huge.cmeta                 at once, whatever its size
  xz -dc run.cmeta.xz | cmeta info -
  cmeta info --json run.cmeta | jq .sha256

The sha256 is the identity of the experiment: equal records, configurations and schema give equal
bytes, on every machine.

\b
Exit codes:
  0 fine, or open    2 usage or I/O    3 damaged: what is intact is shown"""
)
@file_argument
@click.option("--quick", is_flag=True, help="Only what opening reads: no phases, no sha256.")
@json_option
def info(file: Path, quick: bool, as_json: bool) -> None:
    """Show state, size, schema and configurations."""
    with closing(open_chronicle(file)) as reader:
        facts = gather(reader, file, quick=quick)
    if as_json:
        emit_data(json_line(as_dict(facts)))
    else:
        _show(facts)
    if facts.state == "damaged":
        first = facts.problems[0]
        complain(f"{facts.file}: damaged at {_where(first.offset, first.path)}")
        raise click.exceptions.Exit(Exit.CORRUPT)


def as_dict(facts: Facts) -> dict[str, Any]:
    """Return the facts as `--json` prints them; keys are only ever added."""
    return {
        "file": facts.file,
        "state": facts.state,
        "has_journal": facts.has_journal,
        "version": facts.version,
        "num_records": facts.num_records,
        "num_batches": facts.num_batches,
        "batch_records": facts.batch_records,
        "len_file": facts.len_file,
        "bytes_per_record": facts.bytes_per_record,
        "first_timestamp": facts.first_timestamp,
        "last_timestamp": facts.last_timestamp,
        "phases": facts.phases,
        "fields": [_field_as_dict(f, facts) for f in (*facts.fields, *facts.undeclared)],
        "configs": list(facts.configs),
        "sha256": facts.sha256,
        "problems": [asdict(problem) for problem in facts.problems],
    }


def _field_as_dict(field: Field, facts: Facts) -> dict[str, Any]:
    batches = None if facts.occurrences is None else facts.occurrences.get(field.path, 0)
    return {**field_as_dict(field), "num_batches": batches}


def _state(facts: Facts) -> str:
    if facts.state == "open":
        return f"open: {what_open_means(facts.has_journal)}"
    return {"closed": "closed", "damaged": "damaged: what follows is what is intact"}[facts.state]


def _show(facts: Facts) -> None:
    parts: list[RenderableType] = [
        _summary(facts), "", "Fields", field_table(facts.fields, facts.occurrences)
    ]  # fmt: skip
    if facts.undeclared:
        parts += ["", "Undeclared metrics", field_table(facts.undeclared, facts.occurrences)]
    if facts.configs:
        parts += ["", "Configurations"]
        parts += [_config_line(i, config) for i, config in enumerate(facts.configs)]
    emit_rich(*parts)


def _config_line(number: int, config: Mapping[str, Any]) -> str:
    return printable(f"  {number}  {json.dumps(config, ensure_ascii=False)}")


def _summary(facts: Facts) -> Table:
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold")
    grid.add_column(overflow="fold")
    for name, value in _summary_rows(facts):
        grid.add_row(name, printable(value))
    return grid


def _summary_rows(facts: Facts) -> list[tuple[str, str]]:
    size = f"{facts.len_file:,} bytes"
    if facts.bytes_per_record is not None:
        size += f", {facts.bytes_per_record:,.2f} a record"
    rows = [
        ("file", facts.file),
        ("state", _state(facts)),
        ("version", facts.version),
        ("records", f"{facts.num_records:,}"),
        ("batches", f"{facts.num_batches:,} of at most {facts.batch_records:,} records"),
        ("size", size),
    ]
    if facts.first_timestamp is not None:
        rows.append(("timestamps", f"{facts.first_timestamp} to {facts.last_timestamp}"))
    if facts.phases:
        counts = (f"{name} {count:,}" for name, count in facts.phases.items())
        rows.append(("phases", ", ".join(counts)))
    if facts.sha256:
        rows.append(("sha256", facts.sha256))
    label = "problem" if facts.state == "damaged" else "behind it"
    for problem in facts.problems:
        where = _where(problem.offset, problem.path)
        rows.append((label, f"{where}: {problem.kind}: {problem.message}"))
    return rows


def _where(offset: int, path: str) -> str:
    return printable(f"offset {offset}, {path}")
