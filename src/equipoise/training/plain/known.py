"""The value of an expression where what it is made of is known. Nothing is run but the operations that stand here."""

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

# What may be computed while a function is read: none of it has an effect.
PURE = {
    function.__name__: function
    for function in (
        bool,
        enumerate,
        float,
        int,
        isinstance,
        len,
        list,
        max,
        min,
        range,
        reversed,
        round,
        str,
        sum,
        tuple,
        zip,
    )
}
BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
UNARY: Mapping[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: operator.not_,
}
COMPARED: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda item, items: item in items,
    ast.NotIn: lambda item, items: item not in items,
}


def computed(node: ast.expr, meaning: Callable[[str], Any]) -> Any:
    """Return the value of the expression.

    Parameters
    ----------
    meaning : from a name to its value

    Raises
    ------
    Exception
        Whatever an unknown name, or an operation on what is not known, makes `meaning` or Python raise.
    """

    def of(inner: ast.expr) -> Any:
        return computed(inner, meaning)

    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return meaning(name)
        case ast.Tuple(elts=items):
            return tuple(map(of, items))
        case ast.List(elts=items):
            return list(map(of, items))
        case ast.Attribute(value=whole, attr=name):
            return getattr(of(whole), name)
        case ast.Subscript(value=whole, slice=place):
            return of(whole)[of(place)]
        case ast.UnaryOp(op=operation, operand=operand):
            return UNARY[type(operation)](of(operand))
        case ast.BinOp(left=left, op=operation, right=right):
            return BINARY[type(operation)](of(left), of(right))
        case ast.BoolOp(op=operation, values=values):
            return _first_that_decides(isinstance(operation, ast.Or), values, of)
        case ast.Compare(left=left, ops=operations, comparators=others):
            return _compared(of(left), operations, others, of)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return of(body) if of(test) else of(orelse)
        case ast.Call(func=function, args=items, keywords=keywords):
            named = {keyword.arg: of(keyword.value) for keyword in keywords if keyword.arg is not None}
            return of(function)(*map(of, items), **named)
    raise TypeError(f"{type(node).__name__} is not computed")


def _first_that_decides(wanted: bool, values: list[ast.expr], of: Callable[[ast.expr], Any]) -> Any:
    """Return the first value that is true, or false, as wanted; the last one if there is none."""
    for value in values[:-1]:
        found = of(value)
        if bool(found) is wanted:
            return found
    return of(values[-1])


def _compared(left: Any, operations: list[ast.cmpop], others: list[ast.expr], of: Callable[[ast.expr], Any]) -> bool:
    for operation, other in zip(operations, others, strict=True):
        right = of(other)
        if not COMPARED[type(operation)](left, right):
            return False
        left = right
    return True
