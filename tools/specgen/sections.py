"""The generated sections of SPEC.md, by name.

A section begins with ``<!-- generated: NAME -->`` and ends with ``<!-- end: NAME -->``. Each is in
the document exactly once.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from cmeta.format.encoder import Encoder
from cmeta.schema.schema import default_schema
from tools.specgen import constants, layouts, record
from tools.specgen.annotate import explain, text_of
from tools.specgen.facts import Facts
from tools.specgen.samples import SAMPLES, Sample

Section = Callable[[Facts], str]

_SECTION = re.compile(
    r"(?P<begin><!-- generated: (?P<name>[\w-]+) -->\n)(?P<text>.*?)"
    r"(?P<end><!-- end: (?P=name) -->)",
    re.DOTALL,
)


def sections(facts: Facts) -> dict[str, Section]:
    """Return every section by name; those of blocks and structures follow from the schema."""
    found: dict[str, Section] = {
        "header": layouts.header,
        "trailer": layouts.trailer,
        "frame": layouts.frame,
        "block-kinds": layouts.block_kinds,
        "limits": constants.limits,
        "statuses": constants.statuses,
        "checksum": constants.checksum,
        "column-flags": constants.column_flags,
        "classes": constants.classes,
        "modes": constants.modes,
        "codec-constants": constants.codec_constants,
        "delta-forms": constants.delta_forms,
        "run-header": constants.run_header,
        "widths": constants.widths,
        "seeds": constants.seeds,
        "chains": constants.chains,
        "types": record.types,
        "default-record": record.default_record,
        "enumerations": record.enumerations,
        "journal-header": layouts.journal_header,
        "journal-frame": layouts.journal_frame,
        "journal-kinds": layouts.journal_kinds,
        "sizes": sizes,
    }
    for kind in facts.format.blocks.kinds:
        found[f"block-{kind}"] = partial(layouts.body, kind=kind)
    for name in facts.format.structs:
        found[f"struct-{name}"] = partial(layouts.struct, name=name)
    for kind in facts.format.journal.kinds:
        found[f"journal-{kind}"] = partial(layouts.journal_body, kind=kind)
    for sample in SAMPLES:
        found[f"schema-{sample.name}"] = partial(sample_schema, sample=sample)
        found[f"dump-{sample.name}"] = partial(dump, sample=sample)
    return found


def fill(text: str, facts: Facts) -> str:
    """Return a document with every section replaced.

    Raises
    ------
    ValueError
        A section is missing, repeated or unknown.
    """
    known = sections(facts)
    names = [found["name"] for found in _SECTION.finditer(text)]
    wrong = {n for n in names if names.count(n) > 1} | (set(names) ^ known.keys())
    if wrong:
        raise ValueError(f"sections missing, unknown or repeated: {', '.join(sorted(wrong))}")

    def written(found: re.Match[str]) -> str:
        return f"{found['begin']}{known[found['name']](facts)}\n{found['end']}"

    return _SECTION.sub(written, text)


def sizes(facts: Facts) -> str:
    """Return the length of a file without records."""
    schema = facts.schema
    encoder = Encoder(schema)
    length = len(encoder.begin() + encoder.finish())
    which = "default schema" if schema == default_schema() else "schema"
    return (
        f"With the {which} a file without records takes {length:,} bytes, of which "
        f"{len(schema.embedded):,} are the body of SCHEMA."
    )


def sample_schema(facts: Facts, sample: Sample) -> str:
    """Return the schema of a sample, as a user writes it."""
    return f"```toml\n{sample.toml}```"


def dump(facts: Facts, sample: Sample) -> str:
    """Return a sample, explained byte for byte."""
    data = sample.data()
    text = text_of(explain(data, sample.schema))
    return f"`{sample.name}.cmeta`, {len(data)} bytes:\n\n```text\n{text}\n```"
