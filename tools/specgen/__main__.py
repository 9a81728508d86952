"""``python -m tools.specgen``: write what is generated, or check that it is up to date."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from tools.specgen.facts import Facts, load_facts
from tools.specgen.json_schema import json_schema
from tools.specgen.sections import fill
from tools.specgen.vectors import write_vectors

ROOT = Path(__file__).resolve().parents[2]


def outputs(facts: Facts, root: Path) -> dict[Path, str]:
    """Return the content of each generated file."""
    spec, schema = root / "SPEC.md", root / "schema" / "cmeta_schema.schema.json"
    return {
        spec: fill(spec.read_text("utf-8"), facts),
        schema: json.dumps(json_schema(facts), indent=2) + "\n",
    }


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Run the command, and return 1 if something is out of date."""
    parser = argparse.ArgumentParser(prog="python -m tools.specgen", description=__doc__)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="write nothing; 1 if out of step")
    what.add_argument("--vectors", action="store_true", help="write the golden files only")
    options = parser.parse_args(arguments)
    if not (root / "SPEC.md").is_file():
        parser.error(f"no SPEC.md in {root}; run it in a checkout")
    if options.vectors:
        for path in write_vectors(root / "tests" / "vectors"):
            print(path.relative_to(root))
        return 0
    wanted = outputs(load_facts(root / "schema" / "cmeta_schema.toml"), root)
    stale = {path: text for path, text in wanted.items() if _read(path) != text}
    for path, text in stale.items():
        name = path.relative_to(root)
        if options.check:
            print(f"{name} is out of step with the schema; run `make spec`", file=sys.stderr)
        else:
            path.write_text(text, "utf-8")
            print(name)
    return 1 if stale and options.check else 0


def _read(path: Path) -> str | None:
    return path.read_text("utf-8") if path.is_file() else None


if __name__ == "__main__":
    sys.exit(main())
