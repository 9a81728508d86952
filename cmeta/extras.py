"""Optional libraries, imported when a function needs one."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

from cmeta.errors import CmetaError, MissingExtraError


def require(module: str, extra: str) -> ModuleType:
    """Import a library.

    Parameters
    ----------
    module : str
        Dotted name.
    extra : str
        The extra of this distribution that installs the library.

    Raises
    ------
    MissingExtraError
        It is not installed; the message names the extra. An installed library that fails to
        import raises its own error.

    Examples
    --------
    >>> require("no_library", "arrow")
    Traceback (most recent call last):
        ...
    cmeta.errors.MissingExtraError: needs no_library: pip install no_library (the extra 'arrow')
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as err:
        top = module.partition(".")[0]
        if (err.name or "").partition(".")[0] != top:
            raise
        message = f"needs {top}: pip install {top} (the extra {extra!r})"
        raise MissingExtraError(message) from err


def protobuf_parser(
    module: str, name: str, extra: str
) -> tuple[Callable[[bytes], Any], type[Exception]]:
    """Return the function that decodes a library's protobuf message, and its error.

    Parameters
    ----------
    module, name : str
        Of the class of the message.
    extra : str
        The extra of this distribution that installs the library.

    Raises
    ------
    MissingExtraError
        The library is not installed.
    CmetaError
        It does not work with the protobuf that is installed.
    """
    try:
        message = getattr(require(module, extra), name)
        error: type[Exception] = require("google.protobuf.message", extra).DecodeError
    except MissingExtraError:
        raise
    except (ImportError, TypeError, AttributeError) as err:
        raise CmetaError(f"{extra}: the version installed cannot be used: {err}") from err
    return message.FromString, error
