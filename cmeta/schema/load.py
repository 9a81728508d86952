"""Loads schema files, and converts plain data to the types of the document.

msgspec finds an error and its path; the message is rewritten as found and expected.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, get_args

import msgspec

from cmeta.errors import SchemaError
from cmeta.schema.language import FORMAT_KEYS, Document, Enumeration, Format
from cmeta.schema.types import TYPE_NAMES, Stage
from cmeta.source import read_file

T = TypeVar("T")

FILE_NAME = "cmeta_schema.toml"
_HERE = Path(__file__).resolve().parent
_ANY_ENUMERATION = ".enumerations[...]"
_LEN_MAX, _PARTS_MAX = 1 << 22, 32  # bytes of a schema file, and parts of a key in it
_PART = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+"""
_LONG_KEY = re.compile(rf"(?<![\w-]){_PART}(?:\.[ \t]*+{_PART}){{{_PARTS_MAX}}}")
_STEP = re.compile(r"\[(\d+|\.\.\.)\]|([^.\[\]]+)")


def convert(data: Any, into: type[T], source: str) -> T:
    """Convert plain data to a type of the document.

    Raises
    ------
    SchemaError
        A key is unknown or missing, or a value is not of its type.
    """
    try:
        return msgspec.convert(data, into)
    except msgspec.ValidationError as err:
        message, _, path = str(err).partition(" - at `$")
        path = _name_enumeration(path.rstrip("`"), data)
        key = path.lstrip(".")
        raise SchemaError(_explain(message, path, data, into), source=source, key=key) from err


def prune(data: Any, into: type[Any]) -> Any:
    """Remove the keys of tables that a type does not have."""
    return _prune(data, msgspec.inspect.type_info(into))


def _prune(data: Any, node: Any) -> Any:
    if isinstance(node, msgspec.inspect.UnionType):
        tables = [t for t in node.types if isinstance(t, msgspec.inspect.StructType)]
        node = tables[0] if tables else node
    if isinstance(data, dict) and isinstance(node, msgspec.inspect.StructType):
        known = {field.encode_name: field.type for field in node.fields}
        return {k: _prune(v, known[k]) for k, v in data.items() if k in known}
    if isinstance(data, dict) and isinstance(node, msgspec.inspect.DictType):
        return {k: _prune(v, node.value_type) for k, v in data.items()}
    if isinstance(data, list) and isinstance(node, msgspec.inspect.VarTupleType):
        return [_prune(v, node.item_type) for v in data]
    return data


def _name_enumeration(path: str, data: Any) -> str:
    """Put the name of the enumeration into a path: msgspec does not name keys of a mapping."""
    if not path.startswith(_ANY_ENUMERATION):
        return path.replace("[...]", ".*")
    for name, value in data["enumerations"].items():
        try:
            msgspec.convert(value, Enumeration)
        except msgspec.ValidationError:
            return f".enumerations.{name}{path.removeprefix(_ANY_ENUMERATION)}"
    return path


def _explain(message: str, path: str, data: Any, into: type[Any]) -> str:
    if message.startswith("Object "):
        known = ", ".join(_keys(path, into))
        complaint = message[0].lower() + message[1:].replace("`", "'")
        return f"{complaint}, expected one of: {known}"
    expected, _, got = message.replace("`", "").partition(", got ")
    found = _lookup(data, path, got or "this")
    if path.endswith(".type") and found.startswith("'"):
        return f"found {found}, expected {TYPE_NAMES}"
    if message.startswith("Invalid enum value"):
        return f"found {found}, expected one of: {', '.join(get_args(Stage))}"
    if "matching regex" in message:
        return f'found {found}, expected a hex string such as "0x1F"'
    return f"found {found}, {expected[0].lower()}{expected[1:]}"


def _lookup(data: Any, path: str, otherwise: str) -> str:
    """Return the repr of the scalar at a path; `otherwise` for a table or list."""
    for index, name in _STEP.findall(path):
        if name == "*":
            return otherwise
        data = data[int(index)] if index else data[name]
    return otherwise if isinstance(data, dict | list) else repr(data)


def _keys(path: str, into: type[Any]) -> tuple[str, ...]:
    """Return the keys that the table at a path may have."""
    node: Any = msgspec.inspect.type_info(into)
    for _, name in _STEP.findall(path):
        node = _enter(node, name)
    return tuple(field.encode_name for field in node.fields)


def _enter(node: Any, name: str) -> Any:
    if name and isinstance(node, msgspec.inspect.DictType):
        node = node.value_type
    elif name:
        node = next(field.type for field in node.fields if field.encode_name == name)
    else:
        node = node.item_type
    if isinstance(node, msgspec.inspect.UnionType):
        node = next(t for t in node.types if isinstance(t, msgspec.inspect.StructType))
    return node


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
    """Return the part of the schema that the format version fixes."""
    return convert(_format_part(_shipped_toml()), Format, str(shipped_path()))


@cache
def shipped_document() -> Document:
    """Return the whole shipped schema file."""
    return convert(_shipped_toml(), Document, str(shipped_path()))


def load_document(path: Path) -> Document:
    """Read a user's schema file; its format part may be missing, but must not differ.

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

    source = str(path)
    try:
        data = read_file(path, _LEN_MAX + 1)
        if len(data) > _LEN_MAX:
            raise SchemaError(
                f"found more than {_LEN_MAX:,} bytes, expected a schema", source=source
            )
        text = data.decode("utf-8-sig")
        if _LONG_KEY.search(text):
            raise SchemaError(f"found a key of more than {_PARTS_MAX} parts", source=source)
        return tomli.loads(text.replace("\r\n", "\n"))
    except OSError as err:
        raise SchemaError(f"cannot be read: {err.strerror}", source=source) from err
    except RecursionError as err:
        raise SchemaError("nested too deeply", source=source) from err
    except (tomli.TOMLDecodeError, UnicodeDecodeError) as err:
        raise SchemaError(f"not TOML: {err}", source=source) from err
    except ValueError as err:
        raise SchemaError("found an integer of more than 4,300 digits", source=source) from err


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
