"""What a condition says of the range of a field, so that a file need not be read elsewhere."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from cmeta.query.names import name_of

Range = tuple[int | None, int | None]

_MIRRORED = {ast.Lt: ast.Gt, ast.LtE: ast.GtE, ast.Gt: ast.Lt, ast.GtE: ast.LtE, ast.Eq: ast.Eq}


def range_of(root: ast.expr, name: str) -> Range:
    """Return the lowest and highest integer that a field can be; None is without bound."""
    low: int | None = None
    high: int | None = None
    for operator, constant in _bounds(root, name):
        above = constant + 1 if operator is ast.Gt else constant
        below = constant - 1 if operator is ast.Lt else constant
        if operator in (ast.Gt, ast.GtE, ast.Eq):
            low = above if low is None else max(low, above)
        if operator in (ast.Lt, ast.LtE, ast.Eq):
            high = below if high is None else min(high, below)
    return low, high


def _bounds(node: ast.expr, name: str) -> Iterator[tuple[type[ast.cmpop], int]]:
    """Yield what must be true of the field: an operator, and the integer at its right."""
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And):
        for part in node.values:
            yield from _bounds(part, name)
    if not isinstance(node, ast.Compare):
        return
    sides = [node.left, *node.comparators]
    for left, operator, right in zip(sides, node.ops, sides[1:], strict=False):
        kind = type(operator)
        if kind not in _MIRRORED:
            continue
        if name_of(left) == name and (constant := _integer(right)) is not None:
            yield kind, constant
        elif name_of(right) == name and (constant := _integer(left)) is not None:
            yield _MIRRORED[kind], constant


def _integer(node: ast.expr) -> int | None:
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None
