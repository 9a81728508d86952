"""Text logs: lines of a step or an epoch, and of names with their numbers.

- ``iter 10: loss 3.1, time 20ms`` of nanoGPT, ``| epoch 001 | loss 3.2`` of fairseq, and lines like
  these: ``NAME NUMBER``, ``NAME: NUMBER`` or ``NAME=NUMBER`` between commas, bars, hyphens or
  blanks. A unit becomes part of the name: ``time_ms``.
- A line may end with a JSON object instead, as those of fairseq's ``--log-format json`` do, or with
  a dict of Python, as the Trainer of Hugging Face prints them.
- A logger's own words come before: ``2026-01-01 | INFO | train | ...``; one may be a phase.
- A line is read whole or not at all. Any other line is text: it is left out, counted and noted.
"""

from __future__ import annotations

import ast
import re
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from cmeta.errors import EncodeError, counted
from cmeta.records import strict_json
from cmeta.schema.rules import PHASE
from cmeta.source import regular_file
from cmeta.tools.imports.bounded import lines
from cmeta.tools.imports.columns import SourceTable, TableBuilder, number_of_text
from cmeta.tools.imports.formats import Imported, ImportOptions, text_head
from cmeta.tools.imports.infer import STEP, infer
from cmeta.tools.imports.scalar_log import EPOCH
from cmeta.vocabulary import PHASES, column_named, phase_named, phase_of_name

_TABLES = (".csv", ".tsv")
_LINE_MAX = 10_000  # characters; a longer line is text
_PIECE = 1 << 16
_PROGRESS_LINES = 4096
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_NUMBER = r"[+-]?(?:\d++(?:\.\d*+)?|\.\d++)(?:[eE][+-]?\d++)?|[+-]?inf(?:inity)?|nan"
_WORD = r"[A-Za-z_][\w./@()\[\]-]*"
_PAIR = re.compile(
    rf"(?P<name>{_WORD}(?:\ {_WORD}){{0,7}}?)(?:\s*[:=]\s*|\s+)(?P<value>{_NUMBER})"
    r"(?:\s*/\s*\d+|(?P<unit>%|[A-Za-z]+(?:/[A-Za-z]+)?))?(?=[\s,|;:)\]]|$)",
    re.IGNORECASE,
)
_BETWEEN = re.compile(r"[\s,|;:)\]-]*(?:\d+\s*/\s*\d+(?=[\s,|;:)\]]|$))?[\s,|;:)\]-]*")
_HEAD = re.compile(
    r"\b(?:global[ _]?step|training_iteration|step|iter(?:ation)?|epoch)\b[\s:=\[(#]*\d",
    re.IGNORECASE,
)
_BEFORE_HEAD = "|]:-)"
_SUBSET = re.compile(r"\|\s*(\w{1,40}) on '[^'|]{0,80}' subset\s*(?=\||$)")  # of fairseq
_NO_LITERAL = re.compile(r"(?<=: )([+-]?inf|nan)(?=[,}])")  # floats that are no literals
_PERCENT = {"%": "percent"}


def looks_like(path: Path) -> bool:
    """Return whether a text has a line with a step and a value near its beginning."""
    head, is_all = text_head(path)
    is_json = head[:1] in (b"{", b"[") and not head.startswith(b"{'")
    if path.suffix.lower() in _TABLES or is_json:
        return False
    text = head.decode(errors="replace")
    whole = text.splitlines() if is_all else text.splitlines()[:-1]
    return any(map(parsed_line, whole))


def read(source: Path, options: ImportOptions) -> Imported:
    """Read a text log.

    Raises
    ------
    EncodeError
        No line has a step and a value.
    """
    builder, numbers = TableBuilder(), array("Q")
    with open(source, encoding="utf-8-sig", errors="replace", opener=regular_file) as file:
        records = _Lines(source, file, options)
        for number, record in records:
            builder.add_row(record)
            numbers.append(number)
    if not numbers and not records.cut:
        raise EncodeError(
            f"{source}: found no line with a step and a value, expected some such as "
            "'step 10: loss 2.5' or '| epoch 001 | loss 2.5'"
        )
    columns = builder.finish()
    damage = [f"line {records.number} has no end and may be cut off, so it is left out"]
    damage = damage if records.cut else []
    table = SourceTable(
        str(source), builder.num_records, columns, lambda row: f"line {numbers[row]}",
        is_text=True, lost=builder.lost(), notes=records.notes(), damage=damage,
    )  # fmt: skip
    return infer(table, options)


class _Lines:
    """The records of a log, with the numbers of their lines.

    Attributes
    ----------
    number : int
        Of the last line.
    cut : bool
        A record in the last line, which has no end.
    """

    def __init__(self, source: Path, file: IO[str], options: ImportOptions) -> None:
        self._source, self._file, self._options = source, file, options
        self.number, self.cut = 0, False
        self._num_texts, self._first_text = 0, ""

    def __iter__(self) -> Iterator[tuple[int, dict[str, Any]]]:
        size = self._source.stat().st_size
        for line, length in lines(self._file, _PIECE):
            self.number += 1
            if self.number % _PROGRESS_LINES == 0:
                self._options.progress(min(self._file.buffer.tell(), size), size)  # type: ignore[attr-defined]
            record = parsed_line(line) if length == len(line) else {}
            if record and not line.endswith("\n"):
                self.cut = True
            elif record:
                yield self.number, record
            elif line.strip():
                self._num_texts += 1
                self._first_text = self._first_text or f"line {self.number}: {line.strip()!r:.60}"
        self._options.progress(size, size)

    def notes(self) -> list[str]:
        if not self._num_texts:
            return []
        return [
            f"{counted(self._num_texts, 'line')} of text left out, the first: {self._first_text}"
        ]


def parsed_line(line: str) -> dict[str, Any]:
    """Return the values of a line by name; empty: it is text.

    Examples
    --------
    >>> parsed_line("step 250: train loss 3.5, val loss 3.6")
    {'step': 250, 'train loss': 3.5, 'val loss': 3.6}
    >>> parsed_line("iter 10: loss 3.1, time 20.5ms, mfu -100.00%")
    {'step': 10, 'loss': 3.1, 'time_ms': 20.5, 'mfu_percent': -100.0}
    >>> parsed_line("| epoch 001 | valid on 'valid' subset | loss 3.2 | num_updates 100")
    {'phase': 'validate', 'epoch': 1, 'loss': 3.2, 'step': 100}
    >>> parsed_line("epoch 3 was the best so far")
    {}
    """
    if len(line) > _LINE_MAX:
        return {}
    line = _COLOUR.sub("", line).strip()
    if line.endswith("}"):
        return _json_record(line)
    subset = _SUBSET.search(line)
    if subset:
        line = line[: subset.start()] + line[subset.end() :]
    head = _HEAD.search(line)
    prefix = line[: head.start()].rstrip() if head else ""
    if head is None or (prefix and prefix[-1] not in _BEFORE_HEAD):
        return {}
    pairs = _pairs(line[head.start() :])
    return _record(pairs, _phase_before(subset[1] if subset else prefix))


def _pairs(text: str) -> list[tuple[str, Any]]:
    """Return the names and numbers that a text is made of, or none if there is anything else."""
    pairs, place = list[tuple[str, Any]](), 0
    while place < len(text):
        match = _PAIR.match(text, place)
        if match is None:
            return []
        unit = match["unit"]
        name = f"{match['name']}_{_PERCENT.get(unit, unit)}" if unit else match["name"]
        pairs.append((name, number_of_text(match["value"])))
        between = _BETWEEN.match(text, match.end())
        place = between.end() if between else len(text)
    return pairs


def _json_record(line: str) -> dict[str, Any]:
    prefix, brace, body = line.partition("{")
    try:
        value = strict_json.loads(brace + body)
    except ValueError:
        value = _python_dict(brace + body)
    pairs = [(name, v) for name, v in value.items() if isinstance(v, int | float | str)]
    return _record(pairs, _phase_before(prefix))


def _python_dict(text: str) -> dict[str, Any]:
    """Return a printed dict with text as keys, or an empty one."""
    try:
        tree = ast.parse(_NO_LITERAL.sub(r"'\1'", text), mode="eval")
        value = ast.literal_eval(tree)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return {}
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        return {}
    is_whole = isinstance(tree.body, ast.Dict) and len(tree.body.keys) == len(value)
    is_finite = float("inf") not in value.values() and float("-inf") not in value.values()
    return value if is_whole and is_finite else {}  # else a value would be lost, or is 1e999


def _record(pairs: list[tuple[str, Any]], phase: str | None) -> dict[str, Any]:
    record: dict[str, Any] = {} if phase is None else {PHASE: phase}
    num_values = 0
    for name, value in pairs:
        if phase and phase_of_name(name, PHASES) == phase:
            name = re.split(r"[/_\s]", name, maxsplit=1)[-1]
        meaning = column_named(name)
        if meaning in (STEP, EPOCH) and meaning not in record:
            name = meaning
        else:
            num_values += 1
        if name in record:
            return {}  # one of two would be lost
        record[name] = value
    return record if num_values else {}


def _phase_before(prefix: str) -> str | None:
    """Return the phase among the words of a logger."""
    words = re.split(r"[|\[\]:\s]+", prefix)
    phases = (phase_named(word.removesuffix("_inner"), PHASES) for word in reversed(words))
    return next(filter(None, phases), None)
