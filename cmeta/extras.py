"""Libraries that only some functions need, imported when one is called."""

from __future__ import annotations

import importlib
from types import ModuleType

from cmeta.errors import MissingExtraError


def require(module: str, extra: str) -> ModuleType:
    """Import a library.

    Parameters
    ----------
    module : str
        Its dotted name.
    extra : str
        The extra of this distribution that installs it.

    Raises
    ------
    MissingExtraError
        It is not installed; names the extra. A library that is there but fails to import keeps
        its own error.

    Examples
    --------
    >>> require("no_such_library", "arrow")
    Traceback (most recent call last):
        ...
    cmeta.errors.MissingExtraError: needs no_such_library: pip install 'cmeta-format[arrow]'
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as err:
        top = module.partition(".")[0]
        if (err.name or "").partition(".")[0] != top:
            raise
        raise MissingExtraError(f"needs {top}: pip install 'cmeta-format[{extra}]'") from err
