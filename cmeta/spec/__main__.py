"""``python -m cmeta.spec``: write what is generated, or tell whether it is in step."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from cmeta.spec.facts import Facts, load_facts
from cmeta.spec.json_schema import json_schema
from cmeta.spec.sections import fill
from cmeta.spec.vectors import write_vectors

ROOT = Path(__file__).resolve().parents[2]


def outputs(facts: Facts, root: Path) -> dict[Path, str]:
    """Return what each generated file must hold."""
    spec, schema = root / "SPEC.md", root / "schema" / "cmeta_schema.schema.json"
    return {
        spec: fill(spec.read_text("utf-8"), facts),
        schema: json.dumps(json_schema(facts), indent=2) + "\n",
    }


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Run the command; 1 says that something is out of step."""
    parser = argparse.ArgumentParser(prog="python -m cmeta.spec", description=__doc__)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="write nothing; 1 if out of step")
    what.add_argument("--vectors", action="store_true", help="write the golden files only")
    options = parser.parse_args(arguments)
    if options.vectors:
        for path in write_vectors(root / "tests" / "vectors"):
            print(path.relative_to(root))
        return 0
    facts = load_facts(root / "schema" / "cmeta_schema.toml")
    stale = [path for path, text in outputs(facts, root).items() if _read(path) != text]
    if options.check:
        for path in stale:
            message = f"{path.relative_to(root)} is out of step with the schema; run `make spec`"
            print(message, file=sys.stderr)
        return 1 if stale else 0
    for path, text in outputs(facts, root).items():
        if path in stale:
            path.write_text(text, "utf-8")
            print(path.relative_to(root))
    return 0


def _read(path: Path) -> str | None:
    return path.read_text("utf-8") if path.is_file() else None


if __name__ == "__main__":
    sys.exit(main())
