"""How a field is written in a condition."""

from __future__ import annotations

import ast

ANY_FIELD = "field"  # field["..."] is the field of that name, whatever it consists of


def name_of(node: ast.expr) -> str | None:
    """Return the dotted name that a part of an expression is; None if it is none.

    Examples
    --------
    >>> def name(text): return name_of(ast.parse(text, mode="eval").body)
    >>> name("loss_value"), name("metrics.entropy"), name("metrics['train/loss']")
    ('loss_value', 'metrics.entropy', 'metrics.train/loss')
    >>> name("field['odd name']"), name("tensor_signature[0]"), name("f(x)")
    ('odd name', 'tensor_signature[0]', None)
    """
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        group = name_of(node.value)
        return None if group is None else f"{group}.{node.attr}"
    if not isinstance(node, ast.Subscript) or not isinstance(node.slice, ast.Constant):
        return None
    group, inner = name_of(node.value), node.slice.value
    if group is None or isinstance(inner, bool):
        return None
    if isinstance(inner, str):
        return inner if group == ANY_FIELD else f"{group}.{inner}"
    return f"{group}[{inner}]" if isinstance(inner, int) else None
