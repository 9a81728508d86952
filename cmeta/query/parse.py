"""Parses conditions: a tree of `ast`, checked against a list of allowed parts."""

from __future__ import annotations

import ast
import copy
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NoReturn

from cmeta.aliases import U64_MAX, Mask
from cmeta.errors import QueryError
from cmeta.query import hints
from cmeta.query.evaluate import ANY_FIELD, FUNCTIONS, Lookup, evaluate, name_of

LEN_MAX = 4096  # characters
DEPTH_MAX = 64  # of nesting; also operators in a row

_ALLOWED = (
    ast.Expression, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.UAdd,
    ast.BinOp, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Mod, ast.Pow,
    ast.Compare, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq, ast.In, ast.NotIn,
    ast.Is, ast.IsNot, ast.Name, ast.Attribute, ast.Subscript, ast.Constant, ast.Call,
    ast.Tuple, ast.List, ast.Set, ast.Load,
)  # fmt: skip
_INSTEAD = {
    ast.BitAnd: "use `and`", ast.BitOr: "use `or`", ast.Invert: "use `not`",
    ast.FloorDiv: "use `/` or `%`", ast.IfExp: "use `and` and `or`",
    ast.NamedExpr: "a comparison is `==`",
}  # fmt: skip
_EXAMPLE = "expected something such as: loss_value < 0.1 and phase == 'validate'"
_NONE_TAKES = (ast.Is, ast.IsNot, ast.Eq, ast.NotEq)
_MIRRORED = {ast.Lt: ast.Gt, ast.LtE: ast.GtE, ast.Gt: ast.Lt, ast.GtE: ast.LtE, ast.Eq: ast.Eq}

Refuse = Callable[[ast.AST, str], NoReturn]
Range = tuple[int | None, int | None]  # both ends included; None: no bound


@dataclass(frozen=True)
class Expression:
    """A parsed condition.

    Attributes
    ----------
    text : str
    names : tuple of str
        Names of the fields that it needs, each once, in order of appearance.
    texts : tuple of (str, str)
        Names, and the texts that they are compared with by ``==``, ``!=`` or ``in``: for an
        enumeration, a text that it does not have is a mistake.
    """

    text: str
    names: tuple[str, ...]
    texts: tuple[tuple[str, str], ...]
    _root: ast.expr = field(repr=False, compare=False)
    _columns: dict[str, int] = field(repr=False, compare=False)

    def evaluate(self, lookup: Lookup) -> Mask:
        """Return the rows for which the condition is true.

        Parameters
        ----------
        lookup : callable
            Returns the column of a name: bool, integers, floats, text, or objects (`column_of`).
            Called once for each name. A KeyError becomes a `QueryError`.

        Returns
        -------
        bool array, (n,)
            False where the condition is unknown, too.

        Raises
        ------
        QueryError
            There is no such field, or the types do not fit.

        Examples
        --------
        >>> import numpy as np
        >>> columns = {"loss": (np.array([0.5, 0.05, 0.0]), np.array([True, True, False]))}
        >>> parse("loss < 0.1").evaluate(columns.__getitem__).tolist()
        [False, True, False]
        >>> parse("not loss < 0.1").evaluate(columns.__getitem__).tolist()
        [True, False, False]
        """
        return evaluate(self._root, lookup, self.error)

    def range_of(self, name: str) -> Range:
        """Return the bounds that the condition sets for an integer field.

        Only comparisons with constants count, alone or joined by `and`.

        Examples
        --------
        >>> parse("10 <= timestamp < 20 and loss_value > 1").range_of("timestamp")
        (10, 19)
        """
        return _range_of(self._root, name)

    def with_texts(self, texts: Mapping[tuple[str, str], str]) -> Expression:
        """Return the condition with other texts in its comparisons.

        Parameters
        ----------
        texts : mapping of (name, text) to text

        Examples
        --------
        >>> condition = parse("phase == 'val' or loss_value < 1")
        >>> condition.with_texts({("phase", "val"): "validate"}).texts
        (('phase', 'validate'),)
        """
        if not texts:
            return self
        root = copy.deepcopy(self._root)
        for name, constant in _texts(root):
            key = (name, str(constant.value))
            constant.value = texts.get(key, constant.value)
        return replace(self, texts=_named_texts(root), _root=root)

    def with_qualified_names(self, is_qualifier: Callable[[str], bool]) -> Expression:
        """Return the condition in which a qualifier, a slash and a name are one name.

        Examples
        --------
        >>> parse("2 * val/loss.min < 1").with_qualified_names(lambda word: word == "val").names
        ('val/loss.min',)
        """
        root = _Qualified(is_qualifier).visit(copy.deepcopy(self._root))
        columns: dict[str, int] = {}
        for name, node in _names(root):
            columns.setdefault(name, _column(self.text, node))
        return Expression(self.text, tuple(columns), _named_texts(root), root, columns)

    def error(self, name: str | ast.expr, message: str) -> QueryError:
        """Return the error that points at a name, or at a part of the expression."""
        column = self._columns[name] if isinstance(name, str) else _column(self.text, name)
        return QueryError(message, text=self.text, column=column)


class _Qualified(ast.NodeTransformer):
    """Turns ``val/loss``, a quotient, into ``field["val/loss"]``."""

    def __init__(self, is_qualifier: Callable[[str], bool]) -> None:
        self._is_qualifier = is_qualifier

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        name = name_of(node.right) if isinstance(node.op, ast.Div) else None
        if name is not None and (joined := self._joined(node.left, name)) is not None:
            return joined
        self.generic_visit(node)
        return node

    def _joined(self, left: ast.expr, name: str) -> ast.expr | None:
        """Return the left side of a quotient with its last word joined to the name right of it."""
        if isinstance(left, ast.Name) and self._is_qualifier(left.id):
            constant = ast.Constant(f"{left.id}/{name}")
            whole = ast.Subscript(ast.Name(ANY_FIELD, ast.Load()), constant, ast.Load())
            return ast.fix_missing_locations(ast.copy_location(whole, left))
        if isinstance(left, ast.BinOp) and isinstance(left.op, ast.Mult | ast.Div | ast.Mod):
            joined = self._joined(left.right, name)
            if joined is not None:
                part = ast.BinOp(self.visit(left.left), left.op, joined)
                return ast.copy_location(part, left)
        if isinstance(left, ast.UnaryOp) and not isinstance(left.op, ast.Not):
            joined = self._joined(left.operand, name)
            if joined is not None:
                return ast.copy_location(ast.UnaryOp(left.op, joined), left)
        return None


def _names(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Yield the names of fields of a checked expression, in order of appearance."""
    if isinstance(node, ast.Name | ast.Attribute | ast.Subscript):
        yield str(name_of(node)), node
        return
    children = node.args if isinstance(node, ast.Call) else ast.iter_child_nodes(node)
    for child in children:
        yield from _names(child)


def parse(text: str) -> Expression:
    """Parse a condition.

    Raises
    ------
    QueryError
        Not a condition; shows the text and the place.

    Examples
    --------
    >>> parse("0 < loss_value < 0.1 and metrics['train/lr'] in (0.1, 0.2)").names
    ('loss_value', 'metrics.train/lr')
    """
    text = re.sub(r"\s", " ", text).strip()
    root = _tree_of(text)

    def refuse(node: ast.AST, message: str) -> NoReturn:
        raise QueryError(message, text=text, column=_column(text, node))

    _check_depth(root, refuse)
    columns: dict[str, int] = {}
    for name, node in _checked(root, refuse):
        columns.setdefault(name, _column(text, node))
    _require_condition(root, refuse)
    if not columns:
        refuse(root, "found no name of a field")
    return Expression(text, tuple(columns), _named_texts(root), root, columns)


def _tree_of(text: str) -> ast.expr:
    if not text:
        raise QueryError(f"found nothing, {_EXAMPLE}", text=text, column=0)
    if len(text) > LEN_MAX:
        message = f"found {len(text):,} characters, expected at most {LEN_MAX:,}"
        raise QueryError(message, text=f"{text[:60]}...", column=60)
    try:
        with warnings.catch_warnings(action="ignore"):  # about a digit before a word, and the like
            return ast.parse(text, mode="eval").body
    except SyntaxError as err:
        column = min(err.offset - 1, len(text)) if err.offset else len(text)
        column, hint = hints.of_text(text) or (column, _EXAMPLE)
        raise QueryError(f"not understood, {hint}", text=text, column=column) from None
    except (ValueError, MemoryError, RecursionError):
        raise QueryError(f"not understood, {_EXAMPLE}", text=text, column=0) from None


def _column(text: str, node: ast.AST) -> int:
    """Return where a part begins, in characters; `ast` counts the bytes of UTF-8."""
    offset = getattr(node, "col_offset", 0)
    return len(text.encode("utf-8", "surrogatepass")[:offset].decode("utf-8", "ignore"))


def _check_depth(root: ast.expr, refuse: Refuse) -> None:
    level: list[ast.AST] = [root]
    for _ in range(DEPTH_MAX):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return
    refuse(root, f"more than {DEPTH_MAX} operators deep")


def _checked(node: ast.AST, refuse: Refuse) -> Iterator[tuple[str, ast.expr]]:
    """Check a part and its parts, and yield the names of fields."""
    if not isinstance(node, _ALLOWED):
        kind = type(node).__name__
        refuse(node, f"{kind} is not allowed; {_INSTEAD.get(type(node), _EXAMPLE)}")
    if isinstance(node, ast.Name | ast.Attribute | ast.Subscript):
        name = name_of(node)
        if name is None:
            refuse(node, 'expected a field: entropy, metrics.entropy, metrics["train/loss"]')
        yield name, node
        return
    if isinstance(node, ast.Constant):
        _check_constant(node, refuse)
    elif isinstance(node, ast.Compare):
        _check_comparison(node, refuse)
    elif isinstance(node, ast.Tuple | ast.List | ast.Set):
        refuse(node, "a list is allowed only after `in`")
    for child in _parts(node, refuse):
        yield from _checked(_placed(child, node), refuse)


def _parts(node: ast.AST, refuse: Refuse) -> Iterator[ast.AST]:
    if isinstance(node, ast.Call):
        known = isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS
        if not known or node.keywords or len(node.args) != 1:
            refuse(node, f"expected one of {', '.join(FUNCTIONS)}, with one argument")
        yield node.args[0]
    elif isinstance(node, ast.Compare):
        yield node.left
        for right in node.comparators:
            yield from right.elts if isinstance(right, ast.Tuple | ast.List | ast.Set) else [right]
    else:
        yield from ast.iter_child_nodes(node)


def _placed(child: ast.AST, parent: ast.AST) -> ast.AST:
    """Return an operator with the place of its expression: `ast` gives it none."""
    if not hasattr(child, "col_offset"):
        child = type(child)()  # operators are shared between trees
        vars(child)["col_offset"] = getattr(parent, "col_offset", 0)
    return child


def _check_constant(node: ast.Constant, refuse: Refuse) -> None:
    value = node.value
    if value is not None and not isinstance(value, bool | int | float | str):
        refuse(node, f"{type(value).__name__} is not allowed; expected a number or a text")
    if isinstance(value, int) and value > U64_MAX:
        refuse(node, "an integer of more than 64 bits")


def _check_comparison(node: ast.Compare, refuse: Refuse) -> None:
    for operator, right in zip(node.ops, node.comparators, strict=True):
        is_list = isinstance(right, ast.Tuple | ast.List | ast.Set)
        if isinstance(operator, ast.In | ast.NotIn) != is_list:
            refuse(right, "expected a list after `in`, and only there: phase in ('train', 'test')")
        if isinstance(operator, ast.Is | ast.IsNot) and not _is_none(right):
            refuse(right, "expected None after `is`; compare anything else by `==`")
    for side in [node.left, *node.comparators]:
        if _is_none(side) and not all(isinstance(op, _NONE_TAKES) for op in node.ops):
            refuse(side, "nothing is less or greater than None")


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _require_condition(node: ast.expr, refuse: Refuse) -> None:
    """Refuse an expression that cannot be a condition, even without a record to evaluate it on."""
    if isinstance(node, ast.BoolOp):
        for part in node.values:
            _require_condition(part, refuse)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        _require_condition(node.operand, refuse)
    elif isinstance(node, ast.BinOp | ast.UnaryOp) or (
        isinstance(node, ast.Constant) and not isinstance(node.value, bool)
    ):
        refuse(node, f"not a condition, {_EXAMPLE}")
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "abs":
        refuse(node, f"abs() gives a number, not a condition; {_EXAMPLE}")


def _named_texts(root: ast.expr) -> tuple[tuple[str, str], ...]:
    return tuple((name, str(constant.value)) for name, constant in _texts(root))


def _texts(root: ast.expr) -> Iterator[tuple[str, ast.Constant]]:
    """Yield names, and the text constants that they are compared with for equality."""
    for node in ast.walk(root):
        if not isinstance(node, ast.Compare):
            continue
        sides = [node.left, *node.comparators]
        for left, operator, right in zip(sides, node.ops, sides[1:], strict=False):
            if isinstance(operator, ast.Eq | ast.NotEq | ast.In | ast.NotIn):
                yield from _pairs(left, right)
                yield from _pairs(right, left)


def _pairs(named: ast.expr, other: ast.expr) -> Iterator[tuple[str, ast.Constant]]:
    name = name_of(named)
    constants = other.elts if isinstance(other, ast.Tuple | ast.List | ast.Set) else [other]
    for constant in constants if name is not None else ():
        if isinstance(constant, ast.Constant) and isinstance(constant.value, str):
            yield str(name), constant


# ------------------------------------------------------------------------ bounds of a field


def _range_of(root: ast.expr, name: str) -> Range:
    """Return the bounds that an expression sets for an integer field; None: no bound."""
    low: int | None = None
    high: int | None = None
    for operator, constant in _comparisons_with(root, name):
        above = constant + 1 if operator is ast.Gt else constant
        below = constant - 1 if operator is ast.Lt else constant
        if operator in (ast.Gt, ast.GtE, ast.Eq):
            low = above if low is None else max(low, above)
        if operator in (ast.Lt, ast.LtE, ast.Eq):
            high = below if high is None else min(high, below)
    return low, high


def _comparisons_with(node: ast.expr, name: str) -> Iterator[tuple[type[ast.cmpop], int]]:
    """Yield the comparisons that a field must fulfil: an operator, and an integer right of it."""
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And):
        for part in node.values:
            yield from _comparisons_with(part, name)
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
