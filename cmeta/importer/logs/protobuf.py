"""Messages of protobuf, decoded by the classes of the optional library that wrote them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cmeta.errors import CmetaError, MissingExtraError
from cmeta.extras import require


def parser(module: str, name: str, extra: str) -> tuple[Callable[[bytes], Any], type[Exception]]:
    """Return the function that decodes a message, and what it raises for bytes that are none.

    Parameters
    ----------
    module, name : str
        Where the class of the message is.
    extra : str
        What the user has to install for it.

    Raises
    ------
    MissingExtraError
        The library is not installed.
    CmetaError
        It does not go together with the protobuf that is installed.
    """
    try:
        message = getattr(require(module, extra), name)
        error: type[Exception] = require("google.protobuf.message", extra).DecodeError
    except MissingExtraError:
        raise
    except (ImportError, TypeError, AttributeError) as err:
        raise CmetaError(f"{extra}: the version installed cannot be used: {err}") from err
    return message.FromString, error
