"""The innermost stage: run headers, then k bytes, remainders and quotients of all runs."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from construct import Construct

from cmeta.codecs import delta, rice, run_header, sparse
from cmeta.codecs.bits import U64
from cmeta.errors import CorruptError, shifted
from cmeta.schema.document import Codecs


class RiceRuns(Construct):
    """Run headers, then k bytes, remainders and quotients of all runs."""

    def __init__(self, codecs: Codecs) -> None:
        super().__init__()
        self._facts = codecs.rice

    def _parse(self, stream: io.BytesIO, context: Any, path: str) -> list[delta.Delta]:
        facts = self._facts
        start = stream.tell()
        data = stream.read()
        at = 0
        headers: list[run_header.RunHeader] = []
        lengths: list[int] = []
        for run_length in context["state"].run_lengths():
            begin = at
            with shifted(start):
                header, at = run_header.parse(data, at, facts)
            num_residuals = run_length - delta.NUM_HEADS[header.form]
            if num_residuals < 1:
                raise CorruptError(
                    f"form F{header.form} for a run of {run_length}", offset=start + begin
                )
            headers.append(header)
            if header.num_nonzero is None:
                lengths.append(num_residuals)
                continue
            if facts.sparse_residuals * header.num_nonzero > facts.sparse_nonzero * num_residuals:
                raise CorruptError(
                    f"{header.num_nonzero} of {num_residuals} residuals in a sparse run",
                    offset=start + begin,
                )
            lengths += [header.num_nonzero, header.num_nonzero]
        rest = np.frombuffer(data, np.uint8, offset=at)
        with shifted(start + at):
            sequences, used = rice.decode(rest, lengths, facts.block_residuals)
        stream.seek(start + at + used)
        return _join(headers, context["state"].run_lengths(), sequences)

    def _build(self, obj: list[delta.Delta], stream: io.BytesIO, context: Any, path: str) -> Any:
        sequences: list[U64] = []
        for run, choice in zip(obj, context["state"].arrangement.runs, strict=True):
            num_nonzero = None
            if choice.sparse:
                gaps, values = sparse.encode(run.residuals)
                sequences += [gaps, values]
                num_nonzero = len(values)
            else:
                sequences.append(run.residuals)
            header = run_header.RunHeader(run.form, run.base, run.divisor, run.step, num_nonzero)
            stream.write(run_header.build(header, self._facts))
        stream.write(rice.encode(sequences, self._facts.block_residuals))
        return obj


def _join(
    headers: list[run_header.RunHeader], run_lengths: list[int], sequences: list[U64]
) -> list[delta.Delta]:
    """Give each run its residuals."""
    runs = []
    rest = iter(sequences)
    for header, length in zip(headers, run_lengths, strict=True):
        residuals = next(rest)
        if header.num_nonzero is not None:
            num_residuals = length - delta.NUM_HEADS[header.form]
            residuals = sparse.decode(residuals, next(rest), num_residuals)
        runs.append(delta.Delta(header.form, header.base, header.divisor, header.step, residuals))
    return runs
