"""A condition evaluated on columns, in the three-valued logic of SQL and Kleene.

`evaluate` walks the tree that `cmeta.query.parse` has checked. A comparison with an absent value is
unknown, and so is its opposite; a row is selected where the condition is known to be true.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

import numpy as np

from cmeta.aliases import Array, Mask
from cmeta.errors import QueryError
from cmeta.query.arithmetic import absolute, as_floats, compute, negative
from cmeta.query.values import compare, compare_mixed, numbers_of
from cmeta.records.chunk import Column

ANY_FIELD = "field"  # field["..."] is the field of that name, whatever its characters
FUNCTIONS = ("abs", "isnan", "isinf", "isfinite", "present")
_OF_FLOATS = {"isnan": np.isnan, "isinf": np.isinf, "isfinite": np.isfinite}
_COMPARISONS = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
    ast.Is: "==", ast.IsNot: "!=",
}  # fmt: skip
_TEXTS = {
    "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal,
    "==": np.equal, "!=": np.not_equal,
}  # fmt: skip
_OPERATORS = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Mod: "%", ast.Pow: "**",
}  # fmt: skip
_List = ast.Tuple | ast.List | ast.Set

Lookup = Callable[[str], Column]


def name_of(node: ast.expr) -> str | None:
    """Return the dotted name that a part of an expression writes; None if it is not a name.

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


@dataclass(frozen=True)
class Value:
    """A column, a constant, or a condition.

    Attributes
    ----------
    values : array, (n,) or ()
        A constant has no dimension.
    known : bool array, or None
        Where there is a value; None: everywhere.
    is_computed : bool
        Objects are numbers, as `compute` returns them; not those of a mixed column.
    """

    values: Array
    known: Mask | None = None
    is_computed: bool = False

    @property
    def kind(self) -> str:
        """The kind: "condition", "number", "text" or "mixed"."""
        if self.is_computed:
            return "number"
        kinds = {"b": "condition", "U": "text", "O": "mixed"}
        return kinds.get(self.values.dtype.kind, "number")

    @property
    def has_any(self) -> bool:
        """Whether there is any known value."""
        return self.values.size > 0 and (self.known is None or bool(self.known.any()))

    def is_true(self) -> Mask:
        """Return where a condition is known to be true."""
        return self.values if self.known is None else self.values & self.known

    def is_false(self) -> Mask:
        """Return where a condition is known to be false."""
        return ~self.values if self.known is None else ~self.values & self.known


def both(left: Value, right: Value) -> Value:
    """Return ``left and right``: false if either is false, even if the other is unknown."""
    true, false = left.is_true() & right.is_true(), left.is_false() | right.is_false()
    return Value(true, true | false)


def either(left: Value, right: Value) -> Value:
    """Return ``left or right``: true if either is true, even if the other is unknown."""
    true, false = left.is_true() | right.is_true(), left.is_false() & right.is_false()
    return Value(true, true | false)


def opposite(value: Value) -> Value:
    """Return ``not value``: unknown stays unknown."""
    return Value(~value.values, value.known)


def known_in(*masks: Mask | None) -> Mask | None:
    """Return where all given values are known.

    Examples
    --------
    >>> import numpy as np
    >>> known_in(None, np.array([True, False])).tolist()
    [True, False]
    """
    given = [mask for mask in masks if mask is not None]
    return reduce(np.logical_and, given) if given else None


def evaluate(root: ast.expr, lookup: Lookup, error: Callable[[ast.expr, str], QueryError]) -> Mask:
    """Return the rows for which an expression is true.

    Parameters
    ----------
    lookup : callable
        Returns the column of a name, or raises KeyError.
    error : callable
        Returns the error that points at a part of the expression.
    """
    walk = _Evaluation(lookup, error)
    true = walk.condition(root).is_true()
    num_rows = next((len(value.values) for value in walk.columns.values()), true.size)
    return np.array(np.broadcast_to(true, (num_rows,)))


class _Evaluation:
    """One walk over an expression.

    Attributes
    ----------
    columns : dict of str to Value
        The columns that have been looked up so far.
    """

    def __init__(self, lookup: Lookup, error: Callable[[ast.expr, str], QueryError]) -> None:
        self._lookup, self._error = lookup, error
        self.columns: dict[str, Value] = {}

    def condition(self, node: ast.expr) -> Value:
        value = self._value(node)
        if value.kind == "mixed":  # only a boolean can be true or false
            objects = value.values.tolist()
            are_bools = np.array([isinstance(v, bool) for v in objects], np.bool_)
            true = np.array([v is True for v in objects], np.bool_)
            return Value(true, known_in(value.known, are_bools))
        if value.kind != "condition":
            self._require_no_value(value, node, "a condition, such as a comparison")
            return Value(np.zeros(value.values.shape, np.bool_), value.known)
        return value

    def _value(self, node: ast.expr) -> Value:
        if isinstance(node, ast.BoolOp):
            combine = both if isinstance(node.op, ast.And) else either
            return reduce(combine, map(self.condition, node.values))
        if isinstance(node, ast.UnaryOp):
            return self._unary(node)
        if isinstance(node, ast.BinOp):
            return self._binary(node)
        if isinstance(node, ast.Compare):
            return self._chain(node)
        if isinstance(node, ast.Call):
            return self._call(node)
        if isinstance(node, ast.Constant):
            return _constant(node.value)
        return self._column(node)

    def _column(self, node: ast.expr) -> Value:
        name = name_of(node) or ""
        if name not in self.columns:
            try:
                values, present = self._lookup(name)
            except KeyError as err:
                message = err.args[0] if err.args and " " in str(err.args[0]) else ""
                raise self._error(node, message or f"there is no {name!r}") from None
            if values.ndim != 1:
                raise self._error(node, f"a vector; name one of its components: {name}[0]")
            self.columns[name] = Value(values, present)
        return self.columns[name]

    def _unary(self, node: ast.UnaryOp) -> Value:
        if isinstance(node.op, ast.Not):
            return opposite(self.condition(node.operand))
        value = self._number(node.operand)
        if isinstance(node.op, ast.UAdd):
            return value
        return Value(negative(value.values, value.known), value.known, is_computed=True)

    def _binary(self, node: ast.BinOp) -> Value:
        left, right = self._number(node.left), self._number(node.right)
        known = known_in(left.known, right.known)
        values = compute(_OPERATORS[type(node.op)], left.values, right.values, known)
        return Value(values, known, is_computed=True)

    def _chain(self, node: ast.Compare) -> Value:
        # Each side is computed once, so that nested chains do not take exponential time.
        sides = [node.left, *node.comparators]
        values = [None if _is_list(side) or _is_none(side) else self._value(side) for side in sides]
        links = []
        for i, operator in enumerate(node.ops):
            left, right, place = values[i], values[i + 1], sides[i + 1]
            if isinstance(place, _List):
                links.append(self._member(left, operator, place))
            else:
                links.append(self._compared(_COMPARISONS[type(operator)], left, right, place))
        return reduce(both, links)

    def _member(self, left: Value | None, operator: ast.cmpop, items: _List) -> Value:
        member = Value(np.array(False))
        for item in items.elts:
            right = None if _is_none(item) else self._value(item)
            member = either(member, self._compared("==", left, right, item))
        return opposite(member) if isinstance(operator, ast.NotIn) else member

    def _compared(
        self, symbol: str, left: Value | None, right: Value | None, place: ast.expr
    ) -> Value:
        """Compare two values; None is the constant None: an absent value."""
        if left is None or right is None:
            present = _present(left or right)
            return present if symbol == "!=" else opposite(present)
        known = known_in(left.known, right.known)
        kinds = {left.kind, right.kind}
        if "mixed" in kinds:
            values, comparable = compare_mixed(symbol, left.values, right.values)
            return Value(values, known_in(known, comparable))
        if kinds == {"text"}:
            return Value(_TEXTS[symbol](left.values, right.values), known)
        if "text" in kinds:
            if not left.has_any or not right.has_any:  # a column without a value has no type
                shape = np.broadcast_shapes(left.values.shape, right.values.shape)
                return Value(np.zeros(shape, np.bool_), np.zeros(shape, np.bool_))
            other = (kinds - {"text"}).pop()
            raise self._error(place, f"this compares a text with a {other}")
        if "O" in (left.values.dtype.kind, right.values.dtype.kind):
            return Value(compare_mixed(symbol, left.values, right.values)[0], known)
        return Value(compare(symbol, left.values, right.values), known)

    def _call(self, node: ast.Call) -> Value:
        (argument,) = node.args
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name == "present":
            return _present(self._value(argument))
        value = self._number(argument)
        if name == "abs":
            return Value(absolute(value.values), value.known, is_computed=True)
        return Value(np.asarray(_OF_FLOATS[name](as_floats(value.values))), value.known)

    def _number(self, node: ast.expr) -> Value:
        value = self._value(node)
        if value.kind == "mixed":
            values, are_numbers = numbers_of(value.values)
            return Value(values, known_in(value.known, are_numbers), is_computed=True)
        if value.kind == "text":
            self._require_no_value(value, node, "a number")
            return Value(np.zeros(value.values.shape), value.known)
        return value

    def _require_no_value(self, value: Value, place: ast.expr, expected: str) -> None:
        """Refuse values of the wrong kind; a column without a value has no kind."""
        if value.has_any:
            raise self._error(place, f"this is a {value.kind}, expected {expected}")


def _present(value: Value | None) -> Value:
    if value is None:
        return Value(np.array(False))
    shape = value.values.shape
    return Value(np.ones(shape, np.bool_) if value.known is None else value.known)


def _is_list(node: ast.expr) -> bool:
    return isinstance(node, _List)


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _constant(value: object) -> Value:
    if value is None:
        return Value(np.array(0.0), np.array(False))
    return Value(np.array(value))
