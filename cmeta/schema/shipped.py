"""Loading schema files: TOML to `Document`, and the one that ships with the library.

Whatever is wrong becomes a `SchemaError` that names file, key path, what was found and expected.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from cmeta.errors import SchemaError
from cmeta.schema.convert import convert
from cmeta.schema.document import FORMAT_KEYS, Document, Format

FILE_NAME = "cmeta_schema.toml"
_HERE = Path(__file__).resolve().parent


def shipped_path() -> Path:
    """Return the path of the shipped schema: inside a wheel, or at the top of a checkout."""
    candidates = (_HERE / "data" / FILE_NAME, _HERE.parents[1] / "schema" / FILE_NAME)
    for path in candidates:
        if path.is_file():
            return path
    tried = " or ".join(map(str, candidates))
    raise SchemaError(f"not found; expected it at {tried}", source=FILE_NAME)


@cache
def shipped_format() -> Format:
    """Return what the format version fixes."""
    return convert(_format_part(_shipped_toml()), Format, str(shipped_path()))


@cache
def shipped_document() -> Document:
    """Return the whole shipped schema file."""
    return convert(_shipped_toml(), Document, str(shipped_path()))


def load_document(path: Path) -> Document:
    """Read a user's schema file; the format part may be missing, but not differ.

    Raises
    ------
    SchemaError
        The file cannot be read, is not TOML, or has a key, type or value that is not allowed.
    """
    toml = _read_toml(path)
    for key in FORMAT_KEYS:
        if key in toml:
            _require_same(toml[key], _shipped_toml()[key], key, str(path))
    return convert(toml, Document, str(path))


@cache
def _shipped_toml() -> dict[str, Any]:
    return _read_toml(shipped_path())


def _read_toml(path: Path) -> dict[str, Any]:
    import tomli  # only when a schema file is read

    try:
        return tomli.loads(path.read_text("utf-8"))
    except OSError as err:
        raise SchemaError(f"cannot be read: {err.strerror}", source=str(path)) from err
    except (tomli.TOMLDecodeError, UnicodeDecodeError) as err:
        raise SchemaError(f"not TOML: {err}", source=str(path)) from err


def _format_part(toml: dict[str, Any]) -> dict[str, Any]:
    return {key: toml[key] for key in FORMAT_KEYS if key in toml}


def _require_same(found: Any, expected: Any, key: str, source: str) -> None:
    """Refuse a format part that differs: it belongs to the version, not to a user."""
    if isinstance(found, dict) and isinstance(expected, dict):
        for name in [*found, *(n for n in expected if n not in found)]:  # in the order of the file
            _require_same(found.get(name), expected.get(name), f"{key}.{name}", source)
    elif found != expected:
        raise SchemaError(
            f"found {_brief(found)}, but the format version fixes {_brief(expected)}; "
            "leave the section out, or make it equal",
            source=source,
            key=key,
        )


def _brief(value: Any) -> str:
    if value is None:
        return "nothing"
    return "a whole section" if isinstance(value, dict | list) else repr(value)
