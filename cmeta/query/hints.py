"""What somebody who writes a condition in another language may have meant.

A hint is the end of a message: about the text where it is not understood (`of_text`), or about a
name that does not exist (`of_name`).
"""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Collection, Iterable

_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_OF_SIGNS = (
    (re.compile(r"&&"), "use `and`"),
    (re.compile(r"\|\|"), "use `or`"),
    (re.compile(r"<>"), "use `!=`"),
    (re.compile(r"===|(?<![<>=!:])=(?!=)"), "a comparison is `==`"),
    (re.compile(r"!(?!=)"), "use `not`"),
    (re.compile(r"\b(?:AND|OR|NOT|IN|IS)\b"), "`and`, `or`, `not`, `in` and `is` are lower-case"),
    (re.compile(r"\b(?:like|between)\b", re.IGNORECASE), "use comparisons: 0 < x < 1, x in (1, 2)"),
)
_TWO_WORDS = re.compile(r"\b([^\W\d]\w*) +([^\W\d]\w*)")
_QUOTE_NAME = "a name with blanks or signs is written metrics['my name']"
_OF_NAMES = {
    "null": "an absent value is None: `x is None`", "nil": "an absent value is None: `x is None`",
    "none": "an absent value is None: `x is None`", "na": "an absent value is None: `x is None`",
    "nan": "NaN equals nothing, not even NaN: use isnan(x)",
    "inf": "use isinf(x)", "infinity": "use isinf(x)",
    "true": "use True", "false": "use False",
}  # fmt: skip


def of_text(text: str) -> tuple[int, str] | None:
    """Return the place of what is probably wrong in a text, and a hint.

    Examples
    --------
    >>> of_text("loss = 1"), of_text("loss == '&&' && acc > 1")
    ((5, 'a comparison is `==`'), (13, 'use `and`'))
    >>> of_text("my loss < 1")
    (0, "a name with blanks or signs is written metrics['my name']")
    """
    plain = _QUOTED.sub(lambda match: " " * len(match[0]), text)
    for pattern, hint in _OF_SIGNS:
        if match := pattern.search(plain):
            return match.start(), hint
    for match in _TWO_WORDS.finditer(plain):
        if not any(map(keyword.iskeyword, match.groups())):
            return match.start(), _QUOTE_NAME
    return None


def of_name(name: str, text: str, known: Iterable[str], texts: Collection[str] = ()) -> str:
    """Return a hint about a name that does not exist, to be appended to a message; "" for none.

    Parameters
    ----------
    text : str
        The condition.
    known : iterable of str
        The full names that exist.
    texts : collection of str
        Texts with which something may be compared.

    Examples
    --------
    >>> of_name("val", "val/acc > 0.5", ["metrics.val/acc"])
    "; write val/acc as metrics['val/acc']"
    >>> of_name("validate", "phase == validate", [], ["train", "validate"])
    "; a text is in quotes: 'validate'"
    >>> of_name("nan", "loss == nan", [])
    '; NaN equals nothing, not even NaN: use isnan(x)'
    """
    plain = _QUOTED.sub("", text)
    for path in known:
        group, dot, short = path.partition(".")
        if not dot or _is_plain(short) or short not in plain or name not in short:
            continue
        return f"; write {short} as {group}[{short!r}]"
    if name.lower() in _OF_NAMES:
        return f"; {_OF_NAMES[name.lower()]}"
    return f"; a text is in quotes: {name!r}" if name in texts else ""


def _is_plain(name: str) -> bool:
    """Return whether an expression can have a name as it is."""
    try:
        node = ast.parse(name, mode="eval").body
    except (SyntaxError, ValueError):
        return False
    return isinstance(node, ast.Name | ast.Attribute)
